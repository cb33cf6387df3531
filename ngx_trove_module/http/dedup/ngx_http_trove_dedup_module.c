
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_body.h"
#include "ngx_http_trove_claim.h"
#include "ngx_http_trove_ctx.h"
#include "ngx_http_trove_dedup_conf.h"
#include "ngx_http_trove_dedup_key.h"
#include "ngx_http_trove_dedup_metrics.h"
#include "ngx_http_trove_dedup_zone.h"
#include "ngx_http_trove_method.h"
#include "ngx_http_trove_metrics.h"
#include "ngx_http_trove_module.h"
#include "ngx_http_trove_response.h"
#include "ngx_http_trove_variables.h"


/* Retry-After, seconds */
#define NGX_HTTP_TROVE_DEDUP_RETRY_INFLIGHT  5
#define NGX_HTTP_TROVE_DEDUP_RETRY_FULL      10


static ngx_int_t ngx_http_trove_dedup_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_trove_dedup_event(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx);
static ngx_int_t ngx_http_trove_dedup_response(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx, ngx_http_trove_dedup_loc_conf_t *dlcf,
    ngx_trove_zone_claim_e result);
static ngx_int_t ngx_http_trove_dedup_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_trove_dedup_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);

static ngx_int_t ngx_http_trove_dedup_add_variables(ngx_conf_t *cf);
static ngx_int_t ngx_http_trove_dedup_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_trove_dedup_init_process(ngx_cycle_t *cycle);
static void ngx_http_trove_dedup_exit_process(ngx_cycle_t *cycle);


