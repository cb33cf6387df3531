
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_body.h"
#include "ngx_http_trove_ctx.h"
#include "ngx_http_trove_delivery.h"
#include "ngx_http_trove_fanout.h"
#include "ngx_http_trove_fanout_conf.h"
#include "ngx_http_trove_health_log.h"
#include "ngx_http_trove_method.h"
#include "ngx_http_trove_metrics.h"
#include "ngx_http_trove_module.h"
#include "ngx_http_trove_response.h"
#include "ngx_http_trove_spool.h"


static ngx_int_t ngx_http_trove_fanout_response(ngx_http_request_t *r,
    ngx_http_trove_fanout_t *fanout);


/*
 * Reads and parses the body before the content handler runs, in a location
 * without verification, or if "trove_verify log" has accepted an event without
 * a valid signature.
 */

ngx_int_t
ngx_http_trove_fanout_event(ngx_http_request_t *r)
{
    ngx_int_t                          rc;
    ngx_str_t                          json;
    ngx_uint_t                         mode;
    ngx_http_trove_ctx_t              *ctx;
    ngx_http_trove_loc_conf_t         *tlcf;

    static ngx_str_t  bad_json = ngx_string("bad_json");
    static ngx_str_t  bad_event = ngx_string("bad_event");

    if (r != r->main) {
        ngx_http_trove_delivery_length(r);
        return NGX_DECLINED;
    }

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_trove_module);

    if (tlcf->targets == NULL) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_trove_ctx_make(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    mode = tlcf->verify;

    if (mode == NGX_HTTP_TROVE_VERIFY_ON) {
        return NGX_DECLINED;
    }

    /* deliveries are POSTs: another method must not be turned into one */

    if (!ngx_http_trove_method_is_post(r)) {

        if (mode == NGX_HTTP_TROVE_VERIFY_OFF) {
            ngx_http_trove_method_log(r);
        }

        return ngx_http_trove_method_refuse(r, ctx);
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

        if (mode == NGX_HTTP_TROVE_VERIFY_OFF) {
            ctx->trusted = 1;
        }

        return NGX_DECLINED;
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "trove: the request body is not an event and cannot be "
                  "fanned out: %s", ctx->reason);

    if (ngx_http_trove_response_json(r, &json, "\"error\":",
                                     (rc == NGX_ABORT) ? &bad_event : &bad_json,
                                     "")
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_trove_response(r, NGX_HTTP_BAD_REQUEST, &json, 0);
}


ngx_int_t
ngx_http_trove_fanout_handler(ngx_http_request_t *r)
{
    ngx_int_t                          rc;
    ngx_http_trove_ctx_t              *ctx;
    ngx_http_trove_fanout_loc_conf_t  *flcf;

    ctx = ngx_http_trove_ctx_find(r);

    if (r != r->main || ctx == NULL || ctx->parsed != NGX_OK) {

        /* a subrequest, or an error_page of a location without an event */

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "trove: a location with \"trove_fanout\" was reached by "
                      "a subrequest or without an event");

        return ngx_http_trove_response_failure(r,
                                             NGX_HTTP_INTERNAL_SERVER_ERROR);
    }

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "trove fanout handler");

    flcf = ngx_http_get_module_loc_conf(r, ngx_http_trove_fanout_module);

    /*
     * Events from the spool are trusted and signed.  Events that "trove_verify
     * log" has accepted without a valid signature must not be.
     */

    if (flcf->route && ctx->trusted) {
        return ngx_http_trove_spool_accept(r, ctx, flcf->route);
    }

    rc = ngx_http_trove_fanout_start(r, ctx, flcf->targets,
                                     ngx_http_trove_fanout_response);

    if (rc == NGX_ERROR) {
        return ngx_http_trove_response_failure(r,
                                             NGX_HTTP_INTERNAL_SERVER_ERROR);
    }

    if (rc == NGX_OK) {
        return ngx_http_trove_fanout_response(r, ctx->fanout);
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_http_trove_fanout_response(ngx_http_request_t *r,
    ngx_http_trove_fanout_t *fanout)
{
    ngx_str_t   json;
    ngx_uint_t  succeeded;

    succeeded = ngx_http_trove_fanout_end(fanout);

    ngx_http_trove_metrics_add(r, succeeded ? NGX_HTTP_TROVE_METRIC_DELIVERED
                                        : NGX_HTTP_TROVE_METRIC_PARTIAL, 1);

    if (fanout->ndeliveries == 0) {
        ngx_http_trove_metrics_add(r, NGX_HTTP_TROVE_METRIC_UNMATCHED, 1);

        ngx_http_trove_health_unmatched(r, &fanout->ctx->event.id);
    }

    if (ngx_http_trove_fanout_json(fanout, succeeded ? "delivered" : "partial",
                                   &json)
        != NGX_OK)
    {
        return ngx_http_trove_response_failure(r,
                                             NGX_HTTP_INTERNAL_SERVER_ERROR);
    }

    return ngx_http_trove_response_content(r,
                              succeeded ? NGX_HTTP_OK : NGX_HTTP_BAD_GATEWAY,
                              &json, 0);
}
