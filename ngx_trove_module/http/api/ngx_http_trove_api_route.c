
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_api.h"
#include "ngx_http_trove_json.h"


/* the segments of a path that a pattern may have */
#define NGX_HTTP_TROVE_API_SEGMENTS   2

/* not for tokens that are restricted to a workspace or namespace */
#define NGX_HTTP_TROVE_API_OPERATOR   0x0001

/* the first segment is a workspace */
#define NGX_HTTP_TROVE_API_WORKSPACE  0x0002

/* about subscriptions: it has no arguments but those of a list */
#define NGX_HTTP_TROVE_API_WEBHOOK    0x0008

#define NGX_HTTP_TROVE_API_HOOK                                               \
    (NGX_HTTP_TROVE_API_WORKSPACE|NGX_HTTP_TROVE_API_WEBHOOK)

/* no such call, for any method, and without a token */
#define NGX_HTTP_TROVE_API_NO_LOGIN   0x0004


typedef struct {
    ngx_uint_t    method;
    ngx_uint_t    flags;

    /* "*" matches one segment, "#" one of digits; prepare() gets them */
    ngx_str_t     path;

    void        (*work)(ngx_http_trove_api_t *api);
    ngx_int_t   (*render)(ngx_http_trove_api_t *api);
    ngx_int_t   (*prepare)(ngx_http_trove_api_t *api, ngx_str_t *segments);
} ngx_http_trove_api_route_t;


static ngx_int_t ngx_http_trove_api_root(ngx_str_t *path);
static ngx_uint_t ngx_http_trove_api_match(ngx_str_t *pattern,
    ngx_str_t *path, ngx_str_t *segments);
static void ngx_http_trove_api_segment(ngx_str_t *segment);
static void ngx_http_trove_api_allow(ngx_http_trove_api_t *api,
    ngx_uint_t methods);
static ngx_int_t ngx_http_trove_api_may(ngx_http_trove_api_t *api,
    ngx_http_trove_api_route_t *route, ngx_str_t *segments);
static const char *ngx_http_trove_api_reject(ngx_http_trove_api_t *api,
    ngx_http_trove_api_route_t *route);
static ngx_uint_t ngx_http_trove_api_filtered(ngx_trove_spool_filter_t *filter);


