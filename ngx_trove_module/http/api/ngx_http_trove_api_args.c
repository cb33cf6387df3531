
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_api.h"


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
    ngx_str_t *value, ngx_str_t **list, ngx_uint_t *n);
static ngx_int_t ngx_http_trove_api_states(ngx_str_t *value,
    ngx_uint_t *states);
static ngx_int_t ngx_http_trove_api_time(ngx_str_t *value, int64_t *msec);
static ngx_int_t ngx_http_trove_api_month(ngx_int_t year, ngx_int_t mon);
static ngx_int_t ngx_http_trove_api_digits(u_char **p, u_char *last,
    ngx_uint_t n, ngx_int_t *value);


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

        if (n < 1) {
            return "\"cursor\" must be a value of \"next_cursor\"";
        }

        api->cursor = n;
        api->paged = 1;
    }

    ngx_http_trove_api_get("since") {
        if (ngx_http_trove_api_time(&value, &filter->since) != NGX_OK) {
            return "\"since\" must be a time in seconds since the epoch, or "
                   "such as 2026-04-30T12:00:00Z";
        }
    }

    ngx_http_trove_api_get("until") {

        /* 0 would be no restriction */

        if (ngx_http_trove_api_time(&value, &filter->until) != NGX_OK
            || filter->until == 0)
        {
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
                                    &filter->ntypes)
            != NGX_OK)
        {
            return "\"types\" must be a comma-separated list of at most 64 "
                   "names";
        }
    }

    ngx_http_trove_api_get("namespace") {
        if (ngx_http_trove_api_list(api, &value, &filter->namespaces,
                                    &filter->nnamespaces)
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
    ngx_str_t **list, ngx_uint_t *n)
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
        (*n)++;
    }

    *list = s;

    /* an empty list would match everything */

    return *n ? NGX_OK : NGX_ERROR;
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


/* seconds, or a time of RFC 3339, without leap seconds */

static ngx_int_t
ngx_http_trove_api_time(ngx_str_t *value, int64_t *msec)
{
    u_char     *p, *last;
    struct tm   tm;
    ngx_int_t   n, year, mon, day, hour, min, sec, milli, zh, zm, sign;
    ngx_uint_t  digits;

    n = ngx_atoi(value->data, value->len);

    if (n != NGX_ERROR) {
        if (n > 9999999999) {
            return NGX_ERROR;
        }

        *msec = (int64_t) n * 1000;
        return NGX_OK;
    }

    p = value->data;
    last = p + value->len;
    hour = min = sec = milli = zh = zm = 0;
    sign = 1;

    if (ngx_http_trove_api_digits(&p, last, 4, &year) != NGX_OK
        || p == last || *p++ != '-'
        || ngx_http_trove_api_digits(&p, last, 2, &mon) != NGX_OK
        || p == last || *p++ != '-'
        || ngx_http_trove_api_digits(&p, last, 2, &day) != NGX_OK
        || year < 1970 || mon < 1 || mon > 12 || day < 1
        || day > ngx_http_trove_api_month(year, mon))
    {
        return NGX_ERROR;
    }

    if (p < last) {

        if ((*p != 'T' && *p != 't' && *p != ' ')
            || (p++, ngx_http_trove_api_digits(&p, last, 2, &hour)) != NGX_OK
            || p == last || *p++ != ':'
            || ngx_http_trove_api_digits(&p, last, 2, &min) != NGX_OK
            || p == last || *p++ != ':'
            || ngx_http_trove_api_digits(&p, last, 2, &sec) != NGX_OK
            || hour > 23 || min > 59 || sec > 59)
        {
            return NGX_ERROR;
        }

        if (p < last && *p == '.') {
            p++;

            for (digits = 0; p < last && *p >= '0' && *p <= '9'; p++) {
                if (digits++ < 3) {
                    milli = milli * 10 + *p - '0';
                }
            }

            if (digits == 0) {
                return NGX_ERROR;
            }

            for ( /* void */ ; digits < 3; digits++) {
                milli *= 10;
            }
        }

        if (p < last && (*p == 'Z' || *p == 'z')) {
            p++;

        } else if (p < last && (*p == '+' || *p == '-' || *p == ' ')) {

            /* a "+" that was decoded as a blank */

            sign = (*p++ == '-') ? 1 : -1;

            if (ngx_http_trove_api_digits(&p, last, 2, &zh) != NGX_OK
                || p == last || *p++ != ':'
                || ngx_http_trove_api_digits(&p, last, 2, &zm) != NGX_OK
                || zh > 23 || zm > 59)
            {
                return NGX_ERROR;
            }
        }
    }

    if (p != last) {
        return NGX_ERROR;
    }

    ngx_memzero(&tm, sizeof(struct tm));

    tm.tm_year = year - 1900;
    tm.tm_mon = mon - 1;
    tm.tm_mday = day;
    tm.tm_hour = hour;
    tm.tm_min = min;
    tm.tm_sec = sec;

    *msec = ((int64_t) timegm(&tm) + sign * (zh * 3600 + zm * 60)) * 1000
            + milli;

    /* the time zone may lead to a time before the epoch */

    return (*msec < 0) ? NGX_ERROR : NGX_OK;
}


/* timegm() would take February 30 for March 1 or 2 */

static ngx_int_t
ngx_http_trove_api_month(ngx_int_t year, ngx_int_t mon)
{
    static ngx_int_t  days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
                                 31 };

    if (mon == 2
        && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
    {
        return 29;
    }

    return days[mon - 1];
}


static ngx_int_t
ngx_http_trove_api_digits(u_char **p, u_char *last, ngx_uint_t n,
    ngx_int_t *value)
{
    if ((size_t) (last - *p) < n) {
        return NGX_ERROR;
    }

    *value = ngx_atoi(*p, n);
    *p += n;

    return (*value == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}
