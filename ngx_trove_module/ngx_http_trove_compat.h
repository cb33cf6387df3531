
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_COMPAT_H_INCLUDED_
#define _NGX_HTTP_TROVE_COMPAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * All that differs between the versions of NGINX that the module builds
 * against, 1.22.1 and later, is here.
 */


/* since 1.23.0 headers of one name are linked */

#if (nginx_version >= 1023000)
#define ngx_http_trove_header_end(h)  (h)->next = NULL
#else
#define ngx_http_trove_header_end(h)
#endif


#endif /* _NGX_HTTP_TROVE_COMPAT_H_INCLUDED_ */
