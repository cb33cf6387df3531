
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_METRICS_TEXT_H_INCLUDED_
#define _NGX_HTTP_TROVE_METRICS_TEXT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics_format.h"


/*
 * The text format of Prometheus, version 0.0.4: each module renders its own
 * families by a collector.
 */


/* the order of the sections, which each have families of one module */
typedef enum {
    NGX_HTTP_TROVE_METRICS_VERIFY = 0,
    NGX_HTTP_TROVE_METRICS_DEDUP,
    NGX_HTTP_TROVE_METRICS_FANOUT,
    NGX_HTTP_TROVE_METRICS_TARGETS,
    NGX_HTTP_TROVE_METRICS_SPOOL_TARGETS,      /* goes on with its family */
    NGX_HTTP_TROVE_METRICS_DELIVERIES,
    NGX_HTTP_TROVE_METRICS_SPOOL,
    NGX_HTTP_TROVE_METRICS_ZONES,
    NGX_HTTP_TROVE_METRICS_SECTIONS
} ngx_http_trove_metrics_section_e;


/* of one collector */
#define NGX_HTTP_TROVE_METRICS_PARTS  2


/* renders a section; data is what collect() has returned */
typedef void (*ngx_http_trove_metrics_render_pt)(
    ngx_http_trove_metrics_text_t *text, void *data);


typedef struct {
    /*
     * Before anything is rendered: all that the other functions need to know,
     * in memory of pool; conf is that of the registration.  NULL: there is
     * nothing to collect, and data is conf.
     *
     * NULL  out of memory
     */
    void                            *(*collect)(
                                         ngx_http_trove_metrics_text_t *text,
                                         ngx_pool_t *pool, void *conf);

    /* how many bytes all parts of the collector need at most */
    size_t                           (*size)(
                                         ngx_http_trove_metrics_text_t *text,
                                         void *data);

    struct {
        ngx_uint_t                         section;
        ngx_http_trove_metrics_render_pt   render;     /* NULL: there is none */
    } parts[NGX_HTTP_TROVE_METRICS_PARTS];
} ngx_http_trove_metrics_collector_t;


/*
 * Registers a collector; to be called as "postconfiguration".
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_metrics_collector_add(ngx_conf_t *cf,
    ngx_http_trove_metrics_collector_t *collector, void *conf);

/*
 * Renders all metrics, in the pool of the request.
 *
 * NULL  out of memory
 */
ngx_buf_t *ngx_http_trove_metrics_text(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TROVE_METRICS_TEXT_H_INCLUDED_ */
