
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_spool_dispatcher.h"
#include "ngx_http_trove_spool_job.h"
#include "ngx_http_trove_spool_writer.h"
#include "ngx_http_trove_timer.h"


/* how often the file is asked what is due, at the least and the most, msec */
#define NGX_HTTP_TROVE_COURIER_POLL      1000
#define NGX_HTTP_TROVE_COURIER_POLL_MIN  5

/* what is taken out of the file at once */
#define NGX_HTTP_TROVE_COURIER_MAX       512
#define NGX_HTTP_TROVE_COURIER_BYTES     (16 * 1024 * 1024)

/* the largest event that is started from memory, and all that are under way */
#define NGX_HTTP_TROVE_COURIER_BODY      65536
#define NGX_HTTP_TROVE_COURIER_MEMORY    (64 * 1024 * 1024)

/* under way to a target without max_inflight, if there are connections */
#define NGX_HTTP_TROVE_COURIER_ROOM      128
#define NGX_HTTP_TROVE_COURIER_ROOM_MIN  4

/* in memory beyond that, for each target and for all */
#define NGX_HTTP_TROVE_COURIER_READY     1024
#define NGX_HTTP_TROVE_COURIER_READY_ALL 8192


/* a target in this worker */
typedef struct {
    ngx_http_trove_route_t        *route;
    ngx_uint_t                     index;
    ngx_uint_t                     room;
    ngx_uint_t                     running;

    /* those that wait for room: first attempts, and retries, by turns */
    ngx_queue_t                    ready[2];
    ngx_uint_t                     turn;
    ngx_event_t                    start;      /* starts them */

    ngx_uint_t                     limit;
    ngx_uint_t                     limit_retries;
    ngx_uint_t                     held;       /* in memory, not over yet */
    ngx_uint_t                     retries;    /* of them */
    unsigned                       more:1;     /* waits in the file */
} ngx_http_trove_courier_target_t;


typedef struct {
    ngx_cycle_t                      *cycle;

    ngx_http_trove_courier_target_t  *targets;
    ngx_uint_t                        ntargets;

    ngx_event_t                       poll;

    /* the lease that is asked for; one at a time */
    ngx_http_trove_write_t            lease;
    ngx_trove_spool_want_t           *wants;
    ngx_http_trove_courier_target_t **wanted;
    ngx_trove_spool_leased_t          leased[NGX_HTTP_TROVE_COURIER_MAX];
    unsigned                          leasing:1;
    unsigned                          woken:1;     /* meanwhile */
} ngx_http_trove_courier_t;


static void ngx_http_trove_courier_start(ngx_event_t *ev);
static void ngx_http_trove_courier_poll(ngx_event_t *ev);
static void ngx_http_trove_courier_leased(ngx_http_trove_write_t *write);
static void ngx_http_trove_courier_end(void);
static void ngx_http_trove_courier_send(ngx_http_trove_courier_target_t *t,
    ngx_trove_spool_leased_t *leased, ngx_uint_t n);
static ngx_http_trove_courier_target_t *ngx_http_trove_courier_target(
    ngx_http_trove_route_t *route, ngx_uint_t index);


/* of this process; targets == NULL: there is none */
static ngx_http_trove_courier_t  ngx_http_trove_courier;


ngx_int_t
ngx_http_trove_courier_init(ngx_cycle_t *cycle, ngx_array_t *routes)
{
    ngx_uint_t                        i, n, room, ready;
    ngx_http_trove_route_t          **route;
    ngx_http_trove_target_t         **target;
    ngx_http_trove_courier_t         *cr;
    ngx_http_trove_courier_target_t  *t;

    cr = &ngx_http_trove_courier;

    ngx_memzero(cr, sizeof(ngx_http_trove_courier_t));

    cr->cycle = cycle;

    route = routes->elts;

    for (i = 0; i < routes->nelts; i++) {
        cr->ntargets += route[i]->targets->nelts;
    }

    n = cr->ntargets + 1;

    cr->targets = ngx_pcalloc(cycle->pool,
                              n * sizeof(ngx_http_trove_courier_target_t));
    cr->wants = ngx_palloc(cycle->pool, n * sizeof(ngx_trove_spool_want_t));
    cr->wanted = ngx_palloc(cycle->pool,
                            n * sizeof(ngx_http_trove_courier_target_t *));

    if (cr->targets == NULL || cr->wants == NULL || cr->wanted == NULL) {
        return NGX_ERROR;
    }

    /* targets that hang must leave connections for the others */

    room = cycle->connection_n / 2 / n;
    room = ngx_min(room, NGX_HTTP_TROVE_COURIER_ROOM);
    room = ngx_max(room, NGX_HTTP_TROVE_COURIER_ROOM_MIN);

    ready = NGX_HTTP_TROVE_COURIER_READY_ALL / n;
    ready = ngx_min(ready, NGX_HTTP_TROVE_COURIER_READY);

    t = cr->targets;

    for (i = 0; i < routes->nelts; i++) {
        route[i]->first = t - cr->targets;
        target = route[i]->targets->elts;

        for (n = 0; n < route[i]->targets->nelts; n++, t++) {
            t->route = route[i];
            t->index = n;
            t->room = ngx_http_trove_target_max_inflight(target[n]);
            t->room = t->room ? t->room : room;
            t->limit = t->room + ready;

            /* first attempts find room, however much is tried again */

            t->limit_retries = ngx_max(t->limit / 2, 1);

            ngx_queue_init(&t->ready[0]);
            ngx_queue_init(&t->ready[1]);

            ngx_http_trove_timer_init(&t->start, ngx_http_trove_courier_start,
                                      cycle->log, 0);
        }
    }

    ngx_http_trove_parcel_init(cycle);

    ngx_http_trove_timer_init(&cr->poll, ngx_http_trove_courier_poll,
                              cycle->log, 1);

    ngx_add_timer(&cr->poll, NGX_HTTP_TROVE_COURIER_POLL_MIN);

    return NGX_OK;
}


