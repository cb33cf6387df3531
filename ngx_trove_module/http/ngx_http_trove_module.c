
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_module.h"


typedef struct {
    ngx_array_t                   locs;      /* ngx_http_trove_loc_conf_t * */
    ngx_array_t                   verified;  /* ngx_http_trove_event_pt */
    ngx_http_post_subrequest_pt   delivery;
    ngx_trove_event_names_t       names;
    ngx_array_t                   warned;    /* by ..._secret_warn.c */
} ngx_http_trove_main_conf_t;


static void *ngx_http_trove_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_trove_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_trove_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);


static ngx_http_module_t  ngx_http_trove_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    ngx_http_trove_create_main_conf,       /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_trove_create_loc_conf,        /* create location configuration */
    ngx_http_trove_merge_loc_conf          /* merge location configuration */
};


ngx_module_t  ngx_http_trove_module = {
    NGX_MODULE_V1,
    &ngx_http_trove_module_ctx,            /* module context */
    NULL,                                  /* module directives */
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


ngx_array_t *
ngx_http_trove_locs(ngx_conf_t *cf)
{
    ngx_http_trove_main_conf_t  *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_trove_module);

    return &tmcf->locs;
}


ngx_array_t *
ngx_http_trove_request_locs(ngx_http_request_t *r)
{
    ngx_http_trove_main_conf_t  *tmcf;

    tmcf = ngx_http_get_module_main_conf(r, ngx_http_trove_module);

    return &tmcf->locs;
}


char *
ngx_http_trove_set_endpoint(ngx_conf_t *cf, ngx_http_handler_pt handler)
{
    ngx_str_t                  *value;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_trove_loc_conf_t  *tlcf;

    value = cf->args->elts;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    tlcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_trove_module);

    if (tlcf->endpoint == handler) {
        return "is duplicate";
    }

    if (clcf->handler) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in location \"%V\" conflicts with another "
                           "content handler, move it to a separate location",
                           &value[0], &clcf->name);
        return NGX_CONF_ERROR;
    }

    clcf->handler = handler;

    tlcf->endpoint = handler;
    tlcf->directive = value[0];
    ngx_http_trove_conf_place(cf, &tlcf->place);

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_trove_on_verified(ngx_conf_t *cf, ngx_http_trove_event_pt handler)
{
    ngx_http_trove_event_pt     *h;
    ngx_http_trove_main_conf_t  *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_trove_module);

    h = ngx_array_push(&tmcf->verified);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = handler;

    return NGX_OK;
}


void
ngx_http_trove_verified(ngx_http_request_t *r, ngx_http_trove_ctx_t *ctx)
{
    ngx_uint_t                   i;
    ngx_http_trove_event_pt     *h;
    ngx_http_trove_main_conf_t  *tmcf;

    tmcf = ngx_http_get_module_main_conf(r, ngx_http_trove_module);

    h = tmcf->verified.elts;

    for (i = 0; i < tmcf->verified.nelts; i++) {
        h[i](r, ctx);
    }
}


void
ngx_http_trove_set_delivery(ngx_conf_t *cf, ngx_http_post_subrequest_pt handler)
{
    ngx_http_trove_main_conf_t  *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_trove_module);

    tmcf->delivery = handler;
}


ngx_uint_t
ngx_http_trove_is_delivery(ngx_http_request_t *r)
{
    ngx_http_trove_main_conf_t  *tmcf;

    tmcf = ngx_http_get_module_main_conf(r, ngx_http_trove_module);

    return tmcf->delivery && ngx_http_trove_subrequest(r, tmcf->delivery);
}


void *
ngx_http_trove_subrequest(ngx_http_request_t *r,
    ngx_http_post_subrequest_pt handler)
{
    for ( /* void */ ; r != r->main; r = r->parent) {

        if (r->post_subrequest && r->post_subrequest->handler == handler) {
            return r->post_subrequest->data;
        }
    }

    return NULL;
}


ngx_trove_event_names_t *
ngx_http_trove_event_names(ngx_http_request_t *r)
{
    ngx_http_trove_main_conf_t  *tmcf;

    tmcf = ngx_http_get_module_main_conf(r, ngx_http_trove_module);

    return &tmcf->names;
}


ngx_trove_event_names_t *
ngx_http_trove_conf_event_names(ngx_conf_t *cf)
{
    ngx_http_trove_main_conf_t  *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_trove_module);

    return &tmcf->names;
}


ngx_array_t *
ngx_http_trove_secrets_warned(ngx_conf_t *cf, size_t size)
{
    ngx_http_trove_main_conf_t  *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_trove_module);

    if (tmcf->warned.elts == NULL
        && ngx_array_init(&tmcf->warned, cf->pool, 4, size) != NGX_OK)
    {
        return NULL;
    }

    return &tmcf->warned;
}


static void *
ngx_http_trove_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_trove_main_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_trove_main_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->delivery = NULL;
     *     conf->names = { 0, NULL };
     *     conf->warned = { NULL, 0, 0, 0, NULL };
     */

    if (ngx_array_init(&conf->locs, cf->pool, 16,
                       sizeof(ngx_http_trove_loc_conf_t *))
        != NGX_OK
        || ngx_array_init(&conf->verified, cf->pool, 1,
                          sizeof(ngx_http_trove_event_pt))
           != NGX_OK)
    {
        return NULL;
    }

    return conf;
}


static void *
ngx_http_trove_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_trove_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_trove_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->cscf = NULL;
     *     conf->loc_conf = NULL;
     *     conf->outer = NULL;
     *     conf->endpoint = NULL;
     *     conf->directive = { 0, NULL };
     *     conf->place = { NULL, 0 };
     *     conf->tolerance = 0;
     *     conf->nsecrets = 0;
     *     conf->varies = 0;
     *     conf->dedup = 0;
     *     conf->targets = NULL;
     *     conf->health = NULL;
     */

    conf->verify = NGX_HTTP_TROVE_VERIFY_ON;

    return conf;
}


static char *
ngx_http_trove_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_trove_loc_conf_t *prev = parent;
    ngx_http_trove_loc_conf_t *conf = child;

    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_trove_loc_conf_t  **loc;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    conf->cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);
    conf->loc_conf = ((ngx_http_conf_ctx_t *) cf->ctx)->loc_conf;

    if (clcf->noname) {
        conf->outer = prev;
        conf->endpoint = prev->endpoint;
        conf->directive = prev->directive;
        conf->place = prev->place;

        if (clcf->handler == NULL) {
            clcf->handler = conf->endpoint;
        }
    }

    /* requests to another handler would be exempt from "trove_verify" */

    if (conf->endpoint && clcf->handler != conf->endpoint) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"%V\" in location \"%V\" conflicts with another "
                      "content handler, move it to a separate location in "
                      "%s:%ui",
                      &conf->directive, &clcf->name,
                      conf->place.file, conf->place.line);
        return NGX_CONF_ERROR;
    }

    loc = ngx_array_push(ngx_http_trove_locs(cf));
    if (loc == NULL) {
        return NGX_CONF_ERROR;
    }

    *loc = conf;

    return NGX_CONF_OK;
}
