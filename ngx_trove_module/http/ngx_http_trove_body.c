
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_body.h"
#include "ngx_http_trove_module.h"


/* the size of reads from a temporary file, and the limit for joining buffers */
#define NGX_HTTP_TROVE_BODY_PIECE  65536


static void ngx_http_trove_body_post_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_trove_body_walk_file(ngx_http_request_t *r,
    ngx_buf_t *b, ngx_http_trove_body_pt handler, void *data);
static ngx_int_t ngx_http_trove_body_add(void *data, u_char *p, size_t len);
static ngx_int_t ngx_http_trove_body_feed_all(ngx_http_request_t *r,
    ngx_trove_event_parser_t *parser);
static size_t ngx_http_trove_body_pieces(ngx_http_request_t *r);
static void *ngx_http_trove_body_alloc(void *ctx, size_t size);
static ngx_int_t ngx_http_trove_body_feed(void *data, u_char *p, size_t len);


ngx_int_t
ngx_http_trove_body_read(ngx_http_request_t *r, ngx_http_trove_ctx_t *ctx)
{
    ngx_int_t                  rc;
    ngx_http_core_loc_conf_t  *clcf;

    if (ctx->body == NGX_HTTP_TROVE_BODY_READ) {
        return NGX_OK;
    }

    if (r->post_action) {

        /* NGINX has discarded it, or its temporary file, with the response */

        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "trove: the request body is no longer available in "
                      "post_action \"%V\"", &clcf->name);

        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->reading_body) {

        /*
         * another module reads it unbuffered: the body is not complete,
         * and the rest of it will not be kept
         */

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "trove: the request body is read unbuffered "
                      "by another module and cannot be checked");

        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->body = NGX_HTTP_TROVE_BODY_READING;

    rc = ngx_http_read_client_request_body(r, ngx_http_trove_body_post_handler);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    /* releases the reference that the reader has taken */

    ngx_http_finalize_request(r, NGX_DONE);

    return NGX_DONE;
}


static void
ngx_http_trove_body_post_handler(ngx_http_request_t *r)
{
    ngx_http_trove_ctx_t  *ctx;

    ctx = ngx_http_trove_ctx_find(r);

    ctx->body = NGX_HTTP_TROVE_BODY_READ;

    /* if there is no body, or another module has read it before */

    if (ctx->received == 0) {
        ctx->received = ngx_time();
    }

    /* keeps the temporary file after the first upstream has sent it */

    r->preserve_body = 1;

    /* the reader sets an empty handler: later phases would hang */

    r->write_event_handler = ngx_http_core_run_phases;
    ngx_http_core_run_phases(r);
}


void
ngx_http_trove_body_received(ngx_http_request_t *r)
{
    ngx_http_trove_ctx_t  *ctx;

    ctx = ngx_http_trove_ctx_find(r);

    if (ctx && ctx->received == 0) {
        ctx->received = ngx_time();
    }
}


