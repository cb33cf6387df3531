
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_DELIVERY_UNSENT_H_INCLUDED_
#define _NGX_HTTP_TROVE_DELIVERY_UNSENT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Returns 1 if a subrequest that has ended could not open a connection because
 * of this machine: it had no free connection, descriptor, memory or address.
 * No server has received anything.  This is logged once a second at most.
 * Returns 0 otherwise, also if a server refused the connection.
 */
ngx_uint_t ngx_http_trove_delivery_unsent(ngx_http_request_t *sr,
    ngx_str_t *target);


#endif /* _NGX_HTTP_TROVE_DELIVERY_UNSENT_H_INCLUDED_ */
