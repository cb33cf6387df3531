
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_body.h"
#include "ngx_http_trove_delivery.h"
#include "ngx_http_trove_delivery_request.h"
#include "ngx_http_trove_delivery_response.h"
#include "ngx_http_trove_module.h"


static void ngx_http_trove_delivery_turn(ngx_http_trove_waiter_t *waiter,
    ngx_uint_t timedout);
static ngx_int_t ngx_http_trove_delivery_run(ngx_http_trove_delivery_t *d);
static ngx_int_t ngx_http_trove_delivery_end(ngx_http_request_t *sr,
    void *data, ngx_int_t rc);
static void ngx_http_trove_delivery_done(ngx_http_trove_delivery_t *d,
    ngx_uint_t status, const char *error);
static void ngx_http_trove_delivery_close(ngx_http_trove_delivery_t *d,
    ngx_uint_t status, const char *error);
static void ngx_http_trove_delivery_state(ngx_http_trove_delivery_t *d,
    ngx_uint_t state);


void
ngx_http_trove_delivery_start(ngx_http_trove_delivery_t *d)
{
    d->started = ngx_current_msec;

    switch (ngx_http_trove_limit_enter(&d->target->limit, &d->waiter,
                                       ngx_http_trove_delivery_turn,
                                       d->request->connection))
    {

    case NGX_OK:

        if (ngx_http_trove_delivery_run(d) != NGX_OK) {
            ngx_http_trove_delivery_done(d, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                         "no_memory");
        }

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
    ngx_connection_t           *c;
    ngx_http_trove_delivery_t  *d;

    d = (ngx_http_trove_delivery_t *)
            ((u_char *) waiter - offsetof(ngx_http_trove_delivery_t, waiter));

    c = d->request->connection;

    ngx_http_set_log_request(c->log, d->request);

    if (timedout) {
        ngx_http_trove_delivery_done(d, NGX_HTTP_SERVICE_UNAVAILABLE,
                                     "max_wait");

    } else if (ngx_http_trove_delivery_run(d) != NGX_OK) {
        ngx_http_trove_delivery_done(d, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                     "no_memory");
    }

    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_trove_delivery_run(ngx_http_trove_delivery_t *d)
{
    d->post.handler = ngx_http_trove_delivery_end;
    d->post.data = d;

    if (ngx_http_trove_delivery_request(d) != NGX_OK) {
        return NGX_ERROR;
    }

    d->sent = 1;
    d->running = ngx_current_msec;
    ngx_http_trove_delivery_state(d, NGX_HTTP_TROVE_DELIVERY_RUNNING);

    return NGX_OK;
}


/*
 * Called each time NGINX finalizes the subrequest: first with the return code
 * of a handler, again after the error page has been generated, and again if
 * that fails.  The return value tells NGINX how to continue.  Unless it is a
 * status that needs an error page, NGINX must do nothing more.
 */

static ngx_int_t
ngx_http_trove_delivery_end(ngx_http_request_t *sr, void *data, ngx_int_t rc)
{
    const char                 *error;
    ngx_uint_t                  status;
    ngx_connection_t           *c;
    ngx_http_trove_delivery_t  *d = data;

    c = sr->connection;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "trove delivery to \"%V\" ends: %i, %ui",
                   &d->target->name, rc, sr->headers_out.status);

    if (c->error) {

        /*
         * Either the client has closed the connection, or a filter has
         * rejected this response.  NGINX would now finalize the main request,
         * and with it deliveries that the targets have already received.
         */

        d->client_closed |= !sr->filter_finalize && !d->unterminated;
        c->error = 0;
    }

    if (d->state == NGX_HTTP_TROVE_DELIVERY_DONE) {
        return NGX_OK;
    }

    if (rc == NGX_OK || rc == NGX_AGAIN) {

        if (sr->buffered) {

            /* a file is still being read; NGINX calls again after that */

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
        /* an error_page may redirect the subrequest */

        return rc;
    }

    error = NULL;
    status = sr->headers_out.status;

    if (status == 0) {
        status = (rc >= NGX_HTTP_SPECIAL_RESPONSE) ? (ngx_uint_t) rc
                                             : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    d->no_response = sr->upstream && !sr->upstream->header_sent
                    && sr->upstream->headers_in.status_n != status;

    if (d->unterminated) {
        error = "truncated";

    } else if (rc != NGX_OK) {
        error = "aborted";

    } else if (ngx_http_trove_delivery_truncated(d, sr)) {
        error = "truncated";
    }

    if (status >= NGX_HTTP_SPECIAL_RESPONSE) {
        ngx_http_trove_delivery_retry_after(sr, &d->retry_after);
    }

    ngx_http_trove_delivery_done(d, status, error);

    return NGX_OK;
}


static void
ngx_http_trove_delivery_done(ngx_http_trove_delivery_t *d, ngx_uint_t status,
    const char *error)
{
    ngx_http_trove_delivery_close(d, status, error);

    d->handler(d);
}


void
ngx_http_trove_delivery_abort(ngx_http_trove_delivery_t *d)
{
    if (d->state == NGX_HTTP_TROVE_DELIVERY_DONE) {
        return;
    }

    ngx_http_trove_delivery_close(d, 0, "aborted");
}


static void
ngx_http_trove_delivery_close(ngx_http_trove_delivery_t *d, ngx_uint_t status,
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


ngx_uint_t
ngx_http_trove_delivery_succeeded(ngx_http_trove_delivery_t *d)
{
    return d->state == NGX_HTTP_TROVE_DELIVERY_DONE
           && d->error == NULL
           && d->status >= NGX_HTTP_OK
           && d->status < NGX_HTTP_SPECIAL_RESPONSE;
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
        r->headers_in.content_length_n = ngx_http_trove_body_length(r->main);
    }
}


ngx_http_trove_delivery_t *
ngx_http_trove_delivery_find(ngx_http_request_t *r)
{
    return ngx_http_trove_subrequest(r, ngx_http_trove_delivery_end);
}


void
ngx_http_trove_delivery_init(ngx_conf_t *cf)
{
    ngx_http_trove_set_delivery(cf, ngx_http_trove_delivery_end);
    ngx_http_trove_delivery_response_init(ngx_http_trove_delivery_end);
}
