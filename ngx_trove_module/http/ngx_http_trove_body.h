
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_BODY_H_INCLUDED_
#define _NGX_HTTP_TROVE_BODY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_ctx.h"


/* receives the next len bytes of a body; a code other than NGX_OK ends it */
typedef ngx_int_t (*ngx_http_trove_body_pt)(void *data, u_char *p, size_t len);


/*
 * Reads the body of the main request r.  To be called by a phase handler, which
 * is called again when the body has been read.
 *
 * NGX_OK    the body has been read, and is kept until the request ends
 * NGX_DONE  the body is being read; the handler must return this
 * >= 300    the body cannot be read; the handler must return this
 */
ngx_int_t ngx_http_trove_body_read(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx);

/*
 * Records the time at which the body of r was received, unless it is recorded
 * already or r has no context.  To be called with the last buffer, or later.
 */
void ngx_http_trove_body_received(ngx_http_request_t *r);

/*
 * Passes the body of r, which has been read, to handler(data, ...) in pieces,
 * from memory or from its temporary file.
 *
 * NGX_OK
 * NGX_ERROR  the file cannot be read; logged
 * otherwise  the code that the handler returned
 */
ngx_int_t ngx_http_trove_body_walk(ngx_http_request_t *r,
    ngx_http_trove_body_pt handler, void *data);

/* Returns the length in bytes of the body of r, which has been read. */
off_t ngx_http_trove_body_length(ngx_http_request_t *r);

/*
 * Copies the body of r, which has been read, to p, which must have room for all
 * of it.  Returns the end of the copy.
 *
 * NULL  the temporary file cannot be read; logged
 */
u_char *ngx_http_trove_body_copy(ngx_http_request_t *r, u_char *p);

/*
 * Parses the body of r, which has been read, into ctx->event.  The body is
 * parsed once; later calls return the same result.
 *
 * NGX_OK        the body is an event
 * NGX_DECLINED  it is not JSON; ctx->reason is set
 * NGX_ABORT     it is JSON, but not an event; ctx->reason is set
 * NGX_ERROR     out of memory, or the temporary file cannot be read; logged
 */
ngx_int_t ngx_http_trove_body_parse(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx);


#endif /* _NGX_HTTP_TROVE_BODY_H_INCLUDED_ */
