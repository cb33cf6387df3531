
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_ctx.h"
#include "ngx_http_trove_delivery_request.h"
#include "ngx_http_trove_headers.h"


/* "passed" of limit_conn and limit_req, which define it privately */
#define NGX_HTTP_TROVE_LIMIT_PASSED  1

/* all headers that a target receives, and one spare */
#define NGX_HTTP_TROVE_DELIVERY_HEADERS  6


static ngx_int_t ngx_http_trove_delivery_headers(ngx_http_request_t *r,
    ngx_http_headers_in_t *in);
static ngx_http_variable_value_t *ngx_http_trove_delivery_variables(
    ngx_http_request_t *r);


static ngx_str_t  ngx_http_trove_delivery_method = ngx_string("POST");


ngx_int_t
ngx_http_trove_delivery_request(ngx_http_trove_delivery_t *d)
{
    ngx_uint_t                  count;
    ngx_http_request_t         *r, *sr;
    ngx_http_headers_in_t       in;
    ngx_http_variable_value_t  *variables;

    r = d->request;

    if (ngx_http_trove_delivery_headers(r, &in) != NGX_OK) {
        return NGX_ERROR;
    }

    variables = ngx_http_trove_delivery_variables(r);
    if (variables == NULL) {
        return NGX_ERROR;
    }

    count = r->count;

    if (ngx_http_subrequest(r, &d->target->uri, &d->target->args, &sr,
                            &d->post, NGX_HTTP_SUBREQUEST_BACKGROUND)
        != NGX_OK)
    {
        /* ngx_http_subrequest() may fail after it has increased the count */

        r->count = count;
        return NGX_ERROR;
    }

    /* nothing may fail from here on: the subrequest has been posted */

    sr->method = NGX_HTTP_POST;
    sr->method_name = ngx_http_trove_delivery_method;
    sr->variables = variables;

    sr->headers_in = in;
    sr->headers_in.headers.last = &sr->headers_in.headers.part;

    /*
     * Both modules keep their state in the main request.  Their timer would
     * wake the main request instead of the subrequest, which would wait
     * forever.
     */

    r->limit_req_status = NGX_HTTP_TROVE_LIMIT_PASSED;
    r->limit_conn_status = NGX_HTTP_TROVE_LIMIT_PASSED;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "trove delivery to \"%V\", attempt %ui",
                   &d->target->name, d->attempt);

    return NGX_OK;
}


/*
 * The subrequest has its own list of headers.  The list of the main request
 * cannot be shared: adding to a copy of a list writes into the original.  No
 * other header of the client is sent to a target, so a delivery is the same
 * whether or not the client is still connected.
 */

static ngx_int_t
ngx_http_trove_delivery_headers(ngx_http_request_t *r,
    ngx_http_headers_in_t *in)
{
    ngx_str_t              signature;
    ngx_http_trove_ctx_t  *ctx;

    static ngx_str_t  name = ngx_string("x-trove-signature");

    ctx = ngx_http_trove_ctx_find(r);

    ngx_memzero(in, sizeof(ngx_http_headers_in_t));

    in->server = r->headers_in.server;

    /* unknown until ngx_http_trove_delivery_length() */

    in->content_length_n = -1;
    in->keep_alive_n = -1;

    if (ngx_list_init(&in->headers, r->pool, NGX_HTTP_TROVE_DELIVERY_HEADERS,
                      sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* the list is allocated with space for all of them */

    if (r->headers_in.host) {
        in->host = ngx_http_trove_headers_add(&in->headers, "Host", "host",
                                              &r->headers_in.host->value);
    }

    if (r->headers_in.content_type) {
        in->content_type = ngx_http_trove_headers_add(&in->headers,
                                        "Content-Type", "content-type",
                                        &r->headers_in.content_type->value);
    }

    (void) ngx_http_trove_headers_add(&in->headers, "X-Trove-Event",
                                      "x-trove-event", &ctx->event.type);
    (void) ngx_http_trove_headers_add(&in->headers, "X-Trove-Event-Id",
                                      "x-trove-event-id", &ctx->event.id);

    if (ngx_http_trove_headers_find(r, &name, &signature) == NGX_OK
        && signature.len)
    {
        (void) ngx_http_trove_headers_add(&in->headers, "X-Trove-Signature",
                                          "x-trove-signature", &signature);
    }

    return NGX_OK;
}


/* variables set by "map" or "set" in one delivery must not affect another */

static ngx_http_variable_value_t *
ngx_http_trove_delivery_variables(ngx_http_request_t *r)
{
    size_t                      size;
    ngx_http_variable_value_t  *variables;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    size = cmcf->variables.nelts * sizeof(ngx_http_variable_value_t);

    variables = ngx_palloc(r->pool, size);

    if (variables) {
        ngx_memcpy(variables, r->variables, size);
    }

    return variables;
}
