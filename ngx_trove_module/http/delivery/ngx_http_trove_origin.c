
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_headers.h"
#include "ngx_http_trove_origin.h"


static void ngx_http_trove_origin_prepare(ngx_http_trove_origin_t *origin);
static void ngx_http_trove_origin_add(ngx_http_trove_origin_t *origin,
    const char *key, const char *lowcase, ngx_str_t *value);
static ngx_int_t ngx_http_trove_origin_copy(ngx_http_request_t *r,
    ngx_http_request_body_t *body);
static ngx_int_t ngx_http_trove_origin_copy_buf(ngx_http_request_t *r,
    ngx_buf_t *b, ngx_buf_t *in);


ngx_int_t
ngx_http_trove_origin_headers(ngx_http_trove_origin_t *origin,
    ngx_http_request_t *r)
{
    ngx_list_t       *list;
    ngx_table_elt_t  *h;

    if (origin->nheaders == 0) {
        ngx_http_trove_origin_prepare(origin);
    }

    list = &r->headers_in.headers;

    /*
     * Each request has its own list: adding to a copy of a list writes into
     * the original.  One header is spare, for "trove_sign".
     */

    if (ngx_list_init(list, r->pool, NGX_HTTP_TROVE_ORIGIN_HEADERS + 1,
                      sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    h = list->part.elts;

    ngx_memcpy(h, origin->headers, origin->nheaders * sizeof(ngx_table_elt_t));
    list->part.nelts = origin->nheaders;

    if (origin->host < origin->nheaders) {
        r->headers_in.host = &h[origin->host];
    }

    if (origin->content_type < origin->nheaders) {
        r->headers_in.content_type = &h[origin->content_type];
    }

    return NGX_OK;
}


/* the headers are the same for all deliveries of an event */

static void
ngx_http_trove_origin_prepare(ngx_http_trove_origin_t *origin)
{
    ngx_str_t            *host, *content_type, signature;
    ngx_trove_event_t    *event;
    ngx_http_request_t   *r;

    static ngx_str_t  name = ngx_string("x-trove-signature");

    r = origin->request;

    if (r) {
        host = r->headers_in.host ? &r->headers_in.host->value : NULL;
        content_type = r->headers_in.content_type
                       ? &r->headers_in.content_type->value : NULL;

    } else {
        host = origin->event->host.len ? &origin->event->host : NULL;
        content_type = origin->event->content_type.len
                       ? &origin->event->content_type : NULL;
    }

    origin->host = NGX_HTTP_TROVE_ORIGIN_HEADERS;
    origin->content_type = NGX_HTTP_TROVE_ORIGIN_HEADERS;

    if (host) {
        origin->host = origin->nheaders;
        ngx_http_trove_origin_add(origin, "Host", "host", host);
    }

    if (content_type) {
        origin->content_type = origin->nheaders;
        ngx_http_trove_origin_add(origin, "Content-Type", "content-type",
                                  content_type);
    }

    event = &origin->ctx->event;

    ngx_http_trove_origin_add(origin, "X-Trove-Event", "x-trove-event",
                              &event->type);
    ngx_http_trove_origin_add(origin, "X-Trove-Event-Id", "x-trove-event-id",
                              &event->id);

    if (r && ngx_http_trove_headers_find(r, &name, &signature) == NGX_OK
        && signature.len)
    {
        ngx_http_trove_origin_add(origin, "X-Trove-Signature",
                                  "x-trove-signature", &signature);
    }
}


static void
ngx_http_trove_origin_add(ngx_http_trove_origin_t *origin, const char *key,
    const char *lowcase, ngx_str_t *value)
{
    ngx_http_trove_headers_fill(&origin->headers[origin->nheaders++], key,
                                lowcase, value);
}


ngx_int_t
ngx_http_trove_origin_body(ngx_http_trove_origin_t *origin,
    ngx_http_request_t *r)
{
    ngx_buf_t                *b;
    ngx_chain_t              *cl;
    ngx_http_request_body_t  *rb;

    rb = ngx_pcalloc(r->pool, sizeof(ngx_http_request_body_t));
    if (rb == NULL) {
        return NGX_ERROR;
    }

    r->request_body = rb;

    if (origin->request) {
        return ngx_http_trove_origin_copy(r, origin->request->request_body);
    }

    b = ngx_calloc_buf(r->pool);
    cl = ngx_alloc_chain_link(r->pool);

    if (b == NULL || cl == NULL) {
        return NGX_ERROR;
    }

    b->start = origin->event->body.data;
    b->pos = b->start;
    b->last = b->start + origin->event->body.len;
    b->end = b->last;
    b->memory = 1;
    b->last_buf = 1;

    cl->buf = b;
    cl->next = NULL;

    rb->bufs = cl;
    rb->buf = b;

    r->headers_in.content_length_n = origin->event->body.len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_origin_copy(ngx_http_request_t *r, ngx_http_request_body_t *body)
{
    off_t                     length;
    ngx_buf_t                *b;
    ngx_chain_t              *cl, **ll, *in;
    ngx_http_request_body_t  *rb;

    rb = r->request_body;
    ll = &rb->bufs;
    length = 0;

    for (in = body ? body->bufs : NULL; in; in = in->next) {
        b = ngx_calloc_buf(r->pool);
        cl = ngx_alloc_chain_link(r->pool);

        if (b == NULL || cl == NULL
            || ngx_http_trove_origin_copy_buf(r, b, in->buf) != NGX_OK)
        {
            return NGX_ERROR;
        }

        length += ngx_buf_size(b);

        cl->buf = b;
        *ll = cl;
        ll = &cl->next;
    }

    *ll = NULL;

    r->headers_in.content_length_n = length;

    if (rb->bufs && rb->bufs->next == NULL) {
        rb->buf = rb->bufs->buf;
    }

    if (body && body->temp_file) {

        /* a script may close the file that it finds here */

        rb->temp_file = ngx_palloc(r->pool, sizeof(ngx_temp_file_t));
        if (rb->temp_file == NULL) {
            return NGX_ERROR;
        }

        *rb->temp_file = *body->temp_file;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_origin_copy_buf(ngx_http_request_t *r, ngx_buf_t *b,
    ngx_buf_t *in)
{
    ngx_file_t  *file;

    b->last_buf = in->last_buf;

    if (ngx_buf_in_memory(in)) {
        b->start = in->pos;
        b->pos = in->pos;
        b->last = in->last;
        b->end = in->last;
        b->memory = 1;

        return NGX_OK;
    }

    if (!in->in_file) {
        b->sync = 1;
        return NGX_OK;
    }

    /* only the descriptor and the name: a thread that reads keeps its task */

    file = ngx_pcalloc(r->pool, sizeof(ngx_file_t));
    if (file == NULL) {
        return NGX_ERROR;
    }

    file->fd = in->file->fd;
    file->name = in->file->name;
    file->log = r->connection->log;

    b->file = file;
    b->file_pos = in->file_pos;
    b->file_last = in->file_last;
    b->in_file = 1;

    return NGX_OK;
}


/*
 * A script may replace the chain, or its buffers, but does not write to the
 * bytes of the event.
 */

ngx_uint_t
ngx_http_trove_origin_same(ngx_http_trove_origin_t *origin,
    ngx_http_request_t *r)
{
    ngx_buf_t                *b;
    ngx_chain_t              *cl, *in;
    ngx_http_request_body_t  *body;

    cl = r->request_body ? r->request_body->bufs : NULL;

    if (origin->request == NULL) {

        return cl && cl->next == NULL
               && cl->buf->pos == origin->event->body.data
               && cl->buf->last == cl->buf->pos + origin->event->body.len;
    }

    body = origin->request->request_body;
    in = body ? body->bufs : NULL;

    for ( /* void */ ; cl && in; cl = cl->next, in = in->next) {
        b = cl->buf;

        if (ngx_buf_in_memory(b) != ngx_buf_in_memory(in->buf)
            || b->pos != in->buf->pos
            || b->last != in->buf->last
            || b->in_file != in->buf->in_file
            || (b->in_file && (b->file->fd != in->buf->file->fd
                               || b->file_pos != in->buf->file_pos
                               || b->file_last != in->buf->file_last)))
        {
            return 0;
        }
    }

    return cl == NULL && in == NULL;
}
