
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_spool_queue.h"
#include "ngx_http_trove_timer.h"


/* the minimum interval between requests for due deliveries, milliseconds */
#define NGX_HTTP_TROVE_QUEUE_POLL_MIN      5

/* the largest event that is started from memory, and the total of events */
#define NGX_HTTP_TROVE_QUEUE_BODY          65536
#define NGX_HTTP_TROVE_QUEUE_MEMORY        (64 * 1024 * 1024)

/* running to a target without max_inflight, if connections permit it */
#define NGX_HTTP_TROVE_QUEUE_CAPACITY      128
#define NGX_HTTP_TROVE_QUEUE_CAPACITY_MIN  4

/* additional deliveries in memory, for each target and for all */
#define NGX_HTTP_TROVE_QUEUE_READY         1024
#define NGX_HTTP_TROVE_QUEUE_READY_ALL     8192


/* a target in this worker */
typedef struct {
    ngx_uint_t                     capacity;
    ngx_uint_t                     running;

    /* waiting for capacity: first attempts and retries, which alternate */
    ngx_queue_t                    ready[2];
    ngx_uint_t                     turn;
    ngx_event_t                    start;      /* starts them */

    ngx_uint_t                     limit;
    ngx_uint_t                     limit_retries;
    ngx_uint_t                     held;       /* in memory, not done */
    ngx_uint_t                     retries;    /* of those held */
    ngx_queue_t                    busy;       /* if held != 0 */
    unsigned                       more:1;     /* waiting in the file */
} ngx_http_trove_queue_target_t;


typedef struct {
    ngx_http_trove_queue_target_t *targets;
    ngx_uint_t                     ntargets;
    size_t                         memory;     /* bytes of events */
    ngx_queue_t                    busy;       /* targets, held != 0 */

    /*
     * Timer set --poll--> asking --asked--> timer set, earlier if woken.  An
     * exiting worker does not set it.
     */
    ngx_event_t                    poll;
    unsigned                       asking:1;
    unsigned                       woken:1;    /* during asking */
} ngx_http_trove_queue_t;


static void ngx_http_trove_queue_hold(ngx_http_trove_queue_target_t *t);
static void ngx_http_trove_queue_start(ngx_event_t *ev);
static void ngx_http_trove_queue_run(ngx_http_trove_queue_target_t *t);
static void ngx_http_trove_queue_confirmed(ngx_http_trove_confirm_t *confirm,
    ngx_uint_t wanted);
static ngx_http_trove_queue_target_t *ngx_http_trove_queue_target(
    ngx_http_trove_route_t *route, ngx_uint_t index);


/* of this process */
static ngx_http_trove_queue_t  ngx_http_trove_queue;


ngx_int_t
ngx_http_trove_queue_init(ngx_cycle_t *cycle, ngx_array_t *routes,
    ngx_event_handler_pt poll)
{
    ngx_uint_t                       i, n, capacity, ready;
    ngx_http_trove_queue_t          *queue;
    ngx_http_trove_route_t         **route;
    ngx_http_trove_target_t        **target;
    ngx_http_trove_queue_target_t   *t;

    queue = &ngx_http_trove_queue;

    ngx_memzero(queue, sizeof(ngx_http_trove_queue_t));
    ngx_queue_init(&queue->busy);

    route = routes->elts;

    for (i = 0; i < routes->nelts; i++) {
        queue->ntargets += route[i]->targets->nelts;
    }

    n = queue->ntargets + 1;

    queue->targets = ngx_pcalloc(cycle->pool,
                                 n * sizeof(ngx_http_trove_queue_target_t));
    if (queue->targets == NULL) {
        return NGX_ERROR;
    }

    /* targets that do not respond must leave connections for the others */

    capacity = cycle->connection_n / 2 / n;
    capacity = ngx_min(capacity, NGX_HTTP_TROVE_QUEUE_CAPACITY);
    capacity = ngx_max(capacity, NGX_HTTP_TROVE_QUEUE_CAPACITY_MIN);

    ready = NGX_HTTP_TROVE_QUEUE_READY_ALL / n;
    ready = ngx_min(ready, NGX_HTTP_TROVE_QUEUE_READY);

    t = queue->targets;

    for (i = 0; i < routes->nelts; i++) {
        route[i]->first = t - queue->targets;
        target = route[i]->targets->elts;

        for (n = 0; n < route[i]->targets->nelts; n++, t++) {
            t->capacity = ngx_http_trove_target_max_inflight(target[n]);
            t->capacity = t->capacity ? t->capacity : capacity;
            t->limit = t->capacity + ready;

            /* first attempts must find capacity despite many retries */

            t->limit_retries = ngx_max(t->limit / 2, 1);

            ngx_queue_init(&t->ready[0]);
            ngx_queue_init(&t->ready[1]);

            ngx_http_trove_timer_init(&t->start, ngx_http_trove_queue_start,
                                      cycle->log, 0);
        }
    }

    ngx_http_trove_timer_init(&queue->poll, poll, cycle->log, 1);

    ngx_http_trove_confirm_init(cycle, ngx_http_trove_queue_confirmed);

    return NGX_OK;
}


