
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_api_webhook.h"


static ngx_int_t ngx_http_trove_api_webhook_none(ngx_http_trove_api_t *api);
static ngx_int_t ngx_http_trove_api_webhook_full(ngx_http_trove_api_t *api);
static void ngx_http_trove_api_webhook_log(ngx_http_trove_api_t *api);
static void ngx_http_trove_api_webhook_json(ngx_http_trove_json_t *json,
    ngx_trove_spool_subscription_t *sub);
static void ngx_http_trove_api_webhook_json_state(ngx_http_trove_json_t *json,
    ngx_trove_spool_subscription_t *sub);
static void ngx_http_trove_api_webhook_json_time(ngx_http_trove_json_t *json,
    int64_t msec);
static void ngx_http_trove_api_webhook_json_next(ngx_http_trove_json_t *json,
    int64_t next);


/* it may be out of the scope of the token, too */

static ngx_int_t
ngx_http_trove_api_webhook_none(ngx_http_trove_api_t *api)
{
    return ngx_http_trove_api_error(api->request, NGX_HTTP_NOT_FOUND,
                                    "no such subscription");
}


static ngx_int_t
ngx_http_trove_api_webhook_full(ngx_http_trove_api_t *api)
{
    return ngx_http_trove_api_error(api->request, NGX_HTTP_CONFLICT,
                                    "the workspace or the namespace has too "
                                    "many subscriptions");
}


static void
ngx_http_trove_api_webhook_log(ngx_http_trove_api_t *api)
{
    ngx_http_trove_api_webhook_t  *webhook;

    webhook = api->webhook;

    ngx_log_error(NGX_LOG_NOTICE, api->request->connection->log, 0,
                  "trove: subscription \"%V\" of workspace \"%V\" was %s by "
                  "token \"%V\"", &webhook->id, &webhook->scope.workspace,
                  webhook->done, &api->token->name);
}


ngx_int_t
ngx_http_trove_api_webhook_render(ngx_http_trove_api_t *api)
{
    ngx_http_trove_json_t             json;
    ngx_trove_spool_subscriptions_t  *list;

    if (api->rc == NGX_BUSY) {
        return ngx_http_trove_api_webhook_full(api);
    }

    list = api->result;

    if (api->webhook->changes && api->rc == NGX_OK) {
        ngx_http_trove_api_webhook_log(api);
    }

    /* a change may move it out of the scope; or it was deleted meanwhile */

    if (api->rc == NGX_DECLINED || list->n == 0) {
        return ngx_http_trove_api_webhook_none(api);
    }

    ngx_http_trove_json_init(&json, api->request->pool);

    ngx_http_trove_json_printf(&json, "{");
    ngx_http_trove_api_webhook_json(&json, &list->subscriptions[0]);
    ngx_http_trove_api_webhook_json_state(&json, &list->subscriptions[0]);
    ngx_http_trove_json_printf(&json, "}");

    return ngx_http_trove_json_send(&json, api->request, NGX_HTTP_OK);
}


ngx_int_t
ngx_http_trove_api_webhook_render_list(ngx_http_trove_api_t *api)
{
    ngx_uint_t                        i;
    ngx_http_trove_json_t             json;
    ngx_trove_spool_subscriptions_t  *list;

    list = api->result;

    ngx_http_trove_json_init(&json, api->request->pool);
    ngx_http_trove_json_printf(&json, "{\"webhooks\":[");

    for (i = 0; i < list->n; i++) {
        ngx_http_trove_json_printf(&json, i ? ",{" : "{");
        ngx_http_trove_api_webhook_json(&json, &list->subscriptions[i]);
        ngx_http_trove_api_webhook_json_state(&json, &list->subscriptions[i]);
        ngx_http_trove_json_printf(&json, "}");
    }

    ngx_http_trove_json_printf(&json, "]");
    ngx_http_trove_api_webhook_json_next(&json, list->next);

    return ngx_http_trove_json_send(&json, api->request, NGX_HTTP_OK);
}


