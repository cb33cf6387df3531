
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics_conf.h"
#include "ngx_http_trove_metrics_shm.h"
#include "ngx_http_trove_module.h"
#include "ngx_http_trove_shm.h"


/* of a set: an earlier location shows its lines, or those of its fan-out */
#define NGX_HTTP_TROVE_METRICS_SEEN    1
#define NGX_HTTP_TROVE_METRICS_FANOUT  2

/* a generous estimate of the overhead of NGINX's slab allocator */
#define NGX_HTTP_TROVE_METRICS_SLAB(size)  (65536 + (size) / 64)

#define NGX_HTTP_TROVE_METRICS_ALIGN  64


/* the data of the shared memory zone */
typedef struct {
    ngx_trove_metrics_t      *table;
    ngx_trove_gauges_t       *gauges;
    ngx_uint_t                n;
    ngx_array_t              *locs;      /* ngx_http_trove_metrics_loc_t */
    ngx_trove_metrics_set_t  *spool;     /* NULL: no space */

    /* with gauges only, or without, if there is no space */
    ngx_http_trove_metrics_target_t  readers;
} ngx_http_trove_metrics_shm_t;


static size_t ngx_http_trove_metrics_shm_size(ngx_uint_t n);
static size_t ngx_http_trove_metrics_shm_table(ngx_uint_t n);
static ngx_http_trove_metrics_shm_t *ngx_http_trove_metrics_shm_zone(void);
static ngx_int_t ngx_http_trove_metrics_shm_init(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_int_t ngx_http_trove_metrics_shm_sets(ngx_shm_zone_t *shm_zone);
static void ngx_http_trove_metrics_shm_loc(ngx_http_trove_metrics_shm_t *zone,
    ngx_http_trove_metrics_loc_t *loc);
static void ngx_http_trove_metrics_shm_repeated(ngx_array_t *locs,
    ngx_http_trove_metrics_loc_t *repeated);


/*
 * The number is the version of the layout, including the meaning of each
 * counter.  Builds with another layout must not share the zone.
 */

static ngx_str_t  ngx_http_trove_metrics_shm_name =
    ngx_string("trove metrics 3");


ngx_shm_zone_t *
ngx_http_trove_metrics_shm_add(ngx_conf_t *cf, ngx_array_t *locs,
    ngx_uint_t ntargets)
{
    size_t                         size;
    ngx_uint_t                     n, need;
    ngx_shm_zone_t                *shm_zone;
    ngx_http_trove_metrics_shm_t  *zone;

    /* with space to grow: a zone of the same size survives a reload */

    need = 2 * (NGX_HTTP_TROVE_METRICS_SETS * locs->nelts + ntargets + 1);

    for (n = 32; n < need; n *= 2) { /* void */ }

    size = ngx_http_trove_metrics_shm_size(n);

    shm_zone = ngx_shared_memory_add(cf, &ngx_http_trove_metrics_shm_name,
                                     size + NGX_HTTP_TROVE_METRICS_SLAB(size),
                                     &ngx_http_trove_metrics_module);
    if (shm_zone == NULL) {
        return NULL;
    }

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_trove_metrics_shm_t));
    if (zone == NULL) {
        return NULL;
    }

    zone->n = n;
    zone->locs = locs;

    shm_zone->init = ngx_http_trove_metrics_shm_init;
    shm_zone->data = zone;

    return shm_zone;
}


/* n sets, followed by the gauges of each */

static size_t
ngx_http_trove_metrics_shm_size(ngx_uint_t n)
{
    return ngx_http_trove_metrics_shm_table(n)
           + ngx_trove_gauges_size(n * NGX_HTTP_TROVE_TARGET_GAUGES);
}


static size_t
ngx_http_trove_metrics_shm_table(ngx_uint_t n)
{
    return ngx_align(ngx_trove_metrics_size(n), NGX_HTTP_TROVE_METRICS_ALIGN);
}


/*
 * Runs before it is certain that the new configuration will be used.  The sets
 * that it adds are harmless if it is not.
 */

static ngx_int_t
ngx_http_trove_metrics_shm_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_trove_metrics_shm_t *ozone = data;

    u_char                        *addr;
    ngx_shm_zone_t                *old;
    ngx_slab_pool_t               *shpool;
    ngx_http_trove_metrics_shm_t  *zone;

    zone = shm_zone->data;
    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (ozone) {
        zone->table = ozone->table;
        zone->gauges = ozone->gauges;

    } else if (shm_zone->shm.exists) {
        zone->table = shpool->data;
        zone->gauges = (ngx_trove_gauges_t *) ((u_char *) shpool->data
                                + ngx_http_trove_metrics_shm_table(zone->n));

    } else {
        /* whole pages, and therefore aligned */

        addr = ngx_slab_alloc(shpool,
                              ngx_http_trove_metrics_shm_size(zone->n));
        if (addr == NULL) {
            return NGX_ERROR;
        }

        zone->table = ngx_trove_metrics_create(addr, zone->n);
        zone->gauges = ngx_trove_gauges_create(
                              addr + ngx_http_trove_metrics_shm_table(zone->n),
                              zone->n * NGX_HTTP_TROVE_TARGET_GAUGES);
        shpool->data = zone->table;

        /* configured sets come first: a smaller table may not hold all */

        if (ngx_http_trove_metrics_shm_sets(shm_zone) != NGX_OK) {
            return NGX_ERROR;
        }

        old = ngx_http_trove_shm_old(shm_zone);

        if (old) {
            ozone = old->data;
            ngx_trove_metrics_copy(zone->table, ozone->table);
        }

        return NGX_OK;
    }

    return ngx_http_trove_metrics_shm_sets(shm_zone);
}


