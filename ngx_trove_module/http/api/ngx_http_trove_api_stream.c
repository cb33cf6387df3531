
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_api.h"
#include "ngx_http_trove_headers.h"
#include "ngx_http_trove_stream.h"


static ngx_int_t ngx_http_trove_api_stream_last(ngx_http_trove_api_t *api);


ngx_int_t
ngx_http_trove_api_stream_prepare(ngx_http_trove_api_t *api,
    ngx_str_t *segments)
{
    ngx_trove_spool_filter_t  *filter;

    filter = &api->filter;

    if (filter->states || filter->target.data || filter->route.data
        || filter->id.data || filter->until || api->most)
    {
        api->reject = "a stream has no arguments but \"types\", "
                      "\"namespace\", \"since\" and \"cursor\"";
        return NGX_HTTP_BAD_REQUEST;
    }

    /* this is a time of receipt */

    filter->since = 0;

    filter->workspace = segments[0];

    return ngx_http_trove_api_stream_last(api);
}


/* a client that has lost its connection continues after the last event */

static ngx_int_t
ngx_http_trove_api_stream_last(ngx_http_trove_api_t *api)
{
    ngx_int_t  n;
    ngx_str_t  value;

    static ngx_str_t  name = ngx_string("last-event-id");

    if (ngx_http_trove_headers_find(api->request, &name, &value) != NGX_OK) {
        api->reject = "more than one \"Last-Event-ID\"";
        return NGX_HTTP_BAD_REQUEST;
    }

    if (value.len == 0) {
        return NGX_OK;
    }

    n = ngx_atoi(value.data, value.len);

    if (n == NGX_ERROR) {
        api->reject = "\"Last-Event-ID\" must be the \"id\" of an event of "
                      "the stream";
        return NGX_HTTP_BAD_REQUEST;
    }

    api->cursor = n;
    api->paged = 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_trove_api_stream(ngx_http_trove_api_t *api)
{
    ngx_int_t                      rc;
    ngx_http_request_t            *r;
    ngx_http_trove_stream_args_t   args;

    r = api->request;

    ngx_memzero(&args, sizeof(ngx_http_trove_stream_args_t));

    args.filter = api->filter;
    args.after = api->paged ? api->cursor : -1;
    args.since = api->since;
    args.has_since = api->has_since;
    args.error = ngx_http_trove_api_error;

    rc = ngx_http_trove_stream_start(r, &args);

    switch (rc) {

    case NGX_DONE:
        return NGX_DONE;

    case NGX_BUSY:
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "trove: stream refused: this worker has too many");

        return ngx_http_trove_api_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                        "too many streams are open");

    case NGX_DECLINED:
        return ngx_http_trove_api_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                        "the spool is not open");

    default:
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
}
