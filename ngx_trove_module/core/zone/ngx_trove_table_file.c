
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/mman.h>

#include "ngx_trove_allocate.h"
#include "ngx_trove_table_map.h"


/* may be mandatory since Linux 6.3; headers may be older */
#if (NGX_LINUX && !defined MFD_NOEXEC_SEAL)
#define MFD_NOEXEC_SEAL  0x0008U
#endif


static ngx_trove_table_t *ngx_trove_table_alloc(ngx_fd_t fd,
    ngx_trove_table_error_t *error);
static ngx_int_t ngx_trove_table_repair(ngx_trove_zone_t *zone,
    uint64_t *damaged, ngx_trove_table_error_t *error);
static ngx_uint_t ngx_trove_table_superseded(ngx_trove_zone_t *zone,
    ngx_fd_t fd, ngx_trove_zone_where_t *next);
static ngx_int_t ngx_trove_table_grow(ngx_trove_table_t *table, size_t size,
    ngx_trove_zone_now_t *now, ngx_uint_t *left,
    ngx_trove_table_error_t *error);
static void ngx_trove_table_migrate(ngx_trove_table_t *table,
    ngx_trove_zone_t *zone, ngx_trove_zone_where_t *where,
    ngx_trove_zone_now_t *now, ngx_uint_t *left);
static ngx_int_t ngx_trove_table_allocate(ngx_fd_t fd,
    ngx_trove_zone_where_t *where, ngx_trove_table_error_t *error);
static void ngx_trove_table_cut(ngx_fd_t fd, off_t size);
static ngx_int_t ngx_trove_table_first(ngx_fd_t fd, off_t *size,
    ngx_trove_zone_where_t *where, ngx_trove_table_error_t *error);


size_t
ngx_trove_table_bytes(size_t size)
{
    return size - size % 4096;
}


ngx_int_t
ngx_trove_table_possible(size_t size, ngx_trove_table_error_t *error)
{
    void  *addr;

    size = ngx_trove_table_bytes(size);

    addr = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS,
                -1, 0);

    if (addr == MAP_FAILED) {
        return ngx_trove_table_error(error, "mmap()", ngx_errno);
    }

    (void) munmap(addr, size);

    return NGX_OK;
}


ngx_trove_table_t *
ngx_trove_table_create(ngx_fd_t fd, size_t size,
    ngx_trove_table_error_t *error)
{
    ngx_trove_table_t       *table;
    ngx_trove_zone_where_t   where;

    where.offset = 0;
    where.size = ngx_trove_table_bytes(size);

    table = ngx_trove_table_alloc(fd, error);
    if (table == NULL) {
        return NULL;
    }

    if (ngx_trove_table_allocate(fd, &where, error) != NGX_OK
        || ngx_trove_table_map(&table->current, fd, MAP_SHARED, &where, error)
           != NGX_OK)
    {
        free(table);
        return NULL;
    }

    table->current.zone = ngx_trove_zone_create(table->current.addr,
                                                where.size);
    if (table->current.zone == NULL) {
        ngx_trove_table_error(error, "initialization", 0);
        ngx_trove_table_unmap(&table->current);
        free(table);
        return NULL;
    }

    ngx_trove_table_made(&table->current);

    return table;
}


ngx_trove_table_t *
ngx_trove_table_memory(size_t size, ngx_trove_table_error_t *error)
{
    ngx_fd_t            fd;
    ngx_trove_table_t  *table;

#if (NGX_LINUX)

    fd = memfd_create("trove", MFD_CLOEXEC|MFD_NOEXEC_SEAL);

    if (fd == -1 && ngx_errno == NGX_EINVAL) {
        fd = memfd_create("trove", MFD_CLOEXEC);
    }

#else

    fd = memfd_create("trove", MFD_CLOEXEC);

#endif

    if (fd == -1) {
        ngx_trove_table_error(error, "memfd_create()", ngx_errno);
        return NULL;
    }

    table = ngx_trove_table_create(fd, size, error);

    if (table == NULL) {
        (void) ngx_close_file(fd);
    }

    return table;
}


