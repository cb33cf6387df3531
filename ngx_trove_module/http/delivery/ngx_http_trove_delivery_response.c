
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_delivery_response.h"
#include "ngx_http_trove_headers.h"
#include "ngx_trove_utf8.h"


/* of all lines with Retry-After, bytes */
#define NGX_HTTP_TROVE_DELIVERY_RETRY_AFTER  1024


static ngx_int_t ngx_http_trove_delivery_header_filter(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_trove_delivery_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_trove_delivery_last_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_trove_delivery_longer(ngx_http_trove_delivery_t *d,
    ngx_http_request_t *sr);
static void ngx_http_trove_delivery_keep(ngx_http_trove_delivery_t *d,
    ngx_http_request_t *sr, ngx_buf_t *b);
static void ngx_http_trove_delivery_cut(ngx_str_t *s);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;
static ngx_http_output_body_filter_pt    ngx_http_trove_delivery_next_filter;

/* called at the end of a subrequest that is a delivery */
static ngx_http_post_subrequest_pt  ngx_http_trove_delivery_response_handler;


/*
 * A module that buffers a response sees that a background subrequest cannot
 * write, and would store a long response in a temporary file.  The time of the
 * whole response is limited, because each read restarts the timers of
 * "proxy_read_timeout" and similar directives.
 */

static ngx_int_t
ngx_http_trove_delivery_header_filter(ngx_http_request_t *r)
{
    ngx_http_upstream_t        *u;
    ngx_http_trove_delivery_t  *d;

    if (r->post_subrequest
        && r->post_subrequest->handler
           == ngx_http_trove_delivery_response_handler)
    {
        d = r->post_subrequest->data;
        d->responded = ngx_current_msec;

        u = r->upstream;

        if (u && u->buffering && !u->cacheable && !u->store) {
            u->buffering = 0;
        }
    }

    return ngx_http_next_header_filter(r);
}


/*
 * Consumes the response as fast as it is received, so that the upstream
 * connection can be kept alive.  Only the first bytes are kept, if requested.
 */

static ngx_int_t
ngx_http_trove_delivery_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_buf_t                  *b;
    ngx_chain_t                *cl;
    ngx_http_trove_delivery_t  *d;

    /* a subrequest created by a script in the target belongs to the script */

    if (r->post_subrequest == NULL
        || r->post_subrequest->handler
           != ngx_http_trove_delivery_response_handler)
    {
        return ngx_http_next_body_filter(r, in);
    }

    d = r->post_subrequest->data;

    for (cl = in; cl; cl = cl->next) {
        b = cl->buf;

        d->received += ngx_buf_size(b);

        /* the end of a delivery replaces the buffer by one that fits */

        if (d->response.len < d->keep
            && d->state == NGX_HTTP_TROVE_DELIVERY_RUNNING)
        {
            ngx_http_trove_delivery_keep(d, r, b);
        }

        b->pos = b->last;
        b->file_pos = b->file_last;

        /* also here: a failed reload makes the list of filters anew */

        d->last |= b->last_buf || b->last_in_chain;
    }

    if (!d->last && ngx_http_trove_delivery_longer(d, r) != NGX_OK) {
        return NGX_ERROR;
    }

    /* the next subrequest of a script becomes active */

    return r->postponed ? ngx_http_next_body_filter(r, NULL) : NGX_OK;
}


/*
 * The first of all body filters.  The filter of a script may discard the buffer
 * that marks the end of the response.
 */

static ngx_int_t
ngx_http_trove_delivery_last_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_chain_t                *cl;
    ngx_http_trove_delivery_t  *d;

    if (r->post_subrequest
        && r->post_subrequest->handler
           == ngx_http_trove_delivery_response_handler)
    {
        d = r->post_subrequest->data;

        for (cl = in; cl; cl = cl->next) {
            d->last |= cl->buf->last_buf || cl->buf->last_in_chain;
        }
    }

    return ngx_http_trove_delivery_next_filter(r, in);
}


/* NGX_ERROR closes the connection to the target and ends the subrequest */

static ngx_int_t
ngx_http_trove_delivery_longer(ngx_http_trove_delivery_t *d,
    ngx_http_request_t *sr)
{
    ngx_http_core_loc_conf_t  *clcf;

    if (sr->upstream == NULL || d->state != NGX_HTTP_TROVE_DELIVERY_RUNNING) {
        return NGX_OK;
    }

    clcf = ngx_http_get_module_loc_conf(sr, ngx_http_core_module);

    if (ngx_current_msec - d->responded < clcf->lingering_time) {
        return NGX_OK;
    }

    if (!d->unterminated) {
        d->unterminated = 1;

        ngx_log_error(NGX_LOG_ERR, sr->connection->log, 0,
                      "trove: the response of target \"%V\" is incomplete "
                      "after %M ms and %O bytes, closing the connection",
                      &d->target->name, clcf->lingering_time, d->received);
    }

    return NGX_ERROR;
}


/*
 * Keeps the first bytes of a response of the target that is not a success.
 * Error pages generated by NGINX are not kept, nor are files, which would have
 * to be read from disk, nor are compressed responses.
 */

