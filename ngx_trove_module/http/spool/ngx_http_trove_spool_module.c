
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_compat.h"
#include "ngx_http_trove_conf.h"
#include "ngx_http_trove_metrics.h"
#include "ngx_http_trove_module.h"
#include "ngx_http_trove_sign.h"
#include "ngx_http_trove_spool.h"
#include "ngx_http_trove_spool_dispatcher.h"
#include "ngx_http_trove_spool_metrics.h"
#include "ngx_http_trove_spool_pool.h"
#include "ngx_http_trove_spool_retry.h"
#include "ngx_http_trove_spool_unconfigured.h"
#include "ngx_http_trove_spool_uri.h"
#include "ngx_http_trove_spool_writer.h"
#include "ngx_trove_spool_engine.h"
#include "ngx_trove_sqlite.h"


#define NGX_HTTP_TROVE_SPOOL_RETENTION      ((int64_t) 7 * 86400 * 1000)
#define NGX_HTTP_TROVE_SPOOL_RETENTION_MAX  ((int64_t) 3660 * 86400 * 1000)
#define NGX_HTTP_TROVE_SPOOL_SIZE_MIN       (1024 * 1024)

/* a smaller number without a unit, which means seconds, is suspicious */
#define NGX_HTTP_TROVE_SPOOL_RETENTION_BARE  3600

/* the time that a thread waits for other writers at most, milliseconds */
#define NGX_HTTP_TROVE_SPOOL_WAIT           2000


typedef struct {
    ngx_trove_spool_conf_t    spool;           /* uri.len == 0: none */
    ngx_http_trove_place_t    place;           /* of the directive */
    ngx_fd_t                  lock;            /* or NGX_INVALID_FILE */
    ngx_array_t               routes;          /* ngx_http_trove_route_t * */
} ngx_http_trove_spool_main_conf_t;


typedef struct {
    ngx_http_trove_retry_t    retry;           /* base == 0: not set */
} ngx_http_trove_spool_loc_conf_t;


