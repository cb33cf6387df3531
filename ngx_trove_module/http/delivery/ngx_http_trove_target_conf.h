
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_TARGET_CONF_H_INCLUDED_
#define _NGX_HTTP_TROVE_TARGET_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_target.h"


/*
 * Adds what a directive "trove_fanout" says to an array of targets,
 * ngx_http_trove_target_t *.
 *
 * NGX_CONF_OK
 * NGX_CONF_ERROR  after a message that names the directive and the remedy
 */
char *ngx_http_trove_target_add(ngx_conf_t *cf, ngx_array_t *targets);

/*
 * Has the targets counted of the location that is being merged; each learns
 * what it is counted in.
 *
 * NGX_CONF_OK
 * NGX_CONF_ERROR  out of memory
 */
char *ngx_http_trove_target_metrics(ngx_conf_t *cf, ngx_array_t *targets);

/*
 * Finds the location which serves the URI of each target in a server, and
 * checks that it is "internal"; to be called when all has been merged.
 *
 * NGX_OK
 * NGX_ERROR  logged
 */
ngx_int_t ngx_http_trove_target_check(ngx_conf_t *cf,
    ngx_http_core_srv_conf_t *cscf, ngx_array_t *targets);


#endif /* _NGX_HTTP_TROVE_TARGET_CONF_H_INCLUDED_ */