static ngx_http_trove_api_route_t  ngx_http_trove_api_routes[] = {

    { NGX_HTTP_GET, NGX_HTTP_TROVE_API_WORKSPACE,
      ngx_string("/v1/workspaces/*/events"),
      ngx_http_trove_api_feed_work, ngx_http_trove_api_feed_render,
      ngx_http_trove_api_feed_prepare },

    { NGX_HTTP_POST, NGX_HTTP_TROVE_API_OPERATOR,
      ngx_string("/v1/events/purge"),
      ngx_http_trove_api_bulk_work, ngx_http_trove_api_render_count,
      ngx_http_trove_api_prepare_purge },

    { NGX_HTTP_GET, 0, ngx_string("/v1/events/*"),
      ngx_http_trove_api_work_event, ngx_http_trove_api_render_event,
      ngx_http_trove_api_prepare_event },

    { NGX_HTTP_POST, NGX_HTTP_TROVE_API_OPERATOR,
      ngx_string("/v1/events/*/forget"),
      ngx_http_trove_api_work_forget, ngx_http_trove_api_render_forget,
      ngx_http_trove_api_prepare_forget },

    { NGX_HTTP_GET, 0, ngx_string("/v1/deliveries"),
      ngx_http_trove_api_work_deliveries,
      ngx_http_trove_api_render_deliveries, NULL },

    { NGX_HTTP_POST, 0, ngx_string("/v1/deliveries/replay"),
      ngx_http_trove_api_bulk_work, ngx_http_trove_api_render_count,
      ngx_http_trove_api_prepare_replay },

    { NGX_HTTP_POST, 0, ngx_string("/v1/deliveries/cancel"),
      ngx_http_trove_api_bulk_work, ngx_http_trove_api_render_count,
      ngx_http_trove_api_prepare_cancel },

    { NGX_HTTP_GET, 0, ngx_string("/v1/deliveries/#"),
      ngx_http_trove_api_work_delivery, ngx_http_trove_api_render_delivery,
      ngx_http_trove_api_prepare_delivery },

    { NGX_HTTP_POST, 0, ngx_string("/v1/deliveries/#/replay"),
      ngx_http_trove_api_work_action, ngx_http_trove_api_render_action,
      ngx_http_trove_api_prepare_replay },

    { NGX_HTTP_POST, 0, ngx_string("/v1/deliveries/#/cancel"),
      ngx_http_trove_api_work_action, ngx_http_trove_api_render_action,
      ngx_http_trove_api_prepare_cancel },

    { NGX_HTTP_GET, NGX_HTTP_TROVE_API_OPERATOR, ngx_string("/v1/targets"),
      ngx_http_trove_api_work_targets, ngx_http_trove_api_render_targets,
      NULL },

    { NGX_HTTP_POST, NGX_HTTP_TROVE_API_OPERATOR,
      ngx_string("/v1/targets/pause"),
      ngx_http_trove_api_pause, ngx_http_trove_api_render_pause,
      ngx_http_trove_api_prepare_pause },

    { NGX_HTTP_POST, NGX_HTTP_TROVE_API_OPERATOR,
      ngx_string("/v1/targets/resume"),
      ngx_http_trove_api_pause, ngx_http_trove_api_render_pause,
      ngx_http_trove_api_prepare_resume },

    { NGX_HTTP_GET, NGX_HTTP_TROVE_API_HOOK,
      ngx_string("/v1/workspaces/*/webhooks"),
      ngx_http_trove_api_webhook_work, ngx_http_trove_api_webhook_render_list,
      ngx_http_trove_api_webhook_prepare },

    { NGX_HTTP_POST, NGX_HTTP_TROVE_API_HOOK,
      ngx_string("/v1/workspaces/*/webhooks"),
      ngx_http_trove_api_webhook_work_create,
      ngx_http_trove_api_webhook_render_create,
      ngx_http_trove_api_webhook_prepare_create },

    /* before that of a subscription; in the event loop */

    { NGX_HTTP_GET, NGX_HTTP_TROVE_API_WORKSPACE,
      ngx_string("/v1/workspaces/*/webhooks/stream"),
      NULL, ngx_http_trove_api_stream, ngx_http_trove_api_stream_prepare },

    { NGX_HTTP_GET, NGX_HTTP_TROVE_API_HOOK,
      ngx_string("/v1/workspaces/*/webhooks/*"),
      ngx_http_trove_api_webhook_work, ngx_http_trove_api_webhook_render,
      ngx_http_trove_api_webhook_prepare },

    { NGX_HTTP_PATCH, NGX_HTTP_TROVE_API_HOOK,
      ngx_string("/v1/workspaces/*/webhooks/*"),
      ngx_http_trove_api_webhook_work_change,
      ngx_http_trove_api_webhook_render,
      ngx_http_trove_api_webhook_prepare_change },

    { NGX_HTTP_DELETE, NGX_HTTP_TROVE_API_HOOK,
      ngx_string("/v1/workspaces/*/webhooks/*"),
      ngx_http_trove_api_webhook_work_delete,
      ngx_http_trove_api_webhook_render_delete,
      ngx_http_trove_api_webhook_prepare },

    { NGX_HTTP_POST, NGX_HTTP_TROVE_API_HOOK,
      ngx_string("/v1/workspaces/*/webhooks/*/rotate"),
      ngx_http_trove_api_webhook_work_change,
      ngx_http_trove_api_webhook_render_rotate,
      ngx_http_trove_api_webhook_prepare_rotate },

    { NGX_HTTP_POST, NGX_HTTP_TROVE_API_HOOK,
      ngx_string("/v1/workspaces/*/webhooks/*/test"),
      ngx_http_trove_api_webhook_work, ngx_http_trove_api_webhook_render_test,
      ngx_http_trove_api_webhook_prepare },

    { NGX_HTTP_GET, NGX_HTTP_TROVE_API_HOOK,
      ngx_string("/v1/workspaces/*/audit"),
      ngx_http_trove_api_webhook_work_audit,
      ngx_http_trove_api_webhook_render_audit,
      ngx_http_trove_api_webhook_prepare },

    { NGX_HTTP_GET, 0, ngx_string("/v1/me"),
      ngx_http_trove_api_me_work, ngx_http_trove_api_me_render,
      ngx_http_trove_api_me_prepare },

    { NGX_HTTP_POST, NGX_HTTP_TROVE_API_NO_LOGIN,
      ngx_string("/v1/auth/device/start"), NULL, NULL, NULL },

    { NGX_HTTP_POST, NGX_HTTP_TROVE_API_NO_LOGIN,
      ngx_string("/v1/auth/device/poll"), NULL, NULL, NULL },

    /* in the event loop */

    { NGX_HTTP_POST, NGX_HTTP_TROVE_API_OPERATOR, ngx_string("/v1/test"),
      NULL, ngx_http_trove_api_test, NULL },

    { NGX_HTTP_GET, 0, ngx_string("/v1/"), NULL, ngx_http_trove_api_index,
      NULL },

    { 0, 0, ngx_null_string, NULL, NULL, NULL }
};


