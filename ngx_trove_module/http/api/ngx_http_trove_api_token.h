
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_API_TOKEN_H_INCLUDED_
#define _NGX_HTTP_TROVE_API_TOKEN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_secret.h"


/*
 * Tokens of the API, and what they may do.  They belong to the configuration.
 */

/* the name of that of "trove_api", which may do everything */
#define NGX_HTTP_TROVE_API_TOKEN_DEFAULT  "default"


typedef struct {
    ngx_str_t                  name;
    ngx_str_t                  workspace;      /* absent: all */
    ngx_str_t                  namespace;      /* absent: all */
    ngx_http_trove_secrets_t  *secrets;

    /* NGX_HTTP_TROVE_SECRET_MAC bytes for each secret without variables */
    u_char                    *macs;

    unsigned                   read:1;         /* nothing else */
} ngx_http_trove_api_token_t;


/*
 * The directive "trove_api_token".  The structure at the offset of the command
 * is an ngx_array_t * of ngx_http_trove_api_token_t.
 */
char *ngx_http_trove_api_token(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/*
 * Adds the secrets of a value to a token, as ngx_http_trove_secret_add() does.
 *
 * NGX_CONF_OK
 * NGX_CONF_ERROR  logged
 */
char *ngx_http_trove_api_token_add(ngx_conf_t *cf,
    ngx_http_trove_api_token_t *token, ngx_str_t *value);

/*
 * Checks the tokens of a location: token is that of "trove_api", and tokens are
 * those of "trove_api_token", or NULL.  Different tokens must not have the same
 * secret.
 *
 * NGX_OK
 * NGX_ERROR  logged
 */
ngx_int_t ngx_http_trove_api_token_check(ngx_conf_t *cf,
    ngx_http_trove_api_token_t *token, ngx_array_t *tokens);

/*
 * Finds the token of a request ("Authorization: Bearer TOKEN", RFC 6750) among
 * token and tokens.  The time does not depend on which of them it is.
 *
 * NGX_OK        *found is set
 * NGX_DECLINED  the request has no token, or an unknown one
 * NGX_ERROR     out of memory, or OpenSSL failed
 */
ngx_int_t ngx_http_trove_api_token_find(ngx_http_request_t *r,
    ngx_http_trove_api_token_t *token, ngx_array_t *tokens,
    ngx_http_trove_api_token_t **found);


#endif /* _NGX_HTTP_TROVE_API_TOKEN_H_INCLUDED_ */
