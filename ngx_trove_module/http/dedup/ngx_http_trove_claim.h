
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_CLAIM_H_INCLUDED_
#define _NGX_HTTP_TROVE_CLAIM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_ctx.h"
#include "ngx_http_trove_dedup_store.h"


/*
 * The claims of the requests that this worker is processing:
 *
 *   take --OK--> HELD --2xx--------------------> settled (complete)
 *     |      ^     |  any other answer, or the
 *     |      |     |  end of the request -------> settled (release)
 *     |      |     |  the worker exits fast ----> settled (release)
 *     |      |     +- the worker is killed -----> by its lease
 *     |      |
 *     |      +--NEW-- resume --any other result--> removed
 *     |                 ^
 *     |                 |  the phases run again
 *     |                 |
 *     |              ANSWERED --the request ends--> settled, if NEW; removed
 *     |                 ^
 *     |                 |  the store answers
 *     |                 |
 *     +-AGAIN-------> ASKED --the request ends, the worker exits fast-->
 *                               cancelled
 *
 * While a claim is held, a timer of the worker renews its lease.  While one is
 * asked for, nothing but the client and the store can make a request go on.
 */


/*
 * Claims a key for the main request r.  A request that holds the key already,
 * as it does after an internal redirect, gets NEW, too.  op has store, key,
 * lease, and ttl, and is copied.
 *
 * NGX_OK     *result says what came of it
 * NGX_AGAIN  the request waits for the store; the phase handler returns this,
 *            and is called again: then ngx_http_trove_claim_resume() tells
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_claim_take(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx, ngx_http_trove_dedup_op_t *op,
    ngx_trove_zone_claim_e *result);

/*
 * The result of the claim that a request has waited for.  To be called before
 * the key is made: what it is made of may have changed since.
 *
 * NGX_OK        *result says what came of it
 * NGX_DECLINED  the request has not waited
 * NGX_AGAIN     it still waits
 */
ngx_int_t ngx_http_trove_claim_resume(ngx_http_trove_ctx_t *ctx,
    ngx_trove_zone_claim_e *result);

/* Completes (done is 1) or releases (0) all claims that a request holds. */
void ngx_http_trove_claim_settle(ngx_http_trove_ctx_t *ctx, ngx_log_t *log,
    ngx_uint_t done);

/*
 * What was done of the event whose claim a request holds, by name, is recorded
 * beside the claim, for its ttl, and found again under a later claim of the
 * same event.  Without a claim nothing is recorded.
 */
void ngx_http_trove_claim_ack(ngx_http_trove_ctx_t *ctx, ngx_str_t *name);
ngx_uint_t ngx_http_trove_claim_acked(ngx_http_trove_ctx_t *ctx,
    ngx_str_t *name);

/* For a worker that comes and goes. */
void ngx_http_trove_claim_init(ngx_cycle_t *cycle);
void ngx_http_trove_claim_exit(void);


#endif /* _NGX_HTTP_TROVE_CLAIM_H_INCLUDED_ */
