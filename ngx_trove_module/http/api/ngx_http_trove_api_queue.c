
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_api.h"
#include "ngx_http_trove_compat.h"
#include "ngx_http_trove_spool_pool.h"
#include "ngx_http_trove_spool_queue.h"
#include "ngx_http_trove_timer.h"


/* calls that may wait for a thread */
#define NGX_HTTP_TROVE_API_WAITING  64

/* how often an exiting worker looks whether a call is still under way, msec */
#define NGX_HTTP_TROVE_API_EXIT  1000


typedef struct {
    ngx_thread_pool_t  *pool;
    ngx_queue_t         waiting;               /* by round */
    ngx_queue_t         running;
    ngx_uint_t          nwaiting;
    ngx_uint_t          nrunning;
    ngx_uint_t          calls;                 /* not resumed yet */
    uint64_t            round;                 /* of the last one started */
    ngx_event_t         exit_guard;
} ngx_http_trove_api_queue_t;


static ngx_http_trove_api_t *ngx_http_trove_api_queue_insert(
    ngx_http_trove_api_t *api);
static uint64_t ngx_http_trove_api_queue_round(ngx_queue_t *queue,
    ngx_http_trove_api_t *api, uint64_t round);
static void ngx_http_trove_api_queue_run(void);
static void ngx_http_trove_api_queue_thread(void *data, ngx_log_t *log);
static void ngx_http_trove_api_queue_done(ngx_event_t *ev);
static ngx_uint_t ngx_http_trove_api_queue_stopped(ngx_http_trove_api_t *api);
static void ngx_http_trove_api_queue_finish(ngx_http_trove_api_t *api);
static void ngx_http_trove_api_queue_resume(ngx_event_t *ev);
static void ngx_http_trove_api_queue_closed(void *data);
static void ngx_http_trove_api_queue_guard(ngx_event_t *ev);


/* of this process; pool == NULL: there is no spool */
static ngx_http_trove_api_queue_t  ngx_http_trove_api_queue;


void
ngx_http_trove_api_queue_init(ngx_cycle_t *cycle)
{
    ngx_http_trove_api_queue_t  *q;

    q = &ngx_http_trove_api_queue;

    ngx_memzero(q, sizeof(ngx_http_trove_api_queue_t));

    ngx_queue_init(&q->waiting);
    ngx_queue_init(&q->running);

    ngx_http_trove_timer_init(&q->exit_guard, ngx_http_trove_api_queue_guard,
                              cycle->log, 0);

    if (ngx_http_trove_threads()) {
        q->pool = ngx_http_trove_pool_get(cycle, NGX_HTTP_TROVE_POOL_API);
    }
}


ngx_int_t
ngx_http_trove_api_queue_add(ngx_http_trove_api_t *api)
{
    ngx_http_cleanup_t          *cln;
    ngx_http_request_t          *r;
    ngx_http_trove_api_t        *last;
    ngx_http_trove_api_queue_t  *q;

    q = &ngx_http_trove_api_queue;
    r = api->request;

    if (q->pool == NULL || api->spool == NULL) {
        return NGX_DECLINED;
    }

    api->task = ngx_thread_task_alloc(r->pool, 0);
    if (api->task == NULL) {
        return NGX_ERROR;
    }

    api->task->ctx = api;
    api->task->handler = ngx_http_trove_api_queue_thread;
    api->task->event.handler = ngx_http_trove_api_queue_done;
    api->task->event.data = api;

    ngx_http_trove_timer_init(&api->event, ngx_http_trove_api_queue_resume,
                              ngx_cycle->log, 0);

    /* called when the client closes, although the request is suspended */

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_trove_api_queue_closed;
    cln->data = api;

    last = ngx_http_trove_api_queue_insert(api);

    if (last == api) {
        return NGX_BUSY;
    }

    q->calls++;

    if (!q->exit_guard.timer_set) {
        ngx_add_timer(&q->exit_guard, NGX_HTTP_TROVE_API_EXIT);
    }

    if (last != NULL) {
        last->full = 1;
        ngx_http_trove_api_queue_finish(last);
    }

    ngx_http_trove_api_queue_run();

    return NGX_OK;
}


/*
 * The calls of a client are one round apart, so that a client with many calls
 * delays another one by at most one call, and has its own calls refused first.
 * Returns a call that has been removed because there are too many, which may be
 * the new one, or NULL.
 */

static ngx_http_trove_api_t *
ngx_http_trove_api_queue_insert(ngx_http_trove_api_t *api)
{
    ngx_queue_t                 *p;
    ngx_http_trove_api_t        *last;
    ngx_http_trove_api_queue_t  *q;

    q = &ngx_http_trove_api_queue;

    api->round = ngx_http_trove_api_queue_round(&q->running, api, q->round);
    api->round = ngx_http_trove_api_queue_round(&q->waiting, api, api->round);

    for (p = ngx_queue_last(&q->waiting);
         p != ngx_queue_sentinel(&q->waiting);
         p = ngx_queue_prev(p))
    {
        last = ngx_queue_data(p, ngx_http_trove_api_t, queue);

        if (last->round <= api->round) {
            break;
        }
    }

    ngx_queue_insert_after(p, &api->queue);

    api->waiting = 1;
    q->nwaiting++;

    /* a call starts at once; one that has been started is not refused */

    if (q->nwaiting <= NGX_HTTP_TROVE_API_WAITING
        || api->started
        || q->nrunning < NGX_HTTP_TROVE_POOL_API_THREADS)
    {
        return NULL;
    }

    for (p = ngx_queue_last(&q->waiting);
         p != ngx_queue_sentinel(&q->waiting);
         p = ngx_queue_prev(p))
    {
        last = ngx_queue_data(p, ngx_http_trove_api_t, queue);

        if (!last->started) {
            ngx_queue_remove(&last->queue);
            last->waiting = 0;
            q->nwaiting--;

            return last;
        }
    }

    return NULL;
}


