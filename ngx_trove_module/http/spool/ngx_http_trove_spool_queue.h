
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SPOOL_QUEUE_H_INCLUDED_
#define _NGX_HTTP_TROVE_SPOOL_QUEUE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_trove_spool_confirm.h"
#include "ngx_http_trove_spool_route.h"


/*
 * The capacity of this worker for deliveries to each target, and the
 * deliveries that wait for it in memory.
 *
 * A subscription has capacity of its own, and exists in the queue as long as
 * it has deliveries in memory.  All subscriptions together can use a part of
 * the connections.  Those whose last attempt failed can use only a half of it:
 * subscribers that do not respond do not delay the others.
 *
 *   reserve, add --> held --enter--> running --leave--> held --unreserve-->
 *                      |                ^
 *                      +--no capacity,  |
 *                      |  or stale   capacity, and current
 *                      |                |
 *                      +------------> ready
 *                                       |
 *                 cancelled, paused, or +--> released
 *                    the worker exits
 *
 * A delivery is stale if the generation of the spool has changed since it was
 * leased.  It does not begin before the spool has confirmed it.
 *
 * The argument retry is 1 for a retry, and 0 for a first attempt.  Retries can
 * use only a part of the capacity, and alternate with first attempts.
 */


/* time in milliseconds after which other workers may take over a delivery */
#define NGX_HTTP_TROVE_QUEUE_LEASE  30000


/* a target, or a subscription, in the queue */
typedef struct ngx_http_trove_queue_target_s  ngx_http_trove_queue_target_t;

typedef struct ngx_http_trove_ready_s  ngx_http_trove_ready_t;

/*
 * A delivery that is ready.  The handler is called from an event of its own.
 * With release == 0, the delivery is running and has to leave later.
 * Otherwise the worker is exiting, or the delivery must not begin: it has to be
 * released to the spool.  The caller owns the structure, and sets confirm.ref
 * and handler.
 */
struct ngx_http_trove_ready_s {
    ngx_http_trove_confirm_t  confirm;
    ngx_queue_t               queue;
    ngx_http_trove_queue_target_t  *target;    /* set by the queue */
    void                    (*handler)(ngx_http_trove_ready_t *ready,
                                 ngx_uint_t release);
};


/*
 * Initializes the queue of a worker for an array of ngx_http_trove_route_t *.
 * poll is the handler of a timer that is not bound to a connection.  It has to
 * request due deliveries from the spool.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_queue_init(ngx_cycle_t *cycle, ngx_array_t *routes,
    ngx_event_handler_pt poll);

/* Returns a target of a route, which exists as long as the worker. */
ngx_http_trove_queue_target_t *ngx_http_trove_queue_target(
    ngx_http_trove_route_t *route, ngx_uint_t index);

/*
 * Returns a subscription of the target t, which is created if necessary.  It
 * exists until its last delivery in memory has ended: the caller must reserve
 * capacity at once.  failing is 1 if its last attempt failed, 0 otherwise.
 *
 * NULL  out of memory
 */
ngx_http_trove_queue_target_t *ngx_http_trove_queue_subscription(
    ngx_http_trove_queue_target_t *t, ngx_str_t *id, ngx_uint_t failing);

/*
 * Reserves capacity for the first attempt of an event, which will be started
 * as soon as the event is in the spool.  bytes is the size of the event.
 *
 * Returns 1 if capacity has been reserved, 0 otherwise.
 */
ngx_uint_t ngx_http_trove_queue_reserve(ngx_http_trove_queue_target_t *t,
    size_t bytes);

/* Reserves capacity reported by ngx_http_trove_queue_capacity(). */
void ngx_http_trove_queue_add(ngx_http_trove_queue_target_t *t,
    ngx_uint_t retry);

/* Frees reserved capacity.  A subscription may not exist any more then. */
void ngx_http_trove_queue_unreserve(ngx_http_trove_queue_target_t *t,
    ngx_uint_t retry);

/*
 * Starts a delivery with reserved capacity, or makes it ready.
 *
 * Returns 1 if the delivery is running, 0 if the handler will be called later.
 */
ngx_uint_t ngx_http_trove_queue_enter(ngx_http_trove_queue_target_t *t,
    ngx_uint_t retry, ngx_http_trove_ready_t *ready);

/* Must be called when a running delivery has ended. */
void ngx_http_trove_queue_leave(ngx_http_trove_queue_target_t *t);

/* Removes a ready delivery, which will not be started. */
void ngx_http_trove_queue_remove(ngx_http_trove_ready_t *ready);

/* Releases all ready deliveries of an exiting worker. */
void ngx_http_trove_queue_release(void);

/*
 * Counts bytes of events in memory; the number is negative when they are
 * freed.
 */
void ngx_http_trove_queue_memory(ssize_t bytes);


/*
 * Returns the number of deliveries to a target that may be requested while it
 * has none, and sets *retries to the number of retries among them.
 */
ngx_uint_t ngx_http_trove_queue_capacity(ngx_http_trove_queue_target_t *t,
    ngx_uint_t *retries);

/*
 * Returns the limits of the targets that have deliveries in memory, and sets *n
 * to their number.  want is route->first plus the index of the target.  They
 * must be freed by ngx_free().
 *
 * NULL  nothing may be requested: events use too much memory, or out of memory
 */
ngx_trove_spool_limit_t *ngx_http_trove_queue_limits(ngx_uint_t *n);

/*
 * Must be called when the spool has more deliveries to a target than it had
 * capacity for, while capacity is reserved.
 *
 * Returns 1 if they have to be requested at once.  If it returns 0, they are
 * requested when there is capacity.
 */
ngx_uint_t ngx_http_trove_queue_more(ngx_http_trove_queue_target_t *t);


/* ngx_http_trove_spool_poll.c */

/* Initializes the timer; called by ngx_http_trove_queue_init(). */
void ngx_http_trove_queue_poll_init(ngx_cycle_t *cycle,
    ngx_event_handler_pt poll);

/*
 * Marks a request to the spool as in progress.  Until it ends,
 * ngx_http_trove_queue_wake() and ngx_http_trove_queue_due() do not set the
 * timer.
 *
 * NGX_OK
 * NGX_BUSY  a request is already in progress
 */
ngx_int_t ngx_http_trove_queue_ask(void);

/*
 * Marks the request to the spool as completed.
 *
 * Returns 1 if ngx_http_trove_queue_wake() has been called since it started, 0
 * otherwise.
 */
ngx_uint_t ngx_http_trove_queue_asked(void);

/*
 * Sets the timer that calls poll to delay milliseconds, but to at least a few
 * after the last request, unless it is set to an earlier time.
 */
void ngx_http_trove_queue_poll(ngx_msec_t delay);

/*
 * Must be called when a delivery in the file is due now, or will be due in
 * delay milliseconds.
 */
void ngx_http_trove_queue_wake(void);
void ngx_http_trove_queue_due(ngx_msec_t delay);


#endif /* _NGX_HTTP_TROVE_SPOOL_QUEUE_H_INCLUDED_ */
