
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_METRICS_TARGET_H_INCLUDED_
#define _NGX_HTTP_TROVE_METRICS_TARGET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_trove_gauges.h"
#include "ngx_trove_metrics.h"


/*
 * What is counted for a target, in a set of its own.  A counter keeps its
 * meaning while old and new workers share the memory.
 */

typedef enum {
    NGX_HTTP_TROVE_OUTCOME_DELIVERED = 0,      /* 2xx, to its end */
    NGX_HTTP_TROVE_OUTCOME_3XX,
    NGX_HTTP_TROVE_OUTCOME_4XX,
    NGX_HTTP_TROVE_OUTCOME_5XX,
    NGX_HTTP_TROVE_OUTCOME_TIMEOUT,            /* 504 */
    NGX_HTTP_TROVE_OUTCOME_NO_ANSWER,          /* 502 that NGINX has made */
    NGX_HTTP_TROVE_OUTCOME_SKIPPED,            /* had it before */
    NGX_HTTP_TROVE_OUTCOME_TRUNCATED,          /* from here: as the error of */
    NGX_HTTP_TROVE_OUTCOME_MAX_QUEUE,          /*   a delivery is called */
    NGX_HTTP_TROVE_OUTCOME_MAX_WAIT,
    NGX_HTTP_TROVE_OUTCOME_NO_MEMORY,
    NGX_HTTP_TROVE_OUTCOME_ABORTED,            /* and any other */
    NGX_HTTP_TROVE_OUTCOMES
} ngx_http_trove_outcome_e;


#define NGX_HTTP_TROVE_TARGET_SECONDS  10      /* parts of the histogram */

typedef enum {
    NGX_HTTP_TROVE_TARGET_METRIC_OUTCOME = 0,  /* + an outcome */
    NGX_HTTP_TROVE_TARGET_METRIC_SECONDS = 12, /* + a part */
    NGX_HTTP_TROVE_TARGET_METRIC_SUM = 22,     /* of milliseconds */
    NGX_HTTP_TROVE_TARGET_METRIC_FAILED        /* for good, out of a spool */
} ngx_http_trove_target_metric_e;


typedef enum {
    NGX_HTTP_TROVE_TARGET_INFLIGHT = 0,
    NGX_HTTP_TROVE_TARGET_WAITING,
    NGX_HTTP_TROVE_TARGET_GAUGES,
    NGX_HTTP_TROVE_TARGET_NO_GAUGE
} ngx_http_trove_target_gauge_e;


/* a target whose deliveries are counted */
typedef struct {
    ngx_str_t                 labels;    /* as they are shown; its name */
    ngx_str_t                 name;      /* the last of them, not escaped */
    size_t                    prefix;    /* bytes of labels: the location's */

    /* both NULL: no room for it */
    ngx_trove_metrics_set_t  *set;
    ngx_trove_gauges_t       *gauges;
    ngx_uint_t                gauge;     /* the first of its own */

    /* where the set is */
    ngx_trove_metrics_t      *table;
    ngx_slab_pool_t          *shpool;

    unsigned                  repeated:1;    /* one before has its labels */
} ngx_http_trove_metrics_target_t;


/*
 * Sets the labels of a target, whose name is set, to those of its location and
 * its name.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_metrics_target_labels(
    ngx_http_trove_metrics_target_t *target, ngx_str_t *labels,
    ngx_pool_t *pool);

/*
 * Finds the memory of a target.  seen has a byte for each set of the table,
 * which says whether it is one of a target or location before.
 */
void ngx_http_trove_metrics_target_find(ngx_http_trove_metrics_target_t *target,
    ngx_trove_metrics_t *table, ngx_trove_gauges_t *gauges,
    ngx_slab_pool_t *shpool, u_char *seen, ngx_log_t *log);

/*
 * Makes what a target is counted in that exists for a time only: as that of a
 * configured one, but for its name.  If there is no room for its counters, it
 * is not counted.  The counters are dropped when no worker needs them any more.
 * They are in none of the metrics that are shown.
 *
 * NULL  out of memory
 */
ngx_http_trove_metrics_target_t *ngx_http_trove_metrics_target_create(
    ngx_http_trove_metrics_target_t *like, ngx_str_t *name, ngx_log_t *log);
void ngx_http_trove_metrics_target_destroy(
    ngx_http_trove_metrics_target_t *target);

/*
 * What deliveries tell; target may be NULL.
 *
 * move  a delivery was in one gauge, and is in another, or in none, now
 * took  a delivery that was in flight has been there for so long
 * over  a delivery has ended: with a status, and an error unless it is NULL;
 *       no_response: NGINX has made the status itself, the target gave none
 * skip  there was none, as the target has the event from an earlier attempt
 * fail  one out of the spool has failed for good
 */
void ngx_http_trove_metrics_target_move(ngx_http_trove_metrics_target_t *target,
    ngx_uint_t from, ngx_uint_t to);
void ngx_http_trove_metrics_target_took(ngx_http_trove_metrics_target_t *target,
    ngx_msec_t ms);
void ngx_http_trove_metrics_target_over(ngx_http_trove_metrics_target_t *target,
    ngx_uint_t status, const char *error, ngx_uint_t no_response);
void ngx_http_trove_metrics_target_skip(
    ngx_http_trove_metrics_target_t *target);
void ngx_http_trove_metrics_target_fail(
    ngx_http_trove_metrics_target_t *target);

/* The name of an outcome, and where a part of the histogram ends, as labels. */
const char *ngx_http_trove_metrics_target_outcome(ngx_uint_t outcome);
const char *ngx_http_trove_metrics_target_seconds(ngx_uint_t part);


#endif /* _NGX_HTTP_TROVE_METRICS_TARGET_H_INCLUDED_ */
