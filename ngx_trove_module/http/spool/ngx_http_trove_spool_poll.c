
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_spool_queue.h"
#include "ngx_http_trove_timer.h"


/* When due deliveries are requested from the spool. */

/* the minimum interval between requests, milliseconds */
#define NGX_HTTP_TROVE_QUEUE_POLL_MIN  5


/*
 * Timer set --poll--> asking --asked--> timer set, earlier if woken.  An
 * exiting worker does not set it.
 */
typedef struct {
    ngx_event_t                timer;
    ngx_msec_t                 asked;          /* the time of the last one */
    unsigned                   asking:1;
    unsigned                   woken:1;        /* during asking */
} ngx_http_trove_poll_t;


static void ngx_http_trove_poll_set(ngx_msec_t delay);


/* of this process */
static ngx_http_trove_poll_t  ngx_http_trove_poll;


void
ngx_http_trove_queue_poll_init(ngx_cycle_t *cycle, ngx_event_handler_pt poll)
{
    ngx_memzero(&ngx_http_trove_poll, sizeof(ngx_http_trove_poll_t));

    ngx_http_trove_timer_init(&ngx_http_trove_poll.timer, poll, cycle->log, 1);
}


ngx_int_t
ngx_http_trove_queue_ask(void)
{
    ngx_http_trove_poll_t  *poll;

    poll = &ngx_http_trove_poll;

    if (poll->asking) {
        return NGX_BUSY;
    }

    poll->asked = ngx_current_msec;
    poll->asking = 1;
    poll->woken = 0;

    return NGX_OK;
}


ngx_uint_t
ngx_http_trove_queue_asked(void)
{
    ngx_http_trove_poll.asking = 0;

    return ngx_http_trove_poll.woken;
}


void
ngx_http_trove_queue_poll(ngx_msec_t delay)
{
    ngx_msec_int_t  left;

    left = (ngx_msec_int_t) (ngx_http_trove_poll.asked - ngx_current_msec
                             + NGX_HTTP_TROVE_QUEUE_POLL_MIN);

    ngx_http_trove_poll_set((ngx_msec_t) ngx_max((ngx_msec_int_t) delay, left));
}


/* ngx_add_timer() does not change a timer by less than 300 ms */

static void
ngx_http_trove_poll_set(ngx_msec_t delay)
{
    ngx_event_t  *timer;

    timer = &ngx_http_trove_poll.timer;

    if (timer->timer_set) {

        if ((ngx_msec_int_t) (timer->timer.key - ngx_current_msec)
            <= (ngx_msec_int_t) delay)
        {
            return;
        }

        ngx_del_timer(timer);
    }

    ngx_add_timer(timer, delay);
}


void
ngx_http_trove_queue_wake(void)
{
    ngx_http_trove_poll_t  *poll;

    poll = &ngx_http_trove_poll;

    if (ngx_exiting) {
        return;
    }

    if (poll->asking) {
        poll->woken = 1;
        return;
    }

    ngx_http_trove_queue_poll(0);
}


void
ngx_http_trove_queue_due(ngx_msec_t delay)
{
    ngx_http_trove_poll_t  *poll;

    poll = &ngx_http_trove_poll;

    if (!poll->asking && poll->timer.timer_set) {
        ngx_http_trove_poll_set(delay + 1);
    }
}
