
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_dedup.h"
#include "ngx_http_trove_fanout.h"
#include "ngx_http_trove_metrics.h"
#include "ngx_http_trove_metrics_spool.h"
#include "ngx_http_trove_module.h"
#include "ngx_http_trove_shm.h"
#include "ngx_http_trove_verify.h"


/* of a set: one before shows its lines, or those of its fan-out */
#define NGX_HTTP_TROVE_METRICS_SEEN    1
#define NGX_HTTP_TROVE_METRICS_FANOUT  2

/* what NGINX's slab allocator needs for itself, generously */
#define NGX_HTTP_TROVE_METRICS_SLAB(size)  (65536 + (size) / 64)

#define NGX_HTTP_TROVE_METRICS_ALIGN  64


typedef struct {
    ngx_array_t               locs;      /* ngx_http_trove_metrics_loc_t */
    ngx_array_t               all;       /* ngx_http_trove_metrics_merged_t */
    ngx_uint_t                ntargets;
    ngx_trove_metrics_set_t  *spool;     /* NULL: no room, or no spool */
    ngx_shm_zone_t           *shm_zone;  /* NULL: nothing to count */
} ngx_http_trove_metrics_main_conf_t;


typedef struct ngx_http_trove_metrics_loc_conf_s
    ngx_http_trove_metrics_loc_conf_t;

struct ngx_http_trove_metrics_loc_conf_s {
    ngx_flag_t                          enable;
    ngx_uint_t                          index;     /* in locs; -1: none */

    /* an "if" or "limit_except" block belongs to its location */
    ngx_http_trove_metrics_loc_conf_t  *outer;
};


typedef struct {
    ngx_http_trove_metrics_loc_conf_t  *conf;
    ngx_http_core_srv_conf_t           *cscf;
    void                              **loc_conf;
} ngx_http_trove_metrics_merged_t;


/* the data of the shared memory zone */
typedef struct {
    ngx_trove_metrics_t                 *table;
    ngx_trove_gauges_t                  *gauges;
    ngx_uint_t                           n;
    ngx_http_trove_metrics_main_conf_t  *mmcf;
} ngx_http_trove_metrics_zone_t;


static ngx_int_t ngx_http_trove_metrics_handler(ngx_http_request_t *r);

