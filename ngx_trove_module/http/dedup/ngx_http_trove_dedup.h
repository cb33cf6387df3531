
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_DEDUP_H_INCLUDED_
#define _NGX_HTTP_TROVE_DEDUP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_ctx.h"


/* The deduplication, for other components. */


/*
 * Sets digest, which has 16 bytes, to a digest of the key of the event of a
 * main request.  It is the same in all processes, and does not change over
 * time.
 *
 * NGX_OK
 * NGX_DECLINED  it is not deduplicated
 * NGX_ERROR     out of memory
 */
ngx_int_t ngx_http_trove_dedup_digest(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx, u_char *digest);

/*
 * Removes the completed event of an id from the zones of all locations whose
 * key depends on the id only.  *digests is set to the *n digests of its keys,
 * as by the function above, in the pool of r.  *count is incremented for each
 * zone that had the event.
 *
 * NGX_OK
 * NGX_HTTP_INTERNAL_SERVER_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_dedup_forget(ngx_http_request_t *r, ngx_str_t *id,
    u_char **digests, ngx_uint_t *n, uint64_t *count);


#endif /* _NGX_HTTP_TROVE_DEDUP_H_INCLUDED_ */
