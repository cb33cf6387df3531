
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_FAKE_CONNECTION_H_INCLUDED_
#define _NGX_HTTP_TROVE_FAKE_CONNECTION_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Everything that NGINX requires of the connection of a client.  It has no
 * socket and is not one of the worker's connections.  Nothing is ever received,
 * and everything sent is discarded.
 *
 *   create --> in use by a request --close--> NGINX closes it --event--> freed
 */

typedef struct {
    ngx_connection_t         connection;       /* must be the first */

    /* private */
    ngx_event_t              read;
    ngx_event_t              write;
    ngx_event_t              end;              /* frees the structure */
    ngx_log_t                log;
    ngx_http_log_ctx_t       log_ctx;
    ngx_http_connection_t    http;
    struct sockaddr          sockaddr;
} ngx_http_trove_fake_connection_t;


/*
 * Creates a connection for ngx_http_create_request() in the server cscf.  Its
 * pool has to be set by the caller, and is destroyed by NGINX.  It has the
 * addresses of the connection of client, which must live as long, or those of a
 * unix domain socket if client is NULL.
 *
 * NULL  out of memory
 */
ngx_http_trove_fake_connection_t *ngx_http_trove_fake_connection_create(
    ngx_http_core_srv_conf_t *cscf, ngx_http_request_t *client);

/*
 * Prepares a connection for ngx_http_close_connection(), which must be called
 * next.  That function does nothing for a descriptor of -1 but log it, and
 * destroys the pool of the connection.  counted is 1 if it also decrements the
 * number of active connections.  The memory is freed by an event of its own.
 */
void ngx_http_trove_fake_connection_close(
    ngx_http_trove_fake_connection_t *fake, ngx_uint_t counted);

/* Frees a connection for which no request could be created. */
void ngx_http_trove_fake_connection_free(
    ngx_http_trove_fake_connection_t *fake);


#endif /* _NGX_HTTP_TROVE_FAKE_CONNECTION_H_INCLUDED_ */
