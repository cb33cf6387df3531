
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <yajl/yajl_parse.h>

#include "ngx_http_trove_api_webhook.h"
#include "ngx_trove_arena.h"
#include "ngx_trove_utf8.h"


#define NGX_HTTP_TROVE_API_DEPTH  128          /* nested objects and arrays */


typedef struct {
    ngx_http_trove_api_t         *api;
    ngx_http_trove_api_fields_t  *fields;
    ngx_uint_t                    allowed;
    ngx_uint_t                    field;       /* of the value; 0: unknown */
    ngx_uint_t                    depth;
    ngx_uint_t                    nomem;
    ngx_uint_t                    deep;
    const char                   *reject;      /* the first reason */
    yajl_handle                   yajl;
    ngx_trove_arena_t             arena;
} ngx_http_trove_api_parser_t;


typedef struct {
    ngx_str_t                     name;
    ngx_uint_t                    bit;
    const char                   *twice;
    const char                   *type;
} ngx_http_trove_api_field_t;


static ngx_int_t ngx_http_trove_api_webhook_parse(
    ngx_http_trove_api_parser_t *parser, ngx_str_t *body);
static ngx_uint_t ngx_http_trove_api_webhook_unicode(ngx_str_t *body);

static int ngx_http_trove_api_webhook_null(void *ctx);
static int ngx_http_trove_api_webhook_boolean(void *ctx, int value);
static int ngx_http_trove_api_webhook_number(void *ctx, const char *p,
    size_t len);
static int ngx_http_trove_api_webhook_string(void *ctx, const u_char *p,
    size_t len);
static int ngx_http_trove_api_webhook_object(void *ctx);
static int ngx_http_trove_api_webhook_key(void *ctx, const u_char *p,
    size_t len);
static int ngx_http_trove_api_webhook_array(void *ctx);
static int ngx_http_trove_api_webhook_end(void *ctx);

static int ngx_http_trove_api_webhook_type(ngx_http_trove_api_parser_t *parser);
static int ngx_http_trove_api_webhook_reject(
    ngx_http_trove_api_parser_t *parser, const char *reason);


static ngx_http_trove_api_field_t  ngx_http_trove_api_webhook_fields[] = {

    { ngx_string("url"), NGX_HTTP_TROVE_API_URL,
      "\"url\" is there twice",
      "\"url\" must be a string" },

    { ngx_string("events"), NGX_HTTP_TROVE_API_EVENTS,
      "\"events\" is there twice",
      "\"events\" must be an array of strings, such as [\"file.*\"], or null" },

    { ngx_string("namespace"), NGX_HTTP_TROVE_API_NAMESPACE,
      "\"namespace\" is there twice",
      "\"namespace\" must be a string or null" },

    { ngx_string("description"), NGX_HTTP_TROVE_API_DESCRIPTION,
      "\"description\" is there twice",
      "\"description\" must be a string or null" },

    { ngx_string("enabled"), NGX_HTTP_TROVE_API_ENABLED,
      "\"enabled\" is there twice",
      "\"enabled\" must be true or false" },

    { ngx_string("keep_seconds"), NGX_HTTP_TROVE_API_KEEP,
      "\"keep_seconds\" is there twice",
      "\"keep_seconds\" must be a whole number from 0 to 604800" },

    { ngx_null_string, 0, NULL, NULL }
};


static const yajl_callbacks  ngx_http_trove_api_webhook_callbacks = {
    ngx_http_trove_api_webhook_null,
    ngx_http_trove_api_webhook_boolean,
    NULL,                                      /* integer */
    NULL,                                      /* double */
    ngx_http_trove_api_webhook_number,
    ngx_http_trove_api_webhook_string,
    ngx_http_trove_api_webhook_object,
    ngx_http_trove_api_webhook_key,
    ngx_http_trove_api_webhook_end,            /* end map */
    ngx_http_trove_api_webhook_array,
    ngx_http_trove_api_webhook_end             /* end array */
};


