
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_trove_stream_buf.h"


typedef struct {
    ngx_buf_t                       buf;       /* must be first */
    ngx_http_trove_stream_event_t  *event;     /* or NULL */
} ngx_http_trove_stream_buf_t;


ngx_chain_t *
ngx_http_trove_stream_buf(ngx_pool_t *pool, ngx_chain_t **free, ngx_str_t *text,
    ngx_http_trove_stream_event_t *event)
{
    ngx_buf_t                    *b;
    ngx_chain_t                  *cl;
    ngx_http_trove_stream_buf_t  *sb;

    cl = *free;

    if (cl) {
        *free = cl->next;

    } else {
        cl = ngx_alloc_chain_link(pool);
        sb = ngx_palloc(pool, sizeof(ngx_http_trove_stream_buf_t));

        if (cl == NULL || sb == NULL) {

            if (event) {
                ngx_http_trove_stream_event_free(event);
            }

            return NULL;
        }

        cl->buf = &sb->buf;
    }

    sb = (ngx_http_trove_stream_buf_t *) cl->buf;

    ngx_memzero(sb, sizeof(ngx_http_trove_stream_buf_t));

    sb->event = event;

    b = &sb->buf;

    b->start = text->data;
    b->pos = text->data;
    b->last = text->data + text->len;
    b->end = b->last;
    b->memory = 1;
    b->flush = 1;
    b->tag = NGX_HTTP_TROVE_STREAM_TAG;

    cl->next = NULL;

    return cl;
}


void
ngx_http_trove_stream_buf_release(ngx_chain_t *cl)
{
    ngx_http_trove_stream_buf_t  *sb;

    for ( /* void */ ; cl; cl = cl->next) {
        sb = (ngx_http_trove_stream_buf_t *) cl->buf;

        if (sb->event) {
            ngx_http_trove_stream_event_free(sb->event);
            sb->event = NULL;
        }
    }
}


ngx_uint_t
ngx_http_trove_stream_buf_held(ngx_chain_t *cl)
{
    ngx_http_trove_stream_buf_t  *sb;

    for ( /* void */ ; cl; cl = cl->next) {
        sb = (ngx_http_trove_stream_buf_t *) cl->buf;

        if (sb->event && sb->event->held) {
            return 1;
        }
    }

    return 0;
}
