
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_HEALTH_H_INCLUDED_
#define _NGX_HTTP_TROVE_HEALTH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_delivery.h"
#include "ngx_trove_health.h"


/*
 * What is logged at the level "error" of targets and locations: changes, once
 * for all workers.
 */

/*
 * Where the health of a location with targets is found, or of a target of it:
 * an array of these is what ngx_http_trove_health_zone() is for.
 */
typedef struct {
    ngx_str_t                  name;
    ngx_trove_health_t       **health;
} ngx_http_trove_health_name_t;

/*
 * Adds a location, or a target of it, unless that is NULL, to an array of
 * names.  *health has to live as long as the configuration.  It is set to
 * memory of the process, which serves if there is no other.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_health_add(ngx_conf_t *cf, ngx_array_t *names,
    ngx_http_core_srv_conf_t *cscf, void **loc_conf, ngx_str_t *target,
    ngx_trove_health_t **health);

/*
 * Adds the shared memory for an array of names; to be called as
 * "postconfiguration".
 *
 * NGX_OK
 * NGX_ERROR  logged
 */
ngx_int_t ngx_http_trove_health_zone(ngx_conf_t *cf, ngx_array_t *names);

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


#endif /* _NGX_HTTP_TROVE_HEALTH_H_INCLUDED_ */
