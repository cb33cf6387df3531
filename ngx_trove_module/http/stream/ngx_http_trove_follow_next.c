
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_trove_follow_next.h"


static ngx_uint_t ngx_http_trove_follow_old(ngx_http_trove_follow_t *follow,
    ngx_http_trove_stream_event_t *event);


ngx_uint_t
ngx_http_trove_follow_ring(ngx_http_trove_follow_t *follow,
    ngx_http_trove_stream_ring_t *ring, ngx_http_trove_stream_event_t **events)
{
    size_t                          size;
    ngx_uint_t                      i, n;
    ngx_http_trove_stream_event_t  *event;

    n = 0;
    size = 0;

    for (i = ngx_http_trove_stream_ring_after(ring, follow->position);
         i < ring->n;
         i++)
    {
        event = ngx_http_trove_stream_ring_get(ring, i);

        if (ngx_trove_spool_match(&follow->filter, &event->event)
            && !ngx_http_trove_follow_old(follow, event))
        {
            size += event->text.len;

            if (n == NGX_HTTP_TROVE_FOLLOW_MAX
                || (n && size > NGX_HTTP_TROVE_FOLLOW_BYTES))
            {
                return n;
            }

            event->refs++;
            events[n++] = event;
        }

        follow->position = event->event.number;
    }

    follow->position = ngx_max(follow->position, ring->head);

    return n;
}


ngx_uint_t
ngx_http_trove_follow_page(ngx_http_trove_follow_t *follow,
    ngx_http_trove_stream_event_t **events)
{
    ngx_uint_t                      n;
    ngx_http_trove_stream_event_t  *event;

    n = 0;

    while (follow->page) {
        event = follow->page;
        follow->page = event->next;
        event->next = NULL;

        if (ngx_http_trove_follow_old(follow, event)) {
            ngx_http_trove_stream_event_free(event);
            continue;
        }

        events[n++] = event;
    }

    return n;
}


/* new events are not compared: a sender may be late, or its clock behind */

static ngx_uint_t
ngx_http_trove_follow_old(ngx_http_trove_follow_t *follow,
    ngx_http_trove_stream_event_t *event)
{
    return event->event.number <= follow->backlog
           && event->created <= follow->since;
}
