
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SUBSCRIPTION_H_INCLUDED_
#define _NGX_HTTP_TROVE_SUBSCRIPTION_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_target.h"
#include "ngx_trove_spool_subscription.h"


/*
 * Subscriptions for other components: the keys that seal the secrets, and the
 * URLs that are allowed.
 */

/*
 * Returns 1 if subscriptions can be created: "trove_subscription_key" is set,
 * and a location has "trove_subscriptions".  Returns 0 otherwise.
 */
ngx_uint_t ngx_http_trove_subscription_enabled(ngx_http_request_t *r);

/*
 * Seals a secret for the subscription with the id.  sealed->data must have
 * space for NGX_TROVE_SPOOL_SEALED_LEN bytes; sealed->len is set.  May be
 * called by any thread.
 *
 * NGX_OK
 * NGX_DECLINED  there is no key
 * NGX_ERROR     the library failed
 */
ngx_int_t ngx_http_trove_subscription_seal(ngx_str_t *id, ngx_str_t *secret,
    ngx_str_t *sealed);

/*
 * Checks the URL of a new or changed subscription against the
 * "trove_subscription_allow" of all locations that have "trove_subscriptions".
 *
 * NULL, or why the URL is not allowed: a constant string for the client
 */
const char *ngx_http_trove_subscription_url(ngx_http_request_t *r,
    ngx_str_t *url);

/*
 * Returns the location by which events are delivered to subscriptions, of the
 * first location that has "trove_subscriptions" and allows the URL.  Sets *cscf
 * and *loc_conf to the configuration of the location that has it.
 *
 * NULL  there is none
 */
ngx_http_trove_target_t *ngx_http_trove_subscription_target(
    ngx_http_request_t *r, ngx_str_t *url, ngx_http_core_srv_conf_t **cscf,
    void ***loc_conf);


#endif /* _NGX_HTTP_TROVE_SUBSCRIPTION_H_INCLUDED_ */
