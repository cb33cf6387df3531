
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_HEALTH_H_INCLUDED_
#define _NGX_HTTP_TROVE_HEALTH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_trove_health.h"


/* the longest name that is given to a target at run time */
#define NGX_HTTP_TROVE_HEALTH_NAME  255


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

/* For a worker that begins, and ends. */
void ngx_http_trove_health_init(ngx_cycle_t *cycle);
void ngx_http_trove_health_exit(void);

/*
 * The health of a target that is made at run time, in shared memory: all
 * workers that give the same parent, the health of a configured target, and the
 * same name share it.  It has to be released.
 *
 * NULL  there is no room for it, or the name is too long
 */
ngx_trove_health_t *ngx_http_trove_health_acquire(ngx_trove_health_t *parent,
    ngx_str_t *name);
void ngx_http_trove_health_release(ngx_trove_health_t *health);


#endif /* _NGX_HTTP_TROVE_HEALTH_H_INCLUDED_ */
