
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
 * Parses a directive "trove_fanout" and adds its target to an array of
 * ngx_http_trove_target_t *.  The memory is allocated from cf->pool.
 *
 * NGX_CONF_OK
 * NGX_CONF_ERROR  logged; the message names the directive and the remedy
 */
char *ngx_http_trove_target_add(ngx_conf_t *cf, ngx_array_t *targets);

/* The same for a directive "trove_subscriptions". */
char *ngx_http_trove_target_subscribers(ngx_conf_t *cf, ngx_array_t *targets);

/*
 * Parses the URI of a target.
 *
 * NGX_OK
 * NGX_ERROR  logged
 */
ngx_int_t ngx_http_trove_target_uri(ngx_conf_t *cf,
    ngx_http_trove_target_t *target, ngx_str_t *value);

/*
 * Allocates the counters of the targets of the location that is being merged.
 *
 * NGX_CONF_OK
 * NGX_CONF_ERROR  out of memory
 */
char *ngx_http_trove_target_metrics(ngx_conf_t *cf, ngx_array_t *targets);

/*
 * Finds the location in a server that serves the URI of each target, and
 * checks that it is "internal".  It must be called after all configurations
 * have been merged.
 *
 * NGX_OK
 * NGX_ERROR  logged
 */
ngx_int_t ngx_http_trove_target_check(ngx_conf_t *cf,
    ngx_http_core_srv_conf_t *cscf, ngx_array_t *targets);


#endif /* _NGX_HTTP_TROVE_TARGET_CONF_H_INCLUDED_ */
