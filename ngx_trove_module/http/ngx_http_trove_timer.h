
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_TIMER_H_INCLUDED_
#define _NGX_HTTP_TROVE_TIMER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


/*
 * Initializes a timer or a posted event that belongs to the process and not to
 * a connection.  The caller owns the event.  ev->data must not be used: it is
 * a connection without a socket, because nginx writes its descriptor to the
 * debug log.  An exiting worker waits for a timer unless cancelable is 1.
 */
void ngx_http_trove_timer_init(ngx_event_t *ev, ngx_event_handler_pt handler,
    ngx_log_t *log, ngx_uint_t cancelable);


#endif /* _NGX_HTTP_TROVE_TIMER_H_INCLUDED_ */
