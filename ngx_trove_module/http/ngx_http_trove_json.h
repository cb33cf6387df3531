
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_JSON_H_INCLUDED_
#define _NGX_HTTP_TROVE_JSON_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * A JSON text of any length, built in pieces.  If memory for a piece cannot be
 * allocated, the rest is discarded, and ngx_http_trove_json_send() fails.
 */

typedef struct {
    ngx_pool_t    *pool;
    ngx_chain_t   *first;
    ngx_chain_t   *last;
    unsigned       failed:1;
} ngx_http_trove_json_t;


void ngx_http_trove_json_init(ngx_http_trove_json_t *json, ngx_pool_t *pool);

/* Adds len bytes unchanged. */
void ngx_http_trove_json_raw(ngx_http_trove_json_t *json, u_char *p,
    size_t len);

/* Formats at most 512 bytes; "%V" is not safe for strings of any length. */
void ngx_http_trove_json_printf(ngx_http_trove_json_t *json, const char *fmt,
    ...);

/* Adds a string, quoted and escaped; "null" if its data is NULL. */
void ngx_http_trove_json_string(ngx_http_trove_json_t *json, ngx_str_t *value);

/* The same for any bytes: U+FFFD replaces those that are not UTF-8. */
void ngx_http_trove_json_text(ngx_http_trove_json_t *json, ngx_str_t *value);

/* Adds a time, in milliseconds since the epoch, as an ISO 8601 string. */
void ngx_http_trove_json_time(ngx_http_trove_json_t *json, int64_t msec);

/*
 * Copies the text into one piece of memory from the pool.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_json_flatten(ngx_http_trove_json_t *json,
    ngx_str_t *text);

/*
 * Sends the text as the response to r, from a content handler or later.
 * Returns the code that the request is to be finalized with.
 */
ngx_int_t ngx_http_trove_json_send(ngx_http_trove_json_t *json,
    ngx_http_request_t *r, ngx_uint_t status);


#endif /* _NGX_HTTP_TROVE_JSON_H_INCLUDED_ */
