
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include "ngx_http_trove_claim.h"
#include "ngx_http_trove_dedup_zone.h"
#include "ngx_http_trove_metrics.h"
#include "ngx_http_trove_timer.h"


/* how often leases are looked at; each is renewed at a third of its time */
#define NGX_HTTP_TROVE_CLAIM_INTERVAL  300


typedef struct {
    ngx_queue_t                   request;     /* in ctx->claims */
    ngx_queue_t                   worker;      /* in those of the worker */
    ngx_trove_zone_key_t          key;
    ngx_http_trove_claim_conf_t  *conf;
    uint32_t                      owner;
    int64_t                       renewed;     /* monotonic seconds */

    /* where it was taken, whatever location the request ends in; or NULL */
    ngx_http_trove_metrics_loc_t *metrics;
} ngx_http_trove_claim_t;


static void ngx_http_trove_claim_end(ngx_http_trove_claim_t *claim,
    ngx_log_t *log, ngx_uint_t done);
static void ngx_http_trove_claim_mark_key(ngx_http_trove_claim_t *claim,
    ngx_str_t *name, ngx_trove_zone_key_t *key);
static void ngx_http_trove_claim_cleanup(void *data);
static void ngx_http_trove_claim_renew(ngx_event_t *ev);


/* of this process */
static ngx_queue_t       ngx_http_trove_claims;
static ngx_event_t       ngx_http_trove_claim_timer;


ngx_int_t
ngx_http_trove_claim_take(ngx_http_request_t *r, ngx_http_trove_ctx_t *ctx,
    ngx_http_trove_claim_conf_t *conf, ngx_trove_zone_key_t *key,
    ngx_trove_zone_claim_e *result)
{
    ngx_queue_t             *q;
    ngx_http_cleanup_t      *cln;
    ngx_trove_zone_now_t     now;
    ngx_http_trove_claim_t  *claim;

    for (q = ngx_queue_head(&ctx->claims);
         q != ngx_queue_sentinel(&ctx->claims);
         q = ngx_queue_next(q))
    {
        claim = ngx_queue_data(q, ngx_http_trove_claim_t, request);

        if (claim->conf->table == conf->table
            && ngx_memcmp(&claim->key, key, sizeof(ngx_trove_zone_key_t)) == 0)
        {
            *result = NGX_TROVE_ZONE_NEW;
            return NGX_OK;
        }
    }

    /* all that may fail comes before the claim */

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

    ngx_http_trove_dedup_zone_now(&now);

    *result = ngx_trove_table_claim(conf->table, key, &now, conf->lease,
                                   &claim->owner);

    if (*result != NGX_TROVE_ZONE_NEW) {
        return NGX_OK;
    }

    claim->key = *key;
    claim->conf = conf;
    claim->renewed = now.mono;
    claim->metrics = ngx_http_trove_metrics_loc(r);

    ngx_queue_insert_tail(&ctx->claims, &claim->request);
    ngx_queue_insert_tail(&ngx_http_trove_claims, &claim->worker);

    if (!ngx_http_trove_claim_timer.timer_set) {
        ngx_add_timer(&ngx_http_trove_claim_timer,
                      NGX_HTTP_TROVE_CLAIM_INTERVAL);
    }

    return NGX_OK;
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
ngx_http_trove_claim_mark(ngx_http_trove_ctx_t *ctx, ngx_str_t *name)
{
    ngx_queue_t             *q;
    ngx_trove_zone_key_t     key;
    ngx_trove_zone_now_t     now;
    ngx_http_trove_claim_t  *claim;

    ngx_http_trove_dedup_zone_now(&now);

    for (q = ngx_queue_head(&ctx->claims);
         q != ngx_queue_sentinel(&ctx->claims);
         q = ngx_queue_next(q))
    {
        claim = ngx_queue_data(q, ngx_http_trove_claim_t, request);

        ngx_http_trove_claim_mark_key(claim, name, &key);

        /* one that is lost repeats a delivery, and is counted */

        (void) ngx_trove_table_mark(claim->conf->table, &key, &now,
                                    claim->conf->ttl);
    }
}


ngx_uint_t
ngx_http_trove_claim_marked(ngx_http_trove_ctx_t *ctx, ngx_str_t *name)
{
    ngx_queue_t             *q;
    ngx_trove_zone_key_t     key;
    ngx_trove_zone_now_t     now;
    ngx_http_trove_claim_t  *claim;

    if (ngx_queue_empty(&ctx->claims)) {
        return 0;
    }

    /* that of the location which the request is in */

    q = ngx_queue_last(&ctx->claims);
    claim = ngx_queue_data(q, ngx_http_trove_claim_t, request);

    ngx_http_trove_claim_mark_key(claim, name, &key);
    ngx_http_trove_dedup_zone_now(&now);

    return ngx_trove_table_marked(claim->conf->table, &key, &now);
}


/* the same for a claim of the same event, also in a table of another size */

static void
ngx_http_trove_claim_mark_key(ngx_http_trove_claim_t *claim, ngx_str_t *name,
    ngx_trove_zone_key_t *key)
{
    u_char  buf[sizeof(ngx_trove_zone_key_t) + NGX_HTTP_TROVE_CLAIM_NAME];

    ngx_memcpy(buf, &claim->key, sizeof(ngx_trove_zone_key_t));
    ngx_memcpy(buf + sizeof(ngx_trove_zone_key_t), name->data, name->len);

    ngx_memzero(key, sizeof(ngx_trove_zone_key_t));
    ngx_trove_table_key(claim->conf->table, buf,
                        sizeof(ngx_trove_zone_key_t) + name->len, key);
}


static void
ngx_http_trove_claim_end(ngx_http_trove_claim_t *claim, ngx_log_t *log,
    ngx_uint_t done)
{
    ngx_int_t             rc;
    ngx_trove_zone_now_t  now;

    ngx_queue_remove(&claim->worker);

    if (done) {
        ngx_http_trove_dedup_zone_now(&now);

        rc = ngx_trove_table_complete(claim->conf->table, &claim->key, &now,
                                     claim->conf->ttl, claim->owner);
    } else {
        rc = ngx_trove_table_release(claim->conf->table, &claim->key,
                                    claim->owner);
    }

    ngx_http_trove_metrics_loc_add(claim->metrics,
                                   done ? NGX_HTTP_TROVE_METRIC_COMPLETED
                                        : NGX_HTTP_TROVE_METRIC_RELEASED, 1);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, log, 0,
                   "trove claim %s: %i", done ? "complete" : "release", rc);

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "trove: the lease of an event ran out while it was "
                      "processed, it may be processed twice; was the worker "
                      "blocked for longer than \"lease\"?");
    }
}


