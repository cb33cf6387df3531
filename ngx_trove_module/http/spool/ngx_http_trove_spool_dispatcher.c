
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_spool_dispatcher.h"
#include "ngx_http_trove_spool_job.h"
#include "ngx_http_trove_spool_queue.h"
#include "ngx_http_trove_spool_writer.h"
#include "ngx_trove_spool_subscription.h"


/* the maximum interval between requests for due deliveries, milliseconds */
#define NGX_HTTP_TROVE_DISPATCHER_POLL   1000

/* the maximum number and bytes of deliveries leased at once */
#define NGX_HTTP_TROVE_DISPATCHER_MAX    512
#define NGX_HTTP_TROVE_DISPATCHER_BYTES  (16 * 1024 * 1024)


/* a target of this worker */
typedef struct {
    ngx_http_trove_route_t            *route;
    ngx_uint_t                         index;
    ngx_uint_t                         next;   /* with the same hash, plus 1 */
} ngx_http_trove_dispatcher_want_t;


typedef struct {
    ngx_array_t                       *routes; /* ngx_http_trove_route_t * */

    /*
     * All targets, at route->first plus the index, and a hash table of them.
     * Read by the thread of the writer, so they are not changed.
     */
    ngx_trove_spool_want_t            *wants;
    ngx_http_trove_dispatcher_want_t  *wanted;
    ngx_uint_t                         nwants;
    ngx_uint_t                        *buckets;  /* an index in wants, plus 1 */
    ngx_uint_t                         nbuckets;

    /* the lease in progress; one at a time */
    ngx_http_trove_write_t             lease;
    ngx_trove_spool_leased_t           leased[NGX_HTTP_TROVE_DISPATCHER_MAX];
} ngx_http_trove_dispatcher_t;


static ngx_int_t ngx_http_trove_dispatcher_targets(ngx_cycle_t *cycle);
static ngx_uint_t ngx_http_trove_dispatcher_hash(
    ngx_trove_spool_target_t *target);
static ngx_uint_t ngx_http_trove_dispatcher_find(void *data,
    ngx_trove_spool_target_t *target);
static void ngx_http_trove_dispatcher_poll(ngx_event_t *ev);
static void ngx_http_trove_dispatcher_leased(ngx_http_trove_write_t *write);
static ngx_http_trove_queue_target_t *ngx_http_trove_dispatcher_target(
    ngx_trove_spool_leased_t *leased);
static void ngx_http_trove_dispatcher_send(ngx_http_trove_route_t *route,
    ngx_trove_spool_leased_t *leased, ngx_http_trove_queue_target_t **t,
    ngx_uint_t n);


/* of this process */
static ngx_http_trove_dispatcher_t  ngx_http_trove_dispatcher;


