
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <openssl/crypto.h>

#include "ngx_http_trove_module.h"
#include "ngx_http_trove_verify_guard.h"


static ngx_uint_t ngx_http_trove_verify_verified(ngx_http_request_t *r,
    ngx_http_trove_verify_loc_conf_t *vlcf);
static ngx_uint_t ngx_http_trove_verify_same(ngx_http_request_t *r,
    ngx_http_trove_secrets_t *secrets, ngx_str_t *digest);


ngx_int_t
ngx_http_trove_verify_inner(ngx_http_request_t *r,
    ngx_http_trove_verify_loc_conf_t *vlcf)
{
    ngx_http_core_loc_conf_t  *clcf;

    /*
     * The setting of a server is not for subrequests of requests that were
     * accepted.  A post_action is the main request itself.
     */

    if (r != r->main && !vlcf->own) {
        return NGX_DECLINED;
    }

    if (ngx_http_trove_verify_verified(r, vlcf)) {
        return NGX_DECLINED;
    }

    /* the client may choose the URI, which may contain a line feed */

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (r != r->main) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "trove: subrequest \"%V\" refused: \"trove_verify\" is "
                      "set in its location, but the main request was not "
                      "verified with the same secrets; set it in the location "
                      "of the main request instead", &clcf->name);

    } else {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "trove: post_action \"%V\" refused: \"trove_verify\" is "
                      "set in its location, but the request was not verified "
                      "with the same secrets; set it in the location with "
                      "\"post_action\" instead", &clcf->name);
    }

    if (vlcf->mode == NGX_HTTP_TROVE_VERIFY_LOG) {
        return NGX_DECLINED;
    }

    if (r != r->main) {
        return NGX_HTTP_FORBIDDEN;
    }

    /* the response has been sent: the request ends */

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

    /* with "trove_verify log", events that are not genuine are delivered too */

    if (ctx->trusted && ngx_http_trove_is_delivery(r)) {
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

    return ngx_http_trove_verify_same(r, vlcf->secrets, &ctx->secrets_digest);
}


/* whether the variables in secrets have the same values as before */

static ngx_uint_t
ngx_http_trove_verify_same(ngx_http_request_t *r,
    ngx_http_trove_secrets_t *secrets, ngx_str_t *digest)
{
    ngx_uint_t             same;
    ngx_http_trove_keys_t  keys;

    if (secrets->values.nelts == 0) {
        return 1;
    }

    same = ngx_http_trove_secret_keys(r, secrets, &keys) == NGX_OK
           && digest->len == NGX_HTTP_TROVE_SECRET_DIGEST
           && CRYPTO_memcmp(keys.digest, digest->data, digest->len) == 0;

    ngx_http_trove_secret_free(&keys);

    return same;
}
