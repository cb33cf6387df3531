
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SPOOL_METRICS_H_INCLUDED_
#define _NGX_HTTP_TROVE_SPOOL_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics_text.h"


/*
 * What is counted for the spool, by all workers together.  A counter keeps its
 * meaning while old and new workers share the memory.
 */

typedef enum {
    NGX_HTTP_TROVE_SPOOL_COMMITS = 0,
    NGX_HTTP_TROVE_SPOOL_OPS,                  /* in all of them */
    NGX_HTTP_TROVE_SPOOL_COMMIT_US,            /* microseconds */
    NGX_HTTP_TROVE_SPOOL_ACCEPTED,
    NGX_HTTP_TROVE_SPOOL_DUPLICATE,
    NGX_HTTP_TROVE_SPOOL_REFUSED,              /* full, or it did not work */
    NGX_HTTP_TROVE_SPOOL_ERRORS,               /* batches that failed */
    NGX_HTTP_TROVE_SPOOL_COUNTERS
} ngx_http_trove_spool_metric_e;


/* Adds n to a counter of the spool, in a worker. */
void ngx_http_trove_metrics_spool_add(ngx_uint_t counter, uint64_t n);

/* The sum of such a counter. */
uint64_t ngx_http_trove_metrics_spool_sum(ngx_uint_t counter);

/*
 * The families of the spool, if there is one: finds the labels of its targets,
 * tells how many bytes they need at most, and adds them to the text.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_metrics_spool_targets(
    ngx_http_trove_metrics_text_t *text, ngx_pool_t *pool);
size_t ngx_http_trove_metrics_spool_size(ngx_http_trove_metrics_text_t *text);
void ngx_http_trove_metrics_spool(ngx_http_trove_metrics_text_t *text);

/* Adds a line with 0 for each target that only the spool has. */
void ngx_http_trove_metrics_spool_left(ngx_http_trove_metrics_text_t *text,
    const char *name);

/* Whether the events of a location are spooled. */
ngx_uint_t ngx_http_trove_metrics_spool_route(
    ngx_http_trove_metrics_text_t *text, ngx_http_trove_metrics_loc_t *loc);


#endif /* _NGX_HTTP_TROVE_SPOOL_METRICS_H_INCLUDED_ */
