
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "ngx_http_trove_secret_conf.h"


static ngx_uint_t ngx_http_trove_secret_is_public(ngx_http_request_t *r,
    ngx_http_trove_secrets_t *secrets, ngx_http_complex_value_t *cv,
    ngx_str_t *value);
static void ngx_http_trove_secret_digest(ngx_http_trove_keys_t *keys,
    ngx_str_t *value);


ngx_int_t
ngx_http_trove_secret_keys(ngx_http_request_t *r,
    ngx_http_trove_secrets_t *secrets, ngx_http_trove_keys_t *keys)
{
    ngx_str_t                  value;
    ngx_uint_t                 i;
    ngx_trove_key_t          **key;
    ngx_http_complex_value_t  *cv;

    keys->nkeys = 0;
    keys->nshared = 0;
    ngx_memzero(keys->digest, NGX_HTTP_TROVE_SECRET_DIGEST);

    if (secrets == NULL) {
        return NGX_OK;
    }

    key = secrets->keys.elts;

    for (i = 0; i < secrets->keys.nelts; i++) {
        keys->keys[keys->nkeys++] = key[i];
    }

    keys->nshared = keys->nkeys;

    cv = secrets->values.elts;

    for (i = 0; i < secrets->values.nelts; i++) {

        if (ngx_http_trove_secret_evaluate(r, &cv[i], &value) != NGX_OK) {
            return NGX_ERROR;
        }

        if (ngx_http_trove_secret_is_public(r, secrets, &cv[i], &value)) {
            value.len = 0;
        }

        ngx_http_trove_secret_digest(keys, &value);

        if (value.len == 0) {
            continue;
        }

        keys->keys[keys->nkeys] = ngx_trove_key_create(value.data, value.len);

        if (keys->keys[keys->nkeys] == NULL) {
            ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                          "trove: OpenSSL cannot use a secret from variables "
                          "for HMAC-SHA256");
            return NGX_ERROR;
        }

        keys->places[keys->nkeys++] = keys->nshared + i + 1;
    }

    return NGX_OK;
}


/* an empty value is not a key, but it is numbered */

ngx_uint_t
ngx_http_trove_secret_place(ngx_http_trove_keys_t *keys, ngx_uint_t n)
{
    return (n < keys->nshared) ? n + 1 : keys->places[n];
}


/* at the debug level, NGINX logs the values of variables and of a "map" */

ngx_int_t
ngx_http_trove_secret_evaluate(ngx_http_request_t *r,
    ngx_http_complex_value_t *cv, ngx_str_t *value)
{
    ngx_int_t    rc;
    ngx_log_t   *log;
    ngx_uint_t   level;

    log = r->connection->log;
    level = log->log_level;

    log->log_level = ngx_min(level, NGX_LOG_INFO);

    rc = ngx_http_complex_value(r, cv, value);

    log->log_level = level;

    return rc;
}


/*
 * Whether a value can be guessed, because one of its variables is empty or
 * blank.  That happens if a "map" has no entry for a tenant.  The rest of the
 * value is a constant, or may be taken from the URL.
 */

static ngx_uint_t
ngx_http_trove_secret_is_public(ngx_http_request_t *r,
    ngx_http_trove_secrets_t *secrets, ngx_http_complex_value_t *cv,
    ngx_str_t *value)
{
    u_char                       *p, *start, *end;
    size_t                        len;
    ngx_http_script_engine_t      e;
    ngx_http_script_len_code_pt   lcode;

    if (value->len < secrets->min
        || (value->len == sizeof(NGX_HTTP_TROVE_SECRET_PREFIX) - 1
            && ngx_memcmp(value->data, NGX_HTTP_TROVE_SECRET_PREFIX, value->len)
               == 0))
    {
        return 1;
    }

    /* in the same way as ngx_http_complex_value() */

    ngx_memzero(&e, sizeof(ngx_http_script_engine_t));

    e.ip = cv->lengths;
    e.request = r;
    e.flushed = 1;

    p = value->data;

    while (*(uintptr_t *) e.ip) {

        lcode = *(ngx_http_script_len_code_pt *) e.ip;
        len = lcode(&e);

        if (len > (size_t) (value->data + value->len - p)) {
            return 1;
        }

        start = p;
        end = p + len;
        p = end;

        if (lcode == ngx_http_script_copy_len_code) {
            continue;
        }

        ngx_http_trove_secret_trim(&start, &end);

        if (start == end) {
            return 1;
        }
    }

    return 0;
}


