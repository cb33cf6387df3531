
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_TIMER_H_INCLUDED_
#define _NGX_HTTP_TROVE_TIMER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


/*
 * Initializes a timer, or an event that is posted, of the process and not of a
 * connection.  ev->data is taken: it is a connection without a socket, whose
 * descriptor nginx writes to the debug log.  A worker that exits waits for a
 * timer unless it is cancelable.
 */
void ngx_http_trove_timer_init(ngx_event_t *ev, ngx_event_handler_pt handler,
    ngx_log_t *log, ngx_uint_t cancelable);


#endif /* _NGX_HTTP_TROVE_TIMER_H_INCLUDED_ */
