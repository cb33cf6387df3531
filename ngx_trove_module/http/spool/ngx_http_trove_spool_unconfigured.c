
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_spool_route.h"
#include "ngx_http_trove_spool_unconfigured.h"


/* targets that are logged by name */
#define NGX_HTTP_TROVE_SPOOL_UNCONFIGURED  10


/* of this process */
typedef struct {
    ngx_cycle_t                      *cycle;
    ngx_str_t                         uri;
    ngx_array_t                      *routes;   /* ngx_http_trove_route_t * */
    ngx_uint_t                        logged;   /* the most targets so far */
} ngx_http_trove_spool_unconfigured_t;


static ngx_uint_t ngx_http_trove_spool_unconfigured_each(
    ngx_trove_spool_stat_t *stat, ngx_uint_t log);


static ngx_http_trove_spool_unconfigured_t  ngx_http_trove_spool_unconfigured;


ngx_uint_t
ngx_http_trove_spool_target_known(ngx_array_t *routes,
    ngx_trove_spool_target_t *target)
{
    ngx_uint_t                 i, k;
    ngx_http_trove_route_t   **route;
    ngx_http_trove_target_t  **t;

    route = routes->elts;

    for (i = 0; i < routes->nelts; i++) {

        if (route[i]->name.len != target->route.len
            || ngx_strncmp(route[i]->name.data, target->route.data,
                           target->route.len)
               != 0)
        {
            continue;
        }

        t = route[i]->targets->elts;

        for (k = 0; k < route[i]->targets->nelts; k++) {

            if (t[k]->name.len == target->name.len
                && ngx_strncmp(t[k]->name.data, target->name.data,
                               target->name.len)
                   == 0)
            {
                return 1;
            }
        }
    }

    return 0;
}


void
ngx_http_trove_spool_unconfigured_init(ngx_cycle_t *cycle, ngx_str_t *uri,
    ngx_array_t *routes)
{
    ngx_http_trove_spool_unconfigured_t  *u;

    u = &ngx_http_trove_spool_unconfigured;

    u->cycle = cycle;
    u->uri = *uri;
    u->routes = routes;
    u->logged = 0;
}


/*
 * The first state may not show all of them: the old workers still have
 * deliveries in progress, which become pending when they are released.
 */

void
ngx_http_trove_spool_unconfigured_log(ngx_trove_spool_stat_t *stat)
{
    ngx_uint_t                            n;
    ngx_http_trove_spool_unconfigured_t  *u;

    u = &ngx_http_trove_spool_unconfigured;

    if (ngx_worker != 0 || ngx_exiting) {
        return;
    }

    n = ngx_http_trove_spool_unconfigured_each(stat, 0);

    if (n <= u->logged) {
        return;
    }

    u->logged = n;

    (void) ngx_http_trove_spool_unconfigured_each(stat,
                                           NGX_HTTP_TROVE_SPOOL_UNCONFIGURED);

    if (n > NGX_HTTP_TROVE_SPOOL_UNCONFIGURED) {
        ngx_log_error(NGX_LOG_WARN, u->cycle->log, 0,
                      "trove: deliveries in spool \"%V\" are waiting for %ui "
                      "more targets that are not configured", &u->uri,
                      n - NGX_HTTP_TROVE_SPOOL_UNCONFIGURED);
    }
}


/* returns the number of the targets, and logs the first ones */

static ngx_uint_t
ngx_http_trove_spool_unconfigured_each(ngx_trove_spool_stat_t *stat,
    ngx_uint_t log)
{
    uint64_t                              pending;
    ngx_uint_t                            i, n;
    ngx_trove_spool_gauge_t              *t;
    ngx_http_trove_spool_unconfigured_t  *u;

    u = &ngx_http_trove_spool_unconfigured;

    n = 0;

    for (i = 0; i < stat->ntargets; i++) {
        t = &stat->targets[i];

        pending = t->states[NGX_TROVE_SPOOL_NEW]
                  + t->states[NGX_TROVE_SPOOL_RETRY];

        if (pending == 0
            || ngx_http_trove_spool_target_known(u->routes, &t->target))
        {
            continue;
        }

        if (n++ < log) {
            ngx_log_error(NGX_LOG_WARN, u->cycle->log, 0,
                          "trove: %uL deliveries in spool \"%V\" are waiting "
                          "for target \"%V\" of location \"%V\", which is "
                          "not configured; restore the target or cancel the "
                          "deliveries with the API",
                          pending, &u->uri, &t->target.name, &t->target.route);
        }
    }

    return n;
}