ngx_int_t
ngx_trove_table_identify(ngx_fd_t fd, ngx_trove_table_error_t *error)
{
    off_t     offset;
    u_char    buf[4096];
    ssize_t   i, n;

    for (offset = 0; /* void */ ; offset += n) {

        n = pread(fd, buf, sizeof(buf), offset);

        if (n == -1) {
            return ngx_trove_table_error(error, "pread()", ngx_errno);
        }

        if (n == 0) {
            return NGX_AGAIN;
        }

        /* the first table may be lost while the next one is in use */

        if (n >= (ssize_t) sizeof(uint64_t) && ngx_trove_zone_has_magic(buf)) {
            return NGX_OK;
        }

        for (i = 0; i < n; i++) {
            if (buf[i] != 0) {
                return NGX_DECLINED;
            }
        }
    }
}


ngx_trove_table_t *
ngx_trove_table_join(ngx_fd_t fd, ngx_trove_table_error_t *error)
{
    off_t                    size;
    ngx_trove_table_t       *table;
    ngx_trove_zone_where_t   where;

    table = ngx_trove_table_alloc(fd, error);
    if (table == NULL) {
        return NULL;
    }

    if (ngx_trove_table_first(fd, &size, &where, error) != NGX_OK
        || ngx_trove_table_attach(&table->current, fd, MAP_SHARED, &where,
                                  error)
           != NGX_OK)
    {
        free(table);
        return NULL;
    }

    (void) ngx_trove_table_current(table);

    return table;
}


ngx_trove_table_t *
ngx_trove_table_take(ngx_fd_t fd, size_t size, uint64_t *damaged,
    ngx_trove_table_error_t *error)
{
    off_t                    file;
    ngx_trove_table_t       *table;
    ngx_trove_zone_where_t   where, successor;

    table = ngx_trove_table_alloc(fd, error);
    if (table == NULL) {
        return NULL;
    }

    if (ngx_trove_table_first(fd, &file, &where, error) != NGX_OK
        || (uint64_t) file != where.size
        || where.size != ngx_trove_table_bytes(size)
        || ngx_trove_table_attach(&table->current, fd, MAP_SHARED, &where,
                                  error)
           != NGX_OK)
    {
        free(table);
        return NULL;
    }

    *damaged = 0;

    /* a hole in the file would cause a SIGBUS on a full disk */

    if (ngx_trove_zone_successor(table->current.zone, &successor)
        != NGX_DECLINED
        || ngx_trove_table_allocate(fd, &where, error) != NGX_OK
        || ngx_trove_table_repair(table->current.zone, damaged, error)
           != NGX_OK)
    {
        ngx_trove_table_unmap(&table->current);
        free(table);
        return NULL;
    }

    return table;
}


ngx_int_t
ngx_trove_table_carry(ngx_trove_table_t *table, ngx_fd_t fd,
    ngx_trove_zone_now_t *now, ngx_trove_table_carried_t *carried,
    ngx_trove_table_error_t *error)
{
    off_t                   size;
    ngx_int_t               rc, successor;
    ngx_trove_table_map_t   map;
    ngx_trove_zone_where_t  where, next;

    ngx_memzero(carried, sizeof(ngx_trove_table_carried_t));

    rc = ngx_trove_table_first(fd, &size, &where, error);

    while (rc == NGX_OK) {

        /* a private copy, which is repaired in memory */

        rc = ngx_trove_table_attach(&map, fd, MAP_PRIVATE, &where, error);
        if (rc != NGX_OK) {
            break;
        }

        successor = ngx_trove_zone_successor(map.zone, &next);

        carried->tables++;

        /* tables must follow each other */

        if ((successor == NGX_OK || successor == NGX_AGAIN)
            && (next.offset < where.offset + where.size
                || next.offset > (uint64_t) size
                || next.size > (uint64_t) size - next.offset))
        {
            successor = NGX_ERROR;
        }

        if (successor == NGX_OK
            && ngx_trove_table_superseded(map.zone, fd, &next))
        {
            ngx_trove_table_unmap(&map);

            where = next;
            continue;
        }

        if (ngx_trove_table_repair(map.zone, &carried->damaged, error)
            != NGX_OK)
        {
            ngx_trove_table_unmap(&map);
            return NGX_ERROR;
        }

        carried->left += ngx_trove_zone_copy(table->current.zone, map.zone,
                                             now);

        /* it has taken over the secret of the other table */

        ngx_trove_table_made(&table->current);

        ngx_trove_table_unmap(&map);

        if (successor == NGX_DECLINED) {
            return NGX_OK;
        }

        if (successor == NGX_ERROR) {
            return NGX_DECLINED;
        }

        where = next;
    }

    return rc;
}


/* a key that is only here was erased in the successor */

