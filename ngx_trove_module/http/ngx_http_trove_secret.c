
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <openssl/sha.h>

#include "ngx_http_trove_secret_conf.h"
#include "ngx_http_trove_secret_near.h"


static ngx_http_trove_secrets_t *ngx_http_trove_secret_create(ngx_conf_t *cf,
    ngx_http_trove_secret_kind_e kind);
static char *ngx_http_trove_secret_value(
    ngx_http_trove_secret_source_t *source, ngx_str_t *value);
static char *ngx_http_trove_secret_script(
    ngx_http_trove_secret_source_t *source, ngx_str_t *value);
static ngx_uint_t ngx_http_trove_secret_is_public(ngx_http_request_t *r,
    ngx_http_trove_secrets_t *secrets, ngx_http_complex_value_t *cv,
    ngx_str_t *value);
static void ngx_http_trove_secret_digest(ngx_http_trove_keys_t *keys,
    ngx_str_t *value);
static void ngx_http_trove_secret_cleanup(void *data);


char *
ngx_http_trove_secret_add(ngx_conf_t *cf, ngx_http_trove_secrets_t **secrets,
    ngx_str_t *value, ngx_http_trove_secret_kind_e kind)
{
    ngx_str_t                       *cmd;
    ngx_http_trove_secret_source_t   source;

    cmd = cf->args->elts;

    if (*secrets == NULL) {
        *secrets = ngx_http_trove_secret_create(cf, kind);
        if (*secrets == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    ngx_memzero(&source, sizeof(ngx_http_trove_secret_source_t));

    source.cf = cf;
    source.secrets = *secrets;
    source.first = source.secrets->keys.nelts;

    if (ngx_strncmp(value->data, "file:", 5) == 0) {
        source.from = NGX_HTTP_TROVE_SECRET_FROM_FILE;
        source.name.data = value->data + 5;
        source.name.len = value->len - 5;

        if (source.name.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "no path in \"%V\", say \"%V file:PATH\"",
                               &cmd[0], &cmd[0]);
            return NGX_CONF_ERROR;
        }

        return ngx_http_trove_secret_file(&source);
    }

    if (ngx_strncmp(value->data, "env:", 4) == 0) {
        source.from = NGX_HTTP_TROVE_SECRET_FROM_ENV;
        source.name.data = value->data + 4;
        source.name.len = value->len - 4;

        if (source.name.len == 0
            || strpbrk((char *) source.name.data, "=$ \t") != NULL)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "no name of an environment variable in \"%V\", "
                               "say \"%V env:NAME\"", &cmd[0], &cmd[0]);
            return NGX_CONF_ERROR;
        }

        return ngx_http_trove_secret_env(&source);
    }

    return ngx_http_trove_secret_value(&source, value);
}


