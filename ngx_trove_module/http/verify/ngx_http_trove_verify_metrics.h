
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_VERIFY_METRICS_H_INCLUDED_
#define _NGX_HTTP_TROVE_VERIFY_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_ctx.h"


/*
 * Registers the families of verification; to be called as "postconfiguration".
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_verify_metrics_init(ngx_conf_t *cf);

/*
 * Counts a request by its verdict, in the location that it is in; one that is
 * verified also by its secret and by the age of its signature.
 */
void ngx_http_trove_verify_count(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx);


#endif /* _NGX_HTTP_TROVE_VERIFY_METRICS_H_INCLUDED_ */
