
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/mman.h>

#include "ngx_trove_table_map.h"


static ngx_inline ngx_trove_zone_t *ngx_trove_table_begin(
    ngx_trove_table_t *table);
static ngx_trove_zone_t *ngx_trove_table_next(ngx_trove_table_t *table,
    ngx_trove_zone_t *zone, ngx_uint_t lost);
static ngx_trove_zone_t *ngx_trove_table_follow(ngx_trove_table_t *table,
    ngx_trove_zone_t *zone);
static void ngx_trove_table_advance(ngx_trove_table_t *table);


void
ngx_trove_table_ref(ngx_trove_table_t *table)
{
    table->refs++;
}


void
ngx_trove_table_unref(ngx_trove_table_t *table)
{
    if (table == NULL || --table->refs) {
        return;
    }

    ngx_trove_table_unmap(&table->current);
    ngx_trove_table_unmap(&table->successor);

    (void) ngx_close_file(table->fd);

    free(table);
}


size_t
ngx_trove_table_size(ngx_trove_table_t *table)
{
    (void) ngx_trove_table_current(table);

    return table->current.where.size;
}


ngx_fd_t
ngx_trove_table_fd(ngx_trove_table_t *table)
{
    return table->fd;
}


void
ngx_trove_table_key(ngx_trove_table_t *table, u_char *data, size_t len,
    ngx_trove_zone_key_t *key)
{
    /* all tables of a chain have the same secret */

    ngx_trove_zone_key(ngx_trove_table_begin(table), data, len, key);
}


void
ngx_trove_table_prefetch(ngx_trove_table_t *table, ngx_trove_zone_key_t *key)
{
    ngx_trove_zone_prefetch(table->current.zone, key);
}


ngx_trove_zone_claim_e
ngx_trove_table_claim(ngx_trove_table_t *table, ngx_trove_zone_key_t *key,
    ngx_trove_zone_now_t *now, ngx_uint_t lease, uint32_t *owner)
{
    ngx_trove_zone_t        *zone;
    ngx_trove_zone_claim_e   rc;

    zone = ngx_trove_table_begin(table);

    do {
        rc = ngx_trove_zone_claim(zone, key, now, lease, owner);

        if (rc == NGX_TROVE_ZONE_NEW
            && (table->current.guard->replaced
                || (table->successor.zone && table->successor.guard->replaced)))
        {
            /* the claim is not known to any other process */

            rc = NGX_TROVE_ZONE_LOST;
        }

        if (rc != NGX_TROVE_ZONE_MOVED && rc != NGX_TROVE_ZONE_LOST) {
            return rc;
        }

        zone = ngx_trove_table_next(table, zone, rc == NGX_TROVE_ZONE_LOST);

    } while (zone);

    return NGX_TROVE_ZONE_FULL;
}


ngx_int_t
ngx_trove_table_renew(ngx_trove_table_t *table, ngx_trove_zone_key_t *key,
    ngx_trove_zone_now_t *now, ngx_uint_t lease, uint32_t owner)
{
    ngx_int_t          rc;
    ngx_trove_zone_t  *zone;

    zone = ngx_trove_table_begin(table);

    do {
        rc = ngx_trove_zone_renew(zone, key, now, lease, owner);

        if (rc != NGX_AGAIN && rc != NGX_ABORT) {
            return rc;
        }

        zone = ngx_trove_table_next(table, zone, rc == NGX_ABORT);

    } while (zone);

    return NGX_DECLINED;
}


ngx_int_t
ngx_trove_table_complete(ngx_trove_table_t *table, ngx_trove_zone_key_t *key,
    ngx_trove_zone_now_t *now, ngx_uint_t ttl, uint32_t owner)
{
    ngx_int_t          rc;
    ngx_trove_zone_t  *zone;

    zone = ngx_trove_table_begin(table);

    do {
        rc = ngx_trove_zone_complete(zone, key, now, ttl, owner);

        if (rc != NGX_AGAIN && rc != NGX_ABORT) {
            return rc;
        }

        zone = ngx_trove_table_next(table, zone, rc == NGX_ABORT);

    } while (zone);

    return NGX_DECLINED;
}


