
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_LIMIT_H_INCLUDED_
#define _NGX_HTTP_TROVE_LIMIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The concurrency limit of one target in this worker.  Up to max_inflight
 * deliveries run at once; the others wait in order of arrival.  The limits
 * come from the configuration; the numbers of deliveries are those of the
 * worker.
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


/* called in turn, or with timedout set when max_wait has passed */
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
 * Initializes a limit that has no waiters.  max_inflight is the number of
 * deliveries at once; 0 means no limit.  Up to max_queue more wait, each for
 * at most max_wait milliseconds.  The caller owns the memory.
 */
void ngx_http_trove_limit_init(ngx_http_trove_limit_t *limit,
    ngx_uint_t max_inflight, ngx_uint_t max_queue, ngx_msec_t max_wait);

/* Initializes a limit with the parameters of another one and no waiters. */
void ngx_http_trove_limit_copy(ngx_http_trove_limit_t *limit,
    ngx_http_trove_limit_t *from);

/* Returns the max_inflight of a limit; 0 means no limit. */
ngx_uint_t ngx_http_trove_limit_max(ngx_http_trove_limit_t *limit);

/*
 * Enters a limit.  The waiter must be zeroed.  The caller owns it and must
 * keep it until it has left the limit.  The connection is used for debug lines
 * of the timer.
 *
 * NGX_OK        entered
 * NGX_AGAIN     the handler will be called later, from an event
 * NGX_DECLINED  the queue is full
 */
ngx_int_t ngx_http_trove_limit_enter(ngx_http_trove_limit_t *limit,
    ngx_http_trove_waiter_t *waiter, ngx_http_trove_waiter_pt handler,
    ngx_connection_t *connection);

/* Leaves the limit in any state, and calls the next waiter. */
void ngx_http_trove_limit_leave(ngx_http_trove_waiter_t *waiter);


#endif /* _NGX_HTTP_TROVE_LIMIT_H_INCLUDED_ */