static ngx_http_trove_courier_target_t *
ngx_http_trove_courier_target(ngx_http_trove_route_t *route, ngx_uint_t index)
{
    return &ngx_http_trove_courier.targets[route->first + index];
}


ngx_uint_t
ngx_http_trove_courier_reserve(ngx_http_trove_route_t *route, ngx_uint_t index,
    size_t bytes)
{
    ngx_http_trove_courier_target_t  *t;

    /* an exiting worker takes nothing new */

    if (ngx_exiting || bytes > NGX_HTTP_TROVE_COURIER_BODY
        || ngx_http_trove_parcel_bytes() > NGX_HTTP_TROVE_COURIER_MEMORY)
    {
        return 0;
    }

    t = ngx_http_trove_courier_target(route, index);

    /* retries leave it its room */

    if (t->held - t->retries >= t->limit) {
        t->more = 1;
        return 0;
    }

    t->held++;

    return 1;
}


void
ngx_http_trove_courier_unreserve(ngx_http_trove_route_t *route,
    ngx_uint_t index, ngx_uint_t retry)
{
    ngx_http_trove_courier_target_t  *t;

    t = ngx_http_trove_courier_target(route, index);

    t->held--;
    t->retries -= retry;

    /* what waits in the file is asked for in portions */

    if (t->more && t->held <= t->limit / 2
        && t->retries <= t->limit_retries / 2)
    {
        t->more = 0;
        ngx_http_trove_courier_wake();
    }
}


ngx_uint_t
ngx_http_trove_courier_enter(ngx_http_trove_route_t *route, ngx_uint_t index,
    ngx_uint_t retry, ngx_queue_t *ready)
{
    ngx_http_trove_courier_target_t  *t;

    t = ngx_http_trove_courier_target(route, index);

    if (t->running < t->room && !ngx_exiting) {
        t->running++;
        return 1;
    }

    ngx_queue_insert_tail(&t->ready[retry], ready);

    if (ngx_exiting && !t->start.posted) {
        ngx_post_event(&t->start, &ngx_posted_events);
    }

    return 0;
}


void
ngx_http_trove_courier_leave(ngx_http_trove_route_t *route, ngx_uint_t index)
{
    ngx_http_trove_courier_target_t  *t;

    t = ngx_http_trove_courier_target(route, index);

    t->running--;

    /* not at once: whoever leaves is in the middle of another event */

    if (!t->start.posted
        && (!ngx_queue_empty(&t->ready[0]) || !ngx_queue_empty(&t->ready[1])))
    {
        ngx_post_event(&t->start, &ngx_posted_events);
    }
}


static void
ngx_http_trove_courier_start(ngx_event_t *ev)
{
    ngx_queue_t                      *q;
    ngx_http_trove_courier_target_t  *t;

    t = (ngx_http_trove_courier_target_t *)
            ((u_char *) ev - offsetof(ngx_http_trove_courier_target_t, start));

    while (ngx_exiting || t->running < t->room) {

        if (ngx_queue_empty(&t->ready[t->turn])) {
            t->turn = !t->turn;
        }

        if (ngx_queue_empty(&t->ready[t->turn])) {
            break;
        }

        q = ngx_queue_head(&t->ready[t->turn]);
        ngx_queue_remove(q);
        t->turn = !t->turn;

        if (ngx_exiting) {
            ngx_http_trove_parcel_hand_back(q);
            continue;
        }

        t->running++;
        ngx_http_trove_parcel_begin(q);
    }
}


