
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_UPSTREAM_H_INCLUDED_
#define _NGX_HTTP_TROVE_UPSTREAM_H_INCLUDED_


#include "ngx_http_trove_delivery.h"


/*
 * Only the response of the target itself decides about a delivery.  In NGINX,
 * "X-Accel-Redirect", an "error_page" and a cache put another one in its
 * place.
 */


/*
 * Records that the subrequest of a delivery has failed, with the status rc.
 * It must be called before NGINX looks for an "error_page".  Error pages of the
 * server are not used; those of the location are a fallback.
 */
void ngx_http_trove_upstream_failed(ngx_http_trove_delivery_t *d,
    ngx_http_request_t *sr, ngx_int_t rc);

/*
 * Returns the status of a delivery that has ended, where status is that of its
 * subrequest.  A failure does not become a success by an "error_page", a header
 * filter, or a cache.
 */
ngx_uint_t ngx_http_trove_upstream_status(ngx_http_trove_delivery_t *d,
    ngx_http_request_t *sr, ngx_uint_t status);


#endif /* _NGX_HTTP_TROVE_UPSTREAM_H_INCLUDED_ */
