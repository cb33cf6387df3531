
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_CLAIM_H_INCLUDED_
#define _NGX_HTTP_TROVE_CLAIM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_ctx.h"
#include "ngx_trove_table.h"


/*
 * The claims of the requests that this worker is processing:
 *
 *   take --NEW--> held --2xx--------------------> settled (complete)
 *                   |  any other answer, or the
 *                   |  end of the request -------> settled (release)
 *                   |  the worker exits fast ----> settled (release)
 *                   +- the worker is killed -----> by its lease
 *
 * While a claim is held, a timer of the worker renews its lease.
 */


/* bytes of the longest name that can be marked */
#define NGX_HTTP_TROVE_CLAIM_NAME  255


typedef struct {
    ngx_trove_table_t  *table;
    ngx_uint_t          lease;       /* seconds */
    ngx_uint_t          ttl;         /* seconds */
} ngx_http_trove_claim_conf_t;


/*
 * Claims a key for the main request r.  A request that holds the key already,
 * as it does after an internal redirect, gets NEW, too.
 *
 * NGX_OK     *result says what came of it
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_claim_take(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx, ngx_http_trove_claim_conf_t *conf,
    ngx_trove_zone_key_t *key, ngx_trove_zone_claim_e *result);

/* Completes (done is 1) or releases (0) all claims that a request holds. */
void ngx_http_trove_claim_settle(ngx_http_trove_ctx_t *ctx, ngx_log_t *log,
    ngx_uint_t done);

/*
 * What was done of the event whose claim a request holds, by name, is marked
 * beside the claim, for its ttl, and found again under a later claim of the
 * same event.  Without a claim nothing is marked.
 */
void ngx_http_trove_claim_mark(ngx_http_trove_ctx_t *ctx, ngx_str_t *name);
ngx_uint_t ngx_http_trove_claim_marked(ngx_http_trove_ctx_t *ctx,
    ngx_str_t *name);

/* For a worker that comes and goes. */
void ngx_http_trove_claim_init(ngx_cycle_t *cycle);
void ngx_http_trove_claim_exit(void);


#endif /* _NGX_HTTP_TROVE_CLAIM_H_INCLUDED_ */
