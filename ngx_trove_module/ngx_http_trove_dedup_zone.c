
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_dedup_zone.h"
#include "ngx_http_trove_module.h"
#include "ngx_http_trove_shm.h"
#include "ngx_http_trove_state.h"


/* what NGINX asks of every zone, for its own header */
#define NGX_HTTP_TROVE_ZONE_PAGES  8


/* the data of a shared memory zone that has been declared */
typedef struct {
    ngx_trove_zone_t        *table;
    ngx_str_t                path;       /* as configured */
    size_t                   size;

    /*
     * The table is in memory, or in a file.  Which of both, and which file, is
     * decided at the start of NGINX; what a reload says of it has to wait for
     * the next start.
     */
    ngx_http_trove_state_t  *state;      /* NULL: in memory */
    unsigned                 pending:1;  /* to be opened or resized */
} ngx_http_trove_dedup_zone_t;


static ngx_int_t ngx_http_trove_dedup_zone_init(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_array_t *ngx_http_trove_dedup_zone_list(ngx_pool_t *pool,
    ngx_cycle_t *cycle);
static ngx_int_t ngx_http_trove_dedup_zone_memory(ngx_shm_zone_t *shm_zone);
static void ngx_http_trove_dedup_zone_inherit(ngx_shm_zone_t *shm_zone,
    ngx_http_trove_dedup_zone_t *ozone);
static ngx_int_t ngx_http_trove_dedup_zone_state(ngx_conf_t *cf,
    ngx_http_trove_dedup_zone_t *zone, ngx_str_t *path);
static void ngx_http_trove_dedup_zone_cleanup(void *data);


char *
ngx_http_trove_dedup_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char                       *p;
    ssize_t                       size;
    ngx_str_t                    *value, name, path, s;
    ngx_uint_t                    i;
    ngx_shm_zone_t               *shm_zone;
    ngx_pool_cleanup_t           *cln;
    ngx_http_trove_dedup_zone_t  *zone;

    value = cf->args->elts;

    size = 0;
    ngx_str_null(&name);
    ngx_str_null(&path);

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "zone=", 5) == 0 && name.len == 0) {

            name.data = value[i].data + 5;

            p = (u_char *) ngx_strchr(name.data, ':');

            if (p == NULL || p == name.data) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid \"%V\" in \"%V\", "
                                   "say \"zone=NAME:SIZE\"",
                                   &value[i], &cmd->name);
                return NGX_CONF_ERROR;
            }

            name.len = p - name.data;

            s.data = p + 1;
            s.len = value[i].data + value[i].len - s.data;

            size = ngx_parse_size(&s);

            if (size == NGX_ERROR) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid size \"%V\" in \"%V\", "
                                   "say \"zone=%V:10m\"",
                                   &s, &cmd->name, &name);
                return NGX_CONF_ERROR;
            }

            if (size < (ssize_t) (NGX_HTTP_TROVE_ZONE_PAGES * ngx_pagesize)) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "size \"%V\" in \"%V\" is too small, "
                                   "at least %uzk are needed; "
                                   "10m hold 400,000 events",
                                   &s, &cmd->name,
                                   NGX_HTTP_TROVE_ZONE_PAGES * ngx_pagesize
                                   / 1024);
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (ngx_strncmp(value[i].data, "state=", 6) == 0
            && value[i].len > 6 && path.len == 0)
        {
            path.data = value[i].data + 6;
            path.len = value[i].len - 6;

            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown, empty or repeated parameter \"%V\" in "
                           "\"%V\", say \"zone=NAME:SIZE [state=PATH]\"",
                           &value[i], &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (name.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"zone=NAME:SIZE\" in \"%V\"", &cmd->name);
        return NGX_CONF_ERROR;
    }

    /* of no size yet, or NGINX itself would object to a second one */

    shm_zone = ngx_http_trove_dedup_zone_get(cf, &name);
    if (shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (shm_zone->data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" is declared twice by \"%V\", "
                           "remove one of them", &name, &cmd->name);
        return NGX_CONF_ERROR;
    }

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_trove_dedup_zone_t));
    if (zone == NULL) {
        return NGX_CONF_ERROR;
    }

    zone->size = size;

    if (path.len
        && ngx_http_trove_dedup_zone_state(cf, zone, &path) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_trove_dedup_zone_cleanup;
    cln->data = zone;

    /*
     * of its size also where the table is in a file: then NGINX tells by it
     * whether the size has changed, and no page of it is ever touched
     */

    shm_zone->shm.size = size;
    shm_zone->init = ngx_http_trove_dedup_zone_init;
    shm_zone->data = zone;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_trove_dedup_zone_state(ngx_conf_t *cf,
    ngx_http_trove_dedup_zone_t *zone, ngx_str_t *path)
{
    u_char                       *p, *slash;
    ngx_str_t                     dir;
    ngx_uint_t                    i;
    ngx_array_t                  *zones;
    ngx_file_info_t               fi;
    ngx_shm_zone_t              **z;
    ngx_http_trove_dedup_zone_t  *other;

    zone->path = *path;

    if (ngx_conf_full_name(cf->cycle, &zone->path, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    slash = zone->path.data;

    for (p = zone->path.data; *p; p++) {
        slash = (*p == '/') ? p : slash;
    }

    dir.len = slash - zone->path.data + 1;

    dir.data = ngx_pnalloc(cf->temp_pool, dir.len + 1);
    if (dir.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(dir.data, zone->path.data, dir.len + 1);

    if (ngx_file_info(dir.data, &fi) == NGX_FILE_ERROR || !ngx_is_dir(&fi)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no directory \"%V\" for \"state=%V\" in "
                           "\"trove_dedup_zone\", make it", &dir, path);
        return NGX_ERROR;
    }

    if (ngx_file_info(zone->path.data, &fi) != NGX_FILE_ERROR
        && !ngx_is_file(&fi))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"state=%V\" in \"trove_dedup_zone\" is not a "
                           "regular file, name one that is to be made", path);
        return NGX_ERROR;
    }

    zones = ngx_http_trove_dedup_zone_list(cf->temp_pool, cf->cycle);
    if (zones == NULL) {
        return NGX_ERROR;
    }

    z = zones->elts;

    for (i = 0; i < zones->nelts; i++) {
        other = z[i]->data;

        if (other->path.len == zone->path.len
            && ngx_strncmp(other->path.data, zone->path.data, zone->path.len)
               == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"state=%V\" in \"trove_dedup_zone\" is the "
                               "file of zone \"%V\" already, "
                               "name another one", path, &z[i]->shm.name);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void
ngx_http_trove_dedup_zone_cleanup(void *data)
{
    ngx_http_trove_dedup_zone_t *zone = data;

    ngx_http_trove_state_unref(zone->state);
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


ngx_trove_zone_t *
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


void
ngx_http_trove_dedup_zone_now(ngx_trove_zone_now_t *now)
{
    struct timespec  ts;

    now->wall = ngx_time();

    /* not ngx_current_msec: it is monotonic only on some systems */

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    now->mono = ts.tv_sec;
}


/*
 * Runs before it is certain that the new configuration will be used, and under
 * "nginx -t": it changes nothing that is in use, and no file.
 */

static ngx_int_t
ngx_http_trove_dedup_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_trove_dedup_zone_t *ozone = data;

    ngx_shm_zone_t               *old;
    ngx_slab_pool_t              *shpool;
    ngx_http_trove_dedup_zone_t  *zone;

    zone = shm_zone->data;

    if (ozone) {

        /* a reload: old and new workers are to see the same table */

        zone->table = ozone->table;
        ngx_http_trove_dedup_zone_inherit(shm_zone, ozone);

        return NGX_OK;
    }

    if (shm_zone->shm.exists) {
        shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;
        zone->table = shpool->data;

        return NGX_OK;
    }

    old = ngx_http_trove_shm_old(shm_zone);

    if (old == NULL) {

        /* the start */

        if (zone->path.len) {
            zone->pending = 1;
            return NGX_OK;
        }

        return ngx_http_trove_dedup_zone_memory(shm_zone);
    }

    /* a reload with another size */

    ozone = old->data;
    ngx_http_trove_dedup_zone_inherit(shm_zone, ozone);

    if (zone->state) {
        zone->table = ozone->table;
        zone->pending = 1;
        return NGX_OK;
    }

    return ngx_http_trove_dedup_zone_memory(shm_zone);
}


static void
ngx_http_trove_dedup_zone_inherit(ngx_shm_zone_t *shm_zone,
    ngx_http_trove_dedup_zone_t *ozone)
{
    ngx_str_t                    *path;
    ngx_uint_t                    same;
    ngx_http_trove_dedup_zone_t  *zone;

    zone = shm_zone->data;
    zone->state = ozone->state;

    if (zone->state) {
        ngx_http_trove_state_ref(zone->state);

        path = ngx_http_trove_state_path(zone->state);

        same = path->len == zone->path.len
               && ngx_memcmp(path->data, zone->path.data, path->len) == 0;

    } else {
        same = zone->path.len == 0;
    }

    if (!same) {
        ngx_log_error(NGX_LOG_WARN, shm_zone->shm.log, 0,
                      "trove: what has changed in \"state=\" of zone \"%V\" "
                      "takes effect at the next start", &shm_zone->shm.name);
    }
}


static ngx_int_t
ngx_http_trove_dedup_zone_memory(ngx_shm_zone_t *shm_zone)
{
    void                         *addr;
    size_t                        size;
    ngx_uint_t                    lost;
    ngx_shm_zone_t               *old;
    ngx_slab_pool_t              *shpool;
    ngx_trove_zone_now_t          now;
    ngx_http_trove_dedup_zone_t  *zone, *ozone;

    zone = shm_zone->data;
    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    size = shpool->pfree * ngx_pagesize;

    addr = ngx_slab_alloc(shpool, size);
    if (addr == NULL) {
        return NGX_ERROR;
    }

    zone->table = ngx_trove_zone_create(addr, size);

    if (zone->table == NULL) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "trove: zone \"%V\" cannot be made of %uz bytes",
                      &shm_zone->shm.name, size);
        return NGX_ERROR;
    }

    shpool->data = zone->table;

    old = ngx_http_trove_shm_old(shm_zone);

    if (old == NULL) {
        return NGX_OK;
    }

    ozone = old->data;

    ngx_http_trove_dedup_zone_now(&now);

    lost = ngx_trove_zone_copy(zone->table, ozone->table, &now);

    ngx_log_error(NGX_LOG_NOTICE, shm_zone->shm.log, 0,
                  "trove: zone \"%V\" has another size, its events were "
                  "carried over, but for %ui without room",
                  &shm_zone->shm.name, lost);

    return NGX_OK;
}


/* now it is certain, but for "nginx -t" */

ngx_int_t
ngx_http_trove_dedup_zone_init_module(ngx_cycle_t *cycle)
{
    ngx_uint_t                    i;
    ngx_array_t                  *zones;
    ngx_shm_zone_t              **z;
    ngx_http_trove_state_t       *state;
    ngx_http_trove_dedup_zone_t  *zone;

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

        if (!zone->pending) {
            continue;
        }

        zone->pending = 0;

        if (zone->state == NULL) {
            zone->state = ngx_http_trove_state_open(&zone->path, zone->size,
                                                    cycle->log);
            if (zone->state == NULL) {

                /* at a reload, an error is the end of the running server */

                if (ngx_is_init_cycle(ngx_cycle)
                    || ngx_http_trove_dedup_zone_memory(z[i]) != NGX_OK)
                {
                    return NGX_ERROR;
                }

                ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                              "trove: zone \"%V\" is in memory until the next "
                              "start, its state file cannot be opened",
                              &z[i]->shm.name);
                continue;
            }

        } else {

            /* an error here would be the end of a running server */

            state = ngx_http_trove_state_resize(zone->state, zone->size,
                                                cycle->log);
            if (state) {
                ngx_http_trove_state_unref(zone->state);
                zone->state = state;
            }
        }

        zone->table = ngx_http_trove_state_table(zone->state);
    }

    return NGX_OK;
}


void
ngx_http_trove_dedup_zone_sync(void)
{
    ngx_uint_t                    i;
    ngx_shm_zone_t               *zone;
    ngx_list_part_t              *part;
    ngx_http_trove_dedup_zone_t  *data;

    part = (ngx_list_part_t *) &ngx_cycle->shared_memory.part;
    zone = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return;
            }

            part = part->next;
            zone = part->elts;
            i = 0;
        }

        data = zone[i].data;

        if (zone[i].init == ngx_http_trove_dedup_zone_init && data->state) {
            ngx_http_trove_state_sync(data->state);
        }
    }
}