ngx_int_t
ngx_http_trove_api_webhook_render_create(ngx_http_trove_api_t *api)
{
    ngx_http_trove_json_t         *json;
    ngx_http_trove_api_webhook_t  *webhook;

    if (api->rc != NGX_OK) {
        return ngx_http_trove_api_webhook_full(api);
    }

    webhook = api->webhook;
    webhook->done = "created";

    ngx_http_trove_api_webhook_log(api);

    json = &webhook->json;

    ngx_http_trove_json_init(json, api->request->pool);

    ngx_http_trove_json_printf(json, "{");
    ngx_http_trove_api_webhook_json(json, &webhook->created);
    ngx_http_trove_json_printf(json, ",\"signing_secret\":");
    ngx_http_trove_json_string(json, &webhook->secret);
    ngx_http_trove_json_printf(json, "}");

    return ngx_http_trove_json_send(json, api->request, NGX_HTTP_CREATED);
}


ngx_int_t
ngx_http_trove_api_webhook_render_rotate(ngx_http_trove_api_t *api)
{
    ngx_http_trove_json_t         *json;
    ngx_http_trove_api_webhook_t  *webhook;

    if (api->rc != NGX_OK) {
        return ngx_http_trove_api_webhook_none(api);
    }

    ngx_http_trove_api_webhook_log(api);

    webhook = api->webhook;
    json = &webhook->json;

    ngx_http_trove_json_init(json, api->request->pool);

    ngx_http_trove_json_printf(json, "{\"webhook_id\":");
    ngx_http_trove_json_string(json, &webhook->id);
    ngx_http_trove_json_printf(json, ",\"signing_secret\":");
    ngx_http_trove_json_string(json, &webhook->secret);
    ngx_http_trove_json_printf(json, ",\"previous_until\":");
    ngx_http_trove_json_time(json, webhook->change.until);
    ngx_http_trove_json_printf(json, "}");

    return ngx_http_trove_json_send(json, api->request, NGX_HTTP_OK);
}


ngx_int_t
ngx_http_trove_api_webhook_render_delete(ngx_http_trove_api_t *api)
{
    ngx_http_trove_json_t  json;

    if (api->rc != NGX_OK) {
        return ngx_http_trove_api_webhook_none(api);
    }

    ngx_http_trove_api_webhook_log(api);

    ngx_http_trove_json_init(&json, api->request->pool);

    ngx_http_trove_json_printf(&json, "{\"webhook_id\":");
    ngx_http_trove_json_string(&json, &api->webhook->id);
    ngx_http_trove_json_printf(&json, ",\"deleted\":true}");

    return ngx_http_trove_json_send(&json, api->request, NGX_HTTP_OK);
}


ngx_int_t
ngx_http_trove_api_webhook_render_test(ngx_http_trove_api_t *api)
{
    ngx_trove_spool_subscriptions_t  *list;

    list = api->result;

    return list->n ? ngx_http_trove_api_webhook_test(api)
                   : ngx_http_trove_api_webhook_none(api);
}


ngx_int_t
ngx_http_trove_api_webhook_render_audit(ngx_http_trove_api_t *api)
{
    ngx_uint_t                 i;
    ngx_http_trove_json_t      json;
    ngx_trove_spool_audit_t   *line;
    ngx_trove_spool_audits_t  *audits;

    audits = api->result;

    ngx_http_trove_json_init(&json, api->request->pool);
    ngx_http_trove_json_printf(&json, "{\"audit\":[");

    for (i = 0; i < audits->n; i++) {
        line = &audits->lines[i];

        ngx_http_trove_json_printf(&json, i ? ",{\"at\":" : "{\"at\":");
        ngx_http_trove_json_time(&json, line->at);
        ngx_http_trove_json_printf(&json, ",\"actor\":");
        ngx_http_trove_json_string(&json, &line->actor);
        ngx_http_trove_json_printf(&json, ",\"action\":");
        ngx_http_trove_json_string(&json, &line->action);
        ngx_http_trove_json_printf(&json, ",\"webhook_id\":");
        ngx_http_trove_json_string(&json, &line->id);
        ngx_http_trove_json_printf(&json, ",\"namespace\":");
        ngx_http_trove_json_string(&json, &line->namespace);
        ngx_http_trove_json_printf(&json, ",\"detail\":");
        ngx_http_trove_json_string(&json, &line->detail);
        ngx_http_trove_json_printf(&json, "}");
    }

    ngx_http_trove_json_printf(&json, "]");
    ngx_http_trove_api_webhook_json_next(&json, audits->next);

    return ngx_http_trove_json_send(&json, api->request, NGX_HTTP_OK);
}


