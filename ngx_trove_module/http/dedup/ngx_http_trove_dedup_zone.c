
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_clock.h"
#include "ngx_http_trove_dedup_state.h"
#include "ngx_http_trove_dedup_sync.h"
#include "ngx_http_trove_dedup_zone.h"
#include "ngx_http_trove_module.h"


/*
 * The data of a shared memory zone that has been declared.  The table is not in
 * the zone of NGINX, whose size could not be changed while old workers use it:
 * that zone only passes the table from one configuration to the next.
 */

typedef struct {
    ngx_trove_table_t             *table;    /* NULL: not yet */
    ngx_http_trove_dedup_store_t   store;    /* in a worker */
    ngx_pool_t                    *pool;
    ngx_str_t                      path;     /* as configured */
    size_t                         size;

    /*
     * The table is in memory, or in a file.  That is decided when the zone is
     * created; changes of "state=" by a reload take effect at the next start.
     */
    ngx_str_t                      file;     /* empty: in memory */
    unsigned                       fresh:1;  /* the file is to be opened */
} ngx_http_trove_dedup_zone_t;


static ngx_int_t ngx_http_trove_dedup_zone_state(ngx_conf_t *cf,
    ngx_http_trove_dedup_zone_t *zone, ngx_str_t *path);
static void ngx_http_trove_dedup_zone_cleanup(void *data);
static ngx_array_t *ngx_http_trove_dedup_zone_list(ngx_pool_t *pool,
    ngx_cycle_t *cycle);
