
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_body.h"
#include "ngx_http_trove_clock.h"
#include "ngx_http_trove_ctx.h"
#include "ngx_http_trove_headers.h"
#include "ngx_http_trove_method.h"
#include "ngx_http_trove_metrics.h"
#include "ngx_http_trove_module.h"
#include "ngx_http_trove_response.h"
#include "ngx_http_trove_secret.h"
#include "ngx_http_trove_verify_conf.h"
#include "ngx_http_trove_verify_guard.h"
#include "ngx_http_trove_verify_header.h"
#include "ngx_http_trove_verify_log.h"
#include "ngx_http_trove_verify_metrics.h"


/*
 * Reading a clock four times takes a tenth of the time for a small event.
 * Below this size, one of so many events is measured, and represents the
 * others.
 */

#define NGX_HTTP_TROVE_VERIFY_SAMPLE  16
#define NGX_HTTP_TROVE_VERIFY_SMALL   4096


/*
 * The MAC of a request whose header is well formed and fresh:
 *
 *   fed by the body filter --last buffer--> complete --verify--> freed
 *
 * If the filter has not seen the whole body, because another module has read it
 * before, or there is none, the MAC is computed from the body that was kept.
 * Freed with the pool of the request, if not before.
 */

typedef struct {
    ngx_trove_signature_t      signature;
    ngx_trove_mac_t           *mac;
    ngx_http_trove_keys_t      keys;
    time_t                     started;        /* when the header was checked */
    uint64_t                   spent;          /* nanoseconds */
    ngx_uint_t                 weight;         /* of them; 0: not measured */
    unsigned                   fed:1;
    unsigned                   complete:1;
} ngx_http_trove_verify_ctx_t;


static ngx_int_t ngx_http_trove_verify_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_trove_verify_reuse(ngx_http_request_t *r,
    ngx_http_trove_verify_loc_conf_t *vlcf, ngx_http_trove_ctx_t *ctx);
static ngx_int_t ngx_http_trove_verify_start(ngx_http_request_t *r,
    ngx_http_trove_verify_loc_conf_t *vlcf, ngx_trove_signature_t *signature,
    ngx_http_trove_verify_ctx_t **vctx);
static ngx_uint_t ngx_http_trove_verify_weight(ngx_http_request_t *r);
static uint64_t ngx_http_trove_verify_clock(ngx_http_trove_verify_ctx_t *vctx);
static ngx_int_t ngx_http_trove_verify_body(ngx_http_request_t *r,
    ngx_http_trove_verify_loc_conf_t *vlcf, ngx_http_trove_verify_ctx_t *vctx,
    ngx_http_trove_ctx_t *ctx, ngx_http_trove_verdict_e *verdict);
static ngx_int_t ngx_http_trove_verify_mac(ngx_http_request_t *r,
    ngx_http_trove_verify_ctx_t *vctx);
static ngx_int_t ngx_http_trove_verify_feed(void *data, u_char *p, size_t len);
static ngx_int_t ngx_http_trove_verify_conclude(ngx_http_request_t *r,
    ngx_http_trove_verify_loc_conf_t *vlcf, ngx_http_trove_ctx_t *ctx,
    ngx_http_trove_verdict_e verdict);
static void ngx_http_trove_verify_cleanup(void *data);
static ngx_int_t ngx_http_trove_verify_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_trove_verify_header_filter(ngx_http_request_t *r);

static ngx_int_t ngx_http_trove_verify_init(ngx_conf_t *cf);


