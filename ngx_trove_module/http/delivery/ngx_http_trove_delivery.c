
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_body.h"
#include "ngx_http_trove_delivery.h"
#include "ngx_http_trove_delivery_expire.h"
#include "ngx_http_trove_delivery_request.h"
#include "ngx_http_trove_delivery_response.h"
#include "ngx_http_trove_delivery_unsent.h"
#include "ngx_http_trove_module.h"
#include "ngx_http_trove_upstream.h"


static void ngx_http_trove_delivery_turn(ngx_http_trove_waiter_t *waiter,
    ngx_uint_t timedout);
static void ngx_http_trove_delivery_run(ngx_http_trove_delivery_t *d);
static ngx_int_t ngx_http_trove_delivery_end(ngx_http_request_t *sr,
    void *data, ngx_int_t rc);
static ngx_int_t ngx_http_trove_delivery_terminate(ngx_http_request_t *sr);
static void ngx_http_trove_delivery_terminated(void *data);
static void ngx_http_trove_delivery_freed(void *data);
static void ngx_http_trove_delivery_stop(ngx_http_trove_delivery_t *d,
    ngx_uint_t status, const char *error);
static void ngx_http_trove_delivery_done(ngx_http_trove_delivery_t *d,
    ngx_uint_t status, const char *error);
static void ngx_http_trove_delivery_state(ngx_http_trove_delivery_t *d,
    ngx_uint_t state);


/* of timers of deliveries without a connection; for debug messages only */
static ngx_connection_t  ngx_http_trove_delivery_connection;


void
ngx_http_trove_delivery_start(ngx_http_trove_delivery_t *d)
{
    d->started = ngx_current_msec;

    switch (ngx_http_trove_limit_enter(&d->target->limit, &d->waiter,
                                       ngx_http_trove_delivery_turn,
                                       &ngx_http_trove_delivery_connection))
    {

    case NGX_OK:
        ngx_http_trove_delivery_run(d);
        return;

    case NGX_AGAIN:
        ngx_http_trove_delivery_state(d, NGX_HTTP_TROVE_DELIVERY_WAITING);
        return;

    default: /* NGX_DECLINED */
        ngx_http_trove_delivery_done(d, NGX_HTTP_SERVICE_UNAVAILABLE,
                                     "max_queue");
    }
}


static void
ngx_http_trove_delivery_turn(ngx_http_trove_waiter_t *waiter,
    ngx_uint_t timedout)
{
    ngx_http_trove_delivery_t  *d;

    d = (ngx_http_trove_delivery_t *)
            ((u_char *) waiter - offsetof(ngx_http_trove_delivery_t, waiter));

    if (timedout) {
        ngx_http_trove_delivery_done(d, NGX_HTTP_SERVICE_UNAVAILABLE,
                                     "max_wait");
        return;
    }

    ngx_http_trove_delivery_run(d);
}


static void
ngx_http_trove_delivery_run(ngx_http_trove_delivery_t *d)
{
    ngx_http_trove_fake_owner_t  owner;

    d->post.handler = ngx_http_trove_delivery_end;
    d->post.data = d;

    owner.terminated = ngx_http_trove_delivery_terminated;
    owner.freed = ngx_http_trove_delivery_freed;
    owner.data = d;

    if (ngx_http_trove_delivery_request(d, &owner) != NGX_OK) {
        ngx_http_trove_delivery_done(d, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                     "no_memory");
        return;
    }

    if (d->origin->request == NULL) {
        d->log = d->request->connection->log;
    }

    d->sent = 1;
    d->running = ngx_current_msec;
    ngx_http_trove_delivery_state(d, NGX_HTTP_TROVE_DELIVERY_RUNNING);

    ngx_http_trove_delivery_expire_add(d);

    ngx_http_run_posted_requests(d->request->connection);
}


/*
 * Called each time NGINX finalizes the subrequest: first with the return code
 * of a handler, again after the error page has been generated, and again if
 * that fails.  The return value tells NGINX how to continue: a status that
 * needs an error page; NGX_OK, if the subrequest has ended; or NGX_ERROR, which
 * terminates the request of this delivery.
 */

