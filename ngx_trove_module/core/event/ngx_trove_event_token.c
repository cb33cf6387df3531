
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_event.h"
#include "ngx_trove_event_parser.h"


typedef struct {
    ngx_str_t                  name;
    size_t                     offset;         /* in ngx_trove_event_t */
} ngx_trove_event_key_t;


static int ngx_trove_event_start_map(void *ctx);
static int ngx_trove_event_start(void *ctx);
static int ngx_trove_event_map_key(void *ctx, const unsigned char *p,
    size_t len);
static int ngx_trove_event_end(void *ctx);

static u_char *ngx_trove_event_mark(ngx_trove_event_parser_t *parser);
static ngx_str_t *ngx_trove_event_envelope(ngx_trove_event_parser_t *parser,
    const u_char *p, size_t len);
static ngx_str_t *ngx_trove_event_member(ngx_trove_event_parser_t *parser,
    const u_char *p, size_t len);
static ngx_int_t ngx_trove_event_value(ngx_trove_event_parser_t *parser,
    u_char *end);
static ngx_int_t ngx_trove_event_string(ngx_trove_event_parser_t *parser,
    ngx_str_t *value, u_char *p, u_char *end);
static ngx_uint_t ngx_trove_event_plain(ngx_str_t *value);
static ngx_int_t ngx_trove_event_copy(ngx_trove_event_parser_t *parser,
    ngx_str_t *value, u_char *p, size_t len);
static void ngx_trove_event_reject(ngx_trove_event_parser_t *parser,
    const char *reason);


static ngx_trove_event_key_t  ngx_trove_event_keys[] = {
    { ngx_string("id"), offsetof(ngx_trove_event_t, id) },
    { ngx_string("type"), offsetof(ngx_trove_event_t, type) },
    { ngx_string("api_version"), offsetof(ngx_trove_event_t, api_version) },
    { ngx_string("workspace_id"), offsetof(ngx_trove_event_t, workspace_id) },
    { ngx_string("namespace"), offsetof(ngx_trove_event_t, namespace) },
    { ngx_string("created_at"), offsetof(ngx_trove_event_t, created_at) },
    { ngx_string("data"), 0 }
};


const yajl_callbacks  ngx_trove_event_callbacks = {
    NULL,                                      /* null */
    NULL,                                      /* boolean */
    NULL,                                      /* integer */
    NULL,                                      /* double */
    NULL,                                      /* number */
    NULL,                                      /* string */
    ngx_trove_event_start_map,
    ngx_trove_event_map_key,
    ngx_trove_event_end,                       /* end map */
    ngx_trove_event_start,                     /* start array */
    ngx_trove_event_end                        /* end array */
};


static int
ngx_trove_event_start_map(void *ctx)
{
    ngx_trove_event_parser_t *parser = ctx;

    if (parser->depth == 0) {
        parser->object = 1;

    } else if (parser->depth == 1 && parser->key == NGX_TROVE_EVENT_DATA) {
        parser->in_data = 1;
    }

    return ngx_trove_event_start(parser);
}


static int
ngx_trove_event_start(void *ctx)
{
    ngx_trove_event_parser_t *parser = ctx;

    (void) ngx_trove_event_mark(parser);

    /* yajl has no limit, and allocates a byte for each level */

    if (parser->depth == NGX_TROVE_EVENT_DEPTH_MAX) {
        parser->bad_json = "nested too deeply";
        return 0;
    }

    parser->depth++;

    return 1;
}


static int
ngx_trove_event_map_key(void *ctx, const unsigned char *p, size_t len)
{
    ngx_trove_event_parser_t *parser = ctx;

    u_char     *end;
    ngx_str_t  *value;

    end = ngx_trove_event_mark(parser);

    if (parser->value && parser->depth == parser->value_depth
        && ngx_trove_event_value(parser, end) != NGX_OK)
    {
        return 0;
    }

    if (parser->depth == 1) {
        value = ngx_trove_event_envelope(parser, p, len);

    } else if (parser->depth == 2 && parser->in_data
               && parser->names->nnames)
    {
        value = ngx_trove_event_member(parser, p, len);

    } else {
        return 1;
    }

    parser->value = value;
    parser->value_depth = parser->depth;
    parser->start = end;
    parser->raw.len = 0;

    return 1;
}


static int
ngx_trove_event_end(void *ctx)
{
    ngx_trove_event_parser_t *parser = ctx;

    u_char  *end;

    end = ngx_trove_event_mark(parser);

    /* end of the object that contains the value */

    if (parser->value && parser->depth == parser->value_depth
        && ngx_trove_event_value(parser, end) != NGX_OK)
    {
        return 0;
    }

    parser->depth--;

    /* end of the value itself */

    if (parser->value && parser->depth == parser->value_depth
        && ngx_trove_event_value(parser, end) != NGX_OK)
    {
        return 0;
    }

    if (parser->depth == 1) {
        parser->in_data = 0;
    }

    return 1;
}


/* returns the end of the token being reported, and marks it as seen */

static u_char *
ngx_trove_event_mark(ngx_trove_event_parser_t *parser)
{
    parser->mark = yajl_get_bytes_consumed(parser->yajl);
    parser->since = 0;

    return parser->feed + parser->mark;
}


