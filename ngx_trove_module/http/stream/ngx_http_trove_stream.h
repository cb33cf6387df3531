
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_STREAM_H_INCLUDED_
#define _NGX_HTTP_TROVE_STREAM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_trove_spool_query.h"


/*
 * A response that does not end: the events of the spool as they are accepted,
 * as text/event-stream.
 *
 *   data: {"type":"connected"}
 *
 *   id: NUMBER
 *   data: BODY, on one line
 *
 * All events accepted after "connected" has been sent are sent, in the order of
 * acceptance, each once.  See ngx_http_trove_follow.h.
 */


typedef struct {
    /* what is sent: workspace, types and namespaces; the rest is not set */
    ngx_trove_spool_filter_t    filter;

    /* the number of the last event that the client has; -1: none */
    int64_t                     after;

    /* without after, if has_since is 1: events created later, nanoseconds */
    int64_t                     since;
    ngx_uint_t                  has_since;

    /*
     * Sends an error in place of the stream.  It returns the code to finalize
     * the request with.
     */
    ngx_int_t                 (*error)(ngx_http_request_t *r,
                                  ngx_uint_t status, const char *detail);
} ngx_http_trove_stream_args_t;


/*
 * Sends the stream in response to r, from a content handler; the body of the
 * request has been discarded.  The arguments are copied.
 *
 * NGX_DONE      the content handler must return it
 * NGX_BUSY      this worker has too many streams
 * NGX_DECLINED  there is no spool
 * NGX_ERROR     out of memory
 */
ngx_int_t ngx_http_trove_stream_start(ngx_http_request_t *r,
    ngx_http_trove_stream_args_t *args);


#endif /* _NGX_HTTP_TROVE_STREAM_H_INCLUDED_ */
