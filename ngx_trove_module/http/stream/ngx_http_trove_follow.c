
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_compat.h"
#include "ngx_http_trove_follow.h"
#include "ngx_http_trove_follow_job.h"
#include "ngx_http_trove_follow_next.h"
#include "ngx_http_trove_metrics_spool.h"
#include "ngx_http_trove_spool_pool.h"
#include "ngx_http_trove_spool_writer.h"
#include "ngx_http_trove_stream_ring.h"
#include "ngx_http_trove_timer.h"
#include "ngx_trove_time.h"


/* readers of a worker, and at most half of its connections */
#define NGX_HTTP_TROVE_FOLLOW_READERS  1024

/* time between two rounds, milliseconds: usually, and at least */
#define NGX_HTTP_TROVE_FOLLOW_TICK     100
#define NGX_HTTP_TROVE_FOLLOW_SOON     10

/* what a round reads, less than fits in the ring: events, and bytes */
#define NGX_HTTP_TROVE_FOLLOW_ROUND       256
#define NGX_HTTP_TROVE_FOLLOW_ROUND_BYTES (1024 * 1024)

/* bytes of events that readers may hold, apart from those in the ring */
#define NGX_HTTP_TROVE_FOLLOW_HELD     (32 * 1024 * 1024)


typedef struct {
    ngx_thread_pool_t              *pool;      /* NULL: no threads */
    ngx_thread_task_t              *task;

    ngx_queue_t                     starting;  /* for the next round */
    ngx_queue_t                     round;     /* for that being read */
    ngx_queue_t                     readers;
    ngx_queue_t                     turns;
    ngx_uint_t                      n;         /* in the first three */

    ngx_http_trove_stream_ring_t    ring;
    ngx_trove_spool_filter_t        all;       /* no filter */

    ngx_event_t                     timer;
    ngx_event_t                     event;     /* posted by wake() */
    ngx_msec_t                      begun;     /* the last round */

    unsigned                        active:1;  /* the ring has a head */
    unsigned                        busy:1;    /* the thread, or its results */
    unsigned                        wanted:1;  /* a round */
    unsigned                        turn:1;    /* the last job was a turn */
    unsigned                        soon:1;    /* the timer is due earlier */
    unsigned                        failed:1;  /* since the last tick */
} ngx_http_trove_follower_t;


static void ngx_http_trove_follow_tick(ngx_event_t *ev);
static void ngx_http_trove_follow_woken(ngx_event_t *ev);
static void ngx_http_trove_follow_run(void);
static void ngx_http_trove_follow_round(ngx_http_trove_follow_job_t *job);
static void ngx_http_trove_follow_turn(ngx_http_trove_follow_job_t *job);
static void ngx_http_trove_follow_done(ngx_event_t *ev);
static void ngx_http_trove_follow_round_done(ngx_http_trove_follow_job_t *job);
static void ngx_http_trove_follow_turn_done(ngx_http_trove_follow_job_t *job);
static void ngx_http_trove_follow_relieve(void);
static void ngx_http_trove_follow_each(ngx_queue_t *queue,
    void (*handler)(ngx_http_trove_follow_t *follow, void *data), void *data);
static void ngx_http_trove_follow_start(ngx_http_trove_follow_t *follow,
    void *data);
static void ngx_http_trove_follow_ready(ngx_http_trove_follow_t *follow,
    void *data);
static void ngx_http_trove_follow_end(ngx_http_trove_follow_t *follow,
    void *data);


/* of this process */
static ngx_http_trove_follower_t  ngx_http_trove_follower;


ngx_int_t
ngx_http_trove_follow_init(ngx_cycle_t *cycle)
{
    ngx_http_trove_follower_t  *f;

    f = &ngx_http_trove_follower;

    ngx_memzero(f, sizeof(ngx_http_trove_follower_t));

    ngx_queue_init(&f->starting);
    ngx_queue_init(&f->round);
    ngx_queue_init(&f->readers);
    ngx_queue_init(&f->turns);

    if (ngx_http_trove_threads()) {
        f->pool = ngx_http_trove_pool_get(cycle, NGX_HTTP_TROVE_POOL_STREAM);
    }

    if (f->pool == NULL) {
        return NGX_OK;
    }

    f->task = ngx_thread_task_alloc(cycle->pool,
                                    sizeof(ngx_http_trove_follow_job_t));
    if (f->task == NULL) {
        return NGX_ERROR;
    }

    f->task->handler = ngx_http_trove_follow_job_thread;
    ngx_http_trove_timer_init(&f->task->event, ngx_http_trove_follow_done,
                              cycle->log, 0);

    /* an exiting worker waits for the timer, which ends the streams then */

    ngx_http_trove_timer_init(&f->timer, ngx_http_trove_follow_tick,
                              cycle->log, 0);
    ngx_http_trove_timer_init(&f->event, ngx_http_trove_follow_woken,
                              cycle->log, 0);

    return NGX_OK;
}


