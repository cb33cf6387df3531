
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_DELIVERY_REQUEST_H_INCLUDED_
#define _NGX_HTTP_TROVE_DELIVERY_REQUEST_H_INCLUDED_


#include "ngx_http_trove_delivery.h"


/*
 * Creates the subrequest of a delivery with the method, the headers and the
 * variables for its target.  d->post is called when the subrequest ends.  The
 * memory is allocated from the pool of the main request.
 *
 * NGX_OK
 * NGX_ERROR  out of memory, or too many subrequests
 */
ngx_int_t ngx_http_trove_delivery_request(ngx_http_trove_delivery_t *d);


#endif /* _NGX_HTTP_TROVE_DELIVERY_REQUEST_H_INCLUDED_ */
