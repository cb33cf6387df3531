
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_api.h"
#include "ngx_trove_time.h"


#define NGX_HTTP_TROVE_API_LIMIT      50
#define NGX_HTTP_TROVE_API_LIMIT_MAX  500
#define NGX_HTTP_TROVE_API_BULK_MAX   1000000
#define NGX_HTTP_TROVE_API_LIST_MAX   64       /* names between commas */


static const char *ngx_http_trove_api_args_check(ngx_http_trove_api_t *api);
static const char *ngx_http_trove_api_args_error(ngx_http_trove_api_t *api,
    ngx_str_t *name, const char *what);
static ngx_int_t ngx_http_trove_api_arg(ngx_http_trove_api_t *api,
    const char *name, ngx_str_t *value);
static ngx_int_t ngx_http_trove_api_list(ngx_http_trove_api_t *api,
    ngx_str_t *value, ngx_str_t **list, ngx_uint_t *n, ngx_uint_t trim);
static ngx_int_t ngx_http_trove_api_states(ngx_str_t *value,
    ngx_uint_t *states);
static void ngx_http_trove_api_trim(ngx_str_t *s);
static ngx_int_t ngx_http_trove_api_time(ngx_str_t *value, int64_t *ns);


typedef struct {
    ngx_str_t   name;
    ngx_uint_t  states;
} ngx_http_trove_api_state_t;


static ngx_http_trove_api_state_t  ngx_http_trove_api_state_names[] = {
    { ngx_string("pending"), ngx_trove_spool_mask(NGX_TROVE_SPOOL_NEW)
                             |ngx_trove_spool_mask(NGX_TROVE_SPOOL_RETRY) },
    { ngx_string("inflight"), ngx_trove_spool_mask(NGX_TROVE_SPOOL_LEASED) },
    { ngx_string("delivered"),
      ngx_trove_spool_mask(NGX_TROVE_SPOOL_DELIVERED) },
    { ngx_string("failed"), ngx_trove_spool_mask(NGX_TROVE_SPOOL_FAILED) },
    { ngx_string("cancelled"),
      ngx_trove_spool_mask(NGX_TROVE_SPOOL_CANCELLED) },
    { ngx_null_string, 0 }
};


const char *
ngx_http_trove_api_args(ngx_http_trove_api_t *api)
{
    ngx_int_t                  rc, n;
    ngx_str_t                  value;
    const char                *error;
    ngx_trove_spool_filter_t  *filter;

    filter = &api->filter;

    api->limit = NGX_HTTP_TROVE_API_LIMIT;

    /* a misspelt filter must not match everything */

    error = ngx_http_trove_api_args_check(api);

    if (error) {
        return error;
    }

#define ngx_http_trove_api_get(name)                                          \
    rc = ngx_http_trove_api_arg(api, name, &value);                           \
    if (rc == NGX_ERROR) {                                                    \
        return "\"" name "\" has an invalid encoding";                        \
    }                                                                         \
    if (rc == NGX_OK)

    ngx_http_trove_api_get("limit") {
        n = ngx_atoi(value.data, value.len);

        if (api->request->method == NGX_HTTP_POST) {

            if (n < 1 || n > NGX_HTTP_TROVE_API_BULK_MAX) {
                return "\"limit\" must be a number from 1 to 1000000";
            }

        } else if (n < 1 || n > NGX_HTTP_TROVE_API_LIMIT_MAX) {
            return "\"limit\" must be a number from 1 to 500";
        }

        api->limit = n;
        api->most = n;
        api->paged = 1;
    }

    ngx_http_trove_api_get("cursor") {
        n = ngx_atoi(value.data, value.len);

        if (n < 1
            && ngx_http_trove_api_feed_cursor(&value, &api->place) != NGX_OK)
        {
            return "\"cursor\" must be a value of \"next_cursor\"";
        }

        api->cursor = ngx_max(n, 0);
        api->paged = 1;
    }

    ngx_http_trove_api_get("since") {
        if (ngx_http_trove_api_time(&value, &api->since) != NGX_OK) {
            return "\"since\" must be a time in seconds since the epoch, or "
                   "such as 2026-04-30T12:00:00Z";
        }

        filter->since = api->since / NGX_TROVE_TIME_MSEC;
        api->has_since = 1;
    }

    ngx_http_trove_api_get("until") {

        /* 0 would be no restriction */

        if (ngx_http_trove_api_time(&value, &api->until) == NGX_OK) {
            filter->until = api->until / NGX_TROVE_TIME_MSEC;
        }

        if (filter->until == 0) {
            return "\"until\" must be a time in seconds since the epoch, or "
                   "such as 2026-04-30T12:00:00Z";
        }
    }

    ngx_http_trove_api_get("state") {
        if (ngx_http_trove_api_states(&value, &filter->states) != NGX_OK) {
            return "\"state\" must be a comma-separated list of pending, "
                   "inflight, delivered, failed, and cancelled";
        }
    }

    ngx_http_trove_api_get("types") {
        if (ngx_http_trove_api_list(api, &value, &filter->types,
                                    &filter->ntypes, 1)
            != NGX_OK)
        {
            return "\"types\" must be a comma-separated list of at most 64 "
                   "names";
        }
    }

    ngx_http_trove_api_get("namespace") {
        if (ngx_http_trove_api_list(api, &value, &filter->namespaces,
                                    &filter->nnamespaces, 0)
            != NGX_OK)
        {
            return "\"namespace\" must be a comma-separated list of at most 64 "
                   "names";
        }
    }

    ngx_http_trove_api_get("target") {
        filter->target = value;
    }

    ngx_http_trove_api_get("location") {
        filter->route = value;
    }

    ngx_http_trove_api_get("event") {
        filter->id = value;
    }

    ngx_http_trove_api_get("dry_run") {
        api->dry_run = !(value.len == 1 && value.data[0] == '0')
                       && !(value.len == 5
                            && ngx_strncmp(value.data, "false", 5) == 0);
    }

    return NULL;
}


