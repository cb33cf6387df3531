
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_EVENT_PARSER_H_INCLUDED_
#define _NGX_TROVE_EVENT_PARSER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <yajl/yajl_parse.h>

#include "ngx_trove_arena.h"
#include "ngx_trove_event.h"
#include "ngx_trove_utf8.h"


/*
 * Definitions shared by the files of the event component.  Private to it.
 *
 *   ngx_trove_event.c        feeds pieces of the body to yajl: is it JSON?
 *   ngx_trove_event_token.c  handles the tokens of yajl: keeps the requested
 *                            values and checks that the event is acceptable
 *   ngx_trove_event_buf.c    buffers
 *
 * Functions called by a callback are in the same file as the callback.  A
 * callback is called for each key and each bracket of the body, and the
 * compiler does not inline functions of another file.
 */


/* keys of the envelope, in the order of ngx_trove_event_keys[] */
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


/* bytes of the body kept between feeds */
typedef struct {
    u_char                    *data;           /* from malloc(), or NULL */
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

    const char                *bad_json;       /* reason, or NULL if it is */
    const char                *bad_event;

    unsigned                   nomem:1;
    unsigned                   object:1;       /* at depth 1 */
    unsigned                   in_data:1;      /* its members are at depth 2 */

    ngx_uint_t                 depth;
    ngx_uint_t                 key;            /* the last one at depth 1 */
    ngx_uint_t                 seen;           /* a bit for each key */

    /*
     * The requested value to be parsed next.  It is copied unchanged from the
     * body, from the end of its key up to the next key or the end of the
     * object at its depth, or up to its own closing bracket.  yajl reports
     * these positions, and need not decode or report values that are not
     * requested.  If a feed ends before the value does, the part already seen
     * is saved in raw.
     */
    ngx_str_t                 *value;          /* NULL if none */
    ngx_uint_t                 value_depth;
    u_char                    *start;
    ngx_trove_event_buf_t      raw;

    /*
     * yajl rescans an incomplete token from its start with each feed.  To keep
     * the total time linear, data is held back here until there is as much of
     * it as the incomplete token may already have.
     */
    ngx_trove_event_buf_t      pending;
    size_t                     since;          /* bytes since a callback */

    u_char                    *feed;
    size_t                     mark;           /* offset of last callback */

    ngx_trove_arena_t          arena;          /* of yajl; must be last */
};


/* ngx_trove_event_buf.c */

/*
 * Appends len bytes at p to buf, which grows as needed.  len may be 0.  The
 * memory belongs to the parser and is freed by ngx_trove_event_destroy().
 *
 * NGX_OK
 * NGX_ERROR  out of memory: buf is not changed, parser->nomem is set
 */
ngx_int_t ngx_trove_event_buf_add(ngx_trove_event_parser_t *parser,
    ngx_trove_event_buf_t *buf, u_char *p, size_t len);


/* ngx_trove_event_token.c */

/*
 * Callbacks for yajl_alloc(), whose context must be the parser.  A callback
 * returns 0 to stop parsing, with the reason in parser->nomem or
 * parser->bad_json.  Values kept in *parser->event are allocated with
 * parser->alloc().
 */
extern const yajl_callbacks  ngx_trove_event_callbacks;

/*
 * Checks whether a complete body that is JSON is an acceptable event.  Sets
 * parser->bad_event to the reason if it is not, to NULL if it is.
 */
void ngx_trove_event_check(ngx_trove_event_parser_t *parser);


#endif /* _NGX_TROVE_EVENT_PARSER_H_INCLUDED_ */
