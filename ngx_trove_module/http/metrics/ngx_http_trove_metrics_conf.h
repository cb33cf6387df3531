
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_METRICS_CONF_H_INCLUDED_
#define _NGX_HTTP_TROVE_METRICS_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics.h"
#include "ngx_http_trove_metrics_text.h"


/* The configuration of the metrics module; private to this folder. */


/* a collector and the configuration that was registered with it */
typedef struct {
    ngx_http_trove_metrics_collector_t  *collector;
    void                                *conf;
} ngx_http_trove_metrics_registered_t;


typedef struct {
    ngx_array_t               locs;      /* ngx_http_trove_metrics_loc_t */
    ngx_uint_t                ntargets;
    ngx_array_t               collectors;
                                     /* ngx_http_trove_metrics_registered_t */
    ngx_shm_zone_t           *shm_zone;  /* NULL: nothing to count */
    time_t                    loaded;    /* configuration read at */
} ngx_http_trove_metrics_main_conf_t;


typedef struct {
    ngx_uint_t                          index;     /* in locs; unset: none */

    /* see ngx_http_trove_metrics_loc_targets() */
    ngx_http_trove_metrics_target_t    *targets;
    ngx_uint_t                          ntargets;
} ngx_http_trove_metrics_loc_conf_t;


#endif /* _NGX_HTTP_TROVE_METRICS_CONF_H_INCLUDED_ */
