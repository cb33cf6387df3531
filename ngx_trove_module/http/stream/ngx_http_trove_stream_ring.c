
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_trove_stream_ring.h"


static void ngx_http_trove_stream_ring_drop(
    ngx_http_trove_stream_event_t *event);


void
ngx_http_trove_stream_ring_reset(ngx_http_trove_stream_ring_t *ring,
    int64_t head)
{
    ngx_uint_t  i;

    for (i = 0; i < ring->n; i++) {
        ngx_http_trove_stream_ring_drop(ngx_http_trove_stream_ring_get(ring,
                                                                       i));
    }

    ring->first = 0;
    ring->n = 0;
    ring->bytes = 0;
    ring->from = head;
    ring->head = head;
}


void
ngx_http_trove_stream_ring_add(ngx_http_trove_stream_ring_t *ring,
    ngx_http_trove_stream_event_t *event)
{
    ngx_http_trove_stream_event_t  *oldest;

    ring->bytes += event->text.len;

    while (ring->n
           && (ring->n == NGX_HTTP_TROVE_STREAM_RING
               || ring->bytes > NGX_HTTP_TROVE_STREAM_BYTES))
    {
        oldest = ring->events[ring->first];

        ring->first = (ring->first + 1) % NGX_HTTP_TROVE_STREAM_RING;
        ring->n--;
        ring->bytes -= oldest->text.len;
        ring->from = oldest->event.number;

        ngx_http_trove_stream_ring_drop(oldest);
    }

    ring->events[(ring->first + ring->n) % NGX_HTTP_TROVE_STREAM_RING] = event;
    ring->n++;
    ring->head = event->event.number;
}


static void
ngx_http_trove_stream_ring_drop(ngx_http_trove_stream_event_t *event)
{
    if (event->refs > 1) {
        ngx_http_trove_stream_event_hold(event);
    }

    ngx_http_trove_stream_event_free(event);
}


ngx_uint_t
ngx_http_trove_stream_ring_after(ngx_http_trove_stream_ring_t *ring,
    int64_t number)
{
    ngx_uint_t                      low, high, middle;
    ngx_http_trove_stream_event_t  *event;

    low = 0;
    high = ring->n;

    while (low < high) {
        middle = low + (high - low) / 2;
        event = ngx_http_trove_stream_ring_get(ring, middle);

        if (event->event.number > number) {
            high = middle;

        } else {
            low = middle + 1;
        }
    }

    return low;
}
