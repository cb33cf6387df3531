
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_METRICS_TEXT_H_INCLUDED_
#define _NGX_HTTP_TROVE_METRICS_TEXT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics.h"
#include "ngx_trove_spool_query.h"


/* a target of the spool, as it is shown */
typedef struct {
    ngx_str_t                      labels;
    unsigned                       configured:1;
} ngx_http_trove_metrics_spooled_t;


/* the text of all metrics, as it is made */
typedef struct {
    u_char                        *p;
    u_char                        *last;
    ngx_http_trove_metrics_loc_t  *locs;
    ngx_uint_t                     nlocs;
    ngx_array_t                   *zones;      /* ngx_shm_zone_t * */
    uint64_t                      *gauges;     /* sums; or NULL */

    /* of the spool, if there is one */
    ngx_array_t                   *routes;     /* ngx_http_trove_route_t * */
    ngx_trove_spool_stat_t        *stat;       /* NULL: not known yet */
    ngx_http_trove_metrics_spooled_t  *spooled;    /* of stat->targets */
} ngx_http_trove_metrics_text_t;


/* Begins a family of metrics. */
void ngx_http_trove_metrics_head(ngx_http_trove_metrics_text_t *text,
    const char *name, const char *type, const char *help);

/*
 * The families of the targets: sums up their gauges, tells how many bytes all
 * need at most, adds them to the text.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_metrics_targets_sum(
    ngx_http_trove_metrics_text_t *text, ngx_pool_t *pool);
size_t ngx_http_trove_metrics_targets_size(
    ngx_http_trove_metrics_text_t *text);
void ngx_http_trove_metrics_targets(ngx_http_trove_metrics_text_t *text);

/* The families about signatures: of all locations that verify. */
void ngx_http_trove_metrics_signatures(ngx_http_trove_metrics_text_t *text);


#endif /* _NGX_HTTP_TROVE_METRICS_TEXT_H_INCLUDED_ */
