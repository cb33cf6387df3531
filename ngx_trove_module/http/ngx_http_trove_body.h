
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_BODY_H_INCLUDED_
#define _NGX_HTTP_TROVE_BODY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_ctx.h"


/* gets the next len bytes of a body; anything but NGX_OK ends the walk */
typedef ngx_int_t (*ngx_http_trove_body_pt)(void *data, u_char *p, size_t len);


/*
 * Reads the body of the main request r.  To be called by a phase handler, which
 * is called again when the body is there.
 *
 * NGX_OK    it is there, and is kept for whoever comes later
 * NGX_DONE  the reader owns the request: the handler returns this
 * >= 300    the body could not be read: the handler returns this
 */
ngx_int_t ngx_http_trove_body_read(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx);

/*
 * To be called for the last buffer of the body of r, or later: notes the time
 * in the context of r, if there is one, and if no earlier time is noted.
 */
void ngx_http_trove_body_received(ngx_http_request_t *r);

/*
 * Hands the body of r, which has been read, to handler(data, ...), piece by
 * piece, from memory or from its temporary file.
 *
 * NGX_OK, what the handler returned, or NGX_ERROR (logged) if the file cannot
 * be read
 */
ngx_int_t ngx_http_trove_body_walk(ngx_http_request_t *r,
    ngx_http_trove_body_pt handler, void *data);

/* The bytes of the body of r, which has been read. */
off_t ngx_http_trove_body_length(ngx_http_request_t *r);

/*
 * Copies the body of r, which has been read, to p, which has room for so many
 * bytes.  The end of what was written, or NULL (logged) if the file cannot be
 * read.
 */
u_char *ngx_http_trove_body_copy(ngx_http_request_t *r, u_char *p);

/*
 * Parses the body of r, which has been read, as an event into ctx->event; only
 * once, later calls return the same.
 *
 * NGX_OK        an event
 * NGX_DECLINED  not JSON; why is in ctx->reason
 * NGX_ABORT     JSON, but not an event; the same
 * NGX_ERROR     out of memory, or the body's file cannot be read; logged
 */
ngx_int_t ngx_http_trove_body_parse(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx);


#endif /* _NGX_HTTP_TROVE_BODY_H_INCLUDED_ */
