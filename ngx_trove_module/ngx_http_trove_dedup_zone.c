
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_dedup_zone.h"
#include "ngx_http_trove_module.h"
#include "ngx_http_trove_shm.h"


/* what NGINX asks of every zone, for its own header */
#define NGX_HTTP_TROVE_ZONE_PAGES  8


/* the data of a shared memory zone that has been declared */
typedef struct {
    ngx_trove_zone_t  *table;
} ngx_http_trove_dedup_zone_t;


static ngx_int_t ngx_http_trove_dedup_zone_init(ngx_shm_zone_t *shm_zone,
    void *data);
static void ngx_http_trove_dedup_zone_carry(ngx_shm_zone_t *shm_zone,
    ngx_trove_zone_t *table);


char *
ngx_http_trove_dedup_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char                       *p;
    ssize_t                       size;
    ngx_str_t                    *value, name, s;
    ngx_uint_t                    i;
    ngx_shm_zone_t               *shm_zone;
    ngx_http_trove_dedup_zone_t  *zone;

    value = cf->args->elts;

    size = 0;
    ngx_str_null(&name);

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

        if (ngx_strncmp(value[i].data, "state=", 6) == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"state=\" in \"%V\" is not supported yet, "
                               "remove it", &cmd->name);
            return NGX_CONF_ERROR;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown or repeated parameter \"%V\" in \"%V\", "
                           "say \"zone=NAME:SIZE\"", &value[i], &cmd->name);
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

    shm_zone->shm.size = size;
    shm_zone->init = ngx_http_trove_dedup_zone_init;
    shm_zone->data = zone;

    return NGX_CONF_OK;
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
    ngx_uint_t         i;
    ngx_array_t       *zones;
    ngx_shm_zone_t    *zone, **z;
    ngx_list_part_t   *part;

    zones = ngx_array_create(pool, 4, sizeof(ngx_shm_zone_t *));
    if (zones == NULL) {
        return NULL;
    }

    part = (ngx_list_part_t *) &ngx_cycle->shared_memory.part;
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
 * "nginx -t": it changes nothing that is in use.
 */

static ngx_int_t
ngx_http_trove_dedup_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_trove_dedup_zone_t  *ozone = data;

    void                         *addr;
    size_t                        size;
    ngx_slab_pool_t              *shpool;
    ngx_http_trove_dedup_zone_t  *zone;

    zone = shm_zone->data;

    if (ozone) {

        /* a reload: old and new workers are to see the same table */

        zone->table = ozone->table;
        return NGX_OK;
    }

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (shm_zone->shm.exists) {
        zone->table = shpool->data;
        return NGX_OK;
    }

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

    ngx_http_trove_dedup_zone_carry(shm_zone, zone->table);

    return NGX_OK;
}


static void
ngx_http_trove_dedup_zone_carry(ngx_shm_zone_t *shm_zone,
    ngx_trove_zone_t *table)
{
    ngx_uint_t                    lost;
    ngx_shm_zone_t               *old;
    ngx_trove_zone_now_t          now;
    ngx_http_trove_dedup_zone_t  *ozone;

    old = ngx_http_trove_shm_old(shm_zone);

    if (old == NULL) {
        return;
    }

    ozone = old->data;

    ngx_http_trove_dedup_zone_now(&now);

    lost = ngx_trove_zone_copy(table, ozone->table, &now);

    ngx_log_error(NGX_LOG_NOTICE, shm_zone->shm.log, 0,
                  "trove: zone \"%V\" has another size, its events were "
                  "carried over, but for %ui without room",
                  &shm_zone->shm.name, lost);
}
