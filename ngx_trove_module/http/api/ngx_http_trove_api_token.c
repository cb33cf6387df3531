
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <openssl/crypto.h>

#include "ngx_http_trove_api_token.h"


/* tokens of a location; each request is compared with all of them */
#define NGX_HTTP_TROVE_API_TOKENS     256

#define NGX_HTTP_TROVE_API_TOKEN_LEN  255      /* of the parameters */

/* of the header field; a token may be as long as a line of a file */
#define NGX_HTTP_TROVE_API_TOKEN_MAX  (sizeof("Bearer ") - 1 + 1024)


static char *ngx_http_trove_api_token_parameter(ngx_conf_t *cf,
    ngx_http_trove_api_token_t *token, ngx_str_t *value);
static char *ngx_http_trove_api_token_name(ngx_conf_t *cf,
    ngx_array_t *tokens, ngx_str_t *name);
static void ngx_http_trove_api_token_cleanup(void *data);
static ngx_uint_t ngx_http_trove_api_token_same(
    ngx_http_trove_api_token_t *one, ngx_http_trove_api_token_t *two);
static ngx_uint_t ngx_http_trove_api_token_match(
    ngx_http_trove_api_token_t *token, u_char *mac);
static ngx_int_t ngx_http_trove_api_token_variables(ngx_http_request_t *r,
    ngx_http_trove_api_token_t *token, ngx_str_t *value);


