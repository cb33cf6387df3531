
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_subscription_conf.h"


/*
 * The URL of a subscriber is chosen by a stranger.  NGINX would resolve its
 * host when the request has been created, after any check.  So the host is
 * resolved here, the addresses are checked, and the upstream gets one of those
 * that are allowed.
 *
 * NGINX creates the upstream and connects in one call of the content handler.
 * It does not connect while r->aio is set, and is asked again when the address
 * has been set.
 */


static ngx_int_t ngx_http_trove_pin_create(ngx_http_request_t *r,
    ngx_http_trove_delivery_t *d);
static void ngx_http_trove_pin_cleanup(void *data);
static ngx_int_t ngx_http_trove_pin_resolve(ngx_http_trove_pin_t *pin);
static void ngx_http_trove_pin_resolved(ngx_resolver_ctx_t *ctx);
static void ngx_http_trove_pin_choose(ngx_http_trove_pin_t *pin,
    ngx_resolver_addr_t *addrs, ngx_uint_t n);
static void ngx_http_trove_pin_literal(ngx_http_trove_pin_t *pin);
static void ngx_http_trove_pin_refuse(ngx_http_trove_pin_t *pin,
    const char *why);
static ngx_array_t *ngx_http_trove_pin_allow(ngx_http_trove_pin_t *pin);
static ngx_int_t ngx_http_trove_pin_content(ngx_http_request_t *r);
static ngx_int_t ngx_http_trove_pin_upstream(ngx_http_trove_pin_t *pin);