ngx_int_t
ngx_http_trove_follow_add(ngx_http_trove_follow_t *follow)
{
    ngx_http_trove_follower_t  *f;

    f = &ngx_http_trove_follower;

    if (f->pool == NULL || ngx_http_trove_writer_spool() == NULL) {
        return NGX_DECLINED;
    }

    if (f->n >= NGX_HTTP_TROVE_FOLLOW_READERS
        || f->n >= ngx_cycle->connection_n / 2)
    {
        return NGX_BUSY;
    }

    ngx_queue_insert_tail(&f->starting, &follow->queue);
    f->n++;

    if (!f->timer.timer_set) {
        ngx_add_timer(&f->timer, NGX_HTTP_TROVE_FOLLOW_TICK);
    }

    ngx_http_trove_follow_run();

    return NGX_OK;
}


void
ngx_http_trove_follow_remove(ngx_http_trove_follow_t *follow)
{
    ngx_http_trove_follower_t    *f;
    ngx_http_trove_follow_job_t  *job;

    f = &ngx_http_trove_follower;
    job = f->task->ctx;

    ngx_queue_remove(&follow->queue);
    f->n--;

    if (follow->waiting) {
        ngx_queue_remove(&follow->turn);
        follow->waiting = 0;
    }

    ngx_http_trove_stream_event_free_list(follow->page);
    follow->page = NULL;

    if (f->n == 0) {

        /* an exiting worker must not leave while the thread is at work */

        if (f->timer.timer_set && !f->busy) {
            ngx_del_timer(&f->timer);
        }

        if (f->event.posted) {
            ngx_delete_posted_event(&f->event);
        }

        ngx_http_trove_stream_ring_reset(&f->ring, 0);

        f->active = 0;
        f->wanted = 0;
        f->soon = 0;
        f->failed = 0;
    }

    follow->removed = 1;

    if (!f->busy || job->follow != follow) {
        follow->free(follow);
    }
}


ngx_uint_t
ngx_http_trove_follow_next(ngx_http_trove_follow_t *follow,
    ngx_http_trove_stream_event_t **events)
{
    ngx_uint_t                  n;
    ngx_http_trove_follower_t  *f;

    f = &ngx_http_trove_follower;

    n = ngx_http_trove_follow_page(follow, events);

    if (n) {
        return n;
    }

    if (!follow->seek && follow->position >= f->ring.from) {
        return ngx_http_trove_follow_ring(follow, &f->ring, events);
    }

    if (!follow->waiting && !follow->reading) {
        ngx_queue_insert_tail(&f->turns, &follow->turn);
        follow->waiting = 1;

        ngx_http_trove_follow_run();
    }

    return 0;
}


void
ngx_http_trove_follow_wake(void)
{
    ngx_msec_int_t              left;
    ngx_http_trove_follower_t  *f;

    f = &ngx_http_trove_follower;

    if (f->n == 0 || f->wanted || f->soon) {
        return;
    }

    left = (ngx_msec_int_t) (f->begun + NGX_HTTP_TROVE_FOLLOW_SOON
                             - ngx_current_msec);

    if (left <= 0) {
        f->wanted = 1;
        ngx_post_event(&f->event, &ngx_posted_events);
        return;
    }

    /* many events are accepted: read them together */

    f->soon = 1;

    if (f->timer.timer_set) {
        ngx_del_timer(&f->timer);
    }

    ngx_add_timer(&f->timer, ngx_min(left, NGX_HTTP_TROVE_FOLLOW_SOON));
}


static void
ngx_http_trove_follow_woken(ngx_event_t *ev)
{
    ngx_http_trove_follow_run();
}


static void
ngx_http_trove_follow_tick(ngx_event_t *ev)
{
    ngx_http_trove_follower_t  *f;

    f = &ngx_http_trove_follower;

    f->soon = 0;

    if (ngx_exiting) {
        ngx_http_trove_follow_each(&f->readers, ngx_http_trove_follow_end,
                                   NULL);
    }

    if (f->n == 0 && !f->busy) {
        return;
    }

    f->failed = 0;
    f->wanted = (f->n != 0);

    ngx_http_trove_follow_run();

    if ((f->n || f->busy) && !ev->timer_set) {
        ngx_add_timer(ev, NGX_HTTP_TROVE_FOLLOW_TICK);
    }
}


/* starts the next job, unless there is one */

