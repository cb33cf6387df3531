
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
 * Whether the client sent a POST request, even if a redirect has changed the
 * method since.  For a subrequest, the client of the main request.
 */
ngx_uint_t ngx_http_trove_method_is_post(ngx_http_request_t *r);

/* Logs that the client of r did not send a POST request. */
void ngx_http_trove_method_log(ngx_http_request_t *r);

/*
 * Responds to the main request r, in a phase handler, with the status 405 and
 * an Allow header.  Returns the code that the phase handler must return.
 */
ngx_int_t ngx_http_trove_method_refuse(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx);


#endif /* _NGX_HTTP_TROVE_METHOD_H_INCLUDED_ */
