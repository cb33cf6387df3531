
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_DEDUP_KEY_H_INCLUDED_
#define _NGX_HTTP_TROVE_DEDUP_KEY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_ctx.h"
#include "ngx_http_trove_dedup_conf.h"


/*
 * A key without "key=" is the digest of the scope, the event's id and, where a
 * secret holds variables, a NUL, the URI, and a digest of what they gave: not
 * all that tells tenants apart is in the URI, and a "rewrite" may have changed
 * it.  With "key=" it is zeroes and the value.
 */


/*
 * Makes the key of an event that has been verified, and prefetches the memory
 * that the zone keeps it in, since the phase handler will look there soon.
 * ngx_http_trove_dedup_key() does not depend on it.
 */
void ngx_http_trove_dedup_prefetch(ngx_http_request_t *r,
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


#endif /* _NGX_HTTP_TROVE_DEDUP_KEY_H_INCLUDED_ */
