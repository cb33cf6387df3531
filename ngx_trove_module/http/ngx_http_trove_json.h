
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_JSON_H_INCLUDED_
#define _NGX_HTTP_TROVE_JSON_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Text of JSON that is put together piece by piece, of any length.  After a
 * piece for which there was no memory the rest is thrown away, and
 * ngx_http_trove_json_send() fails.
 */

typedef struct {
    ngx_pool_t    *pool;
    ngx_chain_t   *first;
    ngx_chain_t   *last;
    unsigned       failed:1;
} ngx_http_trove_json_t;


void ngx_http_trove_json_init(ngx_http_trove_json_t *json, ngx_pool_t *pool);

/* Adds len bytes as they are. */
void ngx_http_trove_json_raw(ngx_http_trove_json_t *json, u_char *p,
    size_t len);

/* Adds what ngx_sprintf() makes of it, 512 bytes at most, no "%V" of others. */
void ngx_http_trove_json_printf(ngx_http_trove_json_t *json, const char *fmt,
    ...);

/* Adds a string in quotes, escaped; "null" where there is none. */
void ngx_http_trove_json_string(ngx_http_trove_json_t *json, ngx_str_t *value);

/* Adds such a string of any bytes, with U+FFFD for what is not UTF-8. */
void ngx_http_trove_json_text(ngx_http_trove_json_t *json, ngx_str_t *value);

/* Adds a time in milliseconds since the epoch, as a string of ISO 8601. */
void ngx_http_trove_json_time(ngx_http_trove_json_t *json, int64_t msec);

/*
 * Sends it as the answer to r, from a content handler or later.
 *
 * What the request is to be finalized with.
 */
ngx_int_t ngx_http_trove_json_send(ngx_http_trove_json_t *json,
    ngx_http_request_t *r, ngx_uint_t status);


#endif /* _NGX_HTTP_TROVE_JSON_H_INCLUDED_ */
