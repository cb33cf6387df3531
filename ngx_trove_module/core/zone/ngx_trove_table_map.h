
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_TABLE_MAP_H_INCLUDED_
#define _NGX_TROVE_TABLE_MAP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_guard.h"
#include "ngx_trove_table.h"


/*
 * What the parts of the table room share: mapped tables.  Private to it.
 */


/* a table that is mapped */
typedef struct {
    u_char                  *addr;       /* of the pages of the system */
    size_t                   len;
    ngx_trove_zone_t        *zone;       /* NULL: none */
    ngx_trove_zone_where_t   where;
    ngx_trove_zone_kept_t    kept;       /* if there is a table */
    ngx_trove_guard_t       *guard;
} ngx_trove_table_map_t;


struct ngx_trove_table_s {
    ngx_uint_t               refs;
    ngx_fd_t                 fd;
    ngx_trove_table_map_t    current;
    ngx_trove_table_map_t    successor;  /* while current is being migrated */

    /* what became of it when it was lost: ngx_trove_table_heal.c */
    ngx_trove_table_lost_pt  lost;
    void                    *data;
    ngx_err_t                err;        /* that was told */
    time_t                   retry;      /* by the monotonic clock */
};


/*
 * Maps what is somewhere in a file: map->zone is NULL, to be made at map->addr.
 * The flags are those of mmap().
 *
 * NGX_OK
 * NGX_ERROR  *error says why
 */
ngx_int_t ngx_trove_table_map(ngx_trove_table_map_t *map, ngx_fd_t fd,
    int flags, ngx_trove_zone_where_t *where, ngx_trove_table_error_t *error);

/*
 * The same with a table that is there.
 *
 * NGX_DECLINED  there is none
 */
ngx_int_t ngx_trove_table_attach(ngx_trove_table_map_t *map, ngx_fd_t fd,
    int flags, ngx_trove_zone_where_t *where, ngx_trove_table_error_t *error);

void ngx_trove_table_unmap(ngx_trove_table_map_t *map);

/*
 * Makes what is lost of a table anew.  zone is one that its user has found
 * lost, and the one to go on with is returned.
 *
 * NULL  it is to no use for now: the file cannot get its size again, or another
 *       process takes too long
 */
ngx_trove_zone_t *ngx_trove_table_heal(ngx_trove_table_t *table,
    ngx_trove_zone_t *zone);

/* Of a map whose table was made by the caller. */
void ngx_trove_table_made(ngx_trove_table_map_t *map);

/* The table to begin with: those before it nobody needs any more. */
ngx_trove_zone_t *ngx_trove_table_current(ngx_trove_table_t *table);

/* Fills in *error, and returns NGX_ERROR. */
ngx_int_t ngx_trove_table_error(ngx_trove_table_error_t *error,
    const char *call, ngx_err_t err);


#endif /* _NGX_TROVE_TABLE_MAP_H_INCLUDED_ */