/* hashed separately: the digest depends on the end of each value */

static void
ngx_http_trove_secret_digest(ngx_http_trove_keys_t *keys, ngx_str_t *value)
{
    u_char  buf[2 * NGX_HTTP_TROVE_SECRET_DIGEST];

    ngx_memcpy(buf, keys->digest, NGX_HTTP_TROVE_SECRET_DIGEST);

    (void) SHA256(value->data, value->len, buf + NGX_HTTP_TROVE_SECRET_DIGEST);
    (void) SHA256(buf, sizeof(buf), keys->digest);

    ngx_explicit_memzero(buf, sizeof(buf));
}


void
ngx_http_trove_secret_free(ngx_http_trove_keys_t *keys)
{
    while (keys->nkeys > keys->nshared) {
        ngx_trove_key_destroy(keys->keys[--keys->nkeys]);
    }
}


/* MACs by the secrets are compared, and not the secrets */

ngx_int_t
ngx_http_trove_secret_match(ngx_http_trove_keys_t *keys, u_char *secret,
    size_t len)
{
    u_char            given[NGX_TROVE_SIGNATURE_TEXT_MAX];
    u_char            wanted[NGX_TROVE_SIGNATURE_TEXT_MAX];
    ngx_int_t         rc, good;
    ngx_uint_t        i;
    ngx_trove_key_t  *key;

    key = ngx_trove_key_create(secret, len);
    if (key == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_trove_secret_mac(key, given);
    ngx_trove_key_destroy(key);

    good = 0;

    for (i = 0; rc == NGX_OK && i < keys->nkeys; i++) {
        rc = ngx_http_trove_secret_mac(keys->keys[i], wanted);

        if (rc == NGX_OK) {
            good |= CRYPTO_memcmp(given, wanted, sizeof(given)) == 0;
        }
    }

    ngx_explicit_memzero(wanted, sizeof(wanted));
    ngx_explicit_memzero(given, sizeof(given));

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    return good ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_trove_secret_same(ngx_trove_key_t *key, ngx_trove_key_t *other)
{
    u_char     mac[NGX_TROVE_SIGNATURE_TEXT_MAX];
    u_char     buf[NGX_TROVE_SIGNATURE_TEXT_MAX];
    ngx_int_t  rc;

    if (ngx_http_trove_secret_mac(key, mac) == NGX_OK
        && ngx_http_trove_secret_mac(other, buf) == NGX_OK)
    {
        rc = CRYPTO_memcmp(mac, buf, sizeof(mac)) == 0 ? NGX_OK : NGX_DECLINED;

    } else {
        rc = NGX_ERROR;
    }

    ngx_explicit_memzero(mac, sizeof(mac));
    ngx_explicit_memzero(buf, sizeof(buf));

    return rc;
}


/* it is padded with zeroes */

ngx_int_t
ngx_http_trove_secret_mac(ngx_trove_key_t *key, u_char *buf)
{
    u_char           *p;
    ngx_trove_mac_t  *mac;

    ngx_memzero(buf, NGX_TROVE_SIGNATURE_TEXT_MAX);

    mac = ngx_trove_mac_create(&key, 1, (u_char *) "0", 1);
    if (mac == NULL) {
        return NGX_ERROR;
    }

    p = ngx_trove_mac_sign(mac, (u_char *) "0", 1, buf);

    ngx_trove_mac_destroy(mac);

    return p ? NGX_OK : NGX_ERROR;
}


/* secrets have no blanks: those, and CR LF, are added by editors or shells */

void
ngx_http_trove_secret_trim(u_char **start, u_char **end)
{
    while (*start < *end && ngx_http_trove_secret_blank(**start)) {
        (*start)++;
    }

    while (*end > *start && ngx_http_trove_secret_blank((*end)[-1])) {
        (*end)--;
    }
}
