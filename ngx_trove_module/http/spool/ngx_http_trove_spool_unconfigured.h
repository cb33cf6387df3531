
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SPOOL_UNCONFIGURED_H_INCLUDED_
#define _NGX_HTTP_TROVE_SPOOL_UNCONFIGURED_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_spool_query.h"


/*
 * Targets that have deliveries in the spool but are not in the configuration,
 * because they, or their locations or servers, were removed or renamed.
 */


/*
 * Returns 1 if one of the routes, an array of ngx_http_trove_route_t *, has the
 * given target of the spool, 0 otherwise.
 */
ngx_uint_t ngx_http_trove_spool_target_known(ngx_array_t *routes,
    ngx_trove_spool_target_t *target);

/*
 * Must be called in a worker before ngx_http_trove_spool_unconfigured_log().
 * The URI of the spool and the routes belong to the configuration.
 */
void ngx_http_trove_spool_unconfigured_init(ngx_cycle_t *cycle,
    ngx_str_t *uri, ngx_array_t *routes);

/*
 * Logs the targets that are not configured and have pending deliveries.  It has
 * to be called for each new state of the spool.  Only the first worker logs
 * them, and only if there are more of them than it has logged before.
 */
void ngx_http_trove_spool_unconfigured_log(ngx_trove_spool_stat_t *stat);


#endif /* _NGX_HTTP_TROVE_SPOOL_UNCONFIGURED_H_INCLUDED_ */