ngx_int_t
ngx_http_trove_api_webhook_body(ngx_http_trove_api_t *api,
    ngx_http_trove_api_fields_t *fields, ngx_uint_t allowed)
{
    ngx_str_t                    *body;
    ngx_int_t                     rc;
    ngx_trove_utf8_t              utf8;
    ngx_http_trove_api_parser_t  *parser;

    body = &api->body;

    ngx_memzero(&utf8, sizeof(ngx_trove_utf8_t));

    if (ngx_trove_utf8_check(&utf8, body->data, body->len) != NGX_OK
        || utf8.rest
        || !ngx_http_trove_api_webhook_unicode(body))
    {
        api->reject = "the body is not JSON in UTF-8";
        return NGX_HTTP_BAD_REQUEST;
    }

    /* yajl accepts these as white space */

    if (memchr(body->data, '\v', body->len)
        || memchr(body->data, '\f', body->len))
    {
        api->reject = "the body is not JSON";
        return NGX_HTTP_BAD_REQUEST;
    }

    parser = ngx_palloc(api->request->pool,
                        sizeof(ngx_http_trove_api_parser_t));
    if (parser == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memzero(parser, offsetof(ngx_http_trove_api_parser_t, arena));

    parser->api = api;
    parser->fields = fields;
    parser->allowed = allowed;

    rc = ngx_http_trove_api_webhook_parse(parser, body);

    if (parser->yajl) {
        yajl_free(parser->yajl);
    }

    if (parser->nomem) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc != NGX_OK) {
        api->reject = parser->deep ? "the body is nested too deeply"
                                   : "the body is not JSON";
        return NGX_HTTP_BAD_REQUEST;
    }

    if (parser->reject) {
        api->reject = parser->reject;
        return NGX_HTTP_TROVE_API_INVALID;
    }

    return NGX_OK;
}


/* all of it is parsed, so that a text that is not JSON is never taken for it */

