
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <yajl/yajl_parse.h>

#include "ngx_trove_arena.h"
#include "ngx_trove_event.h"
#include "ngx_trove_utf8.h"


typedef enum {
    NGX_TROVE_EVENT_ID = 0,
    NGX_TROVE_EVENT_TYPE,
    NGX_TROVE_EVENT_API_VERSION,
    NGX_TROVE_EVENT_WORKSPACE_ID,
    NGX_TROVE_EVENT_NAMESPACE,
    NGX_TROVE_EVENT_CREATED_AT,
    NGX_TROVE_EVENT_DATA,
    NGX_TROVE_EVENT_OTHER
} ngx_trove_event_key_e;


typedef struct {
    ngx_str_t                  name;
    size_t                     offset;         /* in ngx_trove_event_t */
} ngx_trove_event_key_t;


typedef struct {
    u_char                    *data;
    size_t                     len;
    size_t                     size;
} ngx_trove_event_buf_t;


struct ngx_trove_event_parser_s {
    ngx_trove_event_t         *event;
    ngx_trove_event_names_t   *names;
    ngx_trove_event_alloc_pt   alloc;
    void                      *alloc_ctx;

    yajl_handle                yajl;
    ngx_trove_utf8_t           utf8;

    const char                *bad_json;       /* why it is not, if so */
    const char                *bad_event;

    unsigned                   nomem:1;
    unsigned                   object:1;       /* at depth 1 */
    unsigned                   in_data:1;      /* its members are at depth 2 */

    ngx_uint_t                 depth;
    ngx_uint_t                 key;            /* the last one at depth 1 */
    ngx_uint_t                 seen;           /* a bit for each of them */

    /*
     * The value that is wanted next.  It is taken as it is in the body, from
     * the end of its key to the next key or the end of the object, both at its
     * depth, or its own closing bracket: yajl tells where these are, and need
     * not decode or report what nobody wants.  If a feed ends before, what is
     * there goes to raw.
     */
    ngx_str_t                 *value;          /* NULL if none */
    ngx_uint_t                 value_depth;
    u_char                    *start;
    ngx_trove_event_buf_t      raw;

    /*
     * yajl reads a token that has no end yet from its start again with each
     * feed.  To keep that linear, a feed waits here until there is as much as
     * such a token could already have.
     */
    ngx_trove_event_buf_t      pending;
    size_t                     since;          /* bytes since a callback */

    u_char                    *feed;
    size_t                     mark;           /* in it, the last callback */

    ngx_trove_arena_t          arena;          /* of yajl; comes last */
};


static ngx_int_t ngx_trove_event_parse(ngx_trove_event_parser_t *parser,
    u_char *data, size_t len);
static ngx_int_t ngx_trove_event_flush(ngx_trove_event_parser_t *parser);
static void ngx_trove_event_check(ngx_trove_event_parser_t *parser);

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
static ngx_int_t ngx_trove_event_buf_add(ngx_trove_event_parser_t *parser,
    ngx_trove_event_buf_t *buf, u_char *p, size_t len);
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


