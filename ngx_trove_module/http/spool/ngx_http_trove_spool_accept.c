
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_body.h"
#include "ngx_http_trove_dedup.h"
#include "ngx_http_trove_health_log.h"
#include "ngx_http_trove_metrics.h"
#include "ngx_http_trove_metrics_spool.h"
#include "ngx_http_trove_response.h"
#include "ngx_http_trove_spool.h"
#include "ngx_http_trove_spool_dispatcher.h"
#include "ngx_http_trove_spool_queue.h"
#include "ngx_http_trove_spool_writer.h"
#include "ngx_http_trove_suspend.h"


/* value of Retry-After, in seconds */
#define NGX_HTTP_TROVE_SPOOL_RETRY  10


/*
 * An event that is being written to the file.  The request is suspended until
 * then, so that it and its pool survive a close of the client's connection:
 *
 *   accept --> being written --written--> deliveries start, then the response
 */

typedef struct {
    ngx_http_trove_write_t      write;
    ngx_http_request_t         *request;
    ngx_http_trove_suspend_t   *suspend;
    ngx_http_trove_ctx_t       *ctx;
    ngx_http_trove_route_t     *route;
    ngx_trove_spool_start_t    *starts;
    ngx_uint_t                 *indices;       /* of targets in the route */
    ngx_uint_t                  n;
    u_char                      key[NGX_TROVE_SPOOL_KEY_LEN];
} ngx_http_trove_accept_t;


static ngx_int_t ngx_http_trove_spool_match(ngx_http_trove_accept_t *accept);
static ngx_int_t ngx_http_trove_spool_event(ngx_http_trove_accept_t *accept,
    ngx_trove_spool_accept_t *op);
static ngx_int_t ngx_http_trove_spool_body(ngx_http_request_t *r,
    ngx_trove_spool_accept_t *op);
static ngx_int_t ngx_http_trove_spool_gather(void *data, u_char *p,
    size_t len);
static void ngx_http_trove_spool_written(ngx_http_trove_write_t *write);
static void ngx_http_trove_spool_start(ngx_http_trove_accept_t *accept);
static ngx_int_t ngx_http_trove_spool_response(ngx_http_request_t *r,
    void *data);
static ngx_int_t ngx_http_trove_spool_refuse(ngx_http_request_t *r);


/* of this process, or NULL */
static void  (*ngx_http_trove_spool_accepted)(void);


