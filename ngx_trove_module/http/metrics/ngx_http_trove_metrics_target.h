
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
 * Counters of a target, in its own set.  A counter must keep its meaning
 * because old and new workers share the memory.
 */

typedef enum {
    NGX_HTTP_TROVE_OUTCOME_DELIVERED = 0,      /* 2xx, complete */
    NGX_HTTP_TROVE_OUTCOME_3XX,
    NGX_HTTP_TROVE_OUTCOME_4XX,
    NGX_HTTP_TROVE_OUTCOME_5XX,
    NGX_HTTP_TROVE_OUTCOME_TIMEOUT,            /* 504 */
    NGX_HTTP_TROVE_OUTCOME_NO_RESPONSE,        /* 502 from NGINX */
    NGX_HTTP_TROVE_OUTCOME_SKIPPED,            /* already delivered */
    NGX_HTTP_TROVE_OUTCOME_TRUNCATED,          /* from here on: d->error */
    NGX_HTTP_TROVE_OUTCOME_MAX_QUEUE,
    NGX_HTTP_TROVE_OUTCOME_MAX_WAIT,
    NGX_HTTP_TROVE_OUTCOME_NO_MEMORY,
    NGX_HTTP_TROVE_OUTCOME_ABORTED,            /* and any other error */
    NGX_HTTP_TROVE_OUTCOMES
} ngx_http_trove_outcome_e;


#define NGX_HTTP_TROVE_TARGET_SECONDS  10      /* buckets */

typedef enum {
    NGX_HTTP_TROVE_TARGET_METRIC_OUTCOME = 0,  /* + an outcome */
    NGX_HTTP_TROVE_TARGET_METRIC_SECONDS = 12, /* + a bucket */
    NGX_HTTP_TROVE_TARGET_METRIC_SUM = 22,     /* of milliseconds */
    NGX_HTTP_TROVE_TARGET_METRIC_FAILED        /* permanently, from spool */
} ngx_http_trove_target_metric_e;


typedef enum {
    NGX_HTTP_TROVE_TARGET_INFLIGHT = 0,
    NGX_HTTP_TROVE_TARGET_WAITING,
    NGX_HTTP_TROVE_TARGET_GAUGES,
    NGX_HTTP_TROVE_TARGET_NO_GAUGE
} ngx_http_trove_target_gauge_e;


/* a target with counters */
typedef struct {
    ngx_str_t                 labels;    /* escaped; the name of the set */
    ngx_str_t                 name;      /* its label, not escaped */
    size_t                    prefix;    /* bytes of the location's labels */

    /* both NULL: the zone has no space for them */
    ngx_trove_metrics_set_t  *set;
    ngx_trove_gauges_t       *gauges;
    ngx_uint_t                gauge;     /* index of its first gauge */

    /* the zone that the set is in */
    ngx_trove_metrics_t      *table;
    ngx_slab_pool_t          *shpool;

    unsigned                  repeated:1;    /* labels of an earlier one */
} ngx_http_trove_metrics_target_t;


/*
 * Sets the labels of a target to those of its location and its name, which
 * must be set.  The string is allocated from the pool.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_metrics_target_labels(
    ngx_http_trove_metrics_target_t *target, ngx_str_t *labels,
    ngx_pool_t *pool);

/*
 * Finds the set and the gauges of a target in the shared memory.  A full table
 * is logged, and the target is not counted.  seen has a byte for each set of
 * the table: it is not zero if an earlier location or target uses the set.
 */
void ngx_http_trove_metrics_target_find(ngx_http_trove_metrics_target_t *target,
    ngx_trove_metrics_t *table, ngx_trove_gauges_t *gauges,
    ngx_slab_pool_t *shpool, u_char *seen, ngx_log_t *log);

/*
 * Creates the counters of a target that exists for a limited time.  They are
 * like those of a configured target except for the name, which is copied.  If
 * the table is full, the target is not counted.  The set is freed when no
 * worker uses it.  Its counters are not shown in the metrics.  The caller has
 * to free the structure by ngx_http_trove_metrics_target_destroy().
 *
 * NULL  out of memory
 */
ngx_http_trove_metrics_target_t *ngx_http_trove_metrics_target_create(
    ngx_http_trove_metrics_target_t *like, ngx_str_t *name, ngx_log_t *log);
void ngx_http_trove_metrics_target_destroy(
    ngx_http_trove_metrics_target_t *target);

/*
 * Events of deliveries.  target may be NULL.
 *
 * move  a delivery moved from one gauge to another one, or to none
 * took  a delivery was in flight for that many milliseconds
 * done  a delivery has ended with a status, and an error unless it is NULL;
 *       no_response: the target has not responded, NGINX set the status
 * skip  no delivery was needed: an earlier attempt has delivered the event
 * fail  a delivery from the spool has failed permanently
 */
void ngx_http_trove_metrics_target_move(ngx_http_trove_metrics_target_t *target,
    ngx_uint_t from, ngx_uint_t to);
void ngx_http_trove_metrics_target_took(ngx_http_trove_metrics_target_t *target,
    ngx_msec_t ms);
void ngx_http_trove_metrics_target_done(ngx_http_trove_metrics_target_t *target,
    ngx_uint_t status, const char *error, ngx_uint_t no_response);
void ngx_http_trove_metrics_target_skip(
    ngx_http_trove_metrics_target_t *target);
void ngx_http_trove_metrics_target_fail(
    ngx_http_trove_metrics_target_t *target);

/*
 * Return the name of an outcome, and the upper bound of a bucket, as values of
 * labels.  The strings are static.
 */
const char *ngx_http_trove_metrics_target_outcome(ngx_uint_t outcome);
const char *ngx_http_trove_metrics_target_seconds(ngx_uint_t part);


#endif /* _NGX_HTTP_TROVE_METRICS_TARGET_H_INCLUDED_ */
