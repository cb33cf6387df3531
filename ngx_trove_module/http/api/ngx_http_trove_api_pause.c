
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_api.h"
#include "ngx_http_trove_spool.h"


static ngx_int_t ngx_http_trove_api_pause_targets(ngx_http_trove_api_t *api);
static ngx_uint_t ngx_http_trove_api_equal(ngx_str_t *a, ngx_str_t *b);
static ngx_int_t ngx_http_trove_api_stored(ngx_http_trove_api_t *api);


ngx_int_t
ngx_http_trove_api_prepare_pause(ngx_http_trove_api_t *api, ngx_str_t *segments)
{
    api->paused = 1;

    return ngx_http_trove_api_pause_targets(api);
}


ngx_int_t
ngx_http_trove_api_prepare_resume(ngx_http_trove_api_t *api,
    ngx_str_t *segments)
{
    api->wake = 1;

    return ngx_http_trove_api_pause_targets(api);
}


void
ngx_http_trove_api_work_targets(ngx_http_trove_api_t *api)
{
    api->result = ngx_trove_spool_stat(api->spool, &api->error);

    api->rc = api->result ? NGX_OK : NGX_ERROR;
}


/* finds the configured targets that the call applies to */

static ngx_int_t
ngx_http_trove_api_pause_targets(ngx_http_trove_api_t *api)
{
    ngx_uint_t                 i, k, n;
    ngx_array_t               *routes;
    ngx_trove_spool_filter_t  *filter;
    ngx_http_trove_route_t   **route;
    ngx_http_trove_target_t  **target;

    filter = &api->filter;

    if (filter->target.len == 0) {
        api->reject = "\"target\" is missing";
        return NGX_HTTP_BAD_REQUEST;
    }

    routes = ngx_http_trove_spool_routes(api->request);
    route = routes->elts;

    for (i = 0, n = 0; i < routes->nelts; i++) {
        n += route[i]->targets->nelts;
    }

    api->targets = ngx_palloc(api->request->pool,
                              n * sizeof(ngx_trove_spool_target_t) + 1);
    if (api->targets == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    for (i = 0; i < routes->nelts; i++) {

        if (filter->route.data
            && !ngx_http_trove_api_equal(&filter->route, &route[i]->name))
        {
            continue;
        }

        target = route[i]->targets->elts;

        for (k = 0; k < route[i]->targets->nelts; k++) {

            if (!target[k]->subscribers
                && ngx_http_trove_api_equal(&filter->target, &target[k]->name))
            {
                api->targets[api->ntargets].route = route[i]->name;
                api->targets[api->ntargets++].name = target[k]->name;
            }
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_trove_api_equal(ngx_str_t *a, ngx_str_t *b)
{
    return a->len == b->len && ngx_memcmp(a->data, b->data, a->len) == 0;
}


/*
 * A pause that names the location creates the target in the spool.  This is
 * done for configured targets only: others would stay there forever.
 */

void
ngx_http_trove_api_pause(ngx_http_trove_api_t *api)
{
    ngx_int_t                 rc;
    ngx_uint_t                i;
    ngx_trove_spool_target_t  target;

    for (i = 0; i < api->ntargets; i++) {
        rc = ngx_trove_spool_pause(api->spool, &api->targets[i], api->paused,
                                   &api->error);
        if (rc != NGX_OK) {
            api->rc = rc;
            return;
        }
    }

    if (api->filter.route.data) {

        if (api->ntargets) {
            api->rc = NGX_OK;
            return;
        }

        api->rc = ngx_http_trove_api_stored(api);

        if (api->rc != NGX_OK) {
            return;
        }
    }

    target.name = api->filter.target;
    target.route = api->filter.route;

    rc = ngx_trove_spool_pause(api->spool, &target, api->paused, &api->error);

    api->rc = (rc == NGX_DECLINED && api->ntargets) ? NGX_OK : rc;
}


static ngx_int_t
ngx_http_trove_api_stored(ngx_http_trove_api_t *api)
{
    ngx_int_t                  rc;
    ngx_uint_t                 i;
    ngx_trove_spool_stat_t    *stat;
    ngx_trove_spool_target_t  *target;

    stat = ngx_trove_spool_stat(api->spool, &api->error);
    if (stat == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_DECLINED;

    for (i = 0; i < stat->ntargets; i++) {
        target = &stat->targets[i].target;

        if (ngx_http_trove_api_equal(&target->name, &api->filter.target)
            && ngx_http_trove_api_equal(&target->route, &api->filter.route))
        {
            rc = NGX_OK;
            break;
        }
    }

    ngx_trove_spool_free(stat);

    return rc;
}
