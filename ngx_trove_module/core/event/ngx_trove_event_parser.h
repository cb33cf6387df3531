
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
 * What the files of the event room share.  Private to it.
 *
 *   ngx_trove_event.c        bytes, in any pieces, to yajl: whether it is JSON
 *   ngx_trove_event_token.c  what yajl reports: the values that are wanted, and
 *                            whether it is an acceptable event
 *   ngx_trove_event_buf.c    bytes that are kept
 *
 * What a callback calls is in its own file: there is one for each key and each
 * bracket of the body, and the compiler inlines nothing from another file.
 */


/* of the envelope, as ngx_trove_event_keys[] has them */
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


/* bytes of the body, kept from one feed to the next */
typedef struct {
    u_char                    *data;           /* of malloc(); NULL if none */
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


/* ngx_trove_event_buf.c */

/*
 * Appends len bytes at p to buf, which grows; len == 0 is allowed.  The memory
 * belongs to the parser: it is freed by ngx_trove_event_destroy().
 *
 * NGX_OK
 * NGX_ERROR  out of memory: buf is as it was, parser->nomem is set
 */
ngx_int_t ngx_trove_event_buf_add(ngx_trove_event_parser_t *parser,
    ngx_trove_event_buf_t *buf, u_char *p, size_t len);


/* ngx_trove_event_token.c */

/*
 * For yajl_alloc(), whose context has to be the parser.  They return 0 where
 * the parser is to stop, and parser->nomem or parser->bad_json says why.  What
 * they keep in *parser->event is taken from parser->alloc().
 */
extern const yajl_callbacks  ngx_trove_event_callbacks;

/*
 * Looks, when the body has ended and is JSON, whether it is an acceptable
 * event.  If not, parser->bad_event says why, and else it is NULL.
 */
void ngx_trove_event_check(ngx_trove_event_parser_t *parser);


#endif /* _NGX_TROVE_EVENT_PARSER_H_INCLUDED_ */
