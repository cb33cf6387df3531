
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_delivery.h"
#include "ngx_http_trove_health_log.h"
#include "ngx_http_trove_spool_disabled.h"
#include "ngx_http_trove_spool_job.h"
#include "ngx_http_trove_spool_queue.h"
#include "ngx_http_trove_spool_writer.h"
#include "ngx_http_trove_timer.h"


/* age of a lease to renew, milliseconds */
#define NGX_HTTP_TROVE_JOB_RENEW      10000

/* delay before a failed write is repeated, milliseconds */
#define NGX_HTTP_TROVE_JOB_AGAIN      1000

/* maximum number of unwritten outcomes whose capacity is reused */
#define NGX_HTTP_TROVE_JOB_UNWRITTEN  4096

/* the size of the pool of a job */
#define NGX_HTTP_TROVE_JOB_POOL       4096

/* "Gone": the target refuses further attempts */
#define NGX_HTTP_TROVE_JOB_GONE       410


/* an attempt of one of the deliveries of a job */
typedef struct {
    ngx_http_trove_delivery_t      delivery;
    ngx_http_trove_job_t          *job;
    ngx_uint_t                     index;      /* of the target */
    ngx_http_trove_queue_target_t *target;     /* valid until unreserved */
    ngx_trove_spool_ref_t          ref;
    ngx_uint_t                     nth;        /* 1 .. in its window */
    int64_t                        age;        /* of the window at the lease */
    int64_t                        started;    /* wall clock, milliseconds */

    ngx_http_trove_ready_t         ready;      /* in the queue */
    ngx_queue_t                    worker;     /* in ngx_http_trove_jobs */
    ngx_msec_t                     leased;     /* or renewed */

    ngx_http_trove_write_t         outcome;
    ngx_event_t                    again;
    unsigned                       begun:1;
    unsigned                       unreserved:1;
    unsigned                       ended:1;    /* outcome is known */
} ngx_http_trove_attempt_t;


/*
 * An event and its deliveries that are processed together.  They share the
 * event, and nothing else.
 */
struct ngx_http_trove_job_s {
    ngx_pool_t                    *pool;       /* of the job */
    ngx_http_trove_origin_t        origin;
    ngx_http_trove_route_t        *route;
    ngx_trove_spool_event_t       *event;      /* leased, or NULL */
    ngx_trove_spool_event_t       *copy;       /* or a copy, or NULL */
    size_t                         bytes;
    ngx_uint_t                     nattempts;
    ngx_uint_t                     pending;    /* outcome not written */
    ngx_http_trove_attempt_t       attempts[1];
};


/* leases being renewed */
typedef struct {
    ngx_http_trove_write_t            write;
    ngx_trove_spool_ref_t            *refs;
    ngx_trove_spool_result_e         *results;
} ngx_http_trove_renewal_t;


static void ngx_http_trove_job_released(ngx_http_trove_origin_t *origin);
static void ngx_http_trove_job_free(ngx_http_trove_job_t *job);
static void ngx_http_trove_job_ready(ngx_http_trove_ready_t *ready,
    ngx_uint_t release);
static void ngx_http_trove_job_begin(ngx_http_trove_attempt_t *attempt);
static void ngx_http_trove_job_done(ngx_http_trove_delivery_t *d);
static void ngx_http_trove_job_verdict(ngx_http_trove_attempt_t *attempt,
    ngx_trove_spool_outcome_t *outcome);
static void ngx_http_trove_job_written(ngx_http_trove_write_t *write);
static void ngx_http_trove_job_again(ngx_event_t *ev);
static void ngx_http_trove_job_freed(ngx_http_trove_write_t *write);
static void ngx_http_trove_job_renew(ngx_event_t *ev);
static ngx_uint_t ngx_http_trove_job_expires(ngx_http_trove_attempt_t *attempt);
static void ngx_http_trove_job_renewed(ngx_http_trove_write_t *write);


/* of this process */
static ngx_queue_t       ngx_http_trove_jobs;        /* attempts */
static ngx_uint_t        ngx_http_trove_job_unwritten;
static ngx_event_t       ngx_http_trove_job_timer;


