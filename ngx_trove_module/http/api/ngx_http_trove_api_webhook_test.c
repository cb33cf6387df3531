
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <openssl/rand.h>

#include "ngx_http_trove_api_webhook.h"
#include "ngx_http_trove_delivery.h"
#include "ngx_http_trove_subscription.h"
#include "ngx_http_trove_timer.h"


/* clients wait for 30 s */
#define NGX_HTTP_TROVE_API_TEST_TIMEOUT  25000

#define NGX_HTTP_TROVE_API_TEST_RANDOM   16


/*
 * The delivery of a synthetic event to one subscription, which bypasses the
 * spool:
 *
 *   start --> delivery running --DONE, its request freed--> event --> response
 *                |      ^
 *                +------+ timer: the delivery is aborted
 */

typedef struct {
    ngx_http_trove_api_t          *api;
    ngx_trove_spool_event_t        event;
    ngx_trove_spool_subscriber_t   subscriber;
    ngx_http_trove_origin_t        origin;
    ngx_http_trove_delivery_t      delivery;
    const char                    *error;      /* not started */
    ngx_event_t                    timer;
    ngx_event_t                    done;
    unsigned                       started:1;
    unsigned                       ended:1;
} ngx_http_trove_api_webhook_test_t;


static ngx_int_t ngx_http_trove_api_webhook_test_event(
    ngx_http_trove_api_webhook_test_t *test,
    ngx_trove_spool_subscription_t *sub, ngx_pool_t *pool);
static ngx_int_t ngx_http_trove_api_webhook_test_start(
    ngx_http_trove_api_webhook_test_t *test);
static void ngx_http_trove_api_webhook_test_timeout(ngx_event_t *ev);
static void ngx_http_trove_api_webhook_test_done(ngx_http_trove_delivery_t *d);
static void ngx_http_trove_api_webhook_test_released(
    ngx_http_trove_origin_t *origin);
static void ngx_http_trove_api_webhook_test_end(
    ngx_http_trove_api_webhook_test_t *test);
static void ngx_http_trove_api_webhook_test_complete(ngx_event_t *ev);
static ngx_int_t ngx_http_trove_api_webhook_test_response(
    ngx_http_request_t *r, void *data);


