
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_VERIFY_H_INCLUDED_
#define _NGX_HTTP_TROVE_VERIFY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* what other modules may know of verification in a location */

#define NGX_HTTP_TROVE_VERIFY_OFF  0
#define NGX_HTTP_TROVE_VERIFY_ON   1
#define NGX_HTTP_TROVE_VERIFY_LOG  2


typedef struct {
    ngx_uint_t   mode;               /* NGX_HTTP_TROVE_VERIFY_... */
    time_t       tolerance;          /* seconds, 0 = off */
    ngx_uint_t   nsecrets;           /* 0 in the mode off */
    unsigned     varies:1;           /* a secret holds variables */
} ngx_http_trove_verify_info_t;


/* The mode in the location that the request is in. */
ngx_uint_t ngx_http_trove_verify_mode(ngx_http_request_t *r);

/*
 * The same and more from the configuration of a location, which has been
 * merged: loc_conf is the array of all modules' location configurations.
 */
void ngx_http_trove_verify_info(void **loc_conf,
    ngx_http_trove_verify_info_t *info);


#endif /* _NGX_HTTP_TROVE_VERIFY_H_INCLUDED_ */