void
ngx_http_trove_courier_wake(void)
{
    ngx_http_trove_courier_t  *cr;

    cr = &ngx_http_trove_courier;

    if (ngx_exiting) {
        return;
    }

    if (cr->leasing) {
        cr->woken = 1;
        return;
    }

    ngx_add_timer(&cr->poll, NGX_HTTP_TROVE_COURIER_POLL_MIN);
}


static void
ngx_http_trove_courier_poll(ngx_event_t *ev)
{
    ngx_uint_t                        i, n, max;
    ngx_trove_spool_want_t           *want;
    ngx_http_trove_route_t           *route;
    ngx_trove_spool_lease_t          *lease;
    ngx_http_trove_target_t         **target;
    ngx_http_trove_courier_t         *cr;
    ngx_http_trove_courier_target_t  *t;

    cr = &ngx_http_trove_courier;

    if (ngx_exiting) {
        ngx_http_trove_courier_end();
        return;
    }

    if (ngx_terminate || cr->leasing) {
        return;
    }

    n = 0;
    max = 0;

    for (i = 0; i < cr->ntargets; i++) {
        t = &cr->targets[i];
        t->more = 0;

        if (t->held >= t->limit) {
            t->more = 1;
            continue;
        }

        route = t->route;
        target = route->targets->elts;

        want = &cr->wants[n];
        want->target.route = route->name;
        want->target.name = target[t->index]->name;
        want->limit = t->limit - t->held;
        want->retries = t->limit_retries - t->retries;
        want->delay_max = route->retries[t->index]->max;
        want->more = 0;

        cr->wanted[n++] = t;
        max += want->limit;
    }

    if (n == 0
        || ngx_http_trove_parcel_bytes() > NGX_HTTP_TROVE_COURIER_MEMORY)
    {
        ngx_add_timer(ev, NGX_HTTP_TROVE_COURIER_POLL);
        return;
    }

    cr->leasing = 1;

    ngx_memzero(&cr->lease, sizeof(ngx_http_trove_write_t));

    cr->lease.handler = ngx_http_trove_courier_leased;
    cr->lease.op.type = NGX_TROVE_SPOOL_OP_LEASE;

    lease = &cr->lease.op.u.lease;
    lease->wants = cr->wants;
    lease->nwants = n;
    lease->max = ngx_min(max, NGX_HTTP_TROVE_COURIER_MAX);
    lease->max_bytes = NGX_HTTP_TROVE_COURIER_BYTES;
    lease->lease = NGX_HTTP_TROVE_COURIER_LEASE;
    lease->leased = cr->leased;

    ngx_http_trove_writer_post(&cr->lease);
}


static void
ngx_http_trove_courier_leased(ngx_http_trove_write_t *write)
{
    ngx_msec_t                        next;
    ngx_uint_t                        i, k, n;
    ngx_trove_spool_lease_t          *lease;
    ngx_trove_spool_leased_t         *leased, same[NGX_HTTP_TROVE_COURIER_MAX];
    ngx_http_trove_courier_t         *cr;
    ngx_http_trove_courier_target_t  *t;

    cr = &ngx_http_trove_courier;
    lease = &write->op.u.lease;
    leased = lease->leased;

    cr->leasing = 0;
    next = NGX_HTTP_TROVE_COURIER_POLL;

    if (write->op.result == NGX_TROVE_SPOOL_DONE) {

        for (i = 0; i < lease->n; i++) {

            if (leased[i].event == NULL) {
                continue;
            }

            /* the deliveries of an event share its request */

            t = cr->wanted[leased[i].want];
            same[0] = leased[i];
            n = 1;

            for (k = i + 1; k < lease->n && lease->nwants > 1; k++) {

                if (leased[k].event == leased[i].event
                    && cr->wanted[leased[k].want]->route == t->route)
                {
                    same[n++] = leased[k];
                    leased[k].event = NULL;
                }
            }

            ngx_http_trove_courier_send(t, same, n);
        }

        if (lease->n == lease->max || cr->woken) {
            next = NGX_HTTP_TROVE_COURIER_POLL_MIN;

        } else if (lease->next >= 0
                   && lease->next < NGX_HTTP_TROVE_COURIER_POLL)
        {
            next = ngx_max(lease->next + 1, NGX_HTTP_TROVE_COURIER_POLL_MIN);
        }

        for (i = 0; i < lease->nwants; i++) {

            if (!lease->wants[i].more) {
                continue;
            }

            /* it may have more than it had room for: when there is, or now */

            t = cr->wanted[i];

            if (t->held > t->limit / 2
                || t->retries > t->limit_retries / 2)
            {
                t->more = 1;

            } else {
                next = NGX_HTTP_TROVE_COURIER_POLL_MIN;
            }
        }
    }

    cr->woken = 0;

    /* there is no timer while it is asked: it may be time to go since */

    if (ngx_exiting) {
        ngx_http_trove_courier_end();
        return;
    }

    ngx_add_timer(&cr->poll, next);
}


