
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SPOOL_DISABLED_H_INCLUDED_
#define _NGX_HTTP_TROVE_SPOOL_DISABLED_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_spool_route.h"
#include "ngx_trove_spool_subscription.h"


/*
 * Creates an event "webhook.disabled" for the configured targets of a route, to
 * be accepted if a failed attempt disables the subscription.  gone is 1 if the
 * response was 410, 0 otherwise.  The memory is allocated from the pool.
 *
 * NULL  no target receives it, or out of memory
 */
ngx_trove_spool_accept_t *ngx_http_trove_spool_disabled(
    ngx_http_trove_route_t *route, ngx_trove_spool_subscriber_t *subscriber,
    ngx_uint_t gone, ngx_pool_t *pool);

/* Logs that the subscription has been disabled, and counts it. */
void ngx_http_trove_spool_disabled_log(
    ngx_trove_spool_subscriber_t *subscriber, ngx_uint_t gone);


#endif /* _NGX_HTTP_TROVE_SPOOL_DISABLED_H_INCLUDED_ */
