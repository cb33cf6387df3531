
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SPOOL_RETRY_H_INCLUDED_
#define _NGX_HTTP_TROVE_SPOOL_RETRY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* When a delivery that failed is tried again; all times in milliseconds. */

typedef struct {
    ngx_msec_t   base;
    ngx_uint_t   factor;
    ngx_msec_t   max;
    int64_t      window;
    size_t       response;       /* bytes kept of one that is no success */
} ngx_http_trove_retry_t;


/*
 * Reads the parameters of a directive "trove_retry" into *retry.
 *
 * NGX_CONF_OK
 * NGX_CONF_ERROR  after a message that names the directive and the remedy
 */
char *ngx_http_trove_retry_conf(ngx_conf_t *cf, ngx_http_trove_retry_t *retry);

/* Sets all of it to what is in force without a directive. */
void ngx_http_trove_retry_default(ngx_http_trove_retry_t *retry);

/*
 * How long to wait after attempt number n (1 ..) of a window: base * factor^n-1
 * with a jitter of a tenth, or what the target said by Retry-After (RFC 9110,
 * section 10.2.3: seconds or a date, or empty) where that is longer, but max at
 * most.
 */
ngx_msec_t ngx_http_trove_retry_delay(ngx_http_trove_retry_t *retry,
    ngx_uint_t n, ngx_str_t *retry_after);


#endif /* _NGX_HTTP_TROVE_SPOOL_RETRY_H_INCLUDED_ */