ngx_int_t
ngx_http_trove_spool_accept(ngx_http_request_t *r, ngx_http_trove_ctx_t *ctx,
    ngx_http_trove_route_t *route)
{
    ngx_uint_t                      i;
    ngx_http_trove_accept_t        *accept;
    ngx_trove_spool_accept_t       *op;
    ngx_http_trove_queue_target_t  *t;

    accept = ngx_pcalloc(r->pool, sizeof(ngx_http_trove_accept_t));
    if (accept == NULL) {
        return ngx_http_trove_response_failure(r,
                                             NGX_HTTP_INTERNAL_SERVER_ERROR);
    }

    accept->request = r;
    accept->ctx = ctx;
    accept->route = route;

    accept->write.handler = ngx_http_trove_spool_written;
    accept->write.data = accept;
    accept->write.op.type = NGX_TROVE_SPOOL_OP_ACCEPT;

    op = &accept->write.op.u.accept;

    accept->suspend = ngx_http_trove_suspend_create(r,
                                         ngx_http_trove_spool_response, accept);

    if (accept->suspend == NULL
        || ngx_http_trove_spool_match(accept) != NGX_OK
        || ngx_http_trove_spool_event(accept, op) != NGX_OK)
    {
        return ngx_http_trove_response_failure(r,
                                             NGX_HTTP_INTERNAL_SERVER_ERROR);
    }

    if (op->fd == NGX_INVALID_FILE
        && ngx_http_trove_writer_full(op->event.body.len))
    {
        return ngx_http_trove_spool_refuse(r);
    }

    /* a body in a file would have to be read here: the dispatcher does that */

    for (i = 0; i < accept->n; i++) {
        t = ngx_http_trove_queue_target(route, accept->indices[i]);

        accept->starts[i].lease = op->fd == NGX_INVALID_FILE
                                  && ngx_http_trove_queue_reserve(t,
                                                         op->event.body.len);
    }

    ngx_http_trove_suspend(accept->suspend);
    ngx_http_trove_writer_post(&accept->write);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_trove_spool_match(ngx_http_trove_accept_t *accept)
{
    ngx_int_t                  rc;
    ngx_uint_t                 i, n;
    ngx_array_t               *targets;
    ngx_http_request_t        *r;
    ngx_http_trove_target_t  **target;

    r = accept->request;
    targets = accept->route->targets;
    target = targets->elts;

    accept->starts = ngx_pcalloc(r->pool, (targets->nelts + 1)
                                          * sizeof(ngx_trove_spool_start_t));
    accept->indices = ngx_palloc(r->pool, (targets->nelts + 1)
                                          * sizeof(ngx_uint_t));

    if (accept->starts == NULL || accept->indices == NULL) {
        return NGX_ERROR;
    }

    n = 0;

    for (i = 0; i < targets->nelts; i++) {
        rc = ngx_http_trove_target_match(r, target[i], &accept->ctx->event);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_OK) {
            accept->starts[n].name = target[i]->name;
            accept->indices[n++] = i;
        }
    }

    accept->n = n;

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_spool_event(ngx_http_trove_accept_t *accept,
    ngx_trove_spool_accept_t *op)
{
    ngx_int_t            rc;
    ngx_trove_event_t   *event;
    ngx_http_request_t  *r;

    r = accept->request;
    event = &accept->ctx->event;

    op->event.id = event->id;
    op->event.type = event->type;
    op->event.namespace = event->namespace;
    op->event.workspace = event->workspace_id;
    op->event.created_at = event->created_at;
    op->event.route = accept->route->name;
    op->event.host = r->headers_in.server;
    op->event.uri = r->unparsed_uri;

    if (r->headers_in.content_type) {
        op->event.content_type = r->headers_in.content_type->value;
    }

    op->targets = accept->starts;
    op->ntargets = accept->n;
    op->subscribed = (accept->route->subscribers != NULL);
    op->lease = NGX_HTTP_TROVE_QUEUE_LEASE;

    rc = ngx_http_trove_dedup_digest(r, accept->ctx, accept->key);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_OK) {
        op->key = accept->key;
    }

    return ngx_http_trove_spool_body(r, op);
}


/* one buffer, as most bodies are; or a file */

static ngx_int_t
ngx_http_trove_spool_body(ngx_http_request_t *r, ngx_trove_spool_accept_t *op)
{
    u_char       *p;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    op->fd = NGX_INVALID_FILE;
    op->event.body.len = ngx_http_trove_body_length(r);

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return NGX_OK;
    }

    cl = r->request_body->bufs;
    b = cl->buf;

    if (cl->next == NULL && ngx_buf_in_memory(b)) {
        op->event.body.data = b->pos;
        return NGX_OK;
    }

    if (cl->next == NULL && b->in_file) {
        op->fd = b->file->fd;
        op->offset = b->file_pos;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, op->event.body.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    op->event.body.data = p;

    return ngx_http_trove_body_walk(r, ngx_http_trove_spool_gather, &p);
}


static ngx_int_t
ngx_http_trove_spool_gather(void *data, u_char *p, size_t len)
{
    u_char **to = data;

    *to = ngx_cpymem(*to, p, len);

    return NGX_OK;
}


static void
ngx_http_trove_spool_written(ngx_http_trove_write_t *write)
{
    ngx_http_trove_accept_t  *accept;

    accept = write->data;

    ngx_http_trove_spool_start(accept);
    ngx_http_trove_resume(accept->suspend);
}


static void
ngx_http_trove_spool_start(ngx_http_trove_accept_t *accept)
{
    ngx_uint_t                      i, n, waiting;
    ngx_trove_spool_accept_t       *op;
    ngx_http_trove_queue_target_t  *t;

    op = &accept->write.op.u.accept;

    n = 0;
    waiting = (op->nsubscribed != 0);

    for (i = 0; i < accept->n; i++) {

        if (accept->write.op.result == NGX_TROVE_SPOOL_DONE
            && accept->starts[i].leased)
        {
            accept->starts[n] = accept->starts[i];
            accept->indices[n++] = accept->indices[i];
            continue;
        }

        waiting |= !accept->starts[i].paused;

        if (accept->starts[i].lease) {
            t = ngx_http_trove_queue_target(accept->route, accept->indices[i]);

            ngx_http_trove_queue_unreserve(t, 0);
        }
    }

    if (accept->write.op.result != NGX_TROVE_SPOOL_DONE) {
        return;
    }

    ngx_http_trove_dispatcher_take(accept->route, &op->event, accept->starts,
                                   accept->indices, n);

    if (waiting) {
        ngx_http_trove_queue_wake();
    }

    if (ngx_http_trove_spool_accepted) {
        ngx_http_trove_spool_accepted();
    }
}


