
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
 * Adds a location whose events are spooled.  Its targets must have been
 * checked.  It must be called after all configurations have been merged.  The
 * returned route is allocated from cf->pool.  The caller passes it to
 * ngx_http_trove_spool_accept().
 *
 * NULL  no "trove_spool", NGINX without threads, or out of memory; logged
 */
ngx_http_trove_route_t *ngx_http_trove_spool_route(ngx_conf_t *cf,
    ngx_http_core_srv_conf_t *cscf, void **loc_conf, ngx_array_t *targets);

/*
 * Logs a warning if there is a spool but no location uses it.  It must be
 * called after all locations have been added.
 */
void ngx_http_trove_spool_check_used(ngx_conf_t *cf);

/* Returns 1 if "trove_spool" has been read, 0 otherwise. */
ngx_uint_t ngx_http_trove_spool_configured(ngx_conf_t *cf);

/*
 * Checks that NGINX has been built with threads, which a spool requires.  The
 * log line contains the name of the directive.
 *
 * NGX_OK
 * NGX_ERROR  no threads; logged
 */
ngx_int_t ngx_http_trove_spool_threads(ngx_conf_t *cf, ngx_str_t *directive);

/*
 * Returns all locations whose events are spooled, an array of
 * ngx_http_trove_route_t *.  It belongs to the configuration and is read-only.
 */
ngx_array_t *ngx_http_trove_spool_routes(ngx_http_request_t *r);

/* The same while the configuration is being read. */
ngx_array_t *ngx_http_trove_spool_conf_routes(ngx_conf_t *cf);

/*
 * Returns 1 if the configuration has the given target of the spool, 0
 * otherwise.
 */
ngx_uint_t ngx_http_trove_spool_knows(ngx_http_request_t *r,
    ngx_trove_spool_target_t *target);

/*
 * Returns the size of the part of a failed response to keep, in bytes, that is
 * configured for a target, in both modes.  Its location must have been found.
 */
size_t ngx_http_trove_spool_keep(ngx_http_trove_target_t *target);

/*
 * Writes the event of r to the spool and sends the response after it has been
 * committed to disk.  The event has been parsed.  It returns the code of a
 * content handler.
 */
ngx_int_t ngx_http_trove_spool_accept(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx, ngx_http_trove_route_t *route);

/*
 * Sets a function that is called in the event loop, before the response, when
 * an event of a request to this worker has been committed.  It must be set once
 * in each worker; the last one is called.
 */
void ngx_http_trove_spool_on_accepted(void (*handler)(void));


#endif /* _NGX_HTTP_TROVE_SPOOL_H_INCLUDED_ */
