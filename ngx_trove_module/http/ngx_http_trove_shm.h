
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SHM_H_INCLUDED_
#define _NGX_HTTP_TROVE_SHM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The shared memory zone of a cycle, by its name and tag, which is in use.
 *
 * NULL  there is none
 */
ngx_shm_zone_t *ngx_http_trove_shm_find(ngx_cycle_t *cycle, ngx_str_t *name,
    void *tag);

/*
 * Returns the shared memory zone of the running configuration that shm_zone of
 * a new configuration replaces.  To be called by the init handler of the zone:
 * if the size has changed, NGINX does not pass the old zone, which remains
 * mapped, and used by the old workers, as long as the old cycle exists.
 *
 * NULL  there is none, or it was not initialized
 */
ngx_shm_zone_t *ngx_http_trove_shm_old(ngx_shm_zone_t *shm_zone);


#endif /* _NGX_HTTP_TROVE_SHM_H_INCLUDED_ */
