
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
 * "preconfiguration".  The data of a get handler is the name of the variable,
 * ngx_str_t *.
 *
 * NGX_OK
 * NGX_ERROR  logged
 */
ngx_int_t ngx_http_trove_variables_add(ngx_conf_t *cf,
    ngx_http_variable_t *variables);

/* For a get handler, which returns the result: there is no value. */
ngx_int_t ngx_http_trove_variable_none(ngx_http_variable_value_t *v);

/* The same: this is the value, which must exist as long as the request. */
ngx_int_t ngx_http_trove_variable_set(ngx_http_variable_value_t *v,
    u_char *data, size_t len);

/*
 * The same: the value is a number.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_variable_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, int64_t n);


#endif /* _NGX_HTTP_TROVE_VARIABLES_H_INCLUDED_ */
