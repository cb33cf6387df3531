
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
 * Delivers the events in the spool.  The deliveries of this worker:
 *
 *   accepted, leased at once --+
 *                              +--> ready --> running --DONE--> outcome
 *   due in the file, leased ---+      |          |                 |
 *                                     |          |     written <---+
 *                                     |          |     or repeated until
 *                                     |          |     it is written
 *                                     |          |
 *                                     |          +-- the worker dies: others
 *                                     |              take over when the
 *                                     |              lease has expired
 *                                     +-- the worker exits: released
 *
 * Leases are renewed while a delivery is in progress.  The number of
 * deliveries running to a target is limited, so that connections are left for
 * other targets.  More deliveries are kept ready in memory, so that a target
 * is not idle during disk access.  The others stay in the file.  First
 * attempts and retries alternate, and have separate capacities.
 */


/*
 * Starts the dispatcher of a worker for an array of ngx_http_trove_route_t *,
 * which must live as long as the cycle.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_dispatcher_init(ngx_cycle_t *cycle,
    ngx_array_t *routes);

/*
 * Delivers an event that has just been accepted.  starts and indices have n
 * entries: the deliveries that are leased to this worker and have capacity
 * reserved.  starts[i] is the delivery to the target with number indices[i] of
 * the route.  The event is copied.  If out of memory, the deliveries are
 * released.
 */
void ngx_http_trove_dispatcher_take(ngx_http_trove_route_t *route,
    ngx_trove_spool_event_t *event, ngx_trove_spool_start_t *starts,
    ngx_uint_t *indices, ngx_uint_t n);


#endif /* _NGX_HTTP_TROVE_SPOOL_DISPATCHER_H_INCLUDED_ */
