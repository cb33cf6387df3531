
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics_shm.h"
#include "ngx_http_trove_metrics_spool.h"


/* the set of the spool has gauges like that of a target: the first of them */
#define NGX_HTTP_TROVE_SPOOL_READERS  NGX_HTTP_TROVE_TARGET_INFLIGHT


void
ngx_http_trove_metrics_spool_add(ngx_uint_t counter, uint64_t n)
{
    ngx_trove_metrics_set_t  *set;

    set = ngx_http_trove_metrics_shm_spool();

    if (set) {
        ngx_trove_metrics_add(set, ngx_worker, counter, n);
    }
}


uint64_t
ngx_http_trove_metrics_spool_sum(ngx_uint_t counter)
{
    ngx_trove_metrics_set_t  *set;

    set = ngx_http_trove_metrics_shm_spool();

    return set ? ngx_trove_metrics_sum(set, counter) : 0;
}


void
ngx_http_trove_metrics_spool_reader(ngx_uint_t up)
{
    ngx_http_trove_metrics_target_move(ngx_http_trove_metrics_shm_gauges(),
                                       up ? NGX_HTTP_TROVE_TARGET_NO_GAUGE
                                          : NGX_HTTP_TROVE_SPOOL_READERS,
                                       up ? NGX_HTTP_TROVE_SPOOL_READERS
                                          : NGX_HTTP_TROVE_TARGET_NO_GAUGE);
}


uint64_t
ngx_http_trove_metrics_spool_readers(void)
{
    ngx_http_trove_metrics_target_t  *t;

    t = ngx_http_trove_metrics_shm_gauges();

    return (t && t->gauges)
           ? ngx_trove_gauges_one(t->gauges,
                                  t->gauge + NGX_HTTP_TROVE_SPOOL_READERS)
           : 0;
}
