
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SECRET_H_INCLUDED_
#define _NGX_HTTP_TROVE_SECRET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_trove_signature.h"


/* the maximum number of secrets that are valid in a location */
#define NGX_HTTP_TROVE_SECRETS_MAX    16

#define NGX_HTTP_TROVE_SECRET_DIGEST  32


/* the minimum length of a token of the API, bytes */
#define NGX_HTTP_TROVE_SECRET_TOKEN_MIN  16


/* the purpose of secrets */
typedef enum {
    NGX_HTTP_TROVE_SECRET_VERIFY = 0,
    NGX_HTTP_TROVE_SECRET_SIGN,
    NGX_HTTP_TROVE_SECRET_TOKEN
} ngx_http_trove_secret_kind_e;


typedef struct {
    ngx_array_t                    keys;      /* ngx_trove_key_t * */
    ngx_array_t                    values;    /* ngx_http_complex_value_t */
    ngx_http_trove_secret_kind_e   kind;
    size_t                         min;       /* bytes; less is ignored */

    /* for hints in the log: see ngx_http_trove_secret_near.h */
    ngx_array_t                    near;      /* ngx_http_trove_secret_near_t */
    ngx_array_t                    origins;   /* .._secret_origin_t */
} ngx_http_trove_secrets_t;


/* the keys that are valid for one request */
typedef struct {
    ngx_uint_t        nkeys;
    ngx_uint_t        nshared;       /* the first ones are owned by the cycle */

    /* of the values of variables: it differs if any of these differ */
    u_char            digest[NGX_HTTP_TROVE_SECRET_DIGEST];

    ngx_trove_key_t  *keys[NGX_HTTP_TROVE_SECRETS_MAX];

    /* of the keys from variables: their numbers in the configuration */
    u_char            places[NGX_HTTP_TROVE_SECRETS_MAX];
} ngx_http_trove_keys_t;


/*
 * Adds the secrets of "file:PATH", "env:NAME" or a VALUE, which may contain
 * variables, to *secrets.  If that is NULL, it is created with that kind in the
 * pool of the configuration.  Keys are wiped and freed with the pool.
 *
 * NGX_CONF_OK
 * NGX_CONF_ERROR  logged, with the directive and the remedy
 */
char *ngx_http_trove_secret_add(ngx_conf_t *cf,
    ngx_http_trove_secrets_t **secrets, ngx_str_t *value,
    ngx_http_trove_secret_kind_e kind);

/*
 * Called with the contents of a file, which are wiped afterwards.
 *
 * NGX_CONF_OK
 * NGX_CONF_ERROR  logged
 */
typedef char *(*ngx_http_trove_secret_text_pt)(ngx_conf_t *cf, ngx_str_t *path,
    u_char *p, size_t len, void *data);

/*
 * Reads the file of "file:PATH" as the files with secrets, with the same checks
 * and messages.  data is passed to the function.
 *
 * NGX_CONF_OK
 * NGX_CONF_ERROR  logged, with the directive and the remedy
 */
char *ngx_http_trove_secret_read_text(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_trove_secret_text_pt text, void *data);

/*
 * Collects the keys for a request.  Values of variables are used literally.  A
 * value is ignored if it is empty, if one of its variables is empty or blank,
 * if it is only the prefix, or if it is too short for its kind.  The caller
 * must call ngx_http_trove_secret_free() afterwards, even after an error.
 *
 * NGX_OK     there may be no keys
 * NGX_ERROR  out of memory; logged
 */
ngx_int_t ngx_http_trove_secret_keys(ngx_http_request_t *r,
    ngx_http_trove_secrets_t *secrets, ngx_http_trove_keys_t *keys);

/*
 * Evaluates one of secrets->values for a request.  The value is allocated from
 * the pool of r.
 *
 * NGX_OK
 * NGX_ERROR  out of memory; logged
 */
ngx_int_t ngx_http_trove_secret_evaluate(ngx_http_request_t *r,
    ngx_http_complex_value_t *cv, ngx_str_t *value);

/*
 * Returns the number, from 1, of the key with index n in the order of the
 * configuration, in which those with variables come after all others.
 */
ngx_uint_t ngx_http_trove_secret_place(ngx_http_trove_keys_t *keys,
    ngx_uint_t n);

/* Wipes and frees the keys that were created for the request. */
void ngx_http_trove_secret_free(ngx_http_trove_keys_t *keys);

/*
 * Compares a secret of len bytes with all of the keys, in constant time.
 *
 * NGX_OK        it is one of the keys
 * NGX_DECLINED  it is not
 * NGX_ERROR     out of memory, or OpenSSL failed
 */
ngx_int_t ngx_http_trove_secret_match(ngx_http_trove_keys_t *keys,
    u_char *secret, size_t len);

/* bytes of a MAC */
#define NGX_HTTP_TROVE_SECRET_MAC  NGX_TROVE_SIGNATURE_TEXT_MAX

/*
 * Writes a MAC by a key, which differs for different secrets: secrets can be
 * compared by their MACs, in constant time.  The caller has to wipe it.
 *
 * NGX_OK
 * NGX_ERROR  out of memory, or OpenSSL failed
 */
ngx_int_t ngx_http_trove_secret_mac(ngx_trove_key_t *key, u_char *mac);

/* The same for two keys: NGX_OK if they are of the same secret. */
ngx_int_t ngx_http_trove_secret_same(ngx_trove_key_t *key,
    ngx_trove_key_t *other);


#endif /* _NGX_HTTP_TROVE_SECRET_H_INCLUDED_ */
