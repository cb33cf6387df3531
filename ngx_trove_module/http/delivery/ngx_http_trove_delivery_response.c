
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_delivery_response.h"
#include "ngx_http_trove_headers.h"


static ngx_int_t ngx_http_trove_delivery_header_filter(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_trove_delivery_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_trove_delivery_longer(ngx_http_trove_delivery_t *d,
    ngx_http_request_t *sr);
static void ngx_http_trove_delivery_keep(ngx_http_trove_delivery_t *d,
    ngx_http_request_t *sr, ngx_buf_t *b);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;

/* what is called at the end of a subrequest that is a delivery */
static ngx_http_post_subrequest_pt  ngx_http_trove_delivery_response_handler;


/*
 * Whoever buffers an answer takes it that a background subrequest cannot write,
 * and puts a long one into a temporary file.  It is read for a time only: each
 * piece starts the timers of "proxy_read_timeout" and the like anew.
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
        d->answered = ngx_current_msec;

        u = r->upstream;

        if (u && u->buffering && !u->cacheable && !u->store) {
            u->buffering = 0;
        }
    }

    return ngx_http_next_header_filter(r);
}


/*
 * Takes the answer as fast as it comes, so that the upstream connection can be
 * kept alive, and keeps nothing of it but the beginning, where that is wanted.
 */

static ngx_int_t
ngx_http_trove_delivery_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_buf_t                  *b;
    ngx_chain_t                *cl;
    ngx_http_trove_delivery_t  *d;

    /* a subrequest that a script in the target makes is the script's */

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

        if (d->answer.len < d->keep) {
            ngx_http_trove_delivery_keep(d, r, b);
        }

        b->pos = b->last;
        b->file_pos = b->file_last;

        d->last |= b->last_buf || b->last_in_chain;
    }

    return d->last ? NGX_OK : ngx_http_trove_delivery_longer(d, r);
}


/* NGX_ERROR closes the connection to the target, and ends the subrequest */

static ngx_int_t
ngx_http_trove_delivery_longer(ngx_http_trove_delivery_t *d,
    ngx_http_request_t *sr)
{
    ngx_http_core_loc_conf_t  *clcf;

    if (sr->upstream == NULL || d->state != NGX_HTTP_TROVE_DELIVERY_RUNNING) {
        return NGX_OK;
    }

    clcf = ngx_http_get_module_loc_conf(sr, ngx_http_core_module);

    if (ngx_current_msec - d->answered < clcf->lingering_time) {
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
 * Of an answer that is no success, what the target said: neither the pages of
 * NGINX where it said nothing, nor a file, for which the disk had to be read.
 */

static void
ngx_http_trove_delivery_keep(ngx_http_trove_delivery_t *d,
    ngx_http_request_t *sr, ngx_buf_t *b)
{
    size_t  len;

    if (sr->headers_out.status < NGX_HTTP_SPECIAL_RESPONSE
        || (sr->upstream && !sr->upstream->header_sent)
        || !ngx_buf_in_memory(b))
    {
        return;
    }

    len = ngx_min((size_t) (b->last - b->pos), d->keep - d->answer.len);

    if (len == 0) {
        return;
    }

    if (d->answer.data == NULL) {
        d->answer.data = ngx_pnalloc(d->request->pool, d->keep);

        if (d->answer.data == NULL) {
            d->keep = 0;
            return;
        }
    }

    ngx_memcpy(d->answer.data + d->answer.len, b->pos, len);
    d->answer.len += len;
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
     * The connection was closed, which NGINX takes for the end of an answer,
     * but FastCGI has a record for that.
     */

    return u->headers_in.content_length_n > d->received
           || (u->schema.len >= sizeof("fastcgi") - 1
               && ngx_strncmp(u->schema.data, "fastcgi", sizeof("fastcgi") - 1)
                  == 0);
}


void
ngx_http_trove_delivery_retry_after(ngx_http_request_t *sr, ngx_str_t *value)
{
    ngx_table_elt_t                *h;
    ngx_http_trove_headers_walk_t   walk;

    walk.part = &sr->headers_out.headers.part;
    walk.i = 0;

    while ((h = ngx_http_trove_headers_next(&walk)) != NULL) {

        if (h->hash && h->key.len == sizeof("Retry-After") - 1
            && ngx_strncasecmp(h->key.data, (u_char *) "Retry-After",
                               sizeof("Retry-After") - 1)
               == 0)
        {
            *value = h->value;
            return;
        }
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
