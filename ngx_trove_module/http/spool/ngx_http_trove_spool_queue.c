
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_spool_queue.h"
#include "ngx_http_trove_spool_queue_target.h"
#include "ngx_http_trove_timer.h"


/* the largest event that is started from memory, and the total of events */
#define NGX_HTTP_TROVE_QUEUE_BODY          65536
#define NGX_HTTP_TROVE_QUEUE_MEMORY        (64 * 1024 * 1024)

/* running to a target without max_inflight, if connections permit it */
#define NGX_HTTP_TROVE_QUEUE_CAPACITY      128
#define NGX_HTTP_TROVE_QUEUE_CAPACITY_MIN  4

/* additional deliveries in memory, for each target and for all */
#define NGX_HTTP_TROVE_QUEUE_READY         1024
#define NGX_HTTP_TROVE_QUEUE_READY_ALL     8192

/* deliveries in memory, of all subscriptions */
#define NGX_HTTP_TROVE_QUEUE_SUBSCRIBED    4096


typedef struct {
    ngx_http_trove_queue_target_t *targets;
    ngx_uint_t                     ntargets;

    ngx_rbtree_t                   subscriptions;
    ngx_rbtree_node_t              sentinel;
    ngx_uint_t                     subscribed; /* held by all of them */
    ngx_http_trove_queue_share_t   shares[2];  /* failing: [1] */
    size_t                         names;      /* bytes of their ids */
    ngx_uint_t                     nbusy;

    size_t                         memory;     /* bytes of events */
    ngx_queue_t                    busy;       /* targets, held != 0 */

    unsigned                       full:1;     /* too many subscribed */
} ngx_http_trove_queue_t;


static void ngx_http_trove_queue_hold(ngx_http_trove_queue_target_t *t);
static void ngx_http_trove_queue_start(ngx_event_t *ev);
static void ngx_http_trove_queue_run(ngx_http_trove_queue_target_t *t);
static void ngx_http_trove_queue_confirmed(ngx_http_trove_confirm_t *confirm,
    ngx_uint_t wanted);
static ngx_uint_t ngx_http_trove_queue_may(ngx_http_trove_queue_target_t *t);
static void ngx_http_trove_queue_begin(ngx_http_trove_queue_target_t *t);
static void ngx_http_trove_queue_post(ngx_http_trove_queue_target_t *t);
static void ngx_http_trove_queue_share(ngx_http_trove_queue_share_t *share);
static void ngx_http_trove_queue_free(ngx_http_trove_queue_target_t *t);


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
    ngx_queue_init(&queue->shares[0].waiting);
    ngx_queue_init(&queue->shares[1].waiting);

    ngx_rbtree_init(&queue->subscriptions, &queue->sentinel,
                    ngx_str_rbtree_insert_value);

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

    queue->shares[0].capacity = ngx_max(cycle->connection_n / 4,
                                        NGX_HTTP_TROVE_QUEUE_CAPACITY_MIN);
    queue->shares[1].capacity = queue->shares[0].capacity / 2;

    t = queue->targets;

    for (i = 0; i < routes->nelts; i++) {
        route[i]->first = t - queue->targets;
        target = route[i]->targets->elts;

        for (n = 0; n < route[i]->targets->nelts; n++, t++) {
            t->capacity = ngx_http_trove_target_max_inflight(target[n]);
            t->capacity = t->capacity ? t->capacity : capacity;
            t->subscribers = target[n]->subscribers;
            t->limit = t->subscribers ? 2 * t->capacity
                                      : t->capacity + ready;

            /* first attempts must find capacity despite many retries */

            t->limit_retries = ngx_max(t->limit / 2, 1);

            ngx_queue_init(&t->ready[0]);
            ngx_queue_init(&t->ready[1]);

            ngx_http_trove_timer_init(&t->start, ngx_http_trove_queue_start,
                                      cycle->log, 0);
        }
    }

    ngx_http_trove_queue_poll_init(cycle, poll);

    ngx_http_trove_confirm_init(cycle, ngx_http_trove_queue_confirmed);

    return NGX_OK;
}