static void *ngx_http_trove_metrics_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_trove_metrics_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_trove_metrics_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);
static char *ngx_http_trove_metrics(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_trove_metrics_init(ngx_conf_t *cf);
static size_t ngx_http_trove_metrics_size(ngx_uint_t n);
static size_t ngx_http_trove_metrics_table(ngx_uint_t n);
static ngx_int_t ngx_http_trove_metrics_locs(ngx_conf_t *cf,
    ngx_http_trove_metrics_main_conf_t *mmcf);
static ngx_int_t ngx_http_trove_metrics_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_int_t ngx_http_trove_metrics_sets(ngx_shm_zone_t *shm_zone);
static ngx_int_t ngx_http_trove_metrics_init_process(ngx_cycle_t *cycle);
static void ngx_http_trove_metrics_exit_process(ngx_cycle_t *cycle);


static ngx_command_t  ngx_http_trove_metrics_commands[] = {

    { ngx_string("trove_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_trove_metrics,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_trove_metrics_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_trove_metrics_init,           /* postconfiguration */

    ngx_http_trove_metrics_create_main_conf, /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_trove_metrics_create_loc_conf, /* create location configuration */
    ngx_http_trove_metrics_merge_loc_conf  /* merge location configuration */
};


ngx_module_t  ngx_http_trove_metrics_module = {
    NGX_MODULE_V1,
    &ngx_http_trove_metrics_module_ctx,    /* module context */
    ngx_http_trove_metrics_commands,       /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_trove_metrics_init_process,   /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_trove_metrics_exit_process,   /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_str_t  ngx_http_trove_metrics_name = ngx_string("trove metrics");


void
ngx_http_trove_metrics_add(ngx_http_request_t *r, ngx_uint_t counter,
    uint64_t n)
{
    ngx_http_trove_metrics_loc_t        *locs;
    ngx_http_trove_metrics_loc_conf_t   *mlcf;
    ngx_http_trove_metrics_main_conf_t  *mmcf;

    mlcf = ngx_http_get_module_loc_conf(r, ngx_http_trove_metrics_module);

    if (mlcf->index == NGX_CONF_UNSET_UINT) {
        return;
    }

    mmcf = ngx_http_get_module_main_conf(r, ngx_http_trove_metrics_module);
    locs = mmcf->locs.elts;

    if (locs[mlcf->index].set) {
        ngx_trove_metrics_add(locs[mlcf->index].set, ngx_worker, counter, n);
    }
}


uint64_t
ngx_http_trove_metrics_clock(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}


ngx_uint_t
ngx_http_trove_metrics_exempt(void **loc_conf)
{
    ngx_http_trove_metrics_loc_conf_t  *mlcf;

    mlcf = loc_conf[ngx_http_trove_metrics_module.ctx_index];

    return mlcf->enable;
}


static ngx_int_t
ngx_http_trove_metrics_handler(ngx_http_request_t *r)
{
    ngx_int_t                            rc;
    ngx_buf_t                           *b;
    ngx_chain_t                          out;
    ngx_http_trove_metrics_main_conf_t  *mmcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    mmcf = ngx_http_get_module_main_conf(r, ngx_http_trove_metrics_module);

    b = ngx_http_trove_metrics_text(r->pool, mmcf->locs.elts,
                                    mmcf->locs.nelts);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_str_set(&r->headers_out.content_type, "text/plain; version=0.0.4");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = b->last - b->pos;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static void *
ngx_http_trove_metrics_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_trove_metrics_main_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_trove_metrics_main_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->ntargets = 0;
     *     conf->shm_zone = NULL;
     */

    if (ngx_array_init(&conf->locs, cf->pool, 4,
                       sizeof(ngx_http_trove_metrics_loc_t))
        != NGX_OK
        || ngx_array_init(&conf->all, cf->pool, 16,
                          sizeof(ngx_http_trove_metrics_merged_t))
           != NGX_OK)
    {
        return NULL;
    }

    return conf;
}


static void *
ngx_http_trove_metrics_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_trove_metrics_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_trove_metrics_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->enable = 0;
     *     conf->outer = NULL;
     */

    conf->index = NGX_CONF_UNSET_UINT;

    return conf;
}


static char *
ngx_http_trove_metrics_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_trove_metrics_loc_conf_t *prev = parent;
    ngx_http_trove_metrics_loc_conf_t *conf = child;

    ngx_http_core_loc_conf_t            *clcf;
    ngx_http_trove_metrics_merged_t     *merged;
    ngx_http_trove_metrics_main_conf_t  *mmcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (conf->enable && clcf->handler != ngx_http_trove_metrics_handler) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"trove_metrics\" in location \"%V\" has another "
                           "handler beside it, give it a location of its own",
                           &clcf->name);
        return NGX_CONF_ERROR;
    }

    if (clcf->noname) {
        conf->outer = prev;
        conf->enable = prev->enable;

        if (clcf->lmt_excpt && clcf->handler == NULL && conf->enable) {
            clcf->handler = ngx_http_trove_metrics_handler;
        }
    }

    mmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_trove_metrics_module);

    merged = ngx_array_push(&mmcf->all);
    if (merged == NULL) {
        return NGX_CONF_ERROR;
    }

    merged->conf = conf;
    merged->cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);
    merged->loc_conf = ((ngx_http_conf_ctx_t *) cf->ctx)->loc_conf;

    return NGX_CONF_OK;
}


