
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_json.h"
#include "ngx_trove_utf8.h"


#define NGX_HTTP_TROVE_JSON_BUF     16384
#define NGX_HTTP_TROVE_JSON_PRINTF  512


static u_char *ngx_http_trove_json_reserve(ngx_http_trove_json_t *json,
    size_t len);


void
ngx_http_trove_json_init(ngx_http_trove_json_t *json, ngx_pool_t *pool)
{
    json->pool = pool;
    json->first = NULL;
    json->last = NULL;
    json->failed = 0;
}


/* returns a buffer with a capacity of len bytes; the caller moves buf->last */

static u_char *
ngx_http_trove_json_reserve(ngx_http_trove_json_t *json, size_t len)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (json->failed) {
        return NULL;
    }

    if (json->last) {
        b = json->last->buf;

        if ((size_t) (b->end - b->last) >= len) {
            return b->last;
        }
    }

    json->failed = 1;

    b = ngx_create_temp_buf(json->pool, ngx_max(len, NGX_HTTP_TROVE_JSON_BUF));
    if (b == NULL) {
        return NULL;
    }

    cl = ngx_alloc_chain_link(json->pool);
    if (cl == NULL) {
        return NULL;
    }

    json->failed = 0;

    cl->buf = b;
    cl->next = NULL;

    if (json->last) {
        json->last->next = cl;

    } else {
        json->first = cl;
    }

    json->last = cl;

    return b->last;
}


void
ngx_http_trove_json_raw(ngx_http_trove_json_t *json, u_char *p, size_t len)
{
    u_char  *to;

    to = ngx_http_trove_json_reserve(json, len);

    if (to && len) {
        json->last->buf->last = ngx_cpymem(to, p, len);
    }
}


void
ngx_http_trove_json_printf(ngx_http_trove_json_t *json, const char *fmt, ...)
{
    u_char   *to;
    va_list   args;

    to = ngx_http_trove_json_reserve(json, NGX_HTTP_TROVE_JSON_PRINTF);

    if (to) {
        va_start(args, fmt);
        json->last->buf->last = ngx_vslprintf(to,
                                        to + NGX_HTTP_TROVE_JSON_PRINTF,
                                        fmt, args);
        va_end(args);
    }
}


void
ngx_http_trove_json_string(ngx_http_trove_json_t *json, ngx_str_t *value)
{
    u_char  *p;
    size_t   escape;

    if (value->data == NULL) {
        ngx_http_trove_json_raw(json, (u_char *) "null", 4);
        return;
    }

    escape = ngx_escape_json(NULL, value->data, value->len);

    p = ngx_http_trove_json_reserve(json, value->len + escape + 2);

    if (p) {
        *p++ = '"';
        p = (u_char *) ngx_escape_json(p, value->data, value->len);
        *p++ = '"';

        json->last->buf->last = p;
    }
}


void
ngx_http_trove_json_text(ngx_http_trove_json_t *json, ngx_str_t *value)
{
    ngx_str_t  s;

    s.data = ngx_pnalloc(json->pool, value->len * 3 + 1);

    if (s.data == NULL) {
        json->failed = 1;
        return;
    }

    s.len = ngx_trove_utf8_replace(s.data, value->data, value->len) - s.data;

    ngx_http_trove_json_string(json, &s);
}


void
ngx_http_trove_json_time(ngx_http_trove_json_t *json, int64_t msec)
{
    ngx_tm_t  tm;

    ngx_gmtime((time_t) (msec / 1000), &tm);

    ngx_http_trove_json_printf(json, "\"%4d-%02d-%02dT%02d:%02d:%02d.%03dZ\"",
                               tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                               tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec,
                               (int) (msec % 1000));
}


ngx_int_t
ngx_http_trove_json_flatten(ngx_http_trove_json_t *json, ngx_str_t *text)
{
    u_char       *p;
    ngx_chain_t  *cl;

    if (json->failed) {
        return NGX_ERROR;
    }

    text->len = 0;

    for (cl = json->first; cl; cl = cl->next) {
        text->len += ngx_buf_size(cl->buf);
    }

    p = ngx_pnalloc(json->pool, text->len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = p;

    for (cl = json->first; cl; cl = cl->next) {
        p = ngx_cpymem(p, cl->buf->pos, ngx_buf_size(cl->buf));
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_trove_json_send(ngx_http_trove_json_t *json, ngx_http_request_t *r,
    ngx_uint_t status)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (json->failed || json->first == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = status;
    r->headers_out.content_length_n = 0;

    for (cl = json->first; cl; cl = cl->next) {
        r->headers_out.content_length_n += ngx_buf_size(cl->buf);
    }

    b = json->last->buf;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, json->first);
}
