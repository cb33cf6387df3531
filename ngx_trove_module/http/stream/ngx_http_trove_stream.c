
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_follow.h"
#include "ngx_http_trove_headers.h"
#include "ngx_http_trove_metrics_spool.h"
#include "ngx_http_trove_stream.h"
#include "ngx_http_trove_stream_buf.h"
#include "ngx_http_trove_stream_filter.h"
#include "ngx_http_trove_timer.h"


/* time between two comments, which keep proxies from closing, milliseconds */
#define NGX_HTTP_TROVE_STREAM_PING  15000


extern ngx_module_t  ngx_http_trove_stream_module;


/*
 * A stream.  It is allocated from the pool of the request; what a thread uses,
 * from a pool of its own.
 *
 *   started --a round of the follower--> connected: idle <--> blocked
 *      |                                     |
 *      +-- the spool cannot be read: 503     +-- the worker exits: the last
 *      |                                     |   chunk
 *      +-- the client closes  <--------------+-- send_timeout, or too little
 *                                                memory, while blocked
 *
 * A blocked stream requests no events.  It keeps those that have been passed to
 * the filters: at most NGX_HTTP_TROVE_FOLLOW_BYTES, or one.
 */

typedef struct {
    ngx_http_request_t       *request;
    ngx_http_trove_follow_t  *follow;          /* NULL: it has ended */
    ngx_int_t               (*error)(ngx_http_request_t *r, ngx_uint_t status,
                                  const char *detail);
    ngx_chain_t              *free;
    ngx_chain_t              *busy;
    ngx_event_t               ping;
    unsigned                  blocked:1;
    unsigned                  failed:1;        /* out of memory */
} ngx_http_trove_stream_t;


/* a reader of the follower, in a pool of its own */
typedef struct {
    ngx_http_trove_follow_t   follow;          /* must be first */
    ngx_pool_t               *pool;
} ngx_http_trove_stream_reader_t;


static ngx_int_t ngx_http_trove_stream_create(ngx_http_trove_stream_t *stream,
    ngx_http_trove_stream_args_t *args);
static void ngx_http_trove_stream_watch(ngx_http_request_t *r);
static void ngx_http_trove_stream_started(ngx_http_trove_follow_t *follow,
    ngx_trove_spool_error_t *error);
static ngx_int_t ngx_http_trove_stream_header(ngx_http_request_t *r);
static void ngx_http_trove_stream_ready(ngx_http_trove_follow_t *follow);
static ngx_uint_t ngx_http_trove_stream_holds(
    ngx_http_trove_follow_t *follow);
static void ngx_http_trove_stream_drop(ngx_http_trove_follow_t *follow);
static void ngx_http_trove_stream_end(ngx_http_trove_follow_t *follow);
static void ngx_http_trove_stream_free(ngx_http_trove_follow_t *follow);
static void ngx_http_trove_stream_ping(ngx_event_t *ev);
static ngx_int_t ngx_http_trove_stream_pump(ngx_http_trove_stream_t *stream);
static ngx_int_t ngx_http_trove_stream_text(ngx_http_trove_stream_t *stream,
    ngx_str_t *text);
static ngx_int_t ngx_http_trove_stream_send(ngx_http_trove_stream_t *stream,
    ngx_chain_t *out);
static void ngx_http_trove_stream_write(ngx_http_request_t *r);
static ngx_uint_t ngx_http_trove_stream_over(ngx_http_trove_stream_t *stream);
static void ngx_http_trove_stream_detach(ngx_http_trove_stream_t *stream);
static void ngx_http_trove_stream_closed(void *data);
static void ngx_http_trove_stream_cleanup(void *data);