static ngx_http_trove_secrets_t *
ngx_http_trove_secret_create(ngx_conf_t *cf, ngx_http_trove_secret_kind_e kind)
{
    ngx_pool_cleanup_t        *cln;
    ngx_http_trove_secrets_t  *secrets;

    secrets = ngx_palloc(cf->pool, sizeof(ngx_http_trove_secrets_t));
    if (secrets == NULL) {
        return NULL;
    }

    secrets->kind = kind;
    secrets->min = (kind == NGX_HTTP_TROVE_SECRET_TOKEN)
                   ? NGX_HTTP_TROVE_SECRET_TOKEN_MIN : 1;

    if (ngx_array_init(&secrets->keys, cf->pool, 2, sizeof(ngx_trove_key_t *))
        != NGX_OK)
    {
        return NULL;
    }

    if (ngx_array_init(&secrets->values, cf->pool, 1,
                       sizeof(ngx_http_complex_value_t))
        != NGX_OK)
    {
        return NULL;
    }

    if (ngx_array_init(&secrets->near, cf->pool, 2,
                       sizeof(ngx_http_trove_secret_near_t))
        != NGX_OK
        || ngx_array_init(&secrets->origins, cf->pool, 1,
                          sizeof(ngx_http_trove_secret_origin_t))
           != NGX_OK)
    {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_trove_secret_cleanup;
    cln->data = secrets;

    return secrets;
}


static void
ngx_http_trove_secret_cleanup(void *data)
{
    ngx_http_trove_secrets_t  *secrets = data;

    ngx_uint_t         i;
    ngx_trove_key_t  **keys;

    keys = secrets->keys.elts;

    for (i = 0; i < secrets->keys.nelts; i++) {
        ngx_trove_key_destroy(keys[i]);
    }

    secrets->keys.nelts = 0;

    ngx_http_trove_secret_near_free(secrets->near.elts, secrets->near.nelts);
    secrets->near.nelts = 0;
}


static char *
ngx_http_trove_secret_value(ngx_http_trove_secret_source_t *source,
    ngx_str_t *value)
{
    size_t       len;
    u_char      *start, *end;
    ngx_str_t   *cmd;

    start = value->data;
    end = start + value->len;

    ngx_http_trove_secret_trim(&start, &end);

    len = end - start;

    if (len == 0) {
        cmd = source->cf->args->elts;

        ngx_conf_log_error(NGX_LOG_EMERG, source->cf, 0,
                           "empty secret in \"%V\", say \"%V file:PATH\", "
                           "\"%V env:NAME\" or the secret itself",
                           &cmd[0], &cmd[0], &cmd[0]);
        return NGX_CONF_ERROR;
    }

    source->script = ngx_http_script_variables_count(value) != 0;

    if (ngx_http_trove_secret_check_warned(source) != NGX_CONF_OK
        || ngx_http_trove_secret_check_path(source, start, len) != NGX_CONF_OK
        || ngx_http_trove_secret_check(source, start, len) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (source->script) {
        return ngx_http_trove_secret_script(source, value);
    }

    if (ngx_http_trove_secret_check_conf(source) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_trove_secret_key(source, start, len);
}


static char *
ngx_http_trove_secret_script(ngx_http_trove_secret_source_t *source,
    ngx_str_t *value)
{
    ngx_http_complex_value_t          *cv;
    ngx_http_compile_complex_value_t   ccv;

    if (ngx_http_trove_secret_room(source) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    cv = ngx_array_push(&source->secrets->values);
    if (cv == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = source->cf;
    ccv.value = value;
    ccv.complex_value = cv;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_trove_secret_check_variables(source, value);
}


char *
ngx_http_trove_secret_key(ngx_http_trove_secret_source_t *source,
    u_char *secret, size_t len)
{
    ngx_str_t         *cmd;
    ngx_array_t       *keys;
    ngx_trove_key_t  **key;

    if (ngx_http_trove_secret_room(source) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    keys = &source->secrets->keys;

    key = ngx_array_push(keys);
    if (key == NULL) {
        return NGX_CONF_ERROR;
    }

    *key = ngx_trove_key_create(secret, len);

    if (*key == NULL
        || ngx_http_trove_secret_check_repeated(source, keys->nelts - 1)
           != NGX_CONF_OK)
    {
        cmd = source->cf->args->elts;

        ngx_conf_log_error(NGX_LOG_EMERG, source->cf, 0,
                           "OpenSSL cannot use the secret of \"%V\" "
                           "for HMAC-SHA256", &cmd[0]);
        return NGX_CONF_ERROR;
    }

    if (source->secrets->kind == NGX_HTTP_TROVE_SECRET_VERIFY
        && ngx_http_trove_secret_near_add(source->cf, source->secrets, secret,
                                          len)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_trove_secret_room(ngx_http_trove_secret_source_t *source)
{
    ngx_str_t  *cmd;

    if (source->secrets->keys.nelts + source->secrets->values.nelts
        < NGX_HTTP_TROVE_SECRETS_MAX)
    {
        return NGX_CONF_OK;
    }

    cmd = source->cf->args->elts;

    ngx_conf_log_error(NGX_LOG_EMERG, source->cf, 0,
                       "more than %d secrets by \"%V\", "
                       "remove those that are not in use any more",
                       NGX_HTTP_TROVE_SECRETS_MAX, &cmd[0]);

    return NGX_CONF_ERROR;
}


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
                          "trove: OpenSSL cannot use a secret that variables "
                          "gave for HMAC-SHA256");
            return NGX_ERROR;
        }

        keys->places[keys->nkeys++] = keys->nshared + i + 1;
    }

    return NGX_OK;
}


/* an empty value is no key, but has its place */

ngx_uint_t
ngx_http_trove_secret_place(ngx_http_trove_keys_t *keys, ngx_uint_t n)
{
    return (n < keys->nshared) ? n + 1 : keys->places[n];
}


/* at the debug level NGINX logs what variables and a "map" come to */

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
 * Whether a value can be known without its variables: one of them is empty or
 * blank, as where a "map" has no line for a tenant.  What is left then is a
 * constant, or what another variable has taken from the URL.
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

    /* as ngx_http_complex_value() has just put it together */

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


/* hashed one by one: where a value ends is a part of the digest */

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
