
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_DEDUP_H_INCLUDED_
#define _NGX_HTTP_TROVE_DEDUP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_ctx.h"


/* What other components may ask of the deduplication. */


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


#endif /* _NGX_HTTP_TROVE_DEDUP_H_INCLUDED_ */
