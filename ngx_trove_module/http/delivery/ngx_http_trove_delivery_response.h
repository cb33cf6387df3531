
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_DELIVERY_RESPONSE_H_INCLUDED_
#define _NGX_HTTP_TROVE_DELIVERY_RESPONSE_H_INCLUDED_


#include "ngx_http_trove_delivery.h"


/*
 * The response of a target.  Filters discard it as it is received.  The first
 * bytes of a failure are kept if the caller asks for them.
 */


/*
 * Adds the filters.  They process those subrequests whose post_subrequest
 * handler is the given one.  It must be called at postconfiguration and cannot
 * fail.
 */
void ngx_http_trove_delivery_response_init(
    ngx_http_post_subrequest_pt handler);

/*
 * Adds the filter that must be the first.  It must be called after the
 * postconfiguration of all modules.
 */
void ngx_http_trove_delivery_response_top(void);

/* Returns 1 if the response ended before it was complete, 0 otherwise. */
ngx_uint_t ngx_http_trove_delivery_truncated(ngx_http_trove_delivery_t *d,
    ngx_http_request_t *sr);

/*
 * Sets value to the value of the "Retry-After" header, if there is one.  The
 * bytes are not copied: they live in the pool of the request.
 */
void ngx_http_trove_delivery_retry_after(ngx_http_request_t *sr,
    ngx_str_t *value);


#endif /* _NGX_HTTP_TROVE_DELIVERY_RESPONSE_H_INCLUDED_ */
