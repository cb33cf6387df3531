
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SECRET_H_INCLUDED_
#define _NGX_HTTP_TROVE_SECRET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_trove_signature.h"


/* the secrets that are good in one place at the same time */
#define NGX_HTTP_TROVE_SECRETS_MAX    16

#define NGX_HTTP_TROVE_SECRET_DIGEST  32


/* bytes of a token of the API */
#define NGX_HTTP_TROVE_SECRET_TOKEN_MIN  16


/* what the secrets are for */
typedef enum {
    NGX_HTTP_TROVE_SECRET_VERIFY = 0,
    NGX_HTTP_TROVE_SECRET_SIGN,
    NGX_HTTP_TROVE_SECRET_TOKEN
} ngx_http_trove_secret_kind_e;


typedef struct {
    ngx_array_t                    keys;      /* ngx_trove_key_t * */
    ngx_array_t                    values;    /* ngx_http_complex_value_t */
    ngx_http_trove_secret_kind_e   kind;
    size_t                         min;       /* bytes: what is less is none */

    /* for hints in the log: see ngx_http_trove_secret_near.h */
    ngx_array_t                    near;      /* ngx_http_trove_secret_near_t */
    ngx_array_t                    origins;   /* .._secret_origin_t */
} ngx_http_trove_secrets_t;


/* the keys that are good for one request */
typedef struct {
    ngx_uint_t        nkeys;
    ngx_uint_t        nshared;       /* the first of them belong to the cycle */

    /* of all that variables gave: tells those apart who have other secrets */
    u_char            digest[NGX_HTTP_TROVE_SECRET_DIGEST];

    ngx_trove_key_t  *keys[NGX_HTTP_TROVE_SECRETS_MAX];

    /* of those that variables gave: the place in the configuration */
    u_char            places[NGX_HTTP_TROVE_SECRETS_MAX];
} ngx_http_trove_keys_t;


/*
 * Adds what "file:PATH", "env:NAME" or a VALUE, which may hold variables, says
 * to *secrets, which is created for that kind in the pool of the configuration
 * if it is NULL.  Keys are wiped and freed with that pool.
 *
 * NGX_CONF_OK
 * NGX_CONF_ERROR  after a message that names the directive and the remedy
 */
char *ngx_http_trove_secret_add(ngx_conf_t *cf,
    ngx_http_trove_secrets_t **secrets, ngx_str_t *value,
    ngx_http_trove_secret_kind_e kind);

/*
 * Collects the keys for a request.  What variables give is taken literally.  A
 * value is none if it is empty, or one of its variables is empty or blank, or
 * it is the bare prefix, or too short for its kind.  To be followed by
 * ngx_http_trove_secret_free(), also after an error.
 *
 * NGX_OK     there may be none of them
 * NGX_ERROR  out of memory; logged
 */
ngx_int_t ngx_http_trove_secret_keys(ngx_http_request_t *r,
    ngx_http_trove_secrets_t *secrets, ngx_http_trove_keys_t *keys);

/*
 * Evaluates one of secrets->values for a request, to whose pool the value
 * belongs.
 *
 * NGX_OK
 * NGX_ERROR  out of memory; logged
 */
ngx_int_t ngx_http_trove_secret_evaluate(ngx_http_request_t *r,
    ngx_http_complex_value_t *cv, ngx_str_t *value);

/*
 * The place, from 1 on, of key number n (from 0) in the order of the
 * configuration: those with variables come after all others.
 */
ngx_uint_t ngx_http_trove_secret_place(ngx_http_trove_keys_t *keys,
    ngx_uint_t n);

/* Wipes and frees those keys that were made for the request. */
void ngx_http_trove_secret_free(ngx_http_trove_keys_t *keys);

/*
 * Compares a secret of len bytes with all of the keys, in constant time.
 *
 * NGX_OK        it is one of them
 * NGX_DECLINED  it is none of them
 * NGX_ERROR     out of memory, or OpenSSL failed
 */
ngx_int_t ngx_http_trove_secret_match(ngx_http_trove_keys_t *keys,
    u_char *secret, size_t len);

/* The same for two keys: NGX_OK if they are of the same secret. */
ngx_int_t ngx_http_trove_secret_same(ngx_trove_key_t *key,
    ngx_trove_key_t *other);


#endif /* _NGX_HTTP_TROVE_SECRET_H_INCLUDED_ */
