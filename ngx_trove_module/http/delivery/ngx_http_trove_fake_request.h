
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_FAKE_REQUEST_H_INCLUDED_
#define _NGX_HTTP_TROVE_FAKE_REQUEST_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_origin.h"


/*
 * A main request that was not sent by a client.  Each delivery has its own, and
 * is a subrequest of it.  It has no socket, and NGINX does not run its phases.
 *
 *   create --> count 1 --subrequests--> count n --release--> count n - 1
 *                                          |                     |
 *                                          |            each one has ended
 *                                          |                     |
 *                                          |                     v
 *                                          |                  count 0: freed
 *                                          |                     ^
 *                                          +-- terminated -------+
 *
 * NGINX frees it as it frees the request of a client: when nothing counts on it
 * any more.  Subrequests that a script has detached may outlive the delivery.
 */


/*
 * The owner of a fake request.  terminated(data) is called when NGINX closes
 * the connection, as for an error in any subrequest, or frees the request.  By
 * then the upstream connections of all subrequests are closed, so none of them
 * will end by itself.  freed(data) is called when its memory is being freed.
 */

typedef struct {
    ngx_http_cleanup_pt         terminated;
    ngx_http_cleanup_pt         freed;
    void                       *data;
} ngx_http_trove_fake_owner_t;


/*
 * Creates a request for an event, whose body is parsed if it has not been.  The
 * request looks as if it had been received in the location of the origin.  It
 * has its own headers, variables and body; the bytes of the body are shared.
 *
 * NULL  out of memory, or the body is not a valid event; logged
 */
ngx_http_request_t *ngx_http_trove_fake_request_create(
    ngx_http_trove_origin_t *origin, ngx_http_trove_fake_owner_t *owner);

/*
 * Releases a request, which is freed when the last of its subrequests ends.
 * It must be called while a subrequest is being finalized.
 */
void ngx_http_trove_fake_request_release(ngx_http_request_t *r);

/* Frees a request without subrequests, and calls the handlers of the owner. */
void ngx_http_trove_fake_request_free(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TROVE_FAKE_REQUEST_H_INCLUDED_ */
