
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include "ngx_http_trove_claim.h"
#include "ngx_http_trove_clock.h"
#include "ngx_http_trove_metrics.h"
#include "ngx_http_trove_timer.h"


/* interval of checking leases; each is renewed after a third of its time */
#define NGX_HTTP_TROVE_CLAIM_INTERVAL  300


typedef enum {
    NGX_HTTP_TROVE_CLAIM_HELD = 0,
    NGX_HTTP_TROVE_CLAIM_ASKED,
    NGX_HTTP_TROVE_CLAIM_ANSWERED
} ngx_http_trove_claim_state_e;


typedef struct {
    ngx_queue_t                    request;    /* in ctx->claims */
    ngx_queue_t                    worker;     /* in ngx_http_trove_claims */
    ngx_http_trove_dedup_op_t      op;
    ngx_http_trove_claim_state_e   state;
    int64_t                        renewed;    /* monotonic seconds */

    /* of the claiming location, which a redirect may leave; or NULL */
    ngx_http_trove_metrics_loc_t  *metrics;
} ngx_http_trove_claim_t;


static ngx_http_trove_claim_t *ngx_http_trove_claim_find(
    ngx_http_trove_ctx_t *ctx, ngx_http_trove_dedup_op_t *op);
static void ngx_http_trove_claim_add(ngx_http_trove_ctx_t *ctx,
    ngx_http_trove_claim_t *claim);
static void ngx_http_trove_claim_hold(ngx_http_trove_claim_t *claim);
static void ngx_http_trove_claim_suspend(ngx_http_request_t *r);
static void ngx_http_trove_claim_wait(ngx_http_request_t *r);
static void ngx_http_trove_claim_answered(ngx_http_trove_dedup_op_t *op);
static void ngx_http_trove_claim_end(ngx_http_trove_claim_t *claim,
    ngx_log_t *log, ngx_uint_t done);
static void ngx_http_trove_claim_cleanup(void *data);
static void ngx_http_trove_claim_renew(ngx_event_t *ev);


/* of this process */
static ngx_queue_t       ngx_http_trove_claims;
static ngx_event_t       ngx_http_trove_claim_timer;


