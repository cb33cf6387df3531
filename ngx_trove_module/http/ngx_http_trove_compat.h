
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_COMPAT_H_INCLUDED_
#define _NGX_HTTP_TROVE_COMPAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_thread_pool.h>


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


/*
 * With --with-compat on both sides, a module that was built without threads or
 * without the counters of stub_status loads into an NGINX with them, and the
 * reverse.  So it depends on the NGINX that runs, not on NGX_THREADS and
 * NGX_STAT_STUB, whether these exist: where they do not, their addresses are
 * NULL.
 */

#pragma weak ngx_thread_pool_add
#pragma weak ngx_thread_pool_get
#pragma weak ngx_thread_task_alloc
#pragma weak ngx_thread_task_post

#define ngx_http_trove_threads()  (ngx_thread_pool_add != NULL)

#pragma weak ngx_stat_reading
#pragma weak ngx_stat_requests

extern ngx_atomic_t  *ngx_stat_reading;
extern ngx_atomic_t  *ngx_stat_requests;


#endif /* _NGX_HTTP_TROVE_COMPAT_H_INCLUDED_ */
