
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_STREAM_BUF_H_INCLUDED_
#define _NGX_HTTP_TROVE_STREAM_BUF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_trove_stream_event.h"


/* Buffers of a stream, which refer to events.  Private to this folder. */

#define NGX_HTTP_TROVE_STREAM_TAG                                             \
    ((ngx_buf_tag_t) &ngx_http_trove_stream_buf)

/*
 * Returns a link with a buffer with a text, which is flushed.  The link is the
 * first one of the list *free, or is allocated from the pool.  The text belongs
 * to the event, the reference to which becomes the buffer's; NULL: to nobody.
 *
 * NULL  out of memory; the reference has been dropped
 */
ngx_chain_t *ngx_http_trove_stream_buf(ngx_pool_t *pool, ngx_chain_t **free,
    ngx_str_t *text, ngx_http_trove_stream_event_t *event);

/* Drops the references of a list of such buffers. */
void ngx_http_trove_stream_buf_release(ngx_chain_t *cl);

/* Returns 1 if one of them has an event that is held, 0 otherwise. */
ngx_uint_t ngx_http_trove_stream_buf_held(ngx_chain_t *cl);


#endif /* _NGX_HTTP_TROVE_STREAM_BUF_H_INCLUDED_ */
