
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_headers.h"
#include "ngx_http_trove_method.h"
#include "ngx_http_trove_response.h"


/*
 * The request line is used, because error_page and X-Accel-Redirect set
 * r->method and r->method_name to GET.  It exists in all versions of HTTP, and
 * methods are case-sensitive.  A request that NGINX could not parse may have
 * none.
 */

ngx_uint_t
ngx_http_trove_method_is_post(ngx_http_request_t *r)
{
    ngx_str_t  *line;

    line = &r->main->request_line;

    return line->len > sizeof("POST ") - 1
           && ngx_memcmp(line->data, "POST ", sizeof("POST ") - 1) == 0;
}


void
ngx_http_trove_method_log(ngx_http_request_t *r)
{
    u_char     *p, *last;
    ngx_str_t   method;

    method = r->main->request_line;
    last = method.data + method.len;

    p = ngx_strlchr(method.data, last, ' ');

    if (p) {
        method.len = p - method.data;
    }

    /* a client that tests whether the endpoint exists makes no mistake */

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "trove: event refused, method: \"%V\" is not POST", &method);
}


ngx_int_t
ngx_http_trove_method_refuse(ngx_http_request_t *r, ngx_http_trove_ctx_t *ctx)
{
    static ngx_str_t  post = ngx_string("POST");
    static ngx_str_t  json = ngx_string("{\"error\":\"method\"}");

    if (!ctx->allow) {

        if (ngx_http_trove_headers_add(&r->headers_out.headers, "Allow",
                                       "allow", &post)
            == NULL)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        /* an error_page may lead to another location that refuses the method */

        ctx->allow = 1;
    }

    return ngx_http_trove_response(r, NGX_HTTP_NOT_ALLOWED, &json, 0);
}
