
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics.h"
#include "ngx_http_trove_metrics_conf.h"
#include "ngx_http_trove_module.h"


void
ngx_http_trove_metrics_add(ngx_http_request_t *r, ngx_uint_t counter,
    uint64_t n)
{
    ngx_http_trove_metrics_loc_add(ngx_http_trove_metrics_loc(r), counter, n);
}


ngx_http_trove_metrics_loc_t *
ngx_http_trove_metrics_loc(ngx_http_request_t *r)
{
    ngx_http_trove_metrics_loc_t        *locs;
    ngx_http_trove_metrics_loc_conf_t   *mlcf;
    ngx_http_trove_metrics_main_conf_t  *mmcf;

    mlcf = ngx_http_get_module_loc_conf(r, ngx_http_trove_metrics_module);

    if (mlcf->index == NGX_CONF_UNSET_UINT) {
        return NULL;
    }

    mmcf = ngx_http_get_module_main_conf(r, ngx_http_trove_metrics_module);
    locs = mmcf->locs.elts;

    return locs[mlcf->index].sets[0] ? &locs[mlcf->index] : NULL;
}


void
ngx_http_trove_metrics_loc_add(ngx_http_trove_metrics_loc_t *loc,
    ngx_uint_t counter, uint64_t n)
{
    if (loc) {
        ngx_trove_metrics_add(loc->sets[counter / NGX_TROVE_METRICS_COUNTERS],
                              ngx_worker,
                              counter % NGX_TROVE_METRICS_COUNTERS, n);
    }
}


uint64_t
ngx_http_trove_metrics_loc_sum(ngx_http_trove_metrics_loc_t *loc,
    ngx_uint_t counter)
{
    return ngx_trove_metrics_sum(
                          loc->sets[counter / NGX_TROVE_METRICS_COUNTERS],
                          counter % NGX_TROVE_METRICS_COUNTERS);
}


ngx_http_trove_metrics_target_t *
ngx_http_trove_metrics_loc_targets(ngx_conf_t *cf, ngx_uint_t n)
{
    ngx_http_trove_metrics_loc_conf_t  *mlcf;

    mlcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_trove_metrics_module);

    mlcf->targets = ngx_pcalloc(cf->pool,
                                n * sizeof(ngx_http_trove_metrics_target_t));
    mlcf->ntargets = n;

    return mlcf->targets;
}


ngx_http_trove_metrics_loc_t *
ngx_http_trove_metrics_loc_spooled(ngx_conf_t *cf, void **loc_conf)
{
    ngx_http_trove_metrics_loc_t        *locs;
    ngx_http_trove_metrics_loc_conf_t   *mlcf;
    ngx_http_trove_metrics_main_conf_t  *mmcf;

    mmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_trove_metrics_module);
    mlcf = loc_conf[ngx_http_trove_metrics_module.ctx_index];

    locs = mmcf->locs.elts;
    locs[mlcf->index].spooled = 1;

    return &locs[mlcf->index];
}
