
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_api.h"
#include "ngx_trove_time.h"


/* bodies of a page of events, bytes */
#define NGX_HTTP_TROVE_API_BODIES  (8 * 1024 * 1024)

/* the name in the body, with its quotes */
#define NGX_HTTP_TROVE_API_CREATED  "\"created_at\""


static void ngx_http_trove_api_feed_item(ngx_http_trove_json_t *json,
    ngx_trove_spool_event_t *event);
static ngx_int_t ngx_http_trove_api_feed_created(ngx_str_t *body,
    ngx_str_t *value);
static u_char *ngx_http_trove_api_feed_string(u_char *p, u_char *last);


ngx_int_t
ngx_http_trove_api_feed_prepare(ngx_http_trove_api_t *api, ngx_str_t *segments)
{
    ngx_trove_spool_feed_t  *feed;

    if (api->cursor) {
        api->reject = "\"cursor\" must be a value of \"next_cursor\"";
        return NGX_HTTP_BAD_REQUEST;
    }

    feed = ngx_pcalloc(api->request->pool, sizeof(ngx_trove_spool_feed_t));
    if (feed == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    feed->filter = &api->filter;
    feed->since = api->since;
    feed->until = api->until;
    feed->forward = api->has_since;
    feed->limit = api->limit;
    feed->max_bytes = NGX_HTTP_TROVE_API_BODIES;
    feed->place = api->place;

    /* these are times of receipt */

    api->filter.since = 0;
    api->filter.until = 0;

    api->filter.workspace = segments[0];
    api->feed = feed;

    return NGX_OK;
}


/* in a thread: uses the call and the spool only */

void
ngx_http_trove_api_feed_work(ngx_http_trove_api_t *api)
{
    api->rc = ngx_trove_spool_feed(api->spool, api->feed, &api->error);

    if (api->rc == NGX_AGAIN) {
        api->again = 1;
        return;
    }

    api->result = api->feed->page;
}


ngx_int_t
ngx_http_trove_api_feed_render(ngx_http_trove_api_t *api)
{
    ngx_uint_t                 i;
    ngx_http_trove_json_t      json;
    ngx_trove_spool_place_t   *next;
    ngx_trove_spool_events_t  *page;

    page = api->result;

    if (page == NULL) {

        /* the client has closed the connection */

        return NGX_HTTP_CLIENT_CLOSED_REQUEST;
    }

    ngx_http_trove_json_init(&json, api->request->pool);
    ngx_http_trove_json_printf(&json, "{\"events\":[");

    for (i = 0; i < page->n; i++) {
        ngx_http_trove_json_printf(&json, i ? "," : "");
        ngx_http_trove_api_feed_item(&json, &page->events[i]);
    }

    if (api->feed->more) {
        next = &api->feed->next;

        ngx_http_trove_json_printf(&json,
                                   "],\"next_cursor\":\"%L-%L-%L-%L\"}",
                                   next->from, next->reach, next->created,
                                   next->number);

    } else {
        ngx_http_trove_json_printf(&json, "],\"next_cursor\":null}");
    }

    return ngx_http_trove_json_send(&json, api->request, NGX_HTTP_OK);
}


ngx_int_t
ngx_http_trove_api_feed_cursor(ngx_str_t *value, ngx_trove_spool_place_t *place)
{
    u_char      *p, *next, *last;
    int64_t      numbers[4];
    ngx_uint_t   i;

    p = value->data;
    last = p + value->len;

    for (i = 0; i < 4; i++) {
        next = (i < 3) ? ngx_strlchr(p, last, '-') : last;

        if (next == NULL) {
            return NGX_ERROR;
        }

        numbers[i] = ngx_atoi(p, next - p);

        if (numbers[i] == NGX_ERROR) {
            return NGX_ERROR;
        }

        p = next + 1;
    }

    if (numbers[0] == 0 || numbers[0] == INT64_MAX || numbers[3] == 0) {
        return NGX_ERROR;
    }

    place->from = numbers[0];
    place->reach = numbers[1];
    place->created = numbers[2];
    place->number = numbers[3];

    return NGX_OK;
}


/*
 * An item is the body of the event.  Clients sort by its "created_at" and
 * continue after it, so one that is missing or not a time is replaced by the
 * time of receipt.
 */

static void
ngx_http_trove_api_feed_item(ngx_http_trove_json_t *json,
    ngx_trove_spool_event_t *event)
{
    u_char     *p, *last;
    int64_t     ns;
    ngx_str_t  *body, value;

    body = &event->body;

    if (ngx_trove_time_parse(&event->created_at, &ns) == NGX_OK) {
        ngx_http_trove_json_raw(json, body->data, body->len);
        return;
    }

    last = body->data + body->len;

    if (ngx_http_trove_api_feed_created(body, &value) == NGX_OK) {
        p = value.data + value.len;

        ngx_http_trove_json_raw(json, body->data, value.data - body->data);
        ngx_http_trove_json_time(json, event->received);
        ngx_http_trove_json_raw(json, p, last - p);
        return;
    }

    /* as the last member: an object has at least the member "id" */

    for (p = last; p > body->data && *(p - 1) != '}'; p--) { /* void */ }

    if (p == body->data) {
        ngx_http_trove_json_raw(json, body->data, body->len);
        return;
    }

    p--;

    ngx_http_trove_json_raw(json, body->data, p - body->data);
    ngx_http_trove_json_printf(json, "," NGX_HTTP_TROVE_API_CREATED ":");
    ngx_http_trove_json_time(json, event->received);
    ngx_http_trove_json_raw(json, p, last - p);
}


/*
 * Finds the value of "created_at" in a body, which is a JSON object.
 *
 * NGX_OK
 * NGX_DECLINED  it has none
 */

static ngx_int_t
ngx_http_trove_api_feed_created(ngx_str_t *body, ngx_str_t *value)
{
    u_char      *p, *start, *last;
    ngx_uint_t   depth, name, found;

    depth = 0;
    name = 0;
    found = 0;
    last = body->data + body->len;

    ngx_str_null(value);

    for (p = body->data; p < last; p++) {

        switch (*p) {

        case '"':
            start = p;
            p = ngx_http_trove_api_feed_string(p, last);

            if (name
                && p - start == sizeof(NGX_HTTP_TROVE_API_CREATED) - 2
                && ngx_memcmp(start, NGX_HTTP_TROVE_API_CREATED,
                              sizeof(NGX_HTTP_TROVE_API_CREATED) - 1)
                   == 0)
            {
                found = 1;
            }

            break;

        case '{':
        case '[':
            name = (depth++ == 0);
            break;

        case ':':
            if (found && name) {
                value->data = p + 1;
            }

            name = 0;
            break;

        case ',':
        case '}':
        case ']':
            if (value->data && depth == 1) {
                value->len = p - value->data;
                return NGX_OK;
            }

            depth -= (*p != ',');
            name = (depth == 1);
            break;
        }
    }

    return NGX_DECLINED;
}


/* returns the closing quote of a string, or the end of the text */

static u_char *
ngx_http_trove_api_feed_string(u_char *p, u_char *last)
{
    for (p++; p < last && *p != '"'; p++) {
        if (*p == '\\') {
            p++;
        }
    }

    return p;
}
