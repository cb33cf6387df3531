
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_health.h"
#include "ngx_http_trove_module.h"
#include "ngx_http_trove_shm.h"


/* a generous estimate of the overhead of NGINX's slab allocator */
#define NGX_HTTP_TROVE_HEALTH_SLAB(size)  (65536 + (size) / 64)


/* the data of the shared memory zone */
typedef struct {
    ngx_trove_slots_t         *table;
    ngx_uint_t                 n;
    ngx_array_t               *names;    /* ngx_http_trove_health_name_t */
} ngx_http_trove_health_zone_t;


static ngx_int_t ngx_http_trove_health_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_uint_t ngx_http_trove_health_server(ngx_conf_t *cf,
    ngx_http_core_srv_conf_t *cscf);


/* the number is the layout version; other layouts must not share the zone */

static ngx_str_t  ngx_http_trove_health_name = ngx_string("trove health 2");


/* of this process; NULL: none */
static ngx_shm_zone_t  *ngx_http_trove_health_shm;


ngx_int_t
ngx_http_trove_health_add(ngx_conf_t *cf, ngx_array_t *names,
    ngx_http_core_srv_conf_t *cscf, void **loc_conf, ngx_str_t *target,
    ngx_trove_health_t **health)
{
    u_char                        *p;
    ngx_http_core_loc_conf_t      *clcf;
    ngx_http_trove_health_name_t  *name;

    clcf = loc_conf[ngx_http_core_module.ctx_index];

    *health = ngx_pcalloc(cf->pool, sizeof(ngx_trove_health_t));
    name = ngx_array_push(names);

    if (*health == NULL || name == NULL) {
        return NGX_ERROR;
    }

    name->health = health;

    p = ngx_pnalloc(cf->pool, cscf->server_name.len + clcf->name.len
                              + (target ? target->len : 0)
                              + NGX_INT_T_LEN + 4);
    if (p == NULL) {
        return NGX_ERROR;
    }

    name->name.data = p;

    p = ngx_sprintf(p, "%V%Z%ui%Z%c%V", &cscf->server_name,
                    ngx_http_trove_health_server(cf, cscf),
                    clcf->exact_match ? '=' : ' ', &clcf->name);

    if (target) {
        p = ngx_sprintf(p, "%Z%V", target);
    }

    name->name.len = p - name->name.data;

    return NGX_OK;
}


/* servers may share a name or have none: counts earlier ones of that name */

static ngx_uint_t
ngx_http_trove_health_server(ngx_conf_t *cf, ngx_http_core_srv_conf_t *cscf)
{
    ngx_uint_t                   i, n;
    ngx_http_core_srv_conf_t   **server;
    ngx_http_core_main_conf_t   *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    server = cmcf->servers.elts;

    n = 0;

    for (i = 0; i < cmcf->servers.nelts && server[i] != cscf; i++) {

        n += server[i]->server_name.len == cscf->server_name.len
             && ngx_strncmp(server[i]->server_name.data,
                            cscf->server_name.data, cscf->server_name.len)
                == 0;
    }

    return n;
}


ngx_int_t
ngx_http_trove_health_zone(ngx_conf_t *cf, ngx_array_t *names)
{
    size_t                         size;
    ngx_uint_t                     n;
    ngx_shm_zone_t                *shm_zone;
    ngx_http_trove_health_zone_t  *zone;

    if (names->nelts == 0) {
        return NGX_OK;
    }

    /* with space to grow: a zone of the same size survives a reload */

    for (n = 64; n < 2 * names->nelts; n *= 2) { /* void */ }

    size = ngx_trove_health_size(n);

    shm_zone = ngx_shared_memory_add(cf, &ngx_http_trove_health_name,
                                     size + NGX_HTTP_TROVE_HEALTH_SLAB(size),
                                     &ngx_http_trove_fanout_module);
    if (shm_zone == NULL) {
        return NGX_ERROR;
    }

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_trove_health_zone_t));
    if (zone == NULL) {
        return NGX_ERROR;
    }

    zone->n = n;
    zone->names = names;

    shm_zone->init = ngx_http_trove_health_init_zone;
    shm_zone->data = zone;

    return NGX_OK;
}


