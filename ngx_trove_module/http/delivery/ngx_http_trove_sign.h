
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SIGN_H_INCLUDED_
#define _NGX_HTTP_TROVE_SIGN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Whether a location, by the array of its modules' configurations, which has
 * been merged, signs what goes to a target.
 */
ngx_uint_t ngx_http_trove_sign_enabled(void **loc_conf);


#endif /* _NGX_HTTP_TROVE_SIGN_H_INCLUDED_ */
