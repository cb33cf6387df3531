
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_claim.h"
#include "ngx_http_trove_fanout.h"
#include "ngx_http_trove_health_log.h"
#include "ngx_http_trove_spool.h"
#include "ngx_http_trove_timer.h"


static ngx_int_t ngx_http_trove_fanout_match(ngx_http_trove_fanout_t *fanout,
    ngx_array_t *targets);
static ngx_int_t ngx_http_trove_fanout_origin(ngx_http_trove_fanout_t *fanout);
static void ngx_http_trove_fanout_done(ngx_http_trove_delivery_t *d);
static void ngx_http_trove_fanout_released(ngx_http_trove_origin_t *origin);
static void ngx_http_trove_fanout_event_handler(ngx_event_t *ev);
static void ngx_http_trove_fanout_leave(ngx_http_trove_fanout_t *fanout,
    ngx_uint_t ack);
static void ngx_http_trove_fanout_cleanup(void *data);


/* of this process: fan-outs that have not ended */
static ngx_queue_t  ngx_http_trove_fanouts;


ngx_int_t
ngx_http_trove_fanout_start(ngx_http_request_t *r, ngx_http_trove_ctx_t *ctx,
    ngx_array_t *targets, ngx_http_trove_fanout_pt respond)
{
    ngx_uint_t                i;
    ngx_http_cleanup_t       *cln;
    ngx_http_trove_fanout_t  *fanout;

    fanout = ngx_pcalloc(r->pool, sizeof(ngx_http_trove_fanout_t));
    if (fanout == NULL) {
        return NGX_ERROR;
    }

    fanout->request = r;
    fanout->ctx = ctx;
    fanout->respond = respond;

    if (ngx_http_trove_fanout_origin(fanout) != NGX_OK
        || ngx_http_trove_fanout_match(fanout, targets) != NGX_OK)
    {
        return NGX_ERROR;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_trove_fanout_cleanup;
    cln->data = fanout;

    ngx_http_trove_timer_init(&fanout->event,
                              ngx_http_trove_fanout_event_handler,
                              r->connection->log, 0);

    ngx_queue_insert_tail(&ngx_http_trove_fanouts, &fanout->worker);

    ctx->fanout = fanout;

    /* one extra, because deliveries may be done before the loop ends */

    fanout->pending = fanout->ndeliveries + 1;

    for (i = 0; i < fanout->ndeliveries; i++) {

        if (fanout->deliveries[i].state == NGX_HTTP_TROVE_DELIVERY_DONE) {

            /* an earlier attempt has delivered the event to the target */

            fanout->pending--;
            continue;
        }

        ngx_http_trove_delivery_start(&fanout->deliveries[i]);
    }

    fanout->pending--;

    if (fanout->pending == 0 && fanout->origin.fakes == 0) {
        return NGX_OK;
    }

    fanout->suspended = 1;

    if (fanout->pending == 0) {
        ngx_post_event(&fanout->event, &ngx_posted_events);
    }

    r->main->count++;
    r->main->blocked++;

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_DONE;
}


static ngx_int_t
ngx_http_trove_fanout_origin(ngx_http_trove_fanout_t *fanout)
{
    ngx_http_request_t       *r;
    ngx_http_trove_origin_t  *origin;

    r = fanout->request;
    origin = &fanout->origin;

    /* NGINX may not know it yet, and deliveries have no socket to ask */

    if (ngx_connection_local_sockaddr(r->connection, NULL, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    origin->request = r;
    origin->cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);
    origin->loc_conf = r->loc_conf;
    origin->ctx = fanout->ctx;
    origin->pool = r->pool;
    origin->released = ngx_http_trove_fanout_released;
    origin->data = fanout;

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_fanout_match(ngx_http_trove_fanout_t *fanout,
    ngx_array_t *targets)
{
    ngx_int_t                   rc;
    ngx_uint_t                  i, n, *matching;
    ngx_http_request_t         *r;
    ngx_http_trove_target_t   **target;
    ngx_http_trove_delivery_t  *d;

    r = fanout->request;
    target = targets->elts;

    matching = ngx_palloc(r->pool, (targets->nelts + 1) * sizeof(ngx_uint_t));
    if (matching == NULL) {
        return NGX_ERROR;
    }

    n = 0;

    for (i = 0; i < targets->nelts; i++) {
        rc = ngx_http_trove_target_match(r, target[i], &fanout->ctx->event);

        if (rc == NGX_OK) {
            rc = ngx_http_trove_target_hold(target[i], r->pool);
            matching[n++] = i;
        }

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    fanout->ndeliveries = n;
    fanout->deliveries = ngx_pcalloc(r->pool, (n + 1)
                                     * sizeof(ngx_http_trove_delivery_t));
    if (fanout->deliveries == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        d = &fanout->deliveries[i];

        d->origin = &fanout->origin;
        d->log = r->connection->log;
        d->target = target[matching[i]];
        d->attempt = 1;
        d->keep = ngx_http_trove_spool_keep(d->target);
        d->handler = ngx_http_trove_fanout_done;
        d->data = fanout;

        if (ngx_http_trove_claim_acked(fanout->ctx, &d->target->name)) {
            ngx_http_trove_delivery_skip(d);
        }
    }

    return NGX_OK;
}


static void
ngx_http_trove_fanout_done(ngx_http_trove_delivery_t *d)
{
    char                     *action;
    u_char                    text[NGX_HTTP_TROVE_DELIVERY_EXCERPT_SIZE];
    ngx_log_t                *log;
    ngx_http_trove_fanout_t  *fanout;

    fanout = d->data;

    ngx_http_trove_health_target(d, &fanout->ctx->event.id);

    (void) ngx_http_trove_delivery_copy_response(d, fanout->request->pool);

    if (!ngx_http_trove_delivery_succeeded(d)) {
        (void) ngx_http_trove_delivery_excerpt(d, text);

        log = d->log;
        action = ngx_http_trove_health_action(log);

        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "trove: delivery of event \"%V\" to %starget \"%V\" "
                      "failed: %ui%s%s, after %M ms%s",
                      &fanout->ctx->event.id,
                      d->target->optional ? "optional " : "",
                      &d->target->name, d->status, d->error ? " " : "",
                      d->error ? d->error : "", d->duration, text);

        log->action = action;
    }

    if (--fanout->pending == 0) {

        /*
         * The request is continued by an event of its own.  By then the
         * requests of the deliveries have usually been freed.
         */

        ngx_post_event(&fanout->event, &ngx_posted_events);
    }
}


/* the memory of the request is not used by deliveries any more */

static void
ngx_http_trove_fanout_released(ngx_http_trove_origin_t *origin)
{
    ngx_http_trove_fanout_t  *fanout;

    fanout = origin->data;

    if (fanout->responded) {
        ngx_post_event(&fanout->event, &ngx_posted_events);
    }
}


static void
ngx_http_trove_fanout_event_handler(ngx_event_t *ev)
{
    ngx_int_t                 rc;
    ngx_uint_t                released;
    ngx_connection_t         *c;
    ngx_http_request_t       *r;
    ngx_http_trove_fanout_t  *fanout;

    fanout = (ngx_http_trove_fanout_t *)
                 ((u_char *) ev - offsetof(ngx_http_trove_fanout_t, event));

    r = fanout->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    released = (fanout->origin.fakes == 0);

    if (released) {
        fanout->suspended = 0;
        r->main->blocked--;
    }

    if (fanout->terminated) {

        /* there is no client; NGINX has left the request to this function */

        ngx_http_trove_fanout_leave(fanout, 1);
        fanout->responded = 1;

        if (!released) {
            return;
        }

        rc = NGX_OK;

    } else if (fanout->responded) {
        rc = NGX_DONE;

    } else {
        fanout->responded = 1;

        if (!released) {
            r->main->count++;
        }

        rc = fanout->respond(r, fanout);
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


ngx_uint_t
ngx_http_trove_fanout_end(ngx_http_trove_fanout_t *fanout)
{
    ngx_uint_t                  i, succeeded;
    ngx_http_trove_delivery_t  *d;

    succeeded = 1;

    for (i = 0; i < fanout->ndeliveries; i++) {
        d = &fanout->deliveries[i];

        if (!d->target->optional && !ngx_http_trove_delivery_succeeded(d)) {
            succeeded = 0;
            break;
        }
    }

    ngx_http_trove_fanout_leave(fanout, !succeeded);

    return succeeded;
}


static void
ngx_http_trove_fanout_leave(ngx_http_trove_fanout_t *fanout, ngx_uint_t ack)
{
    ngx_uint_t                  i;
    ngx_http_trove_delivery_t  *d;

    if (fanout->ended) {
        return;
    }

    fanout->ended = 1;
    ngx_queue_remove(&fanout->worker);

    if (!ack) {
        return;
    }

    for (i = 0; i < fanout->ndeliveries; i++) {
        d = &fanout->deliveries[i];

        if (ngx_http_trove_delivery_succeeded(d)) {
            ngx_http_trove_claim_ack(fanout->ctx, &d->target->name);
        }
    }
}


/*
 * NGINX terminates or frees the request.  If a response has been sent, the
 * fan-out has already ended.  Otherwise the sender has not received a response
 * and will send the event again.  Acks are recorded even if all required
 * targets have succeeded, so that the event is not delivered to them twice.
 */

static void
ngx_http_trove_fanout_cleanup(void *data)
{
    ngx_http_trove_fanout_t *fanout = data;

    ngx_uint_t  i;

    if (!fanout->suspended) {
        ngx_http_trove_fanout_leave(fanout, 1);
        return;
    }

    fanout->terminated = 1;

    /* "worker_shutdown_timeout" has closed the connection */

    for (i = 0; ngx_exiting && i < fanout->ndeliveries; i++) {
        ngx_http_trove_delivery_abort(&fanout->deliveries[i]);
    }
}


void
ngx_http_trove_fanout_init(void)
{
    ngx_queue_init(&ngx_http_trove_fanouts);
}


void
ngx_http_trove_fanout_exit(void)
{
    ngx_queue_t              *q;
    ngx_http_trove_fanout_t  *fanout;

    /* cleanup handlers of requests are not called on a fast exit */

    while (!ngx_queue_empty(&ngx_http_trove_fanouts)) {
        q = ngx_queue_head(&ngx_http_trove_fanouts);
        fanout = ngx_queue_data(q, ngx_http_trove_fanout_t, worker);

        ngx_http_trove_fanout_leave(fanout, 1);
    }
}
