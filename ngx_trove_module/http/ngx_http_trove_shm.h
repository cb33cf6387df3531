
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SHM_H_INCLUDED_
#define _NGX_HTTP_TROVE_SHM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The shared memory zone of the running configuration that shm_zone, of a new
 * one, is to replace.  To be called by its init handler: of a zone whose size
 * has changed NGINX gives the new one nothing, but the old one is still mapped,
 * and in use by the old workers, as long as the old cycle is.
 *
 * NULL  there is none, or nothing was made of it
 */
ngx_shm_zone_t *ngx_http_trove_shm_old(ngx_shm_zone_t *shm_zone);


#endif /* _NGX_HTTP_TROVE_SHM_H_INCLUDED_ */