ngx_http_trove_queue_target_t *
ngx_http_trove_queue_target(ngx_http_trove_route_t *route, ngx_uint_t index)
{
    return &ngx_http_trove_queue.targets[route->first + index];
}


ngx_http_trove_queue_target_t *
ngx_http_trove_queue_subscription(ngx_http_trove_queue_target_t *all,
    ngx_str_t *id, ngx_uint_t failing)
{
    uint32_t                        hash;
    ngx_str_node_t                 *node;
    ngx_http_trove_queue_t         *queue;
    ngx_http_trove_queue_share_t   *share;
    ngx_http_trove_queue_target_t  *t;

    queue = &ngx_http_trove_queue;
    share = &queue->shares[failing ? 1 : 0];

    /* events of several locations may be for the same subscription */

    hash = ngx_crc32_long(id->data, id->len) + (all - queue->targets);

    node = ngx_str_rbtree_lookup(&queue->subscriptions, id, hash);

    if (node) {
        t = (ngx_http_trove_queue_target_t *)
             ((u_char *) node - offsetof(ngx_http_trove_queue_target_t, node));

        if (t->running == 0 && !t->waits) {
            t->share = share;
        }

        return t;
    }

    t = ngx_calloc(sizeof(ngx_http_trove_queue_target_t) + id->len,
                   ngx_cycle->log);
    if (t == NULL) {
        return NULL;
    }

    t->all = all;
    t->share = share;
    t->capacity = all->capacity;
    t->limit = all->limit;
    t->limit_retries = all->limit_retries;

    ngx_queue_init(&t->ready[0]);
    ngx_queue_init(&t->ready[1]);

    ngx_http_trove_timer_init(&t->start, ngx_http_trove_queue_start,
                              ngx_cycle->log, 0);

    t->node.node.key = hash;
    t->node.str.len = id->len;
    t->node.str.data = (u_char *) (t + 1);
    ngx_memcpy(t->node.str.data, id->data, id->len);

    ngx_rbtree_insert(&queue->subscriptions, &t->node.node);

    queue->names += id->len;

    return t;
}


static void
ngx_http_trove_queue_free(ngx_http_trove_queue_target_t *t)
{
    ngx_http_trove_queue_t  *queue;

    queue = &ngx_http_trove_queue;

    ngx_rbtree_delete(&queue->subscriptions, &t->node.node);

    queue->names -= t->node.str.len;

    if (t->waits) {
        ngx_queue_remove(&t->waiting);
    }

    if (t->start.posted) {
        ngx_delete_posted_event(&t->start);
    }

    ngx_free(t);
}


ngx_uint_t
ngx_http_trove_queue_reserve(ngx_http_trove_queue_target_t *t, size_t bytes)
{
    /* an exiting worker accepts no new deliveries */

    if (ngx_exiting || bytes > NGX_HTTP_TROVE_QUEUE_BODY
        || ngx_http_trove_queue.memory > NGX_HTTP_TROVE_QUEUE_MEMORY)
    {
        return 0;
    }

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
        ngx_http_trove_queue.nbusy++;
    }

    ngx_http_trove_queue.subscribed += (t->all != NULL);
}


void
ngx_http_trove_queue_add(ngx_http_trove_queue_target_t *t, ngx_uint_t retry)
{
    ngx_http_trove_queue_hold(t);
    t->retries += retry;
}


