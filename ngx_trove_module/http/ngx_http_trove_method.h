
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_METHOD_H_INCLUDED_
#define _NGX_HTTP_TROVE_METHOD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_ctx.h"


/*
 * Whether the client has sent a POST, whatever redirects have made of the
 * method since.  Of a subrequest: the client of its main request.
 */
ngx_uint_t ngx_http_trove_method_is_post(ngx_http_request_t *r);

/* Logs that the client of r has not sent a POST. */
void ngx_http_trove_method_log(ngx_http_request_t *r);

/*
 * Answers r, a main request in a phase handler, with 405 and "Allow: POST".
 *
 * Returns what the phase handler is to return.
 */
ngx_int_t ngx_http_trove_method_refuse(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx);


#endif /* _NGX_HTTP_TROVE_METHOD_H_INCLUDED_ */
