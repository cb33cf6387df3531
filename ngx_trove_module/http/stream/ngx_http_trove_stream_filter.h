
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_STREAM_FILTER_H_INCLUDED_
#define _NGX_HTTP_TROVE_STREAM_FILTER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_spool_query.h"


/*
 * Copies workspace, types and namespaces of a filter, with all strings, which
 * are allocated from the pool; the rest is not set.  Private to this folder.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_stream_filter(ngx_pool_t *pool,
    ngx_trove_spool_filter_t *to, ngx_trove_spool_filter_t *from);


#endif /* _NGX_HTTP_TROVE_STREAM_FILTER_H_INCLUDED_ */
