
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_METRICS_LABEL_H_INCLUDED_
#define _NGX_HTTP_TROVE_METRICS_LABEL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Sets *labels to the escaped labels that a location has in all metrics:
 *
 *     server="NAME",location="= /path"
 *
 * A server without a name has an address that it listens on instead.  The
 * string is allocated from cf->pool and followed by extra zero bytes.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_metrics_label(ngx_conf_t *cf,
    ngx_http_core_srv_conf_t *cscf, ngx_http_core_loc_conf_t *clcf,
    size_t extra, ngx_str_t *labels);


#endif /* _NGX_HTTP_TROVE_METRICS_LABEL_H_INCLUDED_ */
