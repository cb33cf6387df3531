
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
extern ngx_module_t  ngx_http_trove_api_module;
extern ngx_module_t  ngx_http_trove_spool_module;
extern ngx_module_t  ngx_http_trove_fanout_module;
extern ngx_module_t  ngx_http_trove_dedup_module;
extern ngx_module_t  ngx_http_trove_verify_module;


#define NGX_HTTP_TROVE_VERIFY_OFF  0
#define NGX_HTTP_TROVE_VERIFY_ON   1
#define NGX_HTTP_TROVE_VERIFY_LOG  2


/*
 * What the modules may know of each other in a location.  The base module
 * merges first, and each of the others fills in its part when it merges, in the
 * order of ngx_module_name in "config".
 */

typedef struct ngx_http_trove_loc_conf_s  ngx_http_trove_loc_conf_t;

struct ngx_http_trove_loc_conf_s {
    ngx_http_core_srv_conf_t   *cscf;
    void                      **loc_conf;      /* of all modules */

    /* of an "if" or "limit_except" block: where it is; else NULL */
    ngx_http_trove_loc_conf_t  *outer;

    /*
     * The module itself answers here: an inherited "trove_verify on" or
     * "trove_dedup" is not in force.  Blocks have it from their location, but
     * a location inside of another one has not.
     */
    ngx_http_handler_pt         endpoint;      /* NULL: it does not */
    ngx_str_t                   directive;     /* for the endpoint */
    ngx_http_trove_place_t      place;         /* of that */

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
 * All locations, servers as a whole and blocks, as they were merged, so that an
 * outer one comes first: ngx_http_trove_loc_conf_t *.
 */
ngx_array_t *ngx_http_trove_locs(ngx_conf_t *cf);
ngx_array_t *ngx_http_trove_request_locs(ngx_http_request_t *r);

/*
 * Makes handler, of the directive that is being read, the endpoint of its
 * location.
 *
 * NGX_CONF_OK
 * "is duplicate"
 * NGX_CONF_ERROR  logged: the location has another handler
 */
char *ngx_http_trove_set_endpoint(ngx_conf_t *cf, ngx_http_handler_pt handler);

typedef void (*ngx_http_trove_event_pt)(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx);

/*
 * Has handler called with each event that was verified and parsed, before the
 * next phase handler sees it; to be called in "postconfiguration".
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_on_verified(ngx_conf_t *cf,
    ngx_http_trove_event_pt handler);

/* Calls these handlers for the event of a main request. */
void ngx_http_trove_verified(ngx_http_request_t *r, ngx_http_trove_ctx_t *ctx);

/*
 * Deliveries are the subrequests whose end calls handler; to be called in
 * "postconfiguration".
 */
void ngx_http_trove_set_delivery(ngx_conf_t *cf,
    ngx_http_post_subrequest_pt handler);

/* Whether a request is a delivery, or a subrequest of one. */
ngx_uint_t ngx_http_trove_is_delivery(ngx_http_request_t *r);

/*
 * The data of the subrequest that r is, or was made for, whose end calls
 * handler.
 *
 * NULL  there is none
 */
void *ngx_http_trove_subrequest(ngx_http_request_t *r,
    ngx_http_post_subrequest_pt handler);

/*
 * The members of "data" that the configuration names in $trove_data_NAME and
 * $trove_json_data_NAME: the parser keeps no others of a body.  The variables
 * module collects them in "postconfiguration".
 */
ngx_trove_event_names_t *ngx_http_trove_event_names(ngx_http_request_t *r);
ngx_trove_event_names_t *ngx_http_trove_conf_event_names(ngx_conf_t *cf);

/*
 * The secrets of this configuration that were warned of already, in elements of
 * that size.  NULL: out of memory.
 */
ngx_array_t *ngx_http_trove_secrets_warned(ngx_conf_t *cf, size_t size);


#endif /* _NGX_HTTP_TROVE_MODULE_H_INCLUDED_ */