static ngx_uint_t
ngx_trove_table_superseded(ngx_trove_zone_t *zone, ngx_fd_t fd,
    ngx_trove_zone_where_t *next)
{
    ngx_trove_table_map_t    map;
    ngx_trove_table_error_t  error;

    if (!ngx_trove_zone_settled(zone)
        || ngx_trove_table_attach(&map, fd, MAP_PRIVATE, next, &error)
           != NGX_OK)
    {
        return 0;
    }

    ngx_trove_table_unmap(&map);

    return 1;
}


/* adds the number of dropped keys to *damaged */

static ngx_int_t
ngx_trove_table_repair(ngx_trove_zone_t *zone, uint64_t *damaged,
    ngx_trove_table_error_t *error)
{
    ngx_trove_zone_now_t   now;
    ngx_trove_zone_stat_t  before, after;

    ngx_memzero(&now, sizeof(ngx_trove_zone_now_t));

    ngx_trove_zone_stat(zone, &now, &before);

    if (ngx_trove_zone_recover(zone) != NGX_OK) {
        return ngx_trove_table_error(error, "pthread_mutex_init()", 0);
    }

    ngx_trove_zone_stat(zone, &now, &after);

    *damaged += after.damaged - before.damaged;

    return NGX_OK;
}


ngx_int_t
ngx_trove_table_resize(ngx_trove_table_t *table, size_t size,
    ngx_trove_zone_now_t *now, ngx_uint_t *left,
    ngx_trove_table_error_t *error)
{
    ngx_int_t         rc;
    ngx_trove_zone_t *zone;

    *left = 0;

    ngx_trove_table_check(table);

    for ( ;; ) {
        zone = ngx_trove_table_current(table);

        if (ngx_trove_zone_migrate_begin(zone) != NGX_OK) {

            /* the other master process of a binary upgrade */

            return ngx_trove_table_error(error, "locking", EBUSY);
        }

        rc = ngx_trove_table_grow(table, size, now, left, error);

        ngx_trove_zone_migrate_end(zone);

        if (rc != NGX_AGAIN) {
            break;
        }
    }

    (void) ngx_trove_table_current(table);

    return rc;
}


/* NGX_AGAIN: there was a successor, and the migration to it is now complete */

static ngx_int_t
ngx_trove_table_grow(ngx_trove_table_t *table, size_t size,
    ngx_trove_zone_now_t *now, ngx_uint_t *left,
    ngx_trove_table_error_t *error)
{
    ngx_int_t                rc;
    ngx_file_info_t          fi;
    ngx_trove_zone_t        *zone;
    ngx_trove_table_map_t   *successor;
    ngx_trove_zone_where_t   where;

    zone = table->current.zone;
    successor = &table->successor;

    rc = ngx_trove_zone_successor(zone, &where);

    if (rc == NGX_ERROR) {
        return ngx_trove_table_error(error, "migration", 0);
    }

    if (rc != NGX_DECLINED) {

        if (successor->zone == NULL) {
            rc = ngx_trove_table_attach(successor, table->fd, MAP_SHARED,
                                        &where, error);

            if (rc != NGX_OK) {
                return (rc == NGX_DECLINED)
                       ? ngx_trove_table_error(error, "migration", 0) : rc;
            }
        }

        ngx_trove_table_migrate(table, zone, &where, now, left);

        return NGX_AGAIN;
    }

    where.size = ngx_trove_table_bytes(size);

    if (where.size == table->current.where.size) {
        return NGX_OK;
    }

    if (ngx_fd_info(table->fd, &fi) == NGX_FILE_ERROR) {
        return ngx_trove_table_error(error, "fstat()", ngx_errno);
    }

    where.offset = ngx_align((uint64_t) ngx_file_size(&fi),
                             (uint64_t) getpagesize());

    if (ngx_trove_table_allocate(table->fd, &where, error) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_trove_table_map(successor, table->fd, MAP_SHARED, &where, error)
        != NGX_OK)
    {
        goto failed;
    }

    successor->zone = ngx_trove_zone_create_successor(successor->addr,
                                                      where.size, zone);

    if (successor->zone == NULL) {
        ngx_trove_table_error(error, "initialization", 0);
        goto failed;
    }

    ngx_trove_table_made(successor);

    /* must be on disk before any data refers to it */

    if (fsync(table->fd) == -1) {
        ngx_trove_table_error(error, "fsync()", ngx_errno);
        goto failed;
    }

    ngx_trove_table_migrate(table, zone, &where, now, left);

    return NGX_OK;

failed:

    ngx_trove_table_unmap(successor);

    ngx_trove_table_cut(table->fd, ngx_file_size(&fi));

    return NGX_ERROR;
}


