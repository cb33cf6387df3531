
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics.h"
#include "ngx_http_trove_metrics_conf.h"
#include "ngx_http_trove_metrics_label.h"
#include "ngx_http_trove_metrics_shm.h"
#include "ngx_http_trove_metrics_text.h"
#include "ngx_http_trove_module.h"


static ngx_int_t ngx_http_trove_metrics_handler(ngx_http_request_t *r);

static void *ngx_http_trove_metrics_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_trove_metrics_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_trove_metrics(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_trove_metrics_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_trove_metrics_init_locs(ngx_conf_t *cf,
    ngx_http_trove_metrics_main_conf_t *mmcf);
static ngx_int_t ngx_http_trove_metrics_init_loc(ngx_conf_t *cf,
    ngx_http_trove_loc_conf_t *tlcf, ngx_http_trove_metrics_loc_t *loc);
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
    NULL                                   /* merge location configuration */
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


static ngx_int_t
ngx_http_trove_metrics_handler(ngx_http_request_t *r)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    b = ngx_http_trove_metrics_text(r);
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

    conf->loaded = ngx_time();

    if (ngx_array_init(&conf->locs, cf->pool, 4,
                       sizeof(ngx_http_trove_metrics_loc_t))
        != NGX_OK
        || ngx_array_init(&conf->collectors, cf->pool, 8,
                          sizeof(ngx_http_trove_metrics_registered_t))
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
     *     conf->targets = NULL;
     *     conf->ntargets = 0;
     */

    conf->index = NGX_CONF_UNSET_UINT;

    return conf;
}


static char *
ngx_http_trove_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_trove_set_endpoint(cf, ngx_http_trove_metrics_handler);
}


static ngx_int_t
ngx_http_trove_metrics_init(ngx_conf_t *cf)
{
    ngx_http_trove_metrics_main_conf_t  *mmcf;

    mmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_trove_metrics_module);

    if (ngx_http_trove_metrics_init_locs(cf, mmcf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (mmcf->locs.nelts == 0) {
        return NGX_OK;
    }

    mmcf->shm_zone = ngx_http_trove_metrics_shm_add(cf, &mmcf->locs,
                                                    mmcf->ntargets);

    return mmcf->shm_zone ? NGX_OK : NGX_ERROR;
}


/* adds the locations that have something to count */

static ngx_int_t
ngx_http_trove_metrics_init_locs(ngx_conf_t *cf,
    ngx_http_trove_metrics_main_conf_t *mmcf)
{
    ngx_uint_t                          i;
    ngx_array_t                        *locs;
    ngx_http_trove_loc_conf_t         **tlcf;
    ngx_http_trove_metrics_loc_t       *loc;
    ngx_http_trove_metrics_loc_conf_t  *conf, *outer;

    locs = ngx_http_trove_locs(cf);
    tlcf = locs->elts;

    for (i = 0; i < locs->nelts; i++) {
        conf = tlcf[i]->loc_conf[ngx_http_trove_metrics_module.ctx_index];

        if (tlcf[i]->outer) {

            /* a block shares its location's entry; outer ones come first */

            outer = tlcf[i]->outer->loc_conf[
                                     ngx_http_trove_metrics_module.ctx_index];
            conf->index = outer->index;
            continue;
        }

        if (tlcf[i]->verify == NGX_HTTP_TROVE_VERIFY_OFF
            && tlcf[i]->targets == NULL && !tlcf[i]->dedup)
        {
            continue;
        }

        loc = ngx_array_push(&mmcf->locs);
        if (loc == NULL) {
            return NGX_ERROR;
        }

        if (ngx_http_trove_metrics_init_loc(cf, tlcf[i], loc) != NGX_OK) {
            return NGX_ERROR;
        }

        mmcf->ntargets += loc->ntargets;

        conf->index = mmcf->locs.nelts - 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_metrics_init_loc(ngx_conf_t *cf,
    ngx_http_trove_loc_conf_t *tlcf, ngx_http_trove_metrics_loc_t *loc)
{
    ngx_uint_t                          i;
    ngx_http_core_loc_conf_t           *clcf;
    ngx_http_trove_metrics_loc_conf_t  *conf;

    conf = tlcf->loc_conf[ngx_http_trove_metrics_module.ctx_index];
    clcf = tlcf->loc_conf[ngx_http_core_module.ctx_index];

    ngx_memzero(loc, sizeof(ngx_http_trove_metrics_loc_t));

    if (ngx_http_trove_metrics_label(cf, tlcf->cscf, clcf,
                                     NGX_HTTP_TROVE_METRICS_SETS - 1,
                                     &loc->labels)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    loc->name = clcf->name;
    loc->conf = tlcf;
    loc->mode = tlcf->verify;
    loc->nsecrets = tlcf->nsecrets;

    loc->targets = conf->targets;
    loc->ntargets = conf->ntargets;

    for (i = 0; i < loc->ntargets; i++) {

        if (ngx_http_trove_metrics_target_labels(&loc->targets[i], &loc->labels,
                                                 cf->pool)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * A new process must not inherit the gauges of an earlier process with the
 * same id.  An exiting process releases its gauges.
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
    ngx_http_trove_metrics_main_conf_t  *mmcf;

    mmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_trove_metrics_module);

    if (mmcf && mmcf->shm_zone) {
        ngx_http_trove_metrics_shm_release(mmcf->shm_zone);
    }
}
