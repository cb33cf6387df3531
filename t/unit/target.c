
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include "tap.h"


/* a macro of NGINX, to count what is freed */

static void drop(void *p);

#undef ngx_free
#define ngx_free  drop


#include "ngx_http_trove_health.c"
#include "ngx_http_trove_limit.c"
#include "ngx_http_trove_metrics_target.c"
#include "ngx_http_trove_target.c"


/*
 * Targets that are made and dropped at run time, with their limits, health and
 * counters.  The few functions of NGINX that they call are below.
 */


#define SLOTS  64
#define HELD   (SLOTS / NGX_TROVE_SLOTS_HELD)


ngx_pid_t            ngx_pid;
ngx_uint_t           ngx_worker;
ngx_queue_t          ngx_posted_events;
ngx_module_t         ngx_http_core_module;
ngx_module_t         ngx_http_trove_fanout_module;
ngx_rbtree_t         ngx_event_timer_rbtree;
volatile ngx_msec_t  ngx_current_msec;

static int                              blocks;
static int                              locks;
static int                              turns;
static ngx_log_t                        quiet;
static ngx_shm_zone_t                   shm_zone;
static ngx_slab_pool_t                  slab;
static ngx_http_trove_target_t          base;
static ngx_http_trove_health_zone_t     health_zone;
static ngx_http_trove_metrics_target_t  base_metrics;


void *
ngx_alloc(size_t size, ngx_log_t *log)
{
    blocks++;

    /* what is not set is seen */

    return memset(malloc(size), 0x5a, size);
}


void *
ngx_calloc(size_t size, ngx_log_t *log)
{
    return memset(ngx_alloc(size, log), 0, size);
}


static void
drop(void *p)
{
    blocks--;
    free(p);
}


void
ngx_shmtx_lock(ngx_shmtx_t *mtx)
{
    locks++;
}


void
ngx_shmtx_unlock(ngx_shmtx_t *mtx)
{
    locks--;
}


void
ngx_rbtree_insert(ngx_rbtree_t *tree, ngx_rbtree_node_t *node)
{
}


void
ngx_rbtree_delete(ngx_rbtree_t *tree, ngx_rbtree_node_t *node)
{
}


u_char *
ngx_http_trove_metrics_label_add(u_char *p, const char *name, ngx_str_t *value,
    ngx_uint_t comma)
{
    return p + sprintf((char *) p, "%s%s=\"%.*s\"", comma ? "," : "", name,
                       (int) value->len, value->data);
}


ngx_shm_zone_t *
ngx_http_trove_shm_find(ngx_cycle_t *cycle, ngx_str_t *name, void *tag)
{
    return &shm_zone;
}


ngx_pool_cleanup_t *
ngx_pool_cleanup_add(ngx_pool_t *pool, size_t size)
{
    ngx_pool_cleanup_t  *cln;

    cln = calloc(1, sizeof(ngx_pool_cleanup_t));
    cln->next = pool->cleanup;
    pool->cleanup = cln;

    return cln;
}


static void
destroy(ngx_pool_t *pool)
{
    ngx_pool_cleanup_t  *cln;

    while (pool->cleanup) {
        cln = pool->cleanup;
        pool->cleanup = cln->next;
        cln->handler(cln->data);
        free(cln);
    }
}


/* for the configuration, which is not tested here */

#define unused(type, name, args)                                              \
    type name args { abort(); }

unused(void *, ngx_pcalloc, (ngx_pool_t *pool, size_t size))
unused(void *, ngx_pnalloc, (ngx_pool_t *pool, size_t size))
unused(void *, ngx_palloc, (ngx_pool_t *pool, size_t size))
unused(void *, ngx_array_push, (ngx_array_t *a))
unused(void *, ngx_slab_alloc, (ngx_slab_pool_t *pool, size_t size))
unused(u_char *, ngx_sprintf, (u_char *buf, const char *fmt, ...))
unused(void, ngx_log_error_core, (ngx_uint_t level, ngx_log_t *log,
       ngx_err_t err, const char *fmt, ...))
unused(ngx_shm_zone_t *, ngx_shared_memory_add, (ngx_conf_t *cf,
       ngx_str_t *name, size_t size, void *tag))
unused(ngx_int_t, ngx_http_complex_value, (ngx_http_request_t *r,
       ngx_http_complex_value_t *val, ngx_str_t *value))


static void *
shared(size_t size)
{
    void  *p;

    if (posix_memalign(&p, 64, size) != 0) {
        exit(1);
    }

    return memset(p, 0xa5, size);
}


