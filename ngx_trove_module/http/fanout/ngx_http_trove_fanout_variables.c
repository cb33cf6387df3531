
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_delivery.h"
#include "ngx_http_trove_fanout.h"
#include "ngx_http_trove_variables.h"


static ngx_int_t ngx_http_trove_fanout_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_trove_fanout_target_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_trove_fanout_attempt_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


/* not cacheable: the values differ for each delivery */

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
        return ngx_http_trove_variable_none(v);
    }

    if (ngx_http_trove_fanout_text(ctx->fanout, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_trove_variable_set(v, text.data, text.len);
}


static ngx_int_t
ngx_http_trove_fanout_target_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_trove_delivery_t  *d;

    d = ngx_http_trove_delivery_find(r);

    if (d == NULL) {
        return ngx_http_trove_variable_none(v);
    }

    return ngx_http_trove_variable_set(v, d->target->name.data,
                                       d->target->name.len);
}


static ngx_int_t
ngx_http_trove_fanout_attempt_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_trove_delivery_t  *d;

    d = ngx_http_trove_delivery_find(r);

    if (d == NULL) {
        return ngx_http_trove_variable_none(v);
    }

    return ngx_http_trove_variable_number(r, v, d->attempt);
}


ngx_int_t
ngx_http_trove_fanout_add_variables(ngx_conf_t *cf)
{
    return ngx_http_trove_variables_add(cf, ngx_http_trove_fanout_variables);
}