/* the members that the vendor has in all responses */

static void
ngx_http_trove_api_webhook_json(ngx_http_trove_json_t *json,
    ngx_trove_spool_subscription_t *sub)
{
    ngx_uint_t  i;

    ngx_http_trove_json_printf(json, "\"webhook_id\":");
    ngx_http_trove_json_string(json, &sub->id);
    ngx_http_trove_json_printf(json, ",\"url\":");
    ngx_http_trove_json_string(json, &sub->url);
    ngx_http_trove_json_printf(json, ",\"events\":[");

    for (i = 0; i < sub->nevents; i++) {
        ngx_http_trove_json_printf(json, i ? "," : "");
        ngx_http_trove_json_string(json, &sub->events[i]);
    }

    ngx_http_trove_json_printf(json, "],\"namespace\":");
    ngx_http_trove_json_string(json, &sub->namespace);
    ngx_http_trove_json_printf(json, ",\"description\":");
    ngx_http_trove_json_string(json, &sub->description);
    ngx_http_trove_json_printf(json, ",\"enabled\":%s,\"created_at\":",
                               (sub->enabled && sub->reason.data == NULL)
                               ? "true" : "false");
    ngx_http_trove_json_time(json, sub->created);
}


static void
ngx_http_trove_api_webhook_json_state(ngx_http_trove_json_t *json,
    ngx_trove_spool_subscription_t *sub)
{
    ngx_http_trove_json_printf(json, ",\"last_delivery_ok\":%s,"
                               "\"last_delivery_at\":",
                               sub->last == 0 ? "null"
                               : sub->last_ok ? "true" : "false");
    ngx_http_trove_api_webhook_json_time(json, sub->last);

    if (sub->last && sub->last_status) {
        ngx_http_trove_json_printf(json, ",\"last_delivery_status\":%ui",
                                   sub->last_status);

    } else {
        ngx_http_trove_json_printf(json, ",\"last_delivery_status\":null");
    }

    ngx_http_trove_json_printf(json, ",\"pending\":%uL,\"inflight\":%uL,"
                               "\"delivered\":%uL,\"failed\":%uL,"
                               "\"cancelled\":%uL,\"failures\":%ui,"
                               "\"failing_since\":",
                               sub->states[NGX_TROVE_SPOOL_NEW]
                               + sub->states[NGX_TROVE_SPOOL_RETRY],
                               sub->states[NGX_TROVE_SPOOL_LEASED],
                               sub->states[NGX_TROVE_SPOOL_DELIVERED],
                               sub->states[NGX_TROVE_SPOOL_FAILED],
                               sub->states[NGX_TROVE_SPOOL_CANCELLED],
                               sub->failures);
    ngx_http_trove_api_webhook_json_time(json, sub->failing);

    ngx_http_trove_json_printf(json, ",\"disabled_reason\":");
    ngx_http_trove_json_string(json, &sub->reason);
    ngx_http_trove_json_printf(json, ",\"disabled_at\":");
    ngx_http_trove_api_webhook_json_time(json, sub->disabled);
    ngx_http_trove_json_printf(json, ",\"changed_at\":");
    ngx_http_trove_api_webhook_json_time(json, sub->changed);
}


static void
ngx_http_trove_api_webhook_json_time(ngx_http_trove_json_t *json, int64_t msec)
{
    if (msec) {
        ngx_http_trove_json_time(json, msec);

    } else {
        ngx_http_trove_json_printf(json, "null");
    }
}


static void
ngx_http_trove_api_webhook_json_next(ngx_http_trove_json_t *json, int64_t next)
{
    if (next) {
        ngx_http_trove_json_printf(json, ",\"next_cursor\":\"%L\"}", next);

    } else {
        ngx_http_trove_json_printf(json, ",\"next_cursor\":null}");
    }
}
