
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SUBSCRIPTION_CONF_H_INCLUDED_
#define _NGX_HTTP_TROVE_SUBSCRIPTION_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_delivery.h"
#include "ngx_trove_allow.h"
#include "ngx_trove_seal.h"


/* Subscriptions, private to the folder. */


typedef struct {
    ngx_trove_seal_keys_t     *keys;           /* wiped with the cycle */
} ngx_http_trove_subscription_main_conf_t;


typedef struct {
    ngx_array_t               *allow;          /* ngx_trove_allow_t */
} ngx_http_trove_subscription_loc_conf_t;


/*
 * A request to a subscriber:
 *
 *   NEW --> RESOLVING --resolved, one address is allowed--> PINNED
 *    |          |                                             ^
 *    |          +-- not resolved, or none is allowed --> REFUSED
 *    |          |
 *    |          +-- the request is freed: the resolver is told
 *    |                                                        |
 *    +-- the host is an address ------------------------------+
 */

typedef struct {
    enum {
        NGX_HTTP_TROVE_PIN_NEW = 0,
        NGX_HTTP_TROVE_PIN_RESOLVING,
        NGX_HTTP_TROVE_PIN_PINNED,
        NGX_HTTP_TROVE_PIN_REFUSED
    } state;

    ngx_http_request_t        *request;
    ngx_http_trove_delivery_t *delivery;
    ngx_trove_url_t            url;
    ngx_str_t                  text;           /* of the variable */

    ngx_resolver_ctx_t        *resolver;       /* RESOLVING */
    ngx_sockaddr_t             sockaddr;       /* PINNED */
    socklen_t                  socklen;

    ngx_http_handler_pt        handler;        /* of the location */
    ngx_http_upstream_conf_t   conf;           /* of this request */
    ngx_http_complex_value_t   ssl_name;

    unsigned                   used:1;         /* the variable was read */
    unsigned                   starting:1;     /* in the phase handler */
} ngx_http_trove_pin_t;


extern ngx_module_t  ngx_http_trove_subscription_module;


/*
 * Checks the locations of "trove_subscriptions".  keys is 1 if there is a key
 * file.
 *
 * NGX_OK
 * NGX_ERROR  logged
 */
ngx_int_t ngx_http_trove_subscription_check(ngx_conf_t *cf, ngx_uint_t keys);

/*
 * The phase handler for the subrequests of deliveries to subscribers: resolves
 * the host, signs the event, and replaces the content handler.
 */
ngx_int_t ngx_http_trove_subscription_handler(ngx_http_request_t *r);

/* Returns the pin of a request, or NULL if the request is not PINNED. */
ngx_http_trove_pin_t *ngx_http_trove_pin_get(ngx_http_request_t *r);

/*
 * Sets the headers of the request as the vendor does, and the signature with
 * the secrets of the subscription.
 *
 * NGX_OK
 * NGX_DECLINED  a secret cannot be opened: logged from time to time
 * NGX_ERROR     out of memory, or OpenSSL failed
 */
ngx_int_t ngx_http_trove_subscription_sign(ngx_http_request_t *r,
    ngx_http_trove_delivery_t *d, ngx_trove_seal_keys_t *keys);


#endif /* _NGX_HTTP_TROVE_SUBSCRIPTION_CONF_H_INCLUDED_ */
