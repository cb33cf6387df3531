
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_DEDUP_H_INCLUDED_
#define _NGX_HTTP_TROVE_DEDUP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_claim.h"
#include "ngx_http_trove_conf.h"


/*
 * A key without "key=" is the digest of the scope, the event's id and, where a
 * secret holds variables, a NUL, the URI, and a digest of what they gave: not
 * all that tells tenants apart is in the URI, and a "rewrite" may have changed
 * it.  With "key=" it is zeroes and the value.
 */

#define NGX_HTTP_TROVE_DEDUP_SCOPE  16


typedef struct {
    ngx_flag_t                        enable;
    ngx_flag_t                        said;    /* here or outside */
    ngx_shm_zone_t                   *shm_zone;
    time_t                            ttl;
    time_t                            lease;
    ngx_http_complex_value_t         *key;     /* NULL: the default */
    ngx_http_trove_place_t            place;   /* of the directive */

    u_char                            scope[NGX_HTTP_TROVE_DEDUP_SCOPE];
    unsigned                          varies:1;    /* a secret does */
} ngx_http_trove_dedup_loc_conf_t;


/*
 * An event has been verified, which the phase handler is to see soon: makes its
 * key, and has the memory that the zone keeps it in brought near.  May be left
 * out.
 */
void ngx_http_trove_dedup_expect(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx);

/*
 * The key of the event of a main request in the store of its location.
 *
 * NGX_OK
 * NGX_DECLINED  it has none: it is not deduplicated
 * NGX_ERROR     out of memory
 */
ngx_int_t ngx_http_trove_dedup_key(ngx_http_request_t *r,
    ngx_http_trove_dedup_loc_conf_t *dlcf, ngx_http_trove_ctx_t *ctx,
    ngx_http_trove_key_t *key);

/*
 * A digest, of 16 bytes, of what the event of a main request is deduplicated
 * by: the same in all processes, for ever.
 *
 * NGX_OK
 * NGX_DECLINED  it is not deduplicated
 * NGX_ERROR     out of memory
 */
ngx_int_t ngx_http_trove_dedup_digest(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx, u_char *digest);

/*
 * Has the zones of all locations forget the completed event of an id, where
 * nothing but the id tells it from others.  digests are *n of 16 bytes, as the
 * function above gives for it, in the pool of r; count goes up by one for each
 * zone that knew it.
 *
 * NGX_OK
 * NGX_HTTP_INTERNAL_SERVER_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_dedup_forget(ngx_http_request_t *r, ngx_str_t *id,
    u_char **digests, ngx_uint_t *n, uint64_t *count);

/*
 * Sets the scopes of all locations that deduplicate, and checks them; to be
 * called when all has been merged.
 *
 * NGX_OK
 * NGX_ERROR  logged
 */
ngx_int_t ngx_http_trove_dedup_scopes(ngx_conf_t *cf);


#endif /* _NGX_HTTP_TROVE_DEDUP_H_INCLUDED_ */