static ngx_int_t ngx_http_trove_dedup_zone_init(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_int_t ngx_http_trove_dedup_zone_inherit(ngx_shm_zone_t *shm_zone,
    ngx_http_trove_dedup_zone_t *ozone);
static ngx_int_t ngx_http_trove_dedup_zone_possible(ngx_shm_zone_t *shm_zone);
static ngx_int_t ngx_http_trove_dedup_zone_memory(ngx_shm_zone_t *shm_zone);
static ngx_int_t ngx_http_trove_dedup_zone_open(ngx_shm_zone_t *shm_zone,
    ngx_array_t *zones, ngx_log_t *log);
static ngx_shm_zone_t *ngx_http_trove_dedup_zone_of_file(ngx_array_t *zones,
    ngx_http_trove_dedup_zone_t *but, ngx_str_t *path);
static void ngx_http_trove_dedup_zone_lost(void *data,
    ngx_trove_table_lost_t *lost);
static void ngx_http_trove_dedup_zone_resize(ngx_shm_zone_t *shm_zone,
    ngx_log_t *log);


ngx_int_t
ngx_http_trove_dedup_zone_declare(ngx_conf_t *cf, ngx_str_t *name, size_t size,
    ngx_str_t *path)
{
    ngx_shm_zone_t               *shm_zone;
    ngx_pool_cleanup_t           *cln;
    ngx_http_trove_dedup_zone_t  *zone;

    /* without a size: otherwise NGINX would reject a second one */

    shm_zone = ngx_http_trove_dedup_zone_get(cf, name);
    if (shm_zone == NULL) {
        return NGX_ERROR;
    }

    if (shm_zone->data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate zone \"%V\" in \"trove_dedup_zone\"",
                           name);
        return NGX_ERROR;
    }

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_trove_dedup_zone_t));
    if (zone == NULL) {
        return NGX_ERROR;
    }

    zone->pool = cf->pool;
    zone->size = size;

    if (path->len
        && ngx_http_trove_dedup_zone_state(cf, zone, path) != NGX_OK)
    {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_trove_dedup_zone_cleanup;
    cln->data = zone;

    /* always the same, so that a reload finds the old zone */

    shm_zone->shm.size = NGX_HTTP_TROVE_DEDUP_ZONE_PAGES * ngx_pagesize;
    shm_zone->init = ngx_http_trove_dedup_zone_init;
    shm_zone->data = zone;

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_dedup_zone_state(ngx_conf_t *cf,
    ngx_http_trove_dedup_zone_t *zone, ngx_str_t *path)
{
    ngx_array_t     *zones;
    ngx_shm_zone_t  *other;

    zone->path = *path;

    if (ngx_conf_full_name(cf->cycle, &zone->path, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_trove_state_check(cf, &zone->path, path) != NGX_OK) {
        return NGX_ERROR;
    }

    zones = ngx_http_trove_dedup_zone_list(cf->temp_pool, cf->cycle);
    if (zones == NULL) {
        return NGX_ERROR;
    }

    other = ngx_http_trove_dedup_zone_of_file(zones, NULL, &zone->path);

    if (other) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"state=%V\" in \"trove_dedup_zone\" is already "
                           "used by zone \"%V\", specify another file", path,
                           &other->shm.name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* another zone that has the file at path, by any name; or NULL */

static ngx_shm_zone_t *
ngx_http_trove_dedup_zone_of_file(ngx_array_t *zones,
    ngx_http_trove_dedup_zone_t *but, ngx_str_t *path)
{
    ngx_uint_t                     i, exists;
    ngx_file_info_t                fi, info;
    ngx_shm_zone_t               **z;
    ngx_http_trove_dedup_zone_t   *zone;

    exists = ngx_file_info(path->data, &fi) != NGX_FILE_ERROR;

    z = zones->elts;

    for (i = 0; i < zones->nelts; i++) {
        zone = z[i]->data;

        if (zone == but || zone->path.len == 0) {
            continue;
        }

        if (zone->path.len == path->len
            && ngx_strncmp(zone->path.data, path->data, path->len) == 0)
        {
            return z[i];
        }

        if (exists
            && ngx_file_info(zone->path.data, &info) != NGX_FILE_ERROR
            && ngx_file_uniq(&info) == ngx_file_uniq(&fi)
            && info.st_dev == fi.st_dev)
        {
            return z[i];
        }
    }

    return NULL;
}


static void
ngx_http_trove_dedup_zone_cleanup(void *data)
{
    ngx_http_trove_dedup_zone_t *zone = data;

    ngx_trove_table_unref(zone->table);
}


ngx_shm_zone_t *
ngx_http_trove_dedup_zone_get(ngx_conf_t *cf, ngx_str_t *name)
{
    return ngx_shared_memory_add(cf, name, 0, &ngx_http_trove_dedup_module);
}


ngx_uint_t
ngx_http_trove_dedup_zone_declared(ngx_shm_zone_t *shm_zone)
{
    return shm_zone->data != NULL;
}


ngx_http_trove_dedup_store_t *
ngx_http_trove_dedup_zone_store(ngx_shm_zone_t *shm_zone)
{
    ngx_http_trove_dedup_zone_t  *zone;

    zone = shm_zone->data;

    return &zone->store;
}


ngx_trove_table_t *
ngx_http_trove_dedup_zone_table(ngx_shm_zone_t *shm_zone)
{
    ngx_http_trove_dedup_zone_t  *zone;

    zone = shm_zone->data;

    return zone->table;
}


ngx_array_t *
ngx_http_trove_dedup_zones(ngx_pool_t *pool)
{
    return ngx_http_trove_dedup_zone_list(pool, (ngx_cycle_t *) ngx_cycle);
}


static ngx_array_t *
ngx_http_trove_dedup_zone_list(ngx_pool_t *pool, ngx_cycle_t *cycle)
{
    ngx_uint_t         i;
    ngx_array_t       *zones;
    ngx_shm_zone_t    *zone, **z;
    ngx_list_part_t   *part;

    zones = ngx_array_create(pool, 4, sizeof(ngx_shm_zone_t *));
    if (zones == NULL) {
        return NULL;
    }

    part = &cycle->shared_memory.part;
    zone = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            zone = part->elts;
            i = 0;
        }

        if (zone[i].init != ngx_http_trove_dedup_zone_init) {
            continue;
        }

        z = ngx_array_push(zones);
        if (z == NULL) {
            return NULL;
        }

        *z = &zone[i];
    }

    return zones;
}


/*
 * Runs before NGINX has decided to use the new configuration, and for "nginx
 * -t": it must not change files, or anything that is in use.
 */

static ngx_int_t
ngx_http_trove_dedup_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_trove_dedup_zone_t *ozone = data;

    ngx_http_trove_dedup_zone_t  *zone;

    zone = shm_zone->data;

    if (ozone) {

        /* a reload: old and new workers must use the same table */

        return ngx_http_trove_dedup_zone_inherit(shm_zone, ozone);
    }

    zone->fresh = (zone->path.len != 0);

    /* all pages of a table are written when it is created */

    if (ngx_test_config) {
        return ngx_http_trove_dedup_zone_possible(shm_zone);
    }

    /*
     * Also if there is a file, when NGINX is reloaded: if the file cannot be
     * opened later, the zone needs a table nevertheless.
     */

    if (!zone->fresh || !ngx_is_init_cycle(ngx_cycle)) {
        return ngx_http_trove_dedup_zone_memory(shm_zone);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_dedup_zone_inherit(ngx_shm_zone_t *shm_zone,
    ngx_http_trove_dedup_zone_t *ozone)
{
    ngx_http_trove_dedup_zone_t  *zone;

    zone = shm_zone->data;

    zone->table = ozone->table;
    ngx_trove_table_ref(zone->table);

    if (ozone->file.len) {
        zone->file.len = ozone->file.len;
        zone->file.data = ngx_pstrdup(zone->pool, &ozone->file);

        if (zone->file.data == NULL) {
            return NGX_ERROR;
        }
    }

    /* both are empty if the table is in memory */

    if (zone->file.len != zone->path.len
        || (zone->path.len
            && ngx_strncmp(zone->file.data, zone->path.data, zone->path.len)
               != 0))
    {
        ngx_log_error(NGX_LOG_WARN, shm_zone->shm.log, 0,
                      "trove: the new \"state=\" of zone \"%V\" takes effect "
                      "after a restart", &shm_zone->shm.name);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_dedup_zone_possible(ngx_shm_zone_t *shm_zone)
{
    ngx_trove_table_error_t       error;
    ngx_http_trove_dedup_zone_t  *zone;

    zone = shm_zone->data;

    if (ngx_trove_table_possible(zone->size, &error) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, error.err,
                      "trove: zone \"%V\" cannot be created, %s failed",
                      &shm_zone->shm.name, error.call);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_dedup_zone_memory(ngx_shm_zone_t *shm_zone)
{
    ngx_trove_table_error_t       error;
    ngx_http_trove_dedup_zone_t  *zone;

    zone = shm_zone->data;

    zone->table = ngx_trove_table_memory(zone->size, &error);

    if (zone->table == NULL) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, error.err,
                      "trove: zone \"%V\" cannot be created, %s failed",
                      &shm_zone->shm.name, error.call);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * Now NGINX has decided to use the configuration, unless this is "nginx -t".
 * An error during a reload would terminate the running server.
 */

ngx_int_t
ngx_http_trove_dedup_zone_init_module(ngx_cycle_t *cycle)
{
    ngx_uint_t                     i;
    ngx_array_t                   *zones;
    ngx_shm_zone_t               **z;
    ngx_http_trove_dedup_zone_t   *zone;

    if (ngx_test_config) {
        return NGX_OK;
    }

    zones = ngx_http_trove_dedup_zone_list(cycle->pool, cycle);
    if (zones == NULL) {
        return NGX_ERROR;
    }

    z = zones->elts;

    for (i = 0; i < zones->nelts; i++) {
        zone = z[i]->data;

        if (zone->fresh
            && ngx_http_trove_dedup_zone_open(z[i], zones, cycle->log)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        /* by this process, and by the workers that it will start */

        ngx_trove_table_on_lost(zone->table, ngx_http_trove_dedup_zone_lost,
                                z[i]);
        ngx_trove_table_check(zone->table);

        zone->store.actions = &ngx_http_trove_dedup_zone_actions;
        zone->store.data = zone->table;

        ngx_http_trove_dedup_zone_resize(z[i], cycle->log);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_dedup_zone_open(ngx_shm_zone_t *shm_zone, ngx_array_t *zones,
    ngx_log_t *log)
{
    ngx_shm_zone_t               *other;
    ngx_trove_table_t            *table;
    ngx_http_trove_dedup_zone_t  *zone;

    zone = shm_zone->data;
    zone->fresh = 0;

    other = ngx_http_trove_dedup_zone_of_file(zones, zone, &zone->path);

    if (other) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "trove: \"state=%V\" of zone \"%V\" is the same file as "
                      "that of zone \"%V\", specify another file", &zone->path,
                      &shm_zone->shm.name, &other->shm.name);
        table = NULL;

    } else {
        table = ngx_http_trove_state_open(&zone->path, zone->size, log);
    }

    if (table) {
        ngx_trove_table_unref(zone->table);

        zone->table = table;
        zone->file = zone->path;

        return NGX_OK;
    }

    if (zone->table == NULL) {
        return NGX_ERROR;
    }

    ngx_log_error(NGX_LOG_ERR, log, 0,
                  "trove: zone \"%V\" is in memory until a restart, its state "
                  "file cannot be opened", &shm_zone->shm.name);

    return NGX_OK;
}


/* the file was truncated, or cannot be read from the disk */

static void
ngx_http_trove_dedup_zone_lost(void *data, ngx_trove_table_lost_t *lost)
{
    ngx_shm_zone_t *shm_zone = data;

    ngx_http_trove_dedup_zone_t  *zone;

    zone = shm_zone->data;

    if (lost->err) {
        ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, lost->err,
                      "trove: state file \"%V\" of zone \"%V\" was truncated "
                      "and cannot be extended, events are refused with 503",
                      &zone->file, &shm_zone->shm.name);
        return;
    }

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "trove: state file \"%V\" of zone \"%V\" was truncated or "
                  "overwritten by another program, the events in %ui of its "
                  "pages were lost",
                  &zone->file, &shm_zone->shm.name, lost->pages);
}


/* after a reload, or if the parent of a binary upgrade has another size */

static void
ngx_http_trove_dedup_zone_resize(ngx_shm_zone_t *shm_zone, ngx_log_t *log)
{
    ngx_uint_t                    left;
    ngx_trove_zone_now_t          now;
    ngx_trove_table_error_t       error;
    ngx_http_trove_dedup_zone_t  *zone;

    zone = shm_zone->data;

    if (ngx_trove_table_size(zone->table) == ngx_trove_table_bytes(zone->size))
    {
        return;
    }

    ngx_http_trove_clock_zone(&now);

    if (ngx_trove_table_resize(zone->table, zone->size, &now, &left, &error)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, log, error.err,
                      "trove: zone \"%V\" was not resized from %uz bytes, %s "
                      "failed", &shm_zone->shm.name,
                      ngx_trove_table_size(zone->table), error.call);
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "trove: zone \"%V\" was resized, its events were copied, %ui "
                  "of them did not fit",
                  &shm_zone->shm.name, left);
}


void
ngx_http_trove_dedup_zone_init_process(ngx_cycle_t *cycle)
{
    ngx_fd_t                       fd, *fds;
    ngx_uint_t                     i;
    ngx_array_t                   *zones, files;
    ngx_shm_zone_t               **z;
    ngx_http_trove_dedup_zone_t   *zone;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return;
    }

    zones = ngx_http_trove_dedup_zone_list(cycle->pool, cycle);

    if (zones == NULL
        || ngx_array_init(&files, cycle->pool, 4, sizeof(ngx_fd_t)) != NGX_OK)
    {
        return;
    }

    z = zones->elts;

    for (i = 0; i < zones->nelts; i++) {
        zone = z[i]->data;
        fd = ngx_trove_table_fd(zone->table);

        /*
         * The master starts the next binary, which inherits the file and its
         * lock; a worker may start other programs, which must not.
         */

        if (ngx_process == NGX_PROCESS_WORKER
            && fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
        {
            ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_errno,
                          "fcntl(FD_CLOEXEC) \"%V\" failed", &zone->file);
        }

        if (zone->file.len) {
            fds = ngx_array_push(&files);
            if (fds == NULL) {
                return;
            }

            *fds = fd;
        }
    }

    if (ngx_worker == 0) {
        ngx_http_trove_sync_start(files.elts, files.nelts, cycle->log);
    }
}


void
ngx_http_trove_dedup_zone_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                     i;
    ngx_array_t                   *zones;
    ngx_shm_zone_t               **z;
    ngx_http_trove_dedup_zone_t   *zone;

    ngx_http_trove_sync_stop();

    zones = ngx_http_trove_dedup_zone_list(cycle->pool, cycle);
    if (zones == NULL) {
        return;
    }

    z = zones->elts;

    /* a process that exits may wait for the disk */

    for (i = 0; i < zones->nelts; i++) {
        zone = z[i]->data;

        if (zone->file.len) {
            (void) fdatasync(ngx_trove_table_fd(zone->table));
        }
    }
}
