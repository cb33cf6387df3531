
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_suspend.h"


struct ngx_http_trove_suspend_s {
    ngx_http_request_t         *request;
    ngx_http_trove_suspend_pt   handler;
    void                       *data;

    /*
     * 0 --suspend--> 0, r->main->blocked --resume--> 1 --> the handler is
     *                          |                           called, the request
     *                          |                           is finalized
     *                          |
     *                          +-- the client closes: nginx replaces the write
     *                              handler, and leaves the request to resume
     */
    unsigned                    resumed:1;
};


static void ngx_http_trove_suspend_wait(ngx_http_request_t *r);
static void ngx_http_trove_suspend_cleanup(void *data);


ngx_http_trove_suspend_t *
ngx_http_trove_suspend_create(ngx_http_request_t *r,
    ngx_http_trove_suspend_pt handler, void *data)
{
    ngx_pool_cleanup_t        *cln;
    ngx_http_trove_suspend_t  *suspend;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_trove_suspend_t));
    if (cln == NULL) {
        return NULL;
    }

    suspend = cln->data;

    suspend->request = r;
    suspend->handler = handler;
    suspend->data = data;
    suspend->resumed = 0;

    cln->handler = ngx_http_trove_suspend_cleanup;

    return suspend;
}


void
ngx_http_trove_suspend(ngx_http_trove_suspend_t *suspend)
{
    ngx_http_request_t  *r;

    r = suspend->request;

    r->main->count++;
    r->main->blocked++;

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_trove_suspend_wait;
}


void
ngx_http_trove_resume(ngx_http_trove_suspend_t *suspend)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = suspend->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    suspend->resumed = 1;
    r->main->blocked--;

    /* if the client is gone, nginx has put its own handler there */

    r->write_event_handler(r);

    ngx_http_run_posted_requests(c);
}


/* an event of the connection may call it before the request is resumed */

static void
ngx_http_trove_suspend_wait(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t        *cln;
    ngx_http_trove_suspend_t  *suspend;

    /* the latest is the first; nginx clears the contexts of modules */

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler == ngx_http_trove_suspend_cleanup) {
            break;
        }
    }

    suspend = cln ? cln->data : NULL;

    if (suspend == NULL || !suspend->resumed) {
        return;
    }

    r->write_event_handler = ngx_http_request_empty_handler;

    ngx_http_finalize_request(r, suspend->handler(r, suspend->data));
}


static void
ngx_http_trove_suspend_cleanup(void *data)
{
    /* marks the state in the list of cleanups; it is in the pool */
}