ngx_int_t
ngx_http_trove_subscription_handler(ngx_http_request_t *r)
{
    ngx_int_t                                 rc;
    ngx_http_trove_pin_t                     *pin;
    ngx_http_trove_delivery_t                *d;
    ngx_http_trove_subscription_main_conf_t  *smcf;

    if (r == r->main) {
        return NGX_DECLINED;
    }

    d = ngx_http_trove_delivery_find(r);

    if (d == NULL || d->subscriber == NULL) {
        return NGX_DECLINED;
    }

    pin = ngx_http_get_module_ctx(r, ngx_http_trove_subscription_module);

    if (pin == NULL) {

        if (ngx_http_trove_pin_create(r, d) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        pin = ngx_http_get_module_ctx(r, ngx_http_trove_subscription_module);
    }

    switch (pin->state) {

    case NGX_HTTP_TROVE_PIN_RESOLVING:
        return NGX_AGAIN;

    case NGX_HTTP_TROVE_PIN_REFUSED:
        return NGX_HTTP_BAD_GATEWAY;

    default:
        break;
    }

    smcf = ngx_http_get_module_main_conf(r, ngx_http_trove_subscription_module);

    rc = ngx_http_trove_subscription_sign(r, d, smcf->keys);

    if (rc == NGX_DECLINED) {
        d->held = 1;
        ngx_http_trove_pin_refuse(pin, "no_key");
        return NGX_HTTP_BAD_GATEWAY;
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->content_handler) {
        pin->handler = r->content_handler;
        r->content_handler = ngx_http_trove_pin_content;
    }

    return NGX_DECLINED;
}


ngx_http_trove_pin_t *
ngx_http_trove_pin_get(ngx_http_request_t *r)
{
    ngx_http_trove_pin_t  *pin;

    pin = ngx_http_get_module_ctx(r, ngx_http_trove_subscription_module);

    return (pin && pin->state == NGX_HTTP_TROVE_PIN_PINNED) ? pin : NULL;
}


static ngx_int_t
ngx_http_trove_pin_create(ngx_http_request_t *r, ngx_http_trove_delivery_t *d)
{
    ngx_array_t           *allow;
    ngx_pool_cleanup_t    *cln;
    ngx_http_trove_pin_t  *pin;

    pin = ngx_pcalloc(r->pool, sizeof(ngx_http_trove_pin_t));
    if (pin == NULL) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_trove_pin_cleanup;
    cln->data = pin;

    pin->request = r;
    pin->delivery = d;

    ngx_http_set_ctx(r, pin, ngx_http_trove_subscription_module);

    /* the URL was allowed when the subscription was created */

    allow = ngx_http_trove_pin_allow(pin);

    if (ngx_trove_url_parse(&d->subscriber->url, &pin->url)
        || ngx_trove_allow_url(allow ? allow->elts : NULL,
                               allow ? allow->nelts : 0, &pin->url))
    {
        ngx_http_trove_pin_refuse(pin, "not_allowed");
        return NGX_OK;
    }

    pin->text.data = ngx_pnalloc(r->pool, d->subscriber->url.len + 16);
    if (pin->text.data == NULL) {
        return NGX_ERROR;
    }

    pin->text.len = ngx_trove_url_print(&pin->url, pin->text.data)
                    - pin->text.data;

    if (pin->url.family) {
        ngx_http_trove_pin_literal(pin);
        return NGX_OK;
    }

    return ngx_http_trove_pin_resolve(pin);
}


static void
ngx_http_trove_pin_cleanup(void *data)
{
    ngx_http_trove_pin_t *pin = data;

    if (pin->resolver) {
        ngx_resolve_name_done(pin->resolver);
        pin->resolver = NULL;
    }
}


static ngx_array_t *
ngx_http_trove_pin_allow(ngx_http_trove_pin_t *pin)
{
    ngx_http_trove_subscription_loc_conf_t  *slcf;

    /* the location that has received the event says where it may go */

    slcf = pin->delivery->origin->loc_conf[
                              ngx_http_trove_subscription_module.ctx_index];

    return slcf->allow;
}


static void
ngx_http_trove_pin_literal(ngx_http_trove_pin_t *pin)
{
    ngx_resolver_addr_t  addr;

    ngx_memzero(&pin->sockaddr, sizeof(ngx_sockaddr_t));
    ngx_memzero(&addr, sizeof(ngx_resolver_addr_t));

#if (NGX_HAVE_INET6)

    if (pin->url.family == AF_INET6) {
        pin->sockaddr.sockaddr_in6.sin6_family = AF_INET6;
        ngx_memcpy(&pin->sockaddr.sockaddr_in6.sin6_addr, pin->url.address, 16);
        addr.socklen = sizeof(struct sockaddr_in6);

    } else

#endif
    {
        pin->sockaddr.sockaddr_in.sin_family = AF_INET;
        ngx_memcpy(&pin->sockaddr.sockaddr_in.sin_addr, pin->url.address, 4);
        addr.socklen = sizeof(struct sockaddr_in);
    }

    addr.sockaddr = &pin->sockaddr.sockaddr;

    ngx_http_trove_pin_choose(pin, &addr, 1);
}


static ngx_int_t
ngx_http_trove_pin_resolve(ngx_http_trove_pin_t *pin)
{
    ngx_resolver_ctx_t        *ctx, temp;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = pin->request;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    ngx_memzero(&temp, sizeof(ngx_resolver_ctx_t));
    temp.name = pin->url.host;

    ctx = ngx_resolve_start(clcf->resolver, &temp);

    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ctx == NGX_NO_RESOLVER) {
        ngx_http_trove_pin_refuse(pin, "no_resolver");
        return NGX_OK;
    }

    ctx->name = pin->url.host;
    ctx->handler = ngx_http_trove_pin_resolved;
    ctx->data = pin;
    ctx->timeout = clcf->resolver_timeout;

    pin->resolver = ctx;
    pin->state = NGX_HTTP_TROVE_PIN_RESOLVING;
    pin->starting = 1;

    if (ngx_resolve_name(ctx) != NGX_OK) {

        /* it has been freed */

        pin->resolver = NULL;
        ngx_http_trove_pin_refuse(pin, "not_resolved");
    }

    pin->starting = 0;

    return NGX_OK;
}


/* may be called before ngx_resolve_name() has returned */

static void
ngx_http_trove_pin_resolved(ngx_resolver_ctx_t *ctx)
{
    ngx_connection_t      *c;
    ngx_http_request_t    *r;
    ngx_http_trove_pin_t  *pin;

    pin = ctx->data;
    r = pin->request;

    if (ctx->state) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "trove: the host of subscription \"%V\" could not be "
                      "resolved (%i: %s)", &pin->delivery->subscriber->id,
                      ctx->state, ngx_resolver_strerror(ctx->state));

        ngx_http_trove_pin_refuse(pin, "not_resolved");

    } else {
        ngx_http_trove_pin_choose(pin, ctx->addrs, ctx->naddrs);
    }

    ngx_resolve_name_done(ctx);
    pin->resolver = NULL;

    if (pin->starting) {
        return;
    }

    /* the request may be freed by it */

    c = r->connection;

    ngx_http_core_run_phases(r);
    ngx_http_run_posted_requests(c);
}


/* one of the addresses that are allowed, and no other, whatever happens */

