
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_headers.h"
#include "ngx_http_trove_response.h"


static ngx_int_t ngx_http_trove_response_send(ngx_http_request_t *r,
    ngx_uint_t status, ngx_str_t *json, time_t retry_after);
static ngx_http_err_page_t *ngx_http_trove_response_page(ngx_http_request_t *r,
    ngx_uint_t status);
static ngx_int_t ngx_http_trove_response_retry_after(ngx_http_request_t *r,
    time_t retry_after);


ngx_int_t
ngx_http_trove_response(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *json, time_t retry_after)
{
    ngx_int_t  rc;

    rc = ngx_http_trove_response_send(r, status, json, retry_after);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    ngx_http_finalize_request(r, rc);

    return NGX_DONE;
}


ngx_int_t
ngx_http_trove_response_content(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *json, time_t retry_after)
{
    ngx_int_t  rc;

    rc = ngx_http_trove_response_send(r, status, json, retry_after);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return ngx_http_trove_response_failure(r, rc);
    }

    return rc;
}


/*
 * NGINX would send the status of the page, "=200", or, after "=", that of the
 * location it redirects to.  The event would be lost.
 */

ngx_int_t
ngx_http_trove_response_failure(ngx_http_request_t *r, ngx_int_t status)
{
    ngx_http_err_page_t  *page;

    page = ngx_http_trove_response_page(r, status);

    if (page && (page->overwrite == 0
                 || (page->overwrite >= NGX_HTTP_OK
                     && page->overwrite < NGX_HTTP_SPECIAL_RESPONSE)))
    {
        r->error_page = 1;
    }

    return status;
}


static ngx_int_t
ngx_http_trove_response_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *json, time_t retry_after)
{
    ngx_http_complex_value_t  cv;

    static ngx_str_t  type = ngx_string("application/json");

    if (retry_after
        && ngx_http_trove_response_retry_after(r, retry_after) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_trove_response_page(r, status)) {
        return status;
    }

    /* no "100 Continue" for a body that is not needed any more */

    r->expect_tested = 1;

    /* a client cannot have cached this response */

    r->disable_not_modified = 1;

    /* it would override the status */

    r->err_status = 0;

    ngx_memzero(&cv, sizeof(ngx_http_complex_value_t));
    cv.value = *json;

    return ngx_http_send_response(r, status, &type, &cv);
}


/* returns the error_page that NGINX will use for the status, or NULL */

static ngx_http_err_page_t *
ngx_http_trove_response_page(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_uint_t                 i;
    ngx_http_err_page_t       *err_page;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (r->error_page || clcf->error_pages == NULL || r->uri_changes == 0) {
        return NULL;
    }

    err_page = clcf->error_pages->elts;

    for (i = 0; i < clcf->error_pages->nelts; i++) {
        if (err_page[i].status == (ngx_int_t) status) {
            return &err_page[i];
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_trove_response_retry_after(ngx_http_request_t *r, time_t retry_after)
{
    ngx_str_t  value;

    value.data = ngx_pnalloc(r->pool, NGX_TIME_T_LEN);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = ngx_sprintf(value.data, "%T", retry_after) - value.data;

    if (ngx_http_trove_headers_add(&r->headers_out.headers, "Retry-After",
                                   "retry-after", &value)
        == NULL)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_trove_response_json(ngx_http_request_t *r, ngx_str_t *json,
    const char *before, ngx_str_t *value, const char *after)
{
    u_char  *p;
    size_t   len, escape;

    escape = ngx_escape_json(NULL, value->data, value->len);

    len = ngx_strlen(before) + value->len + escape + ngx_strlen(after)
          + sizeof("{\"\"}") - 1;

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    json->data = p;

    *p++ = '{';
    p = ngx_cpymem(p, before, ngx_strlen(before));
    *p++ = '"';
    p = (u_char *) ngx_escape_json(p, value->data, value->len);
    *p++ = '"';
    p = ngx_cpymem(p, after, ngx_strlen(after));
    *p++ = '}';

    json->len = p - json->data;

    return NGX_OK;
}
