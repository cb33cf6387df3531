
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_DELIVERY_EXPIRE_H_INCLUDED_
#define _NGX_HTTP_TROVE_DELIVERY_EXPIRE_H_INCLUDED_


#include "ngx_http_trove_delivery.h"


/*
 * The deliveries of this worker that have a request, in the order in which they
 * expire.  A delivery that waits for a server ends by itself, because NGINX has
 * a timeout for that.  A script may wait forever: such a delivery is ended, and
 * so is a detached subrequest that outlives its delivery for too long.  An
 * exiting worker waits for them.
 */


/*
 * Terminates the request of a delivery.  If the delivery is RUNNING, it ends
 * with the status and the error.
 */
typedef void (*ngx_http_trove_delivery_stop_pt)(ngx_http_trove_delivery_t *d,
    ngx_uint_t status, const char *error);

/*
 * Called when a worker process starts.  Deliveries that expire are passed to
 * stop().
 */
void ngx_http_trove_delivery_expire_init(ngx_cycle_t *cycle,
    ngx_http_trove_delivery_stop_pt stop);

/* Add and remove a delivery. */
void ngx_http_trove_delivery_expire_add(ngx_http_trove_delivery_t *d);
void ngx_http_trove_delivery_expire_remove(ngx_http_trove_delivery_t *d);


#endif /* _NGX_HTTP_TROVE_DELIVERY_EXPIRE_H_INCLUDED_ */
