
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_body.h"
#include "ngx_http_trove_ctx.h"
#include "ngx_http_trove_delivery.h"
#include "ngx_http_trove_headers.h"
#include "ngx_http_trove_module.h"


/* "passed", of limit_conn and limit_req, whose names for it are their own */
#define NGX_HTTP_TROVE_LIMIT_PASSED  1

/* all that a target gets to see, and one more */
#define NGX_HTTP_TROVE_DELIVERY_HEADERS  6


static void ngx_http_trove_delivery_turn(ngx_http_trove_waiter_t *waiter,
    ngx_uint_t timedout);
static ngx_int_t ngx_http_trove_delivery_request(
    ngx_http_trove_delivery_t *d);
static ngx_int_t ngx_http_trove_delivery_headers(ngx_http_request_t *r,
    ngx_http_headers_in_t *in);
static ngx_http_variable_value_t *ngx_http_trove_delivery_variables(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_trove_delivery_end(ngx_http_request_t *sr,
    void *data, ngx_int_t rc);
static ngx_uint_t ngx_http_trove_delivery_truncated(
    ngx_http_trove_delivery_t *d, ngx_http_request_t *sr);
static void ngx_http_trove_delivery_retry_after(ngx_http_request_t *sr,
    ngx_str_t *value);
static void ngx_http_trove_delivery_over(ngx_http_trove_delivery_t *d,
    ngx_uint_t status, const char *error);
static ngx_int_t ngx_http_trove_delivery_header_filter(
    ngx_http_request_t *r);
static void ngx_http_trove_delivery_close(ngx_http_trove_delivery_t *d,
    ngx_uint_t status, const char *error);
static void ngx_http_trove_delivery_state(ngx_http_trove_delivery_t *d,
    ngx_uint_t state);
static ngx_int_t ngx_http_trove_delivery_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_trove_delivery_longer(ngx_http_trove_delivery_t *d,
    ngx_http_request_t *sr);
static void ngx_http_trove_delivery_keep(ngx_http_trove_delivery_t *d,
    ngx_http_request_t *sr, ngx_buf_t *b);


static ngx_str_t  ngx_http_trove_delivery_method = ngx_string("POST");


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


void
ngx_http_trove_delivery_start(ngx_http_trove_delivery_t *d)
{
    d->started = ngx_current_msec;

    switch (ngx_http_trove_limit_enter(&d->target->limit, &d->waiter,
                                       ngx_http_trove_delivery_turn,
                                       d->request->connection))
    {

    case NGX_OK:

        if (ngx_http_trove_delivery_request(d) != NGX_OK) {
            ngx_http_trove_delivery_over(d, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                         "no_memory");
        }

        return;

    case NGX_AGAIN:
        ngx_http_trove_delivery_state(d, NGX_HTTP_TROVE_DELIVERY_WAITING);
        return;

    default: /* NGX_DECLINED */
        ngx_http_trove_delivery_over(d, NGX_HTTP_SERVICE_UNAVAILABLE,
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
        ngx_http_trove_delivery_over(d, NGX_HTTP_SERVICE_UNAVAILABLE,
                                     "max_wait");

    } else if (ngx_http_trove_delivery_request(d) != NGX_OK) {
        ngx_http_trove_delivery_over(d, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                     "no_memory");
    }

    ngx_http_run_posted_requests(c);
}


static ngx_int_t
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

    d->post.handler = ngx_http_trove_delivery_end;
    d->post.data = d;

    count = r->count;

    if (ngx_http_subrequest(r, &d->target->uri, &d->target->args, &sr,
                            &d->post, NGX_HTTP_SUBREQUEST_BACKGROUND)
        != NGX_OK)
    {
        /* it may have counted itself before it failed */

        r->count = count;
        return NGX_ERROR;
    }

    /* nothing may fail from here on: the subrequest is on its way */

    sr->method = NGX_HTTP_POST;
    sr->method_name = ngx_http_trove_delivery_method;
    sr->variables = variables;

    sr->headers_in = in;
    sr->headers_in.headers.last = &sr->headers_in.headers.part;

    /*
     * Both modules keep their state on the main request, and have its timer
     * wake that instead of the subrequest, which would wait for ever.
     */

    r->limit_req_status = NGX_HTTP_TROVE_LIMIT_PASSED;
    r->limit_conn_status = NGX_HTTP_TROVE_LIMIT_PASSED;

    d->sent = 1;
    d->running = ngx_current_msec;
    ngx_http_trove_delivery_state(d, NGX_HTTP_TROVE_DELIVERY_RUNNING);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "trove delivery to \"%V\", attempt %ui",
                   &d->target->name, d->attempt);

    return NGX_OK;
}


