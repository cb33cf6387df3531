
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
 * The differences between the versions of NGINX that the module supports,
 * 1.22.1 and later.
 */


/* since 1.23.0, headers with the same name are linked */

#if (nginx_version >= 1023000)
#define ngx_http_trove_header_end(h)  (h)->next = NULL
#else
#define ngx_http_trove_header_end(h)
#endif


/*
 * If both were built --with-compat, a module that was built without threads or
 * without the counters of stub_status can be loaded into an NGINX that has
 * them, and the reverse.  Whether these symbols exist is therefore known at run
 * time only, and not by NGX_THREADS and NGX_STAT_STUB: the address of a symbol
 * that does not exist is NULL.
 */

#pragma weak ngx_thread_pool_add
#pragma weak ngx_thread_pool_get
#pragma weak ngx_thread_task_alloc
#pragma weak ngx_thread_task_post
#pragma weak ngx_thread_pool_module

extern ngx_module_t  ngx_thread_pool_module;

#define ngx_http_trove_threads()  (ngx_thread_pool_add != NULL)

#pragma weak ngx_stat_active
#pragma weak ngx_stat_reading
#pragma weak ngx_stat_requests

extern ngx_atomic_t  *ngx_stat_active;
extern ngx_atomic_t  *ngx_stat_reading;
extern ngx_atomic_t  *ngx_stat_requests;


#endif /* _NGX_HTTP_TROVE_COMPAT_H_INCLUDED_ */
