
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_delivery.h"
#include "ngx_http_trove_module.h"
#include "ngx_http_trove_upstream.h"


/* by these, a target could direct NGINX, and redirect the event elsewhere */
#define NGX_HTTP_TROVE_UPSTREAM_IGNORE  (NGX_HTTP_UPSTREAM_IGN_XA_REDIRECT    \
                                         |NGX_HTTP_UPSTREAM_IGN_XA_EXPIRES    \
                                         |NGX_HTTP_UPSTREAM_IGN_XA_LIMIT_RATE \
                                         |NGX_HTTP_UPSTREAM_IGN_XA_BUFFERING  \
                                         |NGX_HTTP_UPSTREAM_IGN_XA_CHARSET)


/* a request that belongs to a delivery, in a location with a content handler */
typedef struct {
    ngx_http_handler_pt       handler;         /* of the location */
    ngx_http_upstream_conf_t  conf;            /* for its upstream */
} ngx_http_trove_upstream_ctx_t;


static ngx_int_t ngx_http_trove_upstream_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_trove_upstream_content(ngx_http_request_t *r);
static ngx_http_trove_upstream_ctx_t *ngx_http_trove_upstream_clone(
    ngx_http_request_t *r);
static ngx_uint_t ngx_http_trove_upstream_inherits(ngx_http_request_t *r);
static ngx_int_t ngx_http_trove_upstream_init(ngx_conf_t *cf);


static ngx_http_module_t  ngx_http_trove_upstream_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_trove_upstream_init,          /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_trove_upstream_module = {
    NGX_MODULE_V1,
    &ngx_http_trove_upstream_module_ctx,   /* module context */
    NULL,                                  /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/*
 * Also called for subrequests that a script in a target creates, and again
 * after a redirect.
 */

static ngx_int_t
ngx_http_trove_upstream_handler(ngx_http_request_t *r)
{
    ngx_http_trove_upstream_ctx_t  *ctx;

    if (!ngx_http_trove_is_delivery(r)) {
        return NGX_DECLINED;
    }

    if (ngx_http_trove_upstream_inherits(r)) {
        r->error_page = 1;
    }

    if (r->content_handler == NULL) {
        return NGX_DECLINED;
    }

    ctx = ngx_palloc(r->pool, sizeof(ngx_http_trove_upstream_ctx_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->handler = r->content_handler;

    ngx_http_set_ctx(r, ctx, ngx_http_trove_upstream_module);

    r->content_handler = ngx_http_trove_upstream_content;

    return NGX_DECLINED;
}


/*
 * The upstream has been created when the handler of the location returns, and
 * its response has not yet been read: NGINX does not read from a connection
 * before an event says that there is something to read.
 */

static ngx_int_t
ngx_http_trove_upstream_content(ngx_http_request_t *r)
{
    ngx_int_t                       rc;
    ngx_http_upstream_t            *u;
    ngx_http_trove_upstream_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_trove_upstream_module);

    if (ctx == NULL) {
        ctx = ngx_http_trove_upstream_clone(r);
        if (ctx == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    rc = ctx->handler(r);

    if (ngx_http_get_module_ctx(r, ngx_http_trove_upstream_module) != ctx) {

        /* redirected in the meantime */

        return rc;
    }

    u = r->upstream;

    if (u == NULL || u->conf == NULL || u->conf == &ctx->conf) {
        return rc;
    }

    /* a copy, because the configuration is that of all requests */

    ctx->conf = *u->conf;
    ctx->conf.ignore_headers |= NGX_HTTP_TROVE_UPSTREAM_IGNORE;

    if (r->error_page) {

        /* there is no page to send in place of the response */

        ctx->conf.intercept_errors = 0;
    }

    u->conf = &ctx->conf;

    return rc;
}


/*
 * A subrequest that is a clone, as for the background update of a cache, begins
 * with the content handler of its parent.
 */

static ngx_http_trove_upstream_ctx_t *
ngx_http_trove_upstream_clone(ngx_http_request_t *r)
{
    ngx_http_trove_upstream_ctx_t  *ctx, *parent;

    parent = ngx_http_get_module_ctx(r->parent, ngx_http_trove_upstream_module);
    if (parent == NULL) {
        return NULL;
    }

    ctx = ngx_palloc(r->pool, sizeof(ngx_http_trove_upstream_ctx_t));
    if (ctx == NULL) {
        return NULL;
    }

    ctx->handler = parent->handler;

    ngx_http_set_ctx(r, ctx, ngx_http_trove_upstream_module);

    return ctx;
}


/* returns 1 if the error pages of a location are those of its server */

static ngx_uint_t
ngx_http_trove_upstream_inherits(ngx_http_request_t *r)
{
    ngx_http_core_loc_conf_t  *clcf, *server;
    ngx_http_core_srv_conf_t  *cscf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->error_pages == NULL) {
        return 0;
    }

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);
    server = cscf->ctx->loc_conf[ngx_http_core_module.ctx_index];

    return clcf->error_pages == server->error_pages;
}


void
ngx_http_trove_upstream_failed(ngx_http_trove_delivery_t *d,
    ngx_http_request_t *sr, ngx_int_t rc)
{
    if (rc < NGX_HTTP_SPECIAL_RESPONSE) {

        /* 201 and 204 are sent in the same way as errors */

        return;
    }

    d->failure = rc;
    d->failed = sr->upstream;

    if (ngx_http_trove_upstream_inherits(sr)) {
        sr->error_page = 1;
    }
}


ngx_uint_t
ngx_http_trove_upstream_status(ngx_http_trove_delivery_t *d,
    ngx_http_request_t *sr, ngx_uint_t status)
{
    ngx_uint_t            own;
    ngx_http_upstream_t  *u;

    if (status < NGX_HTTP_OK || status >= NGX_HTTP_SPECIAL_RESPONSE) {
        return status;
    }

    u = sr->upstream;

    if (d->failure && (u == NULL || u == d->failed || !u->header_sent)) {

        /* no other server than the one that has failed has responded */

        return d->failure;
    }

    if (u == NULL) {
        return status;
    }

#if (NGX_HTTP_CACHE)

    if (sr->cached) {
        ngx_log_error(NGX_LOG_ERR, sr->connection->log, 0,
                      "trove: the response for target \"%V\" is from a cache "
                      "and does not count as its own, use \"proxy_cache off\"",
                      &d->target->name);

        return NGX_HTTP_BAD_GATEWAY;
    }

#endif

    own = u->headers_in.status_n;

    if (u->header_sent && own >= NGX_HTTP_SPECIAL_RESPONSE) {
        return own;
    }

    return status;
}


static ngx_int_t
ngx_http_trove_upstream_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_trove_upstream_handler;

    return NGX_OK;
}
