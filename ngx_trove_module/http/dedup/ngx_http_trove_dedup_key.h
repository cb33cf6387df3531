
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
 * Without "key=", the key is made of the scope, the id of the event, and, if a
 * secret contains variables, a NUL, the URI, and a digest of the secrets:
 * tenants may differ in more than the URI, and a "rewrite" may have changed
 * that.  With "key=", it is made of zeroes and the value.
 */


/*
 * Makes the key of an event that has been verified, and prefetches the memory
 * that the zone keeps it in, since the phase handler will look there soon.
 * ngx_http_trove_dedup_key() does not depend on it.
 */
void ngx_http_trove_dedup_prefetch(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx);

/*
 * Sets *key to the key of the event of a main request in the store of its
 * location.
 *
 * NGX_OK
 * NGX_DECLINED  there is no key: the event is not deduplicated
 * NGX_ERROR     out of memory
 */
ngx_int_t ngx_http_trove_dedup_key(ngx_http_request_t *r,
    ngx_http_trove_dedup_loc_conf_t *dlcf, ngx_http_trove_ctx_t *ctx,
    ngx_http_trove_key_t *key);


#endif /* _NGX_HTTP_TROVE_DEDUP_KEY_H_INCLUDED_ */
