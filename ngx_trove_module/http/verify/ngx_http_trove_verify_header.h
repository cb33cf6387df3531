
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_VERIFY_HEADER_H_INCLUDED_
#define _NGX_HTTP_TROVE_VERIFY_HEADER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_ctx.h"
#include "ngx_http_trove_verify_conf.h"
#include "ngx_trove_signature.h"


/* The check of X-Trove-Signature, private to the verify module. */


/*
 * Parses X-Trove-Signature of the request into *signature, and checks the
 * method and the timestamp.  The age is measured now, or at the time at which
 * the body was received, if it has been.
 *
 * NGX_HTTP_TROVE_VERDICT_NONE        valid so far
 * METHOD, MISSING, MALFORMED, STALE  the event is refused; logged
 */
ngx_http_trove_verdict_e ngx_http_trove_verify_header(ngx_http_request_t *r,
    ngx_http_trove_verify_loc_conf_t *vlcf, ngx_http_trove_ctx_t *ctx,
    ngx_trove_signature_t *signature);

/*
 * Checks the timestamp again, with the age at the time at which the body was
 * received.  header is the time of the first check, in seconds.
 *
 * NGX_HTTP_TROVE_VERDICT_NONE  still valid
 * STALE                        the event is refused; logged
 */
ngx_http_trove_verdict_e ngx_http_trove_verify_age(ngx_http_request_t *r,
    ngx_http_trove_verify_loc_conf_t *vlcf, ngx_http_trove_ctx_t *ctx,
    ngx_trove_signature_t *signature, time_t header);


#endif /* _NGX_HTTP_TROVE_VERIFY_HEADER_H_INCLUDED_ */