static void
ngx_http_trove_follow_run(void)
{
    ngx_uint_t                    round, turn;
    ngx_http_trove_follower_t    *f;
    ngx_http_trove_follow_job_t  *job;

    f = &ngx_http_trove_follower;

    if (f->busy || f->failed) {
        return;
    }

    round = (f->wanted && !ngx_queue_empty(&f->readers))
            || !ngx_queue_empty(&f->starting);
    turn = !ngx_queue_empty(&f->turns);

    if (!round && !turn) {
        return;
    }

    job = f->task->ctx;

    ngx_memzero(job, sizeof(ngx_http_trove_follow_job_t));

    job->spool = ngx_http_trove_writer_spool();

    if (round && (f->turn || !turn)) {
        ngx_http_trove_follow_round(job);

    } else {
        ngx_http_trove_follow_turn(job);
    }

    ngx_http_trove_metrics_spool_add(NGX_HTTP_TROVE_SPOOL_STREAM_READS, 1);

    f->busy = 1;

    if (ngx_thread_task_post(f->pool, f->task) != NGX_OK) {

        job->rc = NGX_ERROR;
        job->error.kind = NGX_TROVE_SPOOL_BUSY;
        (void) ngx_cpystrn(job->error.text,
                           (u_char *) "the task cannot be queued",
                           NGX_TROVE_SPOOL_TEXT_LEN);

        f->task->event.complete = 1;
        f->task->event.active = 1;
        ngx_post_event(&f->task->event, &ngx_posted_events);
    }
}


static void
ngx_http_trove_follow_round(ngx_http_trove_follow_job_t *job)
{
    ngx_http_trove_follower_t  *f;

    f = &ngx_http_trove_follower;

    job->filter = &f->all;
    job->after = f->active ? f->ring.head : -1;
    job->limit = NGX_HTTP_TROVE_FOLLOW_ROUND;
    job->bytes = NGX_HTTP_TROVE_FOLLOW_ROUND_BYTES;

    if (!ngx_queue_empty(&f->starting)) {
        ngx_queue_add(&f->round, &f->starting);
        ngx_queue_init(&f->starting);
    }

    f->wanted = 0;
    f->turn = 0;
    f->begun = ngx_current_msec;
}


static void
ngx_http_trove_follow_turn(ngx_http_trove_follow_job_t *job)
{
    ngx_time_t                 *tp;
    ngx_queue_t                *q;
    ngx_http_trove_follow_t    *follow;
    ngx_http_trove_follower_t  *f;

    f = &ngx_http_trove_follower;

    q = ngx_queue_head(&f->turns);
    ngx_queue_remove(q);

    follow = ngx_queue_data(q, ngx_http_trove_follow_t, turn);
    follow->waiting = 0;
    follow->reading = 1;

    job->follow = follow;
    job->filter = &follow->filter;
    job->after = follow->position;
    job->limit = NGX_HTTP_TROVE_FOLLOW_MAX;
    job->bytes = NGX_HTTP_TROVE_FOLLOW_BYTES;

    if (follow->seek) {

        /* a time in the future says nothing about the time of receipt */

        tp = ngx_timeofday();

        job->seek = 1;
        job->received = follow->since / NGX_TROVE_TIME_MSEC;

        if (job->received > (int64_t) tp->sec * 1000 + (int64_t) tp->msec
                            + NGX_TROVE_SPOOL_SKEW)
        {
            job->received = 0;
        }

        job->received -= NGX_TROVE_SPOOL_SKEW;
    }

    f->turn = 1;
}


static void
ngx_http_trove_follow_done(ngx_event_t *ev)
{
    ngx_http_trove_follow_t      *follow;
    ngx_http_trove_follower_t    *f;
    ngx_http_trove_follow_job_t  *job;

    f = &ngx_http_trove_follower;
    job = f->task->ctx;

    ev->complete = 0;
    ev->active = 0;

    ngx_http_trove_follow_job_log(job);

    f->failed = (job->rc != NGX_OK && f->n);

    /* it stays busy until the results have been used */

    follow = job->follow;

    if (follow) {
        ngx_http_trove_follow_turn_done(job);

    } else {
        ngx_http_trove_follow_round_done(job);
    }

    ngx_http_trove_stream_event_free_list(job->events);
    job->events = NULL;

    f->busy = 0;

    if (follow && follow->removed) {
        follow->free(follow);
    }

    ngx_http_trove_follow_relieve();
    ngx_http_trove_follow_run();
}


