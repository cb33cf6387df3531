
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_trove_limit.h"


static void ngx_http_trove_lane_call(ngx_http_trove_lane_t *lane);
static void ngx_http_trove_lane_event(ngx_event_t *ev);


void
ngx_http_trove_lane_init(ngx_http_trove_lane_t *lane)
{
    lane->inflight = 0;
    lane->waiting = 0;
    ngx_queue_init(&lane->queue);
}


ngx_int_t
ngx_http_trove_lane_enter(ngx_http_trove_lane_t *lane,
    ngx_http_trove_ticket_t *ticket, ngx_http_trove_ticket_pt handler,
    ngx_connection_t *connection)
{
    if (lane->max_inflight == 0 || lane->inflight < lane->max_inflight) {
        lane->inflight++;

        ticket->lane = lane;
        ticket->state = NGX_HTTP_TROVE_TICKET_IN;

        return NGX_OK;
    }

    if (lane->waiting >= lane->max_queue) {
        return NGX_DECLINED;
    }

    lane->waiting++;

    ticket->lane = lane;
    ticket->state = NGX_HTTP_TROVE_TICKET_WAITING;
    ticket->handler = handler;

    ticket->event.handler = ngx_http_trove_lane_event;
    ticket->event.data = connection;
    ticket->event.log = connection->log;

    ngx_queue_insert_tail(&lane->queue, &ticket->queue);
    ngx_add_timer(&ticket->event, lane->max_wait);

    return NGX_AGAIN;
}


void
ngx_http_trove_lane_leave(ngx_http_trove_ticket_t *ticket)
{
    ngx_http_trove_lane_t  *lane;

    lane = ticket->lane;

    switch (ticket->state) {

    case NGX_HTTP_TROVE_TICKET_OUT:
        return;

    case NGX_HTTP_TROVE_TICKET_WAITING:
        lane->waiting--;
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
        lane->inflight--;
        break;
    }

    ticket->state = NGX_HTTP_TROVE_TICKET_OUT;

    ngx_http_trove_lane_call(lane);
}


/*
 * By an event, and not at once: whoever leaves is in the middle of the request
 * of another client.
 */

static void
ngx_http_trove_lane_call(ngx_http_trove_lane_t *lane)
{
    ngx_queue_t              *q;
    ngx_http_trove_ticket_t  *ticket;

    /* who leaves makes room for one */

    if (ngx_queue_empty(&lane->queue)
        || lane->inflight >= lane->max_inflight)
    {
        return;
    }

    q = ngx_queue_head(&lane->queue);
    ticket = ngx_queue_data(q, ngx_http_trove_ticket_t, queue);

    ngx_queue_remove(q);
    lane->waiting--;
    lane->inflight++;

    ticket->state = NGX_HTTP_TROVE_TICKET_CALLED;

    if (ticket->event.timer_set) {
        ngx_del_timer(&ticket->event);
    }

    ngx_post_event(&ticket->event, &ngx_posted_events);
}


static void
ngx_http_trove_lane_event(ngx_event_t *ev)
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

    ngx_http_trove_lane_leave(ticket);
    ticket->handler(ticket, 1);
}
