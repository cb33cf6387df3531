
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_api.h"
#include "ngx_http_trove_spool_queue.h"


/*
 * Calls that act on all matching deliveries, or events, in steps: some of them
 * are found by a thread of the API, without blocking writers, and changed by
 * the writer, in transactions of a few milliseconds.
 *
 *   work: ids --> bulk --> written --> the next ids, or the end
 *                  ^          |
 *                  +----------+ ids that are left
 */

/* deliveries or events found in a step */
#define NGX_HTTP_TROVE_API_BULK  500


static void ngx_http_trove_api_bulk(ngx_http_trove_api_t *api);
static void ngx_http_trove_api_bulk_written(ngx_http_trove_write_t *write);


ngx_int_t
ngx_http_trove_api_bulk_prepare(ngx_http_trove_api_t *api)
{
    api->partial = 1;
    api->bulk = ngx_http_trove_api_bulk;

    api->ids = ngx_palloc(api->request->pool,
                          NGX_HTTP_TROVE_API_BULK * sizeof(int64_t));

    return (api->ids == NULL) ? NGX_HTTP_INTERNAL_SERVER_ERROR : NGX_OK;
}


void
ngx_http_trove_api_bulk_work(ngx_http_trove_api_t *api)
{
    ngx_uint_t  n, all;

    n = NGX_HTTP_TROVE_API_BULK;

    /* without the ids, it only counts: then all of them belong to the scope */

    all = api->dry_run && api->token->namespace.data == NULL;

    if (api->most) {
        n = ngx_min(n, api->most - api->count);
    }

    api->rc = ngx_trove_spool_select(api->spool, api->action, &api->filter,
                                     &api->cursor,
                                     all ? NULL : api->ids, &n, &api->error);

    if (api->rc == NGX_OK && !all) {
        api->rc = ngx_http_trove_api_scope_ids(api, api->ids, &n);
    }

    if (api->rc != NGX_OK) {
        return;
    }

    if (api->dry_run) {
        api->count += n;

    } else {
        api->nids = n;
        api->done = 0;
    }

    api->again = (api->cursor != 0);
}


/* queues what has been found for the writer */

static void
ngx_http_trove_api_bulk(ngx_http_trove_api_t *api)
{
    ngx_trove_spool_control_t  *control;

    ngx_memzero(&api->write, sizeof(ngx_http_trove_write_t));

    api->write.handler = ngx_http_trove_api_bulk_written;
    api->write.data = api;
    api->write.op.type = NGX_TROVE_SPOOL_OP_CONTROL;

    control = &api->write.op.u.control;

    control->action = api->action;
    control->ids = api->ids + api->done;
    control->nids = api->nids - api->done;
    control->states = api->filter.states;

    ngx_http_trove_writer_post_bulk(&api->write);
}


static void
ngx_http_trove_api_bulk_written(ngx_http_trove_write_t *write)
{
    ngx_http_trove_api_t  *api;

    api = write->data;

    if (write->op.result != NGX_TROVE_SPOOL_DONE) {

        /* the writer has logged the reason */

        api->rc = NGX_ERROR;
        api->again = 0;

        (void) ngx_cpystrn(api->error.text,
                           (u_char *) "the spool cannot be written",
                           NGX_TROVE_SPOOL_TEXT_LEN);

        ngx_http_trove_api_queue_next(api);
        return;
    }

    api->count += write->op.u.control.changed;
    api->done += write->op.u.control.done;

    if (api->wake) {
        ngx_http_trove_queue_wake();
    }

    if (api->done < api->nids && !api->closed && !ngx_exiting) {
        ngx_http_trove_api_bulk(api);
        return;
    }

    if (api->most && api->count >= api->most) {
        api->again = 0;
    }

    ngx_http_trove_api_queue_next(api);
}
