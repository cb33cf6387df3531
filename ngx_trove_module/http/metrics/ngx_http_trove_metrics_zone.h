
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_METRICS_ZONE_H_INCLUDED_
#define _NGX_HTTP_TROVE_METRICS_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics.h"


/*
 * The shared memory of all counters and gauges.  What reloads of the same
 * module have in common: its size, or else what was counted is carried over.
 */


/*
 * Has the memory for locs, an array of ngx_http_trove_metrics_loc_t, with
 * ntargets targets in all of them, made or found when the configuration is
 * through; they learn then what they are counted in.
 *
 * NULL  out of memory; logged
 */
ngx_shm_zone_t *ngx_http_trove_metrics_zone_add(ngx_conf_t *cf,
    ngx_array_t *locs, ngx_uint_t ntargets);

/*
 * What the spool is counted in, by the running configuration: in a worker.
 *
 * NULL  there is no room for it, or nothing is counted
 */
ngx_trove_metrics_set_t *ngx_http_trove_metrics_zone_spool(void);

/* Gives back the gauges and the sets that this process holds. */
void ngx_http_trove_metrics_zone_release(ngx_shm_zone_t *shm_zone);


#endif /* _NGX_HTTP_TROVE_METRICS_ZONE_H_INCLUDED_ */