static ngx_int_t ngx_http_trove_spool_add_engines(ngx_conf_t *cf);
static ngx_int_t ngx_http_trove_spool_init_conf(ngx_conf_t *cf);
static void *ngx_http_trove_spool_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_trove_spool_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_trove_spool_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_trove_spool(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_trove_spool_retry(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_trove_spool_name(ngx_conf_t *cf,
    ngx_http_trove_route_t *route);
static ngx_int_t ngx_http_trove_spool_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_trove_spool_init_process(ngx_cycle_t *cycle);


static ngx_command_t  ngx_http_trove_spool_commands[] = {

    { ngx_string("trove_spool"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_trove_spool,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("trove_retry"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_trove_spool_retry,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_trove_spool_module_ctx = {
    ngx_http_trove_spool_add_engines,      /* preconfiguration */
    ngx_http_trove_spool_init_conf,        /* postconfiguration */

    ngx_http_trove_spool_create_main_conf, /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_trove_spool_create_loc_conf,  /* create location configuration */
    ngx_http_trove_spool_merge_loc_conf    /* merge location configuration */
};


ngx_module_t  ngx_http_trove_spool_module = {
    NGX_MODULE_V1,
    &ngx_http_trove_spool_module_ctx,      /* module context */
    ngx_http_trove_spool_commands,         /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_trove_spool_init_module,      /* init module */
    ngx_http_trove_spool_init_process,     /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_trove_spool_add_engines(ngx_conf_t *cf)
{
    return ngx_trove_spool_register(&ngx_trove_sqlite_engine);
}


static ngx_int_t
ngx_http_trove_spool_init_conf(ngx_conf_t *cf)
{
    ngx_http_trove_spool_main_conf_t  *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_trove_spool_module);

    return ngx_http_trove_spool_metrics_init(cf, &smcf->routes);
}


static void *
ngx_http_trove_spool_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_trove_spool_main_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_trove_spool_main_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&conf->routes, cf->pool, 2,
                       sizeof(ngx_http_trove_route_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return conf;
}


static void *
ngx_http_trove_spool_create_loc_conf(ngx_conf_t *cf)
{
    /*
     * set by ngx_pcalloc():
     *
     *     conf->retry = { 0 };
     */

    return ngx_pcalloc(cf->pool, sizeof(ngx_http_trove_spool_loc_conf_t));
}


static char *
ngx_http_trove_spool_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_trove_spool_loc_conf_t *prev = parent;
    ngx_http_trove_spool_loc_conf_t *conf = child;

    if (conf->retry.base == 0) {

        if (prev->retry.base == 0) {
            ngx_http_trove_retry_default(&prev->retry);
        }

        conf->retry = prev->retry;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_trove_spool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_trove_spool_main_conf_t *smcf = conf;

    off_t        size;
    int64_t      msec;
    ngx_str_t   *value, s;
    ngx_uint_t   i;

    if (smcf->spool.uri.len) {
        return "is duplicate";
    }

    if (ngx_http_trove_spool_threads(cf, &cmd->name) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    if (ngx_http_trove_spool_uri(cf, &value[1], &smcf->spool.uri) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    ngx_http_trove_conf_place(cf, &smcf->place);
    smcf->spool.wait = NGX_HTTP_TROVE_SPOOL_WAIT;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "max_size=", 9) == 0
            && smcf->spool.max_size == 0)
        {
            s.data = value[i].data + 9;
            s.len = value[i].len - 9;

            size = ngx_parse_offset(&s);

            if (size == NGX_ERROR || size < NGX_HTTP_TROVE_SPOOL_SIZE_MIN) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid size \"%V\" in \"%V\", it must be "
                                   "at least 1m", &value[i], &value[0]);
                return NGX_CONF_ERROR;
            }

            smcf->spool.max_size = size;
            continue;
        }

        if (ngx_strncmp(value[i].data, "retention=", 10) == 0
            && smcf->spool.retention == 0)
        {
            s.data = value[i].data + 10;
            s.len = value[i].len - 10;

            msec = ngx_parse_time(&s, 0);

            if (s.len == 0 || msec < 1000
                || msec > NGX_HTTP_TROVE_SPOOL_RETENTION_MAX)
            {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid retention \"%V\" in \"%V\", "
                                   "it must be from 1s to 3660d", &value[i],
                                   &value[0]);
                return NGX_CONF_ERROR;
            }

            ngx_http_trove_conf_bare(cf, &value[i], 10,
                                     NGX_HTTP_TROVE_SPOOL_RETENTION_BARE);

            smcf->spool.retention = msec;
            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown or duplicate parameter \"%V\" in \"%V\", "
                           "expected \"PATH [max_size=SIZE] [retention=TIME]\"",
                           &value[i], &value[0]);
        return NGX_CONF_ERROR;
    }

    if (smcf->spool.retention == 0) {
        smcf->spool.retention = NGX_HTTP_TROVE_SPOOL_RETENTION;
    }

    if (ngx_http_trove_spool_own(cf, &smcf->spool.uri, &smcf->lock)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_trove_pool_add(cf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_trove_spool_threads(ngx_conf_t *cf, ngx_str_t *directive)
{
    if (ngx_http_trove_threads()) {
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%V\" requires threads, rebuild nginx itself with "
                       "\"./configure --with-threads\"", directive);

    return NGX_ERROR;
}


static char *
ngx_http_trove_spool_retry(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_trove_spool_loc_conf_t *slcf = conf;

    if (slcf->retry.base) {
        return "is duplicate";
    }

    return ngx_http_trove_retry_conf(cf, &slcf->retry);
}


ngx_http_trove_route_t *
ngx_http_trove_spool_route(ngx_conf_t *cf, ngx_http_core_srv_conf_t *cscf,
    void **loc_conf, ngx_array_t *targets)
{
    ngx_uint_t                         i;
    ngx_http_trove_route_t            *route, **r;
    ngx_http_trove_target_t          **target;
    ngx_http_core_loc_conf_t          *clcf;
    ngx_http_trove_spool_loc_conf_t   *slcf;
    ngx_http_trove_spool_main_conf_t  *smcf;

    static ngx_str_t  mode = ngx_string("trove_fanout_mode spool");

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_trove_spool_module);
    clcf = loc_conf[ngx_http_core_module.ctx_index];

    target = targets->elts;

    if (ngx_http_trove_spool_threads(cf, &mode) != NGX_OK) {
        return NULL;
    }

    if (smcf->spool.uri.len == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"trove_fanout_mode spool\" in location \"%V\" requires "
                      "a spool, add \"trove_spool PATH\" to http in %s:%ui",
                      &clcf->name, target[0]->place.file,
                      target[0]->place.line);
        return NULL;
    }

    route = ngx_palloc(cf->pool, sizeof(ngx_http_trove_route_t));
    if (route == NULL) {
        return NULL;
    }

    route->cscf = cscf;
    route->loc_conf = loc_conf;
    route->targets = targets;
    route->first = 0;
    route->subscribers = NULL;

    if (ngx_http_trove_spool_name(cf, route) != NGX_OK) {
        return NULL;
    }

    r = smcf->routes.elts;

    for (i = 0; i < smcf->routes.nelts; i++) {

        if (r[i]->name.len == route->name.len
            && ngx_strncmp(r[i]->name.data, route->name.data, route->name.len)
               == 0)
        {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "two locations \"%V\" of servers named \"%V\" with "
                          "\"trove_fanout_mode spool\" cannot be distinguished "
                          "in the spool, use different server names in %s:%ui",
                          &clcf->name, &cscf->server_name,
                          target[0]->place.file, target[0]->place.line);
            return NULL;
        }
    }

    r = ngx_array_push(&smcf->routes);
    if (r == NULL) {
        return NULL;
    }

    *r = route;

    route->metrics = ngx_http_trove_metrics_loc_spooled(cf, loc_conf);

    route->retries = ngx_palloc(cf->pool, targets->nelts
                                          * sizeof(ngx_http_trove_retry_t *));
    if (route->retries == NULL) {
        return NULL;
    }

    for (i = 0; i < targets->nelts; i++) {

        slcf = target[i]->loc_conf[ngx_http_trove_spool_module.ctx_index];
        route->retries[i] = &slcf->retry;

        if (target[i]->subscribers) {
            route->subscribers = target[i];
            continue;
        }

        if (!ngx_http_trove_sign_enabled(target[i]->loc_conf)) {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "target \"%V\" of location \"%V\" receives events "
                          "without a signature, as the original one may be "
                          "stale by then; add \"trove_sign\" to its location "
                          "in %s:%ui",
                          &target[i]->name, &clcf->name,
                          target[i]->place.file, target[i]->place.line);
        }
    }

    return route;
}


void
ngx_http_trove_spool_check_used(ngx_conf_t *cf)
{
    ngx_http_trove_spool_main_conf_t  *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_trove_spool_module);

    if (smcf->spool.uri.len && smcf->routes.nelts == 0) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"trove_spool\" is not used, add "
                      "\"trove_fanout_mode spool\" to a location with "
                      "\"trove_fanout\" in %s:%ui",
                      smcf->place.file, smcf->place.line);
    }
}