static ngx_http_trove_queue_target_t *
ngx_http_trove_queue_target(ngx_http_trove_route_t *route, ngx_uint_t index)
{
    return &ngx_http_trove_queue.targets[route->first + index];
}


ngx_uint_t
ngx_http_trove_queue_reserve(ngx_http_trove_route_t *route, ngx_uint_t index,
    size_t bytes)
{
    ngx_http_trove_queue_target_t  *t;

    /* an exiting worker accepts no new deliveries */

    if (ngx_exiting || bytes > NGX_HTTP_TROVE_QUEUE_BODY
        || ngx_http_trove_queue.memory > NGX_HTTP_TROVE_QUEUE_MEMORY)
    {
        return 0;
    }

    t = ngx_http_trove_queue_target(route, index);

    /* retries do not reduce the capacity for first attempts */

    if (t->held - t->retries >= t->limit) {
        t->more = 1;
        return 0;
    }

    ngx_http_trove_queue_hold(t);

    return 1;
}


static void
ngx_http_trove_queue_hold(ngx_http_trove_queue_target_t *t)
{
    if (t->held++ == 0) {
        ngx_queue_insert_tail(&ngx_http_trove_queue.busy, &t->busy);
    }
}


void
ngx_http_trove_queue_add(ngx_http_trove_route_t *route, ngx_uint_t index,
    ngx_uint_t retry)
{
    ngx_http_trove_queue_target_t  *t;

    t = ngx_http_trove_queue_target(route, index);

    ngx_http_trove_queue_hold(t);
    t->retries += retry;
}


void
ngx_http_trove_queue_unreserve(ngx_http_trove_route_t *route,
    ngx_uint_t index, ngx_uint_t retry)
{
    ngx_http_trove_queue_target_t  *t;

    t = ngx_http_trove_queue_target(route, index);

    if (--t->held == 0) {
        ngx_queue_remove(&t->busy);
    }

    t->retries -= retry;

    /* deliveries in the file are requested in batches */

    if (t->more && t->held <= t->limit / 2
        && t->retries <= t->limit_retries / 2)
    {
        t->more = 0;
        ngx_http_trove_queue_wake();
    }
}


ngx_uint_t
ngx_http_trove_queue_enter(ngx_http_trove_route_t *route, ngx_uint_t index,
    ngx_uint_t retry, ngx_http_trove_ready_t *ready)
{
    ngx_uint_t                      stale;
    ngx_http_trove_queue_target_t  *t;

    t = ngx_http_trove_queue_target(route, index);
    stale = ngx_http_trove_confirm_stale(&ready->confirm);

    if (t->running < t->capacity && !ngx_exiting && !stale) {
        t->running++;
        return 1;
    }

    ready->target = t;

    ngx_queue_insert_tail(&t->ready[retry], &ready->queue);
    ngx_http_trove_confirm_add(&ready->confirm);

    if (stale) {
        ngx_http_trove_confirm_ask();
    }

    if (ngx_exiting && !t->start.posted) {
        ngx_post_event(&t->start, &ngx_posted_events);
    }

    return 0;
}


void
ngx_http_trove_queue_leave(ngx_http_trove_route_t *route, ngx_uint_t index)
{
    ngx_http_trove_queue_target_t  *t;

    t = ngx_http_trove_queue_target(route, index);

    t->running--;

    /* not called directly: the caller is still processing another event */

    if (!t->start.posted
        && (!ngx_queue_empty(&t->ready[0]) || !ngx_queue_empty(&t->ready[1])))
    {
        ngx_post_event(&t->start, &ngx_posted_events);
    }
}


void
ngx_http_trove_queue_remove(ngx_http_trove_ready_t *ready)
{
    ngx_queue_remove(&ready->queue);
    ngx_http_trove_confirm_remove(&ready->confirm);
}


/* a ready delivery may begin when there is capacity, or must be released */

static void
ngx_http_trove_queue_confirmed(ngx_http_trove_confirm_t *confirm,
    ngx_uint_t wanted)
{
    ngx_http_trove_ready_t         *ready;
    ngx_http_trove_queue_target_t  *t;

    ready = (ngx_http_trove_ready_t *)
             ((u_char *) confirm - offsetof(ngx_http_trove_ready_t, confirm));

    if (!wanted) {
        ngx_http_trove_queue_remove(ready);
        ready->handler(ready, 1);
        return;
    }

    t = ready->target;

    if (!t->start.posted) {
        ngx_post_event(&t->start, &ngx_posted_events);
    }
}


