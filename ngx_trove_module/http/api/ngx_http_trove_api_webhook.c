
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_api_webhook.h"
#include "ngx_http_trove_subscription.h"


/* a list without "limit": clients of the vendor do not follow a cursor */
#define NGX_HTTP_TROVE_API_WEBHOOKS  1000


static ngx_int_t ngx_http_trove_api_webhook_parse_create(
    ngx_http_trove_api_t *api);
static ngx_int_t ngx_http_trove_api_webhook_parse_change(
    ngx_http_trove_api_t *api);
static ngx_int_t ngx_http_trove_api_webhook_parse_rotate(
    ngx_http_trove_api_t *api);

static ngx_int_t ngx_http_trove_api_webhook_enabled(ngx_http_trove_api_t *api);
static ngx_int_t ngx_http_trove_api_webhook_check(ngx_http_trove_api_t *api);
static ngx_int_t ngx_http_trove_api_webhook_check_events(
    ngx_http_trove_api_t *api);
static ngx_int_t ngx_http_trove_api_webhook_check_namespace(
    ngx_http_trove_api_t *api);
static ngx_int_t ngx_http_trove_api_webhook_invalid(ngx_http_trove_api_t *api,
    const char *what, const char *reason);
static ngx_int_t ngx_http_trove_api_webhook_secret(ngx_http_trove_api_t *api,
    ngx_str_t *id);
static void ngx_http_trove_api_webhook_detail(ngx_http_trove_api_t *api);
static void ngx_http_trove_api_webhook_cleanup(void *data);


static ngx_str_t  ngx_http_trove_api_webhook_all = ngx_string("*");