ngx_int_t
ngx_http_trove_claim_take(ngx_http_request_t *r, ngx_http_trove_ctx_t *ctx,
    ngx_http_trove_dedup_op_t *op, ngx_trove_zone_claim_e *result)
{
    ngx_int_t                rc;
    ngx_http_cleanup_t      *cln;
    ngx_trove_zone_now_t     now;
    ngx_http_trove_claim_t  *claim;

    if (ngx_http_trove_claim_find(ctx, op)) {
        *result = NGX_TROVE_ZONE_NEW;
        return NGX_OK;
    }

    /* everything that may fail is done before the claim */

    claim = ngx_palloc(r->pool, sizeof(ngx_http_trove_claim_t));
    if (claim == NULL) {
        return NGX_ERROR;
    }

    if (ngx_queue_empty(&ctx->claims)) {
        cln = ngx_http_cleanup_add(r, 0);
        if (cln == NULL) {
            return NGX_ERROR;
        }

        cln->handler = ngx_http_trove_claim_cleanup;
        cln->data = r;
    }

    /* the lease starts here, however long the store takes to respond */

    ngx_http_trove_clock_zone(&now);

    claim->op = *op;
    claim->op.handler = ngx_http_trove_claim_answered;
    claim->op.data = r;
    claim->renewed = now.mono;
    claim->metrics = ngx_http_trove_metrics_loc(r);

    rc = op->store->actions->claim(&claim->op);

    if (rc == NGX_AGAIN) {
        claim->state = NGX_HTTP_TROVE_CLAIM_ASKED;

        ngx_http_trove_claim_add(ctx, claim);
        ngx_http_trove_claim_suspend(r);

        return NGX_AGAIN;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    *result = claim->op.result;

    if (*result == NGX_TROVE_ZONE_NEW) {
        ngx_http_trove_claim_add(ctx, claim);
        ngx_http_trove_claim_hold(claim);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_trove_claim_resume(ngx_http_trove_ctx_t *ctx,
    ngx_trove_zone_claim_e *result)
{
    ngx_queue_t             *q;
    ngx_http_trove_claim_t  *claim;

    if (ngx_queue_empty(&ctx->claims)) {
        return NGX_DECLINED;
    }

    /* a request asks for one claim at a time */

    q = ngx_queue_last(&ctx->claims);
    claim = ngx_queue_data(q, ngx_http_trove_claim_t, request);

    if (claim->state == NGX_HTTP_TROVE_CLAIM_HELD) {
        return NGX_DECLINED;
    }

    if (claim->state == NGX_HTTP_TROVE_CLAIM_ASKED) {
        return NGX_AGAIN;
    }

    *result = claim->op.result;

    if (*result == NGX_TROVE_ZONE_NEW) {
        ngx_http_trove_claim_hold(claim);

    } else {
        ngx_queue_remove(&claim->request);
        ngx_queue_remove(&claim->worker);
    }

    return NGX_OK;
}


static ngx_http_trove_claim_t *
ngx_http_trove_claim_find(ngx_http_trove_ctx_t *ctx,
    ngx_http_trove_dedup_op_t *op)
{
    ngx_queue_t             *q;
    ngx_http_trove_claim_t  *claim;

    for (q = ngx_queue_head(&ctx->claims);
         q != ngx_queue_sentinel(&ctx->claims);
         q = ngx_queue_next(q))
    {
        claim = ngx_queue_data(q, ngx_http_trove_claim_t, request);

        if (claim->op.store->data == op->store->data
            && ngx_memcmp(&claim->op.key, &op->key,
                          sizeof(ngx_http_trove_key_t))
               == 0)
        {
            return claim;
        }
    }

    return NULL;
}


static void
ngx_http_trove_claim_add(ngx_http_trove_ctx_t *ctx,
    ngx_http_trove_claim_t *claim)
{
    ngx_queue_insert_tail(&ctx->claims, &claim->request);
    ngx_queue_insert_tail(&ngx_http_trove_claims, &claim->worker);
}


static void
ngx_http_trove_claim_hold(ngx_http_trove_claim_t *claim)
{
    claim->state = NGX_HTTP_TROVE_CLAIM_HELD;

    if (!ngx_http_trove_claim_timer.timer_set) {
        ngx_add_timer(&ngx_http_trove_claim_timer,
                      NGX_HTTP_TROVE_CLAIM_INTERVAL);
    }
}


/* the store resumes the request; a close by the client ends it */

static void
ngx_http_trove_claim_suspend(ngx_http_request_t *r)
{
    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_trove_claim_wait;
}


static void
ngx_http_trove_claim_wait(ngx_http_request_t *r)
{
    /* identifies a request that waits for the store */
}


static void
ngx_http_trove_claim_answered(ngx_http_trove_dedup_op_t *op)
{
    ngx_connection_t        *c;
    ngx_http_request_t      *r;
    ngx_http_trove_claim_t  *claim;

    claim = (ngx_http_trove_claim_t *)
                ((u_char *) op - offsetof(ngx_http_trove_claim_t, op));
    r = op->data;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "trove claim answered: %ui", (ngx_uint_t) op->result);

    if (r->write_event_handler != ngx_http_trove_claim_wait) {

        /* the client has closed the connection, and a post_action is running */

        ngx_queue_remove(&claim->request);
        ngx_queue_remove(&claim->worker);

        if (op->result == NGX_TROVE_ZONE_NEW) {
            (void) op->store->actions->release(op);
        }

        return;
    }

    claim->state = NGX_HTTP_TROVE_CLAIM_ANSWERED;

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
    ngx_http_run_posted_requests(c);
}


void
ngx_http_trove_claim_settle(ngx_http_trove_ctx_t *ctx, ngx_log_t *log,
    ngx_uint_t done)
{
    ngx_queue_t             *q;
    ngx_http_trove_claim_t  *claim;

    while (!ngx_queue_empty(&ctx->claims)) {
        q = ngx_queue_head(&ctx->claims);
        claim = ngx_queue_data(q, ngx_http_trove_claim_t, request);

        ngx_queue_remove(&claim->request);
        ngx_http_trove_claim_end(claim, log, done);
    }
}


void
ngx_http_trove_claim_ack(ngx_http_trove_ctx_t *ctx, ngx_str_t *name)
{
    ngx_queue_t             *q;
    ngx_http_trove_claim_t  *claim;

    for (q = ngx_queue_head(&ctx->claims);
         q != ngx_queue_sentinel(&ctx->claims);
         q = ngx_queue_next(q))
    {
        claim = ngx_queue_data(q, ngx_http_trove_claim_t, request);

        if (claim->state == NGX_HTTP_TROVE_CLAIM_HELD) {
            claim->op.store->actions->ack(&claim->op, name);
        }
    }
}


ngx_uint_t
ngx_http_trove_claim_acked(ngx_http_trove_ctx_t *ctx, ngx_str_t *name)
{
    ngx_queue_t             *q;
    ngx_http_trove_claim_t  *claim;

    if (ngx_queue_empty(&ctx->claims)) {
        return 0;
    }

    /* the claim of the current location */

    q = ngx_queue_last(&ctx->claims);
    claim = ngx_queue_data(q, ngx_http_trove_claim_t, request);

    return claim->state == NGX_HTTP_TROVE_CLAIM_HELD
           && claim->op.store->actions->acked(&claim->op, name);
}


static void
ngx_http_trove_claim_end(ngx_http_trove_claim_t *claim, ngx_log_t *log,
    ngx_uint_t done)
{
    ngx_int_t  rc;

    ngx_queue_remove(&claim->worker);

    if (claim->state == NGX_HTTP_TROVE_CLAIM_ASKED) {
        claim->op.store->actions->cancel(&claim->op);
        return;
    }

    if (claim->state == NGX_HTTP_TROVE_CLAIM_ANSWERED
        && claim->op.result != NGX_TROVE_ZONE_NEW)
    {
        return;
    }

    if (done) {
        rc = claim->op.store->actions->complete(&claim->op);

    } else {
        rc = claim->op.store->actions->release(&claim->op);
    }

    ngx_http_trove_metrics_loc_add(claim->metrics,
                                   done ? NGX_HTTP_TROVE_METRIC_COMPLETED
                                        : NGX_HTTP_TROVE_METRIC_RELEASED, 1);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, log, 0,
                   "trove claim %s: %i", done ? "complete" : "release", rc);

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "trove: the lease of an event expired while it was being "
                      "processed, it may be processed twice; check if the "
                      "worker was blocked for longer than \"lease\"");
    }
}


