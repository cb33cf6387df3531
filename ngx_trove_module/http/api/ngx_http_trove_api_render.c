
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_api.h"
#include "ngx_http_trove_spool.h"


static void ngx_http_trove_api_json_delivery(ngx_http_trove_json_t *json,
    ngx_http_request_t *r, ngx_trove_spool_delivery_t *d, ngx_uint_t all);
static void ngx_http_trove_api_json_attempt(ngx_http_trove_json_t *json,
    ngx_trove_spool_attempt_t *attempt);
static void ngx_http_trove_api_json_next(ngx_http_trove_json_t *json,
    int64_t next);


static const char  *ngx_http_trove_api_states[] = {
    "pending",                                 /* NGX_TROVE_SPOOL_NEW */
    "pending",                                 /* NGX_TROVE_SPOOL_RETRY */
    "inflight",                                /* NGX_TROVE_SPOOL_LEASED */
    "delivered",
    "failed",
    "cancelled"
};


ngx_int_t
ngx_http_trove_api_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *detail)
{
    ngx_str_t              s;
    ngx_http_trove_json_t  json;

    s.len = ngx_strlen(detail);
    s.data = (u_char *) detail;

    ngx_http_trove_json_init(&json, r->pool);

    ngx_http_trove_json_printf(&json, "{\"detail\":");
    ngx_http_trove_json_string(&json, &s);
    ngx_http_trove_json_printf(&json, "}");

    return ngx_http_trove_json_send(&json, r, status);
}


ngx_int_t
ngx_http_trove_api_render_event(ngx_http_trove_api_t *api)
{
    ngx_uint_t                     i;
    ngx_http_trove_json_t          json;
    ngx_trove_spool_event_t       *event;
    ngx_trove_spool_events_t      *events;
    ngx_trove_spool_deliveries_t  *deliveries;

    events = api->result;
    deliveries = api->more;

    if (events->n == 0) {
        return ngx_http_trove_api_error(api->request, NGX_HTTP_NOT_FOUND,
                                        "no such event");
    }

    event = &events->events[0];

    ngx_http_trove_json_init(&json, api->request->pool);

    ngx_http_trove_json_printf(&json, "{\"event\":");
    ngx_http_trove_json_raw(&json, event->body.data, event->body.len);
    ngx_http_trove_json_printf(&json, ",\"received_at\":");
    ngx_http_trove_json_time(&json, event->received);
    ngx_http_trove_json_printf(&json, ",\"location\":");
    ngx_http_trove_json_string(&json, &event->route);
    ngx_http_trove_json_printf(&json, ",\"deliveries\":[");

    for (i = 0; i < deliveries->n; i++) {
        ngx_http_trove_json_printf(&json, i ? "," : "");
        ngx_http_trove_api_json_delivery(&json, api->request,
                                         &deliveries->deliveries[i], 1);
    }

    ngx_http_trove_json_printf(&json, "]}");

    return ngx_http_trove_json_send(&json, api->request, NGX_HTTP_OK);
}


ngx_int_t
ngx_http_trove_api_render_deliveries(ngx_http_trove_api_t *api)
{
    ngx_uint_t                     i;
    ngx_http_trove_json_t          json;
    ngx_trove_spool_deliveries_t  *deliveries;

    deliveries = api->result;

    ngx_http_trove_json_init(&json, api->request->pool);
    ngx_http_trove_json_printf(&json, "{\"deliveries\":[");

    for (i = 0; i < deliveries->n; i++) {
        ngx_http_trove_json_printf(&json, i ? "," : "");
        ngx_http_trove_api_json_delivery(&json, api->request,
                                         &deliveries->deliveries[i], 0);
    }

    ngx_http_trove_json_printf(&json, "]");
    ngx_http_trove_api_json_next(&json, deliveries->next);
    ngx_http_trove_json_printf(&json, "}");

    return ngx_http_trove_json_send(&json, api->request, NGX_HTTP_OK);
}


ngx_int_t
ngx_http_trove_api_render_delivery(ngx_http_trove_api_t *api)
{
    ngx_http_trove_json_t          json;
    ngx_trove_spool_deliveries_t  *deliveries;

    deliveries = api->result;

    if (deliveries->n == 0) {
        return ngx_http_trove_api_error(api->request, NGX_HTTP_NOT_FOUND,
                                        "no such delivery");
    }

    ngx_http_trove_json_init(&json, api->request->pool);
    ngx_http_trove_api_json_delivery(&json, api->request,
                                     &deliveries->deliveries[0], 1);

    return ngx_http_trove_json_send(&json, api->request, NGX_HTTP_OK);
}


