
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_HEALTH_H_INCLUDED_
#define _NGX_HTTP_TROVE_HEALTH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_trove_health.h"


/* the maximum length in bytes of the name of a target created at run time */
#define NGX_HTTP_TROVE_HEALTH_NAME  255


/*
 * The name of an entry, and the pointer to set to its health: of a location
 * with targets, or of one target.  ngx_http_trove_health_zone() takes an array
 * of these.
 */
typedef struct {
    ngx_str_t                  name;
    ngx_trove_health_t       **health;
} ngx_http_trove_health_name_t;

/*
 * Adds a target, or the location itself if target is NULL, to an array of
 * names.  *health must live as long as the configuration.  It is set to memory
 * of the process, which is used if shared memory is not available.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_health_add(ngx_conf_t *cf, ngx_array_t *names,
    ngx_http_core_srv_conf_t *cscf, void **loc_conf, ngx_str_t *target,
    ngx_trove_health_t **health);

/*
 * Adds the shared memory zone for an array of names.  It must be called at
 * postconfiguration.  The array must live as long as the configuration.
 *
 * NGX_OK
 * NGX_ERROR  logged
 */
ngx_int_t ngx_http_trove_health_zone(ngx_conf_t *cf, ngx_array_t *names);

/* Called when a worker process starts, and when it exits, with its cycle. */
void ngx_http_trove_health_init(ngx_cycle_t *cycle);
void ngx_http_trove_health_exit(ngx_cycle_t *cycle);

/*
 * Returns the health in shared memory of a target created at run time.  It is
 * shared by all workers that pass the same name and the same parent, which is
 * the health of a configured target.  The caller has to release it.
 *
 * NULL  no space in the zone, or the name is too long
 */
ngx_trove_health_t *ngx_http_trove_health_acquire(ngx_trove_health_t *parent,
    ngx_str_t *name);

/* Releases a health that ngx_http_trove_health_acquire() has returned. */
void ngx_http_trove_health_release(ngx_trove_health_t *health);


#endif /* _NGX_HTTP_TROVE_HEALTH_H_INCLUDED_ */
