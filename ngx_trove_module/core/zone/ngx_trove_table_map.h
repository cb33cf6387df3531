
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_TABLE_MAP_H_INCLUDED_
#define _NGX_TROVE_TABLE_MAP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_guard.h"
#include "ngx_trove_table.h"


/* Mapped tables, shared by the files ngx_trove_table*.c.  Private to them. */


/* a mapped table */
typedef struct {
    u_char                  *addr;       /* aligned to a system page */
    size_t                   len;
    ngx_trove_zone_t        *zone;       /* NULL: no table */
    ngx_trove_zone_where_t   where;
    ngx_trove_zone_kept_t    kept;       /* set if there is a table */
    ngx_trove_guard_t       *guard;
} ngx_trove_table_map_t;


struct ngx_trove_table_s {
    ngx_uint_t               refs;
    ngx_fd_t                 fd;
    ngx_trove_table_map_t    current;
    ngx_trove_table_map_t    successor;  /* while current is migrated */

    /* reporting and retries after a loss: ngx_trove_table_heal.c */
    ngx_trove_table_lost_pt  lost;
    void                    *data;
    ngx_err_t                err;        /* last reported */
    time_t                   retry;      /* monotonic clock, seconds */
};


/*
 * Maps the part *where of a file.  map->zone is NULL: the caller may create a
 * table at map->addr.  flags are those of mmap().  The mapping is removed by
 * ngx_trove_table_unmap(), and the caller keeps fd.
 *
 * NGX_OK
 * NGX_ERROR  *error is filled in
 */
ngx_int_t ngx_trove_table_map(ngx_trove_table_map_t *map, ngx_fd_t fd,
    int flags, ngx_trove_zone_where_t *where, ngx_trove_table_error_t *error);

/*
 * Maps an existing table.
 *
 * NGX_OK
 * NGX_DECLINED  there is no valid table
 * NGX_ERROR     *error is filled in
 */
ngx_int_t ngx_trove_table_attach(ngx_trove_table_map_t *map, ngx_fd_t fd,
    int flags, ngx_trove_zone_where_t *where, ngx_trove_table_error_t *error);

/* Removes a mapping and its guard. */
void ngx_trove_table_unmap(ngx_trove_table_map_t *map);

/*
 * Recreates the lost parts of a table.  zone is the table found to be lost.
 * Returns the table to continue with.
 *
 * NULL  unusable for now: the file cannot be extended, or another process
 *       takes too long
 */
ngx_trove_zone_t *ngx_trove_table_heal(ngx_trove_table_t *table,
    ngx_trove_zone_t *zone);

/* Completes a mapping in which the caller has created a table. */
void ngx_trove_table_made(ngx_trove_table_map_t *map);

/*
 * Returns the first table that still matters: those before it are not used any
 * more.
 */
ngx_trove_zone_t *ngx_trove_table_current(ngx_trove_table_t *table);

/* Fills in *error and returns NGX_ERROR.  call is a constant string. */
ngx_int_t ngx_trove_table_error(ngx_trove_table_error_t *error,
    const char *call, ngx_err_t err);


#endif /* _NGX_TROVE_TABLE_MAP_H_INCLUDED_ */
