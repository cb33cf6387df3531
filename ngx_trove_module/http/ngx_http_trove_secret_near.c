
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_secret_near.h"


static u_char  ngx_http_trove_secret_prefix[] = "trove-whsec-";

#define NGX_HTTP_TROVE_SECRET_PREFIX  (sizeof(ngx_http_trove_secret_prefix) - 1)


static ngx_uint_t ngx_http_trove_secret_near_put(
    ngx_http_trove_secret_near_t *near, ngx_uint_t n,
    ngx_http_trove_secret_near_e how, u_char *secret, size_t len);
static ngx_uint_t ngx_http_trove_secret_near_prefixed(
    ngx_http_trove_secret_near_t *near, ngx_uint_t n, u_char *secret,
    size_t len, ngx_log_t *log);


ngx_uint_t
ngx_http_trove_secret_near(u_char *secret, size_t len,
    ngx_http_trove_secret_near_t near[NGX_HTTP_TROVE_SECRET_NEAR_MAX],
    ngx_log_t *log)
{
    u_char      *p, *last;
    ngx_uint_t   n;

    p = secret;
    last = secret + len;

    if (len >= NGX_HTTP_TROVE_SECRET_PREFIX
        && ngx_memcmp(p, ngx_http_trove_secret_prefix,
                      NGX_HTTP_TROVE_SECRET_PREFIX)
           == 0)
    {
        n = ngx_http_trove_secret_near_put(near, 0, NGX_HTTP_TROVE_SECRET_BARE,
                                           p + NGX_HTTP_TROVE_SECRET_PREFIX,
                                           len - NGX_HTTP_TROVE_SECRET_PREFIX);

    } else {
        n = ngx_http_trove_secret_near_prefixed(near, 0, p, len, log);
    }

    if (len > 2 && (*p == '"' || *p == '\'') && last[-1] == *p) {
        n = ngx_http_trove_secret_near_put(near, n,
                                           NGX_HTTP_TROVE_SECRET_UNQUOTED,
                                           p + 1, len - 2);
    }

    while (p < last && *p <= ' ') {
        p++;
    }

    while (p < last && last[-1] <= ' ') {
        last--;
    }

    if ((size_t) (last - p) < len) {
        n = ngx_http_trove_secret_near_put(near, n,
                                           NGX_HTTP_TROVE_SECRET_TRIMMED,
                                           p, last - p);
    }

    return n;
}


/* for a hint only: keys that cannot be created are left out */

static ngx_uint_t
ngx_http_trove_secret_near_put(ngx_http_trove_secret_near_t *near,
    ngx_uint_t n, ngx_http_trove_secret_near_e how, u_char *secret, size_t len)
{
    near[n].how = how;
    near[n].key = ngx_trove_key_create(secret, len);

    return near[n].key ? n + 1 : n;
}


static ngx_uint_t
ngx_http_trove_secret_near_prefixed(ngx_http_trove_secret_near_t *near,
    ngx_uint_t n, u_char *secret, size_t len, ngx_log_t *log)
{
    u_char  *buf, *p;

    buf = ngx_alloc(NGX_HTTP_TROVE_SECRET_PREFIX + len, log);
    if (buf == NULL) {
        return n;
    }

    p = ngx_cpymem(buf, ngx_http_trove_secret_prefix,
                   NGX_HTTP_TROVE_SECRET_PREFIX);
    ngx_memcpy(p, secret, len);

    n = ngx_http_trove_secret_near_put(near, n, NGX_HTTP_TROVE_SECRET_PREFIXED,
                                       buf, NGX_HTTP_TROVE_SECRET_PREFIX + len);

    ngx_explicit_memzero(buf, NGX_HTTP_TROVE_SECRET_PREFIX + len);
    ngx_free(buf);

    return n;
}


void
ngx_http_trove_secret_near_free(ngx_http_trove_secret_near_t *near,
    ngx_uint_t n)
{
    while (n) {
        ngx_trove_key_destroy(near[--n].key);
    }
}


ngx_int_t
ngx_http_trove_secret_near_add(ngx_conf_t *cf,
    ngx_http_trove_secrets_t *secrets, u_char *secret, size_t len)
{
    ngx_uint_t                     i, n;
    ngx_http_trove_secret_near_t  *near;
    ngx_http_trove_secret_near_t   keys[NGX_HTTP_TROVE_SECRET_NEAR_MAX];

    n = ngx_http_trove_secret_near(secret, len, keys, cf->log);

    for (i = 0; i < n; i++) {

        near = ngx_array_push(&secrets->near);

        if (near == NULL) {
            ngx_http_trove_secret_near_free(&keys[i], n - i);
            return NGX_ERROR;
        }

        *near = keys[i];
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_trove_secret_origin_add(ngx_http_trove_secrets_t *secrets,
    ngx_str_t *value, ngx_uint_t n)
{
    ngx_http_trove_secret_origin_t  *source;

    if (n == 0) {
        return NGX_OK;
    }

    source = ngx_array_push(&secrets->origins);
    if (source == NULL) {
        return NGX_ERROR;
    }

    source->n = n;

    /* with another prefix, it may be a secret */

    if (ngx_strncmp(value->data, "file:", 5) == 0
        || ngx_strncmp(value->data, "env:", 4) == 0)
    {
        source->name = *value;

    } else {
        ngx_str_null(&source->name);
    }

    return NGX_OK;
}
