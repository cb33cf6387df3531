
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SPOOL_ROUTE_H_INCLUDED_
#define _NGX_HTTP_TROVE_SPOOL_ROUTE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics.h"
#include "ngx_http_trove_spool_retry.h"
#include "ngx_http_trove_target.h"


/* a location whose events are spooled */
typedef struct {
    ngx_str_t                  name;           /* its name in the file */
    ngx_http_core_srv_conf_t  *cscf;
    void                     **loc_conf;
    ngx_array_t               *targets;        /* ngx_http_trove_target_t * */
    ngx_http_trove_metrics_loc_t  *metrics;    /* its counters */
    ngx_http_trove_retry_t   **retries;        /* of each target */

    /*
     * The one of the targets that stands for subscriptions.  NULL: events are
     * not matched against subscriptions.
     */
    ngx_http_trove_target_t   *subscribers;

    /* in this worker: the index of its first target in the queue */
    ngx_uint_t                 first;
} ngx_http_trove_route_t;


#endif /* _NGX_HTTP_TROVE_SPOOL_ROUTE_H_INCLUDED_ */