static uint64_t
ngx_http_trove_api_queue_round(ngx_queue_t *queue, ngx_http_trove_api_t *api,
    uint64_t round)
{
    ngx_str_t             *a, *b;
    ngx_queue_t           *p;
    ngx_http_trove_api_t  *other;

    a = &api->request->connection->addr_text;

    for (p = ngx_queue_head(queue);
         p != ngx_queue_sentinel(queue);
         p = ngx_queue_next(p))
    {
        other = ngx_queue_data(p, ngx_http_trove_api_t, queue);
        b = &other->request->connection->addr_text;

        if (other->round >= round
            && a->len == b->len && ngx_strncmp(a->data, b->data, a->len) == 0)
        {
            round = other->round + 1;
        }
    }

    return round;
}


static void
ngx_http_trove_api_queue_run(void)
{
    ngx_queue_t                 *p, *next;
    ngx_http_trove_api_t        *api;
    ngx_http_trove_api_queue_t  *q;

    q = &ngx_http_trove_api_queue;

    for (p = ngx_queue_head(&q->waiting);
         p != ngx_queue_sentinel(&q->waiting)
         && q->nrunning < NGX_HTTP_TROVE_POOL_API_THREADS;
         p = next)
    {
        next = ngx_queue_next(p);
        api = ngx_queue_data(p, ngx_http_trove_api_t, queue);

        ngx_queue_remove(p);
        q->nwaiting--;
        api->waiting = 0;

        if (ngx_thread_task_post(q->pool, api->task) != NGX_OK) {
            api->full = 1;
            ngx_http_trove_api_queue_finish(api);
            continue;
        }

        ngx_queue_insert_tail(&q->running, p);
        q->nrunning++;
        q->round = api->round;
        api->started = 1;
    }
}


static void
ngx_http_trove_api_queue_thread(void *data, ngx_log_t *log)
{
    ngx_http_trove_api_t *api = data;

    api->again = 0;
    api->work(api);
}


static void
ngx_http_trove_api_queue_done(ngx_event_t *ev)
{
    ngx_http_trove_api_t        *api;
    ngx_http_trove_api_queue_t  *q;

    q = &ngx_http_trove_api_queue;
    api = ev->data;

    ngx_queue_remove(&api->queue);
    q->nrunning--;

    if (api->done < api->nids && !ngx_http_trove_api_queue_stopped(api)) {
        api->bulk(api);
        ngx_http_trove_api_queue_run();

    } else {
        ngx_http_trove_api_queue_next(api);
    }
}


/* the next step waits for its turn like a new call, but is not refused */

void
ngx_http_trove_api_queue_next(ngx_http_trove_api_t *api)
{
    if (api->again && !ngx_http_trove_api_queue_stopped(api)) {
        (void) ngx_http_trove_api_queue_insert(api);

    } else {
        ngx_http_trove_api_queue_finish(api);
    }

    ngx_http_trove_api_queue_run();
}


static ngx_uint_t
ngx_http_trove_api_queue_stopped(ngx_http_trove_api_t *api)
{
    return api->closed || (ngx_exiting && api->partial);
}


/* later, as the caller may be handling an event of the connection */

static void
ngx_http_trove_api_queue_finish(ngx_http_trove_api_t *api)
{
    ngx_post_event(&api->event, &ngx_posted_events);
}


static void
ngx_http_trove_api_queue_resume(ngx_event_t *ev)
{
    ngx_http_trove_api_t        *api;
    ngx_http_trove_api_queue_t  *q;

    q = &ngx_http_trove_api_queue;

    api = (ngx_http_trove_api_t *)
              ((u_char *) ev - offsetof(ngx_http_trove_api_t, event));

    if (--q->calls == 0 && q->exit_guard.timer_set) {
        ngx_del_timer(&q->exit_guard);
    }

    if (api->wake) {
        ngx_http_trove_queue_wake();
    }

    ngx_http_trove_resume(api->suspend);
}


static void
ngx_http_trove_api_queue_closed(void *data)
{
    ngx_http_trove_api_t *api = data;

    ngx_http_trove_api_queue_t  *q;

    q = &ngx_http_trove_api_queue;

    api->closed = 1;

    if (api->waiting) {
        ngx_queue_remove(&api->queue);
        q->nwaiting--;
        api->waiting = 0;

        ngx_http_trove_api_queue_finish(api);
    }
}


/* a request that waits for a thread keeps no worker from exiting */

static void
ngx_http_trove_api_queue_guard(ngx_event_t *ev)
{
    ngx_add_timer(ev, NGX_HTTP_TROVE_API_EXIT);
}