char *
ngx_http_trove_api_token(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char *p = conf;

    char                        *rv;
    ngx_str_t                   *value;
    ngx_uint_t                   i;
    ngx_array_t                **tokens;
    ngx_http_trove_api_token_t  *token;

    tokens = (ngx_array_t **) (p + cmd->offset);
    value = cf->args->elts;

    if (*tokens == NGX_CONF_UNSET_PTR) {
        *tokens = ngx_array_create(cf->pool, 4,
                                   sizeof(ngx_http_trove_api_token_t));
        if (*tokens == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    rv = ngx_http_trove_api_token_name(cf, *tokens, &value[1]);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    token = ngx_array_push(*tokens);
    if (token == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(token, sizeof(ngx_http_trove_api_token_t));

    token->name = value[1];

    for (i = 3; i < cf->args->nelts; i++) {
        rv = ngx_http_trove_api_token_parameter(cf, token, &value[i]);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    /* the scope of a request would depend on what the request has */

    if (ngx_http_script_variables_count(&value[2])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "variables in \"trove_api_token\", use "
                           "\"trove_api_token %V file:PATH\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    return ngx_http_trove_api_token_add(cf, token, &value[2]);
}


/* a request costs one MAC, and not one for each token */

char *
ngx_http_trove_api_token_add(ngx_conf_t *cf, ngx_http_trove_api_token_t *token,
    ngx_str_t *value)
{
    char                *rv;
    ngx_uint_t           i;
    ngx_trove_key_t    **key;
    ngx_pool_cleanup_t  *cln;

    rv = ngx_http_trove_secret_add(cf, &token->secrets, value,
                                   NGX_HTTP_TROVE_SECRET_TOKEN);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    token->macs = ngx_pcalloc(cf->pool, NGX_HTTP_TROVE_SECRETS_MAX
                                        * NGX_HTTP_TROVE_SECRET_MAC);
    cln = ngx_pool_cleanup_add(cf->pool, 0);

    if (token->macs == NULL || cln == NULL) {
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_trove_api_token_cleanup;
    cln->data = token->macs;

    key = token->secrets->keys.elts;

    for (i = 0; i < token->secrets->keys.nelts; i++) {

        if (ngx_http_trove_secret_mac(key[i], token->macs
                                              + i * NGX_HTTP_TROVE_SECRET_MAC)
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static void
ngx_http_trove_api_token_cleanup(void *data)
{
    ngx_explicit_memzero(data, NGX_HTTP_TROVE_SECRETS_MAX
                               * NGX_HTTP_TROVE_SECRET_MAC);
}


static char *
ngx_http_trove_api_token_parameter(ngx_conf_t *cf,
    ngx_http_trove_api_token_t *token, ngx_str_t *value)
{
    size_t      len;
    ngx_str_t  *s;

    if (value->len == 4 && ngx_strncmp(value->data, "read", 4) == 0) {

        if (token->read) {
            goto duplicate;
        }

        token->read = 1;

        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "workspace=", 10) == 0
        || ngx_strncmp(value->data, "namespace=", 10) == 0)
    {
        len = sizeof("workspace=") - 1;
        s = (value->data[0] == 'w') ? &token->workspace : &token->namespace;

        if (s->data) {
            goto duplicate;
        }

        s->data = value->data + len;
        s->len = value->len - len;

        /* in a filter, a "*" would stand for more */

        if (s->len == 0 || s->len > NGX_HTTP_TROVE_API_TOKEN_LEN
            || s->data[s->len - 1] == '*')
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" in "
                               "\"trove_api_token\", it must be one name of 1 "
                               "to %d bytes, without \"*\"", value,
                               NGX_HTTP_TROVE_API_TOKEN_LEN);
            return NGX_CONF_ERROR;
        }

        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" in \"trove_api_token\", "
                       "expected \"workspace=\", \"namespace=\", or \"read\"",
                       value);

    return NGX_CONF_ERROR;

duplicate:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "duplicate parameter \"%V\" in \"trove_api_token\"",
                       value);

    return NGX_CONF_ERROR;
}


/* a name is shown in the audit log, and by clients */

static char *
ngx_http_trove_api_token_name(ngx_conf_t *cf, ngx_array_t *tokens,
    ngx_str_t *name)
{
    u_char                       ch;
    size_t                       i;
    ngx_uint_t                   k;
    ngx_http_trove_api_token_t  *token;

    for (i = 0; i < name->len; i++) {
        ch = name->data[i];

        if ((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
            || (ch >= '0' && ch <= '9') || ch == '-' || ch == '_' || ch == '.')
        {
            continue;
        }

        break;
    }

    if (name->len == 0 || i < name->len || name->len > 64) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name \"%V\" in \"trove_api_token\", it may "
                           "have 64 letters, digits, \"-\", \"_\", and \".\"",
                           name);
        return NGX_CONF_ERROR;
    }

    token = tokens->elts;

    for (k = 0; k < tokens->nelts; k++) {

        if (token[k].name.len == name->len
            && ngx_strncmp(token[k].name.data, name->data, name->len) == 0)
        {
            break;
        }
    }

    if (k < tokens->nelts
        || (name->len == sizeof(NGX_HTTP_TROVE_API_TOKEN_DEFAULT) - 1
            && ngx_strncmp(name->data, NGX_HTTP_TROVE_API_TOKEN_DEFAULT,
                           name->len)
               == 0))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate name \"%V\" in \"trove_api_token\"; "
                           "\"default\" is the token of \"trove_api\"", name);
        return NGX_CONF_ERROR;
    }

    if (tokens->nelts == NGX_HTTP_TROVE_API_TOKENS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "more than %d \"trove_api_token\"",
                           NGX_HTTP_TROVE_API_TOKENS);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_trove_api_token_check(ngx_conf_t *cf,
    ngx_http_trove_api_token_t *token, ngx_array_t *tokens)
{
    ngx_uint_t                   i, k;
    ngx_http_trove_api_token_t  *one, *two;

    if (tokens == NULL) {
        return NGX_OK;
    }

    two = tokens->elts;

    for (i = 0; i < tokens->nelts; i++) {

        for (k = 0; k <= i; k++) {
            one = k ? &two[k - 1] : token;

            if (!ngx_http_trove_api_token_same(one, &two[i])) {
                continue;
            }

            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "the tokens \"%V\" and \"%V\" of \"trove_api\" and "
                          "\"trove_api_token\" are the same, generate another "
                          "one with \"openssl rand -hex 32\"",
                          &one->name, &two[i].name);

            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_trove_api_token_same(ngx_http_trove_api_token_t *one,
    ngx_http_trove_api_token_t *two)
{
    ngx_uint_t  i;

    for (i = 0; i < two->secrets->keys.nelts; i++) {

        if (ngx_http_trove_api_token_match(one, two->macs
                                              + i * NGX_HTTP_TROVE_SECRET_MAC))
        {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_trove_api_token_find(ngx_http_request_t *r,
    ngx_http_trove_api_token_t *token, ngx_array_t *tokens,
    ngx_http_trove_api_token_t **found)
{
    u_char                       mac[NGX_HTTP_TROVE_SECRET_MAC];
    ngx_int_t                    rc;
    ngx_str_t                    value;
    ngx_uint_t                   i, n;
    ngx_trove_key_t             *key;
    ngx_http_trove_api_token_t  *one;

    if (r->headers_in.authorization == NULL) {
        return NGX_DECLINED;
    }

    value = r->headers_in.authorization->value;

    if (value.len <= sizeof("Bearer ") - 1
        || value.len > NGX_HTTP_TROVE_API_TOKEN_MAX
        || ngx_strncasecmp(value.data, (u_char *) "Bearer ",
                           sizeof("Bearer ") - 1)
           != 0)
    {
        return NGX_DECLINED;
    }

    value.data += sizeof("Bearer ") - 1;
    value.len -= sizeof("Bearer ") - 1;

    *found = NULL;

    key = ngx_trove_key_create(value.data, value.len);
    if (key == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_trove_secret_mac(key, mac);

    ngx_trove_key_destroy(key);

    n = tokens ? tokens->nelts : 0;

    for (i = 0; rc == NGX_OK && i <= n; i++) {
        one = i ? (ngx_http_trove_api_token_t *) tokens->elts + i - 1 : token;

        if (ngx_http_trove_api_token_match(one, mac)) {
            *found = one;
        }
    }

    ngx_explicit_memzero(mac, sizeof(mac));

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    if (token->secrets->values.nelts && *found == NULL) {
        rc = ngx_http_trove_api_token_variables(r, token, &value);

        if (rc == NGX_OK) {
            *found = token;
        }

        return rc;
    }

    return *found ? NGX_OK : NGX_DECLINED;
}


static ngx_uint_t
ngx_http_trove_api_token_match(ngx_http_trove_api_token_t *token, u_char *mac)
{
    ngx_uint_t  i, match;

    match = 0;

    for (i = 0; i < token->secrets->keys.nelts; i++) {
        match |= (CRYPTO_memcmp(mac,
                                token->macs + i * NGX_HTTP_TROVE_SECRET_MAC,
                                NGX_HTTP_TROVE_SECRET_MAC)
                  == 0);
    }

    return match;
}


static ngx_int_t
ngx_http_trove_api_token_variables(ngx_http_request_t *r,
    ngx_http_trove_api_token_t *token, ngx_str_t *value)
{
    ngx_int_t              rc;
    ngx_http_trove_keys_t  keys;

    rc = ngx_http_trove_secret_keys(r, token->secrets, &keys);

    if (rc == NGX_OK && keys.nkeys == 0) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "trove: API request refused: \"trove_api\" is empty or "
                      "shorter than %d bytes for this request",
                      NGX_HTTP_TROVE_SECRET_TOKEN_MIN);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_trove_secret_match(&keys, value->data, value->len);
    }

    ngx_http_trove_secret_free(&keys);

    return rc;
}
