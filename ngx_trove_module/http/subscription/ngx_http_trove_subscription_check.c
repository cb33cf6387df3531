
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_compat.h"
#include "ngx_http_trove_spool.h"
#include "ngx_http_trove_subscription_conf.h"


/* Checks of the locations by which events are delivered to subscribers. */


static ngx_int_t ngx_http_trove_subscription_check_target(ngx_conf_t *cf,
    ngx_http_trove_target_t *target);
#if (NGX_HTTP_SSL)
static ngx_int_t ngx_http_trove_subscription_check_flag(ngx_conf_t *cf,
    ngx_http_trove_target_t *target, const char *name);
#endif


ngx_int_t
ngx_http_trove_subscription_check(ngx_conf_t *cf, ngx_uint_t keys)
{
    ngx_uint_t                 i;
    ngx_array_t               *routes;
    ngx_http_trove_route_t   **route;
    ngx_http_trove_target_t   *target;

    routes = ngx_http_trove_spool_conf_routes(cf);
    route = routes->elts;

    for (i = 0; i < routes->nelts; i++) {

        target = route[i]->subscribers;

        if (target == NULL) {
            continue;
        }

        if (!keys) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"trove_subscriptions\" requires a key that seals "
                          "the secrets, add \"trove_subscription_key "
                          "file:PATH\" to http in %s:%ui",
                          target->place.file, target->place.line);
            return NGX_ERROR;
        }

        if (ngx_http_trove_subscription_check_target(cf, target) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_subscription_check_target(ngx_conf_t *cf,
    ngx_http_trove_target_t *target)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = target->loc_conf[ngx_http_core_module.ctx_index];

    if (clcf->resolver == NULL || !ngx_http_trove_resolves(clcf->resolver)) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "location \"%V\" of \"trove_subscriptions\" requires a "
                      "resolver, add \"resolver ADDRESS;\" to it in %s:%ui",
                      &clcf->name, target->place.file, target->place.line);
        return NGX_ERROR;
    }

#if (NGX_HTTP_SSL)

    if (ngx_http_trove_subscription_check_flag(cf, target, "proxy_ssl_verify")
        != NGX_OK
        || ngx_http_trove_subscription_check_flag(cf, target,
                                                  "proxy_ssl_server_name")
           != NGX_OK)
    {
        return NGX_ERROR;
    }

#endif

    return NGX_OK;
}


#if (NGX_HTTP_SSL)

/*
 * The value of a flag of another module, which is found by the offset of its
 * directive.
 */

static ngx_int_t
ngx_http_trove_subscription_check_flag(ngx_conf_t *cf,
    ngx_http_trove_target_t *target, const char *name)
{
    u_char                    *conf;
    ngx_uint_t                 i;
    ngx_module_t              *m;
    ngx_command_t             *cmd;
    ngx_http_core_loc_conf_t  *clcf;

    for (i = 0; cf->cycle->modules[i]; i++) {
        m = cf->cycle->modules[i];

        if (m->type != NGX_HTTP_MODULE || m->commands == NULL
            || target->loc_conf[m->ctx_index] == NULL)
        {
            continue;
        }

        conf = target->loc_conf[m->ctx_index];

        for (cmd = m->commands; cmd->name.len; cmd++) {

            if (ngx_strcmp(cmd->name.data, name) != 0
                || cmd->set != ngx_conf_set_flag_slot)
            {
                continue;
            }

            if (*(ngx_flag_t *) (conf + cmd->offset) == 1) {
                return NGX_OK;
            }

            clcf = target->loc_conf[ngx_http_core_module.ctx_index];

            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "the certificates of subscribers must be verified, "
                          "add \"%s on;\" to location \"%V\" of "
                          "\"trove_subscriptions\" in %s:%ui",
                          name, &clcf->name, target->place.file,
                          target->place.line);
            return NGX_ERROR;
        }
    }

    /* NGINX without the proxy module */

    return NGX_OK;
}

#endif
