
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
ngx_http_trove_limit_init(ngx_http_trove_limit_t *limit)
{
    limit->inflight = 0;
    limit->waiting = 0;
    ngx_queue_init(&limit->queue);
}


ngx_int_t
ngx_http_trove_limit_enter(ngx_http_trove_limit_t *limit,
    ngx_http_trove_ticket_t *ticket, ngx_http_trove_ticket_pt handler,
    ngx_connection_t *connection)
{
    if (limit->max_inflight == 0 || limit->inflight < limit->max_inflight) {
        limit->inflight++;

        ticket->limit = limit;
        ticket->state = NGX_HTTP_TROVE_TICKET_IN;

        return NGX_OK;
    }

    if (limit->waiting >= limit->max_queue) {
        return NGX_DECLINED;
    }

    limit->waiting++;

    ticket->limit = limit;
    ticket->state = NGX_HTTP_TROVE_TICKET_WAITING;
    ticket->handler = handler;

    ticket->event.handler = ngx_http_trove_limit_event;
    ticket->event.data = connection;
    ticket->event.log = connection->log;

    ngx_queue_insert_tail(&limit->queue, &ticket->queue);
    ngx_add_timer(&ticket->event, limit->max_wait);

    return NGX_AGAIN;
}


void
ngx_http_trove_limit_leave(ngx_http_trove_ticket_t *ticket)
{
    ngx_http_trove_limit_t  *limit;

    limit = ticket->limit;

    switch (ticket->state) {

    case NGX_HTTP_TROVE_TICKET_OUT:
        return;

    case NGX_HTTP_TROVE_TICKET_WAITING:
        limit->waiting--;
        ngx_queue_remove(&ticket->queue);

        if (ticket->event.timer_set) {
            ngx_del_timer(&ticket->event);
        }

        break;

    case NGX_HTTP_TROVE_TICKET_CALLED:

        if (ticket->event.posted) {
            ngx_delete_posted_event(&ticket->event);
        }

        /* fall through */

    case NGX_HTTP_TROVE_TICKET_IN:
        limit->inflight--;
        break;
    }

    ticket->state = NGX_HTTP_TROVE_TICKET_OUT;

    ngx_http_trove_limit_call(limit);
}


/*
 * By an event, and not at once: whoever leaves is in the middle of the request
 * of another client.
 */

static void
ngx_http_trove_limit_call(ngx_http_trove_limit_t *limit)
{
    ngx_queue_t              *q;
    ngx_http_trove_ticket_t  *ticket;

    /* who leaves makes room for one */

    if (ngx_queue_empty(&limit->queue)
        || limit->inflight >= limit->max_inflight)
    {
        return;
    }

    q = ngx_queue_head(&limit->queue);
    ticket = ngx_queue_data(q, ngx_http_trove_ticket_t, queue);

    ngx_queue_remove(q);
    limit->waiting--;
    limit->inflight++;

    ticket->state = NGX_HTTP_TROVE_TICKET_CALLED;

    if (ticket->event.timer_set) {
        ngx_del_timer(&ticket->event);
    }

    ngx_post_event(&ticket->event, &ngx_posted_events);
}


static void
ngx_http_trove_limit_event(ngx_event_t *ev)
{
    ngx_http_trove_ticket_t  *ticket;

    ticket = (ngx_http_trove_ticket_t *)
                 ((u_char *) ev - offsetof(ngx_http_trove_ticket_t, event));

    if (ticket->state == NGX_HTTP_TROVE_TICKET_CALLED) {
        ticket->state = NGX_HTTP_TROVE_TICKET_IN;
        ticket->handler(ticket, 0);
        return;
    }

    /* the timer */

    ev->timedout = 0;

    ngx_http_trove_limit_leave(ticket);
    ticket->handler(ticket, 1);
}
