
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_fanout.h"


static size_t ngx_http_trove_fanout_size(ngx_http_trove_fanout_t *fanout,
    size_t more);
static u_char *ngx_http_trove_fanout_escape(u_char *p, ngx_str_t *value);
static u_char *ngx_http_trove_fanout_put(u_char *p, const char *text);
static u_char *ngx_http_trove_fanout_status(u_char *p, ngx_uint_t status);


ngx_int_t
ngx_http_trove_fanout_json(ngx_http_trove_fanout_t *fanout, const char *status,
    ngx_str_t *json)
{
    u_char                     *p;
    size_t                      size;
    ngx_uint_t                  i;
    ngx_http_trove_delivery_t  *d;

    size = sizeof("{\"status\":\"\",\"id\":\"\",\"targets\":[]}")
           + ngx_strlen(status)
           + fanout->ctx->event.id.len
           + ngx_escape_json(NULL, fanout->ctx->event.id.data,
                             fanout->ctx->event.id.len)
           + ngx_http_trove_fanout_size(fanout,
                   sizeof(",{\"name\":\"\",\"status\":,\"optional\":true,"
                          "\"skipped\":true,\"error\":\"\","
                          "\"response\":\"\"}"));

    for (i = 0; i < fanout->ndeliveries; i++) {
        d = &fanout->deliveries[i];

        size += d->response.len
                + ngx_escape_json(NULL, d->response.data, d->response.len);
    }

    p = ngx_pnalloc(fanout->request->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    json->data = p;

    p = ngx_sprintf(p, "{\"status\":\"%s\",\"id\":\"", status);
    p = ngx_http_trove_fanout_escape(p, &fanout->ctx->event.id);
    p = ngx_http_trove_fanout_put(p, "\",\"targets\":[");

    for (i = 0; i < fanout->ndeliveries; i++) {
        d = &fanout->deliveries[i];

        p = ngx_http_trove_fanout_put(p, i ? ",{\"name\":\"" : "{\"name\":\"");
        p = ngx_http_trove_fanout_escape(p, &d->target->name);
        p = ngx_http_trove_fanout_put(p, "\",\"status\":");
        p = ngx_http_trove_fanout_status(p, d->status);

        if (d->target->optional) {
            p = ngx_http_trove_fanout_put(p, ",\"optional\":true");
        }

        if (d->already_delivered) {
            p = ngx_http_trove_fanout_put(p, ",\"skipped\":true");
        }

        if (d->error) {
            p = ngx_sprintf(p, ",\"error\":\"%s\"", d->error);
        }

        if (d->response.len) {
            p = ngx_sprintf(p, ",\"response\":\"");
            p = ngx_http_trove_fanout_escape(p, &d->response);
            *p++ = '"';
        }

        *p++ = '}';
    }

    *p++ = ']';
    *p++ = '}';

    json->len = p - json->data;

    return NGX_OK;
}


ngx_int_t
ngx_http_trove_fanout_text(ngx_http_trove_fanout_t *fanout, ngx_str_t *text)
{
    u_char                     *p;
    ngx_uint_t                  i;
    ngx_http_trove_delivery_t  *d;

    p = ngx_pnalloc(fanout->request->pool,
                    1 + ngx_http_trove_fanout_size(fanout,
                                                   sizeof(",=skipped")));
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = p;

    for (i = 0; i < fanout->ndeliveries; i++) {
        d = &fanout->deliveries[i];

        p = ngx_sprintf(p, "%s%V=", i ? "," : "", &d->target->name);

        if (d->already_delivered) {
            p = ngx_sprintf(p, "skipped");

        } else if (d->state != NGX_HTTP_TROVE_DELIVERY_DONE) {
            p = ngx_sprintf(p, "pending");

        } else if (d->error) {
            p = ngx_sprintf(p, "%s", d->error);

        } else {
            p = ngx_http_trove_fanout_status(p, d->status);
        }
    }

    text->len = p - text->data;

    return NGX_OK;
}


/* the length of all targets, with the given number of extra bytes for each */

static size_t
ngx_http_trove_fanout_size(ngx_http_trove_fanout_t *fanout, size_t more)
{
    size_t                      size;
    ngx_uint_t                  i;
    ngx_http_trove_delivery_t  *d;

    size = 0;

    for (i = 0; i < fanout->ndeliveries; i++) {
        d = &fanout->deliveries[i];

        size += more + NGX_INT_T_LEN
                + d->target->name.len
                + ngx_escape_json(NULL, d->target->name.data,
                                  d->target->name.len)
                + (d->error ? ngx_strlen(d->error) : 0);
    }

    return size;
}


static u_char *
ngx_http_trove_fanout_escape(u_char *p, ngx_str_t *value)
{
    return (u_char *) ngx_escape_json(p, value->data, value->len);
}


/* ngx_sprintf() takes ten times as long, for each target */

static u_char *
ngx_http_trove_fanout_put(u_char *p, const char *text)
{
    return ngx_cpymem(p, text, ngx_strlen(text));
}


static u_char *
ngx_http_trove_fanout_status(u_char *p, ngx_uint_t status)
{
    if (status < 100 || status > 999) {
        return ngx_sprintf(p, "%ui", status);
    }

    *p++ = (u_char) ('0' + status / 100);
    *p++ = (u_char) ('0' + status / 10 % 10);
    *p++ = (u_char) ('0' + status % 10);

    return p;
}
