
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


/* the least size of a zone, pages of the system */
#define NGX_HTTP_TROVE_DEDUP_ZONE_PAGES  8


/* The handler of the directive "trove_dedup_zone". */
char *ngx_http_trove_dedup_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Declares a zone of so many bytes; path is empty, or that of its state file.
 *
 * NGX_OK
 * NGX_ERROR  logged
 */
ngx_int_t ngx_http_trove_dedup_zone_declare(ngx_conf_t *cf, ngx_str_t *name,
    size_t size, ngx_str_t *path);

/*
 * The zone of a name, declared or not yet.
 *
 * NULL  out of memory, or the name is that of another module's zone; logged
 */
ngx_shm_zone_t *ngx_http_trove_dedup_zone_get(ngx_conf_t *cf, ngx_str_t *name);

/* Whether there is a "trove_dedup_zone" for it, once all has been read. */
ngx_uint_t ngx_http_trove_dedup_zone_declared(ngx_shm_zone_t *shm_zone);

/*
 * The store of a zone, which may be replaced in a worker before it has seen a
 * request; and its table.
 */
ngx_http_trove_dedup_store_t *ngx_http_trove_dedup_zone_store(
    ngx_shm_zone_t *shm_zone);
ngx_trove_table_t *ngx_http_trove_dedup_zone_table(ngx_shm_zone_t *shm_zone);

/*
 * All zones that are declared in the running configuration: an array of
 * ngx_shm_zone_t *, in the pool.
 *
 * NULL  out of memory
 */
ngx_array_t *ngx_http_trove_dedup_zones(ngx_pool_t *pool);

/*
 * Opens, makes or resizes the state files of a configuration that is going to
 * be used: to be called as "init module".
 *
 * NGX_OK
 * NGX_ERROR  logged; only at the start
 */
ngx_int_t ngx_http_trove_dedup_zone_init_module(ngx_cycle_t *cycle);

/*
 * For a process that comes and goes: state files are written to the disk once a
 * second, by one of the workers, and when a worker exits.
 */
void ngx_http_trove_dedup_zone_init_process(ngx_cycle_t *cycle);
void ngx_http_trove_dedup_zone_exit_process(ngx_cycle_t *cycle);

#endif /* _NGX_HTTP_TROVE_DEDUP_ZONE_H_INCLUDED_ */
