
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
 *     |      ^     |  any other response, or
 *     |      |     |  the request is freed ------> settled (release)
 *     |      |     |  the worker exits fast -----> settled (release)
 *     |      |     +- the worker is killed ------> the lease expires
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
 * A timer of the worker renews the leases of claims that are held.  A request
 * whose claim is ASKED is resumed only by the store, or ended by its client.
 */


/*
 * Claims a key for the main request r.  The result is also NEW if the request
 * already holds the key, as after an internal redirect.  op must have its
 * store, key, lease and ttl set.  It is copied to the pool of r.
 *
 * NGX_OK     *result is set
 * NGX_AGAIN  the request waits for the store: the phase handler has to return
 *            NGX_AGAIN; when it is called again, ngx_http_trove_claim_resume()
 *            gives the result
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_claim_take(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx, ngx_http_trove_dedup_op_t *op,
    ngx_trove_zone_claim_e *result);

/*
 * Gives the result of the claim that a request has waited for.  The phase
 * handler calls it before it makes the key, because the value of "key=" may
 * have changed meanwhile.
 *
 * NGX_OK        *result is set
 * NGX_DECLINED  the request has not waited
 * NGX_AGAIN     the request still waits
 */
ngx_int_t ngx_http_trove_claim_resume(ngx_http_trove_ctx_t *ctx,
    ngx_trove_zone_claim_e *result);

/*
 * Settles all claims that a request holds: completes them if done is 1, or
 * releases them if it is 0.  Claims that are ASKED are cancelled.  An expired
 * lease is logged.
 */
void ngx_http_trove_claim_settle(ngx_http_trove_ctx_t *ctx, ngx_log_t *log,
    ngx_uint_t done);

/*
 * Record and look up parts of the processing of an event that have been
 * completed, by name.  ngx_http_trove_claim_ack() records a name beside the
 * claims that a request holds, for their ttl.  Nothing is recorded without a
 * claim.  ngx_http_trove_claim_acked() returns 1 if the name was recorded
 * under an earlier claim of the same event, 0 otherwise.
 */
void ngx_http_trove_claim_ack(ngx_http_trove_ctx_t *ctx, ngx_str_t *name);
ngx_uint_t ngx_http_trove_claim_acked(ngx_http_trove_ctx_t *ctx,
    ngx_str_t *name);

/* Called when a worker process starts, and when it exits. */
void ngx_http_trove_claim_init(ngx_cycle_t *cycle);
void ngx_http_trove_claim_exit(void);


#endif /* _NGX_HTTP_TROVE_CLAIM_H_INCLUDED_ */
