
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_event.h"
#include "ngx_trove_event_parser.h"


static ngx_int_t ngx_trove_event_parse(ngx_trove_event_parser_t *parser,
    u_char *data, size_t len);
static ngx_int_t ngx_trove_event_flush(ngx_trove_event_parser_t *parser);


/*
 * The parser destroyed last.  With a large body NGINX makes the heap grow and
 * shrink, and each new page costs as much as a small event.
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

    /* yajl validates UTF-8 too loosely, and only in strings */

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

    /* yajl accepts these as white space, JSON does not allow them anywhere */

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


/* data is NULL at the end of the text */

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
         * After the end of the text, yajl ignores an unterminated string.  In
         * a string, a line feed is an error.  After a bracket, which is the
         * usual case, there is no such string.
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
