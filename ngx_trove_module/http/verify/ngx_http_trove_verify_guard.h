
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_VERIFY_GUARD_H_INCLUDED_
#define _NGX_HTTP_TROVE_VERIFY_GUARD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_verify_conf.h"


/*
 * Allows or refuses a subrequest or a post_action in a location that verifies,
 * or logs: neither has a body of its own that could be verified.  Returns the
 * code that the phase handler must return.
 */
ngx_int_t ngx_http_trove_verify_inner(ngx_http_request_t *r,
    ngx_http_trove_verify_loc_conf_t *vlcf);


#endif /* _NGX_HTTP_TROVE_VERIFY_GUARD_H_INCLUDED_ */
