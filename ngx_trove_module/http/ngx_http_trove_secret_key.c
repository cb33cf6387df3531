
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_secret_conf.h"
#include "ngx_http_trove_secret_near.h"


char *
ngx_http_trove_secret_key(ngx_http_trove_secret_source_t *source,
    u_char *secret, size_t len)
{
    ngx_str_t         *cmd;
    ngx_array_t       *keys;
    ngx_trove_key_t  **key;

    if (ngx_http_trove_secret_limit(source) != NGX_CONF_OK) {
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
ngx_http_trove_secret_limit(ngx_http_trove_secret_source_t *source)
{
    ngx_str_t  *cmd;

    if (source->secrets->keys.nelts + source->secrets->values.nelts
        < NGX_HTTP_TROVE_SECRETS_MAX)
    {
        return NGX_CONF_OK;
    }

    cmd = source->cf->args->elts;

    ngx_conf_log_error(NGX_LOG_EMERG, source->cf, 0,
                       "more than %d secrets in \"%V\", remove those that are "
                       "no longer in use", NGX_HTTP_TROVE_SECRETS_MAX, &cmd[0]);

    return NGX_CONF_ERROR;
}
