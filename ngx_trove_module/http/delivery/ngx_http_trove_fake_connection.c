
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_compat.h"
#include "ngx_http_trove_fake_connection.h"


/*
 * No descriptor, and not -1: lua-nginx-module takes -1 for a request of its
 * own, and refuses most of its API there.  NGINX does not use the descriptor:
 * it never adds the events, and reads and writes by c->recv and c->send_chain.
 */
#define NGX_HTTP_TROVE_FAKE_FD  ((ngx_socket_t) -2)


static void ngx_http_trove_fake_connection_client(
    ngx_http_trove_fake_connection_t *fake, ngx_http_request_t *r);
static void ngx_http_trove_fake_connection_end(ngx_event_t *ev);
static void ngx_http_trove_fake_connection_forget(ngx_event_t *ev);
static u_char *ngx_http_trove_fake_connection_log(ngx_log_t *log, u_char *buf,
    size_t len);
static void ngx_http_trove_fake_connection_run(ngx_event_t *ev);
static ssize_t ngx_http_trove_fake_connection_recv(ngx_connection_t *c,
    u_char *buf, size_t size);
static ssize_t ngx_http_trove_fake_connection_recv_chain(ngx_connection_t *c,
    ngx_chain_t *in, off_t limit);
static ssize_t ngx_http_trove_fake_connection_send(ngx_connection_t *c,
    u_char *buf, size_t size);
static ngx_chain_t *ngx_http_trove_fake_connection_send_chain(
    ngx_connection_t *c, ngx_chain_t *in, off_t limit);


ngx_http_trove_fake_connection_t *
ngx_http_trove_fake_connection_create(ngx_http_core_srv_conf_t *cscf,
    ngx_http_request_t *client)
{
    ngx_log_t                         *log;
    ngx_connection_t                  *c;
    ngx_http_trove_fake_connection_t  *fake;

    log = client ? client->connection->log : ngx_cycle->log;

    fake = ngx_calloc(sizeof(ngx_http_trove_fake_connection_t), log);
    if (fake == NULL) {
        return NULL;
    }

    c = &fake->connection;

    fake->log = *log;
    fake->log.data = &fake->log_ctx;
    fake->log_ctx.connection = c;

    c->fd = NGX_HTTP_TROVE_FAKE_FD;
    c->data = &fake->http;
    c->read = &fake->read;
    c->write = &fake->write;
    c->log = &fake->log;

    c->recv = ngx_http_trove_fake_connection_recv;
    c->send = ngx_http_trove_fake_connection_send;
    c->recv_chain = ngx_http_trove_fake_connection_recv_chain;
    c->send_chain = ngx_http_trove_fake_connection_send_chain;

    /*
     * The read event looks active, and the write event always ready.  NGINX
     * must not add them to the event method.  Event methods that are not
     * edge-triggered would delete an event that is both active and ready.
     */

    fake->read.data = c;
    fake->read.log = &fake->log;
    fake->read.handler = ngx_http_trove_fake_connection_run;
    fake->read.active = 1;

    fake->write.data = c;
    fake->write.log = &fake->log;
    fake->write.handler = ngx_http_trove_fake_connection_run;
    fake->write.write = 1;
    fake->write.active = (ngx_event_flags & NGX_USE_CLEAR_EVENT) ? 1 : 0;
    fake->write.ready = 1;

    fake->end.data = c;
    fake->end.log = &fake->log;
    fake->end.handler = ngx_http_trove_fake_connection_end;

    c->tcp_nodelay = NGX_TCP_NODELAY_DISABLED;
    c->tcp_nopush = NGX_TCP_NOPUSH_DISABLED;

    if (client) {
        ngx_http_trove_fake_connection_client(fake, client);

    } else {

        /* the addresses are those of a unix domain socket */

        fake->sockaddr.sa_family = AF_UNIX;
        c->sockaddr = &fake->sockaddr;
        c->socklen = sizeof(sa_family_t);
        c->local_sockaddr = &fake->sockaddr;
        c->local_socklen = sizeof(sa_family_t);
        ngx_str_set(&c->addr_text, "unix:");

        fake->log.handler = ngx_http_trove_fake_connection_log;
        fake->log.action = "delivering from the spool";
    }

    fake->http.conf_ctx = cscf->ctx;

    return fake;
}