static void
ngx_http_trove_queue_start(ngx_event_t *ev)
{
    ngx_http_trove_queue_run((ngx_http_trove_queue_target_t *)
                                 ((u_char *) ev
                                  - offsetof(ngx_http_trove_queue_target_t,
                                             start)));
}


static void
ngx_http_trove_queue_run(ngx_http_trove_queue_target_t *t)
{
    ngx_queue_t             *q;
    ngx_http_trove_ready_t  *ready;

    while (ngx_exiting || t->running < t->capacity) {

        if (ngx_queue_empty(&t->ready[t->turn])) {
            t->turn = !t->turn;
        }

        if (ngx_queue_empty(&t->ready[t->turn])) {
            break;
        }

        q = ngx_queue_head(&t->ready[t->turn]);
        ready = ngx_queue_data(q, ngx_http_trove_ready_t, queue);

        if (!ngx_exiting && ngx_http_trove_confirm_stale(&ready->confirm)) {
            ngx_http_trove_confirm_ask();
            break;
        }

        ngx_http_trove_queue_remove(ready);
        t->turn = !t->turn;

        if (!ngx_exiting) {
            t->running++;
        }

        ready->handler(ready, ngx_exiting);
    }
}


void
ngx_http_trove_queue_release(void)
{
    ngx_uint_t               i;
    ngx_http_trove_queue_t  *queue;

    queue = &ngx_http_trove_queue;

    for (i = 0; i < queue->ntargets; i++) {
        ngx_http_trove_queue_run(&queue->targets[i]);
    }
}


void
ngx_http_trove_queue_memory(ssize_t bytes)
{
    ngx_http_trove_queue.memory += bytes;
}


ngx_uint_t
ngx_http_trove_queue_capacity(ngx_http_trove_route_t *route, ngx_uint_t index,
    ngx_uint_t *retries)
{
    ngx_http_trove_queue_target_t  *t;

    t = ngx_http_trove_queue_target(route, index);

    *retries = t->limit_retries;

    return t->limit;
}


ngx_int_t
ngx_http_trove_queue_limits(ngx_trove_spool_limit_t *limits, ngx_uint_t *n)
{
    ngx_queue_t                    *q;
    ngx_http_trove_queue_t         *queue;
    ngx_http_trove_queue_target_t  *t;

    queue = &ngx_http_trove_queue;

    *n = 0;

    if (queue->ntargets == 0 || queue->memory > NGX_HTTP_TROVE_QUEUE_MEMORY) {
        return NGX_DECLINED;
    }

    for (q = ngx_queue_head(&queue->busy);
         q != ngx_queue_sentinel(&queue->busy);
         q = ngx_queue_next(q))
    {
        t = ngx_queue_data(q, ngx_http_trove_queue_target_t, busy);

        /* first attempts may exceed the limit: see reserve() */

        limits->want = t - queue->targets;
        limits->limit = (t->held < t->limit) ? t->limit - t->held : 0;
        limits->retries = (t->retries < t->limit_retries)
                          ? t->limit_retries - t->retries : 0;

        t->more = (limits->limit == 0 || limits->retries == 0);

        limits++;
        (*n)++;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_trove_queue_more(ngx_http_trove_route_t *route, ngx_uint_t index)
{
    ngx_http_trove_queue_target_t  *t;

    t = ngx_http_trove_queue_target(route, index);

    if (t->held > t->limit / 2 || t->retries > t->limit_retries / 2) {
        t->more = 1;
        return 0;
    }

    return 1;
}


ngx_int_t
ngx_http_trove_queue_ask(void)
{
    ngx_http_trove_queue_t  *queue;

    queue = &ngx_http_trove_queue;

    if (queue->asking) {
        return NGX_BUSY;
    }

    queue->asking = 1;
    queue->woken = 0;

    return NGX_OK;
}


ngx_uint_t
ngx_http_trove_queue_asked(void)
{
    ngx_http_trove_queue.asking = 0;

    return ngx_http_trove_queue.woken;
}


void
ngx_http_trove_queue_poll(ngx_msec_t delay)
{
    ngx_add_timer(&ngx_http_trove_queue.poll,
                  ngx_max(delay, NGX_HTTP_TROVE_QUEUE_POLL_MIN));
}


void
ngx_http_trove_queue_wake(void)
{
    ngx_http_trove_queue_t  *queue;

    queue = &ngx_http_trove_queue;

    if (ngx_exiting) {
        return;
    }

    if (queue->asking) {
        queue->woken = 1;
        return;
    }

    ngx_http_trove_queue_poll(0);
}


void
ngx_http_trove_queue_due(ngx_msec_t delay)
{
    ngx_http_trove_queue_t  *queue;

    queue = &ngx_http_trove_queue;

    if (!queue->asking && queue->poll.timer_set
        && (ngx_msec_int_t) (queue->poll.timer.key - ngx_current_msec)
           > (ngx_msec_int_t) delay)
    {
        ngx_add_timer(&queue->poll, delay + 1);
    }
}