static yajl_callbacks  ngx_trove_event_callbacks = {
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


/*
 * What was destroyed last.  With a large body NGINX makes the heap grow and
 * shrink, and each page that is new costs as much as a small event.
 */

static ngx_trove_event_parser_t  *ngx_trove_event_spare;


ngx_trove_event_parser_t *
ngx_trove_event_create(ngx_trove_event_t *event,
    ngx_trove_event_names_t *names, ngx_trove_event_alloc_pt alloc,
    void *alloc_ctx)
{
    size_t                     size;
    yajl_alloc_funcs           funcs;
    ngx_trove_event_parser_t  *parser;

    ngx_memzero(event, sizeof(ngx_trove_event_t));

    if (names->nnames) {
        size = names->nnames * sizeof(ngx_str_t);

        event->data = alloc(alloc_ctx, size);
        if (event->data == NULL) {
            return NULL;
        }

        ngx_memzero(event->data, size);
    }

    parser = ngx_trove_event_spare;
    ngx_trove_event_spare = NULL;

    if (parser == NULL) {
        parser = malloc(sizeof(ngx_trove_event_parser_t));
        if (parser == NULL) {
            return NULL;
        }
    }

    ngx_memzero(parser, offsetof(ngx_trove_event_parser_t, arena));

    parser->event = event;
    parser->names = names;
    parser->alloc = alloc;
    parser->alloc_ctx = alloc_ctx;
    parser->key = NGX_TROVE_EVENT_OTHER;

    ngx_trove_arena_init(&parser->arena);

    if (sigsetjmp(parser->arena.jump, 0) != 0) {
        free(parser);
        return NULL;
    }

    ngx_trove_arena_funcs(&parser->arena, &funcs);

    parser->yajl = yajl_alloc(&ngx_trove_event_callbacks, &funcs, parser);

    /* its own check of UTF-8 is lax, and covers the strings only */

    yajl_config(parser->yajl, yajl_dont_validate_strings, 1);

    return parser;
}


ngx_int_t
ngx_trove_event_feed(ngx_trove_event_parser_t *parser, u_char *data,
    size_t len)
{
    if (parser->nomem) {
        return NGX_ERROR;
    }

    if (parser->bad_json) {
        return NGX_DECLINED;
    }

    if (len == 0) {
        return NGX_OK;
    }

    if (ngx_trove_utf8_check(&parser->utf8, data, len) != NGX_OK) {
        parser->bad_json = "not UTF-8";
        return NGX_DECLINED;
    }

    /* white space to yajl, but not to JSON, which has no place for them */

    if (memchr(data, '\v', len) != NULL || memchr(data, '\f', len) != NULL) {
        parser->bad_json = "syntax error";
        return NGX_DECLINED;
    }

    if (parser->pending.len == 0 && len >= parser->since) {
        return ngx_trove_event_parse(parser, data, len);
    }

    if (ngx_trove_event_buf_add(parser, &parser->pending, data, len)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (parser->pending.len < parser->since) {
        return NGX_OK;
    }

    return ngx_trove_event_flush(parser);
}


static ngx_int_t
ngx_trove_event_flush(ngx_trove_event_parser_t *parser)
{
    size_t  len;

    len = parser->pending.len;
    parser->pending.len = 0;

    return ngx_trove_event_parse(parser, parser->pending.data, len);
}


/* without data it is told that there is no more */

static ngx_int_t
ngx_trove_event_parse(ngx_trove_event_parser_t *parser, u_char *data,
    size_t len)
{
    yajl_status  status;

    if (sigsetjmp(parser->arena.jump, 0) != 0) {
        parser->nomem = 1;
        return NGX_ERROR;
    }

    parser->feed = data;
    parser->start = data;
    parser->mark = 0;

    if (data) {
        status = yajl_parse(parser->yajl, data, len);

    } else {

        /*
         * After the end of the text, yajl takes a string that has no end for
         * blanks.  In a string, a line feed is an error.  After a bracket, as
         * nearly always, there is none.
         */

        status = parser->since
                 ? yajl_parse(parser->yajl, (u_char *) "\n", 1)
                 : yajl_status_ok;

        if (status == yajl_status_ok) {
            status = yajl_complete_parse(parser->yajl);
        }
    }

    if (parser->nomem) {
        return NGX_ERROR;
    }

    if (status != yajl_status_ok) {

        if (parser->bad_json == NULL) {
            parser->bad_json = data ? "syntax error" : "ends too early";
        }

        return NGX_DECLINED;
    }

    parser->since += len - parser->mark;

    if (parser->value) {
        return ngx_trove_event_buf_add(parser, &parser->raw, parser->start,
                                       data + len - parser->start);
    }

    return NGX_OK;
}


ngx_int_t
ngx_trove_event_finish(ngx_trove_event_parser_t *parser)
{
    ngx_int_t  rc;

    rc = NGX_OK;

    if (parser->nomem) {
        rc = NGX_ERROR;

    } else if (parser->bad_json) {
        rc = NGX_DECLINED;

    } else if (parser->utf8.rest) {
        parser->bad_json = "ends too early";
        rc = NGX_DECLINED;
    }

    if (rc == NGX_OK && parser->pending.len) {
        rc = ngx_trove_event_flush(parser);
    }

    if (rc == NGX_OK) {
        rc = ngx_trove_event_parse(parser, NULL, 0);
    }

    if (rc == NGX_OK) {
        ngx_trove_event_check(parser);

        if (parser->bad_event) {
            rc = NGX_ABORT;
        }
    }

    if (rc != NGX_OK) {
        ngx_memzero(parser->event, sizeof(ngx_trove_event_t));
    }

    return rc;
}


static void
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


const char *
ngx_trove_event_reason(ngx_trove_event_parser_t *parser)
{
    if (parser->bad_json) {
        return parser->bad_json;
    }

    return parser->bad_event ? parser->bad_event : "";
}


void
ngx_trove_event_destroy(ngx_trove_event_parser_t *parser)
{
    if (parser) {
        yajl_free(parser->yajl);
        free(parser->pending.data);
        free(parser->raw.data);

        free(ngx_trove_event_spare);
        ngx_trove_event_spare = parser;
    }
}


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

    /* yajl has no limit, and a byte of memory for each level */

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

    /* the object that the value is in */

    if (parser->value && parser->depth == parser->value_depth
        && ngx_trove_event_value(parser, end) != NGX_OK)
    {
        return 0;
    }

    parser->depth--;

    /* the value itself */

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


/* the end of the token that a callback is about */

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
        ngx_trove_event_reject(parser, "a key is given twice");
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
 * The value is between parser->start and end, and there may be something after
 * it; that it is well formed and where it is has been seen by yajl.
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

    /* broken, two different strings could have become the same */

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
    size_t  i;

    for (i = 0; i < value->len; i++) {
        if (value->data[i] < 0x20 || value->data[i] == 0x7f) {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_trove_event_copy(ngx_trove_event_parser_t *parser, ngx_str_t *value,
    u_char *p, size_t len)
{
    /* an empty string is a string: data is not NULL */

    value->data = parser->alloc(parser->alloc_ctx, len ? len : 1);
    if (value->data == NULL) {
        parser->nomem = 1;
        return NGX_ERROR;
    }

    ngx_memcpy(value->data, p, len);
    value->len = len;

    return NGX_OK;
}


static ngx_int_t
ngx_trove_event_buf_add(ngx_trove_event_parser_t *parser,
    ngx_trove_event_buf_t *buf, u_char *p, size_t len)
{
    u_char  *data;
    size_t   size;

    if (len == 0) {
        return NGX_OK;
    }

    if (len > buf->size - buf->len) {
        size = 2 * (buf->len + len);

        data = realloc(buf->data, size);
        if (data == NULL) {
            parser->nomem = 1;
            return NGX_ERROR;
        }

        buf->data = data;
        buf->size = size;
    }

    ngx_memcpy(buf->data + buf->len, p, len);
    buf->len += len;

    return NGX_OK;
}


/* noted only: whether it is JSON is known at the end, and goes first */

static void
ngx_trove_event_reject(ngx_trove_event_parser_t *parser, const char *reason)
{
    if (parser->bad_event == NULL) {
        parser->bad_event = reason;
    }
}