void
ngx_http_trove_spool_on_accepted(void (*handler)(void))
{
    ngx_http_trove_spool_accepted = handler;
}


static ngx_int_t
ngx_http_trove_spool_response(ngx_http_request_t *r, void *data)
{
    ngx_http_trove_accept_t *accept = data;

    u_char                    after[sizeof(",\"deliveries\":") + NGX_INT_T_LEN];
    ngx_str_t                 json;
    ngx_uint_t                n, status;
    const char               *before;

    static ngx_str_t  full = ngx_string("{\"error\":\"spool_full\"}");
    static ngx_str_t  large = ngx_string("{\"error\":\"too_large\"}");

    after[0] = '\0';

    switch (accept->write.op.result) {

    case NGX_TROVE_SPOOL_DONE:
        ngx_http_trove_metrics_spool_add(NGX_HTTP_TROVE_SPOOL_ACCEPTED, 1);
        status = NGX_HTTP_ACCEPTED;
        before = "\"status\":\"accepted\",\"id\":";

        n = accept->write.op.u.accept.ntargets
            + accept->write.op.u.accept.nsubscribed;

        (void) ngx_sprintf(after, ",\"deliveries\":%ui%Z", n);

        /* with subscriptions, it may be that of a customer who has none */

        if (n == 0 && !accept->write.op.u.accept.subscribed) {
            ngx_http_trove_metrics_add(r, NGX_HTTP_TROVE_METRIC_UNMATCHED, 1);
            ngx_http_trove_health_unmatched(r, &accept->ctx->event.id);
        }

        break;

    case NGX_TROVE_SPOOL_DUPLICATE:
        ngx_http_trove_metrics_spool_add(NGX_HTTP_TROVE_SPOOL_DUPLICATE, 1);
        status = NGX_HTTP_OK;
        before = "\"status\":\"duplicate\",\"id\":";
        break;

    case NGX_TROVE_SPOOL_TOO_LARGE:
        ngx_http_trove_metrics_spool_add(NGX_HTTP_TROVE_SPOOL_REFUSED, 1);
        return ngx_http_trove_response_content(r,
                              NGX_HTTP_REQUEST_ENTITY_TOO_LARGE, &large, 0);

    case NGX_TROVE_SPOOL_NO_SPACE:
        ngx_http_trove_metrics_spool_add(NGX_HTTP_TROVE_SPOOL_REFUSED, 1);
        return ngx_http_trove_response_content(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                          &full, NGX_HTTP_TROVE_SPOOL_RETRY);

    default:
        return ngx_http_trove_spool_refuse(r);
    }

    if (ngx_http_trove_response_json(r, &json, before, &accept->ctx->event.id,
                                     (const char *) after)
        != NGX_OK)
    {
        return ngx_http_trove_response_failure(r,
                                             NGX_HTTP_INTERNAL_SERVER_ERROR);
    }

    return ngx_http_trove_response_content(r, status, &json, 0);
}


static ngx_int_t
ngx_http_trove_spool_refuse(ngx_http_request_t *r)
{
    ngx_trove_spool_error_e  error;

    static ngx_str_t  full = ngx_string("{\"error\":\"spool_full\"}");
    static ngx_str_t  down = ngx_string("{\"error\":\"spool_unavailable\"}");

    error = ngx_http_trove_writer_state()->error;

    ngx_http_trove_metrics_spool_add(NGX_HTTP_TROVE_SPOOL_REFUSED, 1);

    return ngx_http_trove_response_content(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                           error == NGX_TROVE_SPOOL_FULL
                                           ? &full : &down,
                                           NGX_HTTP_TROVE_SPOOL_RETRY);
}
