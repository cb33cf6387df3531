
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_api.h"
#include "ngx_http_trove_dedup.h"
#include "ngx_http_trove_json.h"


typedef struct {
    ngx_uint_t    method;

    /* "*" matches one segment, "#" one of digits; prepare() gets it */
    ngx_str_t     path;

    void        (*work)(ngx_http_trove_api_t *api);
    ngx_int_t   (*render)(ngx_http_trove_api_t *api);
    ngx_int_t   (*prepare)(ngx_http_trove_api_t *api, ngx_str_t *segment);
} ngx_http_trove_api_route_t;


static ngx_int_t ngx_http_trove_api_root(ngx_str_t *path);
static ngx_uint_t ngx_http_trove_api_match(ngx_str_t *pattern,
    ngx_str_t *path, ngx_str_t *segment);
static void ngx_http_trove_api_segment(ngx_str_t *segment);
static void ngx_http_trove_api_allow(ngx_str_t *allow, ngx_uint_t methods);
static const char *ngx_http_trove_api_reject(ngx_http_trove_api_t *api,
    ngx_http_trove_api_route_t *route);
static ngx_uint_t ngx_http_trove_api_filtered(ngx_trove_spool_filter_t *filter);

static ngx_int_t ngx_http_trove_api_prepare_event(ngx_http_trove_api_t *api,
    ngx_str_t *segment);
static ngx_int_t ngx_http_trove_api_prepare_forget(ngx_http_trove_api_t *api,
    ngx_str_t *segment);
static ngx_int_t ngx_http_trove_api_prepare_purge(ngx_http_trove_api_t *api,
    ngx_str_t *segment);
static ngx_int_t ngx_http_trove_api_prepare_delivery(
    ngx_http_trove_api_t *api, ngx_str_t *segment);
static ngx_int_t ngx_http_trove_api_prepare_replay(ngx_http_trove_api_t *api,
    ngx_str_t *segment);
static ngx_int_t ngx_http_trove_api_prepare_cancel(ngx_http_trove_api_t *api,
    ngx_str_t *segment);
static ngx_int_t ngx_http_trove_api_prepare_pause(ngx_http_trove_api_t *api,
    ngx_str_t *segment);
static ngx_int_t ngx_http_trove_api_prepare_resume(ngx_http_trove_api_t *api,
    ngx_str_t *segment);

static void ngx_http_trove_api_work_event(ngx_http_trove_api_t *api);
static void ngx_http_trove_api_work_forget(ngx_http_trove_api_t *api);
static void ngx_http_trove_api_work_deliveries(ngx_http_trove_api_t *api);
static void ngx_http_trove_api_work_delivery(ngx_http_trove_api_t *api);
static void ngx_http_trove_api_work_action(ngx_http_trove_api_t *api);
static void ngx_http_trove_api_work_targets(ngx_http_trove_api_t *api);


static ngx_http_trove_api_route_t  ngx_http_trove_api_routes[] = {

    { NGX_HTTP_GET, ngx_string("/v1/workspaces/*/events"),
      ngx_http_trove_api_feed_work, ngx_http_trove_api_feed_render,
      ngx_http_trove_api_feed_prepare },

    { NGX_HTTP_POST, ngx_string("/v1/events/purge"),
      ngx_http_trove_api_bulk_work, ngx_http_trove_api_render_count,
      ngx_http_trove_api_prepare_purge },

    { NGX_HTTP_GET, ngx_string("/v1/events/*"),
      ngx_http_trove_api_work_event, ngx_http_trove_api_render_event,
      ngx_http_trove_api_prepare_event },

    { NGX_HTTP_POST, ngx_string("/v1/events/*/forget"),
      ngx_http_trove_api_work_forget, ngx_http_trove_api_render_forget,
      ngx_http_trove_api_prepare_forget },

    { NGX_HTTP_GET, ngx_string("/v1/deliveries"),
      ngx_http_trove_api_work_deliveries,
      ngx_http_trove_api_render_deliveries, NULL },

    { NGX_HTTP_POST, ngx_string("/v1/deliveries/replay"),
      ngx_http_trove_api_bulk_work, ngx_http_trove_api_render_count,
      ngx_http_trove_api_prepare_replay },

    { NGX_HTTP_POST, ngx_string("/v1/deliveries/cancel"),
      ngx_http_trove_api_bulk_work, ngx_http_trove_api_render_count,
      ngx_http_trove_api_prepare_cancel },

    { NGX_HTTP_GET, ngx_string("/v1/deliveries/#"),
      ngx_http_trove_api_work_delivery, ngx_http_trove_api_render_delivery,
      ngx_http_trove_api_prepare_delivery },

    { NGX_HTTP_POST, ngx_string("/v1/deliveries/#/replay"),
      ngx_http_trove_api_work_action, ngx_http_trove_api_render_action,
      ngx_http_trove_api_prepare_replay },

    { NGX_HTTP_POST, ngx_string("/v1/deliveries/#/cancel"),
      ngx_http_trove_api_work_action, ngx_http_trove_api_render_action,
      ngx_http_trove_api_prepare_cancel },

    { NGX_HTTP_GET, ngx_string("/v1/targets"),
      ngx_http_trove_api_work_targets, ngx_http_trove_api_render_targets,
      NULL },

    { NGX_HTTP_POST, ngx_string("/v1/targets/pause"),
      ngx_http_trove_api_pause, ngx_http_trove_api_render_pause,
      ngx_http_trove_api_prepare_pause },

    { NGX_HTTP_POST, ngx_string("/v1/targets/resume"),
      ngx_http_trove_api_pause, ngx_http_trove_api_render_pause,
      ngx_http_trove_api_prepare_resume },

    /* in the event loop */

    { NGX_HTTP_POST, ngx_string("/v1/test"), NULL, ngx_http_trove_api_test,
      NULL },

    { NGX_HTTP_GET, ngx_string("/v1/"), NULL, ngx_http_trove_api_index, NULL },

    { 0, ngx_null_string, NULL, NULL, NULL }
};


