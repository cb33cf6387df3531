
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

    void                     **loc_conf;       /* of the location, once known */
    unsigned                   optional:1;

    ngx_http_trove_limit_t     limit;          /* of this worker */
    ngx_trove_health_t        *health;         /* in shared memory */

    /* by the metrics module: what it is counted in */
    ngx_http_trove_metrics_target_t  *metrics;
} ngx_http_trove_target_t;


/*
 * Whether an event goes to a target, by the variables of r.
 *
 * NGX_OK        it does
 * NGX_DECLINED  it does not
 * NGX_ERROR     out of memory
 */
ngx_int_t ngx_http_trove_target_match(ngx_http_request_t *r,
    ngx_http_trove_target_t *target, ngx_trove_event_t *event);

/* The number of deliveries at once that a target allows; 0: any number. */
ngx_uint_t ngx_http_trove_target_max_inflight(ngx_http_trove_target_t *target);

/* Counts a delivery to a target, skipped or failed for good. */
void ngx_http_trove_target_skipped(ngx_http_trove_target_t *target);
void ngx_http_trove_target_failed(ngx_http_trove_target_t *target);


#endif /* _NGX_HTTP_TROVE_TARGET_H_INCLUDED_ */
