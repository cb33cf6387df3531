
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_DELIVERY_RESPONSE_H_INCLUDED_
#define _NGX_HTTP_TROVE_DELIVERY_RESPONSE_H_INCLUDED_


#include "ngx_http_trove_delivery.h"


/*
 * The response of a target: filters discard it as it comes in, but for the
 * first bytes of a failure where these are wanted.
 */


/* Adds the filters, for subrequests whose end calls handler. */
void ngx_http_trove_delivery_response_init(
    ngx_http_post_subrequest_pt handler);

/* Whether the response ended before it was complete. */
ngx_uint_t ngx_http_trove_delivery_truncated(ngx_http_trove_delivery_t *d,
    ngx_http_request_t *sr);

/* Sets value to that of "Retry-After", if there is one. */
void ngx_http_trove_delivery_retry_after(ngx_http_request_t *sr,
    ngx_str_t *value);


#endif /* _NGX_HTTP_TROVE_DELIVERY_RESPONSE_H_INCLUDED_ */