static char *
ngx_http_trove_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_trove_metrics_loc_conf_t *mlcf = conf;

    ngx_http_core_loc_conf_t  *clcf;

    if (mlcf->enable) {
        return "is duplicate";
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"trove_metrics\" in location \"%V\" has another "
                           "handler beside it, give it a location of its own",
                           &clcf->name);
        return NGX_CONF_ERROR;
    }

    clcf->handler = ngx_http_trove_metrics_handler;
    mlcf->enable = 1;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_trove_metrics_init(ngx_conf_t *cf)
{
    size_t                               size;
    ngx_uint_t                           n, need;
    ngx_shm_zone_t                      *shm_zone;
    ngx_http_trove_metrics_zone_t       *zone;
    ngx_http_trove_metrics_main_conf_t  *mmcf;

    mmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_trove_metrics_module);

    if (ngx_http_trove_metrics_locs(cf, mmcf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (mmcf->locs.nelts == 0) {
        return NGX_OK;
    }

    /* with room to grow: a zone of the same size is shared over a reload */

    need = 2 * (mmcf->locs.nelts + mmcf->ntargets + 1);

    for (n = 32; n < need; n *= 2) { /* void */ }

    size = ngx_http_trove_metrics_size(n);

    shm_zone = ngx_shared_memory_add(cf, &ngx_http_trove_metrics_name,
                                     size + NGX_HTTP_TROVE_METRICS_SLAB(size),
                                     &ngx_http_trove_metrics_module);
    if (shm_zone == NULL) {
        return NGX_ERROR;
    }

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_trove_metrics_zone_t));
    if (zone == NULL) {
        return NGX_ERROR;
    }

    zone->n = n;
    zone->mmcf = mmcf;

    shm_zone->init = ngx_http_trove_metrics_init_zone;
    shm_zone->data = zone;

    mmcf->shm_zone = shm_zone;

    return NGX_OK;
}


/* n sets, and behind them the gauges of each */

static size_t
ngx_http_trove_metrics_size(ngx_uint_t n)
{
    return ngx_http_trove_metrics_table(n)
           + ngx_trove_gauges_size(n * NGX_HTTP_TROVE_TARGET_GAUGES);
}


static size_t
ngx_http_trove_metrics_table(ngx_uint_t n)
{
    return ngx_align(ngx_trove_metrics_size(n), NGX_HTTP_TROVE_METRICS_ALIGN);
}


/* the locations in which there is anything to count */

static ngx_int_t
ngx_http_trove_metrics_locs(ngx_conf_t *cf,
    ngx_http_trove_metrics_main_conf_t *mmcf)
{
    ngx_uint_t                        i;
    ngx_array_t                      *targets;
    ngx_http_core_loc_conf_t         *clcf;
    ngx_http_trove_verify_info_t      info;
    ngx_http_trove_metrics_loc_t     *loc;
    ngx_http_trove_metrics_merged_t  *merged;

    merged = mmcf->all.elts;

    for (i = 0; i < mmcf->all.nelts; i++) {

        if (merged[i].conf->outer) {

            /* outer ones come first */

            merged[i].conf->index = merged[i].conf->outer->index;
            continue;
        }

        ngx_http_trove_verify_info(merged[i].loc_conf, &info);

        targets = ngx_http_trove_fanout_targets(merged[i].loc_conf);

        if (info.mode == NGX_HTTP_TROVE_VERIFY_OFF
            && targets == NULL
            && !ngx_http_trove_dedup_enabled(merged[i].loc_conf))
        {
            continue;
        }

        loc = ngx_array_push(&mmcf->locs);
        if (loc == NULL) {
            return NGX_ERROR;
        }

        clcf = merged[i].loc_conf[ngx_http_core_module.ctx_index];

        loc->server = merged[i].cscf->server_name;
        loc->location = clcf->name;
        loc->loc_conf = merged[i].loc_conf;
        loc->set = NULL;
        loc->targets = NULL;
        loc->ntargets = 0;
        loc->repeated = 0;
        loc->fanout = 0;

        if (targets) {
            loc->targets = ngx_http_trove_metrics_target_make(cf, &loc->server,
                                                     &loc->location, targets);
            if (loc->targets == NULL) {
                return NGX_ERROR;
            }

            loc->ntargets = targets->nelts;
            mmcf->ntargets += targets->nelts;
        }

        merged[i].conf->index = mmcf->locs.nelts - 1;
    }

    return NGX_OK;
}


/*
 * Runs before it is certain that the new configuration will be used: it may add
 * sets, which harm nobody.
 */

