
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_METRICS_H_INCLUDED_
#define _NGX_HTTP_TROVE_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics_target.h"
#include "ngx_http_trove_module.h"
#include "ngx_trove_metrics.h"


/*
 * Counters of a location.  The numbers of the verdicts and of the outcomes of
 * the deduplication follow their enumerations.  A counter must keep its
 * meaning because old and new workers share the memory.  New counters are
 * added at the end or into a gap.
 */

typedef enum {
    NGX_HTTP_TROVE_METRIC_VERDICT = 0,             /* + a verdict, not NONE */
    NGX_HTTP_TROVE_METRIC_UNVERIFIED = 10,         /* 2xx, no verdict */
    NGX_HTTP_TROVE_METRIC_VERIFY_NS,               /* MAC and JSON time */
    NGX_HTTP_TROVE_METRIC_DEDUP,                   /* + an outcome, not NONE */
    NGX_HTTP_TROVE_METRIC_DELIVERED = 17,          /* to all required targets */
    NGX_HTTP_TROVE_METRIC_PARTIAL,
    NGX_HTTP_TROVE_METRIC_UNMATCHED,               /* no matching target */
    NGX_HTTP_TROVE_METRIC_COMPLETED,               /* claims */
    NGX_HTTP_TROVE_METRIC_RELEASED,

    /* the second set, signatures: buckets of two histograms, and their sums */
    NGX_HTTP_TROVE_METRIC_AGE = 24,                /* + a bucket */
    NGX_HTTP_TROVE_METRIC_AGE_SUM = 34,            /* of seconds */
    NGX_HTTP_TROVE_METRIC_AHEAD = 35,              /* + a bucket */
    NGX_HTTP_TROVE_METRIC_AHEAD_SUM = 41,

    /* the third set: verifications by each secret */
    NGX_HTTP_TROVE_METRIC_SECRET = 47,             /* + 1 .. 16 */
    NGX_HTTP_TROVE_METRIC_LAST = 63
} ngx_http_trove_metric_e;


/* the sets of a location: set number n has the counters from n * 24 on */
#define NGX_HTTP_TROVE_METRICS_SETS                                           \
    (NGX_HTTP_TROVE_METRIC_LAST / NGX_TROVE_METRICS_COUNTERS + 1)


/* a location with counters */
typedef struct {
    ngx_str_t                 labels;    /* escaped; the name of the set */
    ngx_str_t                 name;      /* of the location, for log lines */

    /* members may be set by the "postconfiguration" of a later module */
    ngx_http_trove_loc_conf_t *conf;

    /* all NULL: the zone has no space for them */
    ngx_trove_metrics_set_t  *sets[NGX_HTTP_TROVE_METRICS_SETS];

    ngx_uint_t                mode;      /* NGX_HTTP_TROVE_VERIFY_... */
    ngx_uint_t                nsecrets;  /* 0: not verified */

    /* of its fan-out, or NULL */
    ngx_http_trove_metrics_target_t  *targets;
    ngx_uint_t                ntargets;

    unsigned                  spooled:1;     /* its events are spooled */
    unsigned                  repeated:1;    /* labels of an earlier one */
    unsigned                  fanout:1;      /* first of them with targets */
} ngx_http_trove_metrics_loc_t;


/*
 * Returns the counters of the location of r.  They live as long as the
 * configuration and belong to it.
 *
 * NULL  the location has no counters
 */
ngx_http_trove_metrics_loc_t *ngx_http_trove_metrics_loc(
    ngx_http_request_t *r);

/*
 * Allocates the counters of n targets of the location that is being merged,
 * which must not be an "if" or a "limit_except" block.  The memory is zeroed
 * and belongs to the configuration.  The caller sets the names of the targets.
 *
 * NULL  out of memory
 */
ngx_http_trove_metrics_target_t *ngx_http_trove_metrics_loc_targets(
    ngx_conf_t *cf, ngx_uint_t n);

/*
 * Marks a location as spooled and returns its counters, which belong to the
 * configuration.  loc_conf is the array of the location's module
 * configurations.  It must be called at postconfiguration by a module that is
 * registered after this one.  It cannot fail.
 */
ngx_http_trove_metrics_loc_t *ngx_http_trove_metrics_loc_spooled(
    ngx_conf_t *cf, void **loc_conf);

/*
 * Adds n to a counter of a location.  loc may be NULL: nothing is counted
 * then.
 */
void ngx_http_trove_metrics_loc_add(ngx_http_trove_metrics_loc_t *loc,
    ngx_uint_t counter, uint64_t n);

/*
 * Returns the sum of a counter over all workers.  loc must not be NULL, and
 * must have its sets.
 */
uint64_t ngx_http_trove_metrics_loc_sum(ngx_http_trove_metrics_loc_t *loc,
    ngx_uint_t counter);

/* Adds n to a counter of the location of r, if it has counters. */
void ngx_http_trove_metrics_add(ngx_http_request_t *r, ngx_uint_t counter,
    uint64_t n);


#endif /* _NGX_HTTP_TROVE_METRICS_H_INCLUDED_ */
