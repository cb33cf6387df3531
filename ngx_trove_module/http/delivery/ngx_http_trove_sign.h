
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SIGN_H_INCLUDED_
#define _NGX_HTTP_TROVE_SIGN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_trove_signature.h"


/*
 * Returns 1 if a location signs requests to a target, 0 otherwise.  loc_conf
 * is the array of the location's module configurations, which must have been
 * merged.
 */
ngx_uint_t ngx_http_trove_sign_enabled(void **loc_conf);

/*
 * Signs the body of a request with a key and a time of len bytes, a Unix time
 * in decimal form.  signature->data has space for NGX_TROVE_SIGNATURE_TEXT_MAX
 * bytes; signature->len is set.
 *
 * NGX_OK
 * NGX_ERROR  there is no memory, or the body cannot be read or hashed; the
 *            latter is logged
 */
ngx_int_t ngx_http_trove_sign_body(ngx_http_request_t *r, ngx_trove_key_t **key,
    u_char *text, size_t len, ngx_str_t *signature);


#endif /* _NGX_HTTP_TROVE_SIGN_H_INCLUDED_ */
