
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_TARGET_H_INCLUDED_
#define _NGX_HTTP_TROVE_TARGET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_conf.h"
#include "ngx_http_trove_limit.h"
#include "ngx_http_trove_metrics_target.h"
#include "ngx_trove_event.h"
#include "ngx_trove_health.h"


/* of "events=" and "namespace=": a name, or what names begin with */
typedef struct {
    ngx_str_t                  text;           /* without the "*" */
    unsigned                   prefix:1;
} ngx_http_trove_pattern_t;


/*
 * A target: where an event goes to, and which.
 *
 *   configured, by a "trove_fanout"     lives as long as the configuration
 *
 *   create --> 1 reference --ref, unref, ..--> 0 --> freed, with its limit;
 *                                                    its health and counters
 *                                                    are given back
 *
 * Whoever keeps a pointer to a target holds a reference.  A request does, for
 * its deliveries, so that those that wait or are under way end as they would
 * have.
 */

typedef struct {
    ngx_str_t                  name;
    ngx_str_t                  location;       /* that the directive is in */
    ngx_http_trove_place_t     place;
    ngx_str_t                  uri;
    ngx_str_t                  args;

    ngx_array_t               *events;         /* ngx_http_trove_pattern_t */
    ngx_array_t               *namespaces;     /* the same; NULL: all */
    ngx_http_complex_value_t  *condition;      /* NULL: always */

    void                     **loc_conf;       /* of the location, once known */
    unsigned                   optional:1;

    /* private, but to this folder */
    ngx_uint_t                 refs;           /* 0: it is configured */
    ngx_http_trove_limit_t     limit;          /* of this worker */
    ngx_trove_health_t        *health;         /* in shared memory, or own: */
    ngx_trove_health_t         own;            /* there was no room */

    /* what it is counted in */
    ngx_http_trove_metrics_target_t  *metrics;
} ngx_http_trove_target_t;


/*
 * Makes a target at run time: as one that is configured, but with a name, a
 * limit, a health, and counters of its own.  base lives longer.  The name, at
 * most 255 bytes, is copied; targets of one base that have the same name share
 * health and counters, also those of other workers.
 *
 * The caller has a reference to it.  NULL: out of memory.
 */
ngx_http_trove_target_t *ngx_http_trove_target_create(
    ngx_http_trove_target_t *base, ngx_str_t *name, ngx_log_t *log);

/*
 * One reference more, or one less: the last one frees the target.  Nothing is
 * done to a target that is configured.
 */
void ngx_http_trove_target_ref(ngx_http_trove_target_t *target);
void ngx_http_trove_target_unref(ngx_http_trove_target_t *target);

/*
 * A reference for as long as a pool lives.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_target_hold(ngx_http_trove_target_t *target,
    ngx_pool_t *pool);

/*
 * Whether an event goes to a target, by the variables of r.
 *
 * NGX_OK        it does
 * NGX_DECLINED  it does not
 * NGX_ERROR     out of memory
 */
ngx_int_t ngx_http_trove_target_match(ngx_http_request_t *r,
    ngx_http_trove_target_t *target, ngx_trove_event_t *event);

/* The number of deliveries at once that a target allows; 0: any number. */
ngx_uint_t ngx_http_trove_target_max_inflight(ngx_http_trove_target_t *target);

/* Counts a delivery to a target, skipped or failed for good. */
void ngx_http_trove_target_skipped(ngx_http_trove_target_t *target);
void ngx_http_trove_target_failed(ngx_http_trove_target_t *target);


#endif /* _NGX_HTTP_TROVE_TARGET_H_INCLUDED_ */