/*
 * A list of its own: that of the main request cannot be shared, as whoever adds
 * to a copy of it writes into the original.  Nothing else of the client goes to
 * a target, so that it makes no difference whether the client is still there.
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

    /* the list has room for all of them */

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


/* a "map" or "set" in one delivery must not be seen in another */

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


/*
 * Called whenever NGINX thinks that the subrequest has ended: first with what a
 * handler returned, then again when the page for it has been made, and again
 * when that is an error.  What is returned decides how NGINX goes on: but for a
 * status that it makes a page of, it is to do nothing more.
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
         * The client is gone, or a filter gave up on this answer.  NGINX would
         * end the main request now, and with it deliveries that the targets
         * have got already.
         */

        d->client_closed |= !sr->filter_finalize && !d->endless;
        c->error = 0;
    }

    if (d->state == NGX_HTTP_TROVE_DELIVERY_DONE) {
        return NGX_OK;
    }

    if (rc == NGX_OK || rc == NGX_AGAIN) {

        if (sr->buffered) {

            /* a file is still being read; NGINX comes back when it has been */

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
        /* an error_page may send it elsewhere */

        return rc;
    }

    error = NULL;
    status = sr->headers_out.status;

    if (status == 0) {
        status = (rc >= NGX_HTTP_SPECIAL_RESPONSE) ? (ngx_uint_t) rc
                                             : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    d->unanswered = sr->upstream && !sr->upstream->header_sent
                    && sr->upstream->headers_in.status_n != status;

    if (d->endless) {
        error = "truncated";

    } else if (rc != NGX_OK) {
        error = "aborted";

    } else if (ngx_http_trove_delivery_truncated(d, sr)) {
        error = "truncated";
    }

    if (status >= NGX_HTTP_SPECIAL_RESPONSE) {
        ngx_http_trove_delivery_retry_after(sr, &d->retry_after);
    }

    ngx_http_trove_delivery_over(d, status, error);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_trove_delivery_truncated(ngx_http_trove_delivery_t *d,
    ngx_http_request_t *sr)
{
    ngx_http_upstream_t  *u;

    u = sr->upstream;

    if (u == NULL || !u->header_sent || sr->header_only) {
        return 0;
    }

    if (!d->last) {
        return 1;
    }

    if (u->buffering || u->length != -1) {
        return 0;
    }

    /*
     * The connection was closed, which NGINX takes for the end of an answer,
     * but FastCGI has a record for that.
     */

    return u->headers_in.content_length_n > d->received
           || (u->schema.len >= sizeof("fastcgi") - 1
               && ngx_strncmp(u->schema.data, "fastcgi", sizeof("fastcgi") - 1)
                  == 0);
}


static void
ngx_http_trove_delivery_retry_after(ngx_http_request_t *sr, ngx_str_t *value)
{
    ngx_table_elt_t                *h;
    ngx_http_trove_headers_walk_t   walk;

    walk.part = &sr->headers_out.headers.part;
    walk.i = 0;

    while ((h = ngx_http_trove_headers_next(&walk)) != NULL) {

        if (h->hash && h->key.len == sizeof("Retry-After") - 1
            && ngx_strncasecmp(h->key.data, (u_char *) "Retry-After",
                               sizeof("Retry-After") - 1)
               == 0)
        {
            *value = h->value;
            return;
        }
    }
}


static void
ngx_http_trove_delivery_over(ngx_http_trove_delivery_t *d, ngx_uint_t status,
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

    ngx_http_trove_metrics_target_over(d->target->metrics, status, error,
                                       d->unanswered);

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


ngx_uint_t
ngx_http_trove_delivery_taken(ngx_http_trove_delivery_t *d)
{
    return d->state == NGX_HTTP_TROVE_DELIVERY_DONE
           && d->error == NULL
           && d->status >= NGX_HTTP_OK
           && d->status < NGX_HTTP_SPECIAL_RESPONSE;
}


/*
 * The length comes late: by "client_max_body_size", of the target and 1m if
 * that has none, NGINX would refuse what it has accepted already.
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


/*
 * Whoever buffers an answer takes it that a background subrequest cannot write,
 * and puts a long one into a temporary file.  It is read for a time only: each
 * piece starts the timers of "proxy_read_timeout" and the like anew.
 */

static ngx_int_t
ngx_http_trove_delivery_header_filter(ngx_http_request_t *r)
{
    ngx_http_upstream_t        *u;
    ngx_http_trove_delivery_t  *d;

    if (r->post_subrequest
        && r->post_subrequest->handler == ngx_http_trove_delivery_end)
    {
        d = r->post_subrequest->data;
        d->answered = ngx_current_msec;

        u = r->upstream;

        if (u && u->buffering && !u->cacheable && !u->store) {
            u->buffering = 0;
        }
    }

    return ngx_http_next_header_filter(r);
}


/*
 * Takes the answer as fast as it comes, so that the upstream connection can be
 * kept alive, and keeps nothing of it but the beginning, where that is wanted.
 */

static ngx_int_t
ngx_http_trove_delivery_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_buf_t                  *b;
    ngx_chain_t                *cl;
    ngx_http_trove_delivery_t  *d;

    /* a subrequest that a script in the target makes is the script's */

    if (r->post_subrequest == NULL
        || r->post_subrequest->handler != ngx_http_trove_delivery_end)
    {
        return ngx_http_next_body_filter(r, in);
    }

    d = r->post_subrequest->data;

    for (cl = in; cl; cl = cl->next) {
        b = cl->buf;

        d->received += ngx_buf_size(b);

        if (d->answer.len < d->keep) {
            ngx_http_trove_delivery_keep(d, r, b);
        }

        b->pos = b->last;
        b->file_pos = b->file_last;

        d->last |= b->last_buf || b->last_in_chain;
    }

    return d->last ? NGX_OK : ngx_http_trove_delivery_longer(d, r);
}


/* NGX_ERROR closes the connection to the target, and ends the subrequest */

static ngx_int_t
ngx_http_trove_delivery_longer(ngx_http_trove_delivery_t *d,
    ngx_http_request_t *sr)
{
    ngx_http_core_loc_conf_t  *clcf;

    if (sr->upstream == NULL || d->state != NGX_HTTP_TROVE_DELIVERY_RUNNING) {
        return NGX_OK;
    }

    clcf = ngx_http_get_module_loc_conf(sr, ngx_http_core_module);

    if (ngx_current_msec - d->answered < clcf->lingering_time) {
        return NGX_OK;
    }

    if (!d->endless) {
        d->endless = 1;

        ngx_log_error(NGX_LOG_ERR, sr->connection->log, 0,
                      "trove: the answer of target \"%V\" has no end after "
                      "%M ms and %O bytes, closing its connection",
                      &d->target->name, clcf->lingering_time, d->received);
    }

    return NGX_ERROR;
}


/*
 * Of an answer that is no success, what the target said: neither the pages of
 * NGINX where it said nothing, nor a file, for which the disk had to be read.
 */

static void
ngx_http_trove_delivery_keep(ngx_http_trove_delivery_t *d,
    ngx_http_request_t *sr, ngx_buf_t *b)
{
    size_t  len;

    if (sr->headers_out.status < NGX_HTTP_SPECIAL_RESPONSE
        || (sr->upstream && !sr->upstream->header_sent)
        || !ngx_buf_in_memory(b))
    {
        return;
    }

    len = ngx_min((size_t) (b->last - b->pos), d->keep - d->answer.len);

    if (len == 0) {
        return;
    }

    if (d->answer.data == NULL) {
        d->answer.data = ngx_pnalloc(d->request->pool, d->keep);

        if (d->answer.data == NULL) {
            d->keep = 0;
            return;
        }
    }

    ngx_memcpy(d->answer.data + d->answer.len, b->pos, len);
    d->answer.len += len;
}


void
ngx_http_trove_delivery_init(ngx_conf_t *cf)
{
    ngx_http_trove_set_delivery(cf, ngx_http_trove_delivery_end);

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_trove_delivery_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_trove_delivery_body_filter;
}
