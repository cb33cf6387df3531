
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SPOOL_QUEUE_H_INCLUDED_
#define _NGX_HTTP_TROVE_SPOOL_QUEUE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_trove_spool_route.h"


/*
 * The capacity of this worker for deliveries to each target, and the deliveries
 * that wait for it in memory.  A target is number index of a route.
 *
 *   reserve, add --> held --enter--> running --leave--> held --unreserve-->
 *                      |                ^
 *                      +--no capacity   |
 *                            |       capacity
 *                            v          |
 *                          ready -------+
 *                            |
 *                            +--the worker exits--> released
 *
 * Retries say so (0 or 1): they have only a part of the capacity, and take
 * turns with first attempts.
 */


/* how long a delivery is ours before others take it over, milliseconds */
#define NGX_HTTP_TROVE_QUEUE_LEASE  30000


typedef struct ngx_http_trove_ready_s  ngx_http_trove_ready_t;

/*
 * A delivery that is ready.  The handler is called from an event of its own:
 * with release == 0, the delivery runs, and has to leave in the end; otherwise
 * the worker exits, and the delivery is to be left to others.
 */
struct ngx_http_trove_ready_s {
    ngx_queue_t    queue;
    void         (*handler)(ngx_http_trove_ready_t *ready, ngx_uint_t release);
};


/*
 * Makes the queue of a worker for an array of ngx_http_trove_route_t *.  poll
 * is the handler of an event that is not of a connection: it is to ask the
 * spool for deliveries that are due.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_queue_init(ngx_cycle_t *cycle, ngx_array_t *routes,
    ngx_event_handler_pt poll);

/*
 * Reserves capacity for a first attempt of an event of so many bytes, which is
 * started as soon as it is in the spool.
 *
 * Whether there is capacity.
 */
ngx_uint_t ngx_http_trove_queue_reserve(ngx_http_trove_route_t *route,
    ngx_uint_t index, size_t bytes);

/* Reserves capacity that ngx_http_trove_queue_capacity() has found. */
void ngx_http_trove_queue_add(ngx_http_trove_route_t *route, ngx_uint_t index,
    ngx_uint_t retry);

/* Gives reserved capacity back. */
void ngx_http_trove_queue_unreserve(ngx_http_trove_route_t *route,
    ngx_uint_t index, ngx_uint_t retry);

/*
 * Lets a delivery begin, whose capacity is reserved, or makes it ready.
 *
 * Whether it runs now.
 */
ngx_uint_t ngx_http_trove_queue_enter(ngx_http_trove_route_t *route,
    ngx_uint_t index, ngx_uint_t retry, ngx_http_trove_ready_t *ready);

/* A delivery that ran has ended. */
void ngx_http_trove_queue_leave(ngx_http_trove_route_t *route,
    ngx_uint_t index);

/* A delivery that is ready is not to begin any more. */
void ngx_http_trove_queue_remove(ngx_http_trove_ready_t *ready);

/* Releases all deliveries that are ready, in a worker that exits. */
void ngx_http_trove_queue_release(void);

/* Counts bytes of events in memory: negative when they are freed. */
void ngx_http_trove_queue_memory(ssize_t bytes);


/*
 * The deliveries of a target that may be asked for, of which so many may be
 * retries; none while the target has no capacity, or all events together take
 * too much memory.
 */
ngx_uint_t ngx_http_trove_queue_capacity(ngx_http_trove_route_t *route,
    ngx_uint_t index, ngx_uint_t *retries);

/*
 * There are more deliveries of a target in the spool than it had capacity for.
 *
 * Whether to ask again at once: otherwise it is asked when there is capacity.
 */
ngx_uint_t ngx_http_trove_queue_more(ngx_http_trove_route_t *route,
    ngx_uint_t index);

/*
 * The spool is being asked: wake and due do not set the timer.
 *
 * NGX_OK
 * NGX_BUSY  it is being asked already
 */
ngx_int_t ngx_http_trove_queue_ask(void);

/*
 * The spool has answered.
 *
 * Whether wake was called meanwhile.
 */
ngx_uint_t ngx_http_trove_queue_asked(void);

/* Calls poll in delay milliseconds, or in a few if that is less. */
void ngx_http_trove_queue_poll(ngx_msec_t delay);

/* There is something due in the file, or will be in delay milliseconds. */
void ngx_http_trove_queue_wake(void);
void ngx_http_trove_queue_due(ngx_msec_t delay);


#endif /* _NGX_HTTP_TROVE_SPOOL_QUEUE_H_INCLUDED_ */
