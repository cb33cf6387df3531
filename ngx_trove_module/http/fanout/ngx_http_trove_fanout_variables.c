
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_delivery.h"
#include "ngx_http_trove_fanout.h"


static ngx_int_t ngx_http_trove_fanout_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_trove_fanout_target_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_trove_fanout_attempt_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


/* none may be cached: each delivery has its own */

static ngx_http_variable_t  ngx_http_trove_fanout_variables[] = {

    { ngx_string("trove_fanout"), NULL, ngx_http_trove_fanout_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("trove_target"), NULL, ngx_http_trove_fanout_target_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("trove_attempt"), NULL, ngx_http_trove_fanout_attempt_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


static ngx_int_t
ngx_http_trove_fanout_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t              text;
    ngx_http_trove_ctx_t  *ctx;

    ctx = ngx_http_trove_ctx_find(r);

    if (ctx == NULL || ctx->fanout == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    if (ngx_http_trove_fanout_text(ctx->fanout, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    v->len = text.len;
    v->data = text.data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_fanout_target_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_trove_delivery_t  *d;

    d = ngx_http_trove_delivery_find(r);

    if (d == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->len = d->target->name.len;
    v->data = d->target->name.data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_fanout_attempt_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                     *p;
    ngx_http_trove_delivery_t  *d;

    d = ngx_http_trove_delivery_find(r);

    if (d == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    v->data = p;
    v->len = ngx_sprintf(p, "%ui", d->attempt) - p;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


ngx_int_t
ngx_http_trove_fanout_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_trove_fanout_variables; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
    }

    return NGX_OK;
}
