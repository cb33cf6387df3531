
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_body.h"
#include "ngx_http_trove_compat.h"
#include "ngx_http_trove_fake_request.h"
#include "ngx_http_trove_headers.h"


/* headers: Host and Content-Type */
#define NGX_HTTP_TROVE_FAKE_REQUEST_HEADERS  2


/*
 * Everything that NGINX requires of a client connection.  It is not one of the
 * worker's connections and uses no slot of them.
 */

typedef struct {
    ngx_connection_t         connection;
    ngx_event_t              read;
    ngx_event_t              write;
    ngx_event_t              end;              /* frees the structure */
    ngx_log_t                log;
    ngx_http_log_ctx_t       log_ctx;
    ngx_http_connection_t    http;
    struct sockaddr          sockaddr;
    ngx_http_request_t      *request;
    ngx_http_cleanup_pt      cleanup;
    void                    *data;
} ngx_http_trove_fake_request_t;


static ngx_int_t ngx_http_trove_fake_request_fill(ngx_http_request_t *r,
    ngx_trove_spool_event_t *event);
static void ngx_http_trove_fake_request_terminated(void *data);
static u_char *ngx_http_trove_fake_request_log(ngx_log_t *log, u_char *buf,
    size_t len);
static void ngx_http_trove_fake_request_write(ngx_http_request_t *r);
static void ngx_http_trove_fake_request_event(ngx_event_t *ev);
static void ngx_http_trove_fake_request_end(ngx_event_t *ev);
static void ngx_http_trove_fake_request_forget(ngx_event_t *ev);


ngx_http_request_t *
ngx_http_trove_fake_request_create(ngx_http_core_srv_conf_t *cscf,
    void **loc_conf, ngx_trove_spool_event_t *event, ngx_log_t *log)
{
    ngx_connection_t             *c;
    ngx_http_request_t           *r;
    ngx_http_trove_fake_request_t  *fake;

    fake = ngx_calloc(sizeof(ngx_http_trove_fake_request_t), log);
    if (fake == NULL) {
        return NULL;
    }

    c = &fake->connection;

    c->fd = (ngx_socket_t) -1;
    c->data = &fake->http;
    c->read = &fake->read;
    c->write = &fake->write;
    c->log = &fake->log;

    /*
     * The read event looks active, and the write event always ready.  NGINX
     * must neither add them to the event method nor set a timer for a slow
     * client.  Event methods that are not edge-triggered would delete an event
     * that is both active and ready.
     */

    fake->read.data = c;
    fake->read.log = &fake->log;
    fake->read.handler = ngx_http_trove_fake_request_event;
    fake->read.active = 1;

    fake->write.data = c;
    fake->write.log = &fake->log;
    fake->write.handler = ngx_http_trove_fake_request_event;
    fake->write.write = 1;
    fake->write.active = (ngx_event_flags & NGX_USE_CLEAR_EVENT) ? 1 : 0;
    fake->write.ready = 1;

    fake->end.data = c;
    fake->end.log = &fake->log;
    fake->end.handler = ngx_http_trove_fake_request_end;

    fake->log = *log;
    fake->log.handler = ngx_http_trove_fake_request_log;
    fake->log.data = &fake->log_ctx;
    fake->log.action = "delivering from the spool";

    fake->log_ctx.connection = c;

    /* the addresses are those of a unix domain socket */

    fake->sockaddr.sa_family = AF_UNIX;
    c->sockaddr = &fake->sockaddr;
    c->socklen = sizeof(sa_family_t);
    c->local_sockaddr = &fake->sockaddr;
    c->local_socklen = sizeof(sa_family_t);
    ngx_str_set(&c->addr_text, "unix:");

    c->tcp_nodelay = NGX_TCP_NODELAY_DISABLED;
    c->tcp_nopush = NGX_TCP_NOPUSH_DISABLED;

    fake->http.conf_ctx = cscf->ctx;

    r = ngx_http_create_request(c);
    if (r == NULL) {
        ngx_free(fake);
        return NULL;
    }

    fake->request = r;
    c->data = r;

    /* this is not a client's request, but NGINX has counted it as one */

    if (r->stat_reading) {
        (void) ngx_atomic_fetch_add(ngx_stat_reading, -1);
        (void) ngx_atomic_fetch_add(ngx_stat_requests, -1);
        r->stat_reading = 0;
    }

    r->loc_conf = loc_conf;
    r->logged = 1;
    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_trove_fake_request_write;

    if (ngx_http_trove_fake_request_fill(r, event) != NGX_OK) {
        ngx_http_free_request(r, 0);
        ngx_free(fake);
        return NULL;
    }

    return r;
}


