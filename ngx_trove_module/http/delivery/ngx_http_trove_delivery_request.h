
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_DELIVERY_REQUEST_H_INCLUDED_
#define _NGX_HTTP_TROVE_DELIVERY_REQUEST_H_INCLUDED_


#include "ngx_http_trove_delivery.h"
#include "ngx_http_trove_fake_request.h"


/*
 * Creates the request of a delivery for the owner, and its subrequest, which
 * the posted requests of the connection will start.  d->post is called when the
 * subrequest ends.
 *
 * NGX_OK     d->request and d->subrequest are set
 * NGX_ERROR  out of memory, or the body is not a valid event; logged
 */
ngx_int_t ngx_http_trove_delivery_request(ngx_http_trove_delivery_t *d,
    ngx_http_trove_fake_owner_t *owner);

/*
 * A phase handler.  The rewrite directives of a server are for the requests of
 * clients.  A delivery, which may be redirected internally, skips them.
 */
ngx_int_t ngx_http_trove_delivery_rewrite(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TROVE_DELIVERY_REQUEST_H_INCLUDED_ */
