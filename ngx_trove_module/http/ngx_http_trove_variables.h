
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_VARIABLES_H_INCLUDED_
#define _NGX_HTTP_TROVE_VARIABLES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Adds variables, up to ngx_http_null_variable; to be called in
 * "preconfiguration".  A get handler has the variable's name, ngx_str_t *, as
 * its data.
 *
 * NGX_OK
 * NGX_ERROR  logged
 */
ngx_int_t ngx_http_trove_variables_add(ngx_conf_t *cf,
    ngx_http_variable_t *variables);

/* What a get handler returns: the variable has no value. */
ngx_int_t ngx_http_trove_variable_none(ngx_http_variable_value_t *v);

/* The same: it has this value, which must live as long as the request. */
ngx_int_t ngx_http_trove_variable_set(ngx_http_variable_value_t *v,
    u_char *data, size_t len);

/*
 * The same: it is this number.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_variable_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, int64_t n);


#endif /* _NGX_HTTP_TROVE_VARIABLES_H_INCLUDED_ */
