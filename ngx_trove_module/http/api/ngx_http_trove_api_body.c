
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_api.h"
#include "ngx_http_trove_body.h"


/*
 * The body of a call, which is read into memory.  It is read without buffering
 * by NGINX, so that a longer one is neither kept nor written to a file, unless
 * another module has it read.
 */

#define NGX_HTTP_TROVE_API_BODY_MAX  65536


static void ngx_http_trove_api_body_start(ngx_http_request_t *r);
static void ngx_http_trove_api_body_read(ngx_http_request_t *r);
static ngx_int_t ngx_http_trove_api_body_take(ngx_http_trove_api_t *api);


ngx_int_t
ngx_http_trove_api_body(ngx_http_trove_api_t *api,
    ngx_int_t (*ready)(ngx_http_trove_api_t *api))
{
    off_t                len;
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = api->request;
    api->ready = ready;

    len = r->headers_in.content_length_n;

    if (len > NGX_HTTP_TROVE_API_BODY_MAX) {

        /* no "100 Continue": the client need not send it */

        r->expect_tested = 1;
        r->keepalive = 0;

        rc = ngx_http_discard_request_body(r);

        return (rc == NGX_OK)
               ? ngx_http_trove_api_error(r, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                          NGX_HTTP_TROVE_API_BODY_TOO_LARGE)
               : rc;
    }

    api->body_size = (len >= 0) ? (size_t) len : NGX_HTTP_TROVE_API_BODY_MAX;

    api->body.data = ngx_pnalloc(r->pool, api->body_size + 1);
    if (api->body.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_set_ctx(r, api, ngx_http_trove_api_module);

    r->request_body_no_buffering = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_trove_api_body_start);

    return (rc >= NGX_HTTP_SPECIAL_RESPONSE) ? rc : NGX_DONE;
}


static void
ngx_http_trove_api_body_start(ngx_http_request_t *r)
{
    r->read_event_handler = ngx_http_trove_api_body_read;

    ngx_http_trove_api_body_read(r);
}


static void
ngx_http_trove_api_body_read(ngx_http_request_t *r)
{
    ngx_int_t              rc;
    ngx_http_trove_api_t  *api;

    api = ngx_http_get_module_ctx(r, ngx_http_trove_api_module);

    for ( ;; ) {

        rc = ngx_http_trove_api_body_take(api);

        if (rc == NGX_ERROR) {
            rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
            break;
        }

        if (rc != NGX_OK) {

            /* NGINX discards the rest, and closes the connection */

            r->read_event_handler = ngx_http_block_reading;

            rc = ngx_http_trove_api_error(r, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                          NGX_HTTP_TROVE_API_BODY_TOO_LARGE);
            break;
        }

        if (!r->reading_body) {
            r->read_event_handler = ngx_http_block_reading;

            rc = api->ready(api);
            break;
        }

        rc = ngx_http_read_unbuffered_request_body(r);

        if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
            break;
        }

        if (rc == NGX_AGAIN && r->request_body->bufs == NULL) {
            return;
        }
    }

    ngx_http_finalize_request(r, rc);
}


/*
 * NGX_DECLINED: it is too large; NGX_ERROR: a file cannot be read.  Another
 * module, such as mirror, may have had the body read before, to a file.
 */

static ngx_int_t
ngx_http_trove_api_body_take(ngx_http_trove_api_t *api)
{
    off_t                len;
    ngx_chain_t         *cl;
    ngx_http_request_t  *r;

    r = api->request;

    if (r->request_body == NULL) {
        return NGX_OK;
    }

    len = ngx_http_trove_body_length(r);

    if (len > (off_t) (api->body_size - api->body.len)) {
        return NGX_DECLINED;
    }

    if (ngx_http_trove_body_copy(r, api->body.data + api->body.len) == NULL) {
        return NGX_ERROR;
    }

    api->body.len += (size_t) len;

    /* a subrequest may still send a body that has been read before */

    if (!r->reading_body) {
        return NGX_OK;
    }

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
    }

    r->request_body->bufs = NULL;

    return NGX_OK;
}
