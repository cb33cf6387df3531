
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_VERDICT_H_INCLUDED_
#define _NGX_HTTP_TROVE_VERDICT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The result of the verification of a request.  The names, in the same order,
 * are in ngx_http_trove_verdict.c.
 *
 * A verdict is also the number of its counter.  ngx_http_trove_metrics.h has no
 * gap after METHOD: a new verdict moves the counters behind it, and needs
 * another number in ngx_http_trove_metrics_shm_name.
 */

typedef enum {
    NGX_HTTP_TROVE_VERDICT_NONE = 0,          /* not evaluated */
    NGX_HTTP_TROVE_VERDICT_OK,
    NGX_HTTP_TROVE_VERDICT_MISSING,
    NGX_HTTP_TROVE_VERDICT_MALFORMED,
    NGX_HTTP_TROVE_VERDICT_STALE,
    NGX_HTTP_TROVE_VERDICT_NO_SECRET,
    NGX_HTTP_TROVE_VERDICT_MISMATCH,
    NGX_HTTP_TROVE_VERDICT_BAD_JSON,
    NGX_HTTP_TROVE_VERDICT_BAD_EVENT,
    NGX_HTTP_TROVE_VERDICT_METHOD,
    NGX_HTTP_TROVE_VERDICTS
} ngx_http_trove_verdict_e;


/* Returns the value of $trove_verify for a verdict; "" for NONE. */
ngx_str_t *ngx_http_trove_verdict_name(ngx_http_trove_verdict_e verdict);


#endif /* _NGX_HTTP_TROVE_VERDICT_H_INCLUDED_ */
