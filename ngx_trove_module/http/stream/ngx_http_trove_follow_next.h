
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_FOLLOW_NEXT_H_INCLUDED_
#define _NGX_HTTP_TROVE_FOLLOW_NEXT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_trove_follow.h"
#include "ngx_http_trove_stream_ring.h"


/*
 * Store the next events of a reader to events, and return their number, as
 * ngx_http_trove_follow_next() does: those of its last turn, and those in the
 * ring, which must have all events after its position.  Private to this folder.
 */
ngx_uint_t ngx_http_trove_follow_page(ngx_http_trove_follow_t *follow,
    ngx_http_trove_stream_event_t **events);
ngx_uint_t ngx_http_trove_follow_ring(ngx_http_trove_follow_t *follow,
    ngx_http_trove_stream_ring_t *ring, ngx_http_trove_stream_event_t **events);


#endif /* _NGX_HTTP_TROVE_FOLLOW_NEXT_H_INCLUDED_ */
