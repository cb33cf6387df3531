
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SPOOL_POOL_H_INCLUDED_
#define _NGX_HTTP_TROVE_SPOOL_POOL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_thread_pool.h>


/*
 * The thread pools of the spool.  The pool "default" is shared with other
 * modules, and 32 slow calls of the API would occupy all of its threads, so
 * that no event could be written.
 */

typedef enum {
    NGX_HTTP_TROVE_POOL_WRITER = 0,
    NGX_HTTP_TROVE_POOL_MAINTENANCE,
    NGX_HTTP_TROVE_POOL_API,
    NGX_HTTP_TROVE_POOL_STREAM
} ngx_http_trove_pool_e;


/*
 * The number of threads for the API.  Each of them, that of the streams, and
 * that of maintenance have a connection for reading of their own.
 */
#define NGX_HTTP_TROVE_POOL_API_THREADS  2


/*
 * Adds the pools to the configuration.  Must be called once, and only if NGINX
 * has threads.
 *
 * NGX_OK
 * NGX_ERROR  logged; one reason is a directive "thread_pool" with such a name
 */
ngx_int_t ngx_http_trove_pool_add(ngx_conf_t *cf);

/* Returns a pool, or NULL if the configuration has none. */
ngx_thread_pool_t *ngx_http_trove_pool_get(ngx_cycle_t *cycle,
    ngx_http_trove_pool_e pool);


#endif /* _NGX_HTTP_TROVE_SPOOL_POOL_H_INCLUDED_ */
