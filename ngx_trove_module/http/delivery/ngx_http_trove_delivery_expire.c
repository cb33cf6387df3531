
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_delivery_expire.h"
#include "ngx_http_trove_health_log.h"
#include "ngx_http_trove_timer.h"


/* the length of a lease of the spool, milliseconds */
#define NGX_HTTP_TROVE_DELIVERY_EXPIRE  30000


static void ngx_http_trove_delivery_expire(ngx_event_t *ev);
static void ngx_http_trove_delivery_expired(ngx_http_trove_delivery_t *d);
static ngx_uint_t ngx_http_trove_delivery_timed(ngx_http_trove_delivery_t *d);


/* of this process */
static ngx_queue_t  ngx_http_trove_deliveries;
static ngx_event_t  ngx_http_trove_delivery_timer;
static ngx_http_trove_delivery_stop_pt  ngx_http_trove_delivery_expire_stop;


void
ngx_http_trove_delivery_expire_init(ngx_cycle_t *cycle,
    ngx_http_trove_delivery_stop_pt stop)
{
    ngx_http_trove_delivery_expire_stop = stop;

    ngx_queue_init(&ngx_http_trove_deliveries);

    ngx_http_trove_timer_init(&ngx_http_trove_delivery_timer,
                              ngx_http_trove_delivery_expire, cycle->log, 1);
}


void
ngx_http_trove_delivery_expire_add(ngx_http_trove_delivery_t *d)
{
    ngx_event_t  *ev;

    ev = &ngx_http_trove_delivery_timer;

    d->expires = ngx_current_msec + NGX_HTTP_TROVE_DELIVERY_EXPIRE;

    ngx_queue_insert_tail(&ngx_http_trove_deliveries, &d->worker);

    /* a timer that has been set earlier finds the first one that expires */

    ev->cancelable = 0;

    if (!ev->timer_set) {
        ngx_add_timer(ev, NGX_HTTP_TROVE_DELIVERY_EXPIRE);
    }
}


void
ngx_http_trove_delivery_expire_remove(ngx_http_trove_delivery_t *d)
{
    ngx_queue_remove(&d->worker);

    /* without deliveries, the timer does not delay an exit */

    if (ngx_queue_empty(&ngx_http_trove_deliveries)) {
        ngx_http_trove_delivery_timer.cancelable = 1;
    }
}


static void
ngx_http_trove_delivery_expire(ngx_event_t *ev)
{
    ngx_queue_t                *q;
    ngx_msec_int_t              left;
    ngx_http_trove_delivery_t  *d;

    while (!ngx_queue_empty(&ngx_http_trove_deliveries)) {
        q = ngx_queue_head(&ngx_http_trove_deliveries);
        d = ngx_queue_data(q, ngx_http_trove_delivery_t, worker);

        left = (ngx_msec_int_t) (d->expires - ngx_current_msec);

        if (left > 0) {
            ngx_add_timer(ev, (ngx_msec_t) left);
            return;
        }

        /* repeated later if NGINX waits, or a thread still uses the request */

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&ngx_http_trove_deliveries, q);
        d->expires = ngx_current_msec + NGX_HTTP_TROVE_DELIVERY_EXPIRE;

        if (!ngx_http_trove_delivery_timed(d)) {
            ngx_http_trove_delivery_expired(d);
        }
    }
}


/* whether NGINX waits for the server of the target, with a timeout */

static ngx_uint_t
ngx_http_trove_delivery_timed(ngx_http_trove_delivery_t *d)
{
    ngx_connection_t     *c;
    ngx_resolver_ctx_t   *resolving;
    ngx_http_upstream_t  *u;

    if (d->state != NGX_HTTP_TROVE_DELIVERY_RUNNING) {
        return 0;
    }

    u = d->subrequest->upstream;

    if (u == NULL) {
        return 0;
    }

    c = u->peer.connection;

    if (c && (c->read->timer_set || c->write->timer_set)) {
        return 1;
    }

    resolving = u->resolved ? u->resolved->ctx : NULL;

    return resolving && resolving->event && resolving->event->timer_set;
}


static void
ngx_http_trove_delivery_expired(ngx_http_trove_delivery_t *d)
{
    char       *action;
    ngx_log_t  *log;
    ngx_str_t  *id;

    id = &d->origin->ctx->event.id;
    log = d->log;
    action = ngx_http_trove_health_action(log);

    if (d->state == NGX_HTTP_TROVE_DELIVERY_RUNNING) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "trove: delivery of event \"%V\" to target \"%V\" has "
                      "not ended after %M ms, ending it; check the scripts in "
                      "its location",
                      id, &d->target->name, ngx_current_msec - d->running);

    } else if (!d->ended) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "trove: a detached subrequest of the delivery of event "
                      "\"%V\" to target \"%V\" has not ended after %M ms, "
                      "ending it; check the scripts in its location",
                      id, &d->target->name, ngx_current_msec - d->running);
    }

    log->action = action;
    d->ended = 1;

    ngx_http_trove_delivery_expire_stop(d, NGX_HTTP_GATEWAY_TIME_OUT, NULL);
}
