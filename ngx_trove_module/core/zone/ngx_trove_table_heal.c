
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/mman.h>

#include "ngx_trove_table_map.h"


/* maximum time to wait for another process doing the same, milliseconds */
#define NGX_TROVE_TABLE_HEAL_WAIT  2000

/* seconds between retries for an unusable table */
#define NGX_TROVE_TABLE_RETRY      1


static ngx_int_t ngx_trove_table_heal_lock(ngx_fd_t fd);
static void ngx_trove_table_heal_unlock(ngx_fd_t fd);
static ngx_err_t ngx_trove_table_heal_map(ngx_trove_table_t *table,
    ngx_trove_table_map_t *map, ngx_trove_table_lost_t *lost);
static void ngx_trove_table_tell(ngx_trove_table_t *table,
    ngx_trove_table_lost_t *lost);
static time_t ngx_trove_table_clock(void);


void
ngx_trove_table_on_lost(ngx_trove_table_t *table,
    ngx_trove_table_lost_pt handler, void *data)
{
    table->lost = handler;
    table->data = data;
}


void
ngx_trove_table_check(ngx_trove_table_t *table)
{
    size_t           size;
    ngx_file_info_t  fi;

    size = table->current.where.offset + table->current.where.size;

    if (ngx_fd_info(table->fd, &fi) == NGX_FILE_ERROR
        || (uint64_t) ngx_file_size(&fi) < size
        || !ngx_trove_zone_kept(table->current.zone, &table->current.kept))
    {
        (void) ngx_trove_table_heal(table, table->current.zone);
    }
}


ngx_trove_zone_t *
ngx_trove_table_heal(ngx_trove_table_t *table, ngx_trove_zone_t *zone)
{
    ngx_err_t               err;
    ngx_uint_t              successor;
    ngx_trove_table_lost_t  lost;

    if (table->retry && ngx_trove_table_clock() < table->retry) {
        return NULL;
    }

    ngx_memzero(&lost, sizeof(ngx_trove_table_lost_t));

    successor = (zone == table->successor.zone);

    /* one process at a time: the kernel releases its lock when it dies */

    if (ngx_trove_table_heal_lock(table->fd) != NGX_OK) {
        err = NGX_EAGAIN;

    } else {
        err = ngx_trove_table_heal_map(table, &table->current, &lost);

        if (err == 0 && table->successor.zone) {
            err = ngx_trove_table_heal_map(table, &table->successor, &lost);
        }

        ngx_trove_table_heal_unlock(table->fd);
    }

    table->retry = err ? ngx_trove_table_clock() + NGX_TROVE_TABLE_RETRY : 0;

    lost.err = err;

    ngx_trove_table_tell(table, &lost);

    if (err) {
        return NULL;
    }

    return successor ? table->successor.zone : table->current.zone;
}


/* another process holding the lock is doing the work */

static ngx_int_t
ngx_trove_table_heal_lock(ngx_fd_t fd)
{
    ngx_uint_t    n;
    struct flock  fl;

    ngx_memzero(&fl, sizeof(struct flock));

    fl.l_type = F_WRLCK;
    fl.l_whence = SEEK_SET;
    fl.l_len = 1;

    for (n = 0; n < NGX_TROVE_TABLE_HEAL_WAIT; n++) {

        if (fcntl(fd, F_SETLK, &fl) == 0) {
            return NGX_OK;
        }

        if (ngx_errno != EAGAIN && ngx_errno != EACCES) {

            /* the file system does not support such locks */

            return NGX_OK;
        }

        ngx_msleep(1);
    }

    return NGX_BUSY;
}


static void
ngx_trove_table_heal_unlock(ngx_fd_t fd)
{
    struct flock  fl;

    ngx_memzero(&fl, sizeof(struct flock));

    fl.l_type = F_UNLCK;
    fl.l_whence = SEEK_SET;
    fl.l_len = 1;

    (void) fcntl(fd, F_SETLK, &fl);
}


/*
 * If a migrated table has lost its first page, processes that have not yet
 * seen the successor continue with this table.  They are old workers that are
 * shutting down after the reload.
 */

static ngx_err_t
ngx_trove_table_heal_map(ngx_trove_table_t *table, ngx_trove_table_map_t *map,
    ngx_trove_table_lost_t *lost)
{
    ngx_err_t           err;
    ngx_trove_guard_t  *guard;

    guard = map->guard;

    err = ngx_trove_guard_extend(table->fd, guard->end);

    if (err) {
        return err;
    }

    if (guard->replaced) {

        if (mmap(map->addr, map->len, PROT_READ|PROT_WRITE,
                 MAP_SHARED|MAP_FIXED, table->fd, guard->end - map->len)
            == MAP_FAILED)
        {
            return ngx_errno;
        }

        guard->replaced = 0;
    }

    guard->faults = 0;

    lost->pages += ngx_trove_zone_heal(map->zone, &map->kept);

    /* the page could not even be read */

    return guard->replaced ? EIO : 0;
}


static void
ngx_trove_table_tell(ngx_trove_table_t *table, ngx_trove_table_lost_t *lost)
{
    if (lost->err == 0 ? lost->pages == 0 && table->err == 0
                       : lost->err == table->err)
    {
        table->err = lost->err;
        return;
    }

    table->err = lost->err;

    if (table->lost) {
        table->lost(table->data, lost);
    }
}


static time_t
ngx_trove_table_clock(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec;
}
