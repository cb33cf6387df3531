
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_METRICS_H_INCLUDED_
#define _NGX_HTTP_TROVE_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics_target.h"
#include "ngx_trove_metrics.h"


/*
 * What is counted for a location.  The numbers of the verdicts and of the
 * outcomes of the deduplication follow their enumerations.  A counter keeps its
 * meaning while old and new workers share the memory: new ones go to the end,
 * or where there is a gap.
 */

typedef enum {
    NGX_HTTP_TROVE_METRIC_VERDICT = 0,             /* + a verdict, not NONE */
    NGX_HTTP_TROVE_METRIC_UNVERIFIED = 10,         /* a 2xx without a verdict */
    NGX_HTTP_TROVE_METRIC_VERIFY_NS,               /* spent on MAC and JSON */
    NGX_HTTP_TROVE_METRIC_DEDUP,                   /* + an outcome, not NONE */
    NGX_HTTP_TROVE_METRIC_DELIVERED = 17,          /* by the targets required */
    NGX_HTTP_TROVE_METRIC_PARTIAL,
    NGX_HTTP_TROVE_METRIC_UNMATCHED,               /* by any target */
    NGX_HTTP_TROVE_METRIC_COMPLETED,               /* claims */
    NGX_HTTP_TROVE_METRIC_RELEASED,

    /* the second set, about signatures: parts of two histograms, their sums */
    NGX_HTTP_TROVE_METRIC_AGE = 24,                /* + a part */
    NGX_HTTP_TROVE_METRIC_AGE_SUM = 34,            /* of seconds */
    NGX_HTTP_TROVE_METRIC_AHEAD = 35,              /* + a part */
    NGX_HTTP_TROVE_METRIC_AHEAD_SUM = 41,

    /* the third: by which secret */
    NGX_HTTP_TROVE_METRIC_SECRET = 47,             /* + 1 .. 16 */
    NGX_HTTP_TROVE_METRIC_LAST = 63
} ngx_http_trove_metric_e;


/* the sets of a location: number n has the counters from n * 24 on */
#define NGX_HTTP_TROVE_METRICS_SETS                                           \
    (NGX_HTTP_TROVE_METRIC_LAST / NGX_TROVE_METRICS_COUNTERS + 1)


/* a location whose requests are counted */
typedef struct {
    ngx_str_t                 labels;    /* as they are shown; its name */
    ngx_str_t                 name;      /* of the location, for the log */

    /* all NULL: no room for them */
    ngx_trove_metrics_set_t  *sets[NGX_HTTP_TROVE_METRICS_SETS];

    ngx_uint_t                mode;      /* NGX_HTTP_TROVE_VERIFY_... */
    ngx_uint_t                nsecrets;  /* 0 where nothing is verified */

    /* of its fan-out, if it has one */
    ngx_http_trove_metrics_target_t  *targets;
    ngx_uint_t                ntargets;

    unsigned                  dedup:1;
    unsigned                  spooled:1;     /* what its targets get */
    unsigned                  repeated:1;    /* one before has its labels */
    unsigned                  fanout:1;      /* the first with them to have */
                                             /*   targets                   */
} ngx_http_trove_metrics_loc_t;


/*
 * What the requests to the location that r is in are counted in, to be kept for
 * as long as its configuration lives.
 *
 * NULL  they are not counted
 */
ngx_http_trove_metrics_loc_t *ngx_http_trove_metrics_loc(
    ngx_http_request_t *r);

/*
 * Has n targets counted of the location that is being merged, which is no "if"
 * and no "limit_except".  The caller sets their names.
 *
 * NULL  out of memory
 */
ngx_http_trove_metrics_target_t *ngx_http_trove_metrics_loc_targets(
    ngx_conf_t *cf, ngx_uint_t n);

/*
 * The events of a location, by the array of its modules' configurations, are
 * spooled; to be called as "postconfiguration" by a module after this one.
 *
 * What the location is counted in.
 */
ngx_http_trove_metrics_loc_t *ngx_http_trove_metrics_loc_spooled(
    ngx_conf_t *cf, void **loc_conf);

/* Adds n to a counter of a location, which may be NULL; the sum of it. */
void ngx_http_trove_metrics_loc_add(ngx_http_trove_metrics_loc_t *loc,
    ngx_uint_t counter, uint64_t n);
uint64_t ngx_http_trove_metrics_loc_sum(ngx_http_trove_metrics_loc_t *loc,
    ngx_uint_t counter);

/* Adds n to a counter of the location that the request is in. */
void ngx_http_trove_metrics_add(ngx_http_request_t *r, ngx_uint_t counter,
    uint64_t n);


#endif /* _NGX_HTTP_TROVE_METRICS_H_INCLUDED_ */