static ngx_command_t  ngx_http_trove_dedup_commands[] = {

    { ngx_string("trove_dedup_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_trove_dedup_zone,
      0,
      0,
      NULL },

    { ngx_string("trove_dedup"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_trove_dedup,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_trove_dedup_module_ctx = {
    ngx_http_trove_dedup_add_variables,    /* preconfiguration */
    ngx_http_trove_dedup_init,             /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_trove_dedup_create_loc_conf,  /* create location configuration */
    ngx_http_trove_dedup_merge_loc_conf    /* merge location configuration */
};


ngx_module_t  ngx_http_trove_dedup_module = {
    NGX_MODULE_V1,
    &ngx_http_trove_dedup_module_ctx,      /* module context */
    ngx_http_trove_dedup_commands,         /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_trove_dedup_zone_init_module, /* init module */
    ngx_http_trove_dedup_init_process,     /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_trove_dedup_exit_process,     /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_http_variable_t  ngx_http_trove_dedup_variables[] = {

    { ngx_string("trove_dedup"), NULL, ngx_http_trove_dedup_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


static ngx_http_trove_dedup_e  ngx_http_trove_dedup_outcomes[] = {
    NGX_HTTP_TROVE_DEDUP_NEW,                  /* NGX_TROVE_ZONE_NEW */
    NGX_HTTP_TROVE_DEDUP_INFLIGHT,             /* NGX_TROVE_ZONE_INFLIGHT */
    NGX_HTTP_TROVE_DEDUP_DUPLICATE,            /* NGX_TROVE_ZONE_DONE */
    NGX_HTTP_TROVE_DEDUP_FULL                  /* NGX_TROVE_ZONE_FULL */
};


static ngx_str_t  ngx_http_trove_dedup_names[] = {
    ngx_null_string,
    ngx_string("new"),
    ngx_string("duplicate"),
    ngx_string("inflight"),
    ngx_null_string                            /* full: the key is unknown */
};


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;


static ngx_int_t
ngx_http_trove_dedup_handler(ngx_http_request_t *r)
{
    ngx_int_t                         rc;
    ngx_http_trove_ctx_t             *ctx;
    ngx_trove_zone_claim_e            result;
    ngx_http_trove_dedup_op_t         op;
    ngx_http_trove_dedup_loc_conf_t  *dlcf;

    dlcf = ngx_http_get_module_loc_conf(r, ngx_http_trove_dedup_module);

    /* the response of a post_action is not sent: it must complete no claim */

    if (r != r->main || r->post_action || !dlcf->enable) {
        return NGX_DECLINED;
    }

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "trove dedup handler");

    ctx = ngx_http_trove_ctx_make(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->dedup != NGX_HTTP_TROVE_DEDUP_NONE
        && ctx->dedup != NGX_HTTP_TROVE_DEDUP_NEW)
    {
        /* an error_page for the response of this module */

        return NGX_DECLINED;
    }

    rc = ngx_http_trove_claim_resume(ctx, &result);

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (rc == NGX_OK) {
        return ngx_http_trove_dedup_response(r, ctx, dlcf, result);
    }

    rc = ngx_http_trove_dedup_event(r, ctx);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_trove_dedup_key(r, dlcf, ctx, &op.key);

    if (rc != NGX_OK) {
        return rc == NGX_ERROR ? NGX_HTTP_INTERNAL_SERVER_ERROR : rc;
    }

    op.store = ngx_http_trove_dedup_zone_store(dlcf->shm_zone);
    op.lease = dlcf->lease;
    op.ttl = dlcf->ttl;

    rc = ngx_http_trove_claim_take(r, ctx, &op, &result);

    if (rc != NGX_OK) {
        return rc == NGX_ERROR ? NGX_HTTP_INTERNAL_SERVER_ERROR : rc;
    }

    return ngx_http_trove_dedup_response(r, ctx, dlcf, result);
}


/* NGX_OK: there may be a key; otherwise the phase handler returns the code */

static ngx_int_t
ngx_http_trove_dedup_event(ngx_http_request_t *r, ngx_http_trove_ctx_t *ctx)
{
    ngx_int_t                   rc;
    ngx_http_trove_loc_conf_t  *tlcf;

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_trove_module);

    if (tlcf->verify != NGX_HTTP_TROVE_VERIFY_OFF) {

        /*
         * "log" accepts an unverified event, which anyone may send: it must
         * not make the genuine one a duplicate
         */

        return ctx->verdict == NGX_HTTP_TROVE_VERDICT_OK ? NGX_OK
                                                         : NGX_DECLINED;
    }

    /* the response to a GET must not complete the event of a POST */

    if (!ngx_http_trove_method_is_post(r)) {
        return NGX_OK;
    }

    rc = ngx_http_trove_body_read(r, ctx);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_trove_body_parse(r, ctx);
    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_OK) {
        ctx->trusted = 1;

    } else {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "trove: the request body is not an event: %s",
                      ctx->reason);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_dedup_response(ngx_http_request_t *r, ngx_http_trove_ctx_t *ctx,
    ngx_http_trove_dedup_loc_conf_t *dlcf, ngx_trove_zone_claim_e result)
{
    ngx_str_t         json;
    static ngx_str_t  inflight = ngx_string("{\"error\":\"inflight\"}");
    static ngx_str_t  full = ngx_string("{\"error\":\"zone_full\"}");

    ctx->dedup = ngx_http_trove_dedup_outcomes[result];

    ngx_http_trove_metrics_add(r, NGX_HTTP_TROVE_METRIC_DEDUP + ctx->dedup, 1);

    switch (result) {

    case NGX_TROVE_ZONE_NEW:
        return NGX_DECLINED;

    case NGX_TROVE_ZONE_DONE:

        if (ngx_http_trove_response_json(r, &json,
                                         "\"status\":\"duplicate\",\"id\":",
                                         &ctx->event.id, "")
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_trove_response(r, NGX_HTTP_OK, &json, 0);

    case NGX_TROVE_ZONE_INFLIGHT:
        return ngx_http_trove_response(r, NGX_HTTP_CONFLICT, &inflight,
                                       NGX_HTTP_TROVE_DEDUP_RETRY_INFLIGHT);

    default: /* NGX_TROVE_ZONE_FULL */
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "trove: zone \"%V\" is full: too many events are being "
                      "processed at once; increase its size",
                      &dlcf->shm_zone->shm.name);

        return ngx_http_trove_response(r, NGX_HTTP_SERVICE_UNAVAILABLE, &full,
                                       NGX_HTTP_TROVE_DEDUP_RETRY_FULL);
    }
}


/*
 * Before the response is sent: a client that receives it, and sends the event
 * again at once, must find the event completed.
 */

static ngx_int_t
ngx_http_trove_dedup_header_filter(ngx_http_request_t *r)
{
    ngx_uint_t             done;
    ngx_http_trove_ctx_t  *ctx;

    if (r == r->main) {
        ctx = ngx_http_trove_ctx_find(r);

        if (ctx && !ngx_queue_empty(&ctx->claims)) {
            done = r->headers_out.status >= NGX_HTTP_OK
                   && r->headers_out.status < NGX_HTTP_SPECIAL_RESPONSE;

            ngx_http_trove_claim_settle(ctx, r->connection->log, done);
        }
    }

    return ngx_http_next_header_filter(r);
}


static ngx_int_t
ngx_http_trove_dedup_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t             *name;
    ngx_http_trove_ctx_t  *ctx;

    ctx = ngx_http_trove_ctx_find(r);

    if (ctx == NULL || ctx->dedup == NGX_HTTP_TROVE_DEDUP_NONE) {
        return ngx_http_trove_variable_none(v);
    }

    name = &ngx_http_trove_dedup_names[ctx->dedup];

    return ngx_http_trove_variable_set(v, name->data, name->len);
}


static ngx_int_t
ngx_http_trove_dedup_add_variables(ngx_conf_t *cf)
{
    return ngx_http_trove_variables_add(cf, ngx_http_trove_dedup_variables);
}


static ngx_int_t
ngx_http_trove_dedup_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    if (ngx_http_trove_dedup_scopes(cf) != NGX_OK
        || ngx_http_trove_dedup_metrics_init(cf) != NGX_OK
        || ngx_http_trove_on_verified(cf, ngx_http_trove_dedup_prefetch)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_trove_dedup_handler;

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_trove_dedup_header_filter;

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_dedup_init_process(ngx_cycle_t *cycle)
{
    ngx_http_trove_claim_init(cycle);
    ngx_http_trove_dedup_zone_init_process(cycle);

    return NGX_OK;
}


static void
ngx_http_trove_dedup_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_trove_claim_exit();
    ngx_http_trove_dedup_zone_exit_process(cycle);
}