static void
ngx_http_trove_fake_connection_client(ngx_http_trove_fake_connection_t *fake,
    ngx_http_request_t *r)
{
    ngx_connection_t  *c, *client;

    c = &fake->connection;
    client = r->connection;

    c->type = client->type;
    c->number = client->number;
    c->listening = client->listening;
    c->sockaddr = client->sockaddr;
    c->socklen = client->socklen;
    c->addr_text = client->addr_text;
    c->proxy_protocol = client->proxy_protocol;
    c->local_sockaddr = client->local_sockaddr;
    c->local_socklen = client->local_socklen;
    c->start_time = client->start_time;

    /* ngx_http_create_request() counts one */

    c->requests = client->requests - 1;

    fake->http = *r->http_connection;
    fake->http.busy = NULL;
    fake->http.nbusy = 0;
    fake->http.free = NULL;
}


void
ngx_http_trove_fake_connection_close(ngx_http_trove_fake_connection_t *fake,
    ngx_uint_t counted)
{
    ngx_connection_t  *c;

    c = &fake->connection;

    c->fd = (ngx_socket_t) -1;
    c->timedout = 0;
    c->log->log_level = 0;

#if (NGX_SSL)
    c->ssl = NULL;
#endif

    if (counted) {
        (void) ngx_atomic_fetch_add(ngx_stat_active, 1);
    }

    /* the calling functions will access the connection once more */

    ngx_post_event(&fake->end, &ngx_posted_events);
}


void
ngx_http_trove_fake_connection_free(ngx_http_trove_fake_connection_t *fake)
{
    ngx_free(fake);
}


static void
ngx_http_trove_fake_connection_end(ngx_event_t *ev)
{
    ngx_http_trove_fake_connection_t  *fake;

    fake = (ngx_http_trove_fake_connection_t *) ev->data;

    ngx_http_trove_fake_connection_forget(&fake->read);
    ngx_http_trove_fake_connection_forget(&fake->write);

    ngx_free(fake);
}


/* removes timers and posted events that modules set on the client's events */

static void
ngx_http_trove_fake_connection_forget(ngx_event_t *ev)
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
ngx_http_trove_fake_connection_log(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char              *p, *last;
    ngx_http_log_ctx_t  *ctx;

    p = buf;
    last = buf + len;

    if (log->action) {
        p = ngx_http_trove_log_action(log, p, last);
    }

    ctx = log->data;

    return ctx->request ? ngx_http_trove_log_request(log, ctx, p, last) : p;
}


/*
 * Timers and posted events of the client's connection run the request that is
 * being processed, as NGINX does.
 */

static void
ngx_http_trove_fake_connection_run(ngx_event_t *ev)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    c = ev->data;
    r = c->data;

    ngx_http_set_log_request(c->log, r);

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, ev->log, 0,
                   "trove fake connection event");

    if (ev->delayed && ev->timedout) {
        ev->delayed = 0;
        ev->timedout = 0;
    }

    if (ev->write) {
        r->write_event_handler(r);
    }

    ngx_http_run_posted_requests(c);
}


/* there is no client that sends, and everything sent to it is discarded */

static ssize_t
ngx_http_trove_fake_connection_recv(ngx_connection_t *c, u_char *buf,
    size_t size)
{
    return NGX_AGAIN;
}


static ssize_t
ngx_http_trove_fake_connection_recv_chain(ngx_connection_t *c,
    ngx_chain_t *in, off_t limit)
{
    return NGX_AGAIN;
}


static ssize_t
ngx_http_trove_fake_connection_send(ngx_connection_t *c, u_char *buf,
    size_t size)
{
    c->sent += size;

    return size;
}


static ngx_chain_t *
ngx_http_trove_fake_connection_send_chain(ngx_connection_t *c, ngx_chain_t *in,
    off_t limit)
{
    off_t         size;
    ngx_chain_t  *cl;

    size = 0;

    for (cl = in; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    c->sent += size;

    return ngx_chain_update_sent(in, size);
}
