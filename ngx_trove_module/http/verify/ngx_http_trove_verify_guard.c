
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <openssl/crypto.h>

#include "ngx_http_trove_compat.h"
#include "ngx_http_trove_delivery.h"
#include "ngx_http_trove_response.h"
#include "ngx_http_trove_verify_guard.h"


static ngx_uint_t ngx_http_trove_verify_verified(ngx_http_request_t *r,
    ngx_http_trove_verify_loc_conf_t *vlcf);
static ngx_uint_t ngx_http_trove_verify_same(ngx_http_request_t *r,
    ngx_http_trove_secrets_t *secrets, ngx_str_t *whose);


/*
 * By the request line: error_page and X-Accel-Redirect make a GET of r->method
 * and of r->method_name.  All versions of HTTP have one, and none in which a
 * method in lower case is a POST.  A request that NGINX could not read may have
 * none.
 */

ngx_uint_t
ngx_http_trove_verify_post(ngx_http_request_t *r)
{
    ngx_str_t  *line;

    line = &r->main->request_line;

    return line->len > sizeof("POST ") - 1
           && ngx_memcmp(line->data, "POST ", sizeof("POST ") - 1) == 0;
}


void
ngx_http_trove_verify_log_method(ngx_http_request_t *r)
{
    u_char     *p, *last;
    ngx_str_t   method;

    method = r->main->request_line;
    last = method.data + method.len;

    p = ngx_strlchr(method.data, last, ' ');

    if (p) {
        method.len = p - method.data;
    }

    /* whoever looks whether an endpoint is there makes no mistake */

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "trove: event refused, method: \"%V\" is not POST", &method);
}


ngx_int_t
ngx_http_trove_verify_refuse_method(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx)
{
    ngx_table_elt_t  *h;

    static ngx_str_t  json = ngx_string("{\"error\":\"method\"}");

    if (!ctx->allow) {

        h = ngx_list_push(&r->headers_out.headers);
        if (h == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        h->hash = 1;
        ngx_http_trove_header_end(h);
        ngx_str_set(&h->key, "Allow");
        ngx_str_set(&h->value, "POST");

        /* an error_page may lead to another location that refuses */

        ctx->allow = 1;
    }

    return ngx_http_trove_answer(r, NGX_HTTP_NOT_ALLOWED, &json, 0);
}


ngx_int_t
ngx_http_trove_verify_inner(ngx_http_request_t *r,
    ngx_http_trove_verify_loc_conf_t *vlcf)
{
    ngx_http_core_loc_conf_t  *clcf;

    /*
     * What is in force for a whole server is not meant for the subrequests of
     * what it has let pass.  A post_action is the main request itself.
     */

    if (r != r->main && !vlcf->own) {
        return NGX_DECLINED;
    }

    if (ngx_http_trove_verify_verified(r, vlcf)) {
        return NGX_DECLINED;
    }

    /* and not the URI, which may be a stranger's, with a line end in it */

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (r != r->main) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "trove: subrequest \"%V\" refused: \"trove_verify\" is "
                      "set in its location, and its main request has not been "
                      "verified with the same secrets; set it in the location "
                      "of the main request, and not here", &clcf->name);

    } else {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "trove: post_action \"%V\" refused: \"trove_verify\" is "
                      "set for its location, and the request was answered "
                      "without being verified with the same secrets; set it in "
                      "the location with \"post_action\"", &clcf->name);
    }

    if (vlcf->mode == NGX_HTTP_TROVE_VERIFY_LOG) {
        return NGX_DECLINED;
    }

    if (r != r->main) {
        return NGX_HTTP_FORBIDDEN;
    }

    /* there is an answer already: the request just ends */

    ngx_http_finalize_request(r, NGX_OK);

    return NGX_DONE;
}


static ngx_uint_t
ngx_http_trove_verify_verified(ngx_http_request_t *r,
    ngx_http_trove_verify_loc_conf_t *vlcf)
{
    ngx_http_trove_ctx_t   *ctx;
    ngx_trove_signature_t   signature;

    ctx = ngx_http_trove_ctx_find(r);

    if (ctx == NULL) {
        return 0;
    }

    /* "trove_verify log" delivers what is not genuine, too */

    if (ctx->published && ngx_http_trove_delivery_find(r)) {
        return 1;
    }

    if (ctx->verdict != NGX_HTTP_TROVE_VERDICT_OK
        || ctx->secrets != vlcf->secrets)
    {
        return 0;
    }

    signature.timestamp = ctx->timestamp;

    if (ngx_trove_signature_fresh(&signature, ctx->received, vlcf->tolerance)
        != NGX_OK)
    {
        return 0;
    }

    return ngx_http_trove_verify_same(r, vlcf->secrets, &ctx->whose);
}


/* whether the variables in secrets give what they gave before */

static ngx_uint_t
ngx_http_trove_verify_same(ngx_http_request_t *r,
    ngx_http_trove_secrets_t *secrets, ngx_str_t *whose)
{
    ngx_uint_t             same;
    ngx_http_trove_keys_t  keys;

    if (secrets->values.nelts == 0) {
        return 1;
    }

    same = ngx_http_trove_secret_keys(r, secrets, &keys) == NGX_OK
           && whose->len == NGX_HTTP_TROVE_SECRET_DIGEST
           && CRYPTO_memcmp(keys.digest, whose->data, whose->len) == 0;

    ngx_http_trove_secret_free(&keys);

    return same;
}
