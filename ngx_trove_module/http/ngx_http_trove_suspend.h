
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SUSPEND_H_INCLUDED_
#define _NGX_HTTP_TROVE_SUSPEND_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * A main request whose content handler waits for something other than an event
 * of its connection, such as a thread.
 */

typedef struct ngx_http_trove_suspend_s  ngx_http_trove_suspend_t;

/* Completes the request and returns the code to finalize it with. */
typedef ngx_int_t (*ngx_http_trove_suspend_pt)(ngx_http_request_t *r,
    void *data);


/*
 * Prepares a request to be suspended.  The handler is called with data when
 * the request is resumed.  The structure is allocated from the pool of r.
 *
 * NULL  out of memory
 */
ngx_http_trove_suspend_t *ngx_http_trove_suspend_create(ngx_http_request_t *r,
    ngx_http_trove_suspend_pt handler, void *data);

/*
 * Suspends the request.  The request and its pool exist at least until it is
 * resumed, even if the client closes its connection.  The content handler has
 * to return NGX_DONE.  ngx_http_trove_resume() must be called exactly once.
 */
void ngx_http_trove_suspend(ngx_http_trove_suspend_t *suspend);

/*
 * Resumes the request.  It must be called from an event that does not belong
 * to the connection of the request.  The request may have been freed when it
 * returns.
 */
void ngx_http_trove_resume(ngx_http_trove_suspend_t *suspend);


#endif /* _NGX_HTTP_TROVE_SUSPEND_H_INCLUDED_ */
