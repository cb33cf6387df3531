
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_delivery.h"
#include "ngx_http_trove_fanout.h"
#include "ngx_http_trove_fanout_conf.h"
#include "ngx_http_trove_health.h"
#include "ngx_http_trove_module.h"
#include "ngx_http_trove_spool.h"
#include "ngx_http_trove_target_conf.h"


static void *ngx_http_trove_fanout_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_trove_fanout_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_trove_fanout_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);
static char *ngx_http_trove_fanout(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_trove_fanout_alone(ngx_conf_t *cf,
    ngx_http_core_loc_conf_t *clcf, ngx_http_trove_place_t *place);
static char *ngx_http_trove_fanout_mode(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_trove_fanout_wait(ngx_conf_t *cf,
    ngx_http_trove_loc_conf_t *tlcf, ngx_array_t *targets);
static ngx_int_t ngx_http_trove_fanout_names(ngx_conf_t *cf,
    ngx_http_trove_fanout_main_conf_t *fmcf, ngx_http_trove_loc_conf_t *tlcf);
static void ngx_http_trove_fanout_check_modes(ngx_conf_t *cf,
    ngx_http_trove_fanout_main_conf_t *fmcf);
static ngx_int_t ngx_http_trove_fanout_init_conf(ngx_conf_t *cf);
static ngx_int_t ngx_http_trove_fanout_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_trove_fanout_init_process(ngx_cycle_t *cycle);
static void ngx_http_trove_fanout_exit_process(ngx_cycle_t *cycle);


static ngx_conf_enum_t  ngx_http_trove_fanout_modes[] = {
    { ngx_string("wait"), NGX_HTTP_TROVE_FANOUT_WAIT },
    { ngx_string("spool"), NGX_HTTP_TROVE_FANOUT_SPOOL },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_http_trove_fanout_commands[] = {

    { ngx_string("trove_fanout"),
      NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_trove_fanout,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trove_subscriptions"),
      NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_trove_fanout,
      NGX_HTTP_LOC_CONF_OFFSET,
      1,
      NULL },

    { ngx_string("trove_fanout_mode"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_trove_fanout_mode,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_trove_fanout_loc_conf_t, mode),
      ngx_http_trove_fanout_modes },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_trove_fanout_module_ctx = {
    ngx_http_trove_fanout_add_variables,   /* preconfiguration */
    ngx_http_trove_fanout_init_conf,       /* postconfiguration */

    ngx_http_trove_fanout_create_main_conf, /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_trove_fanout_create_loc_conf, /* create location configuration */
    ngx_http_trove_fanout_merge_loc_conf   /* merge location configuration */
};


ngx_module_t  ngx_http_trove_fanout_module = {
    NGX_MODULE_V1,
    &ngx_http_trove_fanout_module_ctx,     /* module context */
    ngx_http_trove_fanout_commands,        /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_trove_fanout_init_module,     /* init module */
    ngx_http_trove_fanout_init_process,    /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_trove_fanout_exit_process,    /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void *
ngx_http_trove_fanout_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_trove_fanout_main_conf_t  *conf;

    conf = ngx_palloc(cf->pool, sizeof(ngx_http_trove_fanout_main_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->modes = NULL;

    if (ngx_array_init(&conf->names, cf->pool, 16,
                       sizeof(ngx_http_trove_health_name_t))
        != NGX_OK)
    {
        return NULL;
    }

    return conf;
}


static void *
ngx_http_trove_fanout_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_trove_fanout_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_trove_fanout_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->targets = NULL;
     *     conf->place = { NULL, 0 };
     *     conf->from = NULL;
     *     conf->route = NULL;
     */

    conf->mode = NGX_CONF_UNSET_UINT;

    return conf;
}


static char *
ngx_http_trove_fanout_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_trove_fanout_loc_conf_t *prev = parent;
    ngx_http_trove_fanout_loc_conf_t *conf = child;

    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_trove_loc_conf_t  *tlcf;

    if (conf->mode == NGX_CONF_UNSET_UINT) {
        conf->from = prev->from;
    }

    ngx_conf_merge_uint_value(conf->mode, prev->mode,
                              NGX_HTTP_TROVE_FANOUT_WAIT);

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->noname) {

        /*
         * "if" inherits the handler of its location, "limit_except" does not
         */

        conf->targets = prev->targets;

        if (clcf->lmt_excpt && clcf->handler == NULL && conf->targets) {
            clcf->handler = ngx_http_trove_fanout_handler;
        }
    }

    tlcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_trove_module);
    tlcf->targets = conf->targets;

    if (conf->targets && !clcf->noname
        && clcf->handler != ngx_http_trove_fanout_handler)
    {
        return ngx_http_trove_fanout_alone(cf, clcf, &conf->place);
    }

    if (conf->targets == NULL || clcf->noname) {
        return NGX_CONF_OK;
    }

    return ngx_http_trove_target_metrics(cf, conf->targets);
}


static char *
ngx_http_trove_fanout(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_trove_fanout_loc_conf_t *flcf = conf;

    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (flcf->targets == NULL) {
        ngx_http_trove_conf_place(cf, &flcf->place);
    }

    if (clcf->handler && clcf->handler != ngx_http_trove_fanout_handler) {
        return ngx_http_trove_fanout_alone(cf, clcf, &flcf->place);
    }

    clcf->handler = ngx_http_trove_fanout_handler;

    if (flcf->targets == NULL) {
        flcf->targets = ngx_array_create(cf->pool, 4,
                                         sizeof(ngx_http_trove_target_t *));
        if (flcf->targets == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    /* the offset tells "trove_subscriptions" */

    return cmd->offset ? ngx_http_trove_target_subscribers(cf, flcf->targets)
                       : ngx_http_trove_target_add(cf, flcf->targets);
}


static char *
ngx_http_trove_fanout_alone(ngx_conf_t *cf, ngx_http_core_loc_conf_t *clcf,
    ngx_http_trove_place_t *place)
{
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"trove_fanout\" or \"trove_subscriptions\" in location "
                  "\"%V\" conflicts with another content handler, such as "
                  "\"proxy_pass\"; move that to a separate \"internal\" "
                  "location and make it a target in %s:%ui",
                  &clcf->name, place->file, place->line);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_trove_fanout_mode(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_trove_fanout_loc_conf_t *flcf = conf;

    char                               *rv;
    ngx_http_trove_fanout_mode_t       *from;
    ngx_http_trove_fanout_main_conf_t  *fmcf;

    rv = ngx_conf_set_enum_slot(cf, cmd, conf);

    if (rv != NGX_CONF_OK || flcf->mode == NGX_HTTP_TROVE_FANOUT_WAIT) {
        return rv;
    }

    from = ngx_palloc(cf->pool, sizeof(ngx_http_trove_fanout_mode_t));
    if (from == NULL) {
        return NGX_CONF_ERROR;
    }

    fmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_trove_fanout_module);

    ngx_http_trove_conf_place(cf, &from->place);
    from->used = 0;
    from->next = fmcf->modes;

    fmcf->modes = from;
    flcf->from = from;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_trove_fanout_init_conf(ngx_conf_t *cf)
{
    ngx_uint_t                          i;
    ngx_array_t                        *locs;
    ngx_http_handler_pt                *h;
    ngx_http_core_main_conf_t          *cmcf;
    ngx_http_trove_loc_conf_t         **loc;
    ngx_http_trove_fanout_loc_conf_t   *conf, *outer;
    ngx_http_trove_fanout_main_conf_t  *fmcf;

    fmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_trove_fanout_module);

    locs = ngx_http_trove_locs(cf);
    loc = locs->elts;

    for (i = 0; i < locs->nelts; i++) {

        if (loc[i]->targets == NULL) {
            continue;
        }

        if (ngx_http_trove_fanout_names(cf, fmcf, loc[i]) != NGX_OK) {
            return NGX_ERROR;
        }

        conf = loc[i]->loc_conf[ngx_http_trove_fanout_module.ctx_index];

        if (loc[i]->outer) {

            /* outer ones come first */

            outer = loc[i]->outer->loc_conf[
                                      ngx_http_trove_fanout_module.ctx_index];
            conf->route = outer->route;
            continue;
        }

        if (ngx_http_trove_target_check(cf, loc[i]->cscf, conf->targets)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (conf->mode == NGX_HTTP_TROVE_FANOUT_WAIT) {

            if (ngx_http_trove_fanout_wait(cf, loc[i], conf->targets)
                != NGX_OK)
            {
                return NGX_ERROR;
            }

            continue;
        }

        conf->from->used = 1;

        conf->route = ngx_http_trove_spool_route(cf, loc[i]->cscf,
                                                 loc[i]->loc_conf,
                                                 conf->targets);
        if (conf->route == NULL) {
            return NGX_ERROR;
        }
    }

    if (ngx_http_trove_health_zone(cf, &fmcf->names) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_trove_fanout_check_modes(cf, fmcf);
    ngx_http_trove_spool_check_used(cf);

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_trove_fanout_event;

    if (ngx_http_trove_delivery_init(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_trove_fanout_metrics_init(cf);
}


/* subscriptions are in the spool, and so are their deliveries */

static ngx_int_t
ngx_http_trove_fanout_wait(ngx_conf_t *cf, ngx_http_trove_loc_conf_t *tlcf,
    ngx_array_t *targets)
{
    ngx_uint_t                 i;
    ngx_http_trove_target_t  **target;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = tlcf->loc_conf[ngx_http_core_module.ctx_index];
    target = targets->elts;

    for (i = 0; i < targets->nelts; i++) {

        if (target[i]->subscribers) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"trove_subscriptions\" in location \"%V\" requires "
                          "the spool, add \"trove_fanout_mode spool\" to the "
                          "location in %s:%ui", &clcf->name,
                          target[i]->place.file, target[i]->place.line);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* an "if" block shares the name and the targets of its location */

static ngx_int_t
ngx_http_trove_fanout_names(ngx_conf_t *cf,
    ngx_http_trove_fanout_main_conf_t *fmcf, ngx_http_trove_loc_conf_t *tlcf)
{
    ngx_uint_t                 i;
    ngx_http_trove_target_t  **target;

    if (ngx_http_trove_health_add(cf, &fmcf->names, tlcf->cscf, tlcf->loc_conf,
                                  NULL, &tlcf->health)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (tlcf->outer) {
        return NGX_OK;
    }

    target = tlcf->targets->elts;

    for (i = 0; i < tlcf->targets->nelts; i++) {

        if (ngx_http_trove_health_add(cf, &fmcf->names, tlcf->cscf,
                                      tlcf->loc_conf, &target[i]->name,
                                      &target[i]->health)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void
ngx_http_trove_fanout_check_modes(ngx_conf_t *cf,
    ngx_http_trove_fanout_main_conf_t *fmcf)
{
    ngx_http_trove_fanout_mode_t  *from;

    for (from = fmcf->modes; from; from = from->next) {

        if (from->used) {
            continue;
        }

        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"trove_fanout_mode spool\" has no effect without "
                      "\"trove_fanout\", move it to a location with "
                      "\"trove_fanout\" in %s:%ui",
                      from->place.file, from->place.line);
    }
}


static ngx_int_t
ngx_http_trove_fanout_init_module(ngx_cycle_t *cycle)
{
    ngx_http_trove_delivery_init_module();

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_fanout_init_process(ngx_cycle_t *cycle)
{
    ngx_http_trove_fanout_init();
    ngx_http_trove_delivery_init_process(cycle);
    ngx_http_trove_health_init(cycle);

    return NGX_OK;
}


static void
ngx_http_trove_fanout_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_trove_fanout_exit();
    ngx_http_trove_health_exit(cycle);
}