static ngx_int_t
ngx_http_trove_metrics_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_trove_metrics_zone_t *ozone = data;

    u_char                         *addr;
    ngx_shm_zone_t                 *old;
    ngx_slab_pool_t                *shpool;
    ngx_http_trove_metrics_zone_t  *zone;

    zone = shm_zone->data;
    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (ozone) {
        zone->table = ozone->table;
        zone->gauges = ozone->gauges;

    } else if (shm_zone->shm.exists) {
        zone->table = shpool->data;
        zone->gauges = (ngx_trove_gauges_t *) ((u_char *) shpool->data
                                     + ngx_http_trove_metrics_table(zone->n));

    } else {
        /* pages, and so aligned */

        addr = ngx_slab_alloc(shpool, ngx_http_trove_metrics_size(zone->n));
        if (addr == NULL) {
            return NGX_ERROR;
        }

        zone->table = ngx_trove_metrics_create(addr, zone->n);
        zone->gauges = ngx_trove_gauges_create(
                                   addr + ngx_http_trove_metrics_table(zone->n),
                                   zone->n * NGX_HTTP_TROVE_TARGET_GAUGES);
        shpool->data = zone->table;

        old = ngx_http_trove_shm_old(shm_zone);

        if (old) {
            ozone = old->data;
            ngx_trove_metrics_copy(zone->table, ozone->table);
        }
    }

    return ngx_http_trove_metrics_sets(shm_zone);
}


static ngx_int_t
ngx_http_trove_metrics_sets(ngx_shm_zone_t *shm_zone)
{
    u_char                         *p, *seen, buf[1024];
    ngx_str_t                       name;
    ngx_uint_t                      i, n;
    ngx_http_trove_metrics_loc_t   *loc;
    ngx_http_trove_metrics_zone_t  *zone;

    zone = shm_zone->data;
    loc = zone->mmcf->locs.elts;

    seen = ngx_calloc(zone->n, shm_zone->shm.log);
    if (seen == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < zone->mmcf->locs.nelts; i++) {

        p = ngx_snprintf(buf, sizeof(buf), "%V%Z%V", &loc[i].server,
                         &loc[i].location);
        name.data = buf;
        name.len = p - buf;

        loc[i].set = ngx_trove_metrics_set(zone->table, &name);

        if (loc[i].set == NULL) {
            ngx_log_error(NGX_LOG_WARN, shm_zone->shm.log, 0,
                          "trove: no room for the metrics of location \"%V\", "
                          "reloads have brought too many others; restart to "
                          "have it counted", &loc[i].location);

        } else {
            n = ngx_trove_metrics_index(zone->table, loc[i].set);
            loc[i].repeated = seen[n] & NGX_HTTP_TROVE_METRICS_SEEN;
            seen[n] |= NGX_HTTP_TROVE_METRICS_SEEN;

            if (loc[i].ntargets && !(seen[n] & NGX_HTTP_TROVE_METRICS_FANOUT)) {
                loc[i].fanout = 1;
                seen[n] |= NGX_HTTP_TROVE_METRICS_FANOUT;
            }
        }

        for (n = 0; n < loc[i].ntargets; n++) {
            ngx_http_trove_metrics_target_find(&loc[i].targets[n], zone->table,
                                               zone->gauges, seen,
                                               shm_zone->shm.log);
        }
    }

    ngx_free(seen);

    /* no location has a name like that */

    ngx_str_set(&name, "\0spool");

    zone->mmcf->spool = ngx_trove_metrics_set(zone->table, &name);

    return NGX_OK;
}


void
ngx_http_trove_metrics_spool_add(ngx_uint_t counter, uint64_t n)
{
    ngx_http_trove_metrics_main_conf_t  *mmcf;

    mmcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_trove_metrics_module);

    if (mmcf && mmcf->spool) {
        ngx_trove_metrics_add(mmcf->spool, ngx_worker, counter, n);
    }
}


uint64_t
ngx_http_trove_metrics_spool_sum(ngx_uint_t counter)
{
    ngx_http_trove_metrics_main_conf_t  *mmcf;

    mmcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_trove_metrics_module);

    return (mmcf && mmcf->spool) ? ngx_trove_metrics_sum(mmcf->spool, counter)
                                 : 0;
}


/*
 * A process that comes must not have what one of the same id has left behind,
 * and one that goes gives back its gauges.
 */

static ngx_int_t
ngx_http_trove_metrics_init_process(ngx_cycle_t *cycle)
{
    ngx_http_trove_metrics_exit_process(cycle);

    return NGX_OK;
}


static void
ngx_http_trove_metrics_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_trove_metrics_zone_t       *zone;
    ngx_http_trove_metrics_main_conf_t  *mmcf;

    mmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_trove_metrics_module);

    if (mmcf && mmcf->shm_zone) {
        zone = mmcf->shm_zone->data;
        ngx_trove_gauges_release(zone->gauges, ngx_pid);
    }
}