static ngx_int_t
ngx_http_trove_api_webhook_parse(ngx_http_trove_api_parser_t *parser,
    ngx_str_t *body)
{
    yajl_alloc_funcs  funcs;

    ngx_trove_arena_init(&parser->arena);

    if (sigsetjmp(parser->arena.jump, 0) != 0) {
        parser->nomem = 1;
        return NGX_ERROR;
    }

    ngx_trove_arena_funcs(&parser->arena, &funcs);

    parser->yajl = yajl_alloc(&ngx_http_trove_api_webhook_callbacks, &funcs,
                              parser);

    /* it has been validated */

    yajl_config(parser->yajl, yajl_dont_validate_strings, 1);

    /* in a string that is not terminated, the line feed is an error */

    if (yajl_parse(parser->yajl, body->data, body->len) != yajl_status_ok
        || yajl_parse(parser->yajl, (u_char *) "\n", 1) != yajl_status_ok
        || yajl_complete_parse(parser->yajl) != yajl_status_ok)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* yajl decodes a half of a surrogate pair to something else */

static ngx_uint_t
ngx_http_trove_api_webhook_unicode(ngx_str_t *body)
{
    u_char      *p, *last;
    ngx_int_t    ch;
    ngx_uint_t   high;

    high = 0;
    last = body->data + body->len;

    for (p = body->data; p < last; p++) {

        if (*p != '\\' || last - p < 2 || p[1] != 'u') {

            if (high) {
                return 0;
            }

            p += (*p == '\\');
            continue;
        }

        ch = (last - p < 6) ? NGX_ERROR : ngx_hextoi(p + 2, 4);

        if (ch == NGX_ERROR || (ch >= 0xdc00 && ch <= 0xdfff) != high) {
            return 0;
        }

        high = (ch >= 0xd800 && ch <= 0xdbff);
        p += 5;
    }

    return !high;
}


static int
ngx_http_trove_api_webhook_null(void *ctx)
{
    ngx_http_trove_api_parser_t *parser = ctx;

    switch (parser->depth == 1 ? parser->field : 0) {

    case NGX_HTTP_TROVE_API_EVENTS:
    case NGX_HTTP_TROVE_API_NAMESPACE:
    case NGX_HTTP_TROVE_API_DESCRIPTION:
    case NGX_HTTP_TROVE_API_KEEP:
        return 1;
    }

    return ngx_http_trove_api_webhook_type(parser);
}


static int
ngx_http_trove_api_webhook_boolean(void *ctx, int value)
{
    ngx_http_trove_api_parser_t *parser = ctx;

    if (parser->depth == 1 && parser->field == NGX_HTTP_TROVE_API_ENABLED) {
        parser->fields->enabled = (value != 0);
        return 1;
    }

    return ngx_http_trove_api_webhook_type(parser);
}


static int
ngx_http_trove_api_webhook_number(void *ctx, const char *p, size_t len)
{
    ngx_http_trove_api_parser_t *parser = ctx;

    if (parser->depth == 1 && parser->field == NGX_HTTP_TROVE_API_KEEP) {
        parser->fields->keep = ngx_atoi((u_char *) p, len);

        if (parser->fields->keep >= 0
            && parser->fields->keep <= NGX_HTTP_TROVE_API_KEEP_MAX)
        {
            return 1;
        }
    }

    return ngx_http_trove_api_webhook_type(parser);
}


static int
ngx_http_trove_api_webhook_string(void *ctx, const u_char *p, size_t len)
{
    ngx_http_trove_api_parser_t *parser = ctx;

    ngx_str_t                    *value;
    ngx_http_trove_api_fields_t  *fields;

    fields = parser->fields;

    if (parser->depth == 2 && parser->field == NGX_HTTP_TROVE_API_EVENTS) {

        if (fields->nevents == NGX_TROVE_SPOOL_PATTERNS) {
            return ngx_http_trove_api_webhook_reject(parser,
                                       "\"events\" may have 100 names at most");
        }

        value = &fields->events[fields->nevents++];

    } else if (parser->depth != 1) {
        return ngx_http_trove_api_webhook_type(parser);

    } else {

        switch (parser->field) {

        case NGX_HTTP_TROVE_API_URL:
            value = &fields->url;
            break;

        case NGX_HTTP_TROVE_API_NAMESPACE:
            value = &fields->namespace;
            break;

        case NGX_HTTP_TROVE_API_DESCRIPTION:
            value = &fields->description;
            break;

        default:
            return ngx_http_trove_api_webhook_type(parser);
        }
    }

    value->data = ngx_pnalloc(parser->api->request->pool, len + 1);
    if (value->data == NULL) {
        parser->nomem = 1;
        return 0;
    }

    ngx_memcpy(value->data, p, len);
    value->len = len;

    return 1;
}


static int
ngx_http_trove_api_webhook_object(void *ctx)
{
    ngx_http_trove_api_parser_t *parser = ctx;

    if (parser->depth) {
        (void) ngx_http_trove_api_webhook_type(parser);
        parser->field = 0;
    }

    if (parser->depth++ == NGX_HTTP_TROVE_API_DEPTH) {
        parser->deep = 1;
        return 0;
    }

    return 1;
}


static int
ngx_http_trove_api_webhook_key(void *ctx, const u_char *p, size_t len)
{
    ngx_http_trove_api_parser_t *parser = ctx;

    ngx_http_trove_api_field_t  *field;

    if (parser->depth != 1) {
        return 1;
    }

    parser->field = 0;

    for (field = ngx_http_trove_api_webhook_fields; field->bit; field++) {

        if (field->name.len != len
            || ngx_memcmp(field->name.data, p, len) != 0
            || !(field->bit & parser->allowed))
        {
            continue;
        }

        if (parser->fields->given & field->bit) {
            return ngx_http_trove_api_webhook_reject(parser, field->twice);
        }

        parser->fields->given |= field->bit;
        parser->field = field->bit;
        break;
    }

    return 1;
}


static int
ngx_http_trove_api_webhook_array(void *ctx)
{
    ngx_http_trove_api_parser_t *parser = ctx;

    if (parser->depth == 1 && parser->field == NGX_HTTP_TROVE_API_EVENTS) {
        parser->fields->events = ngx_palloc(parser->api->request->pool,
                               NGX_TROVE_SPOOL_PATTERNS * sizeof(ngx_str_t));

        if (parser->fields->events == NULL) {
            parser->nomem = 1;
            return 0;
        }

    } else {
        (void) ngx_http_trove_api_webhook_type(parser);
    }

    if (parser->depth++ == NGX_HTTP_TROVE_API_DEPTH) {
        parser->deep = 1;
        return 0;
    }

    return 1;
}


static int
ngx_http_trove_api_webhook_end(void *ctx)
{
    ngx_http_trove_api_parser_t *parser = ctx;

    if (--parser->depth == 1) {
        parser->field = 0;
    }

    return 1;
}


/* a value of a type that the member may not have */

static int
ngx_http_trove_api_webhook_type(ngx_http_trove_api_parser_t *parser)
{
    ngx_http_trove_api_field_t  *field;

    if (parser->depth == 0) {
        return ngx_http_trove_api_webhook_reject(parser,
                                              "the body must be a JSON object");
    }

    for (field = ngx_http_trove_api_webhook_fields; field->bit; field++) {

        if (field->bit == parser->field) {
            return ngx_http_trove_api_webhook_reject(parser, field->type);
        }
    }

    return 1;
}


static int
ngx_http_trove_api_webhook_reject(ngx_http_trove_api_parser_t *parser,
    const char *reason)
{
    if (parser->reject == NULL) {
        parser->reject = reason;
    }

    return 1;
}