ngx_int_t
ngx_trove_table_release(ngx_trove_table_t *table, ngx_trove_zone_key_t *key,
    uint32_t owner)
{
    ngx_int_t          rc;
    ngx_trove_zone_t  *zone;

    zone = ngx_trove_table_begin(table);

    do {
        rc = ngx_trove_zone_release(zone, key, owner);

        if (rc != NGX_AGAIN && rc != NGX_ABORT) {
            return rc;
        }

        zone = ngx_trove_table_next(table, zone, rc == NGX_ABORT);

    } while (zone);

    return NGX_DECLINED;
}


ngx_int_t
ngx_trove_table_forget(ngx_trove_table_t *table, ngx_trove_zone_key_t *key,
    ngx_trove_zone_now_t *now)
{
    ngx_int_t          rc;
    ngx_trove_zone_t  *zone;

    zone = ngx_trove_table_begin(table);

    do {
        rc = ngx_trove_zone_forget(zone, key, now);

        if (rc != NGX_AGAIN && rc != NGX_ABORT) {
            return rc;
        }

        zone = ngx_trove_table_next(table, zone, rc == NGX_ABORT);

    } while (zone);

    return NGX_DECLINED;
}


ngx_int_t
ngx_trove_table_ack(ngx_trove_table_t *table, ngx_trove_zone_key_t *key,
    ngx_trove_zone_now_t *now, ngx_uint_t ttl)
{
    ngx_int_t          rc;
    ngx_trove_zone_t  *zone;

    zone = ngx_trove_table_begin(table);

    do {
        rc = ngx_trove_zone_ack(zone, key, now, ttl);

        if (rc != NGX_AGAIN && rc != NGX_ABORT) {
            return rc;
        }

        zone = ngx_trove_table_next(table, zone, rc == NGX_ABORT);

    } while (zone);

    return NGX_DECLINED;
}


ngx_uint_t
ngx_trove_table_acked(ngx_trove_table_t *table, ngx_trove_zone_key_t *key,
    ngx_trove_zone_now_t *now)
{
    ngx_int_t          rc;
    ngx_uint_t         acked;
    ngx_trove_zone_t  *zone;

    zone = ngx_trove_table_begin(table);

    do {
        rc = ngx_trove_zone_acked(zone, key, now, &acked);

        if (rc != NGX_AGAIN && rc != NGX_ABORT) {
            return acked;
        }

        zone = ngx_trove_table_next(table, zone, rc == NGX_ABORT);

    } while (zone);

    return 0;
}


void
ngx_trove_table_stat(ngx_trove_table_t *table, ngx_trove_zone_now_t *now,
    ngx_trove_zone_stat_t *stat)
{
    (void) ngx_trove_table_begin(table);

    ngx_trove_zone_stat(ngx_trove_table_current(table), now, stat);
}


ngx_int_t
ngx_trove_table_map(ngx_trove_table_map_t *map, ngx_fd_t fd, int flags,
    ngx_trove_zone_where_t *where, ngx_trove_table_error_t *error)
{
    void      *addr;
    uint64_t   rest;

    /* may have been created by a system with another page size */

    rest = where->offset % getpagesize();

    addr = mmap(NULL, where->size + rest, PROT_READ|PROT_WRITE, flags, fd,
                where->offset - rest);

    if (addr == MAP_FAILED) {
        return ngx_trove_table_error(error, "mmap()", ngx_errno);
    }

    map->guard = ngx_trove_guard_add(addr, where->size + rest, fd,
                                     where->offset + where->size,
                                     flags & MAP_SHARED);
    if (map->guard == NULL) {
        (void) munmap(addr, where->size + rest);
        return ngx_trove_table_error(error, "sigaction()", ngx_errno);
    }

    map->addr = addr;
    map->len = where->size + rest;
    map->where = *where;
    map->zone = NULL;

    return NGX_OK;
}


