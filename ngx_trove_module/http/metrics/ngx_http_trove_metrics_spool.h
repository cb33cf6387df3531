
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_METRICS_SPOOL_H_INCLUDED_
#define _NGX_HTTP_TROVE_METRICS_SPOOL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Counters of the spool, shared by all workers.  A counter must keep its
 * meaning because old and new workers share the memory.
 */

typedef enum {
    NGX_HTTP_TROVE_SPOOL_COMMITS = 0,
    NGX_HTTP_TROVE_SPOOL_OPS,                  /* in all transactions */
    NGX_HTTP_TROVE_SPOOL_COMMIT_US,            /* microseconds */
    NGX_HTTP_TROVE_SPOOL_ACCEPTED,
    NGX_HTTP_TROVE_SPOOL_DUPLICATE,
    NGX_HTTP_TROVE_SPOOL_REFUSED,              /* full or failed */
    NGX_HTTP_TROVE_SPOOL_ERRORS,               /* batches that failed */
    NGX_HTTP_TROVE_SPOOL_DISABLED,             /* subscriptions */
    NGX_HTTP_TROVE_SPOOL_STREAMED,             /* events, to all readers */
    NGX_HTTP_TROVE_SPOOL_STREAM_READS,         /* of the spool */
    NGX_HTTP_TROVE_SPOOL_COUNTERS
} ngx_http_trove_spool_metric_e;


/*
 * Adds n to a counter of the spool.  It is called in a worker.  It does
 * nothing if the spool is not counted.
 */
void ngx_http_trove_metrics_spool_add(ngx_uint_t counter, uint64_t n);

/* Returns the sum of a counter over all workers. */
uint64_t ngx_http_trove_metrics_spool_sum(ngx_uint_t counter);

/*
 * Counts the readers of streams of this worker: one more if up is 1, one less
 * if it is 0.  Returns their number in all workers.
 */
void ngx_http_trove_metrics_spool_reader(ngx_uint_t up);
uint64_t ngx_http_trove_metrics_spool_readers(void);


#endif /* _NGX_HTTP_TROVE_METRICS_SPOOL_H_INCLUDED_ */
