
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SUSPEND_H_INCLUDED_
#define _NGX_HTTP_TROVE_SUSPEND_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * A main request whose content handler waits for something that is no event of
 * its connection, such as a thread.
 */

typedef struct ngx_http_trove_suspend_s  ngx_http_trove_suspend_t;

/* Completes the request: returns the code that it is finalized with. */
typedef ngx_int_t (*ngx_http_trove_suspend_pt)(ngx_http_request_t *r,
    void *data);


/*
 * Prepares a request to be suspended, with what is called when it is resumed.
 * It is in the pool of r.
 *
 * NULL  out of memory
 */
ngx_http_trove_suspend_t *ngx_http_trove_suspend_create(ngx_http_request_t *r,
    ngx_http_trove_suspend_pt handler, void *data);

/*
 * Suspends the request: it and its pool exist at least until it is resumed,
 * even if the client closes its connection.  The content handler is to return
 * NGX_DONE, and resume must be called, once.
 */
void ngx_http_trove_suspend(ngx_http_trove_suspend_t *suspend);

/*
 * Resumes the request, from an event that is not one of its connection.
 * Afterwards the request may not exist any more.
 */
void ngx_http_trove_resume(ngx_http_trove_suspend_t *suspend);


#endif /* _NGX_HTTP_TROVE_SUSPEND_H_INCLUDED_ */