ngx_int_t
ngx_http_trove_body_walk(ngx_http_request_t *r, ngx_http_trove_body_pt handler,
    void *data)
{
    u_char       *last;
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (r->request_body == NULL) {
        return NGX_OK;
    }

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        b = cl->buf;

        if (ngx_buf_in_memory(b)) {
            last = b->last;

            /* data received at once may be in adjacent buffers */

            while (cl->next && ngx_buf_in_memory(cl->next->buf)
                   && cl->next->buf->pos == last)
            {
                cl = cl->next;
                last = cl->buf->last;
            }

            rc = handler(data, b->pos, last - b->pos);

        } else if (b->in_file) {
            rc = ngx_http_trove_body_walk_file(r, b, handler, data);

        } else {
            continue;
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_body_walk_file(ngx_http_request_t *r, ngx_buf_t *b,
    ngx_http_trove_body_pt handler, void *data)
{
    off_t      offset;
    u_char    *p;
    size_t     size;
    ssize_t    n;
    ngx_int_t  rc;

    rc = NGX_OK;
    offset = b->file_pos;

    size = ngx_min(b->file_last - offset, NGX_HTTP_TROVE_BODY_PIECE);

    p = ngx_alloc(size, r->connection->log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    while (offset < b->file_last) {
        size = ngx_min(b->file_last - offset, NGX_HTTP_TROVE_BODY_PIECE);

        n = ngx_read_file(b->file, p, size, offset);

        if (n == NGX_ERROR || n == 0) {

            if (n == 0) {
                ngx_log_error(NGX_LOG_CRIT, r->connection->log, 0,
                              "trove: temporary file \"%V\" is shorter than "
                              "the request body", &b->file->name);
            }

            rc = NGX_ERROR;
            break;
        }

        rc = handler(data, p, n);
        if (rc != NGX_OK) {
            break;
        }

        offset += n;
    }

    ngx_free(p);

    return rc;
}


off_t
ngx_http_trove_body_length(ngx_http_request_t *r)
{
    off_t         length;
    ngx_chain_t  *cl;

    length = 0;

    if (r->request_body) {
        for (cl = r->request_body->bufs; cl; cl = cl->next) {
            length += ngx_buf_size(cl->buf);
        }
    }

    return length;
}


u_char *
ngx_http_trove_body_copy(ngx_http_request_t *r, u_char *p)
{
    return (ngx_http_trove_body_walk(r, ngx_http_trove_body_add, &p) == NGX_OK)
           ? p : NULL;
}


static ngx_int_t
ngx_http_trove_body_add(void *data, u_char *p, size_t len)
{
    u_char **last = data;

    *last = ngx_cpymem(*last, p, len);

    return NGX_OK;
}


ngx_int_t
ngx_http_trove_body_parse(ngx_http_request_t *r, ngx_http_trove_ctx_t *ctx)
{
    ngx_int_t                  rc;
    ngx_trove_event_parser_t  *parser;

    if (ctx->parsed != NGX_AGAIN) {
        return ctx->parsed;
    }

    parser = ngx_trove_event_create(&ctx->event, ngx_http_trove_event_names(r),
                                    ngx_http_trove_body_alloc, ctx->pool);
    if (parser == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_trove_body_feed_all(r, parser);

    if (rc != NGX_ERROR) {
        rc = ngx_trove_event_finish(parser);
    }

    /* a constant, which does not depend on the parser */

    ctx->reason = ngx_trove_event_reason(parser);

    ngx_trove_event_destroy(parser);

    if (rc != NGX_ERROR) {
        ctx->parsed = rc;
    }

    return rc;
}


/*
 * The first part of a body may be in the buffer of the header, and each chunk
 * is in its own buffer.  Most of an event is one string; if it is split, yajl
 * copies it, which takes longer than joining the buffers does.
 */

static ngx_int_t
ngx_http_trove_body_feed_all(ngx_http_request_t *r,
    ngx_trove_event_parser_t *parser)
{
    u_char     *body;
    size_t      len;
    ngx_int_t   rc;

    len = ngx_http_trove_body_pieces(r);

    if (len == 0) {
        return ngx_http_trove_body_walk(r, ngx_http_trove_body_feed, parser);
    }

    body = ngx_alloc(len, r->connection->log);
    if (body == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_http_trove_body_copy(r, body);

    rc = ngx_trove_event_feed(parser, body, len);

    ngx_free(body);

    return rc;
}


/* the length of a body whose buffers are to be joined, or 0 */

static size_t
ngx_http_trove_body_pieces(ngx_http_request_t *r)
{
    u_char       *last;
    size_t        len;
    ngx_buf_t    *b;
    ngx_uint_t    n;
    ngx_chain_t  *cl;

    if (r->request_body == NULL) {
        return 0;
    }

    n = 0;
    len = 0;
    last = NULL;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        b = cl->buf;

        if (ngx_buf_in_memory(b) && b->last > b->pos) {
            n += (b->pos != last);
            len += b->last - b->pos;
            last = b->last;

        } else if (ngx_buf_size(b)) {
            return 0;
        }
    }

    return (n > 1 && len <= NGX_HTTP_TROVE_BODY_PIECE) ? len : 0;
}


static void *
ngx_http_trove_body_alloc(void *ctx, size_t size)
{
    return ngx_palloc(ctx, size);
}


static ngx_int_t
ngx_http_trove_body_feed(void *data, u_char *p, size_t len)
{
    return ngx_trove_event_feed(data, p, len);
}