static ngx_str_t *
ngx_trove_event_envelope(ngx_trove_event_parser_t *parser, const u_char *p,
    size_t len)
{
    ngx_uint_t              i;
    ngx_trove_event_key_t  *key;

    key = ngx_trove_event_keys;

    for (i = 0; i < NGX_TROVE_EVENT_OTHER; i++) {

        if (key[i].name.len == len
            && ngx_memcmp(key[i].name.data, p, len) == 0)
        {
            break;
        }
    }

    parser->key = i;

    if (i == NGX_TROVE_EVENT_OTHER) {
        return NULL;
    }

    if (parser->seen & (1 << i)) {
        ngx_trove_event_reject(parser, "duplicate key");
    }

    parser->seen |= 1 << i;

    if (i == NGX_TROVE_EVENT_DATA) {
        return NULL;
    }

    return (ngx_str_t *) ((u_char *) parser->event + key[i].offset);
}


static ngx_str_t *
ngx_trove_event_member(ngx_trove_event_parser_t *parser, const u_char *p,
    size_t len)
{
    size_t      n;
    ngx_str_t  *name;
    ngx_uint_t  i;

    name = parser->names->names;

    for (i = 0; i < parser->names->nnames; i++) {

        if (name[i].len != len) {
            continue;
        }

        for (n = 0; n < len; n++) {
            if (ngx_tolower(p[n]) != name[i].data[n]) {
                break;
            }
        }

        if (n == len) {
            return &parser->event->data[i];
        }
    }

    return NULL;
}


/*
 * The value is between parser->start and end, and may be followed by other
 * bytes.  yajl has already validated and located it.
 */

static ngx_int_t
ngx_trove_event_value(ngx_trove_event_parser_t *parser, u_char *end)
{
    u_char     *p, *last;
    ngx_str_t  *value;

    p = parser->start;

    if (parser->raw.len) {

        if (ngx_trove_event_buf_add(parser, &parser->raw, p, end - p)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        p = parser->raw.data;
        end = p + parser->raw.len;
    }

    value = parser->value;
    parser->value = NULL;

    while (*p == ':' || *p <= ' ') {
        p++;
    }

    if (*p == '"') {
        return ngx_trove_event_string(parser, value, p + 1, end);
    }

    if (parser->value_depth == 2) {
        last = p;

        if (*p == '{' || *p == '[') {
            last = end;

        } else {
            while (*last != ',' && *last != '}' && *last > ' ') {
                last++;
            }
        }

        return ngx_trove_event_copy(parser, value, p, last - p);
    }

    switch (parser->key) {

    case NGX_TROVE_EVENT_ID:
        ngx_trove_event_reject(parser, "\"id\" is not a string");
        break;

    case NGX_TROVE_EVENT_TYPE:
        ngx_trove_event_reject(parser, "\"type\" is not a string");
        break;

    case NGX_TROVE_EVENT_NAMESPACE:

        if (*p != 'n') {
            ngx_trove_event_reject(parser,
                               "\"namespace\" is neither a string nor null");
        }

        break;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trove_event_string(ngx_trove_event_parser_t *parser, ngx_str_t *value,
    u_char *p, u_char *end)
{
    u_char      *last, *escaped;
    ngx_uint_t   broken;

    broken = 0;

    last = memchr(p, '"', end - p);
    escaped = memchr(p, '\\', last - p);

    if (escaped) {
        for (last = escaped; *last != '"'; last++) {
            if (*last == '\\') {
                last++;
            }
        }
    }

    if (ngx_trove_event_copy(parser, value, p, last - p) != NGX_OK) {
        return NGX_ERROR;
    }

    if (escaped) {
        last = ngx_trove_utf8_unescape(value->data, p, last - p, &broken);
        value->len = last - value->data;
    }

    if (parser->value_depth == 2 || parser->key > NGX_TROVE_EVENT_TYPE) {
        return NGX_OK;
    }

    /* replaced surrogates could make two different strings equal */

    if (value->len == 0 || value->len > NGX_TROVE_EVENT_ID_MAX || broken
        || !ngx_trove_event_plain(value))
    {
        ngx_trove_event_reject(parser, parser->key == NGX_TROVE_EVENT_ID
            ? "\"id\" is empty, too long or has invalid characters"
            : "\"type\" is empty, too long or has invalid characters");
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_trove_event_plain(ngx_str_t *value)
{
    u_char  *p, *last;

    last = value->data + value->len;

    for (p = value->data; p < last; p++) {
        if (ngx_trove_utf8_control(p, last)) {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_trove_event_copy(ngx_trove_event_parser_t *parser, ngx_str_t *value,
    u_char *p, size_t len)
{
    /* data must not be NULL for an empty string */

    value->data = parser->alloc(parser->alloc_ctx, len ? len : 1);
    if (value->data == NULL) {
        parser->nomem = 1;
        return NGX_ERROR;
    }

    ngx_memcpy(value->data, p, len);
    value->len = len;

    return NGX_OK;
}


void
ngx_trove_event_check(ngx_trove_event_parser_t *parser)
{
    if (!parser->object) {
        ngx_trove_event_reject(parser, "not an object");
        return;
    }

    if (!(parser->seen & (1 << NGX_TROVE_EVENT_ID))) {
        ngx_trove_event_reject(parser, "no \"id\"");
    }

    if (!(parser->seen & (1 << NGX_TROVE_EVENT_TYPE))) {
        ngx_trove_event_reject(parser, "no \"type\"");
    }
}


/* only recorded here: invalid JSON, known at the end, takes precedence */

static void
ngx_trove_event_reject(ngx_trove_event_parser_t *parser, const char *reason)
{
    if (parser->bad_event == NULL) {
        parser->bad_event = reason;
    }
}
