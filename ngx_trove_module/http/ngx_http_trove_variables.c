
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_variables.h"


ngx_int_t
ngx_http_trove_variables_add(ngx_conf_t *cf, ngx_http_variable_t *variables)
{
    ngx_http_variable_t  *var, *v;

    for (v = variables; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;

        /* for prefix variables, NGINX sets data to the name of the variable */

        var->data = (uintptr_t) &v->name;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_trove_variable_none(ngx_http_variable_value_t *v)
{
    v->not_found = 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_trove_variable_set(ngx_http_variable_value_t *v, u_char *data,
    size_t len)
{
    v->len = len;
    v->data = data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


ngx_int_t
ngx_http_trove_variable_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, int64_t n)
{
    u_char  *p;

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_trove_variable_set(v, p, ngx_sprintf(p, "%L", n) - p);
}
