
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_FAKE_REQUEST_H_INCLUDED_
#define _NGX_HTTP_TROVE_FAKE_REQUEST_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_ctx.h"
#include "ngx_trove_spool.h"


/*
 * A main request that was not sent by a client.  It is used to deliver an
 * event from the spool.  It has no socket, and NGINX does not run its phases.
 */


/*
 * Creates a request for an event and parses event->body.  The request looks as
 * if it had been received in the location that has the configurations
 * loc_conf.  The caller owns the event, which must live as long as the
 * request.  The request has to be freed by ngx_http_trove_fake_request_free().
 *
 * NULL  out of memory, or the body is not a valid event; logged
 */
ngx_http_request_t *ngx_http_trove_fake_request_create(
    ngx_http_core_srv_conf_t *cscf, void **loc_conf,
    ngx_trove_spool_event_t *event, ngx_log_t *log);

/*
 * Sets the handler to call when NGINX is about to close the connection of the
 * client because of a subrequest created by a target.  By then the upstream
 * connections of all subrequests are closed, so none of the subrequests will
 * end by itself.  The handler is also called when the request is freed.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_fake_request_cleanup(ngx_http_request_t *r,
    ngx_http_cleanup_pt handler, void *data);

/*
 * Frees a request and its pool after the current event has been handled.  It
 * may be called from within the request.  All subrequests must have ended.
 */
void ngx_http_trove_fake_request_free(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TROVE_FAKE_REQUEST_H_INCLUDED_ */
