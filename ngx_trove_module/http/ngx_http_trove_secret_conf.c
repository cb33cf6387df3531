
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_secret_conf.h"
#include "ngx_http_trove_secret_near.h"


static ngx_http_trove_secrets_t *ngx_http_trove_secret_create(ngx_conf_t *cf,
    ngx_http_trove_secret_kind_e kind);
static char *ngx_http_trove_secret_value(
    ngx_http_trove_secret_source_t *source, ngx_str_t *value);
static char *ngx_http_trove_secret_script(
    ngx_http_trove_secret_source_t *source, ngx_str_t *value);
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
                               "no path in \"%V\", expected \"%V file:PATH\"",
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
                               "expected \"%V env:NAME\"", &cmd[0], &cmd[0]);
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
                           "empty secret in \"%V\", expected \"%V file:PATH\", "
                           "\"%V env:NAME\", or the secret itself",
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

    if (ngx_http_trove_secret_limit(source) != NGX_CONF_OK) {
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
