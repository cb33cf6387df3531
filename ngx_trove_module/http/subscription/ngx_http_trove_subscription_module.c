
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_secret.h"
#include "ngx_http_trove_spool.h"
#include "ngx_http_trove_subscription.h"
#include "ngx_http_trove_subscription_conf.h"
#include "ngx_http_trove_variables.h"


static ngx_int_t ngx_http_trove_subscription_add_variables(ngx_conf_t *cf);
static ngx_int_t ngx_http_trove_subscription_url_variable(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_trove_subscription_id_variable(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);
static void *ngx_http_trove_subscription_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_trove_subscription_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_trove_subscription_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);
static char *ngx_http_trove_subscription_key(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_trove_subscription_keys(ngx_conf_t *cf, ngx_str_t *path,
    u_char *p, size_t len, void *data);
static void ngx_http_trove_subscription_wipe(void *data);
static char *ngx_http_trove_subscription_allow(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static ngx_int_t ngx_http_trove_subscription_init(ngx_conf_t *cf);


static ngx_command_t  ngx_http_trove_subscription_commands[] = {

    { ngx_string("trove_subscription_key"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_trove_subscription_key,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trove_subscription_allow"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_trove_subscription_allow,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_trove_subscription_module_ctx = {
    ngx_http_trove_subscription_add_variables,  /* preconfiguration */
    ngx_http_trove_subscription_init,      /* postconfiguration */

    ngx_http_trove_subscription_create_main_conf,  /* create main
                                              configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_trove_subscription_create_loc_conf,  /* create location
                                              configuration */
    ngx_http_trove_subscription_merge_loc_conf  /* merge location
                                              configuration */
};


ngx_module_t  ngx_http_trove_subscription_module = {
    NGX_MODULE_V1,
    &ngx_http_trove_subscription_module_ctx,  /* module context */
    ngx_http_trove_subscription_commands,  /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_http_variable_t  ngx_http_trove_subscription_variables[] = {

    { ngx_string("trove_subscription_url"), NULL,
      ngx_http_trove_subscription_url_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("trove_subscription_id"), NULL,
      ngx_http_trove_subscription_id_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


static ngx_int_t
ngx_http_trove_subscription_add_variables(ngx_conf_t *cf)
{
    return ngx_http_trove_variables_add(cf,
                                        ngx_http_trove_subscription_variables);
}


/* there is no value before an address has been chosen, and elsewhere */

static ngx_int_t
ngx_http_trove_subscription_url_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_trove_pin_t  *pin;

    pin = ngx_http_trove_pin_get(r);

    if (pin == NULL) {
        return ngx_http_trove_variable_none(v);
    }

    pin->used = 1;

    return ngx_http_trove_variable_set(v, pin->text.data, pin->text.len);
}


static ngx_int_t
ngx_http_trove_subscription_id_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_trove_delivery_t  *d;

    d = ngx_http_trove_delivery_find(r);

    if (d == NULL || d->subscriber == NULL) {
        return ngx_http_trove_variable_none(v);
    }

    return ngx_http_trove_variable_set(v, d->subscriber->id.data,
                                       d->subscriber->id.len);
}


static void *
ngx_http_trove_subscription_create_main_conf(ngx_conf_t *cf)
{
    /*
     * set by ngx_pcalloc():
     *
     *     conf->keys = NULL;
     */

    return ngx_pcalloc(cf->pool,
                       sizeof(ngx_http_trove_subscription_main_conf_t));
}


static void *
ngx_http_trove_subscription_create_loc_conf(ngx_conf_t *cf)
{
    /*
     * set by ngx_pcalloc():
     *
     *     conf->allow = NULL;
     */

    return ngx_pcalloc(cf->pool,
                       sizeof(ngx_http_trove_subscription_loc_conf_t));
}


static char *
ngx_http_trove_subscription_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_trove_subscription_loc_conf_t *prev = parent;
    ngx_http_trove_subscription_loc_conf_t *conf = child;

    if (conf->allow == NULL) {
        conf->allow = prev->allow;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_trove_subscription_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_trove_subscription_main_conf_t *smcf = conf;

    ngx_str_t           *value;
    ngx_pool_cleanup_t  *cln;

    if (smcf->keys) {
        return "is duplicate";
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    smcf->keys = ngx_pcalloc(cf->pool, sizeof(ngx_trove_seal_keys_t));
    if (smcf->keys == NULL) {
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_trove_subscription_wipe;
    cln->data = smcf->keys;

    value = cf->args->elts;

    return ngx_http_trove_secret_read_text(cf, &value[1],
                                           ngx_http_trove_subscription_keys,
                                           smcf->keys);
}


static char *
ngx_http_trove_subscription_keys(ngx_conf_t *cf, ngx_str_t *path, u_char *p,
    size_t len, void *data)
{
    ngx_str_t   *cmd;
    ngx_uint_t   line;
    const char  *error;

    error = ngx_trove_seal_keys(data, p, len, &line);

    if (error == NULL) {
        return NGX_CONF_OK;
    }

    cmd = cf->args->elts;

    if (line) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "line %ui of \"%V\" in \"%V\" is invalid: %s; make "
                           "a key by \"openssl rand -hex 32\"",
                           line, path, &cmd[0], error);

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"%V\" is invalid: %s; make one by "
                           "\"openssl rand -hex 32\"", path, &cmd[0], error);
    }

    return NGX_CONF_ERROR;
}


static void
ngx_http_trove_subscription_wipe(void *data)
{
    ngx_trove_seal_wipe(data);
}


static char *
ngx_http_trove_subscription_allow(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_trove_subscription_loc_conf_t *slcf = conf;

    ngx_str_t          *value;
    ngx_uint_t          i;
    const char         *error;
    ngx_trove_allow_t  *allow;

    if (slcf->allow == NULL) {
        slcf->allow = ngx_array_create(cf->pool, 4, sizeof(ngx_trove_allow_t));
        if (slcf->allow == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        allow = ngx_array_push(slcf->allow);
        if (allow == NULL) {
            return NGX_CONF_ERROR;
        }

        error = ngx_trove_allow_parse(&value[i], allow);

        if (error) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid value \"%V\" in \"%V\", it %s",
                               &value[i], &value[0], error);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_trove_subscription_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt                      *h;
    ngx_http_core_main_conf_t                *cmcf;
    ngx_http_trove_subscription_main_conf_t  *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                           ngx_http_trove_subscription_module);

    if (ngx_http_trove_subscription_check(cf, smcf->keys != NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_trove_subscription_handler;

    return NGX_OK;
}


ngx_uint_t
ngx_http_trove_subscription_enabled(ngx_http_request_t *r)
{
    ngx_uint_t                                i;
    ngx_array_t                              *routes;
    ngx_http_trove_route_t                  **route;
    ngx_http_trove_subscription_main_conf_t  *smcf;

    smcf = ngx_http_get_module_main_conf(r, ngx_http_trove_subscription_module);

    if (smcf->keys == NULL) {
        return 0;
    }

    routes = ngx_http_trove_spool_routes(r);
    route = routes->elts;

    for (i = 0; i < routes->nelts; i++) {
        if (route[i]->subscribers) {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_trove_subscription_seal(ngx_str_t *id, ngx_str_t *secret,
    ngx_str_t *sealed)
{
    ngx_int_t                                 rc;
    ngx_http_conf_ctx_t                      *ctx;
    ngx_http_trove_subscription_main_conf_t  *smcf;

    ctx = (ngx_http_conf_ctx_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                               ngx_http_module);
    smcf = ctx->main_conf[ngx_http_trove_subscription_module.ctx_index];

    if (smcf->keys == NULL) {
        return NGX_DECLINED;
    }

    rc = ngx_trove_seal(smcf->keys, id, secret, sealed->data);

    sealed->len = secret->len + NGX_TROVE_SEAL_OVERHEAD;

    return rc;
}


const char *
ngx_http_trove_subscription_url(ngx_http_request_t *r, ngx_str_t *url)
{
    const char                               *error, *first;
    ngx_uint_t                                i;
    ngx_array_t                              *routes, *allow;
    ngx_trove_url_t                           parsed;
    ngx_http_trove_route_t                  **route;
    ngx_http_trove_subscription_loc_conf_t   *slcf;

    error = ngx_trove_url_parse(url, &parsed);

    if (error) {
        return error;
    }

    routes = ngx_http_trove_spool_routes(r);
    route = routes->elts;
    first = "is not allowed";

    for (i = 0; i < routes->nelts; i++) {

        if (route[i]->subscribers == NULL) {
            continue;
        }

        slcf = route[i]->loc_conf[ngx_http_trove_subscription_module.ctx_index];
        allow = slcf->allow;

        error = ngx_trove_allow_url(allow ? allow->elts : NULL,
                                    allow ? allow->nelts : 0, &parsed);
        if (error == NULL) {
            return NULL;
        }

        first = error;
    }

    return first;
}


ngx_http_trove_target_t *
ngx_http_trove_subscription_target(ngx_http_request_t *r, ngx_str_t *url,
    ngx_http_core_srv_conf_t **cscf, void ***loc_conf)
{
    ngx_uint_t                                i;
    ngx_array_t                              *routes, *allow;
    ngx_trove_url_t                           parsed;
    ngx_http_trove_route_t                  **route;
    ngx_http_trove_subscription_loc_conf_t   *slcf;

    if (ngx_trove_url_parse(url, &parsed)) {
        return NULL;
    }

    routes = ngx_http_trove_spool_routes(r);
    route = routes->elts;

    for (i = 0; i < routes->nelts; i++) {

        if (route[i]->subscribers == NULL) {
            continue;
        }

        slcf = route[i]->loc_conf[ngx_http_trove_subscription_module.ctx_index];
        allow = slcf->allow;

        if (ngx_trove_allow_url(allow ? allow->elts : NULL,
                                allow ? allow->nelts : 0, &parsed)
            == NULL)
        {
            *cscf = route[i]->cscf;
            *loc_conf = route[i]->loc_conf;

            return route[i]->subscribers;
        }
    }

    return NULL;
}
