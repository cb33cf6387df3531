
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_HEALTH_LOG_H_INCLUDED_
#define _NGX_HTTP_TROVE_HEALTH_LOG_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_delivery.h"


/*
 * Log lines at the level "error" about targets and locations.  Only changes
 * are logged, once for all workers.
 */

/*
 * Logs a change in the health of a target.  It is called when a delivery whose
 * target has been tried is DONE.  id is the id of the event.
 */
void ngx_http_trove_health_target(ngx_http_trove_delivery_t *d,
    ngx_str_t *id);

/*
 * Logs that an event matches no target of the location of r.  The line has the
 * level "error" and the number of such events since the last line of this
 * kind.  If that line is recent, the level is "notice".  id is the id of the
 * event.
 */
void ngx_http_trove_health_unmatched(ngx_http_request_t *r, ngx_str_t *id);

/*
 * Clears log->action and returns its value.  The caller has to restore it.
 * NGINX appends " while ..." to log lines with the last action of the
 * connection, which may concern another target.
 */
char *ngx_http_trove_health_action(ngx_log_t *log);


#endif /* _NGX_HTTP_TROVE_HEALTH_LOG_H_INCLUDED_ */