ngx_uint_t
ngx_http_trove_api_no_login(ngx_str_t *path)
{
    ngx_str_t                    copy;
    ngx_str_t                    segments[NGX_HTTP_TROVE_API_SEGMENTS];
    ngx_http_trove_api_route_t  *route;

    copy = *path;

    if (ngx_http_trove_api_root(&copy) != NGX_OK) {
        return 0;
    }

    for (route = ngx_http_trove_api_routes; route->path.len; route++) {

        if ((route->flags & NGX_HTTP_TROVE_API_NO_LOGIN)
            && ngx_http_trove_api_match(&route->path, &copy, segments))
        {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_trove_api_route(ngx_http_trove_api_t *api, ngx_str_t *path)
{
    ngx_int_t                    rc;
    ngx_str_t                    segments[NGX_HTTP_TROVE_API_SEGMENTS];
    ngx_uint_t                   i, method, allow, hidden;
    ngx_http_trove_api_route_t  *route;

    if (ngx_http_trove_api_root(path) != NGX_OK) {
        return NGX_HTTP_NOT_FOUND;
    }

    method = api->request->method;

    if (method == NGX_HTTP_HEAD) {
        method = NGX_HTTP_GET;
    }

    allow = 0;

    for (route = ngx_http_trove_api_routes; route->path.len; route++) {

        if (!ngx_http_trove_api_match(&route->path, path, segments)) {
            continue;
        }

        hidden = (route->flags & NGX_HTTP_TROVE_API_OPERATOR)
                 && ngx_http_trove_api_scoped(api);

        /* "purge" may be the id of an event as well */

        if (route->method != method) {
            allow |= hidden ? 0 : route->method;
            continue;
        }

        if (hidden) {
            return NGX_HTTP_NOT_FOUND;
        }

        for (i = 0; i < NGX_HTTP_TROVE_API_SEGMENTS; i++) {
            ngx_http_trove_api_segment(&segments[i]);
        }

        rc = ngx_http_trove_api_may(api, route, segments);

        if (rc != NGX_OK) {
            return rc;
        }

        api->reject = ngx_http_trove_api_reject(api, route);

        if (api->reject) {
            return NGX_HTTP_BAD_REQUEST;
        }

        ngx_http_trove_api_scope_filter(api);

        api->work = route->work;
        api->render = route->render;

        return route->prepare ? route->prepare(api, segments) : NGX_OK;
    }

    if (allow) {
        ngx_http_trove_api_allow(api, allow);
        return NGX_HTTP_NOT_ALLOWED;
    }

    return NGX_HTTP_NOT_FOUND;
}


/* what lies outside of the scope of a token does not exist for it */

static ngx_int_t
ngx_http_trove_api_may(ngx_http_trove_api_t *api,
    ngx_http_trove_api_route_t *route, ngx_str_t *segments)
{
    if ((route->flags & NGX_HTTP_TROVE_API_WORKSPACE)
        && !ngx_http_trove_api_scope_has(api, &segments[0]))
    {
        return NGX_HTTP_NOT_FOUND;
    }

    if (api->token->read && route->method != NGX_HTTP_GET && !api->dry_run) {
        api->reject = "the token is for reading only";
        return NGX_HTTP_FORBIDDEN;
    }

    return NGX_OK;
}


static void
ngx_http_trove_api_allow(ngx_http_trove_api_t *api, ngx_uint_t methods)
{
    u_char  *p;

    p = ngx_pnalloc(api->request->pool,
                    sizeof("GET, HEAD, POST, PATCH, DELETE"));
    if (p == NULL) {
        return;
    }

    api->allow.data = p;

    if (methods & NGX_HTTP_GET) {
        p = ngx_cpymem(p, "GET, HEAD, ", sizeof("GET, HEAD, ") - 1);
    }

    if (methods & NGX_HTTP_POST) {
        p = ngx_cpymem(p, "POST, ", sizeof("POST, ") - 1);
    }

    if (methods & NGX_HTTP_PATCH) {
        p = ngx_cpymem(p, "PATCH, ", sizeof("PATCH, ") - 1);
    }

    if (methods & NGX_HTTP_DELETE) {
        p = ngx_cpymem(p, "DELETE, ", sizeof("DELETE, ") - 1);
    }

    api->allow.len = p - api->allow.data - (sizeof(", ") - 1);
}


/* an id, which may contain "/v1/", must not be taken for what precedes it */

static ngx_int_t
ngx_http_trove_api_root(ngx_str_t *path)
{
    u_char                      *p, *name, *last;
    size_t                       len;
    ngx_http_trove_api_route_t  *route;

    last = path->data + path->len;

    for (p = path->data; p < last; p++) {

        if (last - p < (ssize_t) sizeof("/v1/") - 1
            || ngx_strncmp(p, "/v1/", sizeof("/v1/") - 1) != 0)
        {
            continue;
        }

        name = ngx_strlchr(p + sizeof("/v1/") - 1, last, '/');
        len = (name ? name : last) - p;

        for (route = ngx_http_trove_api_routes; route->path.len; route++) {

            if (len <= route->path.len
                && ngx_memcmp(route->path.data, p, len) == 0
                && (len == route->path.len || route->path.data[len] == '/'))
            {
                path->data = p;
                path->len = last - p;

                return NGX_OK;
            }
        }
    }

    return NGX_DECLINED;
}


/* those that the token may make */

ngx_int_t
ngx_http_trove_api_index(ngx_http_trove_api_t *api)
{
    u_char                      *p, *last;
    ngx_uint_t                   n;
    const char                  *method;
    ngx_http_trove_json_t        json;
    ngx_http_trove_api_route_t  *route;

    ngx_http_trove_json_init(&json, api->request->pool);
    ngx_http_trove_json_printf(&json, "{\"calls\":[");

    n = 0;

    for (route = ngx_http_trove_api_routes; route->path.len; route++) {

        if ((route->flags & NGX_HTTP_TROVE_API_NO_LOGIN)
            || ((route->flags & NGX_HTTP_TROVE_API_OPERATOR)
                && ngx_http_trove_api_scoped(api))
            || (api->token->read && route->method != NGX_HTTP_GET))
        {
            continue;
        }

        method = (route->method == NGX_HTTP_GET) ? "GET"
                 : (route->method == NGX_HTTP_POST) ? "POST"
                 : (route->method == NGX_HTTP_PATCH) ? "PATCH" : "DELETE";

        ngx_http_trove_json_printf(&json, "%s{\"method\":\"%s\",\"path\":\"",
                                   n++ ? "," : "", method);

        p = route->path.data;
        last = p + route->path.len;

        for ( /* void */ ; p < last; p++) {

            if (*p == '*' || *p == '#') {
                ngx_http_trove_json_raw(&json, (u_char *) "{id}", 4);

            } else {
                ngx_http_trove_json_raw(&json, p, 1);
            }
        }

        ngx_http_trove_json_printf(&json, "\"}");
    }

    ngx_http_trove_json_printf(&json, "]}");

    return ngx_http_trove_json_send(&json, api->request, NGX_HTTP_OK);
}


static ngx_uint_t
ngx_http_trove_api_match(ngx_str_t *pattern, ngx_str_t *path,
    ngx_str_t *segments)
{
    u_char      *p, *s, *plast, *slast;
    ngx_str_t   *segment;
    ngx_uint_t   i;

    for (i = 0; i < NGX_HTTP_TROVE_API_SEGMENTS; i++) {
        ngx_str_null(&segments[i]);
    }

    segment = segments;

    p = pattern->data;
    plast = p + pattern->len;
    s = path->data;
    slast = s + path->len;

    while (p < plast) {

        if (*p == '*' || *p == '#') {
            segment->data = s;

            while (s < slast && *s != '/'
                   && (*p == '*' || (*s >= '0' && *s <= '9')))
            {
                s++;
            }

            p++;

            segment->len = s - segment->data;

            if (segment->len == 0) {
                return 0;
            }

            segment++;
            continue;
        }

        if (s == slast || *p++ != *s++) {
            return 0;
        }
    }

    return s == slast;
}


static void
ngx_http_trove_api_segment(ngx_str_t *segment)
{
    size_t  i;

    for (i = 0; i < segment->len; i++) {
        if (segment->data[i] == NGX_HTTP_TROVE_API_SLASH) {
            segment->data[i] = '/';
        }
    }
}


/* an argument that restricts the call must not be ignored */

static const char *
ngx_http_trove_api_reject(ngx_http_trove_api_t *api,
    ngx_http_trove_api_route_t *route)
{
    if (api->place.number && route->work != ngx_http_trove_api_feed_work) {
        return "\"cursor\" must be a value of \"next_cursor\"";
    }

    if ((route->flags & NGX_HTTP_TROVE_API_WEBHOOK)
        && (api->dry_run || ngx_http_trove_api_filtered(&api->filter)))
    {
        return "the call has no arguments but \"limit\" and \"cursor\"";
    }

    if (route->prepare == ngx_http_trove_api_prepare_purge
        && !ngx_http_trove_api_filtered(&api->filter))
    {
        return "a purge requires an argument that selects events; "
               "\"types=*\" selects all";
    }

    if (route->work == ngx_http_trove_api_bulk_work) {
        return (api->dry_run && api->most)
               ? "\"limit\" and \"dry_run\" cannot be combined" : NULL;
    }

    if (route->work == ngx_http_trove_api_work_action) {
        return NULL;
    }

    return api->dry_run ? "\"dry_run\" is for replay, cancel and purge only"
                        : NULL;
}


static ngx_uint_t
ngx_http_trove_api_filtered(ngx_trove_spool_filter_t *filter)
{
    return filter->states || filter->target.data || filter->route.data
           || filter->id.data || filter->ntypes || filter->nnamespaces
           || filter->since || filter->until;
}
