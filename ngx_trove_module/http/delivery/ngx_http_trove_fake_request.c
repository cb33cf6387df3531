
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_body.h"
#include "ngx_http_trove_compat.h"
#include "ngx_http_trove_fake_connection.h"
#include "ngx_http_trove_fake_request.h"


/* the size of a pool that has space for all that a delivery usually needs */
#define NGX_HTTP_TROVE_FAKE_POOL     8192

/* "passed" of limit_conn and limit_req, which define it privately */
#define NGX_HTTP_TROVE_LIMIT_PASSED  1


/* in the pool of the request */
typedef struct {
    ngx_http_request_t                *request;
    ngx_http_trove_origin_t           *origin;
    ngx_http_trove_fake_owner_t        owner;
    unsigned                           created:1;
    unsigned                           counted:1;  /* NGINX has counters */
} ngx_http_trove_fake_request_t;


static ngx_http_trove_fake_request_t *ngx_http_trove_fake_request_alloc(
    ngx_http_trove_origin_t *origin);
static void ngx_http_trove_fake_request_init(ngx_http_request_t *r,
    ngx_http_trove_origin_t *origin);
static void ngx_http_trove_fake_request_client(ngx_http_request_t *r,
    ngx_http_request_t *client);
static ngx_int_t ngx_http_trove_fake_request_event(ngx_http_request_t *r,
    ngx_trove_spool_event_t *event);
static ngx_int_t ngx_http_trove_fake_request_parse(ngx_http_request_t *r,
    ngx_http_trove_origin_t *origin);
static void ngx_http_trove_fake_request_terminated(void *data);
static void ngx_http_trove_fake_request_freed(void *data);


ngx_http_request_t *
ngx_http_trove_fake_request_create(ngx_http_trove_origin_t *origin,
    ngx_http_trove_fake_owner_t *owner)
{
    ngx_http_request_t             *r;
    ngx_http_trove_fake_request_t  *fake;

    fake = ngx_http_trove_fake_request_alloc(origin);
    if (fake == NULL) {
        return NULL;
    }

    r = fake->request;

    ngx_http_trove_fake_request_init(r, origin);

    if (origin->request) {
        ngx_http_trove_fake_request_client(r, origin->request);

    } else if (ngx_http_trove_fake_request_event(r, origin->event) != NGX_OK) {
        goto failed;
    }

    if (ngx_http_trove_origin_body(origin, r) != NGX_OK
        || ngx_http_trove_fake_request_parse(r, origin) != NGX_OK
        || ngx_http_trove_origin_headers(origin, r) != NGX_OK)
    {
        goto failed;
    }

    origin->fakes++;

    fake->owner = *owner;
    fake->created = 1;

    return r;

failed:

    ngx_http_trove_fake_request_free(r);

    return NULL;
}


static ngx_http_trove_fake_request_t *
ngx_http_trove_fake_request_alloc(ngx_http_trove_origin_t *origin)
{
    ngx_uint_t                         counted;
    ngx_http_request_t                *r;
    ngx_http_cleanup_t                *cln;
    ngx_pool_cleanup_t                *pcln;
    ngx_http_trove_fake_request_t     *fake;
    ngx_http_trove_fake_connection_t  *c;

    c = ngx_http_trove_fake_connection_create(origin->cscf, origin->request);
    if (c == NULL) {
        return NULL;
    }

    r = ngx_http_create_request(&c->connection);
    if (r == NULL) {
        ngx_http_trove_fake_connection_free(c);
        return NULL;
    }

    /* this is not a client's request, but NGINX has counted it as one */

    counted = r->stat_reading;

    if (counted) {
        (void) ngx_atomic_fetch_add(ngx_stat_reading, -1);
        (void) ngx_atomic_fetch_add(ngx_stat_requests, -1);
        r->stat_reading = 0;
    }

    /*
     * The request itself is freed with the connection.  Its pool is a new one,
     * of few and large blocks.
     */

    c->connection.pool = r->pool;

    r->pool = ngx_create_pool(NGX_HTTP_TROVE_FAKE_POOL, c->connection.log);
    if (r->pool == NULL) {
        ngx_destroy_pool(c->connection.pool);
        ngx_http_trove_fake_connection_free(c);
        return NULL;
    }

    /*
     * The handlers are added first, so that they run last: after all upstream
     * connections have been closed, and after all memory has been released.
     */

    cln = ngx_http_cleanup_add(r, 0);
    pcln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_trove_fake_request_t));

    if (cln == NULL || pcln == NULL) {
        ngx_destroy_pool(r->pool);
        ngx_destroy_pool(c->connection.pool);
        ngx_http_trove_fake_connection_free(c);
        return NULL;
    }

    fake = pcln->data;
    ngx_memzero(fake, sizeof(ngx_http_trove_fake_request_t));

    fake->request = r;
    fake->origin = origin;
    fake->counted = counted;

    cln->handler = ngx_http_trove_fake_request_terminated;
    cln->data = fake;

    pcln->handler = ngx_http_trove_fake_request_freed;
    pcln->data = fake;

    return fake;
}