static ngx_int_t
ngx_http_trove_fake_request_fill(ngx_http_request_t *r,
    ngx_trove_spool_event_t *event)
{
    u_char                   *p;
    ngx_buf_t                *b;
    ngx_chain_t              *cl;
    ngx_http_trove_ctx_t     *ctx;
    ngx_http_request_body_t  *rb;

    static ngx_str_t  method = ngx_string("POST");
    static ngx_str_t  protocol = ngx_string("HTTP/1.1");

    r->method = NGX_HTTP_POST;
    r->method_name = method;
    r->http_version = NGX_HTTP_VERSION_11;
    r->http_protocol = protocol;
    r->http_state = NGX_HTTP_PROCESS_REQUEST_STATE;
    r->internal = 1;

    r->unparsed_uri = event->uri;
    r->uri = event->uri;

    p = ngx_strlchr(event->uri.data, event->uri.data + event->uri.len, '?');

    if (p) {
        r->uri.len = p - event->uri.data;
        r->args.data = p + 1;
        r->args.len = event->uri.len - r->uri.len - 1;
    }

    r->request_line.len = method.len + 1 + event->uri.len + 1 + protocol.len;

    r->request_line.data = ngx_pnalloc(r->pool, r->request_line.len);
    if (r->request_line.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(r->request_line.data, "%V %V %V", &method, &event->uri,
                       &protocol);

    if (ngx_list_init(&r->headers_in.headers, r->pool,
                      NGX_HTTP_TROVE_FAKE_REQUEST_HEADERS,
                      sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* the list is allocated with space for both */

    if (event->host.len) {
        r->headers_in.host = ngx_http_trove_headers_add(&r->headers_in.headers,
                                                        "Host", "host",
                                                        &event->host);
        r->headers_in.server = event->host;
    }

    if (event->content_type.len) {
        r->headers_in.content_type = ngx_http_trove_headers_add(
                                               &r->headers_in.headers,
                                               "Content-Type", "content-type",
                                               &event->content_type);
    }

    r->headers_in.content_length_n = event->body.len;

    rb = ngx_pcalloc(r->pool, sizeof(ngx_http_request_body_t));
    if (rb == NULL) {
        return NGX_ERROR;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    cl = ngx_alloc_chain_link(r->pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    b->start = event->body.data;
    b->pos = event->body.data;
    b->last = event->body.data + event->body.len;
    b->end = b->last;
    b->memory = 1;
    b->last_buf = 1;

    cl->buf = b;
    cl->next = NULL;

    rb->bufs = cl;
    rb->buf = b;

    r->request_body = rb;
    r->preserve_body = 1;

    ctx = ngx_http_trove_ctx_make(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    ctx->body = NGX_HTTP_TROVE_BODY_READ;

    if (ngx_http_trove_body_parse(r, ctx) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "trove: the body of spooled event \"%V\" is not an "
                      "event%s%s", &event->id, ctx->reason ? ": " : "",
                      ctx->reason ? ctx->reason : "");
        return NGX_ERROR;
    }

    ctx->trusted = 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_trove_fake_request_cleanup(ngx_http_request_t *r,
    ngx_http_cleanup_pt handler, void *data)
{
    ngx_http_cleanup_t           *cln;
    ngx_http_trove_fake_request_t  *fake;

    fake = (ngx_http_trove_fake_request_t *) r->connection;

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_trove_fake_request_terminated;
    cln->data = fake;

    fake->cleanup = handler;
    fake->data = data;

    return NGX_OK;
}


static void
ngx_http_trove_fake_request_terminated(void *data)
{
    ngx_http_trove_fake_request_t  *fake = data;

    /*
     * ngx_http_terminate_request() leaves a blocked request to the code that
     * blocks it.  Otherwise it would close the connection, which is not a real
     * one.
     */

    fake->request->blocked = 1;

    fake->cleanup(fake->data);
}


void
ngx_http_trove_fake_request_free(ngx_http_request_t *r)
{
    ngx_http_trove_fake_request_t  *fake;

    fake = (ngx_http_trove_fake_request_t *) r->connection;

    /* the calling function will access the connection once more */

    if (!fake->end.posted) {
        ngx_post_event(&fake->end, &ngx_posted_events);
    }
}


static void
ngx_http_trove_fake_request_end(ngx_event_t *ev)
{
    ngx_http_trove_fake_request_t  *fake;

    fake = ev->data;

    ngx_http_free_request(fake->request, 0);

    ngx_http_trove_fake_request_forget(&fake->read);
    ngx_http_trove_fake_request_forget(&fake->write);

    ngx_free(fake);
}


/* removes timers and posted events that modules set on the client's events */

static void
ngx_http_trove_fake_request_forget(ngx_event_t *ev)
{
    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    if (ev->posted) {
        ngx_delete_posted_event(ev);
    }
}


/* like NGINX's log handler of requests, but without the client */

static u_char *
ngx_http_trove_fake_request_log(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char              *p;
    ngx_http_request_t  *r;
    ngx_http_log_ctx_t  *ctx;

    p = buf;

    if (log->action) {
        p = ngx_snprintf(buf, len, " while %s", log->action);
        len -= p - buf;
    }

    ctx = log->data;
    r = ctx->request;

    return r ? r->log_handler(r, ctx->current_request, p, len) : p;
}


/* there is no client to write to */

static void
ngx_http_trove_fake_request_write(ngx_http_request_t *r)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "trove fake request write handler");
}


static void
ngx_http_trove_fake_request_event(ngx_event_t *ev)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, ev->log, 0,
                   "trove fake request event");
}