static ngx_int_t
ngx_http_trove_metrics_shm_sets(ngx_shm_zone_t *shm_zone)
{
    u_char                        *seen;
    ngx_str_t                      name;
    ngx_uint_t                     i, n;
    ngx_slab_pool_t               *shpool;
    ngx_http_trove_metrics_loc_t  *loc;
    ngx_http_trove_metrics_shm_t  *zone;

    zone = shm_zone->data;
    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;
    loc = zone->locs->elts;

    seen = ngx_calloc(zone->n, shm_zone->shm.log);
    if (seen == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < zone->locs->nelts; i++) {

        ngx_http_trove_metrics_shm_loc(zone, &loc[i]);

        if (loc[i].sets[0] == NULL) {
            ngx_log_error(NGX_LOG_WARN, shm_zone->shm.log, 0,
                          "trove: no room for the metrics of location \"%V\", "
                          "too many others were added by reloads; restart "
                          "nginx to have it counted", &loc[i].name);

        } else {
            n = ngx_trove_metrics_index(zone->table, loc[i].sets[0]);

            if (seen[n] & NGX_HTTP_TROVE_METRICS_SEEN) {
                loc[i].repeated = 1;
                ngx_http_trove_metrics_shm_repeated(zone->locs, &loc[i]);
            }

            seen[n] |= NGX_HTTP_TROVE_METRICS_SEEN;

            if (loc[i].ntargets && !(seen[n] & NGX_HTTP_TROVE_METRICS_FANOUT)) {
                loc[i].fanout = 1;
                seen[n] |= NGX_HTTP_TROVE_METRICS_FANOUT;
            }
        }

        for (n = 0; n < loc[i].ntargets; n++) {
            ngx_http_trove_metrics_target_find(&loc[i].targets[n], zone->table,
                                               zone->gauges, shpool, seen,
                                               shm_zone->shm.log);
        }
    }

    ngx_free(seen);

    /* no location can have this name */

    ngx_str_set(&name, "\0spool");

    zone->spool = ngx_trove_metrics_set(zone->table, &name);

    if (zone->spool) {
        zone->readers.gauges = zone->gauges;
        zone->readers.gauge = ngx_trove_metrics_index(zone->table, zone->spool)
                              * NGX_HTTP_TROVE_TARGET_GAUGES;
    }

    return NGX_OK;
}


/* the name of set number i is the labels followed by i zero bytes */

static void
ngx_http_trove_metrics_shm_loc(ngx_http_trove_metrics_shm_t *zone,
    ngx_http_trove_metrics_loc_t *loc)
{
    ngx_str_t   name;
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_TROVE_METRICS_SETS; i++) {

        name.data = loc->labels.data;
        name.len = loc->labels.len + i;

        loc->sets[i] = ngx_trove_metrics_set(zone->table, &name);

        if (loc->sets[i] == NULL) {
            ngx_memzero(loc->sets, sizeof(loc->sets));
            return;
        }
    }
}


/* the first one shows the secrets of all locations with the same labels */

static void
ngx_http_trove_metrics_shm_repeated(ngx_array_t *locs,
    ngx_http_trove_metrics_loc_t *repeated)
{
    ngx_http_trove_metrics_loc_t  *loc;

    for (loc = locs->elts; loc != repeated; loc++) {

        if (loc->sets[0] == repeated->sets[0]) {
            loc->nsecrets = ngx_max(loc->nsecrets, repeated->nsecrets);
            return;
        }
    }
}


ngx_trove_metrics_set_t *
ngx_http_trove_metrics_shm_spool(void)
{
    ngx_http_trove_metrics_shm_t  *zone;

    zone = ngx_http_trove_metrics_shm_zone();

    return zone ? zone->spool : NULL;
}


ngx_http_trove_metrics_target_t *
ngx_http_trove_metrics_shm_gauges(void)
{
    ngx_http_trove_metrics_shm_t  *zone;

    zone = ngx_http_trove_metrics_shm_zone();

    return zone ? &zone->readers : NULL;
}


/* of the running configuration */

static ngx_http_trove_metrics_shm_t *
ngx_http_trove_metrics_shm_zone(void)
{
    ngx_http_trove_metrics_main_conf_t  *mmcf;

    mmcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_trove_metrics_module);

    return (mmcf && mmcf->shm_zone) ? mmcf->shm_zone->data : NULL;
}


void
ngx_http_trove_metrics_shm_release(ngx_shm_zone_t *shm_zone)
{
    ngx_http_trove_metrics_shm_t  *zone;

    zone = shm_zone->data;

    ngx_trove_gauges_release(zone->gauges, ngx_pid);
    ngx_trove_metrics_forget(zone->table, ngx_pid);
}
