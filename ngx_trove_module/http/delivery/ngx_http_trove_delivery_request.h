
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_DELIVERY_REQUEST_H_INCLUDED_
#define _NGX_HTTP_TROVE_DELIVERY_REQUEST_H_INCLUDED_


#include "ngx_http_trove_delivery.h"


/*
 * Makes the subrequest of a delivery, whose end calls d->post: with the header,
 * the method and the variables that a target gets.
 *
 * NGX_OK
 * NGX_ERROR  out of memory, or too many subrequests
 */
ngx_int_t ngx_http_trove_delivery_request(ngx_http_trove_delivery_t *d);


#endif /* _NGX_HTTP_TROVE_DELIVERY_REQUEST_H_INCLUDED_ */
