
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_METRICS_SHM_H_INCLUDED_
#define _NGX_HTTP_TROVE_METRICS_SHM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics.h"


/*
 * The shared memory of all counters and gauges.  A reload with the same module
 * reuses it if the size is the same; otherwise the counts are copied to the
 * new memory.
 */


/*
 * Adds the shared memory for locs, an array of ngx_http_trove_metrics_loc_t.
 * ntargets is the number of targets of all locations.  After the configuration
 * has been read, the memory is created or found, and the locations and targets
 * are set to their counters.  locs must live as long as the configuration.
 *
 * NULL  out of memory; logged
 */
ngx_shm_zone_t *ngx_http_trove_metrics_shm_add(ngx_conf_t *cf,
    ngx_array_t *locs, ngx_uint_t ntargets);

/*
 * Returns the counters of the spool in the running configuration.  It is
 * called in a worker.
 *
 * NULL  the zone has no space for them, or there is no zone
 */
ngx_trove_metrics_set_t *ngx_http_trove_metrics_shm_spool(void);

/*
 * Returns the gauges of the spool, as those of a target, likewise.  They belong
 * to the configuration.
 *
 * NULL  there is no zone
 */
ngx_http_trove_metrics_target_t *ngx_http_trove_metrics_shm_gauges(void);

/* Releases the gauges and the sets that this process holds. */
void ngx_http_trove_metrics_shm_release(ngx_shm_zone_t *shm_zone);


#endif /* _NGX_HTTP_TROVE_METRICS_SHM_H_INCLUDED_ */
