
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_VERIFY_LOG_H_INCLUDED_
#define _NGX_HTTP_TROVE_VERIFY_LOG_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_ctx.h"
#include "ngx_http_trove_secret.h"
#include "ngx_trove_signature.h"


/*
 * Log lines about a body that was refused, with hints at the cause.  Private to
 * the verify module.
 */


/*
 * Logs that the body of r, which has been read, matches no signature by any of
 * the keys, which are those of secrets for this request.  For bodies of up to
 * 16 KB, usual mistakes are tried, to be named in the log.
 */
void ngx_http_trove_verify_log_mismatch(ngx_http_request_t *r,
    ngx_http_trove_secrets_t *secrets, ngx_http_trove_keys_t *keys,
    ngx_trove_signature_t *signature);

/* Logs that the signature of r is valid, but the body is not an event. */
void ngx_http_trove_verify_log_no_event(ngx_http_request_t *r,
    ngx_http_trove_verdict_e verdict, const char *reason);


#endif /* _NGX_HTTP_TROVE_VERIFY_LOG_H_INCLUDED_ */
