
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SPOOL_METRICS_H_INCLUDED_
#define _NGX_HTTP_TROVE_SPOOL_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Registers the metric families of the spool.  It must be called at
 * postconfiguration.  Routes, ngx_http_trove_route_t *, may be added to the
 * array later.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_spool_metrics_init(ngx_conf_t *cf,
    ngx_array_t *routes);


#endif /* _NGX_HTTP_TROVE_SPOOL_METRICS_H_INCLUDED_ */
