
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_DEDUP_ZONE_H_INCLUDED_
#define _NGX_HTTP_TROVE_DEDUP_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_dedup_store.h"
#include "ngx_trove_table.h"


/* the minimum size of a zone, in pages of the system */
#define NGX_HTTP_TROVE_DEDUP_ZONE_PAGES  8


/* The handler of the directive "trove_dedup_zone". */
char *ngx_http_trove_dedup_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Declares a zone of size bytes.  path is the path of its state file, or empty.
 *
 * NGX_OK
 * NGX_ERROR  logged
 */
ngx_int_t ngx_http_trove_dedup_zone_declare(ngx_conf_t *cf, ngx_str_t *name,
    size_t size, ngx_str_t *path);

/*
 * Returns the zone with a name, which need not be declared yet.
 *
 * NULL  out of memory, or another module has a zone with the name; logged
 */
ngx_shm_zone_t *ngx_http_trove_dedup_zone_get(ngx_conf_t *cf, ngx_str_t *name);

/* Whether a zone was declared; to be called when all has been read. */
ngx_uint_t ngx_http_trove_dedup_zone_declared(ngx_shm_zone_t *shm_zone);

/*
 * Returns the store of a zone, in a worker, which may replace it before it has
 * seen a request.
 */
ngx_http_trove_dedup_store_t *ngx_http_trove_dedup_zone_store(
    ngx_shm_zone_t *shm_zone);

/* Returns the table of a zone, in a worker. */
ngx_trove_table_t *ngx_http_trove_dedup_zone_table(ngx_shm_zone_t *shm_zone);

/*
 * Returns the zones of the running configuration, ngx_shm_zone_t *, in an array
 * from the pool.
 *
 * NULL  out of memory
 */
ngx_array_t *ngx_http_trove_dedup_zones(ngx_pool_t *pool);

/*
 * Opens, creates or resizes the state files of a configuration that is going to
 * be used; to be called in "init module".
 *
 * NGX_OK
 * NGX_ERROR  logged; only when NGINX starts
 */
ngx_int_t ngx_http_trove_dedup_zone_init_module(ngx_cycle_t *cycle);

/*
 * To be called in "init process" and "exit process".  State files are written
 * to the disk once a second by one of the workers, and when a worker exits.
 */
void ngx_http_trove_dedup_zone_init_process(ngx_cycle_t *cycle);
void ngx_http_trove_dedup_zone_exit_process(ngx_cycle_t *cycle);

#endif /* _NGX_HTTP_TROVE_DEDUP_ZONE_H_INCLUDED_ */