ngx_int_t
ngx_http_trove_api_route(ngx_http_trove_api_t *api, ngx_str_t *path)
{
    ngx_str_t                    segment;
    ngx_uint_t                   method, allow;
    ngx_http_trove_api_route_t  *route;

    if (ngx_http_trove_api_root(path) != NGX_OK) {
        return NGX_DECLINED;
    }

    method = api->request->method;

    if (method == NGX_HTTP_HEAD) {
        method = NGX_HTTP_GET;
    }

    allow = 0;

    for (route = ngx_http_trove_api_routes; route->path.len; route++) {

        if (!ngx_http_trove_api_match(&route->path, path, &segment)) {
            continue;
        }

        /* "purge" may be the id of an event as well */

        if (route->method != method) {
            allow |= route->method;
            continue;
        }

        api->reject = ngx_http_trove_api_reject(api, route);

        if (api->reject) {
            return NGX_HTTP_BAD_REQUEST;
        }

        api->work = route->work;
        api->render = route->render;

        ngx_http_trove_api_segment(&segment);

        return route->prepare ? route->prepare(api, &segment) : NGX_OK;
    }

    if (allow) {
        ngx_http_trove_api_allow(&api->allow, allow);
        return NGX_HTTP_NOT_ALLOWED;
    }

    return NGX_DECLINED;
}