ngx_int_t
ngx_http_trove_stream_start(ngx_http_request_t *r,
    ngx_http_trove_stream_args_t *args)
{
    ngx_int_t                 rc;
    ngx_http_cleanup_t       *cln;
    ngx_pool_cleanup_t       *pcln;
    ngx_http_trove_stream_t  *stream;

    /* buffers may be used until the pool is destroyed */

    pcln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_trove_stream_t));
    if (pcln == NULL) {
        return NGX_ERROR;
    }

    stream = pcln->data;
    ngx_memzero(stream, sizeof(ngx_http_trove_stream_t));

    pcln->handler = ngx_http_trove_stream_cleanup;

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_trove_stream_closed;
    cln->data = stream;

    stream->request = r;
    stream->error = args->error;

    ngx_http_trove_timer_init(&stream->ping, ngx_http_trove_stream_ping,
                              ngx_cycle->log, 1);

    if (ngx_http_trove_stream_create(stream, args) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_trove_follow_add(stream->follow);

    if (rc != NGX_OK) {
        ngx_http_trove_stream_free(stream->follow);
        stream->follow = NULL;
        return rc;
    }

    ngx_http_trove_metrics_spool_reader(1);

    ngx_http_set_ctx(r, stream, ngx_http_trove_stream_module);

    r->main->count++;
    r->write_event_handler = ngx_http_request_empty_handler;

    if (!r->discard_body) {
        ngx_http_trove_stream_watch(r);
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_http_trove_stream_create(ngx_http_trove_stream_t *stream,
    ngx_http_trove_stream_args_t *args)
{
    ngx_pool_t                      *pool;
    ngx_http_trove_follow_t         *follow;
    ngx_http_trove_stream_reader_t  *reader;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    reader = ngx_pcalloc(pool, sizeof(ngx_http_trove_stream_reader_t));
    if (reader == NULL) {
        goto failed;
    }

    reader->pool = pool;

    follow = &reader->follow;

    if (ngx_http_trove_stream_filter(pool, &follow->filter, &args->filter)
        != NGX_OK)
    {
        goto failed;
    }

    follow->data = stream;
    follow->position = args->after;
    follow->since = -1;

    if (args->has_since && args->after == -1) {
        follow->since = args->since;
        follow->seek = 1;
    }

    follow->started = ngx_http_trove_stream_started;
    follow->ready = ngx_http_trove_stream_ready;
    follow->holds = ngx_http_trove_stream_holds;
    follow->drop = ngx_http_trove_stream_drop;
    follow->end = ngx_http_trove_stream_end;
    follow->free = ngx_http_trove_stream_free;

    stream->follow = follow;

    return NGX_OK;

failed:

    ngx_destroy_pool(pool);

    return NGX_ERROR;
}


/* ends the stream when the client closes the connection */

static void
ngx_http_trove_stream_watch(ngx_http_request_t *r)
{
    ngx_event_t  *rev;

    r->read_event_handler = ngx_http_test_reading;

    /* it may have been closed already */

    rev = r->connection->read;

    if (rev->ready) {
        ngx_post_event(rev, &ngx_posted_events);
    }
}


static void
ngx_http_trove_stream_started(ngx_http_trove_follow_t *follow,
    ngx_trove_spool_error_t *error)
{
    ngx_int_t                 rc;
    ngx_connection_t         *c;
    ngx_http_request_t       *r;
    ngx_http_trove_stream_t  *stream;

    static ngx_str_t  connected =
                             ngx_string("data: {\"type\":\"connected\"}\n\n");

    stream = follow->data;
    r = stream->request;
    c = r->connection;

    if (ngx_http_trove_stream_over(stream)) {
        return;
    }

    ngx_http_set_log_request(c->log, r);

    if (error) {
        ngx_http_trove_stream_detach(stream);

        rc = stream->error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                           (const char *) error->text);
        ngx_http_finalize_request(r, rc);
        goto done;
    }

    rc = ngx_http_trove_stream_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        ngx_http_trove_stream_detach(stream);
        ngx_http_finalize_request(r, rc);
        goto done;
    }

    r->write_event_handler = ngx_http_trove_stream_write;

    ngx_add_timer(&stream->ping, NGX_HTTP_TROVE_STREAM_PING);

    if (ngx_http_trove_stream_text(stream, &connected) == NGX_OK) {
        (void) ngx_http_trove_stream_pump(stream);
    }

done:

    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_trove_stream_header(ngx_http_request_t *r)
{
    ngx_connection_t          *c;
    ngx_http_core_loc_conf_t  *clcf;

    static ngx_str_t  no = ngx_string("no");

    if (ngx_http_trove_headers_add(&r->headers_out.headers, "X-Accel-Buffering",
                                   "x-accel-buffering", &no)
        == NULL)
    {
        return NGX_ERROR;
    }

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = -1;

    ngx_str_set(&r->headers_out.content_type, "text/event-stream");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    /* it would be compressed and flushed event by event */

#if (NGX_HTTP_GZIP)
    r->gzip_tested = 1;
    r->gzip_ok = 0;
#endif

    /* an event must not wait for the acknowledgement of the last one */

    c = r->connection;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->tcp_nodelay && ngx_tcp_nodelay(c) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_send_header(r);
}


static void
ngx_http_trove_stream_ready(ngx_http_trove_follow_t *follow)
{
    ngx_connection_t         *c;
    ngx_http_request_t       *r;
    ngx_http_trove_stream_t  *stream;

    stream = follow->data;

    if (ngx_http_trove_stream_over(stream)) {
        return;
    }

    r = stream->request;

    /* a body that came late has been discarded */

    if (r->read_event_handler == ngx_http_block_reading) {
        ngx_http_trove_stream_watch(r);
    }

    if (stream->blocked) {
        return;
    }

    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    (void) ngx_http_trove_stream_pump(stream);

    ngx_http_run_posted_requests(c);
}


static ngx_uint_t
ngx_http_trove_stream_holds(ngx_http_trove_follow_t *follow)
{
    ngx_http_trove_stream_t  *stream;

    stream = follow->data;

    return ngx_http_trove_stream_buf_held(stream->busy);
}


static void
ngx_http_trove_stream_drop(ngx_http_trove_follow_t *follow)
{
    ngx_connection_t         *c;
    ngx_http_request_t       *r;
    ngx_http_trove_stream_t  *stream;

    stream = follow->data;

    if (ngx_http_trove_stream_over(stream)) {
        return;
    }

    r = stream->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_log_error(NGX_LOG_INFO, c->log, 0,
                  "trove: stream closed: the client does not read it, and the "
                  "memory is needed");
    c->timedout = 1;

    ngx_http_trove_stream_detach(stream);
    ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);

    ngx_http_run_posted_requests(c);
}


