
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_EVENT_H_INCLUDED_
#define _NGX_TROVE_EVENT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The event room: a push parser for the body of a TroveFiles event, one JSON
 * object (RFC 8259) in UTF-8.  Knows nothing of HTTP.
 *
 * An event is acceptable when the body is exactly one JSON text, an object,
 * with the strings "id" and "type" of 1 to 255 bytes after decoding and without
 * control characters (U+0000 to U+001F, U+007F to U+009F), with "namespace"
 * absent, null or a string, and with none of the envelope's keys given twice.
 * Everything else about it is free.
 */

#define NGX_TROVE_EVENT_ID_MAX     255     /* bytes of "id" and of "type" */
#define NGX_TROVE_EVENT_DEPTH_MAX  128     /* nested objects and arrays */


/* what to keep of "data": made once, when the configuration is read */
typedef struct {
    ngx_str_t        *names;               /* in lower case */
    ngx_uint_t        nnames;
} ngx_trove_event_names_t;


typedef struct {
    ngx_str_t         id;
    ngx_str_t         type;
    ngx_str_t         api_version;         /* the rest may be empty: */
    ngx_str_t         workspace_id;        /* absent or not a string */
    ngx_str_t         namespace;
    ngx_str_t         created_at;

    /*
     * The members of "data" in the order of the names that were asked for:
     * a string decoded, anything else as its JSON text; data == NULL where
     * there is no such member.  Names match without case, the last of equal
     * members counts.
     */
    ngx_str_t        *data;
} ngx_trove_event_t;


typedef struct ngx_trove_event_parser_s  ngx_trove_event_parser_t;

/* returns size bytes, aligned for a pointer, or NULL if out of memory */
typedef void *(*ngx_trove_event_alloc_pt)(void *ctx, size_t size);


/*
 * Starts a parser.  What ends up in *event is taken from alloc(alloc_ctx, ...)
 * and belongs to the caller; the rest is freed by ngx_trove_event_destroy().
 * names and event must outlive the parser.  Strings in *event are followed by
 * no NUL.
 *
 * NULL  out of memory
 */
ngx_trove_event_parser_t *ngx_trove_event_create(ngx_trove_event_t *event,
    ngx_trove_event_names_t *names, ngx_trove_event_alloc_pt alloc,
    void *alloc_ctx);

/*
 * Feeds the next len bytes of the body; any split will do, also len == 0.
 *
 * NGX_OK        so far so good
 * NGX_DECLINED  this is not JSON: the rest need not be fed
 * NGX_ERROR     out of memory
 */
ngx_int_t ngx_trove_event_feed(ngx_trove_event_parser_t *parser, u_char *data,
    size_t len);

/*
 * Ends the body.  To be called once, also after a feed that did not succeed.
 *
 * NGX_OK        *event is complete
 * NGX_DECLINED  not JSON in UTF-8, or nested too deeply; *event is zeroed
 * NGX_ABORT     JSON, but not an acceptable event; *event is zeroed
 * NGX_ERROR     out of memory; *event is zeroed
 */
ngx_int_t ngx_trove_event_finish(ngx_trove_event_parser_t *parser);

/*
 * Says in a few words, for a log line, why a parser refused: a constant string
 * that quotes nothing of the body.  "" if it did not.
 */
const char *ngx_trove_event_reason(ngx_trove_event_parser_t *parser);

/*
 * Frees the parser, not *event; NULL is allowed.  The memory is kept for the
 * next one: parsers are for one thread.
 */
void ngx_trove_event_destroy(ngx_trove_event_parser_t *parser);


#endif /* _NGX_TROVE_EVENT_H_INCLUDED_ */
