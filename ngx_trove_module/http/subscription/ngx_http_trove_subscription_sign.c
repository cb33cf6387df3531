
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_headers.h"
#include "ngx_http_trove_sign.h"
#include "ngx_http_trove_subscription_conf.h"
#include "ngx_trove_signature.h"
#include "ngx_trove_spool_subscription.h"


/* seconds between log lines about keys */
#define NGX_HTTP_TROVE_SUBSCRIPTION_LOG  60


static ngx_int_t ngx_http_trove_subscription_mac(ngx_http_request_t *r,
    ngx_http_trove_delivery_t *d, ngx_trove_seal_keys_t *keys,
    ngx_str_t *sealed, u_char *text, size_t len, ngx_str_t *signature);
static void ngx_http_trove_subscription_closed(ngx_http_trove_delivery_t *d,
    ngx_int_t rc);


ngx_int_t
ngx_http_trove_subscription_sign(ngx_http_request_t *r,
    ngx_http_trove_delivery_t *d, ngx_trove_seal_keys_t *keys)
{
    u_char                        *p, text[NGX_TIME_T_LEN];
    u_char                         buf[2][NGX_TROVE_SIGNATURE_TEXT_MAX];
    size_t                         len;
    ngx_int_t                      rc;
    ngx_str_t                      value, made[2];
    ngx_uint_t                     n;
    ngx_trove_spool_subscriber_t  *sub;

    static ngx_str_t  json = ngx_string("application/json");

    static ngx_http_trove_header_t  signature = {
        ngx_string("X-Trove-Signature"), ngx_string("x-trove-signature"), 0
    };

    static ngx_http_trove_header_t  type = {
        ngx_string("Content-Type"), ngx_string("content-type"), 0
    };

    sub = d->subscriber;

    len = ngx_sprintf(text, "%T", ngx_time()) - text;

    /* the newest one is the last: the SDKs of the vendor read only that */

    n = 0;

    if (sub->previous.data && sub->until / 1000 > ngx_time()) {

        made[n].data = buf[n];

        rc = ngx_http_trove_subscription_mac(r, d, keys, &sub->previous, text,
                                             len, &made[n]);
        if (rc != NGX_OK) {
            return rc;
        }

        n++;
    }

    made[n].data = buf[n];

    rc = ngx_http_trove_subscription_mac(r, d, keys, &sub->secret, text, len,
                                         &made[n]);
    if (rc != NGX_OK) {
        return rc;
    }

    value.data = ngx_pnalloc(r->pool, 2 * NGX_TROVE_SIGNATURE_TEXT_MAX);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(value.data, made[0].data, made[0].len);

    if (n) {

        /* the second one without the time */

        len += sizeof("t=") - 1;
        p = ngx_cpymem(p, made[1].data + len, made[1].len - len);
    }

    value.len = p - value.data;

    if (ngx_http_trove_headers_set(r, &signature, &value) != NGX_OK
        || ngx_http_trove_headers_set(r, &type, &json) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_subscription_mac(ngx_http_request_t *r,
    ngx_http_trove_delivery_t *d, ngx_trove_seal_keys_t *keys,
    ngx_str_t *sealed, u_char *text, size_t len, ngx_str_t *signature)
{
    u_char            buf[NGX_TROVE_SPOOL_SEALED_LEN];
    ngx_int_t         rc;
    ngx_str_t         secret;
    ngx_trove_key_t  *key;

    if (keys == NULL || sealed->len > sizeof(buf)) {
        ngx_http_trove_subscription_closed(d, NGX_DECLINED);
        return NGX_DECLINED;
    }

    secret.data = buf;

    rc = ngx_trove_unseal(keys, &d->subscriber->id, sealed, &secret);

    if (rc != NGX_OK) {

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        ngx_http_trove_subscription_closed(d, rc);
        return NGX_DECLINED;
    }

    key = ngx_trove_key_create(secret.data, secret.len);

    ngx_explicit_memzero(buf, sizeof(buf));

    if (key == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_trove_sign_body(r, &key, text, len, signature);

    ngx_trove_key_destroy(key);

    return rc;
}


static void
ngx_http_trove_subscription_closed(ngx_http_trove_delivery_t *d, ngx_int_t rc)
{
    static time_t  logged;                     /* of this process */

    if (logged && ngx_time() - logged < NGX_HTTP_TROVE_SUBSCRIPTION_LOG) {
        return;
    }

    logged = ngx_time();

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "trove: the secret of subscription \"%V\" cannot be opened: "
                  "%s; its events wait, restore the file of "
                  "\"trove_subscription_key\" and reload nginx, or rotate the "
                  "secret with \"keep_seconds\" 0",
                  &d->subscriber->id,
                  rc == NGX_DECLINED ? "its key is missing"
                                     : "it is damaged");
}
