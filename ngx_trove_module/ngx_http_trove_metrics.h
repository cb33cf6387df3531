
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_METRICS_H_INCLUDED_
#define _NGX_HTTP_TROVE_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_ctx.h"
#include "ngx_http_trove_metrics_target.h"
#include "ngx_trove_metrics.h"


/*
 * What is counted for a location.  The numbers of the verdicts and of the
 * outcomes of the deduplication follow their enumerations.  A counter keeps its
 * meaning while old and new workers share the memory: new ones go to the end.
 */

typedef enum {
    NGX_HTTP_TROVE_METRIC_VERDICT = 0,             /* + a verdict, not NONE */
    NGX_HTTP_TROVE_METRIC_UNVERIFIED = 10,         /* a 2xx without a verdict */
    NGX_HTTP_TROVE_METRIC_VERIFY_NS,               /* spent on MAC and JSON */
    NGX_HTTP_TROVE_METRIC_DEDUP,                   /* + an outcome, not NONE */
    NGX_HTTP_TROVE_METRIC_DELIVERED = 17,          /* by the targets required */
    NGX_HTTP_TROVE_METRIC_PARTIAL,
    NGX_HTTP_TROVE_METRIC_UNMATCHED                /* by any target */
} ngx_http_trove_metric_e;


/* a location whose requests are counted */
typedef struct {
    ngx_str_t                 server;
    ngx_str_t                 location;
    void                    **loc_conf;
    ngx_trove_metrics_set_t  *set;       /* NULL: no room for it */

    /* of its fan-out, if it has one */
    ngx_http_trove_metrics_target_t  *targets;
    ngx_uint_t                ntargets;

    unsigned                  repeated:1;    /* one before has its labels */
    unsigned                  fanout:1;      /* the first with them to have */
                                             /*   targets                   */
} ngx_http_trove_metrics_loc_t;


/* Adds n to a counter of the location that the request is in. */
void ngx_http_trove_metrics_add(ngx_http_request_t *r, ngx_uint_t counter,
    uint64_t n);

/* Nanoseconds of a clock, to measure what is added to a counter of them. */
uint64_t ngx_http_trove_metrics_clock(void);

/*
 * Whether a location, by the array of its modules' configurations, answers with
 * metrics: it is exempt from an inherited "trove_verify on" and "trove_dedup".
 */
ngx_uint_t ngx_http_trove_metrics_exempt(void **loc_conf);

/*
 * Renders all metrics, of n locations and the zones, as the text format of
 * Prometheus, version 0.0.4.
 *
 * NULL  out of memory
 */
ngx_buf_t *ngx_http_trove_metrics_text(ngx_pool_t *pool,
    ngx_http_trove_metrics_loc_t *locs, ngx_uint_t n);


#endif /* _NGX_HTTP_TROVE_METRICS_H_INCLUDED_ */