void
ngx_http_trove_queue_unreserve(ngx_http_trove_queue_target_t *t,
    ngx_uint_t retry)
{
    ngx_http_trove_queue_t  *queue;

    queue = &ngx_http_trove_queue;

    if (--t->held == 0) {
        ngx_queue_remove(&t->busy);
        queue->nbusy--;
    }

    t->retries -= retry;

    if (t->all) {
        queue->subscribed--;

        if (queue->full && queue->subscribed
                           <= NGX_HTTP_TROVE_QUEUE_SUBSCRIBED / 2)
        {
            queue->full = 0;
            ngx_http_trove_queue_wake();
        }
    }

    /* deliveries in the file are requested in batches */

    if (t->more && t->held <= t->limit / 2
        && t->retries <= t->limit_retries / 2)
    {
        t->more = 0;
        ngx_http_trove_queue_wake();
    }

    if (t->all && t->held == 0 && !t->runs) {
        ngx_http_trove_queue_free(t);
    }
}


/* there is capacity; otherwise the target is started when there is */

static ngx_uint_t
ngx_http_trove_queue_may(ngx_http_trove_queue_target_t *t)
{
    if (t->running >= t->capacity) {
        return 0;
    }

    if (t->all == NULL || t->share->running < t->share->capacity) {
        return 1;
    }

    if (!t->waits) {
        t->waits = 1;
        ngx_queue_insert_tail(&t->share->waiting, &t->waiting);
    }

    return 0;
}


static void
ngx_http_trove_queue_begin(ngx_http_trove_queue_target_t *t)
{
    t->running++;

    if (t->all) {
        t->share->running++;
    }
}


static void
ngx_http_trove_queue_post(ngx_http_trove_queue_target_t *t)
{
    if (!t->start.posted) {
        ngx_post_event(&t->start, &ngx_posted_events);
    }
}


ngx_uint_t
ngx_http_trove_queue_enter(ngx_http_trove_queue_target_t *t, ngx_uint_t retry,
    ngx_http_trove_ready_t *ready)
{
    ngx_uint_t  stale;

    stale = ngx_http_trove_confirm_stale(&ready->confirm);

    if (!ngx_exiting && !stale && ngx_http_trove_queue_may(t)) {
        ngx_http_trove_queue_begin(t);
        return 1;
    }

    ready->target = t;

    ngx_queue_insert_tail(&t->ready[retry], &ready->queue);
    ngx_http_trove_confirm_add(&ready->confirm);

    if (stale) {
        ngx_http_trove_confirm_ask();
    }

    if (ngx_exiting) {
        ngx_http_trove_queue_post(t);
    }

    return 0;
}


void
ngx_http_trove_queue_leave(ngx_http_trove_queue_target_t *t)
{
    t->running--;

    /* not called directly: the caller is still processing another event */

    if (!ngx_queue_empty(&t->ready[0]) || !ngx_queue_empty(&t->ready[1])) {
        ngx_http_trove_queue_post(t);
    }

    if (t->all == NULL) {
        return;
    }

    t->share->running--;

    ngx_http_trove_queue_share(t->share);
}


/* the next one does the same when it has started what it can */

static void
ngx_http_trove_queue_share(ngx_http_trove_queue_share_t *share)
{
    ngx_queue_t                    *q;
    ngx_http_trove_queue_target_t  *t;

    if (ngx_queue_empty(&share->waiting)
        || share->running >= share->capacity)
    {
        return;
    }

    q = ngx_queue_head(&share->waiting);
    t = ngx_queue_data(q, ngx_http_trove_queue_target_t, waiting);

    ngx_queue_remove(q);
    t->waits = 0;

    ngx_http_trove_queue_post(t);
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

    ngx_http_trove_queue_post(t);
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

    /* a delivery may end at once, but the target is used below */

    t->runs = 1;

    for ( ;; ) {

        if (ngx_queue_empty(&t->ready[t->turn])) {
            t->turn = !t->turn;
        }

        if (ngx_queue_empty(&t->ready[t->turn])
            || (!ngx_exiting && !ngx_http_trove_queue_may(t)))
        {
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
            ngx_http_trove_queue_begin(t);
        }

        ready->handler(ready, ngx_exiting);
    }

    t->runs = 0;

    if (t->all == NULL) {
        return;
    }

    ngx_http_trove_queue_share(t->share);

    if (t->held == 0) {
        ngx_http_trove_queue_free(t);
    }
}