ngx_int_t
ngx_http_trove_api_render_action(ngx_http_trove_api_t *api)
{
    if (api->rc == NGX_BUSY) {
        return ngx_http_trove_api_error(api->request, NGX_HTTP_CONFLICT,
                                        (api->action == NGX_TROVE_SPOOL_REPLAY)
                                        ? "a delivery attempt is in progress"
                                        : "the delivery has already ended");
    }

    return ngx_http_trove_api_render_delivery(api);
}


ngx_int_t
ngx_http_trove_api_render_count(ngx_http_trove_api_t *api)
{
    int64_t                next;
    ngx_http_trove_json_t  json;

    /* a list begins below its cursor */

    next = (api->done < api->nids) ? api->ids[api->done] + 1 : api->cursor;

    ngx_http_trove_json_init(&json, api->request->pool);
    ngx_http_trove_json_printf(&json, "{\"count\":%uL,\"dry_run\":%s",
                               api->count, api->dry_run ? "true" : "false");
    ngx_http_trove_api_json_next(&json, next);
    ngx_http_trove_json_printf(&json, "}");

    return ngx_http_trove_json_send(&json, api->request, NGX_HTTP_OK);
}


ngx_int_t
ngx_http_trove_api_render_targets(ngx_http_trove_api_t *api)
{
    ngx_uint_t                i;
    ngx_http_trove_json_t     json;
    ngx_trove_spool_stat_t   *stat;
    ngx_trove_spool_gauge_t  *t;

    stat = api->result;

    ngx_http_trove_json_init(&json, api->request->pool);
    ngx_http_trove_json_printf(&json,
                               "{\"events\":%uL,\"used\":%uL,\"size\":%uL,"
                               "\"targets\":[",
                               stat->events, stat->used, stat->size);

    for (i = 0; i < stat->ntargets; i++) {
        t = &stat->targets[i];

        ngx_http_trove_json_printf(&json, i ? ",{\"target\":"
                                            : "{\"target\":");
        ngx_http_trove_json_string(&json, &t->target.name);
        ngx_http_trove_json_printf(&json, ",\"location\":");
        ngx_http_trove_json_string(&json, &t->target.route);
        ngx_http_trove_json_printf(&json,
                                   ",\"paused\":%s,\"configured\":%s,"
                                   "\"pending\":%uL,\"inflight\":%uL,"
                                   "\"delivered\":%uL,\"failed\":%uL,"
                                   "\"cancelled\":%uL,"
                                   "\"oldest_pending_ms\":%L}",
                                   t->paused ? "true" : "false",
                                   ngx_http_trove_spool_knows(api->request,
                                                              &t->target)
                                   ? "true" : "false",
                                   t->states[NGX_TROVE_SPOOL_NEW]
                                   + t->states[NGX_TROVE_SPOOL_RETRY],
                                   t->states[NGX_TROVE_SPOOL_LEASED],
                                   t->states[NGX_TROVE_SPOOL_DELIVERED],
                                   t->states[NGX_TROVE_SPOOL_FAILED],
                                   t->states[NGX_TROVE_SPOOL_CANCELLED],
                                   t->oldest);
    }

    ngx_http_trove_json_printf(&json, "]}");

    return ngx_http_trove_json_send(&json, api->request, NGX_HTTP_OK);
}


ngx_int_t
ngx_http_trove_api_render_pause(ngx_http_trove_api_t *api)
{
    ngx_http_trove_json_t  json;

    if (api->rc == NGX_DECLINED) {
        return ngx_http_trove_api_error(api->request, NGX_HTTP_NOT_FOUND,
                                        "no such target");
    }

    ngx_http_trove_json_init(&json, api->request->pool);

    ngx_http_trove_json_printf(&json, "{\"target\":");
    ngx_http_trove_json_text(&json, &api->filter.target);
    ngx_http_trove_json_printf(&json, ",\"paused\":%s}",
                               api->paused ? "true" : "false");

    return ngx_http_trove_json_send(&json, api->request, NGX_HTTP_OK);
}


