
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_TARGET_H_INCLUDED_
#define _NGX_HTTP_TROVE_TARGET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_conf.h"
#include "ngx_http_trove_limit.h"
#include "ngx_http_trove_metrics_target.h"
#include "ngx_trove_event.h"
#include "ngx_trove_health.h"


/* of "events=" and "namespace=": a name, or what names begin with */
typedef struct {
    ngx_str_t                  text;           /* without the "*" */
    unsigned                   prefix:1;
} ngx_http_trove_pattern_t;


/* a "trove_fanout": where an event goes to, and which */
typedef struct {
    ngx_str_t                  name;
    ngx_str_t                  location;       /* that the directive is in */
    ngx_http_trove_place_t     place;
    ngx_str_t                  uri;
    ngx_str_t                  args;

    ngx_array_t               *events;         /* ngx_http_trove_pattern_t */
    ngx_array_t               *namespaces;     /* the same; NULL: all */
    ngx_http_complex_value_t  *condition;      /* NULL: always */

    ngx_http_trove_limit_t    *limit;

    ngx_trove_health_t        *health;         /* in shared memory */

    /* by the metrics module: what it is counted in */
    ngx_http_trove_metrics_target_t  *metrics;

    void                     **loc_conf;       /* of the location, once known */
    unsigned                   optional:1;
} ngx_http_trove_target_t;


/*
 * Adds what a directive "trove_fanout" says to an array of targets.
 *
 * NGX_CONF_OK
 * NGX_CONF_ERROR  after a message that names the directive and the remedy
 */
char *ngx_http_trove_target_add(ngx_conf_t *cf, ngx_array_t *targets);

/*
 * Whether an event goes to a target, by the variables of r.
 *
 * NGX_OK        it does
 * NGX_DECLINED  it does not
 * NGX_ERROR     out of memory
 */
ngx_int_t ngx_http_trove_target_match(ngx_http_request_t *r,
    ngx_http_trove_target_t *target, ngx_trove_event_t *event);

/*
 * Finds the location which serves the URI of each target in a server, and
 * checks that it is "internal"; to be called when all has been merged.
 *
 * NGX_OK
 * NGX_ERROR  logged
 */
ngx_int_t ngx_http_trove_target_check(ngx_conf_t *cf,
    ngx_http_core_srv_conf_t *cscf, ngx_array_t *targets);


#endif /* _NGX_HTTP_TROVE_TARGET_H_INCLUDED_ */