static void
setup(void)
{
    u_char              *seen;
    ngx_str_t            name;
    ngx_trove_gauges_t  *gauges;

    ngx_pid = getpid();
    ngx_queue_init(&ngx_posted_events);

    health_zone.table = ngx_trove_health_create(
                            shared(ngx_trove_health_size(SLOTS)), SLOTS);
    health_zone.n = SLOTS;
    shm_zone.data = &health_zone;
    shm_zone.shm.addr = (u_char *) &slab;

    ngx_http_trove_health_init(NULL);

    ngx_str_set(&name, "base");
    ngx_str_set(&base_metrics.labels, "location=\"/\",target=\"base\"");
    base_metrics.name = name;
    base_metrics.prefix = sizeof("location=\"/\"") - 1;

    gauges = ngx_trove_gauges_create(
                 shared(ngx_trove_gauges_size(SLOTS
                                              * NGX_HTTP_TROVE_TARGET_GAUGES)),
                 SLOTS * NGX_HTTP_TROVE_TARGET_GAUGES);
    seen = calloc(1, SLOTS);

    ngx_http_trove_metrics_target_find(&base_metrics,
        ngx_trove_metrics_create(shared(ngx_trove_metrics_size(SLOTS)), SLOTS),
        gauges, &slab, seen, &quiet);

    free(seen);

    base.name = name;
    base.metrics = &base_metrics;
    base.health = ngx_trove_health_find(health_zone.table, &name);
    ngx_http_trove_limit_init(&base.limit, 2, 10, 1000);
}


static ngx_http_trove_target_t *
make(const char *prefix, int i)
{
    char       buf[64];
    ngx_str_t  name;

    name.data = (u_char *) buf;
    name.len = sprintf(buf, "%s%d", prefix, i);

    return ngx_http_trove_target_create(&base, &name, &quiet);
}


static uint64_t
delivered(ngx_http_trove_target_t *target)
{
    return ngx_trove_metrics_sum(target->metrics->set,
                                 NGX_HTTP_TROVE_TARGET_METRIC_OUTCOME
                                 + NGX_HTTP_TROVE_OUTCOME_DELIVERED);
}


static void
deliver(ngx_http_trove_target_t *target)
{
    ngx_http_trove_metrics_target_done(target->metrics, 200, NULL, 0);
}


static void
apart(void)
{
    uint64_t                  time, failures;
    ngx_http_trove_target_t  *a, *b, *again;

    a = make("a", 1);
    b = make("b", 1);

    tap_is_mem(a->name.data, a->name.len, "a1", 2, "a target has its name");
    tap_is_mem(a->metrics->labels.data, a->metrics->labels.len,
               "location=\"/\",target=\"a1\"", 24,
               "and the labels of its location with that");

    deliver(&base);
    deliver(a);
    deliver(a);
    deliver(b);

    tap_ok(delivered(&base) == 1 && delivered(a) == 2 && delivered(b) == 1,
           "each has counters of its own");

    tap_ok(ngx_trove_health_failed(a->health, 1), "one fails");
    tap_ok(!ngx_trove_health_works(b->health, 2, &time, &failures)
           && !ngx_trove_health_works(base.health, 2, &time, &failures),
           "the others do not");

    again = make("a", 1);
    tap_ok(again != a && again->health == a->health && delivered(again) == 2,
           "another one with that name has its health and counters");

    ngx_http_trove_target_unref(a);
    tap_ok(again->health->since == 1 && delivered(again) == 2,
           "which are still there without the first one");

    ngx_http_trove_target_unref(again);
    tap_ok(delivered(b) == 1 && delivered(&base) == 1,
           "dropping one loses no counter of another");

    a = make("a", 1);
    tap_ok(a->health->since == 0 && delivered(a) == 0,
           "one made later begins anew");

    ngx_http_trove_target_unref(a);
    ngx_http_trove_target_unref(b);

    tap_is(blocks, 0, "all are freed");
    tap_is(locks, 0, "and no lock is left");
}


static void
turn(ngx_http_trove_waiter_t *waiter, ngx_uint_t timedout)
{
    turns++;
}


static void
run_posted(void)
{
    ngx_queue_t  *q;
    ngx_event_t  *ev;

    while (!ngx_queue_empty(&ngx_posted_events)) {
        q = ngx_queue_head(&ngx_posted_events);
        ev = ngx_queue_data(q, ngx_event_t, queue);
        ngx_delete_posted_event(ev);
        ev->handler(ev);
    }
}


/* the references of two requests outlive that of whoever made the target */