/*
 * Each argument may be given once, and in calls that change something it must
 * have a value: an argument that is ignored must not widen the filter, or turn
 * a dry run into a real one.
 */

static const char *
ngx_http_trove_api_args_check(ngx_http_trove_api_t *api)
{
    u_char      *p, *end, *next, *last;
    ngx_str_t   *args;
    ngx_uint_t   i, seen;

    static ngx_str_t  names[] = {
        ngx_string("limit"), ngx_string("cursor"), ngx_string("since"),
        ngx_string("until"), ngx_string("state"), ngx_string("types"),
        ngx_string("namespace"), ngx_string("target"), ngx_string("location"),
        ngx_string("event"), ngx_string("dry_run"), ngx_null_string
    };

    seen = 0;
    args = &api->request->args;
    last = args->data + args->len;

    for (p = args->data; p < last; p = next + 1) {
        next = ngx_strlchr(p, last, '&');
        next = next ? next : last;

        if (next == p) {
            continue;
        }

        end = ngx_strlchr(p, next, '=');
        end = end ? end : next;

        for (i = 0; names[i].len; i++) {
            if (names[i].len == (size_t) (end - p)
                && ngx_strncasecmp(names[i].data, p, names[i].len) == 0)
            {
                break;
            }
        }

        if (names[i].len == 0) {
            return "unknown argument, supported are limit, cursor, since, "
                   "until, state, types, namespace, target, location, event, "
                   "and dry_run";
        }

        /* clients of the vendor may send an empty one: harmless in lists */

        if (next - end < 2
            && (end == next || api->request->method == NGX_HTTP_POST))
        {
            return ngx_http_trove_api_args_error(api, &names[i],
                                                 "has no value");
        }

        if (seen & (1u << i)) {
            return ngx_http_trove_api_args_error(api, &names[i],
                                                 "is specified twice");
        }

        seen |= 1u << i;
    }

    return NULL;
}


static const char *
ngx_http_trove_api_args_error(ngx_http_trove_api_t *api, ngx_str_t *name,
    const char *what)
{
    u_char  *text;

    text = ngx_pnalloc(api->request->pool,
                       name->len + ngx_strlen(what) + sizeof("\"\" "));
    if (text == NULL) {
        return what;
    }

    (void) ngx_sprintf(text, "\"%V\" %s%Z", name, what);

    return (const char *) text;
}


