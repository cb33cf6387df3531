
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <openssl/rand.h>

#include "ngx_http_trove_json.h"
#include "ngx_http_trove_metrics_spool.h"
#include "ngx_http_trove_spool_disabled.h"


#define NGX_HTTP_TROVE_DISABLED_ID  12         /* random bytes */


static ngx_int_t ngx_http_trove_spool_disabled_event(
    ngx_trove_spool_event_t *event, ngx_trove_spool_subscriber_t *subscriber,
    const char *reason, ngx_pool_t *pool);


ngx_trove_spool_accept_t *
ngx_http_trove_spool_disabled(ngx_http_trove_route_t *route,
    ngx_trove_spool_subscriber_t *subscriber, ngx_uint_t gone,
    ngx_pool_t *pool)
{
    ngx_uint_t                  i, n;
    ngx_trove_spool_accept_t   *accept;
    ngx_http_trove_target_t   **target;

    static ngx_str_t  type = ngx_string("webhook.disabled");

    target = route->targets->elts;
    n = route->targets->nelts;

    accept = ngx_pcalloc(pool, sizeof(ngx_trove_spool_accept_t)
                               + n * sizeof(ngx_trove_spool_start_t));
    if (accept == NULL) {
        return NULL;
    }

    accept->targets = (ngx_trove_spool_start_t *) (accept + 1);

    for (i = 0; i < n; i++) {

        /* a condition is about a request, which there is not */

        if (ngx_http_trove_target_receives(target[i], &type,
                                           &subscriber->namespace))
        {
            accept->targets[accept->ntargets++].name = target[i]->name;
        }
    }

    if (accept->ntargets == 0) {
        return NULL;
    }

    accept->fd = NGX_INVALID_FILE;
    accept->lease = NGX_TROVE_SPOOL_RELEASE_MAX;

    accept->event.type = type;
    accept->event.namespace = subscriber->namespace;
    accept->event.workspace = subscriber->workspace;
    accept->event.route = route->name;
    accept->event.host = route->cscf->server_name;

    ngx_str_set(&accept->event.uri, "/");
    ngx_str_set(&accept->event.content_type, "application/json");

    if (ngx_http_trove_spool_disabled_event(&accept->event, subscriber,
                                            gone ? "gone" : "failing", pool)
        != NGX_OK)
    {
        return NULL;
    }

    return accept;
}


static ngx_int_t
ngx_http_trove_spool_disabled_event(ngx_trove_spool_event_t *event,
    ngx_trove_spool_subscriber_t *subscriber, const char *reason,
    ngx_pool_t *pool)
{
    u_char                 *p, random[NGX_HTTP_TROVE_DISABLED_ID];
    ngx_tm_t                tm;
    ngx_str_t               url;
    ngx_http_trove_json_t   json;

    if (RAND_bytes(random, sizeof(random)) != 1) {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(pool, sizeof("evt-") - 1 + 2 * sizeof(random)
                          + sizeof("2026-12-01T12:00:00Z") - 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    event->id.data = p;
    p = ngx_cpymem(p, "evt-", sizeof("evt-") - 1);
    p = ngx_hex_dump(p, random, sizeof(random));
    event->id.len = p - event->id.data;

    ngx_gmtime(ngx_time(), &tm);

    event->created_at.data = p;
    p = ngx_sprintf(p, "%4d-%02d-%02dT%02d:%02d:%02dZ", tm.ngx_tm_year,
                    tm.ngx_tm_mon, tm.ngx_tm_mday, tm.ngx_tm_hour,
                    tm.ngx_tm_min, tm.ngx_tm_sec);
    event->created_at.len = p - event->created_at.data;

    /* the query may have a secret of the subscriber */

    url = subscriber->url;

    p = ngx_strlchr(url.data, url.data + url.len, '?');

    if (p) {
        url.len = p - url.data;
    }

    ngx_http_trove_json_init(&json, pool);

    ngx_http_trove_json_printf(&json, "{\"id\":");
    ngx_http_trove_json_string(&json, &event->id);
    ngx_http_trove_json_printf(&json, ",\"type\":\"webhook.disabled\","
                                      "\"api_version\":\"2026-04-30\","
                                      "\"workspace_id\":");
    ngx_http_trove_json_string(&json, &subscriber->workspace);
    ngx_http_trove_json_printf(&json, ",\"namespace\":");
    ngx_http_trove_json_string(&json, &subscriber->namespace);
    ngx_http_trove_json_printf(&json, ",\"created_at\":");
    ngx_http_trove_json_string(&json, &event->created_at);
    ngx_http_trove_json_printf(&json, ",\"data\":{\"webhook_id\":");
    ngx_http_trove_json_string(&json, &subscriber->id);
    ngx_http_trove_json_printf(&json, ",\"url\":");
    ngx_http_trove_json_string(&json, &url);
    ngx_http_trove_json_printf(&json, ",\"reason\":\"%s\"}}", reason);

    return ngx_http_trove_json_flatten(&json, &event->body);
}


void
ngx_http_trove_spool_disabled_log(ngx_trove_spool_subscriber_t *subscriber,
    ngx_uint_t gone)
{
    ngx_http_trove_metrics_spool_add(NGX_HTTP_TROVE_SPOOL_DISABLED, 1);

    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "trove: subscription \"%V\" of workspace \"%V\" was "
                  "disabled: %s; enable it by the API when its URL works again",
                  &subscriber->id, &subscriber->workspace,
                  gone ? "the subscriber answered 410"
                       : "all attempts failed for too long");
}