static void
ngx_http_trove_pin_choose(ngx_http_trove_pin_t *pin,
    ngx_resolver_addr_t *addrs, ngx_uint_t n)
{
    ngx_uint_t          i, k, first;
    ngx_array_t        *allow;
    ngx_trove_allow_t  *list;

    allow = ngx_http_trove_pin_allow(pin);
    list = allow ? allow->elts : NULL;

    first = n ? (ngx_uint_t) ngx_random() % n : 0;

    for (k = 0; k < n; k++) {
        i = (first + k) % n;

        if (addrs[i].socklen > sizeof(ngx_sockaddr_t)
            || !ngx_trove_allow_address(list, allow ? allow->nelts : 0,
                                        &pin->url, addrs[i].sockaddr))
        {
            continue;
        }

        if (&pin->sockaddr.sockaddr != addrs[i].sockaddr) {
            ngx_memcpy(&pin->sockaddr, addrs[i].sockaddr, addrs[i].socklen);
        }

        ngx_inet_set_port(&pin->sockaddr.sockaddr, pin->url.port);

        pin->socklen = addrs[i].socklen;
        pin->state = NGX_HTTP_TROVE_PIN_PINNED;
        return;
    }

    ngx_http_trove_pin_refuse(pin, "not_allowed");
}


static void
ngx_http_trove_pin_refuse(ngx_http_trove_pin_t *pin, const char *why)
{
    pin->state = NGX_HTTP_TROVE_PIN_REFUSED;
    pin->delivery->refused = why;
}


static ngx_int_t
ngx_http_trove_pin_content(ngx_http_request_t *r)
{
    ngx_int_t              rc;
    ngx_http_upstream_t   *u;
    ngx_http_trove_pin_t  *pin;

    pin = ngx_http_trove_pin_get(r);

    if (pin == NULL || pin->handler == NULL) {

        /* a clone of the subrequest, as for a cache: not to be sent */

        return NGX_HTTP_BAD_GATEWAY;
    }

    u = r->upstream;

    r->aio = 1;

    rc = pin->handler(r);

    if (ngx_http_trove_pin_get(r) != pin) {

        /* redirected in the meantime */

        return rc;
    }

    r->aio = 0;

    if (r->upstream == NULL || r->upstream == u || rc != NGX_DONE) {
        return rc;
    }

    if (ngx_http_trove_pin_upstream(pin) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_HTTP_BAD_GATEWAY);
        return NGX_DONE;
    }

    ngx_http_upstream_init(r);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_trove_pin_upstream(ngx_http_trove_pin_t *pin)
{
    u_char                        *p;
    ngx_str_t                     *host;
    ngx_http_request_t            *r;
    ngx_http_upstream_t           *u;
    ngx_http_upstream_resolved_t  *resolved;

    r = pin->request;
    u = r->upstream;
    resolved = u->resolved;

    if (resolved == NULL) {

        /* "proxy_pass" to a proxy of the operator, which makes the checks */

        return NGX_OK;
    }

    if (!pin->used) {

        /* an address from another variable has not been checked */

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "trove: the location \"%V\" of \"trove_subscriptions\" "
                      "passes requests to the value of another variable than "
                      "\"$trove_subscription_url\"", &r->uri);

        pin->delivery->refused = "not_allowed";
        return NGX_ERROR;
    }

    /*
     * The host would be looked up among the upstreams of the configuration,
     * whose addresses have not been checked; so it is replaced by the address,
     * with the port, which is the name of none.
     */

    p = ngx_pnalloc(r->pool, NGX_SOCKADDR_STRLEN);
    host = ngx_palloc(r->pool, sizeof(ngx_str_t));

    if (p == NULL || host == NULL) {
        return NGX_ERROR;
    }

    resolved->name.data = p;
    resolved->name.len = ngx_sock_ntop(&pin->sockaddr.sockaddr, pin->socklen, p,
                                       NGX_SOCKADDR_STRLEN, 1);
    resolved->host = resolved->name;

    resolved->sockaddr = &pin->sockaddr.sockaddr;
    resolved->socklen = pin->socklen;
    resolved->port = pin->url.port;
    resolved->no_port = 0;
    resolved->naddrs = 1;
    resolved->addrs = NULL;

    /* a copy, because the configuration is that of all requests */

    pin->conf = *u->conf;

#if (NGX_HTTP_SSL)

    if (pin->conf.ssl) {
        ngx_memzero(&pin->ssl_name, sizeof(ngx_http_complex_value_t));

        pin->ssl_name.value = pin->url.host;

        pin->conf.ssl_name = &pin->ssl_name;
        pin->conf.ssl_server_name = (pin->url.family == 0);
        pin->conf.ssl_verify = 1;
    }

#endif

    u->conf = &pin->conf;

    return NGX_OK;
}