ngx_int_t
ngx_http_trove_api_webhook_test(ngx_http_trove_api_t *api)
{
    ngx_int_t                           rc;
    ngx_http_request_t                 *r;
    ngx_trove_spool_subscription_t     *sub;
    ngx_trove_spool_subscriptions_t    *list;
    ngx_http_trove_api_webhook_test_t  *test;

    r = api->request;
    list = api->result;
    sub = &list->subscriptions[0];

    test = ngx_pcalloc(r->pool, sizeof(ngx_http_trove_api_webhook_test_t));

    if (test == NULL
        || ngx_http_trove_api_webhook_test_event(test, sub, r->pool) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    test->api = api;

    /* as long as the call: in its result */

    test->subscriber.id = sub->id;
    test->subscriber.workspace = sub->workspace;
    test->subscriber.namespace = sub->namespace;
    test->subscriber.url = sub->url;
    test->subscriber.secret = sub->secret;
    test->subscriber.previous = sub->previous;
    test->subscriber.until = sub->until;
    test->subscriber.version = sub->version;
    test->subscriber.failures = sub->failures;

    rc = ngx_http_trove_api_webhook_test_start(test);

    if (rc == NGX_DECLINED) {
        return ngx_http_trove_api_webhook_test_response(r, test);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    api->suspend = ngx_http_trove_suspend_create(r,
                               ngx_http_trove_api_webhook_test_response, test);
    if (api->suspend == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_trove_suspend(api->suspend);

    ngx_add_timer(&test->timer, NGX_HTTP_TROVE_API_TEST_TIMEOUT);

    ngx_http_trove_delivery_start(&test->delivery);

    test->started = 1;

    ngx_http_trove_api_webhook_test_end(test);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_trove_api_webhook_test_event(ngx_http_trove_api_webhook_test_t *test,
    ngx_trove_spool_subscription_t *sub, ngx_pool_t *pool)
{
    u_char                   *p, random[NGX_HTTP_TROVE_API_TEST_RANDOM];
    ngx_time_t               *tp;
    ngx_http_trove_json_t     json;
    ngx_trove_spool_event_t  *event;

    if (RAND_bytes(random, sizeof(random)) != 1) {
        return NGX_ERROR;
    }

    event = &test->event;

    p = ngx_pnalloc(pool, sizeof("evt-test-") - 1 + 2 * sizeof(random));
    if (p == NULL) {
        return NGX_ERROR;
    }

    event->id.data = p;
    p = ngx_cpymem(p, "evt-test-", sizeof("evt-test-") - 1);
    event->id.len = ngx_hex_dump(p, random, sizeof(random)) - event->id.data;

    ngx_str_set(&event->type, "webhook.test");
    ngx_str_set(&event->uri, "/");
    ngx_str_set(&event->content_type, "application/json");

    event->workspace = sub->workspace;
    event->namespace = sub->namespace;

    tp = ngx_timeofday();

    ngx_http_trove_json_init(&json, pool);

    ngx_http_trove_json_printf(&json, "{\"id\":");
    ngx_http_trove_json_string(&json, &event->id);
    ngx_http_trove_json_printf(&json, ",\"type\":\"webhook.test\","
                               "\"api_version\":\"2026-04-30\","
                               "\"workspace_id\":");
    ngx_http_trove_json_string(&json, &sub->workspace);
    ngx_http_trove_json_printf(&json, ",\"namespace\":");
    ngx_http_trove_json_string(&json, &sub->namespace);
    ngx_http_trove_json_printf(&json, ",\"created_at\":");
    ngx_http_trove_json_time(&json, (int64_t) tp->sec * 1000 + tp->msec);
    ngx_http_trove_json_printf(&json, ",\"data\":{\"message\":\"a test of "
                               "this webhook, sent by the gateway\"}}");

    return ngx_http_trove_json_flatten(&json, &event->body);
}


/* NGX_DECLINED: with a reason for the client */

static ngx_int_t
ngx_http_trove_api_webhook_test_start(ngx_http_trove_api_webhook_test_t *test)
{
    ngx_int_t                   rc;
    ngx_http_request_t         *r;
    ngx_http_trove_origin_t    *origin;
    ngx_http_trove_target_t    *target, *base;
    ngx_http_trove_delivery_t  *d;

    r = test->api->request;
    origin = &test->origin;
    d = &test->delivery;

    base = ngx_http_trove_subscription_target(r, &test->subscriber.url,
                                              &origin->cscf,
                                              &origin->loc_conf);
    if (base == NULL) {
        test->error = "the URL is not allowed any more, or subscriptions are "
                      "not enabled";
        return NGX_DECLINED;
    }

    /* with the name for the log, and without waiting for other deliveries */

    target = ngx_http_trove_target_alias(base, &test->subscriber.id,
                                         ngx_cycle->log);
    if (target == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_trove_target_hold(target, r->pool);

    ngx_http_trove_target_unref(target);

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    test->event.host = origin->cscf->server_name;

    origin->event = &test->event;
    origin->pool = r->pool;
    origin->released = ngx_http_trove_api_webhook_test_released;
    origin->data = test;

    d->origin = origin;
    d->log = ngx_cycle->log;
    d->target = target;
    d->subscriber = &test->subscriber;
    d->attempt = 1;
    d->handler = ngx_http_trove_api_webhook_test_done;
    d->data = test;

    ngx_http_trove_timer_init(&test->timer,
                              ngx_http_trove_api_webhook_test_timeout,
                              ngx_cycle->log, 0);
    test->timer.data = test;

    test->done.handler = ngx_http_trove_api_webhook_test_complete;
    test->done.data = test;
    test->done.log = ngx_cycle->log;

    return NGX_OK;
}


static void
ngx_http_trove_api_webhook_test_timeout(ngx_event_t *ev)
{
    ngx_http_trove_api_webhook_test_t  *test;

    test = ev->data;

    if (test->delivery.state != NGX_HTTP_TROVE_DELIVERY_DONE) {
        test->error = "timeout";
        ngx_http_trove_delivery_abort(&test->delivery);
    }
}


static void
ngx_http_trove_api_webhook_test_done(ngx_http_trove_delivery_t *d)
{
    ngx_http_trove_api_webhook_test_end(d->data);
}


static void
ngx_http_trove_api_webhook_test_released(ngx_http_trove_origin_t *origin)
{
    ngx_http_trove_api_webhook_test_end(origin->data);
}


static void
ngx_http_trove_api_webhook_test_end(ngx_http_trove_api_webhook_test_t *test)
{
    if (!test->started || test->ended
        || test->delivery.state != NGX_HTTP_TROVE_DELIVERY_DONE
        || test->origin.fakes)
    {
        return;
    }

    test->ended = 1;

    if (test->timer.timer_set) {
        ngx_del_timer(&test->timer);
    }

    ngx_post_event(&test->done, &ngx_posted_events);
}


static void
ngx_http_trove_api_webhook_test_complete(ngx_event_t *ev)
{
    ngx_http_trove_api_webhook_test_t  *test;

    test = ev->data;

    ngx_http_trove_resume(test->api->suspend);
}


static ngx_int_t
ngx_http_trove_api_webhook_test_response(ngx_http_request_t *r, void *data)
{
    ngx_http_trove_api_webhook_test_t *test = data;

    ngx_str_t                   error;
    ngx_uint_t                  ok;
    const char                 *text;
    ngx_http_trove_json_t       json;
    ngx_http_trove_delivery_t  *d;

    d = &test->delivery;

    ok = ngx_http_trove_delivery_succeeded(d);

    /* clients show it, but not the status */

    text = ok ? NULL
           : test->error ? test->error
           : d->error ? d->error
           : d->answered ? "the response is not 2xx"
           : d->status == NGX_HTTP_GATEWAY_TIME_OUT ? "timeout"
           : "no_response";

    error.data = (u_char *) text;
    error.len = text ? ngx_strlen(text) : 0;

    ngx_http_trove_json_init(&json, r->pool);

    ngx_http_trove_json_printf(&json, "{\"ok\":%s,\"event_id\":",
                               ok ? "true" : "false");
    ngx_http_trove_json_string(&json, &test->event.id);

    if (d->answered && test->error == NULL) {
        ngx_http_trove_json_printf(&json, ",\"status\":%ui,\"error\":",
                                   d->status);

    } else {
        ngx_http_trove_json_printf(&json, ",\"status\":null,\"error\":");
    }

    ngx_http_trove_json_string(&json, &error);
    ngx_http_trove_json_printf(&json, "}");

    return ngx_http_trove_json_send(&json, r, NGX_HTTP_OK);
}