ngx_int_t
ngx_trove_table_attach(ngx_trove_table_map_t *map, ngx_fd_t fd, int flags,
    ngx_trove_zone_where_t *where, ngx_trove_table_error_t *error)
{
    ngx_int_t        rc;
    ngx_file_info_t  fi;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        return ngx_trove_table_error(error, "fstat()", ngx_errno);
    }

    if (where->offset > (uint64_t) ngx_file_size(&fi)
        || where->size > (uint64_t) ngx_file_size(&fi) - where->offset)
    {
        return NGX_DECLINED;
    }

    rc = ngx_trove_table_map(map, fd, flags, where, error);
    if (rc != NGX_OK) {
        return rc;
    }

    map->zone = ngx_trove_zone_attach(map->addr + (map->len - where->size),
                                      where->size);

    if (map->zone == NULL) {
        ngx_trove_table_unmap(map);
        return NGX_DECLINED;
    }

    ngx_trove_table_made(map);

    return NGX_OK;
}


void
ngx_trove_table_unmap(ngx_trove_table_map_t *map)
{
    if (map->addr) {
        ngx_trove_guard_remove(map->guard);
        (void) munmap(map->addr, map->len);
    }

    ngx_memzero(map, sizeof(ngx_trove_table_map_t));
}


ngx_int_t
ngx_trove_table_error(ngx_trove_table_error_t *error, const char *call,
    ngx_err_t err)
{
    error->call = call;
    error->err = err;

    return NGX_ERROR;
}


ngx_trove_zone_t *
ngx_trove_table_current(ngx_trove_table_t *table)
{
    ngx_trove_zone_t        *zone, *next;
    ngx_trove_zone_where_t   where;

    zone = table->current.zone;

    while (ngx_trove_zone_successor(zone, &where) == NGX_OK) {
        next = ngx_trove_table_follow(table, zone);

        if (next == NULL) {
            break;
        }

        zone = next;
    }

    return zone;
}


void
ngx_trove_table_made(ngx_trove_table_map_t *map)
{
    ngx_trove_zone_keep(map->zone, &map->kept);
}


/* only reads a cache line that is needed next anyway */

static ngx_inline ngx_trove_zone_t *
ngx_trove_table_begin(ngx_trove_table_t *table)
{
    ngx_trove_zone_t  *zone;

    zone = table->current.zone;

    if (!ngx_trove_zone_kept(zone, &table->current.kept)) {
        (void) ngx_trove_table_heal(table, zone);
    }

    return table->current.zone;
}


static ngx_trove_zone_t *
ngx_trove_table_next(ngx_trove_table_t *table, ngx_trove_zone_t *zone,
    ngx_uint_t lost)
{
    if (lost) {
        return ngx_trove_table_heal(table, zone);
    }

    zone = ngx_trove_table_follow(table, zone);

    if (zone && zone == table->successor.zone
        && !ngx_trove_zone_kept(zone, &table->successor.kept))
    {
        return ngx_trove_table_heal(table, zone);
    }

    return zone;
}


/*
 * Returns the table to look in after this one.  A table is migrated only when
 * the migration of the previous one is complete, so there are at most two.
 */

static ngx_trove_zone_t *
ngx_trove_table_follow(ngx_trove_table_t *table, ngx_trove_zone_t *zone)
{
    ngx_int_t                rc;
    ngx_trove_table_error_t  error;
    ngx_trove_zone_where_t   where;

    if (zone == table->successor.zone) {
        ngx_trove_table_advance(table);
    }

    rc = ngx_trove_zone_successor(zone, &where);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        return NULL;
    }

    if (table->successor.zone == NULL
        && ngx_trove_table_attach(&table->successor, table->fd, MAP_SHARED,
                                  &where, &error)
           != NGX_OK)
    {
        return NULL;
    }

    if (rc == NGX_OK) {
        ngx_trove_table_advance(table);
        return table->current.zone;
    }

    return table->successor.zone;
}


static void
ngx_trove_table_advance(ngx_trove_table_t *table)
{
    ngx_trove_table_unmap(&table->current);

    table->current = table->successor;

    ngx_memzero(&table->successor, sizeof(ngx_trove_table_map_t));
}
