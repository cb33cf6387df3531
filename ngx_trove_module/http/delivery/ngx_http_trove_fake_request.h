
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
 * A main request that no client has sent, for deliveries of an event out of the
 * spool: without a socket, and never seen by the phases of NGINX itself.
 */


/*
 * Makes one for an event, which is parsed from event->body, as if it had come
 * to the location whose configurations are loc_conf.  The event must live as
 * long as the request.
 *
 * NULL  out of memory, or the body is no event; logged
 */
ngx_http_request_t *ngx_http_trove_fake_request_create(
    ngx_http_core_srv_conf_t *cscf, void **loc_conf,
    ngx_trove_spool_event_t *event, ngx_log_t *log);

/*
 * Has a handler called when NGINX would close the connection of the client,
 * because of a subrequest that a target has made: upstream connections of all
 * subrequests are closed by then, and none of them will end by itself.  It is
 * called as well when the request is freed.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_fake_request_cleanup(ngx_http_request_t *r,
    ngx_http_cleanup_pt handler, void *data);

/*
 * Frees it, with its pool, when the current event has been handled: it may be
 * called from within the request.  All its subrequests have ended.
 */
void ngx_http_trove_fake_request_free(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TROVE_FAKE_REQUEST_H_INCLUDED_ */