/* what has been passed to the filters is sent first, as nginx does */

static void
ngx_http_trove_stream_end(ngx_http_trove_follow_t *follow)
{
    ngx_connection_t         *c;
    ngx_http_request_t       *r;
    ngx_http_trove_stream_t  *stream;

    stream = follow->data;

    if (ngx_http_trove_stream_over(stream)) {
        return;
    }

    r = stream->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_http_trove_stream_detach(stream);

    ngx_http_finalize_request(r, ngx_http_send_special(r, NGX_HTTP_LAST));

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_trove_stream_free(ngx_http_trove_follow_t *follow)
{
    ngx_destroy_pool(((ngx_http_trove_stream_reader_t *) follow)->pool);
}


static void
ngx_http_trove_stream_ping(ngx_event_t *ev)
{
    ngx_connection_t         *c;
    ngx_http_trove_stream_t  *stream;

    static ngx_str_t  comment = ngx_string(": \n\n");

    stream = (ngx_http_trove_stream_t *)
                 ((u_char *) ev - offsetof(ngx_http_trove_stream_t, ping));

    if (ngx_http_trove_stream_over(stream)) {
        return;
    }

    ngx_add_timer(ev, NGX_HTTP_TROVE_STREAM_PING);

    if (stream->blocked) {
        return;
    }

    c = stream->request->connection;

    ngx_http_set_log_request(c->log, stream->request);

    (void) ngx_http_trove_stream_text(stream, &comment);

    ngx_http_run_posted_requests(c);
}


/*
 * Sends events until there is none, or the client does not read them.
 *
 * NGX_OK
 * NGX_ERROR  the request has been finalized, and may have been freed
 */

static ngx_int_t
ngx_http_trove_stream_pump(ngx_http_trove_stream_t *stream)
{
    ngx_uint_t                      i, n;
    ngx_chain_t                    *out, **last;
    ngx_http_trove_stream_event_t  *events[NGX_HTTP_TROVE_FOLLOW_MAX];

    while (!stream->blocked) {
        n = ngx_http_trove_follow_next(stream->follow, events);

        if (n == 0) {
            break;
        }

        out = NULL;
        last = &out;

        for (i = 0; i < n; i++) {
            *last = ngx_http_trove_stream_buf(stream->request->pool,
                                              &stream->free, &events[i]->text,
                                              events[i]);
            if (*last) {
                last = &(*last)->next;

            } else {
                stream->failed = 1;
            }
        }

        ngx_http_trove_metrics_spool_add(NGX_HTTP_TROVE_SPOOL_STREAMED, n);

        if (ngx_http_trove_stream_send(stream, out) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_stream_text(ngx_http_trove_stream_t *stream, ngx_str_t *text)
{
    ngx_chain_t  *out;

    out = ngx_http_trove_stream_buf(stream->request->pool, &stream->free, text,
                                    NULL);
    if (out == NULL) {
        stream->failed = 1;
    }

    return ngx_http_trove_stream_send(stream, out);
}


/*
 * NGX_OK     stream->blocked is set
 * NGX_ERROR  the request has been finalized, and may have been freed
 */

static ngx_int_t
ngx_http_trove_stream_send(ngx_http_trove_stream_t *stream, ngx_chain_t *out)
{
    ngx_int_t                  rc;
    ngx_event_t               *wev;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = stream->request;
    c = r->connection;
    wev = c->write;

    rc = stream->failed ? NGX_ERROR : ngx_http_output_filter(r, out);

    ngx_chain_update_chains(r->pool, &stream->free, &stream->busy, &out,
                            NGX_HTTP_TROVE_STREAM_TAG);

    ngx_http_trove_stream_buf_release(stream->free);

    if (rc == NGX_ERROR) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return NGX_ERROR;
    }

    stream->blocked = (r->buffered || r->postponed || c->buffered);

    stream->follow->blocked = stream->blocked;
    stream->follow->progress = ngx_current_msec;

    if (!stream->blocked) {

        if (wev->timer_set && !wev->delayed) {
            ngx_del_timer(wev);
        }

        return NGX_OK;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (!wev->delayed) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_trove_stream_write(ngx_http_request_t *r)
{
    ngx_event_t              *wev;
    ngx_connection_t         *c;
    ngx_http_trove_stream_t  *stream;

    c = r->connection;
    wev = c->write;

    stream = ngx_http_get_module_ctx(r, ngx_http_trove_stream_module);

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "trove: stream closed: the client does not read it");
        c->timedout = 1;

        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    if (stream->blocked && !wev->delayed) {

        if (ngx_http_trove_stream_send(stream, NULL) != NGX_OK
            || ngx_http_trove_stream_pump(stream) != NGX_OK)
        {
            return;
        }
    }

    if (stream->follow && !stream->blocked
        && ngx_handle_write_event(wev, 0) != NGX_OK)
    {
        ngx_http_finalize_request(r, NGX_ERROR);
    }
}


/*
 * When a client has gone, nginx may use its request for a post_action, and ends
 * it afterwards.  Nothing may be sent in response to the request then.
 */

static ngx_uint_t
ngx_http_trove_stream_over(ngx_http_trove_stream_t *stream)
{
    if (!stream->request->post_action) {
        return 0;
    }

    ngx_http_trove_stream_detach(stream);

    return 1;
}


static void
ngx_http_trove_stream_detach(ngx_http_trove_stream_t *stream)
{
    if (stream->follow == NULL) {
        return;
    }

    if (stream->ping.timer_set) {
        ngx_del_timer(&stream->ping);
    }

    ngx_http_trove_follow_remove(stream->follow);
    stream->follow = NULL;

    ngx_http_trove_metrics_spool_reader(0);
}


static void
ngx_http_trove_stream_closed(void *data)
{
    ngx_http_trove_stream_detach(data);
}


static void
ngx_http_trove_stream_cleanup(void *data)
{
    ngx_http_trove_stream_t *stream = data;

    ngx_http_trove_stream_buf_release(stream->busy);
    ngx_http_trove_stream_buf_release(stream->free);
}
