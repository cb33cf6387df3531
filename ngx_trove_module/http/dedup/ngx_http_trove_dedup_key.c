
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <openssl/sha.h>

#include "ngx_http_trove_ctx.h"
#include "ngx_http_trove_dedup.h"
#include "ngx_http_trove_dedup_key.h"
#include "ngx_http_trove_dedup_zone.h"
#include "ngx_http_trove_module.h"


static ngx_int_t ngx_http_trove_dedup_key_name(ngx_http_request_t *r,
    ngx_http_trove_dedup_loc_conf_t *dlcf, ngx_http_trove_ctx_t *ctx,
    ngx_str_t *name);


void
ngx_http_trove_dedup_prefetch(ngx_http_request_t *r, ngx_http_trove_ctx_t *ctx)
{
    u_char                           *p;
    u_char                            name[NGX_HTTP_TROVE_DEDUP_SCOPE
                                           + NGX_TROVE_EVENT_ID_MAX];
    ngx_http_trove_dedup_store_t     *store;
    ngx_http_trove_dedup_loc_conf_t  *dlcf;

    dlcf = ngx_http_get_module_loc_conf(r, ngx_http_trove_dedup_module);

    if (!dlcf->enable || dlcf->key || dlcf->varies) {
        return;
    }

    /* the same key as below, which has no other parts */

    p = ngx_cpymem(name, dlcf->scope, NGX_HTTP_TROVE_DEDUP_SCOPE);
    p = ngx_cpymem(p, ctx->event.id.data, ctx->event.id.len);

    store = ngx_http_trove_dedup_zone_store(dlcf->shm_zone);

    store->actions->key(store->data, name, p - name, &ctx->key);
    store->actions->prefetch(store->data, &ctx->key);

    ctx->prefetched = dlcf;
}


ngx_int_t
ngx_http_trove_dedup_key(ngx_http_request_t *r,
    ngx_http_trove_dedup_loc_conf_t *dlcf, ngx_http_trove_ctx_t *ctx,
    ngx_http_trove_key_t *key)
{
    ngx_int_t                      rc;
    ngx_str_t                      name;
    ngx_http_trove_dedup_store_t  *store;

    if (ctx->prefetched == dlcf) {
        *key = ctx->key;
        return NGX_OK;
    }

    rc = ngx_http_trove_dedup_key_name(r, dlcf, ctx, &name);

    if (rc == NGX_OK) {
        store = ngx_http_trove_dedup_zone_store(dlcf->shm_zone);

        store->actions->key(store->data, name.data, name.len, key);
    }

    return rc;
}


/* NGX_DECLINED: there is no key, the event is not deduplicated */

static ngx_int_t
ngx_http_trove_dedup_key_name(ngx_http_request_t *r,
    ngx_http_trove_dedup_loc_conf_t *dlcf, ngx_http_trove_ctx_t *ctx,
    ngx_str_t *name)
{
    size_t      len;
    u_char     *p, *buf;
    ngx_str_t   value;

    if (dlcf->key) {
        ctx->identified = 0;
        ctx->absent = 0;

        if (ngx_http_complex_value(r, dlcf->key, &value) != NGX_OK) {
            return NGX_ERROR;
        }

        /*
         * All events in which a variable of the key is empty would have the
         * same key, and all but the first would be lost, unless the key
         * includes the id.  Values that a "map" has cached are unknown.
         */

        if (ctx->absent && !ctx->identified) {
            ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                          "trove: request not deduplicated: an event variable "
                          "in \"key=\" of \"trove_dedup\" is empty");

            value.len = 0;

        } else if (ctx->early && !ctx->identified) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "trove: request not deduplicated: \"key=\" of "
                          "\"trove_dedup\" may contain a value cached before "
                          "the event was parsed; add \"volatile\" to its "
                          "\"map\"");

            value.len = 0;
        }

    } else if (ctx->trusted) {
        value = ctx->event.id;

    } else {
        value.len = 0;
    }

    if (value.len == 0) {
        return NGX_DECLINED;
    }

    len = NGX_HTTP_TROVE_DEDUP_SCOPE + value.len + 1 + r->uri.len
          + ctx->secrets_digest.len;

    buf = ngx_pnalloc(r->pool, len);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    if (dlcf->key) {
        ngx_memzero(buf, NGX_HTTP_TROVE_DEDUP_SCOPE);

    } else {
        ngx_memcpy(buf, dlcf->scope, NGX_HTTP_TROVE_DEDUP_SCOPE);
    }

    p = ngx_cpymem(buf + NGX_HTTP_TROVE_DEDUP_SCOPE, value.data, value.len);

    if (dlcf->key == NULL && dlcf->varies) {

        /* an id has no control characters: the key is unambiguous */

        *p++ = '\0';
        p = ngx_cpymem(p, r->uri.data, r->uri.len);
        p = ngx_cpymem(p, ctx->secrets_digest.data, ctx->secrets_digest.len);
    }

    name->data = buf;
    name->len = p - buf;

    return NGX_OK;
}


ngx_int_t
ngx_http_trove_dedup_digest(ngx_http_request_t *r, ngx_http_trove_ctx_t *ctx,
    u_char *digest)
{
    u_char                            md[SHA256_DIGEST_LENGTH];
    ngx_int_t                         rc;
    ngx_str_t                         name;
    ngx_http_trove_loc_conf_t        *tlcf;
    ngx_http_trove_dedup_loc_conf_t  *dlcf;

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_trove_module);
    dlcf = ngx_http_get_module_loc_conf(r, ngx_http_trove_dedup_module);

    /* anyone may send an unverified event that "trove_verify log" accepts */

    if (!dlcf->enable
        || (tlcf->verify != NGX_HTTP_TROVE_VERIFY_OFF
            && ctx->verdict != NGX_HTTP_TROVE_VERDICT_OK))
    {
        return NGX_DECLINED;
    }

    rc = ngx_http_trove_dedup_key_name(r, dlcf, ctx, &name);

    if (rc != NGX_OK) {
        return rc;
    }

    (void) SHA256(name.data, name.len, md);
    ngx_memcpy(digest, md, NGX_HTTP_TROVE_DEDUP_SCOPE);

    return NGX_OK;
}