/* NGX_OK; NGX_DECLINED: the argument is missing or empty; NGX_ERROR */

static ngx_int_t
ngx_http_trove_api_arg(ngx_http_trove_api_t *api, const char *name,
    ngx_str_t *value)
{
    u_char     *dst, *src, *p;
    ngx_str_t   raw;

    if (ngx_http_arg(api->request, (u_char *) name, ngx_strlen(name), &raw)
        != NGX_OK
        || raw.len == 0)
    {
        return NGX_DECLINED;
    }

    /* ngx_unescape_uri() would discard a "%" at the end */

    for (p = raw.data; p < raw.data + raw.len; p++) {
        if (*p == '%'
            && (raw.data + raw.len - p < 3 || ngx_hextoi(p + 1, 2) < 0))
        {
            return NGX_ERROR;
        }
    }

    value->data = ngx_pnalloc(api->request->pool, raw.len);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    dst = value->data;
    src = raw.data;

    ngx_unescape_uri(&dst, &src, raw.len, 0);

    value->len = dst - value->data;

    /* as in an encoded form */

    for (p = value->data; p < dst; p++) {
        if (*p == '+' && ngx_strlchr(raw.data, raw.data + raw.len, '%') == NULL)
        {
            *p = ' ';
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_api_list(ngx_http_trove_api_t *api, ngx_str_t *value,
    ngx_str_t **list, ngx_uint_t *n, ngx_uint_t trim)
{
    u_char     *p, *next, *last;
    ngx_str_t  *s;

    s = ngx_palloc(api->request->pool,
                   NGX_HTTP_TROVE_API_LIST_MAX * sizeof(ngx_str_t));
    if (s == NULL) {
        return NGX_ERROR;
    }

    *n = 0;
    last = value->data + value->len;

    for (p = value->data; p < last; p = next + 1) {
        next = ngx_strlchr(p, last, ',');
        next = next ? next : last;

        if (next == p) {
            continue;
        }

        if (*n == NGX_HTTP_TROVE_API_LIST_MAX) {
            return NGX_ERROR;
        }

        s[*n].data = p;
        s[*n].len = next - p;

        if (trim) {
            ngx_http_trove_api_trim(&s[*n]);
        }

        *n += (s[*n].len != 0);
    }

    *list = s;

    /* an empty list would match everything */

    return *n ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_trove_api_trim(ngx_str_t *s)
{
    while (s->len && s->data[0] == ' ') {
        s->data++;
        s->len--;
    }

    while (s->len && s->data[s->len - 1] == ' ') {
        s->len--;
    }
}


static ngx_int_t
ngx_http_trove_api_states(ngx_str_t *value, ngx_uint_t *states)
{
    u_char                      *p, *next, *last;
    ngx_http_trove_api_state_t  *s;

    last = value->data + value->len;

    for (p = value->data; p < last; p = next + 1) {
        next = ngx_strlchr(p, last, ',');
        next = next ? next : last;

        for (s = ngx_http_trove_api_state_names; s->name.len; s++) {
            if (s->name.len == (size_t) (next - p)
                && ngx_strncmp(s->name.data, p, s->name.len) == 0)
            {
                *states |= s->states;
                break;
            }
        }

        if (s->name.len == 0) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* seconds, or a time as in the body of an event; not before the epoch */

static ngx_int_t
ngx_http_trove_api_time(ngx_str_t *value, int64_t *ns)
{
    ngx_int_t  n;

    /* as many digits as a date without hyphens are seconds, too */

    n = ngx_atoi(value->data, value->len);

    if (n == NGX_ERROR) {
        return (ngx_trove_time_parse(value, ns) == NGX_OK && *ns >= 0)
               ? NGX_OK : NGX_ERROR;
    }

    if (n > 9999999999) {
        return NGX_ERROR;
    }

    *ns = (n < NGX_TROVE_TIME_MAX / 1000 / NGX_TROVE_TIME_MSEC)
          ? (int64_t) n * 1000 * NGX_TROVE_TIME_MSEC : NGX_TROVE_TIME_MAX;

    return NGX_OK;
}
