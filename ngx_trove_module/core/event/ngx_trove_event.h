
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_EVENT_H_INCLUDED_
#define _NGX_TROVE_EVENT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The event component: a push parser for the body of a TroveFiles event, one
 * JSON object (RFC 8259) in UTF-8.  Independent of HTTP.
 *
 * An event is acceptable if the body is exactly one JSON text, an object, with
 * the strings "id" and "type" of 1 to 255 bytes after decoding and without
 * control characters (U+0000 to U+001F, U+007F to U+009F), with "namespace"
 * absent, null or a string, and without duplicate keys among those of the
 * envelope.  Nothing else is restricted.
 */

#define NGX_TROVE_EVENT_ID_MAX     255     /* bytes of "id" and of "type" */
#define NGX_TROVE_EVENT_DEPTH_MAX  128     /* nested objects and arrays */


/* members of "data" to keep: filled in once, when the configuration is read */
typedef struct {
    ngx_str_t        *names;               /* in lower case */
    ngx_uint_t        nnames;
} ngx_trove_event_names_t;


typedef struct {
    ngx_str_t         id;
    ngx_str_t         type;
    ngx_str_t         api_version;         /* empty from here on if */
    ngx_str_t         workspace_id;        /* absent or not a string */
    ngx_str_t         namespace;
    ngx_str_t         created_at;

    /*
     * Members of "data" in the order of the requested names: a string is
     * decoded, any other value is its JSON text, and data is NULL if the
     * member is absent.  Names are case-insensitive.  The last of several
     * equal members is used.
     */
    ngx_str_t        *data;
} ngx_trove_event_t;


typedef struct ngx_trove_event_parser_s  ngx_trove_event_parser_t;

/* returns size bytes aligned for a pointer, or NULL if out of memory */
typedef void *(*ngx_trove_event_alloc_pt)(void *ctx, size_t size);


/*
 * Creates a parser.  The strings of *event are allocated with alloc(alloc_ctx,
 * size) and belong to the caller; they are not null-terminated.  The rest is
 * freed by ngx_trove_event_destroy().  names and event must outlive the parser.
 *
 * NULL  out of memory
 */
ngx_trove_event_parser_t *ngx_trove_event_create(ngx_trove_event_t *event,
    ngx_trove_event_names_t *names, ngx_trove_event_alloc_pt alloc,
    void *alloc_ctx);

/*
 * Parses the next len bytes of the body.  The body may be split at any byte,
 * and len may be 0.
 *
 * NGX_OK        no error so far
 * NGX_DECLINED  not JSON: the rest of the body need not be fed
 * NGX_ERROR     out of memory
 */
ngx_int_t ngx_trove_event_feed(ngx_trove_event_parser_t *parser, u_char *data,
    size_t len);

/*
 * Ends the body.  Must be called once, also after a failed feed.
 *
 * NGX_OK        *event is complete
 * NGX_DECLINED  not JSON in UTF-8, or nested too deeply; *event is zeroed
 * NGX_ABORT     JSON, but not an acceptable event; *event is zeroed
 * NGX_ERROR     out of memory; *event is zeroed
 */
ngx_int_t ngx_trove_event_finish(ngx_trove_event_parser_t *parser);

/*
 * Returns the reason for the rejection as a short phrase for a log line: a
 * constant string without data from the body, "" if the event was not
 * rejected.
 */
const char *ngx_trove_event_reason(ngx_trove_event_parser_t *parser);

/*
 * Destroys the parser, but not *event.  NULL is allowed.  The memory is kept
 * for the next parser of the process, so parsers can be used in one thread
 * only.
 */
void ngx_trove_event_destroy(ngx_trove_event_parser_t *parser);


#endif /* _NGX_TROVE_EVENT_H_INCLUDED_ */