static void
ngx_http_trove_follow_round_done(ngx_http_trove_follow_job_t *job)
{
    ngx_http_trove_follower_t      *f;
    ngx_http_trove_stream_event_t  *event;

    f = &ngx_http_trove_follower;

    if (job->rc != NGX_OK) {
        ngx_http_trove_follow_each(&f->round, ngx_http_trove_follow_start, job);
        return;
    }

    if (f->n == 0) {
        return;
    }

    /* the first round, or the file has been replaced */

    if (!f->active || job->next < f->ring.head) {
        ngx_http_trove_stream_ring_reset(&f->ring, job->next);
        ngx_http_trove_stream_event_free_list(job->events);

        job->events = NULL;
        f->active = 1;
    }

    while (job->events) {
        event = job->events;
        job->events = event->next;
        event->next = NULL;

        ngx_http_trove_stream_ring_add(&f->ring, event);
    }

    f->ring.head = job->next;

    if (job->next < job->last) {
        f->wanted = 1;
    }

    ngx_http_trove_follow_each(&f->readers, ngx_http_trove_follow_ready,
                               &job->last);
    ngx_http_trove_follow_each(&f->round, ngx_http_trove_follow_start, job);
}


static void
ngx_http_trove_follow_turn_done(ngx_http_trove_follow_job_t *job)
{
    ngx_http_trove_follow_t        *follow;
    ngx_http_trove_follower_t      *f;
    ngx_http_trove_stream_event_t  *event;

    f = &ngx_http_trove_follower;
    follow = job->follow;

    follow->reading = 0;

    if (follow->removed) {
        return;
    }

    if (job->rc != NGX_OK) {

        /* once more, at the end of the queue, after the next tick */

        ngx_queue_insert_tail(&f->turns, &follow->turn);
        follow->waiting = 1;

        return;
    }

    for (event = job->events; event; event = event->next) {
        ngx_http_trove_stream_event_hold(event);
    }

    follow->page = job->events;
    job->events = NULL;

    follow->position = job->next;
    follow->seek = 0;

    if (job->last < f->ring.head) {
        f->wanted = 1;
    }

    follow->ready(follow);
}


/* a slow reader must need neither the memory nor the time of others */

static void
ngx_http_trove_follow_relieve(void)
{
    size_t                    held;
    ngx_queue_t              *q, *readers;
    ngx_http_trove_follow_t  *follow, *oldest;

    readers = &ngx_http_trove_follower.readers;
    held = ngx_http_trove_stream_event_held();

    while (held > NGX_HTTP_TROVE_FOLLOW_HELD) {

        oldest = NULL;

        for (q = ngx_queue_head(readers);
             q != ngx_queue_sentinel(readers);
             q = ngx_queue_next(q))
        {
            follow = ngx_queue_data(q, ngx_http_trove_follow_t, queue);

            if (oldest
                && (ngx_msec_int_t) (follow->progress - oldest->progress) >= 0)
            {
                continue;
            }

            if (follow->blocked && (follow->page || follow->holds(follow))) {
                oldest = follow;
            }
        }

        if (oldest == NULL) {
            return;
        }

        oldest->drop(oldest);

        /* nginx may free a request later: do not drop all of them meanwhile */

        if (ngx_http_trove_stream_event_held() == held) {
            return;
        }

        held = ngx_http_trove_stream_event_held();
    }
}


/*
 * Calls a handler for each element of a queue, which is then one of the
 * readers.  The handler may remove it, and others.
 */

static void
ngx_http_trove_follow_each(ngx_queue_t *queue,
    void (*handler)(ngx_http_trove_follow_t *follow, void *data), void *data)
{
    ngx_queue_t  *q, todo;

    ngx_queue_init(&todo);

    if (!ngx_queue_empty(queue)) {
        ngx_queue_add(&todo, queue);
        ngx_queue_init(queue);
    }

    while (!ngx_queue_empty(&todo)) {
        q = ngx_queue_head(&todo);

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&ngx_http_trove_follower.readers, q);

        handler(ngx_queue_data(q, ngx_http_trove_follow_t, queue), data);
    }
}


static void
ngx_http_trove_follow_start(ngx_http_trove_follow_t *follow, void *data)
{
    ngx_http_trove_follow_job_t *job = data;

    follow->backlog = job->last;

    if (follow->position == -1 || follow->position > job->last) {
        follow->position = job->last;
    }

    follow->started(follow, (job->rc == NGX_OK) ? NULL : &job->error);
}


static void
ngx_http_trove_follow_ready(ngx_http_trove_follow_t *follow, void *data)
{
    int64_t *last = data;

    /* unless the file has been replaced, it is not above the newest event */

    follow->position = ngx_min(follow->position, *last);

    follow->ready(follow);
}


static void
ngx_http_trove_follow_end(ngx_http_trove_follow_t *follow, void *data)
{
    follow->end(follow);
}