/* of a worker that exits: what has not begun is left to others */

static void
ngx_http_trove_courier_end(void)
{
    ngx_uint_t                 i;
    ngx_http_trove_courier_t  *cr;

    cr = &ngx_http_trove_courier;

    for (i = 0; i < cr->ntargets; i++) {
        ngx_http_trove_courier_start(&cr->targets[i].start);
    }
}


/* n deliveries of one event, out of the file, to targets of the route of t */

static void
ngx_http_trove_courier_send(ngx_http_trove_courier_target_t *t,
    ngx_trove_spool_leased_t *leased, ngx_uint_t n)
{
    ngx_uint_t                        i;
    ngx_http_trove_parcel_t          *parcel;
    ngx_http_trove_courier_target_t  *each;

    /* what is replayed counts as a retry: many of them hold up nobody new */

    for (i = 0; i < n; i++) {
        each = ngx_http_trove_courier.wanted[leased[i].want];
        each->held++;
        each->retries += (leased[i].attempt > 1);
    }

    parcel = ngx_http_trove_parcel_create(t->route, leased[0].event, n);

    if (parcel == NULL) {

        for (i = 0; i < n; i++) {
            each = ngx_http_trove_courier.wanted[leased[i].want];

            ngx_http_trove_parcel_refuse(t->route, &leased[i].ref,
                                         each->index, leased[i].attempt > 1);
            ngx_trove_spool_event_free(leased[i].event);
        }

        return;
    }

    ngx_http_trove_parcel_own(parcel, leased[0].event, NULL);

    for (i = 0; i < n; i++) {
        each = ngx_http_trove_courier.wanted[leased[i].want];

        ngx_http_trove_parcel_add(parcel, each->index, &leased[i].ref,
                                  leased[i].attempt, leased[i].nth,
                                  leased[i].age);
    }

    ngx_http_trove_parcel_start(parcel);
}


void
ngx_http_trove_courier_take(ngx_http_trove_route_t *route,
    ngx_trove_spool_event_t *event, ngx_trove_spool_start_t *starts,
    ngx_uint_t *indices, ngx_uint_t n)
{
    u_char                   *p;
    size_t                    size;
    ngx_str_t                *s;
    ngx_uint_t                i;
    ngx_trove_spool_event_t  *copy;
    ngx_http_trove_parcel_t  *parcel;

    if (n == 0) {
        return;
    }

    size = sizeof(ngx_trove_spool_event_t) + event->id.len + event->host.len
           + event->uri.len + event->content_type.len + event->body.len;

    parcel = NULL;

    copy = ngx_alloc(size, ngx_cycle->log);

    if (copy) {
        *copy = *event;
        p = (u_char *) (copy + 1);

#define ngx_http_trove_courier_copy(member)                                   \
        s = &copy->member;                                                    \
        if (s->len) {                                                         \
            ngx_memcpy(p, s->data, s->len);                                   \
            s->data = p;                                                      \
            p += s->len;                                                      \
        }

        ngx_http_trove_courier_copy(id);
        ngx_http_trove_courier_copy(host);
        ngx_http_trove_courier_copy(uri);
        ngx_http_trove_courier_copy(content_type);
        ngx_http_trove_courier_copy(body);

        parcel = ngx_http_trove_parcel_create(route, copy, n);
    }

    if (parcel == NULL) {

        for (i = 0; i < n; i++) {
            ngx_http_trove_parcel_refuse(route, &starts[i].ref, indices[i],
                                         0);
        }

        if (copy) {
            ngx_free(copy);
        }

        return;
    }

    ngx_http_trove_parcel_own(parcel, NULL, copy);

    for (i = 0; i < n; i++) {
        ngx_http_trove_parcel_add(parcel, indices[i], &starts[i].ref, 1, 1, 0);
    }

    ngx_http_trove_parcel_start(parcel);
}


void
ngx_http_trove_courier_due(ngx_msec_t delay)
{
    ngx_http_trove_courier_t  *cr;

    cr = &ngx_http_trove_courier;

    if (!cr->leasing && cr->poll.timer_set
        && (ngx_msec_int_t) (cr->poll.timer.key - ngx_current_msec)
           > (ngx_msec_int_t) delay)
    {
        ngx_add_timer(&cr->poll, delay + 1);
    }
}
