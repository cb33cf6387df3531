
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_LIMIT_H_INCLUDED_
#define _NGX_HTTP_TROVE_LIMIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The deliveries to one target in this worker: so many at once, the others wait
 * in order.  The limits are configuration; what is under way is the worker's.
 *
 *   waiter  OUT --enter--> IN ----------------------------leave--> OUT
 *                 |                                           ^
 *                 +------> WAITING --its turn--> CALLED --event--> IN
 *                             |                     |
 *                             +-- max_wait ---------+-- leave ---> OUT
 */

typedef struct ngx_http_trove_waiter_s  ngx_http_trove_waiter_t;

/* private to the functions below */
typedef struct {
    ngx_uint_t                max_inflight;
    ngx_uint_t                max_queue;
    ngx_msec_t                max_wait;

    ngx_uint_t                inflight;        /* IN and CALLED */
    ngx_uint_t                waiting;
    ngx_queue_t               queue;           /* waiters that are WAITING */
} ngx_http_trove_limit_t;


/* gets the turn, or does not because max_wait has passed */
typedef void (*ngx_http_trove_waiter_pt)(ngx_http_trove_waiter_t *waiter,
    ngx_uint_t timedout);


struct ngx_http_trove_waiter_s {
    enum {
        NGX_HTTP_TROVE_WAITER_OUT = 0,
        NGX_HTTP_TROVE_WAITER_WAITING,
        NGX_HTTP_TROVE_WAITER_CALLED,
        NGX_HTTP_TROVE_WAITER_IN
    } state;

    ngx_http_trove_limit_t   *limit;
    ngx_http_trove_waiter_pt  handler;
    ngx_queue_t               queue;
    ngx_event_t               event;
};


/*
 * Sets a limit, which nobody has entered: max_inflight at once, 0 = any number;
 * beyond these max_queue wait, each for max_wait milliseconds at most.
 */
void ngx_http_trove_limit_init(ngx_http_trove_limit_t *limit,
    ngx_uint_t max_inflight, ngx_uint_t max_queue, ngx_msec_t max_wait);

/* Sets a limit as another one is, but nobody has entered it. */
void ngx_http_trove_limit_copy(ngx_http_trove_limit_t *limit,
    ngx_http_trove_limit_t *from);

/* The max_inflight of a limit. */
ngx_uint_t ngx_http_trove_limit_max(ngx_http_trove_limit_t *limit);

/*
 * Enters a limit.  The waiter has been zeroed; the caller keeps it until it has
 * left.  connection is what debug lines of its timer are about.
 *
 * NGX_OK        at once
 * NGX_AGAIN     handler is called later, from an event
 * NGX_DECLINED  the queue is full
 */
ngx_int_t ngx_http_trove_limit_enter(ngx_http_trove_limit_t *limit,
    ngx_http_trove_waiter_t *waiter, ngx_http_trove_waiter_pt handler,
    ngx_connection_t *connection);

/* Leaves the limit, in whatever state, and calls the next. */
void ngx_http_trove_limit_leave(ngx_http_trove_waiter_t *waiter);


#endif /* _NGX_HTTP_TROVE_LIMIT_H_INCLUDED_ */
