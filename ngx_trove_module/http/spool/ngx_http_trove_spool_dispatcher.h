
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SPOOL_DISPATCHER_H_INCLUDED_
#define _NGX_HTTP_TROVE_SPOOL_DISPATCHER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_spool_route.h"
#include "ngx_trove_spool.h"


/*
 * Delivers what is in the spool.  The deliveries of this worker:
 *
 *   accepted, leased at once --+
 *                              +--> ready --> under way --DONE--> outcome
 *   due in the file, leased ---+      |           |                  |
 *                                     |           |      written <---+
 *                                     |           |      or not: until it is
 *                                     |           |
 *                                     |           +-- the worker dies: others
 *                                     |               take it when the lease
 *                                     |               has run out
 *                                     +-- the worker exits: released
 *
 * The lease of what takes long is renewed.  So much is under way to a target
 * that it leaves connections for others.  Some more is ready in memory, so that
 * a target is never without work while the disk is waited for; the rest stays
 * in the file.  First attempts and retries take turns, and each have a capacity
 * of their own.
 */


/*
 * Starts the dispatcher of a worker for an array of ngx_http_trove_route_t *.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_dispatcher_init(ngx_cycle_t *cycle,
    ngx_array_t *routes);

/*
 * Takes over an event that has just been accepted, with those of its deliveries
 * that are leased to us, and that capacity was reserved for: starts[i] is for
 * the target number indices[i] of the route.  The event is copied.
 */
void ngx_http_trove_dispatcher_take(ngx_http_trove_route_t *route,
    ngx_trove_spool_event_t *event, ngx_trove_spool_start_t *starts,
    ngx_uint_t *indices, ngx_uint_t n);


#endif /* _NGX_HTTP_TROVE_SPOOL_DISPATCHER_H_INCLUDED_ */
