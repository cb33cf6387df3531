
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SECRET_NEAR_H_INCLUDED_
#define _NGX_HTTP_TROVE_SECRET_NEAR_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_secret.h"


/*
 * What a secret may have been meant to be.  Good for a hint in the log only:
 * nothing is accepted that such a key has signed.
 */

typedef enum {
    NGX_HTTP_TROVE_SECRET_BARE = 0,           /* without the prefix */
    NGX_HTTP_TROVE_SECRET_PREFIXED,           /* with it */
    NGX_HTTP_TROVE_SECRET_UNQUOTED,
    NGX_HTTP_TROVE_SECRET_TRIMMED             /* without blanks around it */
} ngx_http_trove_secret_near_e;


typedef struct {
    ngx_trove_key_t               *key;
    ngx_http_trove_secret_near_e   how;
} ngx_http_trove_secret_near_t;


#define NGX_HTTP_TROVE_SECRET_NEAR_MAX  3      /* of a secret */


/* where secrets of a configuration come from; never what they are */
typedef struct {
    ngx_str_t     name;              /* "file:PATH", "env:NAME"; or empty */
    ngx_uint_t    n;
} ngx_http_trove_secret_origin_t;


/*
 * Makes keys of what a secret of len bytes may have been meant to be, and
 * returns their number.  Those that cannot be made are left out.  The keys
 * belong to the caller.
 */
ngx_uint_t ngx_http_trove_secret_near(u_char *secret, size_t len,
    ngx_http_trove_secret_near_t near[NGX_HTTP_TROVE_SECRET_NEAR_MAX],
    ngx_log_t *log);

/* Wipes and frees n of them. */
void ngx_http_trove_secret_near_free(ngx_http_trove_secret_near_t *near,
    ngx_uint_t n);

/*
 * The same for a secret of the configuration: adds the keys to those of
 * secrets, which frees them.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_secret_near_add(ngx_conf_t *cf,
    ngx_http_trove_secrets_t *secrets, u_char *secret, size_t len);

/*
 * Notes that the last n keys of secrets are from value, which is what the
 * directive says.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_secret_origin_add(ngx_http_trove_secrets_t *secrets,
    ngx_str_t *value, ngx_uint_t n);


#endif /* _NGX_HTTP_TROVE_SECRET_NEAR_H_INCLUDED_ */