static void
ngx_http_trove_fake_request_init(ngx_http_request_t *r,
    ngx_http_trove_origin_t *origin)
{
    r->connection->data = r;

    r->loc_conf = origin->loc_conf;
    r->logged = 1;
    r->internal = 1;
    r->preserve_body = 1;
    r->http_state = NGX_HTTP_PROCESS_REQUEST_STATE;
    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    /* a "post_action" of this location belongs to the client's request */

    r->post_action = 1;
    r->uri_changes = 0;

    /*
     * Both modules keep their state in the main request.  Their timer would
     * wake the main request instead of the subrequest, which would wait
     * forever.
     */

    r->limit_req_status = NGX_HTTP_TROVE_LIMIT_PASSED;
    r->limit_conn_status = NGX_HTTP_TROVE_LIMIT_PASSED;
}


/* what targets can see of the request of the client */

static void
ngx_http_trove_fake_request_client(ngx_http_request_t *r,
    ngx_http_request_t *client)
{
    void                       *data;
    ngx_log_t                  *log;
    ngx_http_core_main_conf_t  *cmcf;

    /* ngx_http_create_request() has set the error log of the server */

    log = r->connection->log;
    data = log->data;
    *log = *client->connection->log;
    log->data = data;

#if (NGX_SSL)
    r->connection->ssl = client->connection->ssl;
#endif

    r->method = client->method;
    r->method_name = client->method_name;
    r->http_protocol = client->http_protocol;
    r->request_line = client->request_line;
    r->request_length = client->request_length;
    r->unparsed_uri = client->unparsed_uri;
    r->uri = client->uri;
    r->args = client->args;
    r->exten = client->exten;
    r->schema = client->schema;
    r->start_sec = client->start_sec;
    r->start_msec = client->start_msec;
    r->log_handler = client->log_handler;
    r->headers_in.server = client->headers_in.server;

    /* there are no streams of HTTP/2 and HTTP/3 */

    r->http_version = ngx_min(client->http_version, NGX_HTTP_VERSION_11);

    /* variables set by "map" or "set" in one delivery must not affect others */

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    ngx_memcpy(r->variables, client->variables,
               cmcf->variables.nelts * sizeof(ngx_http_variable_value_t));
}


static ngx_int_t
ngx_http_trove_fake_request_event(ngx_http_request_t *r,
    ngx_trove_spool_event_t *event)
{
    u_char                    *p;
    ngx_http_core_loc_conf_t  *clcf;

    static ngx_str_t  method = ngx_string("POST");
    static ngx_str_t  protocol = ngx_string("HTTP/1.1");

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    ngx_set_connection_log(r->connection, clcf->error_log);

    r->method = NGX_HTTP_POST;
    r->method_name = method;
    r->http_version = NGX_HTTP_VERSION_11;
    r->http_protocol = protocol;

    r->unparsed_uri = event->uri;
    r->uri = event->uri;
    r->headers_in.server = event->host;

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

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_fake_request_parse(ngx_http_request_t *r,
    ngx_http_trove_origin_t *origin)
{
    ngx_http_trove_ctx_t  *ctx;

    ctx = origin->ctx;

    if (ctx == NULL) {
        ctx = ngx_http_trove_ctx_create(origin->pool);
        if (ctx == NULL) {
            return NGX_ERROR;
        }

        ctx->body = NGX_HTTP_TROVE_BODY_READ;

        if (ngx_http_trove_body_parse(r, ctx) != NGX_OK) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "trove: the body of spooled event \"%V\" is not an "
                          "event%s%s", &origin->event->id,
                          ctx->reason ? ": " : "",
                          ctx->reason ? ctx->reason : "");
            return NGX_ERROR;
        }

        ctx->trusted = 1;

        origin->ctx = ctx;
    }

    ngx_http_trove_ctx_share(r, ctx);

    return NGX_OK;
}


void
ngx_http_trove_fake_request_release(ngx_http_request_t *r)
{
    /* NGINX must not linger on the connection when the count becomes 0 */

    r->connection->read->eof = 1;
    r->count--;
}


void
ngx_http_trove_fake_request_free(ngx_http_request_t *r)
{
    ngx_connection_t  *c;

    c = r->connection;

    ngx_http_free_request(r, 0);
    ngx_http_close_connection(c);
}


static void
ngx_http_trove_fake_request_terminated(void *data)
{
    ngx_http_trove_fake_request_t  *fake = data;

    /* there is no socket to reset */

    fake->request->connection->timedout = 0;

    if (fake->created) {
        fake->owner.terminated(fake->owner.data);
    }
}


static void
ngx_http_trove_fake_request_freed(void *data)
{
    ngx_http_trove_fake_request_t  *fake = data;

    ngx_http_trove_origin_t  *origin;

    origin = fake->origin;

    ngx_http_trove_fake_connection_close(
              (ngx_http_trove_fake_connection_t *) fake->request->connection,
              fake->counted);

    if (!fake->created) {
        return;
    }

    fake->owner.freed(fake->owner.data);

    if (--origin->fakes == 0) {
        origin->released(origin);
    }
}
