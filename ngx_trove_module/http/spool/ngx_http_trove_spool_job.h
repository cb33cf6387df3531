
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SPOOL_JOB_H_INCLUDED_
#define _NGX_HTTP_TROVE_SPOOL_JOB_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_spool_queue.h"
#include "ngx_http_trove_spool_route.h"
#include "ngx_trove_spool_subscription.h"


/*
 * An event from the spool and its deliveries to one or more targets:
 *
 *   create --add, add, ..--> start --each one is DONE--> outcome is written
 *                                           |                     |
 *                                           +--- not written -----+ repeated
 *
 * Each delivery has a request of its own, from the beginning of the attempt.
 * The job is freed after all outcomes have been written, and all requests have
 * been freed: a script may have started a subrequest that runs for longer than
 * the delivery.  The lease of each
 * delivery is renewed until its outcome is known, and also while a failed
 * write waits to be repeated.
 */

typedef struct ngx_http_trove_job_s  ngx_http_trove_job_t;


/* Called when a worker process starts. */
void ngx_http_trove_job_init(ngx_cycle_t *cycle);

/*
 * Creates a job for an event with n deliveries to targets of a route.  The
 * event must live as long as the job.
 *
 * NULL  out of memory
 */
ngx_http_trove_job_t *ngx_http_trove_job_create(ngx_http_trove_route_t *route,
    ngx_trove_spool_event_t *event, ngx_uint_t n);

/*
 * Transfers the ownership of the event to the job.  event is a leased event,
 * which is released once for each delivery.  copy is freed by ngx_free().  One
 * of them is NULL.
 */
void ngx_http_trove_job_own(ngx_http_trove_job_t *job,
    ngx_trove_spool_event_t *event, ngx_trove_spool_event_t *copy);

/*
 * Adds attempt "number" (from 1) of a delivery that is leased to this worker,
 * to the target with the given index.  It is the attempt number nth (from 1)
 * of the current window.  The window began age milliseconds before the lease.
 * Capacity of t must have been reserved; the job gives it back.  subscriber is
 * NULL, or the subscription, whose reference is owned by the job.
 *
 * NGX_OK
 * NGX_ERROR  out of memory: not added; impossible without a subscriber
 */
ngx_int_t ngx_http_trove_job_add(ngx_http_trove_job_t *job, ngx_uint_t index,
    ngx_http_trove_queue_target_t *t, ngx_trove_spool_subscriber_t *subscriber,
    ngx_trove_spool_ref_t *ref, ngx_uint_t number, ngx_uint_t nth,
    int64_t age);

/* Starts the deliveries that have been added.  The job frees itself later. */
void ngx_http_trove_job_start(ngx_http_trove_job_t *job);

/*
 * Releases a delivery that could not be added to a job, and the capacity of t,
 * unless that is NULL.  retry is 1 if it is a retry, 0 otherwise.
 */
void ngx_http_trove_job_release(ngx_http_trove_queue_target_t *t,
    ngx_trove_spool_ref_t *ref, ngx_uint_t retry);


#endif /* _NGX_HTTP_TROVE_SPOOL_JOB_H_INCLUDED_ */