static void
limits(void)
{
    int                       i;
    ngx_int_t                 rc[4];
    ngx_pool_t                pools[2];
    ngx_connection_t          c;
    ngx_http_trove_target_t  *a, *b;
    ngx_http_trove_waiter_t   waiters[4], other;

    memset(&c, 0, sizeof(c));
    memset(pools, 0, sizeof(pools));
    memset(waiters, 0, sizeof(waiters));
    memset(&other, 0, sizeof(other));
    c.log = &quiet;

    a = make("a", 1);
    b = make("b", 1);

    tap_is(ngx_http_trove_target_max_inflight(a), 2, "the limit of its base");

    for (i = 0; i < 4; i++) {
        rc[i] = ngx_http_trove_limit_enter(&a->limit, &waiters[i], turn, &c);
    }

    tap_ok(rc[0] == NGX_OK && rc[1] == NGX_OK && rc[2] == NGX_AGAIN
           && rc[3] == NGX_AGAIN, "two enter, two wait");
    tap_ok(ngx_http_trove_limit_enter(&b->limit, &other, turn, &c) == NGX_OK,
           "another target has a limit of its own");

    tap_ok(ngx_http_trove_target_hold(a, &pools[0]) == NGX_OK
           && ngx_http_trove_target_hold(a, &pools[1]) == NGX_OK,
           "two requests hold it");

    i = blocks;
    ngx_http_trove_target_unref(a);
    tap_is(blocks, i, "it stays when it is dropped");

    ngx_http_trove_limit_leave(&waiters[0]);
    ngx_http_trove_limit_leave(&waiters[1]);
    run_posted();
    tap_is(turns, 2, "those that wait get their turns");

    destroy(&pools[0]);
    tap_is(blocks, i, "it stays for the second request");

    ngx_http_trove_limit_leave(&waiters[2]);
    ngx_http_trove_limit_leave(&waiters[3]);
    destroy(&pools[1]);
    tap_is(blocks, i - 2, "and is freed, with its metrics, when that ends");

    ngx_http_trove_limit_leave(&other);
    ngx_http_trove_target_unref(b);
    tap_is(blocks, 0, "so is the other one");
}


static void
many(void)
{
    int                       i, counted, own;
    uint64_t                  sum;
    ngx_http_trove_target_t  *targets[1000];

    counted = 0;
    own = 0;

    for (i = 0; i < 1000; i++) {
        targets[i] = make("many", i);
        counted += targets[i]->metrics->set != NULL;
        own += targets[i]->health == &targets[i]->own;

        deliver(targets[i]);
        ngx_http_trove_metrics_target_move(targets[i]->metrics,
                                           NGX_HTTP_TROVE_TARGET_NO_GAUGE,
                                           NGX_HTTP_TROVE_TARGET_WAITING);
        (void) ngx_trove_health_failed(targets[i]->health, i + 1);
    }

    tap_is(counted, HELD, "so many of 1000 targets are counted");
    tap_is(own, 1000 - HELD, "the health of the others is the worker's");

    for (i = 0, sum = 0; i < 1000; i++) {
        sum += targets[i]->health->since == (uint64_t) i + 1;
    }

    tap_is(sum, 1000, "and each has one");

    for (i = 0; i < 1000; i++) {
        ngx_http_trove_metrics_target_move(targets[i]->metrics,
                                           NGX_HTTP_TROVE_TARGET_WAITING,
                                           NGX_HTTP_TROVE_TARGET_NO_GAUGE);
        ngx_http_trove_target_unref(targets[i]);
    }

    tap_is(blocks, 0, "all are freed");

    for (i = 0, counted = 0; i < 10000; i++) {
        targets[0] = make("next", i);
        counted += targets[0]->metrics->set && delivered(targets[0]) == 0;
        deliver(targets[0]);
        ngx_http_trove_target_unref(targets[0]);
    }

    tap_is(counted, 10000, "those that come and go find room each time");
    tap_is(delivered(&base), 1, "the configured one kept its counters");
}


static void
configured(void)
{
    ngx_pool_t  pool;

    memset(&pool, 0, sizeof(pool));

    ngx_http_trove_target_ref(&base);
    ngx_http_trove_target_unref(&base);
    ngx_http_trove_target_unref(&base);

    tap_ok(ngx_http_trove_target_hold(&base, &pool) == NGX_OK
           && pool.cleanup == NULL, "a configured target needs no reference");
}


int
main(void)
{
    setup();
    apart();
    limits();
    many();
    configured();

    return tap_done();
}
