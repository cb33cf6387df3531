
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_headers.h"
#include "ngx_http_trove_method.h"
#include "ngx_http_trove_verify_header.h"


static void ngx_http_trove_verify_log_stale(ngx_http_request_t *r,
    ngx_http_trove_verify_loc_conf_t *vlcf, int64_t age);


ngx_http_trove_verdict_e
ngx_http_trove_verify_header(ngx_http_request_t *r,
    ngx_http_trove_verify_loc_conf_t *vlcf, ngx_http_trove_ctx_t *ctx,
    ngx_trove_signature_t *signature)
{
    int64_t           now;
    ngx_int_t         rc;
    ngx_str_t         value;
    static ngx_str_t  name = ngx_string("x-trove-signature");

    if (!ngx_http_trove_method_is_post(r)) {
        ngx_http_trove_method_log(r);

        return NGX_HTTP_TROVE_VERDICT_METHOD;
    }

    if (ngx_http_trove_headers_find(r, &name, &value) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "trove: event refused, malformed: "
                      "more than one X-Trove-Signature");

        return NGX_HTTP_TROVE_VERDICT_MALFORMED;
    }

    rc = ngx_trove_signature_parse(signature, &value);

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "trove: event refused, missing: no X-Trove-Signature");

        return NGX_HTTP_TROVE_VERDICT_MISSING;
    }

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "trove: event refused, malformed: "
                      "X-Trove-Signature is not \"t=SECONDS,v1=HEX\"");

        return NGX_HTTP_TROVE_VERDICT_MALFORMED;
    }

    /* after a redirect, the body may have been received long before */

    now = ctx->received ? ctx->received : ngx_time();

    if (ngx_trove_signature_fresh(signature, now, vlcf->tolerance) != NGX_OK) {
        ngx_http_trove_verify_log_stale(r, vlcf, now - signature->timestamp);

        return NGX_HTTP_TROVE_VERDICT_STALE;
    }

    return NGX_HTTP_TROVE_VERDICT_NONE;
}


ngx_http_trove_verdict_e
ngx_http_trove_verify_age(ngx_http_request_t *r,
    ngx_http_trove_verify_loc_conf_t *vlcf, ngx_http_trove_ctx_t *ctx,
    ngx_trove_signature_t *signature, time_t header)
{
    int64_t  age;

    if (ngx_trove_signature_fresh(signature, ctx->received, vlcf->tolerance)
        == NGX_OK)
    {
        return NGX_HTTP_TROVE_VERDICT_NONE;
    }

    age = ctx->received - signature->timestamp;

    if (age > 0) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "trove: event refused, stale: signed %L s before the "
                      "body was complete, %T s after the header; "
                      "\"trove_tolerance\" is %T s; the client is slow, or "
                      "delays a captured request",
                      age, ctx->received - header, vlcf->tolerance);

    } else {

        /* the clock was set back */

        ngx_http_trove_verify_log_stale(r, vlcf, age);
    }

    return NGX_HTTP_TROVE_VERDICT_STALE;
}


static void
ngx_http_trove_verify_log_stale(ngx_http_request_t *r,
    ngx_http_trove_verify_loc_conf_t *vlcf, int64_t age)
{
    if (age > 0) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "trove: event refused, stale: signed %L s ago, "
                      "\"trove_tolerance\" is %T s; increase it if the sender "
                      "does not sign retries again",
                      age, vlcf->tolerance);

    } else {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "trove: event refused, stale: signed %L s in the future, "
                      "\"trove_tolerance\" is %T s; check the clock",
                      -age, vlcf->tolerance);
    }
}
