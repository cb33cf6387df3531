
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SIGN_H_INCLUDED_
#define _NGX_HTTP_TROVE_SIGN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Returns 1 if a location signs requests to a target, 0 otherwise.  loc_conf
 * is the array of the location's module configurations, which must have been
 * merged.
 */
ngx_uint_t ngx_http_trove_sign_enabled(void **loc_conf);


#endif /* _NGX_HTTP_TROVE_SIGN_H_INCLUDED_ */
