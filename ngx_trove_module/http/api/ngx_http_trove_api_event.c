
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_api.h"
#include "ngx_http_trove_dedup.h"


/* Calls for one event.  work() runs in a thread. */


ngx_int_t
ngx_http_trove_api_prepare_event(ngx_http_trove_api_t *api, ngx_str_t *segments)
{
    api->name = segments[0];
    api->filter.id = segments[0];
    api->cursor = 0;

    return NGX_OK;
}


/* in the zones at once; in the spool later, by the keys that it may have */

ngx_int_t
ngx_http_trove_api_prepare_forget(ngx_http_trove_api_t *api,
    ngx_str_t *segments)
{
    api->name = segments[0];

    return ngx_http_trove_dedup_forget(api->request, &segments[0], &api->keys,
                                       &api->nkeys, &api->count);
}


ngx_int_t
ngx_http_trove_api_prepare_purge(ngx_http_trove_api_t *api, ngx_str_t *segments)
{
    api->action = api->dry_run ? NGX_TROVE_SPOOL_PURGE_COUNT
                               : NGX_TROVE_SPOOL_PURGE;

    return ngx_http_trove_api_bulk_prepare(api);
}


void
ngx_http_trove_api_work_event(ngx_http_trove_api_t *api)
{
    ngx_trove_spool_events_t  *events;

    /* the newest event with the id; a page may be empty before the last */

    ngx_trove_spool_free(api->result);

    events = ngx_trove_spool_events(api->spool, &api->filter, api->cursor, 1,
                                    0, &api->error);
    api->result = events;

    if (events == NULL) {
        api->rc = NGX_ERROR;
        return;
    }

    if (events->n == 0 && events->next) {
        api->cursor = events->next;
        api->again = 1;
        return;
    }

    if (events->n) {
        api->more = ngx_trove_spool_event_deliveries(api->spool,
                                                     events->events[0].number,
                                                     &api->error);
        if (api->more == NULL
            || ngx_http_trove_api_scope_deliveries(api, api->more) != NGX_OK)
        {
            api->rc = NGX_ERROR;
        }
    }
}


void
ngx_http_trove_api_work_forget(ngx_http_trove_api_t *api)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    for (i = 0; i < api->nkeys; i++) {
        rc = ngx_trove_spool_forget(api->spool,
                                    api->keys + i * NGX_TROVE_SPOOL_KEY_LEN,
                                    &api->error);

        if (rc == NGX_ERROR) {
            api->rc = NGX_ERROR;
            return;
        }

        api->count += (rc == NGX_OK);
    }
}
