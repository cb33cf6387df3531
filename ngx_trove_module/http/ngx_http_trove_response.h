
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_RESPONSE_H_INCLUDED_
#define _NGX_HTTP_TROVE_RESPONSE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Responds to r, from a phase handler, with a status and a JSON body, which
 * must exist as long as the request.  retry_after is in seconds; 0 adds no
 * header.  If an error_page is configured for the status, that is used instead.
 * Returns the code that the phase handler must return.
 */
ngx_int_t ngx_http_trove_response(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *json, time_t retry_after);

/*
 * The same for a content handler that delivers or stores the event.  An
 * error_page that could change the status to 2xx is not used: NGINX sends its
 * own page.  Returns the code that the request is to be finalized with.
 */
ngx_int_t ngx_http_trove_response_content(ngx_http_request_t *r,
    ngx_uint_t status, ngx_str_t *json, time_t retry_after);

/*
 * Prevents such an error_page for an error status that a content handler
 * returns to NGINX.  Returns the status.
 */
ngx_int_t ngx_http_trove_response_failure(ngx_http_request_t *r,
    ngx_int_t status);

/*
 * Sets *json to "{<before>"<value>"<after>}", allocated from the pool of r,
 * with the value escaped for JSON.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_response_json(ngx_http_request_t *r, ngx_str_t *json,
    const char *before, ngx_str_t *value, const char *after);


#endif /* _NGX_HTTP_TROVE_RESPONSE_H_INCLUDED_ */
