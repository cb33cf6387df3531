
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include "tap.h"

#include "ngx_http_trove_spool_poll.c"


/*
 * The timer that requests due deliveries.  ngx_add_timer() leaves a timer as it
 * is if that would change by less than 300 ms.
 */


static void poll_handler(ngx_event_t *ev);
static void set(ngx_msec_t now, ngx_msec_t delay);
static long left(void);


ngx_pid_t            ngx_pid;
ngx_uint_t           ngx_exiting;
ngx_rbtree_t         ngx_event_timer_rbtree;
volatile ngx_msec_t  ngx_current_msec;

static ngx_event_t  *timer;


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
}


void
ngx_rbtree_insert(ngx_rbtree_t *tree, ngx_rbtree_node_t *node)
{
}


void
ngx_rbtree_delete(ngx_rbtree_t *tree, ngx_rbtree_node_t *node)
{
}


void
ngx_http_trove_timer_init(ngx_event_t *ev, ngx_event_handler_pt handler,
    ngx_log_t *log, ngx_uint_t cancelable)
{
    static ngx_log_t         quiet;
    static ngx_connection_t  connection;

    ev->handler = handler;
    ev->log = &quiet;
    ev->data = &connection;

    timer = ev;
}


static void
poll_handler(ngx_event_t *ev)
{
}


/* as after a request that has found nothing */

static void
set(ngx_msec_t now, ngx_msec_t delay)
{
    ngx_current_msec = now;
    timer->timer_set = 0;

    (void) ngx_http_trove_queue_ask();
    (void) ngx_http_trove_queue_asked();
    ngx_http_trove_queue_poll(delay);
}


static long
left(void)
{
    return timer->timer_set ? (long) (timer->timer.key - ngx_current_msec) : -1;
}


int
main(void)
{
    ngx_cycle_t  cycle;

    memset(&cycle, 0, sizeof(ngx_cycle_t));

    ngx_http_trove_queue_poll_init(&cycle, poll_handler);

    set(1000, 1000);
    tap_is(left(), 1000, "the timer is set");

    ngx_current_msec = 1001;
    ngx_http_trove_queue_wake();
    tap_is(left(), NGX_HTTP_TROVE_QUEUE_POLL_MIN - 1,
           "a delivery is due now, just after a request");

    ngx_current_msec = 1003;
    ngx_http_trove_queue_wake();
    tap_is(left(), NGX_HTTP_TROVE_QUEUE_POLL_MIN - 3,
           "another one does not postpone it");

    set(1000, 1000);
    ngx_current_msec = 1100;
    ngx_http_trove_queue_wake();
    tap_is(left(), 0, "a delivery is due now");

    set(1000, 1000);
    ngx_current_msec = 1750;
    ngx_http_trove_queue_wake();
    tap_is(left(), 0, "a delivery is due now, shortly before the timer");

    set(1000, 1000);
    ngx_current_msec = 1750;
    ngx_http_trove_queue_due(100);
    tap_is(left(), 101, "a delivery is due in 100 ms");

    ngx_http_trove_queue_due(200);
    tap_is(left(), 101, "a later one does not postpone it");

    ngx_http_trove_queue_due(50);
    tap_is(left(), 51, "but an earlier one is earlier");

    ngx_http_trove_queue_poll(1000);
    tap_is(left(), 51, "nor does a request that has found nothing");

    set((ngx_msec_t) -20, 1000);
    ngx_http_trove_queue_due(50);
    tap_is(left(), 51, "the time overflows");

    set((ngx_msec_t) -20, 50);
    ngx_current_msec = 10;
    ngx_http_trove_queue_wake();
    tap_is(left(), 0, "and has overflowed");

    set((ngx_msec_t) -3, 1000);
    ngx_http_trove_queue_wake();
    tap_is(left(), NGX_HTTP_TROVE_QUEUE_POLL_MIN, "it overflows before");

    tap_is(ngx_http_trove_queue_ask(), NGX_OK, "a request");
    tap_is(ngx_http_trove_queue_ask(), NGX_BUSY, "one at a time");

    timer->timer_set = 0;
    ngx_http_trove_queue_wake();
    tap_is(left(), -1, "the timer is not set meanwhile");
    tap_is(ngx_http_trove_queue_asked(), 1, "but it has been woken");

    ngx_exiting = 1;
    ngx_http_trove_queue_wake();
    tap_is(left(), -1, "an exiting worker requests nothing");

    return tap_done();
}
