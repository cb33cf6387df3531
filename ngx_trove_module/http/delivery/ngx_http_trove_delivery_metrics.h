
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_DELIVERY_METRICS_H_INCLUDED_
#define _NGX_HTTP_TROVE_DELIVERY_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Registers the metric families that are common to all targets.  It must be
 * called at postconfiguration.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_delivery_metrics_init(ngx_conf_t *cf);


#endif /* _NGX_HTTP_TROVE_DELIVERY_METRICS_H_INCLUDED_ */