ngx_int_t
ngx_http_trove_api_render_forget(ngx_http_trove_api_t *api)
{
    ngx_http_trove_json_t  json;

    ngx_http_trove_json_init(&json, api->request->pool);

    ngx_http_trove_json_printf(&json, "{\"id\":");
    ngx_http_trove_json_text(&json, &api->name);
    ngx_http_trove_json_printf(&json, ",\"forgotten\":%s}",
                               api->count ? "true" : "false");

    return ngx_http_trove_json_send(&json, api->request, NGX_HTTP_OK);
}


static void
ngx_http_trove_api_json_delivery(ngx_http_trove_json_t *json,
    ngx_http_request_t *r, ngx_trove_spool_delivery_t *d, ngx_uint_t all)
{
    ngx_uint_t   i;
    const char  *reason;

    ngx_http_trove_json_printf(json, "{\"id\":%L,\"event_id\":", d->id);
    ngx_http_trove_json_string(json, &d->event->id);
    ngx_http_trove_json_printf(json, ",\"type\":");
    ngx_http_trove_json_string(json, &d->event->type);
    ngx_http_trove_json_printf(json, ",\"namespace\":");
    ngx_http_trove_json_string(json, &d->event->namespace);
    ngx_http_trove_json_printf(json, ",\"target\":");
    ngx_http_trove_json_string(json, &d->target.name);
    ngx_http_trove_json_printf(json, ",\"location\":");
    ngx_http_trove_json_string(json, &d->target.route);

    ngx_http_trove_json_printf(json, ",\"state\":\"%s\",\"attempts\":%ui,"
                               "\"received_at\":",
                               ngx_http_trove_api_states[d->state],
                               d->attempts);
    ngx_http_trove_json_time(json, d->event->received);

    ngx_http_trove_json_printf(json, ",\"opened_at\":");
    ngx_http_trove_json_time(json, d->opened);

    if (d->state < NGX_TROVE_SPOOL_LEASED) {
        ngx_http_trove_json_printf(json, ",\"due_at\":");

    } else if (d->state == NGX_TROVE_SPOOL_LEASED) {
        ngx_http_trove_json_printf(json, ",\"lease_until\":");

    } else {
        ngx_http_trove_json_printf(json, ",\"ended_at\":");
    }

    ngx_http_trove_json_time(json, d->due);

    /* why a delivery is not attempted, even if it is due */

    reason = NULL;

    if (d->state < NGX_TROVE_SPOOL_DELIVERED) {
        reason = !ngx_http_trove_spool_knows(r, &d->target)
                 ? "the target is not configured"
                 : d->paused ? "the target is paused" : NULL;
    }

    if (reason) {
        ngx_http_trove_json_printf(json, ",\"reason\":\"%s\"", reason);
    }

    if (all) {
        ngx_http_trove_json_printf(json, ",\"history\":[");

        for (i = 0; i < d->nhistory; i++) {
            ngx_http_trove_json_printf(json, i ? "," : "");
            ngx_http_trove_api_json_attempt(json, &d->history[i]);
        }

        ngx_http_trove_json_printf(json, "]");

    } else if (d->nhistory) {
        ngx_http_trove_json_printf(json, ",\"last_attempt\":");
        ngx_http_trove_api_json_attempt(json, &d->history[d->nhistory - 1]);
    }

    ngx_http_trove_json_printf(json, "}");
}


static void
ngx_http_trove_api_json_attempt(ngx_http_trove_json_t *json,
    ngx_trove_spool_attempt_t *attempt)
{
    ngx_http_trove_json_printf(json, "{\"attempt\":%ui,\"started_at\":",
                               attempt->n);
    ngx_http_trove_json_time(json, attempt->started);
    ngx_http_trove_json_printf(json, ",\"ms\":%L,\"status\":%ui,\"error\":",
                               attempt->took, attempt->status);
    ngx_http_trove_json_string(json, &attempt->reason);

    if (attempt->response.data) {
        ngx_http_trove_json_printf(json, ",\"response\":");
        ngx_http_trove_json_text(json, &attempt->response);
    }

    ngx_http_trove_json_printf(json, "}");
}


/* a string, as clients must not interpret it */

static void
ngx_http_trove_api_json_next(ngx_http_trove_json_t *json, int64_t next)
{
    if (next) {
        ngx_http_trove_json_printf(json, ",\"next_cursor\":\"%L\"", next);

    } else {
        ngx_http_trove_json_printf(json, ",\"next_cursor\":null");
    }
}
