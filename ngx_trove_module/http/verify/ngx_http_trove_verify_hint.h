
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_VERIFY_HINT_H_INCLUDED_
#define _NGX_HTTP_TROVE_VERIFY_HINT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_ctx.h"
#include "ngx_http_trove_secret.h"
#include "ngx_trove_signature.h"


/*
 * Log lines about a body that was refused, with what helps to find out why.
 * Private to the verify module.
 */


/*
 * The body of r, which has been read, has none of the signatures by any of the
 * keys, which are those of secrets for this request.  A body of up to 16 KB is
 * tried again in ways that are usual mistakes: for the log only.
 */
void ngx_http_trove_verify_log_mismatch(ngx_http_request_t *r,
    ngx_http_trove_secrets_t *secrets, ngx_http_trove_keys_t *keys,
    ngx_trove_signature_t *signature);

/* The body of r is well signed, but no event; reason says why. */
void ngx_http_trove_verify_log_no_event(ngx_http_request_t *r,
    ngx_http_trove_verdict_e verdict, const char *reason);


#endif /* _NGX_HTTP_TROVE_VERIFY_HINT_H_INCLUDED_ */
