
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
 * 1.22.1 and later, and those of Angie.
 */


/* since 1.23.0, headers with the same name are linked */

#if (nginx_version >= 1023000)
#define ngx_http_trove_header_end(h)  (h)->next = NULL
#else
#define ngx_http_trove_header_end(h)
#endif


/*
 * In Angie, a location may have several names.  Trees, lists and queues of
 * locations hold the names, which have their configuration in common.
 */

#if (defined(angie_version) && angie_version >= 1003000)

typedef ngx_http_core_loc_t  ngx_http_trove_location_t;

#define ngx_http_trove_location_conf(loc)  ((loc) ? (loc)->conf : NULL)

#else

typedef ngx_http_core_loc_conf_t  ngx_http_trove_location_t;

#define ngx_http_trove_location_conf(loc)  (loc)

#endif


/* since 1.12.0, Angie writes log messages in several formats, such as JSON */

#if (defined(angie_version) && angie_version >= 1012000)

#define ngx_http_trove_log_action(log, p, last)                               \
    ngx_log_action(log, p, last, (log)->action)

#define ngx_http_trove_log_request(log, ctx, p, last)                         \
    ngx_log_object(log, p, last, ngx_http_log_prop(REQUEST),                  \
                   (ctx)->request->log_handler, ctx)

#else

#define ngx_http_trove_log_action(log, p, last)                               \
    ngx_slprintf(p, last, " while %s", (log)->action)

#define ngx_http_trove_log_request(log, ctx, p, last)                         \
    (ctx)->request->log_handler((ctx)->request, (ctx)->current_request, p,    \
                                (last) - (p))

#endif


/* since 1.12.0, the connections of a resolver are linked in Angie */

#if (defined(angie_version) && angie_version >= 1012000)
#define ngx_http_trove_resolves(resolver)  ((resolver)->connections != NULL)
#else
#define ngx_http_trove_resolves(resolver)  ((resolver)->connections.nelts != 0)
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
