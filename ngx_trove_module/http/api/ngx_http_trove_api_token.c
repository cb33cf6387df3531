
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

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
static ngx_int_t ngx_http_trove_api_token_same(
    ngx_http_trove_api_token_t *one, ngx_http_trove_api_token_t *two);
static ngx_int_t ngx_http_trove_api_token_match(ngx_http_request_t *r,
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

    return ngx_http_trove_secret_add(cf, &token->secrets, &value[2],
                                     NGX_HTTP_TROVE_SECRET_TOKEN);
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
    ngx_int_t                    rc;
    ngx_uint_t                   i, k;
    ngx_http_trove_api_token_t  *one, *two;

    if (tokens == NULL) {
        return NGX_OK;
    }

    two = tokens->elts;

    for (i = 0; i < tokens->nelts; i++) {

        for (k = 0; k <= i; k++) {
            one = k ? &two[k - 1] : token;

            rc = ngx_http_trove_api_token_same(one, &two[i]);

            if (rc == NGX_DECLINED) {
                continue;
            }

            if (rc == NGX_OK) {
                ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                              "the tokens \"%V\" and \"%V\" of \"trove_api\" "
                              "and \"trove_api_token\" are the same, generate "
                              "another one with \"openssl rand -hex 32\"",
                              &one->name, &two[i].name);
            }

            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_api_token_same(ngx_http_trove_api_token_t *one,
    ngx_http_trove_api_token_t *two)
{
    ngx_int_t          rc;
    ngx_uint_t         i, k;
    ngx_trove_key_t  **a, **b;

    a = one->secrets->keys.elts;
    b = two->secrets->keys.elts;

    for (i = 0; i < one->secrets->keys.nelts; i++) {

        for (k = 0; k < two->secrets->keys.nelts; k++) {
            rc = ngx_http_trove_secret_same(a[i], b[k]);

            if (rc != NGX_DECLINED) {
                return rc;
            }
        }
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_trove_api_token_find(ngx_http_request_t *r,
    ngx_http_trove_api_token_t *token, ngx_array_t *tokens,
    ngx_http_trove_api_token_t **found)
{
    ngx_int_t                    rc;
    ngx_str_t                    value;
    ngx_uint_t                   i, n;
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

    n = tokens ? tokens->nelts : 0;

    for (i = 0; i <= n; i++) {
        one = i ? (ngx_http_trove_api_token_t *) tokens->elts + i - 1 : token;

        rc = ngx_http_trove_api_token_match(r, one, &value);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        /* the value of a variable in "trove_api" may be that of another one */

        if (rc == NGX_OK) {
            *found = one;
        }
    }

    return *found ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_trove_api_token_match(ngx_http_request_t *r,
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