/*
 * Runs before it is certain that the new configuration will be used.  The
 * entries that it adds are harmless if it is not.
 */

static ngx_int_t
ngx_http_trove_health_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_trove_health_zone_t *ozone = data;

    void                          *addr;
    ngx_uint_t                     i;
    ngx_slab_pool_t               *shpool;
    ngx_trove_health_t            *health;
    ngx_http_trove_health_zone_t  *zone;
    ngx_http_trove_health_name_t  *name;

    zone = shm_zone->data;
    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (ozone) {
        zone->table = ozone->table;

    } else if (shm_zone->shm.exists) {
        zone->table = shpool->data;

    } else {
        addr = ngx_slab_alloc(shpool, ngx_trove_health_size(zone->n));
        if (addr == NULL) {
            return NGX_ERROR;
        }

        zone->table = ngx_trove_health_create(addr, zone->n);
        shpool->data = zone->table;
    }

    name = zone->names->elts;

    for (i = 0; i < zone->names->nelts; i++) {

        /* if the zone is full, each worker has its own health and logs it */

        health = ngx_trove_health_find(zone->table, &name[i].name);

        if (health) {
            *name[i].health = health;
        }
    }

    return NGX_OK;
}


void
ngx_http_trove_health_init(ngx_cycle_t *cycle)
{
    ngx_http_trove_health_shm = ngx_http_trove_shm_find(cycle,
                                               &ngx_http_trove_health_name,
                                               &ngx_http_trove_fanout_module);
    ngx_http_trove_health_exit(cycle);
}


void
ngx_http_trove_health_exit(ngx_cycle_t *cycle)
{
    ngx_shm_zone_t                *shm_zone;
    ngx_http_trove_health_zone_t  *zone;

    /* with "master_process off", a reload has replaced the one of the start */

    shm_zone = ngx_http_trove_shm_find(cycle, &ngx_http_trove_health_name,
                                       &ngx_http_trove_fanout_module);
    if (shm_zone) {
        zone = shm_zone->data;
        ngx_trove_slots_forget(zone->table, ngx_pid);
    }
}


/* the name in the table is that of the parent followed by the given name */

ngx_trove_health_t *
ngx_http_trove_health_acquire(ngx_trove_health_t *parent, ngx_str_t *name)
{
    u_char                         buf[sizeof(parent->slot.name)
                                       + NGX_HTTP_TROVE_HEALTH_NAME];
    ngx_str_t                      full;
    ngx_slab_pool_t               *shpool;
    ngx_trove_health_t            *health;
    ngx_http_trove_health_zone_t  *zone;

    if (ngx_http_trove_health_shm == NULL
        || (parent->slot.name[0] == 0 && parent->slot.name[1] == 0)
        || name->len > NGX_HTTP_TROVE_HEALTH_NAME)
    {
        return NULL;
    }

    full.data = buf;
    full.len = ngx_cpymem(ngx_cpymem(buf, parent->slot.name,
                                     sizeof(parent->slot.name)),
                          name->data, name->len)
               - buf;

    zone = ngx_http_trove_health_shm->data;
    shpool = (ngx_slab_pool_t *) ngx_http_trove_health_shm->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);

    health = ngx_trove_health_acquire(zone->table, &full, ngx_pid);

    ngx_shmtx_unlock(&shpool->mutex);

    return health;
}


void
ngx_http_trove_health_release(ngx_trove_health_t *health)
{
    ngx_slab_pool_t               *shpool;
    ngx_http_trove_health_zone_t  *zone;

    zone = ngx_http_trove_health_shm->data;
    shpool = (ngx_slab_pool_t *) ngx_http_trove_health_shm->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);

    ngx_trove_slots_release(zone->table, &health->slot, ngx_pid);

    ngx_shmtx_unlock(&shpool->mutex);
}
