
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_trove_timer.h"


/* shared by all: nothing but its descriptor is read */
static ngx_connection_t  ngx_http_trove_timer_connection;


void
ngx_http_trove_timer_init(ngx_event_t *ev, ngx_event_handler_pt handler,
    ngx_log_t *log, ngx_uint_t cancelable)
{
    ngx_http_trove_timer_connection.fd = (ngx_socket_t) -1;

    ngx_memzero(ev, sizeof(ngx_event_t));

    ev->handler = handler;
    ev->data = &ngx_http_trove_timer_connection;
    ev->log = log;
    ev->cancelable = cancelable;
}