/* called however the request ends */

static void
ngx_http_trove_claim_cleanup(void *data)
{
    ngx_http_request_t *r = data;

    ngx_http_cleanup_t    *cln;
    ngx_http_trove_ctx_t  *ctx;

    if (r->blocked) {

        /*
         * The client has closed the connection, but the event is still being
         * processed.  NGINX terminates the request again after that.
         */

        cln = ngx_http_cleanup_add(r, 0);

        if (cln) {
            cln->handler = ngx_http_trove_claim_cleanup;
            cln->data = r;
            return;
        }
    }

    ctx = ngx_http_trove_ctx_find(r);

    if (ctx) {
        ngx_http_trove_claim_settle(ctx, r->connection->log, 0);
    }
}


static void
ngx_http_trove_claim_renew(ngx_event_t *ev)
{
    ngx_queue_t             *q;
    ngx_trove_zone_now_t     now;
    ngx_http_trove_claim_t  *claim;

    ngx_http_trove_clock_zone(&now);

    for (q = ngx_queue_head(&ngx_http_trove_claims);
         q != ngx_queue_sentinel(&ngx_http_trove_claims);
         q = ngx_queue_next(q))
    {
        claim = ngx_queue_data(q, ngx_http_trove_claim_t, worker);

        if (claim->state != NGX_HTTP_TROVE_CLAIM_HELD
            || now.mono - claim->renewed < (int64_t) claim->op.lease / 3)
        {
            continue;
        }

        /* an expired lease is reported when its request ends */

        (void) claim->op.store->actions->renew(&claim->op);
        claim->renewed = now.mono;
    }

    if (!ngx_queue_empty(&ngx_http_trove_claims)) {
        ngx_add_timer(ev, NGX_HTTP_TROVE_CLAIM_INTERVAL);
    }
}


void
ngx_http_trove_claim_init(ngx_cycle_t *cycle)
{
    ngx_queue_init(&ngx_http_trove_claims);

    /* must not delay an exit, although it is set while there are claims */

    ngx_http_trove_timer_init(&ngx_http_trove_claim_timer,
                              ngx_http_trove_claim_renew, cycle->log, 1);
}


void
ngx_http_trove_claim_exit(void)
{
    ngx_queue_t             *q, *next;
    ngx_http_trove_claim_t  *claim;

    /* cleanup handlers of requests are not called on a fast exit */

    for (q = ngx_queue_head(&ngx_http_trove_claims);
         q != ngx_queue_sentinel(&ngx_http_trove_claims);
         q = next)
    {
        next = ngx_queue_next(q);
        claim = ngx_queue_data(q, ngx_http_trove_claim_t, worker);

        ngx_http_trove_claim_end(claim, ngx_cycle->log, 0);
    }
}
