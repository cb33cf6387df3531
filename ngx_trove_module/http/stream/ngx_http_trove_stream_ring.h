
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_STREAM_RING_H_INCLUDED_
#define _NGX_HTTP_TROVE_STREAM_RING_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_trove_stream_event.h"


/*
 * The last events in memory, in the order of their numbers, at most
 * NGX_HTTP_TROVE_STREAM_RING, and NGX_HTTP_TROVE_STREAM_BYTES bytes of text
 * unless it is one event.  All events with numbers above from, up to head, are
 * there.  Private to this folder.
 */

#define NGX_HTTP_TROVE_STREAM_RING   1024      /* a power of 2 */
#define NGX_HTTP_TROVE_STREAM_BYTES  (4 * 1024 * 1024)

typedef struct {
    ngx_http_trove_stream_event_t   *events[NGX_HTTP_TROVE_STREAM_RING];
    ngx_uint_t                       first;
    ngx_uint_t                       n;
    size_t                           bytes;
    int64_t                          from;
    int64_t                          head;
} ngx_http_trove_stream_ring_t;


/*
 * Removes all events; the next one will have a number above head.  Here and
 * below, removed events that readers have references to are held by them.
 */
void ngx_http_trove_stream_ring_reset(ngx_http_trove_stream_ring_t *ring,
    int64_t head);

/*
 * Adds an event, the reference to which becomes the ring's, and removes the
 * oldest ones if necessary.
 */
void ngx_http_trove_stream_ring_add(ngx_http_trove_stream_ring_t *ring,
    ngx_http_trove_stream_event_t *event);

/*
 * Returns the index of the first event with a number above that one, or ring->n
 * if there is none.
 */
ngx_uint_t ngx_http_trove_stream_ring_after(
    ngx_http_trove_stream_ring_t *ring, int64_t number);

/* The event with an index from 0 to ring->n - 1. */
#define ngx_http_trove_stream_ring_get(ring, i)                               \
    (ring)->events[((ring)->first + (i)) % NGX_HTTP_TROVE_STREAM_RING]


#endif /* _NGX_HTTP_TROVE_STREAM_RING_H_INCLUDED_ */