ngx_int_t
ngx_http_trove_dispatcher_init(ngx_cycle_t *cycle, ngx_array_t *routes)
{
    ngx_http_trove_dispatcher_t  *d;

    d = &ngx_http_trove_dispatcher;

    ngx_memzero(d, sizeof(ngx_http_trove_dispatcher_t));

    d->routes = routes;

    if (ngx_http_trove_queue_init(cycle, routes, ngx_http_trove_dispatcher_poll)
        != NGX_OK
        || ngx_http_trove_dispatcher_targets(cycle) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_trove_job_init(cycle);
    ngx_http_trove_queue_poll(0);

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_dispatcher_targets(ngx_cycle_t *cycle)
{
    ngx_uint_t                         i, k, n, *bucket;
    ngx_trove_spool_want_t            *want;
    ngx_http_trove_route_t           **route;
    ngx_http_trove_target_t          **target;
    ngx_http_trove_dispatcher_t       *d;
    ngx_http_trove_dispatcher_want_t  *wanted;

    d = &ngx_http_trove_dispatcher;
    route = d->routes->elts;

    for (i = 0; i < d->routes->nelts; i++) {
        d->nwants += route[i]->targets->nelts;
    }

    n = d->nwants + 1;

    d->nbuckets = n;
    d->buckets = ngx_pcalloc(cycle->pool, n * sizeof(ngx_uint_t));
    d->wants = ngx_pcalloc(cycle->pool, n * sizeof(ngx_trove_spool_want_t));
    d->wanted = ngx_palloc(cycle->pool,
                           n * sizeof(ngx_http_trove_dispatcher_want_t));

    if (d->buckets == NULL || d->wants == NULL || d->wanted == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < d->routes->nelts; i++) {
        target = route[i]->targets->elts;

        for (k = 0; k < route[i]->targets->nelts; k++) {
            n = route[i]->first + k;

            want = &d->wants[n];

            want->target.route = route[i]->name;
            want->target.name = target[k]->name;
            want->limit = ngx_http_trove_queue_capacity(
                                     ngx_http_trove_queue_target(route[i], k),
                                     &want->retries);
            want->delay_max = route[i]->retries[k]->max;

            bucket = &d->buckets[ngx_http_trove_dispatcher_hash(&want->target)];

            wanted = &d->wanted[n];

            wanted->route = route[i];
            wanted->index = k;
            wanted->next = *bucket;

            *bucket = n + 1;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_trove_dispatcher_hash(ngx_trove_spool_target_t *target)
{
    size_t      i;
    ngx_uint_t  hash;

    hash = ngx_hash_key(target->route.data, target->route.len);

    for (i = 0; i < target->name.len; i++) {
        hash = ngx_hash(hash, target->name.data[i]);
    }

    return hash % ngx_http_trove_dispatcher.nbuckets;
}


/* called by a thread */

static ngx_uint_t
ngx_http_trove_dispatcher_find(void *data, ngx_trove_spool_target_t *target)
{
    ngx_http_trove_dispatcher_t *d = data;

    ngx_uint_t                 n;
    ngx_trove_spool_target_t  *t;

    for (n = d->buckets[ngx_http_trove_dispatcher_hash(target)];
         n;
         n = d->wanted[n - 1].next)
    {
        t = &d->wants[n - 1].target;

        if (t->name.len == target->name.len
            && t->route.len == target->route.len
            && ngx_memcmp(t->name.data, target->name.data, t->name.len) == 0
            && ngx_memcmp(t->route.data, target->route.data, t->route.len)
               == 0)
        {
            return n - 1;
        }
    }

    return d->nwants;
}


static void
ngx_http_trove_dispatcher_poll(ngx_event_t *ev)
{
    ngx_uint_t                    n;
    ngx_trove_spool_lease_t      *lease;
    ngx_trove_spool_limit_t      *limits;
    ngx_http_trove_dispatcher_t  *d;

    d = &ngx_http_trove_dispatcher;

    /* an exiting worker releases deliveries that have not begun */

    if (ngx_exiting) {
        ngx_http_trove_queue_release();
        return;
    }

    if (ngx_terminate || ngx_http_trove_queue_ask() != NGX_OK) {
        return;
    }

    limits = ngx_http_trove_queue_limits(&n);

    if (limits == NULL) {
        (void) ngx_http_trove_queue_asked();

        ngx_http_trove_queue_poll(NGX_HTTP_TROVE_DISPATCHER_POLL);
        return;
    }

    ngx_memzero(&d->lease, sizeof(ngx_http_trove_write_t));

    d->lease.handler = ngx_http_trove_dispatcher_leased;
    d->lease.op.type = NGX_TROVE_SPOOL_OP_LEASE;

    lease = &d->lease.op.u.lease;
    lease->wants = d->wants;
    lease->nwants = d->nwants;
    lease->find = ngx_http_trove_dispatcher_find;
    lease->data = d;
    lease->limits = limits;
    lease->nlimits = n;
    lease->max = NGX_HTTP_TROVE_DISPATCHER_MAX;
    lease->max_bytes = NGX_HTTP_TROVE_DISPATCHER_BYTES;
    lease->lease = NGX_HTTP_TROVE_QUEUE_LEASE;
    lease->leased = d->leased;

    ngx_http_trove_writer_post(&d->lease);
}


static void
ngx_http_trove_dispatcher_leased(ngx_http_trove_write_t *write)
{
    ngx_msec_t                         next;
    ngx_uint_t                         i, k, n, last, more, woken;
    ngx_http_trove_route_t            *route;
    ngx_trove_spool_lease_t           *lease;
    ngx_trove_spool_leased_t          *leased;
    ngx_trove_spool_leased_t           same[NGX_HTTP_TROVE_DISPATCHER_MAX];
    ngx_http_trove_queue_target_t     *t[NGX_HTTP_TROVE_DISPATCHER_MAX];
    ngx_http_trove_queue_target_t     *targets[NGX_HTTP_TROVE_DISPATCHER_MAX];
    ngx_http_trove_dispatcher_want_t  *wanted;

    lease = &write->op.u.lease;
    leased = lease->leased;
    wanted = ngx_http_trove_dispatcher.wanted;

    ngx_free(lease->limits);

    woken = ngx_http_trove_queue_asked();
    next = NGX_HTTP_TROVE_DISPATCHER_POLL;

    if (write->op.result == NGX_TROVE_SPOOL_DONE) {

        /* a delivery may end at once, and its subscription leave the queue */

        more = 0;

        for (i = 0; i < lease->n; i++) {
            targets[i] = ngx_http_trove_dispatcher_target(&leased[i]);
        }

        for (i = 0; i < lease->n; i++) {

            /* the rest is requested now, or when there is capacity */

            if (leased[i].more && targets[i]) {
                more |= ngx_http_trove_queue_more(targets[i]);
            }
        }

        for (i = 0; i < lease->n; i++) {

            if (leased[i].event == NULL) {
                continue;
            }

            /* the deliveries of an event share its request */

            route = wanted[leased[i].want].route;
            same[0] = leased[i];
            t[0] = targets[i];
            n = 1;

            /* one delivery to a target, but many to its subscriptions */

            last = (lease->nwants > 1 || leased[i].subscriber) ? lease->n : 0;

            for (k = i + 1; k < last; k++) {

                if (leased[k].event == leased[i].event
                    && wanted[leased[k].want].route == route)
                {
                    same[n] = leased[k];
                    t[n++] = targets[k];
                    leased[k].event = NULL;
                }
            }

            ngx_http_trove_dispatcher_send(route, same, t, n);
        }

        if (lease->n == lease->max || woken || more) {
            next = 0;

        } else if (lease->next >= 0
                   && lease->next < NGX_HTTP_TROVE_DISPATCHER_POLL)
        {
            next = lease->next + 1;
        }
    }

    /* the timer is not set during a lease, so the exit is checked here */

    if (ngx_exiting) {
        ngx_http_trove_queue_release();
        return;
    }

    ngx_http_trove_queue_poll(next);
}


/* reserves capacity for a leased delivery; NULL: out of memory */

static ngx_http_trove_queue_target_t *
ngx_http_trove_dispatcher_target(ngx_trove_spool_leased_t *leased)
{
    ngx_trove_spool_subscriber_t      *subscriber;
    ngx_http_trove_queue_target_t     *t;
    ngx_http_trove_dispatcher_want_t  *wanted;

    wanted = &ngx_http_trove_dispatcher.wanted[leased->want];

    t = ngx_http_trove_queue_target(wanted->route, wanted->index);

    subscriber = leased->subscriber;

    if (subscriber) {
        t = ngx_http_trove_queue_subscription(t, &subscriber->id,
                                              subscriber->failures != 0);
        if (t == NULL) {
            return NULL;
        }
    }

    /* replays count as retries: many of them do not delay new events */

    ngx_http_trove_queue_add(t, leased->attempt > 1);

    return t;
}


/* n leased deliveries of one event to targets of a route */

static void
ngx_http_trove_dispatcher_send(ngx_http_trove_route_t *route,
    ngx_trove_spool_leased_t *leased, ngx_http_trove_queue_target_t **t,
    ngx_uint_t n)
{
    ngx_uint_t                         i, k;
    ngx_http_trove_job_t              *job;
    ngx_trove_spool_event_t           *event;
    ngx_http_trove_dispatcher_want_t  *wanted;

    wanted = ngx_http_trove_dispatcher.wanted;
    event = leased[0].event;

    job = ngx_http_trove_job_create(route, event, n);

    for (i = 0, k = 0; i < n; i++) {

        if (job && t[i]
            && ngx_http_trove_job_add(job, wanted[leased[i].want].index, t[i],
                                      leased[i].subscriber, &leased[i].ref,
                                      leased[i].attempt, leased[i].nth,
                                      leased[i].age)
               == NGX_OK)
        {
            k++;
            continue;
        }

        ngx_http_trove_job_release(t[i], &leased[i].ref,
                                   leased[i].attempt > 1);
        ngx_trove_spool_subscriber_free(leased[i].subscriber);

    }

    if (job == NULL) {

        for (i = 0; i < n; i++) {
            ngx_trove_spool_event_free(event);
        }

        return;
    }

    /* the job has the references to the event, one for each of its attempts */

    for (i = k; i < n; i++) {
        ngx_trove_spool_event_free(event);
    }

    ngx_http_trove_job_own(job, event, NULL);
    ngx_http_trove_job_start(job);
}


void
ngx_http_trove_dispatcher_take(ngx_http_trove_route_t *route,
    ngx_trove_spool_event_t *event, ngx_trove_spool_start_t *starts,
    ngx_uint_t *indices, ngx_uint_t n)
{
    u_char                         *p;
    size_t                          size;
    ngx_str_t                      *s;
    ngx_uint_t                      i;
    ngx_http_trove_job_t           *job;
    ngx_trove_spool_event_t        *copy;
    ngx_http_trove_queue_target_t  *t;

    if (n == 0) {
        return;
    }

    size = sizeof(ngx_trove_spool_event_t) + event->id.len + event->host.len
           + event->uri.len + event->content_type.len + event->body.len;

    job = NULL;

    copy = ngx_alloc(size, ngx_cycle->log);

    if (copy) {
        *copy = *event;
        p = (u_char *) (copy + 1);

#define ngx_http_trove_dispatcher_copy(member)                                \
        s = &copy->member;                                                    \
        if (s->len) {                                                         \
            ngx_memcpy(p, s->data, s->len);                                   \
            s->data = p;                                                      \
            p += s->len;                                                      \
        }

        ngx_http_trove_dispatcher_copy(id);
        ngx_http_trove_dispatcher_copy(host);
        ngx_http_trove_dispatcher_copy(uri);
        ngx_http_trove_dispatcher_copy(content_type);
        ngx_http_trove_dispatcher_copy(body);

        job = ngx_http_trove_job_create(route, copy, n);
    }

    if (job == NULL) {

        for (i = 0; i < n; i++) {
            t = ngx_http_trove_queue_target(route, indices[i]);

            ngx_http_trove_job_release(t, &starts[i].ref, 0);
        }

        if (copy) {
            ngx_free(copy);
        }

        return;
    }

    ngx_http_trove_job_own(job, NULL, copy);

    for (i = 0; i < n; i++) {
        t = ngx_http_trove_queue_target(route, indices[i]);

        /* this cannot fail for a configured target */

        (void) ngx_http_trove_job_add(job, indices[i], t, NULL, &starts[i].ref,
                                      1, 1, 0);
    }

    ngx_http_trove_job_start(job);
}
