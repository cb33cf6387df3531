
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SPOOL_H_INCLUDED_
#define _NGX_HTTP_TROVE_SPOOL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_conf.h"
#include "ngx_http_trove_ctx.h"
#include "ngx_http_trove_spool_route.h"
#include "ngx_trove_spool.h"


/*
 * Adds a location whose events go to the spool, with its targets, which have
 * been checked; to be called when all has been merged, before anybody spools.
 * The route has to be kept for ngx_http_trove_spool_accept().
 *
 * NULL  logged: no "trove_spool", no threads in NGINX, or out of memory
 */
ngx_http_trove_route_t *ngx_http_trove_spool_route(ngx_conf_t *cf,
    ngx_http_core_srv_conf_t *cscf, void **loc_conf, ngx_array_t *targets);

/*
 * Warns of a spool that nothing is put into; to be called when all locations
 * have been added.
 */
void ngx_http_trove_spool_check_used(ngx_conf_t *cf);

/* Whether there is a "trove_spool", once http has been read that far. */
ngx_uint_t ngx_http_trove_spool_configured(ngx_conf_t *cf);

/*
 * Whether this NGINX has threads, which a spool writes in.
 *
 * NGX_ERROR  it has none; logged, with the name of the directive
 */
ngx_int_t ngx_http_trove_spool_threads(ngx_conf_t *cf, ngx_str_t *directive);

/* All locations whose events are spooled: ngx_http_trove_route_t *. */
ngx_array_t *ngx_http_trove_spool_routes(ngx_http_request_t *r);

/* Whether the configuration has a target of the spool. */
ngx_uint_t ngx_http_trove_spool_knows(ngx_http_request_t *r,
    ngx_trove_spool_target_t *target);

/*
 * Puts the event of r, which has been parsed, into the spool, and answers once
 * it is on the disk: a content handler.
 */
ngx_int_t ngx_http_trove_spool_accept(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx, ngx_http_trove_route_t *route);


#endif /* _NGX_HTTP_TROVE_SPOOL_H_INCLUDED_ */
