
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_STREAM_EVENT_H_INCLUDED_
#define _NGX_HTTP_TROVE_STREAM_EVENT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_spool_query.h"


/* An event as it is sent to readers, who share it.  Private to this folder. */

typedef struct ngx_http_trove_stream_event_s  ngx_http_trove_stream_event_t;

struct ngx_http_trove_stream_event_s {
    ngx_http_trove_stream_event_t   *next;

    /* changed in the event loop only */
    ngx_uint_t                       refs;

    /* number, type, namespace, workspace; the rest is not set */
    ngx_trove_spool_event_t          event;
    int64_t                          created;    /* nanoseconds */
    ngx_str_t                        text;       /* as it is sent */
    ngx_uint_t                       held;       /* by readers only; counted */
};


/*
 * Creates an event with one reference, which is freed by ..._free().  It may be
 * called in a thread.
 *
 * NGX_OK        *event is set
 * NGX_DECLINED  the body is no JSON object
 * NGX_ERROR     out of memory
 */
ngx_int_t ngx_http_trove_stream_event_create(ngx_trove_spool_event_t *from,
    ngx_http_trove_stream_event_t **event);

/*
 * Marks an event that is not in the ring, or no longer, but which readers have
 * references to.  ..._held() returns the size of the texts of all such events.
 * In the event loop only.
 */
void ngx_http_trove_stream_event_hold(ngx_http_trove_stream_event_t *event);
size_t ngx_http_trove_stream_event_held(void);

/* Drop a reference to an event, or to each of a list; NULL is an empty one. */
void ngx_http_trove_stream_event_free(ngx_http_trove_stream_event_t *event);
void ngx_http_trove_stream_event_free_list(
    ngx_http_trove_stream_event_t *event);


#endif /* _NGX_HTTP_TROVE_STREAM_EVENT_H_INCLUDED_ */
