
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <openssl/rand.h>

#include "ngx_http_trove_api.h"
#include "ngx_http_trove_delivery.h"
#include "ngx_http_trove_module.h"
#include "ngx_http_trove_spool.h"


#define NGX_HTTP_TROVE_API_TEST_ID    16       /* random bytes */
#define NGX_HTTP_TROVE_API_TEST_BODY  512


/*
 * The deliveries of a synthetic event, which bypass the spool:
 *
 *   start --> deliveries running --the last is DONE--> event --> response sent
 *
 * The request is suspended in the meantime, until the requests of all
 * deliveries have been freed.
 */

typedef struct {
    ngx_http_trove_api_t       *api;
    ngx_trove_spool_event_t     event;
    ngx_http_trove_origin_t    *origins;       /* one for each delivery */
    ngx_http_trove_delivery_t  *deliveries;
    ngx_uint_t                  n;
    ngx_event_t                 done;
    unsigned                    started:1;     /* all of them */
    unsigned                    ended:1;
} ngx_http_trove_api_test_t;


static ngx_int_t ngx_http_trove_api_test_event(ngx_http_trove_api_test_t *test,
    ngx_http_request_t *r);
static void ngx_http_trove_api_test_start(ngx_http_trove_api_test_t *test,
    ngx_http_trove_route_t *route, ngx_http_trove_target_t *target);
static void ngx_http_trove_api_test_done(ngx_http_trove_delivery_t *d);
static void ngx_http_trove_api_test_released(ngx_http_trove_origin_t *origin);
static void ngx_http_trove_api_test_end(ngx_http_trove_api_test_t *test);
static void ngx_http_trove_api_test_complete(ngx_event_t *ev);
static ngx_int_t ngx_http_trove_api_test_response(ngx_http_request_t *r,
    void *data);