static void
ngx_http_trove_api_allow(ngx_str_t *allow, ngx_uint_t methods)
{
    switch (methods) {

    case NGX_HTTP_GET:
        ngx_str_set(allow, "GET, HEAD");
        break;

    case NGX_HTTP_POST:
        ngx_str_set(allow, "POST");
        break;

    default:
        ngx_str_set(allow, "GET, HEAD, POST");
    }
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


ngx_int_t
ngx_http_trove_api_index(ngx_http_trove_api_t *api)
{
    u_char                      *p, *last;
    ngx_http_trove_json_t        json;
    ngx_http_trove_api_route_t  *route;

    ngx_http_trove_json_init(&json, api->request->pool);
    ngx_http_trove_json_printf(&json, "{\"calls\":[");

    for (route = ngx_http_trove_api_routes; route->path.len; route++) {

        last = route->path.data + route->path.len;

        p = route->path.data;

        while (p < last && *p != '*' && *p != '#') {
            p++;
        }

        ngx_http_trove_json_printf(&json, "%s{\"method\":\"%s\",\"path\":\"",
                                   route == ngx_http_trove_api_routes ? ""
                                                                      : ",",
                                   route->method == NGX_HTTP_GET ? "GET"
                                                                 : "POST");
        ngx_http_trove_json_raw(&json, route->path.data, p - route->path.data);

        if (p < last) {
            ngx_http_trove_json_printf(&json, "{id}");
            ngx_http_trove_json_raw(&json, p + 1, last - p - 1);
        }

        ngx_http_trove_json_printf(&json, "\"}");
    }

    ngx_http_trove_json_printf(&json, "]}");

    return ngx_http_trove_json_send(&json, api->request, NGX_HTTP_OK);
}


static ngx_uint_t
ngx_http_trove_api_match(ngx_str_t *pattern, ngx_str_t *path,
    ngx_str_t *segment)
{
    u_char  *p, *s, *plast, *slast;

    ngx_str_null(segment);

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


static ngx_int_t
ngx_http_trove_api_prepare_event(ngx_http_trove_api_t *api, ngx_str_t *segment)
{
    api->name = *segment;
    api->filter.id = *segment;
    api->cursor = 0;

    return NGX_OK;
}


/* in the zones at once; in the spool later, by the keys that it may have */

static ngx_int_t
ngx_http_trove_api_prepare_forget(ngx_http_trove_api_t *api,
    ngx_str_t *segment)
{
    api->name = *segment;

    return ngx_http_trove_dedup_forget(api->request, segment, &api->keys,
                                       &api->nkeys, &api->count);
}


static ngx_int_t
ngx_http_trove_api_prepare_purge(ngx_http_trove_api_t *api, ngx_str_t *segment)
{
    api->action = api->dry_run ? NGX_TROVE_SPOOL_PURGE_COUNT
                               : NGX_TROVE_SPOOL_PURGE;

    return ngx_http_trove_api_bulk_prepare(api);
}


static ngx_int_t
ngx_http_trove_api_prepare_delivery(ngx_http_trove_api_t *api,
    ngx_str_t *segment)
{
    ngx_int_t  id;

    id = ngx_atoi(segment->data, segment->len);

    if (id < 1) {
        return NGX_DECLINED;
    }

    api->id = id;

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_api_prepare_replay(ngx_http_trove_api_t *api,
    ngx_str_t *segment)
{
    api->wake = 1;
    api->action = api->dry_run ? NGX_TROVE_SPOOL_REPLAY_COUNT
                               : NGX_TROVE_SPOOL_REPLAY;

    return segment->len ? ngx_http_trove_api_prepare_delivery(api, segment)
                        : ngx_http_trove_api_bulk_prepare(api);
}


static ngx_int_t
ngx_http_trove_api_prepare_cancel(ngx_http_trove_api_t *api,
    ngx_str_t *segment)
{
    api->action = api->dry_run ? NGX_TROVE_SPOOL_CANCEL_COUNT
                               : NGX_TROVE_SPOOL_CANCEL;

    return segment->len ? ngx_http_trove_api_prepare_delivery(api, segment)
                        : ngx_http_trove_api_bulk_prepare(api);
}


static ngx_int_t
ngx_http_trove_api_prepare_pause(ngx_http_trove_api_t *api, ngx_str_t *segment)
{
    api->paused = 1;

    return ngx_http_trove_api_pause_targets(api);
}


static ngx_int_t
ngx_http_trove_api_prepare_resume(ngx_http_trove_api_t *api,
    ngx_str_t *segment)
{
    api->wake = 1;

    return ngx_http_trove_api_pause_targets(api);
}


/* the functions below run in a thread: they use the call and the spool only */

static void
ngx_http_trove_api_work_event(ngx_http_trove_api_t *api)
{
    ngx_trove_spool_events_t  *events;

    /* the newest event with the id; a page may be empty before the last */

    ngx_trove_spool_free(api->result);

    events = ngx_trove_spool_events(api->spool, &api->filter, api->cursor, 1,
                                    0, &api->error);
    api->result = events;

    if (events == NULL) {
        api->rc = NGX_ERROR;
        return;
    }

    if (events->n == 0 && events->next) {
        api->cursor = events->next;
        api->again = 1;
        return;
    }

    if (events->n) {
        api->more = ngx_trove_spool_event_deliveries(api->spool,
                                                     events->events[0].number,
                                                     &api->error);
        if (api->more == NULL) {
            api->rc = NGX_ERROR;
        }
    }
}


static void
ngx_http_trove_api_work_forget(ngx_http_trove_api_t *api)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    for (i = 0; i < api->nkeys; i++) {
        rc = ngx_trove_spool_forget(api->spool,
                                    api->keys + i * NGX_TROVE_SPOOL_KEY_LEN,
                                    &api->error);

        if (rc == NGX_ERROR) {
            api->rc = NGX_ERROR;
            return;
        }

        api->count += (rc == NGX_OK);
    }
}


static void
ngx_http_trove_api_work_deliveries(ngx_http_trove_api_t *api)
{
    api->result = ngx_trove_spool_deliveries(api->spool, &api->filter,
                                             api->cursor, api->limit,
                                             &api->error);

    api->rc = api->result ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_trove_api_work_delivery(ngx_http_trove_api_t *api)
{
    api->result = ngx_trove_spool_delivery(api->spool, api->id, &api->error);

    api->rc = api->result ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_trove_api_work_action(ngx_http_trove_api_t *api)
{
    api->rc = ngx_trove_spool_control(api->spool, api->action, api->id,
                                      &api->error);

    if (api->rc != NGX_ERROR) {
        api->result = ngx_trove_spool_delivery(api->spool, api->id,
                                               &api->error);
        if (api->result == NULL) {
            api->rc = NGX_ERROR;
        }
    }
}


static void
ngx_http_trove_api_work_targets(ngx_http_trove_api_t *api)
{
    api->result = ngx_trove_spool_stat(api->spool, &api->error);

    api->rc = api->result ? NGX_OK : NGX_ERROR;
}
