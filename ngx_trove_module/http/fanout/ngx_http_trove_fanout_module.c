
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_body.h"
#include "ngx_http_trove_conf.h"
#include "ngx_http_trove_ctx.h"
#include "ngx_http_trove_delivery.h"
#include "ngx_http_trove_fanout.h"
#include "ngx_http_trove_health.h"
#include "ngx_http_trove_health_log.h"
#include "ngx_http_trove_method.h"
#include "ngx_http_trove_metrics.h"
#include "ngx_http_trove_module.h"
#include "ngx_http_trove_response.h"
#include "ngx_http_trove_spool.h"
#include "ngx_http_trove_target_conf.h"


#define NGX_HTTP_TROVE_FANOUT_WAIT   0
#define NGX_HTTP_TROVE_FANOUT_SPOOL  1


typedef struct ngx_http_trove_fanout_mode_s  ngx_http_trove_fanout_mode_t;

/* a "trove_fanout_mode spool" */
struct ngx_http_trove_fanout_mode_s {
    ngx_http_trove_place_t         place;
    ngx_uint_t                     used;
    ngx_http_trove_fanout_mode_t  *next;
};


typedef struct {
    ngx_http_trove_fanout_mode_t  *modes;
    ngx_array_t                    names; /* ngx_http_trove_health_name_t */
} ngx_http_trove_fanout_main_conf_t;


typedef struct {
    ngx_array_t              *targets;   /* ngx_http_trove_target_t *; NULL */
    ngx_http_trove_place_t    place;     /* of the first of them */
    ngx_uint_t                mode;      /* ..._FANOUT_WAIT, SPOOL */

    /* where the mode is from; NULL where it waits */
    ngx_http_trove_fanout_mode_t  *from;

    /* by which the spool knows the location; NULL where it waits */
    ngx_http_trove_route_t   *route;
} ngx_http_trove_fanout_loc_conf_t;


static ngx_int_t ngx_http_trove_fanout_event(ngx_http_request_t *r);
static ngx_int_t ngx_http_trove_fanout_handler(ngx_http_request_t *r);
static void ngx_http_trove_fanout_resume(ngx_http_request_t *r);
static ngx_int_t ngx_http_trove_fanout_answer(ngx_http_request_t *r,
    ngx_http_trove_fanout_t *fanout);

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
static ngx_int_t ngx_http_trove_fanout_names(ngx_conf_t *cf,
    ngx_http_trove_fanout_main_conf_t *fmcf, ngx_http_trove_loc_conf_t *tlcf);
static void ngx_http_trove_fanout_check_modes(ngx_conf_t *cf,
    ngx_http_trove_fanout_main_conf_t *fmcf);
static ngx_int_t ngx_http_trove_fanout_init_conf(ngx_conf_t *cf);
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
    NULL,                                  /* init module */
    ngx_http_trove_fanout_init_process,    /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_trove_fanout_exit_process,    /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/*
 * Has the body read and parsed before the content handler runs: where nobody
 * verifies, or "trove_verify log" has let pass what is not verified.
 */

static ngx_int_t
ngx_http_trove_fanout_event(ngx_http_request_t *r)
{
    ngx_int_t                          rc;
    ngx_str_t                          json;
    ngx_uint_t                         mode;
    ngx_http_trove_ctx_t              *ctx;
    ngx_http_trove_loc_conf_t         *tlcf;

    static ngx_str_t  bad_json = ngx_string("bad_json");
    static ngx_str_t  bad_event = ngx_string("bad_event");

    if (r != r->main) {
        ngx_http_trove_delivery_length(r);
        return NGX_DECLINED;
    }

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_trove_module);

    if (tlcf->targets == NULL) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_trove_ctx_make(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    mode = tlcf->verify;

    if (mode == NGX_HTTP_TROVE_VERIFY_ON) {
        return NGX_DECLINED;
    }

    /* deliveries are POSTs: what came otherwise must not become one */

    if (!ngx_http_trove_method_is_post(r)) {

        if (mode == NGX_HTTP_TROVE_VERIFY_OFF) {
            ngx_http_trove_method_log(r);
        }

        return ngx_http_trove_method_refuse(r, ctx);
    }

    rc = ngx_http_trove_body_read(r, ctx);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_trove_body_parse(r, ctx);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_OK) {

        if (mode == NGX_HTTP_TROVE_VERIFY_OFF) {
            ctx->trusted = 1;
        }

        return NGX_DECLINED;
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "trove: the request body is no event and cannot be fanned "
                  "out: %s", ctx->reason);

    if (ngx_http_trove_answer_json(r, &json, "\"error\":",
                                   (rc == NGX_ABORT) ? &bad_event : &bad_json,
                                   "")
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_trove_answer(r, NGX_HTTP_BAD_REQUEST, &json, 0);
}