static ngx_command_t  ngx_http_trove_verify_commands[] = {

    { ngx_string("trove_verify"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_trove_verify,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trove_secret"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_trove_verify_secret,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trove_tolerance"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_trove_verify_tolerance,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trove_verify_status"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_trove_verify_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_trove_verify_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_trove_verify_init,            /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_trove_verify_create_loc_conf, /* create location configuration */
    ngx_http_trove_verify_merge_loc_conf   /* merge location configuration */
};


ngx_module_t  ngx_http_trove_verify_module = {
    NGX_MODULE_V1,
    &ngx_http_trove_verify_module_ctx,     /* module context */
    ngx_http_trove_verify_commands,        /* module directives */
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


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_request_body_filter_pt   ngx_http_next_request_body_filter;


static ngx_int_t
ngx_http_trove_verify_handler(ngx_http_request_t *r)
{
    uint64_t                           start;
    ngx_int_t                          rc;
    ngx_http_trove_ctx_t              *ctx;
    ngx_trove_signature_t              signature;
    ngx_http_trove_verdict_e           verdict;
    ngx_http_trove_verify_ctx_t       *vctx;
    ngx_http_trove_verify_loc_conf_t  *vlcf;

    vlcf = ngx_http_get_module_loc_conf(r, ngx_http_trove_verify_module);

    if (vlcf->mode == NGX_HTTP_TROVE_VERIFY_OFF) {
        return NGX_DECLINED;
    }

    if (r != r->main || r->post_action) {
        return ngx_http_trove_verify_inner(r, vlcf);
    }

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "trove verify handler");

    ctx = ngx_http_trove_ctx_make(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    vctx = ngx_http_get_module_ctx(r, ngx_http_trove_verify_module);

    if (vctx == NULL) {

        rc = ngx_http_trove_verify_reuse(r, vlcf, ctx);
        if (rc != NGX_AGAIN) {
            return rc;
        }

        verdict = ngx_http_trove_verify_header(r, vlcf, ctx, &signature);

        if (verdict == NGX_HTTP_TROVE_VERDICT_NONE) {
            ctx->timestamp = signature.timestamp;

            rc = ngx_http_trove_verify_start(r, vlcf, &signature, &vctx);

            if (rc == NGX_ERROR) {
                return NGX_HTTP_INTERNAL_SERVER_ERROR;
            }

            if (rc == NGX_OK) {
                ctx->secrets_digest.data = vctx->keys.digest;
                ctx->secrets_digest.len = NGX_HTTP_TROVE_SECRET_DIGEST;

            } else {
                ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                              "trove: event refused, no_secret: every "
                              "\"trove_secret\" is empty for this request");

                verdict = NGX_HTTP_TROVE_VERDICT_NO_SECRET;
            }
        }

        if (verdict != NGX_HTTP_TROVE_VERDICT_NONE) {
            return ngx_http_trove_verify_conclude(r, vlcf, ctx, verdict);
        }
    }

    rc = ngx_http_trove_body_read(r, ctx);

    if (rc != NGX_OK) {
        return rc;
    }

    start = ngx_http_trove_verify_clock(vctx);

    rc = ngx_http_trove_verify_body(r, vlcf, vctx, ctx, &verdict);

    /* it is not needed any more */

    ngx_http_trove_verify_cleanup(vctx);
    ngx_http_set_ctx(r, NULL, ngx_http_trove_verify_module);

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (vctx->weight) {
        vctx->spent += ngx_http_trove_verify_clock(vctx) - start;

        ngx_http_trove_metrics_add(r, NGX_HTTP_TROVE_METRIC_VERIFY_NS,
                                   vctx->spent * vctx->weight);
    }

    return ngx_http_trove_verify_conclude(r, vlcf, ctx, verdict);
}


/* uses the verdict from before a redirect; NGX_AGAIN: verify the request */

static ngx_int_t
ngx_http_trove_verify_reuse(ngx_http_request_t *r,
    ngx_http_trove_verify_loc_conf_t *vlcf, ngx_http_trove_ctx_t *ctx)
{
    ngx_trove_signature_t  signature;

    if (ctx->verdict == NGX_HTTP_TROVE_VERDICT_OK
        && ctx->secrets == vlcf->secrets
        && vlcf->secrets->values.nelts == 0)
    {
        signature.timestamp = ctx->timestamp;

        /* the signature does not become older once the body is received */

        if (ngx_trove_signature_fresh(&signature, ctx->received,
                                      vlcf->tolerance)
            == NGX_OK)
        {
            return NGX_DECLINED;
        }
    }

    /*
     * by error_page: there is an error already, and the body may have
     * been discarded
     */

    if (ctx->verdict != NGX_HTTP_TROVE_VERDICT_OK
        && r->err_status >= NGX_HTTP_BAD_REQUEST
        && vlcf->mode == NGX_HTTP_TROVE_VERIFY_ON)
    {
        return r->err_status;
    }

    /* a verdict by other secrets is not valid here */

    ctx->verdict = NGX_HTTP_TROVE_VERDICT_NONE;
    ctx->trusted = 0;

    return NGX_AGAIN;
}


/* NGX_DECLINED: there is no secret */

static ngx_int_t
ngx_http_trove_verify_start(ngx_http_request_t *r,
    ngx_http_trove_verify_loc_conf_t *vlcf, ngx_trove_signature_t *signature,
    ngx_http_trove_verify_ctx_t **vctxp)
{
    ngx_pool_cleanup_t           *cln;
    ngx_http_trove_verify_ctx_t  *vctx;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_trove_verify_ctx_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    vctx = cln->data;

    vctx->signature = *signature;
    vctx->mac = NULL;
    vctx->started = ngx_time();
    vctx->spent = 0;
    vctx->weight = ngx_http_trove_verify_weight(r);
    vctx->fed = 0;
    vctx->complete = 0;
    vctx->keys.nkeys = 0;
    vctx->keys.nshared = 0;

    cln->handler = ngx_http_trove_verify_cleanup;

    if (ngx_http_trove_secret_keys(r, vlcf->secrets, &vctx->keys) != NGX_OK) {
        return NGX_ERROR;
    }

    if (vctx->keys.nkeys == 0) {
        return NGX_DECLINED;
    }

    vctx->mac = ngx_trove_mac_create(vctx->keys.keys, vctx->keys.nkeys,
                                     vctx->signature.text,
                                     vctx->signature.text_len);
    if (vctx->mac == NULL) {
        return NGX_ERROR;
    }

    ngx_http_set_ctx(r, vctx, ngx_http_trove_verify_module);

    *vctxp = vctx;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_trove_verify_weight(ngx_http_request_t *r)
{
    off_t              length;
    static ngx_uint_t  n;                  /* of this process */

    length = r->headers_in.content_length_n;

    if (length == -1 || length >= NGX_HTTP_TROVE_VERIFY_SMALL) {
        return 1;
    }

    return n++ % NGX_HTTP_TROVE_VERIFY_SAMPLE
           ? 0 : NGX_HTTP_TROVE_VERIFY_SAMPLE;
}


static uint64_t
ngx_http_trove_verify_clock(ngx_http_trove_verify_ctx_t *vctx)
{
    return vctx->weight ? ngx_http_trove_clock_nsec() : 0;
}


static ngx_int_t
ngx_http_trove_verify_body(ngx_http_request_t *r,
    ngx_http_trove_verify_loc_conf_t *vlcf, ngx_http_trove_verify_ctx_t *vctx,
    ngx_http_trove_ctx_t *ctx, ngx_http_trove_verdict_e *verdict)
{
    ngx_int_t  rc;

    rc = ngx_http_trove_verify_mac(r, vctx);

    if (rc == NGX_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                      "trove: HMAC-SHA256 of the request body failed");
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {
        ngx_http_trove_verify_log_mismatch(r, vlcf->secrets, &vctx->keys,
                                           &vctx->signature);

        *verdict = NGX_HTTP_TROVE_VERDICT_MISMATCH;
        return NGX_OK;
    }

    /* a body that is sent slowly must not keep a captured signature valid */

    *verdict = ngx_http_trove_verify_age(r, vlcf, ctx, &vctx->signature,
                                         vctx->started);

    if (*verdict != NGX_HTTP_TROVE_VERDICT_NONE) {
        return NGX_OK;
    }

    ctx->secret = ngx_http_trove_secret_place(&vctx->keys,
                                          ngx_trove_mac_matched(vctx->mac));

    /* only now: the parser must not see an unverified body */

    rc = ngx_http_trove_body_parse(r, ctx);

    switch (rc) {

    case NGX_OK:
        ngx_http_trove_verified(r, ctx);

        *verdict = NGX_HTTP_TROVE_VERDICT_OK;
        return NGX_OK;

    case NGX_DECLINED:
        *verdict = NGX_HTTP_TROVE_VERDICT_BAD_JSON;
        break;

    case NGX_ABORT:
        *verdict = NGX_HTTP_TROVE_VERDICT_BAD_EVENT;
        break;

    default:
        return NGX_ERROR;
    }

    ngx_http_trove_verify_log_no_event(r, *verdict, ctx->reason ? ctx->reason
                                                    : "refused earlier");

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_verify_mac(ngx_http_request_t *r,
    ngx_http_trove_verify_ctx_t *vctx)
{
    ngx_int_t  rc;

    if (!vctx->complete) {

        if (vctx->fed) {
            ngx_trove_mac_destroy(vctx->mac);

            vctx->mac = ngx_trove_mac_create(vctx->keys.keys, vctx->keys.nkeys,
                                             vctx->signature.text,
                                             vctx->signature.text_len);
            if (vctx->mac == NULL) {
                return NGX_ERROR;
            }
        }

        rc = ngx_http_trove_body_walk(r, ngx_http_trove_verify_feed,
                                      vctx->mac);
        if (rc != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return ngx_trove_mac_verify(vctx->mac, &vctx->signature);
}


static ngx_int_t
ngx_http_trove_verify_feed(void *data, u_char *p, size_t len)
{
    return ngx_trove_mac_update(data, p, len);
}


static ngx_int_t
ngx_http_trove_verify_conclude(ngx_http_request_t *r,
    ngx_http_trove_verify_loc_conf_t *vlcf, ngx_http_trove_ctx_t *ctx,
    ngx_http_trove_verdict_e verdict)
{
    ngx_str_t  json;

    ctx->verdict = verdict;
    ctx->secrets = vlcf->secrets;

    ngx_http_trove_verify_count(r, ctx);

    if (verdict == NGX_HTTP_TROVE_VERDICT_OK) {
        ctx->trusted = 1;

        if (ngx_http_trove_headers_set_event(r, &ctx->event) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return NGX_DECLINED;
    }

    if (vlcf->mode == NGX_HTTP_TROVE_VERIFY_LOG) {
        return NGX_DECLINED;
    }

    if (verdict == NGX_HTTP_TROVE_VERDICT_METHOD) {
        return ngx_http_trove_method_refuse(r, ctx);
    }

    if (ngx_http_trove_response_json(r, &json, "\"error\":",
                                     ngx_http_trove_verdict_name(verdict), "")
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_trove_response(r, vlcf->status, &json, 0);
}


static void
ngx_http_trove_verify_cleanup(void *data)
{
    ngx_http_trove_verify_ctx_t *vctx = data;

    ngx_trove_mac_destroy(vctx->mac);
    vctx->mac = NULL;

    ngx_http_trove_secret_free(&vctx->keys);
}


static ngx_int_t
ngx_http_trove_verify_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    uint64_t                      start;
    ngx_buf_t                    *b;
    ngx_chain_t                  *cl;
    ngx_http_trove_verify_ctx_t  *vctx;

    /* also if another module reads it: a redirect may lead here afterwards */

    for (cl = in; cl; cl = cl->next) {
        if (cl->buf->last_buf) {
            ngx_http_trove_body_received(r);
        }
    }

    vctx = ngx_http_get_module_ctx(r, ngx_http_trove_verify_module);

    if (vctx && vctx->mac && !vctx->complete) {

        start = ngx_http_trove_verify_clock(vctx);

        for (cl = in; cl; cl = cl->next) {
            b = cl->buf;

            if (ngx_buf_in_memory(b) && b->last > b->pos) {

                /* an error is returned at the end */

                (void) ngx_trove_mac_update(vctx->mac, b->pos,
                                            b->last - b->pos);
                vctx->fed = 1;
            }

            if (b->last_buf) {
                vctx->complete = 1;
            }
        }

        vctx->spent += ngx_http_trove_verify_clock(vctx) - start;
    }

    return ngx_http_next_request_body_filter(r, in);
}


/*
 * A "return", a "rewrite", or an error_page with its own status may respond
 * before the request is verified.  A sender, whose method is POST, would
 * conclude from a 2xx that the event was accepted.
 */

static ngx_int_t
ngx_http_trove_verify_header_filter(ngx_http_request_t *r)
{
    ngx_http_trove_ctx_t              *ctx;
    ngx_http_trove_verify_loc_conf_t  *vlcf;

    vlcf = ngx_http_get_module_loc_conf(r, ngx_http_trove_verify_module);

    if (r == r->main
        && vlcf->mode == NGX_HTTP_TROVE_VERIFY_ON
        && r->headers_out.status >= NGX_HTTP_OK
        && r->headers_out.status < NGX_HTTP_SPECIAL_RESPONSE)
    {
        ctx = ngx_http_trove_ctx_find(r);

        if ((ctx == NULL || ctx->verdict == NGX_HTTP_TROVE_VERDICT_NONE)
            && ngx_http_trove_method_is_post(r))
        {
            ngx_http_trove_metrics_add(r, NGX_HTTP_TROVE_METRIC_UNVERIFIED, 1);

            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "trove: response %ui was sent without verification "
                          "from a location with \"trove_verify on\"; check for "
                          "\"return\", \"rewrite\", and \"error_page\"",
                          r->headers_out.status);
        }
    }

    return ngx_http_next_header_filter(r);
}


static ngx_int_t
ngx_http_trove_verify_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    if (ngx_http_trove_verify_check(cf) != NGX_OK
        || ngx_http_trove_verify_metrics_init(cf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_trove_verify_handler;

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_trove_verify_header_filter;

    ngx_http_next_request_body_filter = ngx_http_top_request_body_filter;
    ngx_http_top_request_body_filter = ngx_http_trove_verify_body_filter;

    return NGX_OK;
}