/* whatever way the request ends */

static void
ngx_http_trove_claim_cleanup(void *data)
{
    ngx_http_request_t *r = data;

    ngx_http_trove_ctx_t  *ctx;

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

    ngx_http_trove_dedup_zone_now(&now);

    for (q = ngx_queue_head(&ngx_http_trove_claims);
         q != ngx_queue_sentinel(&ngx_http_trove_claims);
         q = ngx_queue_next(q))
    {
        claim = ngx_queue_data(q, ngx_http_trove_claim_t, worker);

        if (now.mono - claim->renewed < (int64_t) claim->conf->lease / 3) {
            continue;
        }

        /* a claim that is lost is reported when its request ends */

        (void) ngx_trove_table_renew(claim->conf->table, &claim->key, &now,
                                    claim->conf->lease, claim->owner);
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

    /* it runs as long as there are requests, it must not keep a worker */

    ngx_http_trove_timer_init(&ngx_http_trove_claim_timer,
                              ngx_http_trove_claim_renew, cycle->log, 1);
}


void
ngx_http_trove_claim_exit(void)
{
    ngx_queue_t             *q;
    ngx_http_trove_claim_t  *claim;

    /* a fast exit runs no cleanup of a request */

    while (!ngx_queue_empty(&ngx_http_trove_claims)) {
        q = ngx_queue_head(&ngx_http_trove_claims);
        claim = ngx_queue_data(q, ngx_http_trove_claim_t, worker);

        ngx_http_trove_claim_end(claim, ngx_cycle->log, 0);
    }
}