ngx_uint_t
ngx_http_trove_spool_configured(ngx_conf_t *cf)
{
    ngx_http_trove_spool_main_conf_t  *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_trove_spool_module);

    return smcf->spool.uri.len != 0;
}


ngx_array_t *
ngx_http_trove_spool_conf_routes(ngx_conf_t *cf)
{
    ngx_http_trove_spool_main_conf_t  *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_trove_spool_module);

    return &smcf->routes;
}


ngx_array_t *
ngx_http_trove_spool_routes(ngx_http_request_t *r)
{
    ngx_http_trove_spool_main_conf_t  *smcf;

    smcf = ngx_http_get_module_main_conf(r, ngx_http_trove_spool_module);

    return &smcf->routes;
}


ngx_uint_t
ngx_http_trove_spool_knows(ngx_http_request_t *r,
    ngx_trove_spool_target_t *target)
{
    return ngx_http_trove_spool_target_known(ngx_http_trove_spool_routes(r),
                                             target);
}


/* "SERVER LOCATION": the route must be found in the file after a reload */

static ngx_int_t
ngx_http_trove_spool_name(ngx_conf_t *cf, ngx_http_trove_route_t *route)
{
    u_char                    *p;
    const char                *kind;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = route->loc_conf[ngx_http_core_module.ctx_index];

    p = ngx_pnalloc(cf->pool, route->cscf->server_name.len + clcf->name.len
                              + sizeof(" = ") - 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    kind = clcf->exact_match ? "= " : "";

#if (NGX_PCRE)
    if (clcf->regex) {
        kind = "~ ";
    }
#endif

    route->name.data = p;
    route->name.len = ngx_sprintf(p, "%V %s%V", &route->cscf->server_name,
                                  kind, &clcf->name)
                      - p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_spool_init_module(ngx_cycle_t *cycle)
{
    ngx_http_trove_spool_main_conf_t  *smcf;

    smcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_trove_spool_module);

    if (ngx_test_config || smcf == NULL || smcf->spool.uri.len == 0) {
        return NGX_OK;
    }

    return ngx_http_trove_spool_prepare(cycle, &smcf->spool, &smcf->place);
}


static ngx_int_t
ngx_http_trove_spool_init_process(ngx_cycle_t *cycle)
{
    ngx_http_trove_spool_main_conf_t  *smcf;

    /* not in cache manager and similar processes */

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    smcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_trove_spool_module);

    if (smcf == NULL || smcf->spool.uri.len == 0) {
        return NGX_OK;
    }

    /*
     * The lock belongs to the master.  If a worker kept the inherited
     * descriptor, the master could not lock this spool again while that worker
     * is shutting down.
     */

    if (ngx_process == NGX_PROCESS_WORKER && smcf->lock != NGX_INVALID_FILE) {
        ngx_pool_run_cleanup_file(cycle->pool, smcf->lock);
        smcf->lock = NGX_INVALID_FILE;
    }

    ngx_http_trove_spool_unconfigured_init(cycle, &smcf->spool.uri,
                                           &smcf->routes);

    if (ngx_http_trove_writer_init(cycle, &smcf->spool) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_trove_dispatcher_init(cycle, &smcf->routes);
}


size_t
ngx_http_trove_spool_keep(ngx_http_trove_target_t *target)
{
    ngx_http_trove_spool_loc_conf_t  *slcf;

    if (target->loc_conf == NULL) {
        return 0;
    }

    slcf = target->loc_conf[ngx_http_trove_spool_module.ctx_index];

    return slcf->retry.response;
}
