
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_VERIFY_GUARD_H_INCLUDED_
#define _NGX_HTTP_TROVE_VERIFY_GUARD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_ctx.h"
#include "ngx_http_trove_verify_conf.h"


/* What is known of a request without its signature: its method, its origin. */


/*
 * Whether the client has sent a POST, whatever redirects have made of the
 * method since.  Of a subrequest: the client of its main request.
 */
ngx_uint_t ngx_http_trove_verify_post(ngx_http_request_t *r);

/* Logs that the client of r has not sent a POST. */
void ngx_http_trove_verify_log_method(ngx_http_request_t *r);

/*
 * Answers r, a main request in a phase handler, with 405 and "Allow: POST".
 *
 * What the phase handler is to return.
 */
ngx_int_t ngx_http_trove_verify_refuse_method(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx);

/*
 * Decides about a subrequest or a post_action in a location that verifies, or
 * logs: neither has a body of its own that could be verified.
 *
 * What the phase handler is to return.
 */
ngx_int_t ngx_http_trove_verify_inner(ngx_http_request_t *r,
    ngx_http_trove_verify_loc_conf_t *vlcf);


#endif /* _NGX_HTTP_TROVE_VERIFY_GUARD_H_INCLUDED_ */