static ngx_int_t
ngx_http_trove_delivery_end(ngx_http_request_t *sr, void *data, ngx_int_t rc)
{
    const char                 *error;
    ngx_uint_t                  status;
    ngx_http_trove_delivery_t  *d = data;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, sr->connection->log, 0,
                   "trove delivery to \"%V\" ends: %i, %ui",
                   &d->target->name, rc, sr->headers_out.status);

    if (d->state == NGX_HTTP_TROVE_DELIVERY_DONE) {
        return ngx_http_trove_delivery_terminate(sr);
    }

    if (sr->connection->error) {

        /* a filter has rejected the response */

        rc = NGX_ERROR;
    }

    if (rc == NGX_OK || rc == NGX_AGAIN) {

        if (sr->buffered || sr->postponed) {

            /*
             * a file is still being read, or another subrequest is active;
             * NGINX calls again after that
             */

            return NGX_OK;
        }

        rc = NGX_OK;
    }

    if ((rc >= NGX_HTTP_SPECIAL_RESPONSE
         && rc != NGX_HTTP_REQUEST_TIME_OUT
         && rc != NGX_HTTP_CLOSE
         && rc != NGX_HTTP_CLIENT_CLOSED_REQUEST)
        || rc == NGX_HTTP_CREATED
        || rc == NGX_HTTP_NO_CONTENT)
    {
        /* an error_page of the location may redirect the subrequest */

        ngx_http_trove_upstream_failed(d, sr, rc);

        return rc;
    }

    error = NULL;
    status = sr->headers_out.status;

    if (status == 0) {
        status = (rc >= NGX_HTTP_SPECIAL_RESPONSE) ? (ngx_uint_t) rc
                                             : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    status = ngx_http_trove_upstream_status(d, sr, status);

    d->no_response = sr->upstream && !sr->upstream->header_sent
                    && sr->upstream->headers_in.status_n != status;
    d->answered = !d->no_response && d->refused == NULL;

    if (d->unterminated) {
        error = "truncated";

    } else if (rc != NGX_OK) {
        error = "aborted";

    } else if (ngx_http_trove_delivery_truncated(d, sr)) {
        error = "truncated";
    }

    if (d->refused) {
        error = d->refused;
        d->sent = !d->held;

    } else if (ngx_http_trove_delivery_unsent(sr, &d->target->name)) {
        error = "no_connection";
        d->sent = 0;
        d->answered = 0;
    }

    if (status >= NGX_HTTP_SPECIAL_RESPONSE) {
        ngx_http_trove_delivery_retry_after(sr, &d->retry_after);
    }

    ngx_http_trove_delivery_done(d, status, error);

    if (rc != NGX_OK) {
        return ngx_http_trove_delivery_terminate(sr);
    }

    /* NGINX frees it next, unless there is a detached subrequest */

    ngx_http_trove_fake_request_release(d->request);

    return NGX_OK;
}


/*
 * NGINX does not log the subrequests of a request that it terminates, but would
 * run a "post_action" of the location.
 */

static ngx_int_t
ngx_http_trove_delivery_terminate(ngx_http_request_t *sr)
{
    ngx_uint_t                  i;
    ngx_array_t                *handlers;
    ngx_http_handler_pt        *log;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_core_main_conf_t  *cmcf;

    clcf = ngx_http_get_module_loc_conf(sr, ngx_http_core_module);

    if (clcf->log_subrequest && !sr->logged) {
        cmcf = ngx_http_get_module_main_conf(sr, ngx_http_core_module);

        handlers = &cmcf->phases[NGX_HTTP_LOG_PHASE].handlers;
        log = handlers->elts;

        for (i = 0; i < handlers->nelts; i++) {
            (void) log[i](sr);
        }
    }

    sr->logged = 1;
    sr->post_action = 1;
    sr->uri_changes = 0;

    return NGX_ERROR;
}


static void
ngx_http_trove_delivery_terminated(void *data)
{
    ngx_http_trove_delivery_t *d = data;

    if (d->state == NGX_HTTP_TROVE_DELIVERY_RUNNING) {
        ngx_http_trove_delivery_done(d, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                     "aborted");
    }
}


static void
ngx_http_trove_delivery_freed(void *data)
{
    ngx_http_trove_delivery_t *d = data;

    if (d->request == NULL) {

        /* its subrequest could not be created */

        return;
    }

    if (d->origin->request == NULL) {
        d->log = ngx_cycle->log;
    }

    d->request = NULL;
    d->subrequest = NULL;

    ngx_http_trove_delivery_expire_remove(d);
}


void
ngx_http_trove_delivery_abort(ngx_http_trove_delivery_t *d)
{
    switch (d->state) {

    case NGX_HTTP_TROVE_DELIVERY_WAITING:
        ngx_http_trove_delivery_done(d, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                     "aborted");
        return;

    case NGX_HTTP_TROVE_DELIVERY_RUNNING:
        ngx_http_trove_delivery_stop(d, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                     "aborted");
        return;

    default: /* NEW, DONE */
        return;
    }
}


