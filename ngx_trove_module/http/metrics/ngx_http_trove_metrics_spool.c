
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics_shm.h"
#include "ngx_http_trove_metrics_spool.h"


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