ngx_int_t
ngx_http_trove_api_webhook_prepare(ngx_http_trove_api_t *api,
    ngx_str_t *segments)
{
    ngx_pool_cleanup_t            *cln;
    ngx_http_trove_api_webhook_t  *webhook;

    cln = ngx_pool_cleanup_add(api->request->pool,
                               sizeof(ngx_http_trove_api_webhook_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    webhook = cln->data;
    ngx_memzero(webhook, sizeof(ngx_http_trove_api_webhook_t));

    cln->handler = ngx_http_trove_api_webhook_cleanup;

    webhook->scope.workspace = segments[0];
    webhook->scope.namespace = api->token->namespace;
    webhook->actor.actor = api->token->name;
    webhook->id = segments[1];

    if (!api->most) {
        api->limit = NGX_HTTP_TROVE_API_WEBHOOKS;
    }

    api->webhook = webhook;

    return NGX_OK;
}


/* the response may have a secret, too */

static void
ngx_http_trove_api_webhook_cleanup(void *data)
{
    ngx_http_trove_api_webhook_t *webhook = data;

    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (webhook->secret.len) {
        for (cl = webhook->json.first; cl; cl = cl->next) {
            b = cl->buf;
            ngx_explicit_memzero(b->start, b->end - b->start);
        }
    }

    ngx_explicit_memzero(webhook, sizeof(ngx_http_trove_api_webhook_t));
}


ngx_int_t
ngx_http_trove_api_webhook_prepare_create(ngx_http_trove_api_t *api,
    ngx_str_t *segments)
{
    /* it could not be stored, or not be shown */

    if (ngx_trove_names_namespace(&segments[0])) {
        return NGX_HTTP_NOT_FOUND;
    }

    api->parse = ngx_http_trove_api_webhook_parse_create;

    return ngx_http_trove_api_webhook_prepare(api, segments);
}


ngx_int_t
ngx_http_trove_api_webhook_prepare_change(ngx_http_trove_api_t *api,
    ngx_str_t *segments)
{
    api->wake = 1;
    api->parse = ngx_http_trove_api_webhook_parse_change;

    return ngx_http_trove_api_webhook_prepare(api, segments);
}


ngx_int_t
ngx_http_trove_api_webhook_prepare_rotate(ngx_http_trove_api_t *api,
    ngx_str_t *segments)
{
    api->parse = ngx_http_trove_api_webhook_parse_rotate;

    return ngx_http_trove_api_webhook_prepare(api, segments);
}


static ngx_int_t
ngx_http_trove_api_webhook_parse_create(ngx_http_trove_api_t *api)
{
    ngx_int_t                        rc;
    ngx_str_t                        id, *workspace;
    ngx_http_trove_api_fields_t     *fields;
    ngx_http_trove_api_webhook_t    *webhook;
    ngx_trove_spool_subscription_t  *sub;

    webhook = api->webhook;
    fields = &webhook->fields;

    fields->enabled = 1;

    rc = ngx_http_trove_api_webhook_enabled(api);

    if (rc == NGX_OK) {
        rc = ngx_http_trove_api_webhook_body(api, fields,
                                             NGX_HTTP_TROVE_API_URL
                                             |NGX_HTTP_TROVE_API_EVENTS
                                             |NGX_HTTP_TROVE_API_NAMESPACE
                                             |NGX_HTTP_TROVE_API_DESCRIPTION
                                             |NGX_HTTP_TROVE_API_ENABLED);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    /* nothing would ever match */

    workspace = &webhook->scope.workspace;

    if (workspace->len == sizeof(NGX_HTTP_TROVE_API_NO_WORKSPACE) - 1
        && ngx_strncmp(workspace->data, NGX_HTTP_TROVE_API_NO_WORKSPACE,
                       workspace->len)
           == 0)
    {
        return ngx_http_trove_api_webhook_invalid(api, "the workspace",
                              "is not known before its first event, unless "
                              "\"trove_api_token\" has a \"workspace\"");
    }

    if (!(fields->given & NGX_HTTP_TROVE_API_URL)) {
        return ngx_http_trove_api_webhook_invalid(api, "\"url\"",
                                                  "is missing");
    }

    /* the defaults are those of null */

    fields->given |= NGX_HTTP_TROVE_API_EVENTS|NGX_HTTP_TROVE_API_NAMESPACE;

    rc = ngx_http_trove_api_webhook_check(api);

    if (rc != NGX_OK) {
        return rc;
    }

    id.data = webhook->id_buf;
    id.len = NGX_TROVE_WEBHOOK_ID_LEN;

    if (ngx_trove_webhook_id(id.data) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_trove_api_webhook_secret(api, &id);

    if (rc != NGX_OK) {
        return rc;
    }

    webhook->id = id;

    sub = &webhook->created;

    sub->id = id;
    sub->workspace = webhook->scope.workspace;
    sub->namespace = fields->namespace;
    sub->events = fields->events;
    sub->nevents = fields->nevents;
    sub->url = fields->url;
    sub->description = fields->description;
    sub->secret = webhook->sealed;
    sub->enabled = fields->enabled;

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_api_webhook_parse_change(ngx_http_trove_api_t *api)
{
    ngx_int_t                      rc;
    ngx_uint_t                     given;
    ngx_trove_spool_change_t      *change;
    ngx_http_trove_api_fields_t   *fields;
    ngx_http_trove_api_webhook_t  *webhook;

    webhook = api->webhook;
    fields = &webhook->fields;

    rc = ngx_http_trove_api_webhook_body(api, fields,
                                         NGX_HTTP_TROVE_API_URL
                                         |NGX_HTTP_TROVE_API_EVENTS
                                         |NGX_HTTP_TROVE_API_NAMESPACE
                                         |NGX_HTTP_TROVE_API_DESCRIPTION
                                         |NGX_HTTP_TROVE_API_ENABLED);

    if (rc == NGX_OK) {
        rc = ngx_http_trove_api_webhook_check(api);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    given = fields->given;
    change = &webhook->change;

    change->url = fields->url;
    change->events = fields->events;
    change->nevents = fields->nevents;
    change->namespace = fields->namespace;
    change->description = fields->description;
    change->enabled = fields->enabled;

    change->set_url = ((given & NGX_HTTP_TROVE_API_URL) != 0);
    change->set_events = ((given & NGX_HTTP_TROVE_API_EVENTS) != 0);
    change->set_namespace = ((given & NGX_HTTP_TROVE_API_NAMESPACE) != 0);
    change->set_description = ((given & NGX_HTTP_TROVE_API_DESCRIPTION) != 0);
    change->set_enabled = ((given & NGX_HTTP_TROVE_API_ENABLED) != 0);

    webhook->changes = (given != 0);
    webhook->done = "changed";

    ngx_http_trove_api_webhook_detail(api);

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_api_webhook_parse_rotate(ngx_http_trove_api_t *api)
{
    ngx_int_t                      rc;
    ngx_time_t                    *tp;
    ngx_http_trove_api_webhook_t  *webhook;

    webhook = api->webhook;

    webhook->fields.keep = NGX_HTTP_TROVE_API_KEEP_DEFAULT;

    rc = ngx_http_trove_api_webhook_enabled(api);

    if (rc == NGX_OK && api->body.len) {
        rc = ngx_http_trove_api_webhook_body(api, &webhook->fields,
                                             NGX_HTTP_TROVE_API_KEEP);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_trove_api_webhook_secret(api, &webhook->id);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    tp = ngx_timeofday();

    webhook->change.secret = webhook->sealed;
    webhook->change.until = ((int64_t) tp->sec + webhook->fields.keep) * 1000
                            + tp->msec;
    webhook->change.set_secret = 1;

    webhook->changes = 1;
    webhook->done = "rotated";

    webhook->actor.detail.data = webhook->detail;
    webhook->actor.detail.len = ngx_sprintf(webhook->detail, "keep_seconds=%i",
                                            webhook->fields.keep)
                                - webhook->detail;

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_api_webhook_enabled(ngx_http_trove_api_t *api)
{
    if (ngx_http_trove_subscription_enabled(api->request)) {
        return NGX_OK;
    }

    api->reject = "subscriptions are not enabled, \"trove_subscriptions\" and "
                  "\"trove_subscription_key\" are required";

    return NGX_HTTP_CONFLICT;
}


static ngx_int_t
ngx_http_trove_api_webhook_check(ngx_http_trove_api_t *api)
{
    ngx_int_t                     rc;
    const char                   *reason;
    ngx_http_trove_api_fields_t  *fields;

    fields = &api->webhook->fields;

    if (fields->given & NGX_HTTP_TROVE_API_URL) {
        reason = ngx_http_trove_subscription_url(api->request, &fields->url);

        if (reason) {
            return ngx_http_trove_api_webhook_invalid(api, "\"url\"", reason);
        }
    }

    if (fields->given & NGX_HTTP_TROVE_API_EVENTS) {
        rc = ngx_http_trove_api_webhook_check_events(api);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (fields->given & NGX_HTTP_TROVE_API_NAMESPACE) {
        rc = ngx_http_trove_api_webhook_check_namespace(api);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (fields->description.data) {
        reason = ngx_trove_names_description(&fields->description);

        if (reason) {
            return ngx_http_trove_api_webhook_invalid(api, "\"description\"",
                                                      reason);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_api_webhook_check_events(ngx_http_trove_api_t *api)
{
    ngx_uint_t                    i;
    const char                   *reason;
    ngx_http_trove_api_fields_t  *fields;

    fields = &api->webhook->fields;

    if (fields->events == NULL) {
        fields->events = &ngx_http_trove_api_webhook_all;
        fields->nevents = 1;
    }

    if (fields->nevents == 0) {
        return ngx_http_trove_api_webhook_invalid(api, "\"events\"",
                             "must not be empty, use [\"*\"] for all events");
    }

    for (i = 0; i < fields->nevents; i++) {
        reason = ngx_trove_names_pattern(&fields->events[i]);

        if (reason) {
            return ngx_http_trove_api_webhook_invalid(api,
                                                      "a name in \"events\"",
                                                      reason);
        }
    }

    return NGX_OK;
}


/* a token of a namespace makes subscriptions of this namespace, also by null */

static ngx_int_t
ngx_http_trove_api_webhook_check_namespace(ngx_http_trove_api_t *api)
{
    ngx_str_t   *namespace, *own;
    const char  *reason;

    namespace = &api->webhook->fields.namespace;
    own = &api->token->namespace;

    if (namespace->data == NULL) {
        *namespace = *own;
        return NGX_OK;
    }

    reason = ngx_trove_names_namespace(namespace);

    if (reason) {
        return ngx_http_trove_api_webhook_invalid(api, "\"namespace\"", reason);
    }

    if (own->data
        && (own->len != namespace->len
            || ngx_memcmp(own->data, namespace->data, own->len) != 0))
    {
        return ngx_http_trove_api_webhook_invalid(api, "\"namespace\"",
                                      "must be null, or that of the token");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_api_webhook_invalid(ngx_http_trove_api_t *api,
    const char *what, const char *reason)
{
    size_t   len;
    u_char  *p;

    len = ngx_strlen(what) + ngx_strlen(reason) + sizeof(" ");

    p = ngx_pnalloc(api->request->pool, len);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    (void) ngx_sprintf(p, "%s %s%Z", what, reason);

    api->reject = (const char *) p;

    return NGX_HTTP_TROVE_API_INVALID;
}


static ngx_int_t
ngx_http_trove_api_webhook_secret(ngx_http_trove_api_t *api, ngx_str_t *id)
{
    ngx_http_trove_api_webhook_t  *webhook;

    webhook = api->webhook;

    webhook->secret.data = webhook->secret_buf;
    webhook->secret.len = NGX_TROVE_WEBHOOK_SECRET_LEN;

    webhook->sealed.data = webhook->sealed_buf;

    if (ngx_trove_webhook_secret(webhook->secret.data) != NGX_OK
        || ngx_http_trove_subscription_seal(id, &webhook->secret,
                                            &webhook->sealed)
           != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ALERT, api->request->connection->log, 0,
                      "trove: OpenSSL cannot make or seal a secret");

        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_OK;
}


/* for the audit log: the members, but no URL, which may have a secret */

static void
ngx_http_trove_api_webhook_detail(ngx_http_trove_api_t *api)
{
    u_char                        *p;
    ngx_trove_spool_change_t      *change;
    ngx_http_trove_api_webhook_t  *webhook;

    webhook = api->webhook;
    change = &webhook->change;

    p = ngx_sprintf(webhook->detail, "%s%s%s%s%s",
                    change->set_url ? "url, " : "",
                    change->set_events ? "events, " : "",
                    change->set_namespace ? "namespace, " : "",
                    change->set_description ? "description, " : "",
                    !change->set_enabled ? ""
                    : change->enabled ? "enabled=true, " : "enabled=false, ");

    if (p == webhook->detail) {
        return;
    }

    webhook->actor.detail.data = webhook->detail;
    webhook->actor.detail.len = p - webhook->detail - (sizeof(", ") - 1);
}


/* the functions below run in a thread: they use the call and the spool only */

void
ngx_http_trove_api_webhook_work(ngx_http_trove_api_t *api)
{
    ngx_http_trove_api_webhook_t  *webhook;

    webhook = api->webhook;

    api->result = ngx_trove_spool_subscriptions(api->spool, &webhook->scope,
                                                webhook->id.data ? &webhook->id
                                                                 : NULL,
                                                api->cursor, api->limit,
                                                &api->error);

    api->rc = api->result ? NGX_OK : NGX_ERROR;
}


void
ngx_http_trove_api_webhook_work_create(ngx_http_trove_api_t *api)
{
    api->rc = ngx_trove_spool_subscribe(api->spool, &api->webhook->created,
                                        &api->webhook->actor, &api->error);
}


void
ngx_http_trove_api_webhook_work_change(ngx_http_trove_api_t *api)
{
    ngx_int_t                      rc;
    ngx_http_trove_api_webhook_t  *webhook;

    webhook = api->webhook;
    rc = NGX_OK;

    if (webhook->changes) {
        rc = ngx_trove_spool_change(api->spool, &webhook->scope, &webhook->id,
                                    &webhook->change, &webhook->actor,
                                    &api->error);
    }

    api->rc = rc;

    if (rc == NGX_OK && !webhook->change.set_secret) {
        ngx_http_trove_api_webhook_work(api);
    }
}


void
ngx_http_trove_api_webhook_work_delete(ngx_http_trove_api_t *api)
{
    api->webhook->done = "deleted";

    api->rc = ngx_trove_spool_unsubscribe(api->spool, &api->webhook->scope,
                                          &api->webhook->id,
                                          &api->webhook->actor, &api->error);
}


void
ngx_http_trove_api_webhook_work_audit(ngx_http_trove_api_t *api)
{
    api->result = ngx_trove_spool_audit(api->spool, &api->webhook->scope,
                                        api->cursor, api->limit, &api->error);

    api->rc = api->result ? NGX_OK : NGX_ERROR;
}
