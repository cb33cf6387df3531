
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
 * What is logged at the level "error" of targets and locations: changes, once
 * for all workers.
 */

/* A delivery is DONE that its target was asked for: logs what that changes. */
void ngx_http_trove_health_target(ngx_http_trove_delivery_t *d,
    ngx_str_t *id);

/* An event matches no target of the location that r is in: logs it. */
void ngx_http_trove_health_unmatched(ngx_http_request_t *r, ngx_str_t *id);

/*
 * NGINX puts " while ..." behind a line, with what the connection did last, be
 * it about another target: sets it aside.  What is returned has to be put back
 * into log->action.
 */
char *ngx_http_trove_health_action(ngx_log_t *log);


#endif /* _NGX_HTTP_TROVE_HEALTH_LOG_H_INCLUDED_ */