static void
ngx_http_trove_delivery_keep(ngx_http_trove_delivery_t *d,
    ngx_http_request_t *sr, ngx_buf_t *b)
{
    size_t  len;

    if (sr->headers_out.status < NGX_HTTP_SPECIAL_RESPONSE
        || (sr->upstream && !sr->upstream->header_sent)
        || (sr->headers_out.content_encoding
            && sr->headers_out.content_encoding->value.len)
        || !ngx_buf_in_memory(b))
    {
        return;
    }

    len = ngx_min((size_t) (b->last - b->pos), d->keep - d->response.len);

    if (len == 0) {
        return;
    }

    if (d->response.data == NULL) {
        d->response.data = ngx_pnalloc(d->origin->pool, d->keep);

        if (d->response.data == NULL) {
            d->keep = 0;
            return;
        }
    }

    ngx_memcpy(d->response.data + d->response.len, b->pos, len);
    d->response.len += len;

    if (d->response.len == d->keep) {
        ngx_http_trove_delivery_cut(&d->response);
        d->keep = d->response.len;
    }
}


/* removes a character of UTF-8 that is not complete from the end */

static void
ngx_http_trove_delivery_cut(ngx_str_t *s)
{
    u_char      *p;
    ngx_uint_t   n, size;

    for (n = 1; n <= 3 && n <= s->len; n++) {
        p = s->data + s->len - n;

        if ((*p & 0xc0) == 0x80) {
            continue;
        }

        size = (*p >= 0xf0) ? 4 : (*p >= 0xe0) ? 3 : (*p >= 0xc0) ? 2 : 1;

        if (size > n) {
            s->len -= n;
        }

        return;
    }
}


ngx_int_t
ngx_http_trove_delivery_copy_response(ngx_http_trove_delivery_t *d,
    ngx_pool_t *pool)
{
    u_char  *p;

    if (d->response.len == 0 || ngx_http_trove_delivery_succeeded(d)) {
        ngx_str_null(&d->response);
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, d->response.len * 3);

    if (p == NULL) {
        ngx_str_null(&d->response);
        return NGX_ERROR;
    }

    d->response.len = ngx_trove_utf8_replace(p, d->response.data,
                                             d->response.len)
                      - p;
    d->response.data = p;

    return NGX_OK;
}


u_char *
ngx_http_trove_delivery_excerpt(ngx_http_trove_delivery_t *d, u_char *p)
{
    u_char      *s, *last;
    ngx_str_t    text;

    if (d->response.len == 0) {
        *p = '\0';
        return p;
    }

    text = d->response;

    if (text.len > NGX_HTTP_TROVE_DELIVERY_EXCERPT) {
        text.len = NGX_HTTP_TROVE_DELIVERY_EXCERPT;
        ngx_http_trove_delivery_cut(&text);
    }

    p = ngx_cpymem(p, ", response: \"", sizeof(", response: \"") - 1);

    last = text.data + text.len;

    for (s = text.data; s < last; s++) {

        if (ngx_trove_utf8_control(s, last) == 2) {
            s++;
            *p++ = ' ';
            continue;
        }

        *p++ = (*s < 0x20 || *s == 0x7f) ? ' ' : (*s == '"') ? '\'' : *s;
    }

    *p++ = '"';
    *p = '\0';

    return p;
}


ngx_uint_t
ngx_http_trove_delivery_truncated(ngx_http_trove_delivery_t *d,
    ngx_http_request_t *sr)
{
    ngx_http_upstream_t  *u;

    u = sr->upstream;

    if (u == NULL || !u->header_sent || sr->header_only) {
        return 0;
    }

    if (!d->last) {
        return 1;
    }

    if (u->buffering || u->length != -1) {
        return 0;
    }

    /*
     * The connection was closed.  NGINX treats this as the end of a response,
     * but FastCGI has an end record.
     */

    return u->headers_in.content_length_n > d->received
           || (u->schema.len >= sizeof("fastcgi") - 1
               && ngx_strncmp(u->schema.data, "fastcgi", sizeof("fastcgi") - 1)
                  == 0);
}


/* several lines are the same as one line with a list */

void
ngx_http_trove_delivery_retry_after(ngx_http_request_t *sr, ngx_str_t *value)
{
    u_char                         *p;
    ngx_table_elt_t                *h;
    ngx_http_trove_headers_walk_t   walk;

    walk.part = &sr->headers_out.headers.part;
    walk.i = 0;

    while ((h = ngx_http_trove_headers_next(&walk)) != NULL) {

        if (h->hash == 0 || h->value.len == 0
            || h->key.len != sizeof("Retry-After") - 1
            || ngx_strncasecmp(h->key.data, (u_char *) "Retry-After",
                               sizeof("Retry-After") - 1)
               != 0)
        {
            continue;
        }

        if (value->len == 0) {
            *value = h->value;
            continue;
        }

        p = ngx_pnalloc(sr->pool, value->len + 1 + h->value.len);

        if (p == NULL
            || value->len + h->value.len > NGX_HTTP_TROVE_DELIVERY_RETRY_AFTER)
        {
            return;
        }

        (void) ngx_sprintf(p, "%V,%V", value, &h->value);

        value->len += 1 + h->value.len;
        value->data = p;
    }
}


void
ngx_http_trove_delivery_response_init(ngx_http_post_subrequest_pt handler)
{
    ngx_http_trove_delivery_response_handler = handler;

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_trove_delivery_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_trove_delivery_body_filter;
}


void
ngx_http_trove_delivery_response_top(void)
{
    /* the list is made anew if there is an http block */

    if (ngx_http_top_body_filter != ngx_http_trove_delivery_last_filter) {
        ngx_http_trove_delivery_next_filter = ngx_http_top_body_filter;
        ngx_http_top_body_filter = ngx_http_trove_delivery_last_filter;
    }
}