ngx_int_t
ngx_http_trove_api_test(ngx_http_trove_api_t *api)
{
    ngx_uint_t                  i, k, n;
    ngx_array_t                *routes;
    ngx_http_request_t         *r;
    ngx_http_trove_route_t    **route;
    ngx_http_trove_target_t   **target;
    ngx_http_trove_api_test_t  *test;

    r = api->request;

    routes = ngx_http_trove_spool_routes(r);
    route = routes->elts;

    for (i = 0, n = 0; i < routes->nelts; i++) {
        n += route[i]->targets->nelts;
    }

    test = ngx_pcalloc(r->pool, sizeof(ngx_http_trove_api_test_t)
                                + n * (sizeof(ngx_http_trove_delivery_t)
                                       + sizeof(ngx_http_trove_origin_t)));
    if (test == NULL || ngx_http_trove_api_test_event(test, r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    test->api = api;
    test->origins = (ngx_http_trove_origin_t *) (test + 1);
    test->deliveries = (ngx_http_trove_delivery_t *) (test->origins + n);

    test->done.handler = ngx_http_trove_api_test_complete;
    test->done.data = test;
    test->done.log = r->connection->log;

    api->result = NULL;
    api->more = NULL;

    api->suspend = ngx_http_trove_suspend_create(r,
                                        ngx_http_trove_api_test_response, test);
    if (api->suspend == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_trove_suspend(api->suspend);

    for (i = 0; i < routes->nelts; i++) {
        target = route[i]->targets->elts;

        for (k = 0; k < route[i]->targets->nelts; k++) {

            if (target[k]->subscribers
                || (api->filter.target.len
                 && (api->filter.target.len != target[k]->name.len
                     || ngx_strncmp(api->filter.target.data,
                                    target[k]->name.data, target[k]->name.len)
                        != 0))
                || (api->filter.route.len
                    && (api->filter.route.len != route[i]->name.len
                        || ngx_strncmp(api->filter.route.data,
                                       route[i]->name.data,
                                       route[i]->name.len)
                           != 0)))
            {
                continue;
            }

            ngx_http_trove_api_test_start(test, route[i], target[k]);
        }
    }

    test->started = 1;

    ngx_http_trove_api_test_end(test);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_trove_api_test_event(ngx_http_trove_api_test_t *test,
    ngx_http_request_t *r)
{
    u_char     *p, random[NGX_HTTP_TROVE_API_TEST_ID];
    u_char      hex[2 * NGX_HTTP_TROVE_API_TEST_ID];
    ngx_tm_t    tm;
    ngx_str_t   id;

    if (RAND_bytes(random, sizeof(random)) != 1) {
        return NGX_ERROR;
    }

    id.data = hex;
    id.len = ngx_hex_dump(hex, random, sizeof(random)) - hex;

    p = ngx_pnalloc(r->pool, NGX_HTTP_TROVE_API_TEST_BODY);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_gmtime(ngx_time(), &tm);

    test->event.body.data = p;
    test->event.body.len = ngx_snprintf(p, NGX_HTTP_TROVE_API_TEST_BODY,
                               "{\"id\":\"evt-test-%V\","
                               "\"type\":\"webhook.test\","
                               "\"api_version\":\"2026-04-30\","
                               "\"workspace_id\":\"\",\"namespace\":null,"
                               "\"created_at\":"
                               "\"%4d-%02d-%02dT%02d:%02d:%02dZ\","
                               "\"data\":{\"message\":\"a test, sent by the "
                               "management API of the gateway\"}}",
                               &id, tm.ngx_tm_year, tm.ngx_tm_mon,
                               tm.ngx_tm_mday, tm.ngx_tm_hour, tm.ngx_tm_min,
                               tm.ngx_tm_sec)
                           - p;

    test->event.id.data = p + sizeof("{\"id\":\"") - 1;
    test->event.id.len = sizeof("evt-test-") - 1 + id.len;

    ngx_str_set(&test->event.uri, "/");
    ngx_str_set(&test->event.content_type, "application/json");
    test->event.host = r->headers_in.server;

    return NGX_OK;
}


static void
ngx_http_trove_api_test_start(ngx_http_trove_api_test_t *test,
    ngx_http_trove_route_t *route, ngx_http_trove_target_t *target)
{
    ngx_http_trove_origin_t    *origin;
    ngx_http_trove_delivery_t  *d;

    origin = &test->origins[test->n];
    d = &test->deliveries[test->n++];

    origin->event = &test->event;
    origin->cscf = route->cscf;
    origin->loc_conf = route->loc_conf;
    origin->pool = test->api->request->pool;
    origin->released = ngx_http_trove_api_test_released;
    origin->data = test;

    d->origin = origin;
    d->log = ngx_cycle->log;
    d->target = target;
    d->attempt = 1;
    d->keep = ngx_http_trove_spool_keep(target);
    d->handler = ngx_http_trove_api_test_done;
    d->data = test;

    if (ngx_http_trove_target_hold(target, origin->pool) != NGX_OK) {
        d->state = NGX_HTTP_TROVE_DELIVERY_DONE;
        d->status = NGX_HTTP_INTERNAL_SERVER_ERROR;
        d->error = "no_memory";
        return;
    }

    ngx_http_trove_delivery_start(d);
}


static void
ngx_http_trove_api_test_done(ngx_http_trove_delivery_t *d)
{
    ngx_http_trove_api_test_t  *test;

    test = d->data;

    /* it is in the memory of the fake request */

    (void) ngx_http_trove_delivery_copy_response(d, test->api->request->pool);

    ngx_http_trove_api_test_end(test);
}


static void
ngx_http_trove_api_test_released(ngx_http_trove_origin_t *origin)
{
    ngx_http_trove_api_test_end(origin->data);
}


static void
ngx_http_trove_api_test_end(ngx_http_trove_api_test_t *test)
{
    ngx_uint_t  i;

    if (!test->started || test->ended) {
        return;
    }

    for (i = 0; i < test->n; i++) {

        if (test->deliveries[i].state != NGX_HTTP_TROVE_DELIVERY_DONE
            || test->origins[i].fakes)
        {
            return;
        }
    }

    test->ended = 1;

    ngx_post_event(&test->done, &ngx_posted_events);
}


static void
ngx_http_trove_api_test_complete(ngx_event_t *ev)
{
    ngx_http_trove_api_test_t  *test;

    test = ev->data;

    ngx_http_trove_resume(test->api->suspend);
}


static ngx_int_t
ngx_http_trove_api_test_response(ngx_http_request_t *r, void *data)
{
    ngx_http_trove_api_test_t *test = data;

    ngx_str_t                   error;
    ngx_uint_t                  i, ok;
    ngx_http_trove_json_t       json;
    ngx_http_trove_delivery_t  *d;

    if (test->n == 0) {
        return ngx_http_trove_api_error(r, NGX_HTTP_NOT_FOUND,
                                        "no such target");
    }

    ok = 1;

    for (i = 0; i < test->n; i++) {
        ok &= ngx_http_trove_delivery_succeeded(&test->deliveries[i]);
    }

    ngx_http_trove_json_init(&json, r->pool);

    ngx_http_trove_json_printf(&json, "{\"ok\":%s,\"event_id\":",
                               ok ? "true" : "false");
    ngx_http_trove_json_string(&json, &test->event.id);
    ngx_http_trove_json_printf(&json, ",\"targets\":[");

    for (i = 0; i < test->n; i++) {
        d = &test->deliveries[i];

        error.data = (u_char *) d->error;
        error.len = d->error ? ngx_strlen(d->error) : 0;

        ngx_http_trove_json_printf(&json, i ? ",{\"name\":" : "{\"name\":");
        ngx_http_trove_json_string(&json, &d->target->name);
        ngx_http_trove_json_printf(&json, ",\"ok\":%s,\"status\":%ui,"
                                   "\"ms\":%M,\"error\":",
                                   ngx_http_trove_delivery_succeeded(d) ? "true"
                                                                    : "false",
                                   d->status, d->duration);
        ngx_http_trove_json_string(&json, &error);

        if (d->response.len) {
            ngx_http_trove_json_printf(&json, ",\"response\":");
            ngx_http_trove_json_string(&json, &d->response);
        }

        ngx_http_trove_json_printf(&json, "}");
    }

    ngx_http_trove_json_printf(&json, "]}");

    return ngx_http_trove_json_send(&json, r, NGX_HTTP_OK);
}
