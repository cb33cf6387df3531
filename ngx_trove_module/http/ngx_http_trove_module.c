
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_module.h"
#include "ngx_http_trove_variables.h"


typedef struct {
    ngx_trove_event_names_t  names;
    ngx_array_t              warned;         /* secrets, see there */
} ngx_http_trove_main_conf_t;


static ngx_int_t ngx_http_trove_init(ngx_conf_t *cf);
static void *ngx_http_trove_create_main_conf(ngx_conf_t *cf);


static ngx_http_module_t  ngx_http_trove_module_ctx = {
    ngx_http_trove_variables_add,          /* preconfiguration */
    ngx_http_trove_init,                   /* postconfiguration */

    ngx_http_trove_create_main_conf,       /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
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


ngx_trove_event_names_t *
ngx_http_trove_event_names(ngx_http_request_t *r)
{
    ngx_http_trove_main_conf_t  *tmcf;

    tmcf = ngx_http_get_module_main_conf(r, ngx_http_trove_module);

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


static ngx_int_t
ngx_http_trove_init(ngx_conf_t *cf)
{
    ngx_http_trove_main_conf_t  *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_trove_module);

    return ngx_http_trove_variables_names(cf, &tmcf->names);
}


static void *
ngx_http_trove_create_main_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_trove_main_conf_t));
}
