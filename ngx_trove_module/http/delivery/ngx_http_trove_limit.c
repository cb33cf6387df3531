
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_trove_limit.h"


static void ngx_http_trove_limit_call(ngx_http_trove_limit_t *limit);
static void ngx_http_trove_limit_event(ngx_event_t *ev);


void
ngx_http_trove_limit_init(ngx_http_trove_limit_t *limit,
    ngx_uint_t max_inflight, ngx_uint_t max_queue, ngx_msec_t max_wait)
{
    limit->max_inflight = max_inflight;
    limit->max_queue = max_queue;
    limit->max_wait = max_wait;

    limit->inflight = 0;
    limit->waiting = 0;
    ngx_queue_init(&limit->queue);
}


void
ngx_http_trove_limit_copy(ngx_http_trove_limit_t *limit,
    ngx_http_trove_limit_t *from)
{
    ngx_http_trove_limit_init(limit, from->max_inflight, from->max_queue,
                              from->max_wait);
}


ngx_uint_t
ngx_http_trove_limit_max(ngx_http_trove_limit_t *limit)
{
    return limit->max_inflight;
}


ngx_int_t
ngx_http_trove_limit_enter(ngx_http_trove_limit_t *limit,
    ngx_http_trove_waiter_t *waiter, ngx_http_trove_waiter_pt handler,
    ngx_connection_t *connection)
{
    if (limit->max_inflight == 0 || limit->inflight < limit->max_inflight) {
        limit->inflight++;

        waiter->limit = limit;
        waiter->state = NGX_HTTP_TROVE_WAITER_IN;

        return NGX_OK;
    }

    if (limit->waiting >= limit->max_queue) {
        return NGX_DECLINED;
    }

    limit->waiting++;

    waiter->limit = limit;
    waiter->state = NGX_HTTP_TROVE_WAITER_WAITING;
    waiter->handler = handler;

    waiter->event.handler = ngx_http_trove_limit_event;
    waiter->event.data = connection;
    waiter->event.log = connection->log;

    ngx_queue_insert_tail(&limit->queue, &waiter->queue);
    ngx_add_timer(&waiter->event, limit->max_wait);

    return NGX_AGAIN;
}


void
ngx_http_trove_limit_leave(ngx_http_trove_waiter_t *waiter)
{
    ngx_http_trove_limit_t  *limit;

    limit = waiter->limit;

    switch (waiter->state) {

    case NGX_HTTP_TROVE_WAITER_OUT:
        return;

    case NGX_HTTP_TROVE_WAITER_WAITING:
        limit->waiting--;
        ngx_queue_remove(&waiter->queue);

        if (waiter->event.timer_set) {
            ngx_del_timer(&waiter->event);
        }

        break;

    case NGX_HTTP_TROVE_WAITER_CALLED:

        if (waiter->event.posted) {
            ngx_delete_posted_event(&waiter->event);
        }

        /* fall through */

    case NGX_HTTP_TROVE_WAITER_IN:
        limit->inflight--;
        break;
    }

    waiter->state = NGX_HTTP_TROVE_WAITER_OUT;

    ngx_http_trove_limit_call(limit);
}


/*
 * The waiter is called from an event and not directly, because the caller is
 * still processing the request of another client.
 */

static void
ngx_http_trove_limit_call(ngx_http_trove_limit_t *limit)
{
    ngx_queue_t              *q;
    ngx_http_trove_waiter_t  *waiter;

    /* each leaving waiter frees one place */

    if (ngx_queue_empty(&limit->queue)
        || limit->inflight >= limit->max_inflight)
    {
        return;
    }

    q = ngx_queue_head(&limit->queue);
    waiter = ngx_queue_data(q, ngx_http_trove_waiter_t, queue);

    ngx_queue_remove(q);
    limit->waiting--;
    limit->inflight++;

    waiter->state = NGX_HTTP_TROVE_WAITER_CALLED;

    if (waiter->event.timer_set) {
        ngx_del_timer(&waiter->event);
    }

    ngx_post_event(&waiter->event, &ngx_posted_events);
}


static void
ngx_http_trove_limit_event(ngx_event_t *ev)
{
    ngx_http_trove_waiter_t  *waiter;

    waiter = (ngx_http_trove_waiter_t *)
                 ((u_char *) ev - offsetof(ngx_http_trove_waiter_t, event));

    if (waiter->state == NGX_HTTP_TROVE_WAITER_CALLED) {
        waiter->state = NGX_HTTP_TROVE_WAITER_IN;
        waiter->handler(waiter, 0);
        return;
    }

    /* the timer has expired */

    ev->timedout = 0;

    ngx_http_trove_limit_leave(waiter);
    waiter->handler(waiter, 1);
}
