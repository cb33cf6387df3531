
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SPOOL_DISPATCHER_H_INCLUDED_
#define _NGX_HTTP_TROVE_SPOOL_DISPATCHER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_spool_retry.h"
#include "ngx_http_trove_target.h"
#include "ngx_trove_spool.h"


/*
 * Delivers what is in the spool.  The deliveries of this worker:
 *
 *   accepted, leased at once --+
 *                              +--> ready --> under way --OVER--> outcome
 *   due in the file, leased ---+      |           |                  |
 *                                     |           |      written <---+
 *                                     |           |      or not: until it is
 *                                     |           |
 *                                     |           +-- the worker dies: others
 *                                     |               take it when the lease
 *                                     |               has run out
 *                                     +-- the worker exits: handed back
 *
 * The lease of what takes long is renewed.  So much is under way to a target
 * that it leaves room for others.  Some more is ready in memory, so that a
 * target is never without work while the disk is waited for; the rest stays in
 * the file.  First attempts and retries take turns, and each have room of their
 * own.
 */


/* how long a delivery is ours before others take it over, milliseconds */
#define NGX_HTTP_TROVE_COURIER_LEASE  30000


/* a location whose events are spooled */
typedef struct {
    ngx_str_t                  name;           /* that it has in the file */
    ngx_http_core_srv_conf_t  *cscf;
    void                     **loc_conf;
    ngx_array_t               *targets;        /* ngx_http_trove_target_t * */
    ngx_http_trove_retry_t   **retries;        /* of each of them */

    /* of this worker: where its targets begin in those of the courier */
    ngx_uint_t                 first;
} ngx_http_trove_route_t;


/*
 * Starts the courier of a worker for an array of ngx_http_trove_route_t *.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_courier_init(ngx_cycle_t *cycle, ngx_array_t *routes);

/*
 * Asks for room for a delivery to the target number index of a route, for an
 * event of so many bytes, to be started as soon as it is in the file.  If there
 * is, it has to be used by ngx_http_trove_courier_take(), or given back; what
 * is a retry says so (0 or 1), here and below.
 *
 * Whether there is room.
 */
ngx_uint_t ngx_http_trove_courier_reserve(ngx_http_trove_route_t *route,
    ngx_uint_t index, size_t bytes);
void ngx_http_trove_courier_unreserve(ngx_http_trove_route_t *route,
    ngx_uint_t index, ngx_uint_t retry);

/*
 * A delivery that is held may begin, if there is room under way; otherwise it
 * is put into the queue of those that are ready, and begins, or is handed back,
 * by a call of ngx_http_trove_parcel_begin() or ..._hand_back().  What has
 * begun has to leave.
 *
 * Whether it may begin now.
 */
ngx_uint_t ngx_http_trove_courier_enter(ngx_http_trove_route_t *route,
    ngx_uint_t index, ngx_uint_t retry, ngx_queue_t *ready);
void ngx_http_trove_courier_leave(ngx_http_trove_route_t *route,
    ngx_uint_t index);

/*
 * Takes over an event that has just been accepted, with those of its deliveries
 * that are leased to us: starts[i] is for the target number indices[i] of the
 * route.  The event is copied.
 */
void ngx_http_trove_courier_take(ngx_http_trove_route_t *route,
    ngx_trove_spool_event_t *event, ngx_trove_spool_start_t *starts,
    ngx_uint_t *indices, ngx_uint_t n);

/* There is something due in the file, or will be in delay milliseconds. */
void ngx_http_trove_courier_wake(void);
void ngx_http_trove_courier_due(ngx_msec_t delay);


#endif /* _NGX_HTTP_TROVE_SPOOL_DISPATCHER_H_INCLUDED_ */