static ngx_int_t
ngx_http_trove_fanout_handler(ngx_http_request_t *r)
{
    ngx_int_t                          rc;
    ngx_http_trove_ctx_t              *ctx;
    ngx_http_trove_fanout_loc_conf_t  *flcf;

    ctx = ngx_http_trove_ctx_find(r);

    if (r != r->main || ctx == NULL || ctx->parsed != NGX_OK) {

        /* a subrequest, or an error_page of a location that has no event */

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "trove: a location with \"trove_fanout\" was reached by "
                      "a subrequest or without an event");

        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "trove fanout handler");

    flcf = ngx_http_get_module_loc_conf(r, ngx_http_trove_fanout_module);

    /*
     * What comes out of the spool is taken for genuine, and signed: not so
     * what "trove_verify log" has let pass.
     */

    if (flcf->route && ctx->trusted) {
        return ngx_http_trove_spool_accept(r, ctx, flcf->route);
    }

    /* deliveries go on when the client does not */

    r->read_event_handler = ngx_http_block_reading;

    rc = ngx_http_trove_fanout_start(r, ctx, flcf->targets,
                                     ngx_http_trove_fanout_resume);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_OK) {
        return ngx_http_trove_fanout_answer(r, ctx->fanout);
    }

    r->main->count++;

    return NGX_DONE;
}


/* an event of the connection may call it, too */

static void
ngx_http_trove_fanout_resume(ngx_http_request_t *r)
{
    ngx_http_trove_ctx_t     *ctx;
    ngx_http_trove_fanout_t  *fanout;

    ctx = ngx_http_trove_ctx_find(r);
    fanout = ctx->fanout;

    if (fanout->pending) {
        return;
    }

    r->write_event_handler = ngx_http_request_empty_handler;

    if (fanout->client_closed) {
        r->connection->error = 1;
    }

    ngx_http_finalize_request(r, ngx_http_trove_fanout_answer(r, fanout));
}


static ngx_int_t
ngx_http_trove_fanout_answer(ngx_http_request_t *r,
    ngx_http_trove_fanout_t *fanout)
{
    ngx_str_t   json;
    ngx_uint_t  taken;

    taken = ngx_http_trove_fanout_end(fanout);

    ngx_http_trove_metrics_add(r, taken ? NGX_HTTP_TROVE_METRIC_DELIVERED
                                        : NGX_HTTP_TROVE_METRIC_PARTIAL, 1);

    if (fanout->ndeliveries == 0) {
        ngx_http_trove_metrics_add(r, NGX_HTTP_TROVE_METRIC_UNMATCHED, 1);

        ngx_http_trove_health_unmatched(r, &fanout->ctx->event.id);
    }

    if (ngx_http_trove_fanout_json(fanout, taken ? "delivered" : "partial",
                                   &json)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_trove_answer_content(r,
                              taken ? NGX_HTTP_OK : NGX_HTTP_BAD_GATEWAY,
                              &json, 0);
}


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

        /* an "if" keeps the handler of its location, "limit_except" does not */

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

    return NGX_CONF_OK;
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

    return ngx_http_trove_target_add(cf, flcf->targets);
}


static char *
ngx_http_trove_fanout_alone(ngx_conf_t *cf, ngx_http_core_loc_conf_t *clcf,
    ngx_http_trove_place_t *place)
{
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"trove_fanout\" in location \"%V\" has another handler "
                  "beside it, as \"proxy_pass\" is; put that into a location "
                  "of its own, which is \"internal\", and name it as a target "
                  "in %s:%ui", &clcf->name, place->file, place->line);

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

    ngx_http_trove_delivery_init(cf);

    return NGX_OK;
}


/* an "if" of a location has its name, and its targets */

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
                      "\"trove_fanout_mode spool\" has no effect, as there is "
                      "no \"trove_fanout\" that it is for; put it into the "
                      "location that has one in %s:%ui",
                      from->place.file, from->place.line);
    }
}


static ngx_int_t
ngx_http_trove_fanout_init_process(ngx_cycle_t *cycle)
{
    ngx_http_trove_fanout_init();
    ngx_http_trove_health_init(cycle);

    return NGX_OK;
}


static void
ngx_http_trove_fanout_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_trove_fanout_exit();
    ngx_http_trove_health_exit();
}
