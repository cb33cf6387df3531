
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
 * Likely mistakes in a secret, which are used for hints in the log only: a
 * signature by such a key is never accepted.
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


#define NGX_HTTP_TROVE_SECRET_NEAR_MAX  3      /* for a secret */


/* the origin of secrets in the configuration; never the secrets */
typedef struct {
    ngx_str_t     name;              /* "file:PATH", "env:NAME"; or empty */
    ngx_uint_t    n;
} ngx_http_trove_secret_origin_t;


/*
 * Creates keys of the likely corrections of a secret of len bytes, and returns
 * their number.  Keys that cannot be created are left out.  The caller owns the
 * keys.
 */
ngx_uint_t ngx_http_trove_secret_near(u_char *secret, size_t len,
    ngx_http_trove_secret_near_t near[NGX_HTTP_TROVE_SECRET_NEAR_MAX],
    ngx_log_t *log);

/* Wipes and frees n such keys. */
void ngx_http_trove_secret_near_free(ngx_http_trove_secret_near_t *near,
    ngx_uint_t n);

/*
 * The same for a secret of the configuration: the keys are added to secrets,
 * which owns them.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_secret_near_add(ngx_conf_t *cf,
    ngx_http_trove_secrets_t *secrets, u_char *secret, size_t len);

/*
 * Records value, the argument of the directive, as the origin of the last n
 * keys of secrets.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_secret_origin_add(ngx_http_trove_secrets_t *secrets,
    ngx_str_t *value, ngx_uint_t n);


#endif /* _NGX_HTTP_TROVE_SECRET_NEAR_H_INCLUDED_ */
