
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


/* a value of "events=" or "namespace=": a name, or the prefix of names */
typedef struct {
    ngx_str_t                  text;           /* without the "*" */
    unsigned                   prefix:1;
} ngx_http_trove_pattern_t;


/*
 * A target: the location that events are sent to, and which events.
 *
 *   configured by "trove_fanout"       lives as long as the configuration
 *   or "trove_subscriptions"
 *
 *   create --> 1 reference --ref, unref, ..--> 0 --> freed, with its limit;
 *                                                     its health and counters
 *                                                     are released
 *
 * Code that keeps a pointer to a target holds a reference.  A request holds
 * one for its deliveries, so that deliveries that are waiting or running end
 * normally.
 */

typedef struct {
    ngx_str_t                  name;
    ngx_str_t                  location;       /* of the directive */
    ngx_http_trove_place_t     place;
    ngx_str_t                  uri;
    ngx_str_t                  args;

    ngx_array_t               *events;         /* ngx_http_trove_pattern_t */
    ngx_array_t               *namespaces;     /* the same; NULL: all */
    ngx_http_complex_value_t  *condition;      /* NULL: always */

    void                     **loc_conf;       /* of the location, once found */
    unsigned                   optional:1;

    /* of "trove_subscriptions": stands for all subscriptions of the location */
    unsigned                   subscribers:1;
    int64_t                    disable_after;  /* milliseconds; 0: never */

    /* private to this folder */
    ngx_uint_t                 refs;           /* 0: configured */
    unsigned                   alias:1;
    ngx_http_trove_limit_t     limit;          /* of this worker */
    ngx_trove_health_t        *health;         /* in shared memory, or own */
    ngx_trove_health_t         own;            /* used if the zone is full */

    /* its counters */
    ngx_http_trove_metrics_target_t  *metrics;
} ngx_http_trove_target_t;


/*
 * Creates a target at run time.  It is like the configured target base, but
 * has its own name, limit, health, and counters.  base must live longer.  The
 * name, of at most 255 bytes, is copied.  Targets with the same base and the
 * same name share their health and counters, in all workers.
 *
 * The caller holds a reference to the target.  Returns NULL if out of memory.
 */
ngx_http_trove_target_t *ngx_http_trove_target_create(
    ngx_http_trove_target_t *base, ngx_str_t *name, ngx_log_t *log);

/*
 * Creates a target at run time for a subscription.  It is like the configured
 * target base, and shares its health and counters, but has its own name, and
 * no limit.  base must live longer.  The name is copied.
 *
 * The caller holds a reference to the target.  Returns NULL if out of memory.
 */
ngx_http_trove_target_t *ngx_http_trove_target_alias(
    ngx_http_trove_target_t *base, ngx_str_t *name, ngx_log_t *log);

/*
 * Add and release a reference to a target.  The last release frees it.  They
 * do nothing for a configured target.
 */
void ngx_http_trove_target_ref(ngx_http_trove_target_t *target);
void ngx_http_trove_target_unref(ngx_http_trove_target_t *target);

/*
 * Adds a reference that is released when the pool is destroyed.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_target_hold(ngx_http_trove_target_t *target,
    ngx_pool_t *pool);

/*
 * Tests an event against the patterns and the condition of a target.  The
 * condition is evaluated with the variables of r.
 *
 * NGX_OK        the event has to be delivered to the target
 * NGX_DECLINED  it does not match
 * NGX_ERROR     out of memory
 */
ngx_int_t ngx_http_trove_target_match(ngx_http_request_t *r,
    ngx_http_trove_target_t *target, ngx_trove_event_t *event);

/*
 * Tests the patterns of a target for an event of the module, without its
 * condition.
 *
 * Returns 1 if they match, 0 otherwise.
 */
ngx_uint_t ngx_http_trove_target_receives(ngx_http_trove_target_t *target,
    ngx_str_t *type, ngx_str_t *namespace);

/* Returns the number of deliveries at once; 0 means no limit. */
ngx_uint_t ngx_http_trove_target_max_inflight(ngx_http_trove_target_t *target);

/* Count a delivery that was skipped, or that failed permanently. */
void ngx_http_trove_target_skipped(ngx_http_trove_target_t *target);
void ngx_http_trove_target_failed(ngx_http_trove_target_t *target);


#endif /* _NGX_HTTP_TROVE_TARGET_H_INCLUDED_ */
