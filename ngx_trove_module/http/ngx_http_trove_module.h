
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_MODULE_H_INCLUDED_
#define _NGX_HTTP_TROVE_MODULE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_conf.h"
#include "ngx_http_trove_ctx.h"
#include "ngx_trove_event.h"
#include "ngx_trove_health.h"


#define NGX_TROVE_VERSION  "0.2.0"


extern ngx_module_t  ngx_http_trove_module;
extern ngx_module_t  ngx_http_trove_variables_module;
extern ngx_module_t  ngx_http_trove_metrics_module;
extern ngx_module_t  ngx_http_trove_sign_module;
extern ngx_module_t  ngx_http_trove_upstream_module;
extern ngx_module_t  ngx_http_trove_api_module;
extern ngx_module_t  ngx_http_trove_spool_module;
extern ngx_module_t  ngx_http_trove_fanout_module;
extern ngx_module_t  ngx_http_trove_dedup_module;
extern ngx_module_t  ngx_http_trove_verify_module;


#define NGX_HTTP_TROVE_VERIFY_OFF  0
#define NGX_HTTP_TROVE_VERIFY_ON   1
#define NGX_HTTP_TROVE_VERIFY_LOG  2


/*
 * The configuration of a location that the modules share.  The base module
 * merges first; each of the others sets its own members when it merges, in the
 * order of ngx_module_name in "config".
 */

typedef struct ngx_http_trove_loc_conf_s  ngx_http_trove_loc_conf_t;

struct ngx_http_trove_loc_conf_s {
    ngx_http_core_srv_conf_t   *cscf;
    void                      **loc_conf;      /* of all modules */

    /* the location of an "if" or "limit_except" block; NULL if it is none */
    ngx_http_trove_loc_conf_t  *outer;

    /*
     * The content handler, if the location is an endpoint of the module:
     * "trove_verify on" and "trove_dedup" are not inherited then.  Blocks
     * inherit the endpoint, nested locations do not.
     */
    ngx_http_handler_pt         endpoint;      /* or NULL */
    ngx_str_t                   directive;     /* that sets the endpoint */
    ngx_http_trove_place_t      place;         /* of the directive */

    /* by the verify module; ON until it has merged */
    ngx_uint_t                  verify;        /* NGX_HTTP_TROVE_VERIFY_... */
    time_t                      tolerance;     /* seconds, 0 = off */
    ngx_uint_t                  nsecrets;      /* 0 in the mode off */
    unsigned                    varies:1;      /* a secret holds variables */

    /* by the dedup module */
    unsigned                    dedup:1;

    /* by the fanout module; NULL if there are no targets */
    ngx_array_t                *targets;       /* ngx_http_trove_target_t * */
    ngx_trove_health_t         *health;        /* of events without a target */
};


/*
 * Both return the configurations of all locations, including those of servers
 * and blocks: ngx_http_trove_loc_conf_t *.  An outer one precedes its blocks.
 */
ngx_array_t *ngx_http_trove_locs(ngx_conf_t *cf);
ngx_array_t *ngx_http_trove_request_locs(ngx_http_request_t *r);

/*
 * Makes the location of the directive being read an endpoint, whose content
 * handler is handler.
 *
 * NGX_CONF_OK
 * "is duplicate"
 * NGX_CONF_ERROR  the location has another content handler; logged
 */
char *ngx_http_trove_set_endpoint(ngx_conf_t *cf, ngx_http_handler_pt handler);

typedef void (*ngx_http_trove_event_pt)(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx);

/*
 * Registers a handler that is called when an event has been verified and
 * parsed, before the next phase handler runs; to be called in
 * "postconfiguration".
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_on_verified(ngx_conf_t *cf,
    ngx_http_trove_event_pt handler);

/* Calls these handlers for the event of the main request r. */
void ngx_http_trove_verified(ngx_http_request_t *r, ngx_http_trove_ctx_t *ctx);

/*
 * Sets the handler by which ngx_http_trove_is_delivery() recognizes
 * subrequests; to be called in "postconfiguration".
 */
void ngx_http_trove_set_delivery(ngx_conf_t *cf,
    ngx_http_post_subrequest_pt handler);

/* Whether a request is a delivery, or a subrequest of one. */
ngx_uint_t ngx_http_trove_is_delivery(ngx_http_request_t *r);

/*
 * Returns the data of r or of its nearest parent whose post_subrequest handler
 * is handler.
 *
 * NULL  there is none
 */
void *ngx_http_trove_subrequest(ngx_http_request_t *r,
    ngx_http_post_subrequest_pt handler);

/*
 * Both return the members of "data" that the configuration uses, by
 * $trove_data_NAME and $trove_json_data_NAME.  The parser discards all others.
 * The variables module sets them in "postconfiguration".
 */
ngx_trove_event_names_t *ngx_http_trove_event_names(ngx_http_request_t *r);
ngx_trove_event_names_t *ngx_http_trove_conf_event_names(ngx_conf_t *cf);

/*
 * Returns the array of the secrets that warnings were logged for already; its
 * elements have that size.
 *
 * NULL  out of memory
 */
ngx_array_t *ngx_http_trove_secrets_warned(ngx_conf_t *cf, size_t size);


#endif /* _NGX_HTTP_TROVE_MODULE_H_INCLUDED_ */
