
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SPOOL_JOB_H_INCLUDED_
#define _NGX_HTTP_TROVE_SPOOL_JOB_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_spool_route.h"
#include "ngx_trove_spool.h"


/*
 * An event out of the spool, on its way to one or more targets:
 *
 *   create --add, add, ..--> start --each one is DONE--> its outcome is written
 *                                           |                     |
 *                                           +--- not written -----+ tried again
 *
 * It is freed when all outcomes are written.  While a delivery takes long, its
 * lease is renewed.
 */

typedef struct ngx_http_trove_job_s  ngx_http_trove_job_t;


/* For a worker that comes. */
void ngx_http_trove_job_init(ngx_cycle_t *cycle);

/*
 * Makes a job of an event with n deliveries to targets of a route.
 *
 * NULL  out of memory, or it is no event
 */
ngx_http_trove_job_t *ngx_http_trove_job_create(ngx_http_trove_route_t *route,
    ngx_trove_spool_event_t *event, ngx_uint_t n);

/*
 * Has the job free its event in the end: one that was leased, once for each
 * delivery, or a copy, by ngx_free().  One of them is NULL.
 */
void ngx_http_trove_job_own(ngx_http_trove_job_t *job,
    ngx_trove_spool_event_t *event, ngx_trove_spool_event_t *copy);

/*
 * Adds the attempt with that number (1 ..) of a delivery that is leased to us,
 * to the target number index.  It is the nth (1 ..) of the present window,
 * which had begun age milliseconds before the lease.  Capacity has been
 * reserved for it, and is given back in the end.
 */
void ngx_http_trove_job_add(ngx_http_trove_job_t *job, ngx_uint_t index,
    ngx_trove_spool_ref_t *ref, ngx_uint_t number, ngx_uint_t nth,
    int64_t age);

void ngx_http_trove_job_start(ngx_http_trove_job_t *job);

/*
 * Releases a delivery of which no job could be made, and its capacity.
 */
void ngx_http_trove_job_release(ngx_http_trove_route_t *route,
    ngx_trove_spool_ref_t *ref, ngx_uint_t index, ngx_uint_t retry);


#endif /* _NGX_HTTP_TROVE_SPOOL_JOB_H_INCLUDED_ */
