
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_api.h"


/* Calls for deliveries.  work() runs in a thread. */


ngx_int_t
ngx_http_trove_api_prepare_delivery(ngx_http_trove_api_t *api,
    ngx_str_t *segments)
{
    ngx_int_t  id;

    id = ngx_atoi(segments[0].data, segments[0].len);

    if (id < 1) {
        return NGX_HTTP_NOT_FOUND;
    }

    api->id = id;

    return NGX_OK;
}


ngx_int_t
ngx_http_trove_api_prepare_replay(ngx_http_trove_api_t *api,
    ngx_str_t *segments)
{
    api->wake = 1;
    api->action = api->dry_run ? NGX_TROVE_SPOOL_REPLAY_COUNT
                               : NGX_TROVE_SPOOL_REPLAY;

    return segments[0].len ? ngx_http_trove_api_prepare_delivery(api, segments)
                           : ngx_http_trove_api_bulk_prepare(api);
}


ngx_int_t
ngx_http_trove_api_prepare_cancel(ngx_http_trove_api_t *api,
    ngx_str_t *segments)
{
    api->action = api->dry_run ? NGX_TROVE_SPOOL_CANCEL_COUNT
                               : NGX_TROVE_SPOOL_CANCEL;

    return segments[0].len ? ngx_http_trove_api_prepare_delivery(api, segments)
                           : ngx_http_trove_api_bulk_prepare(api);
}


void
ngx_http_trove_api_work_deliveries(ngx_http_trove_api_t *api)
{
    api->result = ngx_trove_spool_deliveries(api->spool, &api->filter,
                                             api->cursor, api->limit,
                                             &api->error);

    api->rc = api->result ? ngx_http_trove_api_scope_deliveries(api,
                                                                api->result)
                          : NGX_ERROR;
}


void
ngx_http_trove_api_work_delivery(ngx_http_trove_api_t *api)
{
    api->result = ngx_trove_spool_delivery(api->spool, api->id, &api->error);

    api->rc = api->result ? ngx_http_trove_api_scope_deliveries(api,
                                                                api->result)
                          : NGX_ERROR;
}


void
ngx_http_trove_api_work_action(ngx_http_trove_api_t *api)
{
    ngx_int_t                      rc;
    ngx_trove_spool_deliveries_t  *deliveries;

    if (ngx_http_trove_api_scoped(api)) {
        ngx_http_trove_api_work_delivery(api);

        deliveries = api->result;

        if (api->rc != NGX_OK || deliveries->n == 0) {
            return;
        }

        ngx_trove_spool_free(deliveries);
        api->result = NULL;
    }

    rc = ngx_trove_spool_control(api->spool, api->action, api->id,
                                 &api->error);

    api->rc = rc;

    if (rc != NGX_ERROR) {
        ngx_http_trove_api_work_delivery(api);

        if (api->rc == NGX_OK) {
            api->rc = rc;
        }
    }
}