void
ngx_http_trove_job_init(ngx_cycle_t *cycle)
{
    ngx_queue_init(&ngx_http_trove_jobs);
    ngx_http_trove_job_unwritten = 0;

    ngx_http_trove_timer_init(&ngx_http_trove_job_timer,
                              ngx_http_trove_job_renew, cycle->log, 1);

    ngx_add_timer(&ngx_http_trove_job_timer, NGX_HTTP_TROVE_JOB_RENEW / 2);
}


ngx_http_trove_job_t *
ngx_http_trove_job_create(ngx_http_trove_route_t *route,
    ngx_trove_spool_event_t *event, ngx_uint_t n)
{
    ngx_pool_t            *pool;
    ngx_http_trove_job_t  *job;

    pool = ngx_create_pool(NGX_HTTP_TROVE_JOB_POOL, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    job = ngx_pcalloc(pool, sizeof(ngx_http_trove_job_t)
                            + n * sizeof(ngx_http_trove_attempt_t));
    if (job == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    job->pool = pool;
    job->route = route;
    job->bytes = event->body.len;

    job->origin.event = event;
    job->origin.cscf = route->cscf;
    job->origin.loc_conf = route->loc_conf;
    job->origin.pool = pool;
    job->origin.released = ngx_http_trove_job_released;
    job->origin.data = job;

    ngx_http_trove_queue_memory(job->bytes);

    return job;
}


void
ngx_http_trove_job_own(ngx_http_trove_job_t *job,
    ngx_trove_spool_event_t *event, ngx_trove_spool_event_t *copy)
{
    job->event = event;
    job->copy = copy;
}


/* a detached subrequest of a script may be the last one to use the event */

static void
ngx_http_trove_job_released(ngx_http_trove_origin_t *origin)
{
    ngx_http_trove_job_t  *job;

    job = origin->data;

    if (job->pending == 0) {
        ngx_http_trove_job_free(job);
    }
}


static void
ngx_http_trove_job_free(ngx_http_trove_job_t *job)
{
    ngx_uint_t  i;

    ngx_http_trove_queue_memory(-(ssize_t) job->bytes);

    for (i = 0; i < job->nattempts; i++) {
        ngx_http_trove_target_unref(job->attempts[i].delivery.target);
        ngx_trove_spool_subscriber_free(job->attempts[i].delivery.subscriber);
    }

    if (job->event) {
        for (i = 0; i < job->nattempts; i++) {
            ngx_trove_spool_event_free(job->event);
        }
    }

    if (job->copy) {
        ngx_free(job->copy);
    }

    ngx_destroy_pool(job->pool);
}


ngx_int_t
ngx_http_trove_job_add(ngx_http_trove_job_t *job, ngx_uint_t index,
    ngx_http_trove_queue_target_t *t, ngx_trove_spool_subscriber_t *subscriber,
    ngx_trove_spool_ref_t *ref, ngx_uint_t number, ngx_uint_t nth,
    int64_t age)
{
    ngx_http_trove_target_t   *target, **targets;
    ngx_http_trove_attempt_t  *attempt;

    targets = job->route->targets->elts;
    target = targets[index];

    if (subscriber) {
        target = ngx_http_trove_target_alias(target, &subscriber->id,
                                             ngx_cycle->log);
        if (target == NULL) {
            return NGX_ERROR;
        }

    } else {
        ngx_http_trove_target_ref(target);
    }

    attempt = &job->attempts[job->nattempts++];

    attempt->job = job;
    attempt->index = index;
    attempt->target = t;
    attempt->ref = *ref;
    attempt->nth = nth;
    attempt->age = age;
    attempt->leased = ngx_current_msec;

    attempt->ready.handler = ngx_http_trove_job_ready;
    attempt->ready.confirm.ref = &attempt->ref;

    attempt->delivery.origin = &job->origin;
    attempt->delivery.log = ngx_cycle->log;
    attempt->delivery.target = target;
    attempt->delivery.subscriber = subscriber;
    attempt->delivery.attempt = number;
    attempt->delivery.handler = ngx_http_trove_job_done;
    attempt->delivery.data = attempt;
    attempt->delivery.keep = job->route->retries[index]->response;

    ngx_queue_insert_tail(&ngx_http_trove_jobs, &attempt->worker);

    return NGX_OK;
}


void
ngx_http_trove_job_start(ngx_http_trove_job_t *job)
{
    ngx_uint_t                 i;
    ngx_http_trove_attempt_t  *attempt;

    /* an attempt may end, and its outcome be written, before the loop ends */

    job->pending = job->nattempts + 1;

    for (i = 0; i < job->nattempts; i++) {
        attempt = &job->attempts[i];

        if (ngx_http_trove_queue_enter(attempt->target,
                                       attempt->delivery.attempt > 1,
                                       &attempt->ready))
        {
            ngx_http_trove_job_begin(attempt);
        }
    }

    if (--job->pending == 0 && job->origin.fakes == 0) {
        ngx_http_trove_job_free(job);
    }
}


static void
ngx_http_trove_job_ready(ngx_http_trove_ready_t *ready, ngx_uint_t release)
{
    ngx_http_trove_attempt_t  *attempt;

    attempt = (ngx_http_trove_attempt_t *)
               ((u_char *) ready - offsetof(ngx_http_trove_attempt_t, ready));

    if (release) {

        /* as if it could not be sent */

        ngx_http_trove_job_done(&attempt->delivery);
        return;
    }

    ngx_http_trove_job_begin(attempt);
}


/*
 * The only place where an attempt begins: at once, or when the target has the
 * capacity for it.  Then the request of the attempt is made, and not before.
 */

static void
ngx_http_trove_job_begin(ngx_http_trove_attempt_t *attempt)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    attempt->begun = 1;
    attempt->started = (int64_t) tp->sec * 1000 + tp->msec;

    ngx_http_trove_delivery_start(&attempt->delivery);
}


static void
ngx_http_trove_job_done(ngx_http_trove_delivery_t *d)
{
    ngx_http_trove_attempt_t   *attempt;
    ngx_trove_spool_outcome_t  *outcome;

    attempt = d->data;
    outcome = &attempt->outcome.op.u.outcome;

    attempt->outcome.handler = ngx_http_trove_job_written;
    attempt->outcome.data = attempt;
    attempt->outcome.op.type = NGX_TROVE_SPOOL_OP_OUTCOME;

    outcome->ref = attempt->ref;
    outcome->started = attempt->started;
    outcome->took = d->duration;
    outcome->status = d->status;
    outcome->answered = d->answered;

    if (d->error) {
        outcome->reason.len = ngx_strlen(d->error);
        outcome->reason.data = (u_char *) d->error;
    }

    outcome->response = d->response;

    ngx_http_trove_job_verdict(attempt, outcome);

    if (attempt->begun) {
        ngx_http_trove_queue_leave(attempt->target);
    }

    attempt->ended = 1;

    /* the capacity is reused before the outcome is written, up to a limit */

    if (ngx_http_trove_job_unwritten++ < NGX_HTTP_TROVE_JOB_UNWRITTEN) {
        attempt->unreserved = 1;
        ngx_http_trove_queue_unreserve(attempt->target, d->attempt > 1);
    }

    ngx_http_trove_writer_post(&attempt->outcome);
}


static void
ngx_http_trove_job_verdict(ngx_http_trove_attempt_t *attempt,
    ngx_trove_spool_outcome_t *outcome)
{
    char                       *action;
    ngx_log_t                  *log;
    ngx_str_t                  *id;
    ngx_uint_t                  gone, level, failed;
    ngx_http_trove_retry_t     *retry;
    ngx_http_trove_delivery_t  *d;

    d = &attempt->delivery;
    id = &d->origin->event->id;

    /* a subscription has its health in the spool */

    if (d->sent && d->subscriber == NULL) {
        ngx_http_trove_health_target(d, id);
    }

    if (ngx_http_trove_delivery_succeeded(d)) {
        outcome->verdict = NGX_TROVE_SPOOL_TO_DELIVERED;
        return;
    }

    if (!d->sent) {
        outcome->verdict = NGX_TROVE_SPOOL_RELEASED;
        outcome->delay = attempt->begun ? NGX_HTTP_TROVE_JOB_AGAIN : 0;
        return;
    }

    log = d->log;
    retry = attempt->job->route->retries[attempt->index];
    gone = (d->status == NGX_HTTP_TROVE_JOB_GONE && d->error == NULL);

    if (d->subscriber) {
        outcome->gone = gone;
        outcome->disable_after = d->target->disable_after;
        outcome->notice = ngx_http_trove_spool_disabled(attempt->job->route,
                                                        d->subscriber, gone,
                                                        attempt->job->pool);
    }

    /*
     * A delivery is not given up until it has been tried after the window, no
     * matter how long the target or this server has been down.
     */

    if (gone || attempt->age > retry->window) {
        outcome->verdict = NGX_TROVE_SPOOL_TO_FAILED;

        action = ngx_http_trove_health_action(log);

        /* the operator cannot mend the URL of somebody else */

        failed = d->subscriber ? NGX_LOG_NOTICE : NGX_LOG_ERR;

        ngx_log_error(failed, log, 0,
                      "trove: delivery of event \"%V\" to target \"%V\" "
                      "failed: %ui%s%s, giving up after attempt %ui; it can be "
                      "replayed",
                      id, &d->target->name, d->status,
                      d->error ? " " : "", d->error ? d->error : "",
                      d->attempt);

        log->action = action;
        return;
    }

    outcome->verdict = NGX_TROVE_SPOOL_TO_RETRY;
    outcome->delay = ngx_http_trove_retry_delay(retry, attempt->nth,
                                                &d->retry_after);

    action = ngx_http_trove_health_action(log);

    level = d->subscriber ? NGX_LOG_INFO : NGX_LOG_WARN;

    ngx_log_error(level, log, 0,
                  "trove: delivery of event \"%V\" to target \"%V\" failed: "
                  "%ui%s%s, attempt %ui, next attempt in %L ms",
                  id, &d->target->name, d->status,
                  d->error ? " " : "", d->error ? d->error : "",
                  d->attempt, outcome->delay);

    log->action = action;
}


static void
ngx_http_trove_job_written(ngx_http_trove_write_t *write)
{
    ngx_http_trove_job_t      *job;
    ngx_http_trove_attempt_t  *attempt;

    attempt = write->data;
    job = attempt->job;

    if (write->op.result == NGX_TROVE_SPOOL_ROLLED_BACK) {

        /*
         * The spool does not work at present.  If the worker exits in the
         * meantime, another worker finds the expired lease, and the event is
         * delivered twice.
         */

        ngx_http_trove_timer_init(&attempt->again, ngx_http_trove_job_again,
                                  ngx_cycle->log, 1);

        ngx_add_timer(&attempt->again, NGX_HTTP_TROVE_JOB_AGAIN);
        return;
    }

    if (write->op.u.outcome.verdict == NGX_TROVE_SPOOL_TO_RETRY) {
        ngx_http_trove_queue_due(write->op.u.outcome.delay);
    }

    if (write->op.u.outcome.disabled) {
        ngx_http_trove_spool_disabled_log(attempt->delivery.subscriber,
                                          write->op.u.outcome.gone);
        ngx_http_trove_queue_wake();

    } else if (attempt->delivery.subscriber
               && attempt->delivery.subscriber->failures)
    {
        /* what has been held back may be due */

        ngx_http_trove_queue_wake();
    }

    if (write->op.u.outcome.verdict == NGX_TROVE_SPOOL_TO_FAILED
        && write->op.result == NGX_TROVE_SPOOL_DONE)
    {
        ngx_http_trove_target_failed(attempt->delivery.target);
    }

    ngx_queue_remove(&attempt->worker);
    ngx_http_trove_job_unwritten--;

    if (!attempt->unreserved) {
        ngx_http_trove_queue_unreserve(attempt->target,
                                       attempt->delivery.attempt > 1);
    }

    if (--job->pending == 0 && job->origin.fakes == 0) {
        ngx_http_trove_job_free(job);
    }
}


static void
ngx_http_trove_job_again(ngx_event_t *ev)
{
    ngx_http_trove_attempt_t  *attempt;

    attempt = (ngx_http_trove_attempt_t *)
               ((u_char *) ev - offsetof(ngx_http_trove_attempt_t, again));

    ngx_http_trove_writer_post(&attempt->outcome);
}


/* releases a delivery that could not be started because of lack of memory */

void
ngx_http_trove_job_release(ngx_http_trove_queue_target_t *t,
    ngx_trove_spool_ref_t *ref, ngx_uint_t retry)
{
    ngx_http_trove_write_t  *write;

    if (t) {
        ngx_http_trove_queue_unreserve(t, retry);
    }

    write = ngx_calloc(sizeof(ngx_http_trove_write_t), ngx_cycle->log);

    if (write == NULL) {

        /* its lease will expire */

        return;
    }

    write->handler = ngx_http_trove_job_freed;
    write->op.type = NGX_TROVE_SPOOL_OP_OUTCOME;
    write->op.u.outcome.ref = *ref;
    write->op.u.outcome.verdict = NGX_TROVE_SPOOL_RELEASED;
    write->op.u.outcome.delay = NGX_HTTP_TROVE_JOB_AGAIN;

    ngx_http_trove_writer_post(write);
}


static void
ngx_http_trove_job_freed(ngx_http_trove_write_t *write)
{
    ngx_free(write);
}


static void
ngx_http_trove_job_renew(ngx_event_t *ev)
{
    ngx_uint_t                 n;
    ngx_queue_t               *q;
    ngx_http_trove_attempt_t  *attempt;
    ngx_http_trove_renewal_t  *renewal;

    /* an exiting worker also completes its running deliveries */

    ngx_add_timer(ev, NGX_HTTP_TROVE_JOB_RENEW / 2);

    n = 0;

    for (q = ngx_queue_head(&ngx_http_trove_jobs);
         q != ngx_queue_sentinel(&ngx_http_trove_jobs);
         q = ngx_queue_next(q))
    {
        attempt = ngx_queue_data(q, ngx_http_trove_attempt_t, worker);

        n += ngx_http_trove_job_expires(attempt);
    }

    if (n == 0) {
        return;
    }

    renewal = ngx_calloc(sizeof(ngx_http_trove_renewal_t)
                         + n * (sizeof(ngx_trove_spool_ref_t)
                                + sizeof(ngx_trove_spool_result_e)),
                         ev->log);
    if (renewal == NULL) {
        return;
    }

    renewal->refs = (ngx_trove_spool_ref_t *) (renewal + 1);
    renewal->results = (ngx_trove_spool_result_e *) (renewal->refs + n);

    n = 0;

    for (q = ngx_queue_head(&ngx_http_trove_jobs);
         q != ngx_queue_sentinel(&ngx_http_trove_jobs);
         q = ngx_queue_next(q))
    {
        attempt = ngx_queue_data(q, ngx_http_trove_attempt_t, worker);

        if (ngx_http_trove_job_expires(attempt)) {
            renewal->refs[n++] = attempt->ref;
            attempt->leased = ngx_current_msec;
        }
    }

    renewal->write.handler = ngx_http_trove_job_renewed;
    renewal->write.op.type = NGX_TROVE_SPOOL_OP_RENEW;
    renewal->write.op.u.renew.refs = renewal->refs;
    renewal->write.op.u.renew.nrefs = n;
    renewal->write.op.u.renew.lease = NGX_HTTP_TROVE_QUEUE_LEASE;
    renewal->write.op.u.renew.results = renewal->results;

    ngx_http_trove_writer_post(&renewal->write);
}


/* an outcome ends the lease, after which a renewal would find it lost */

static ngx_uint_t
ngx_http_trove_job_expires(ngx_http_trove_attempt_t *attempt)
{
    if (attempt->ended && !attempt->again.timer_set) {
        return 0;
    }

    return ngx_current_msec - attempt->leased >= NGX_HTTP_TROVE_JOB_RENEW;
}


/* a delivery without its lease may be repeated; its outcome is recorded */

static void
ngx_http_trove_job_renewed(ngx_http_trove_write_t *write)
{
    ngx_uint_t                i, lost;
    ngx_trove_spool_renew_t  *renew;

    renew = &write->op.u.renew;

    if (write->op.result == NGX_TROVE_SPOOL_DONE) {

        for (i = 0, lost = 0; i < renew->nrefs; i++) {
            lost += (renew->results[i] == NGX_TROVE_SPOOL_LOST);
        }

        if (lost) {
            ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                          "trove: the leases of %ui deliveries expired while "
                          "they were in progress, they may be made twice; "
                          "check if the worker or the disk was blocked", lost);
        }
    }

    ngx_free(write);
}
