
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SPOOL_RETRY_H_INCLUDED_
#define _NGX_HTTP_TROVE_SPOOL_RETRY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* When a failed delivery is retried.  All times are in milliseconds. */

typedef struct {
    ngx_msec_t   base;
    ngx_uint_t   factor;
    ngx_msec_t   max;
    int64_t      window;
    size_t       response;       /* bytes kept of a failure */
} ngx_http_trove_retry_t;


/*
 * Parses the parameters of a directive "trove_retry" into *retry.
 *
 * NGX_CONF_OK
 * NGX_CONF_ERROR  logged; the message names the directive and the remedy
 */
char *ngx_http_trove_retry_conf(ngx_conf_t *cf, ngx_http_trove_retry_t *retry);

/* Sets all members to the default values. */
void ngx_http_trove_retry_default(ngx_http_trove_retry_t *retry);

/*
 * Returns the delay in milliseconds after attempt number n (from 1) of a
 * window.  It is base * factor^(n-1) with a jitter of a tenth, or the value of
 * Retry-After if that is longer, limited to max.  retry_after may be empty; it
 * is a list of numbers of seconds and of dates (RFC 9110, section 10.2.3), of
 * which the longest counts.  Anything else in the list is ignored.
 */
ngx_msec_t ngx_http_trove_retry_delay(ngx_http_trove_retry_t *retry,
    ngx_uint_t n, ngx_str_t *retry_after);


#endif /* _NGX_HTTP_TROVE_SPOOL_RETRY_H_INCLUDED_ */
