
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
 * The text format of Prometheus, version 0.0.4.  Each module renders its own
 * families with a collector.
 */


/* sections in order; each has families of one module */
typedef enum {
    NGX_HTTP_TROVE_METRICS_VERIFY = 0,
    NGX_HTTP_TROVE_METRICS_DEDUP,
    NGX_HTTP_TROVE_METRICS_FANOUT,
    NGX_HTTP_TROVE_METRICS_TARGETS,
    NGX_HTTP_TROVE_METRICS_SPOOL_TARGETS,      /* continues TARGETS */
    NGX_HTTP_TROVE_METRICS_DELIVERIES,
    NGX_HTTP_TROVE_METRICS_SPOOL,
    NGX_HTTP_TROVE_METRICS_STREAM,
    NGX_HTTP_TROVE_METRICS_ZONES,
    NGX_HTTP_TROVE_METRICS_SECTIONS
} ngx_http_trove_metrics_section_e;


/* sections of one collector */
#define NGX_HTTP_TROVE_METRICS_PARTS  2


/* renders a section; data is the result of collect() */
typedef void (*ngx_http_trove_metrics_render_pt)(
    ngx_http_trove_metrics_text_t *text, void *data);


typedef struct {
    /*
     * Called before anything is rendered.  It returns the data for the other
     * functions, allocated from the pool.  conf is the one that was
     * registered.  The function pointer may be NULL; then data is conf.
     *
     * NULL  out of memory
     */
    void                            *(*collect)(
                                         ngx_http_trove_metrics_text_t *text,
                                         ngx_pool_t *pool, void *conf);

    /* returns the maximum length in bytes of all parts together */
    size_t                           (*size)(
                                         ngx_http_trove_metrics_text_t *text,
                                         void *data);

    struct {
        ngx_uint_t                         section;
        ngx_http_trove_metrics_render_pt   render;     /* NULL: none */
    } parts[NGX_HTTP_TROVE_METRICS_PARTS];
} ngx_http_trove_metrics_collector_t;


/*
 * Registers a collector.  It must be called at postconfiguration.  The
 * collector and conf must live as long as the configuration.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_metrics_collector_add(ngx_conf_t *cf,
    ngx_http_trove_metrics_collector_t *collector, void *conf);

/*
 * Renders all metrics.  The buffer is allocated from the pool of the request.
 *
 * NULL  out of memory
 */
ngx_buf_t *ngx_http_trove_metrics_text(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TROVE_METRICS_TEXT_H_INCLUDED_ */