void
ngx_http_trove_queue_release(void)
{
    ngx_queue_t                    *q;
    ngx_http_trove_queue_t         *queue;
    ngx_http_trove_queue_target_t  *t;

    queue = &ngx_http_trove_queue;

    /* started by events of their own: they change the list of busy ones */

    for (q = ngx_queue_head(&queue->busy);
         q != ngx_queue_sentinel(&queue->busy);
         q = ngx_queue_next(q))
    {
        t = ngx_queue_data(q, ngx_http_trove_queue_target_t, busy);

        ngx_http_trove_queue_post(t);
    }
}


void
ngx_http_trove_queue_memory(ssize_t bytes)
{
    ngx_http_trove_queue.memory += bytes;
}


ngx_uint_t
ngx_http_trove_queue_capacity(ngx_http_trove_queue_target_t *t,
    ngx_uint_t *retries)
{
    *retries = t->limit_retries;

    return t->limit;
}


ngx_trove_spool_limit_t *
ngx_http_trove_queue_limits(ngx_uint_t *n)
{
    u_char                         *p;
    ngx_uint_t                      i, full;
    ngx_queue_t                    *q;
    ngx_http_trove_queue_t         *queue;
    ngx_trove_spool_limit_t        *limits, *limit;
    ngx_http_trove_queue_target_t  *t;

    queue = &ngx_http_trove_queue;

    if (queue->ntargets == 0 || queue->memory > NGX_HTTP_TROVE_QUEUE_MEMORY) {
        return NULL;
    }

    /*
     * The names are copied, because a thread reads them.  If there are too many
     * deliveries to subscriptions, no more are requested for any of them.
     */

    full = queue->subscribed >= NGX_HTTP_TROVE_QUEUE_SUBSCRIBED;

    limits = ngx_alloc((queue->nbusy + (full ? queue->ntargets : 0) + 1)
                       * sizeof(ngx_trove_spool_limit_t) + queue->names,
                       ngx_cycle->log);
    if (limits == NULL) {
        return NULL;
    }

    limit = limits;
    p = (u_char *) (limits + queue->nbusy + (full ? queue->ntargets : 0) + 1);

    for (q = ngx_queue_head(&queue->busy);
         q != ngx_queue_sentinel(&queue->busy);
         q = ngx_queue_next(q))
    {
        t = ngx_queue_data(q, ngx_http_trove_queue_target_t, busy);

        /* first attempts may exceed the limit: see reserve() */

        limit->limit = (t->held < t->limit && !(t->all && full))
                       ? t->limit - t->held : 0;
        limit->retries = (t->retries < t->limit_retries)
                         ? t->limit_retries - t->retries : 0;

        t->more = (limit->limit == 0 || limit->retries == 0);

        if (t->all) {
            limit->want = t->all - queue->targets;
            limit->name.len = t->node.str.len;
            limit->name.data = p;
            p = ngx_cpymem(p, t->node.str.data, t->node.str.len);

        } else {
            limit->want = t - queue->targets;
            ngx_str_null(&limit->name);
        }

        limit++;
    }

    if (full) {
        queue->full = 1;

        for (i = 0; i < queue->ntargets; i++) {

            if (!queue->targets[i].subscribers) {
                continue;
            }

            limit->want = i;
            limit->limit = 0;
            limit->retries = 0;
            ngx_str_null(&limit->name);
            limit++;
        }
    }

    *n = limit - limits;

    return limits;
}


ngx_uint_t
ngx_http_trove_queue_more(ngx_http_trove_queue_target_t *t)
{
    if (t->held > t->limit / 2 || t->retries > t->limit_retries / 2) {
        t->more = 1;
        return 0;
    }

    return 1;
}