static void
ngx_http_trove_delivery_stop(ngx_http_trove_delivery_t *d, ngx_uint_t status,
    const char *error)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    c = d->request->connection;

    if (d->state == NGX_HTTP_TROVE_DELIVERY_RUNNING) {
        r = d->subrequest;

        ngx_http_set_log_request(c->log, r);
        ngx_http_trove_delivery_done(d, status, error);

    } else {

        /* released already; the function below counts on it */

        r = d->request;
        r->count++;
    }

    ngx_http_finalize_request(r, NGX_ERROR);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_trove_delivery_done(ngx_http_trove_delivery_t *d, ngx_uint_t status,
    const char *error)
{
    d->status = status;
    d->error = error;
    d->duration = ngx_current_msec - d->started;

    if (d->state == NGX_HTTP_TROVE_DELIVERY_RUNNING) {
        ngx_http_trove_metrics_target_took(d->target->metrics,
                                           ngx_current_msec - d->running);
    }

    ngx_http_trove_metrics_target_done(d->target->metrics, status, error,
                                       d->no_response);

    ngx_http_trove_delivery_state(d, NGX_HTTP_TROVE_DELIVERY_DONE);

    ngx_http_trove_limit_leave(&d->waiter);

    d->handler(d);
}


static void
ngx_http_trove_delivery_state(ngx_http_trove_delivery_t *d, ngx_uint_t state)
{
    static ngx_uint_t  gauges[] = {
        NGX_HTTP_TROVE_TARGET_NO_GAUGE,            /* NEW */
        NGX_HTTP_TROVE_TARGET_WAITING,
        NGX_HTTP_TROVE_TARGET_INFLIGHT,            /* RUNNING */
        NGX_HTTP_TROVE_TARGET_NO_GAUGE             /* DONE */
    };

    ngx_http_trove_metrics_target_move(d->target->metrics, gauges[d->state],
                                       gauges[state]);

    d->state = state;
}


void
ngx_http_trove_delivery_skip(ngx_http_trove_delivery_t *d)
{
    ngx_http_trove_target_skipped(d->target);

    d->state = NGX_HTTP_TROVE_DELIVERY_DONE;
    d->status = NGX_HTTP_OK;
    d->already_delivered = 1;
}


ngx_str_t *
ngx_http_trove_delivery_signature(ngx_http_trove_delivery_t *d, void *signer)
{
    return (d->signer == signer) ? &d->signature : NULL;
}


void
ngx_http_trove_delivery_signed(ngx_http_trove_delivery_t *d, void *signer,
    ngx_str_t *signature)
{
    d->signer = signer;
    d->signature = *signature;
}


/*
 * The length is set late because of "client_max_body_size".  NGINX would apply
 * the limit of the target, by default 1m, to a body that it has already
 * accepted.
 */

void
ngx_http_trove_delivery_length(ngx_http_request_t *r)
{
    if (r->headers_in.content_length_n == -1
        && ngx_http_trove_delivery_find(r))
    {
        r->headers_in.content_length_n = ngx_http_trove_body_length(r);
    }
}


ngx_http_trove_delivery_t *
ngx_http_trove_delivery_find(ngx_http_request_t *r)
{
    return ngx_http_trove_subrequest(r, ngx_http_trove_delivery_end);
}


ngx_uint_t
ngx_http_trove_delivery_unchanged(ngx_http_trove_delivery_t *d,
    ngx_http_request_t *r)
{
    return ngx_http_trove_origin_same(d->origin, r);
}


ngx_int_t
ngx_http_trove_delivery_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    ngx_http_trove_set_delivery(cf, ngx_http_trove_delivery_end);
    ngx_http_trove_delivery_response_init(ngx_http_trove_delivery_end);

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_SERVER_REWRITE_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_trove_delivery_rewrite;

    return NGX_OK;
}


void
ngx_http_trove_delivery_init_module(void)
{
    ngx_http_trove_delivery_response_top();
}


void
ngx_http_trove_delivery_init_process(ngx_cycle_t *cycle)
{
    ngx_http_trove_delivery_connection.fd = (ngx_socket_t) -1;
    ngx_http_trove_delivery_connection.log = cycle->log;

    ngx_http_trove_delivery_expire_init(cycle, ngx_http_trove_delivery_stop);
}