static void
ngx_trove_table_migrate(ngx_trove_table_t *table, ngx_trove_zone_t *zone,
    ngx_trove_zone_where_t *where, ngx_trove_zone_now_t *now, ngx_uint_t *left)
{
    ngx_trove_zone_migrate(table->successor.zone, zone, where, now, left);

    /* an error is not fatal: keys erased later may come back at a restart */

    if (fsync(table->fd) == 0) {
        ngx_trove_zone_settle(zone);
    }
}


static ngx_trove_table_t *
ngx_trove_table_alloc(ngx_fd_t fd, ngx_trove_table_error_t *error)
{
    ngx_trove_table_t  *table;

    error->call = NULL;
    error->err = 0;

    /* not from a pool: it may outlive the cycle that created it */

    table = calloc(1, sizeof(ngx_trove_table_t));

    if (table == NULL) {
        ngx_trove_table_error(error, "calloc()", ngx_errno);
        return NULL;
    }

    table->refs = 1;
    table->fd = fd;

    return table;
}


/* allocates blocks for a table; on failure the file is left as it was */

static ngx_int_t
ngx_trove_table_allocate(ngx_fd_t fd, ngx_trove_zone_where_t *where,
    ngx_trove_table_error_t *error)
{
    ngx_err_t         err;
    ngx_file_info_t   fi;
    struct sigaction  ignore, old;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        return ngx_trove_table_error(error, "fstat()", ngx_errno);
    }

    /* exceeding a file size limit would kill the process */

    ngx_memzero(&ignore, sizeof(struct sigaction));
    ignore.sa_handler = SIG_IGN;
    sigemptyset(&ignore.sa_mask);

    (void) sigaction(SIGXFSZ, &ignore, &old);

    err = ngx_trove_allocate(fd, where->offset, where->size);

    (void) sigaction(SIGXFSZ, &old, NULL);

    if (err) {
        ngx_trove_table_cut(fd, ngx_file_size(&fi));

        return ngx_trove_table_error(error, "posix_fallocate()", err);
    }

    return NGX_OK;
}


static void
ngx_trove_table_cut(ngx_fd_t fd, off_t size)
{
    if (ftruncate(fd, size) == -1) {

        /* the file is longer than necessary, which is harmless */

        return;
    }
}


/* finds the size of a file and its first table; NGX_DECLINED: none */

static ngx_int_t
ngx_trove_table_first(ngx_fd_t fd, off_t *size, ngx_trove_zone_where_t *where,
    ngx_trove_table_error_t *error)
{
    ssize_t                  n;
    uint64_t                 page[4096 / sizeof(uint64_t)];
    ngx_int_t                rc;
    ngx_uint_t               i;
    ngx_file_info_t          fi;
    ngx_trove_table_map_t    map;
    ngx_trove_zone_where_t   head;

    error->call = NULL;
    error->err = 0;

    *size = 0;
    ngx_memzero(where, sizeof(ngx_trove_zone_where_t));

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        return ngx_trove_table_error(error, "fstat()", ngx_errno);
    }

    *size = ngx_file_size(&fi);

    /*
     * Lost parts of a truncated file are zeroes.  If the lost table had a
     * successor, that is the first table now.
     */

    head.size = sizeof(page);

    for (head.offset = 0; /* void */ ; head.offset += n) {

        n = pread(fd, page, sizeof(page), head.offset);

        if (n == -1) {
            return ngx_trove_table_error(error, "pread()", ngx_errno);
        }

        if (n != (ssize_t) sizeof(page)) {
            return NGX_DECLINED;
        }

        for (i = 0; i < sizeof(page) / sizeof(uint64_t); i++) {
            if (page[i] != 0) {
                goto found;
            }
        }
    }

found:

    rc = ngx_trove_table_map(&map, fd, MAP_PRIVATE, &head, error);
    if (rc != NGX_OK) {
        return rc;
    }

    where->offset = head.offset;
    where->size = ngx_trove_zone_size(map.addr + (map.len - head.size));

    ngx_trove_table_unmap(&map);

    return (where->size == 0 || where->size > (uint64_t) *size - where->offset)
           ? NGX_DECLINED : NGX_OK;
}
