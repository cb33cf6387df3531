
/*
 * Copyright (C) the ngx_trove_module authors
 */


/*
 * Measures subscriptions in core/spool: the cost of an event, and the time that
 * the calls of the management API take with many deliveries.
 *
 *     spool_subscribe directory subscriptions deliveries
 *
 * Files with no, with one and with many subscriptions are compared in turn.
 * Figures are medians of rounds, and are printed as JSON.
 */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <ngx_config.h>
#include <ngx_core.h>

#include "spool_bench.h"


#define BENCH_ROUNDS      9
#define BENCH_BATCH       64
#define BENCH_BATCHES     20
#define BENCH_MATCHES     1000
#define BENCH_CALLS       300


typedef enum {
    BENCH_NONE = 0,
    BENCH_ONE,
    BENCH_SPREAD,
    BENCH_CROWDED,
    BENCH_FILES
} bench_file_e;


static void bench_subscribe(ngx_trove_spool_t *spool, ngx_uint_t n,
    const char *namespace, const char *pattern);
static ngx_trove_spool_t *bench_file(const char *directory, bench_file_e file);
static double bench_accept(ngx_trove_spool_t *spool, ngx_uint_t matches);
static void bench_ratios(const char *directory);
static void bench_matches(const char *directory);
static void bench_fill(ngx_trove_spool_t *spool);
static void bench_call(ngx_trove_spool_t *spool, ngx_uint_t call);
static void bench_calls(ngx_trove_spool_t *spool);


static ngx_str_t  bench_workspace = ngx_string("ws-4f6a1c0e");
static ngx_str_t  bench_namespace = ngx_string("customer-acme");

static ngx_uint_t  bench_many;
static ngx_uint_t  bench_deliveries;

static const char  *bench_files[] = { "none", "one", "spread", "crowded" };

static const char  *bench_call_names[] = {
    "a page of subscriptions", "a page of subscriptions of a namespace",
    "one subscription", "a page of the audit log of a namespace",
    "a page of events", "a page of events of a namespace", "a page of a feed",
    "a page of deliveries", "a page of deliveries that failed",
    "a page of deliveries to a target", "one delivery", "counters"
};

#define BENCH_CALL_MAX  (sizeof(bench_call_names) / sizeof(char *))


static void
bench_subscribe(ngx_trove_spool_t *spool, ngx_uint_t n, const char *namespace,
    const char *pattern)
{
    char                            id[32];
    ngx_str_t                       events;
    ngx_trove_spool_actor_t         actor;
    ngx_trove_spool_subscription_t  sub;

    memset(&sub, 0, sizeof(sub));

    sub.id.data = (u_char *) id;
    sub.id.len = sprintf(id, "wh-%08x", (unsigned) n);
    sub.workspace = bench_workspace;
    sub.namespace.data = (u_char *) namespace;
    sub.namespace.len = strlen(namespace);

    events.data = (u_char *) pattern;
    events.len = strlen(pattern);

    sub.events = &events;
    sub.nevents = 1;
    sub.enabled = 1;

    ngx_str_set(&sub.url, "https://hooks.example.com/trove");
    ngx_str_set(&sub.secret, "sealed");

    ngx_str_set(&actor.actor, "bench");
    ngx_str_set(&actor.detail, "created");

    if (ngx_trove_spool_subscribe(spool, &sub, &actor, &bench_error)
        != NGX_OK)
    {
        bench_die("subscribe");
    }
}


static ngx_trove_spool_t *
bench_file(const char *directory, bench_file_e file)
{
    char                name[32];
    ngx_uint_t          i;
    ngx_trove_spool_t  *spool;

    snprintf(bench_path, sizeof(bench_path), "%s/spool_subscribe%u.db",
             directory, (unsigned) file);

    bench_remove();
    spool = bench_open();

    if (file == BENCH_NONE) {
        return spool;
    }

    bench_subscribe(spool, 0, (char *) bench_namespace.data, "file.*");

    for (i = 1; file != BENCH_ONE && i < bench_many; i++) {

        if (file == BENCH_CROWDED && i < bench_many * 3 / 10) {
            sprintf(name, "exec.%u*", (unsigned) i);
            bench_subscribe(spool, i, (char *) bench_namespace.data, name);

        } else {
            sprintf(name, "customer-%u", (unsigned) i);
            bench_subscribe(spool, i, name, "*");
        }
    }

    return spool;
}


/* processor time of an event, microseconds */

static double
bench_accept(ngx_trove_spool_t *spool, ngx_uint_t matches)
{
    double                 cpu;
    ngx_uint_t             i, n;
    ngx_trove_spool_op_t  *ops;

    static bench_event_t  events[BENCH_BATCH];

    cpu = 0;

    for (n = 0; n < BENCH_BATCHES; n++) {
        ops = NULL;

        for (i = 0; i < BENCH_BATCH; i++) {
            bench_event(&events[i], 1, 0, 0);
            events[i].op.u.accept.subscribed = 1;
            events[i].op.next = ops;
            ops = &events[i].op;
        }

        cpu -= bench_cpu();
        bench_write(spool, ops);
        cpu += bench_cpu();

        for (i = 0; i < BENCH_BATCH; i++) {

            if (events[i].op.result != NGX_TROVE_SPOOL_DONE
                || events[i].op.u.accept.nsubscribed != matches)
            {
                fprintf(stderr, "an event matches %u subscriptions\n",
                        (unsigned) events[i].op.u.accept.nsubscribed);
                exit(1);
            }
        }
    }

    return cpu * 1e6 / (BENCH_BATCHES * BENCH_BATCH);
}


static void
bench_ratios(const char *directory)
{
    double              us[BENCH_FILES][BENCH_ROUNDS];
    double              ratio[BENCH_FILES][BENCH_ROUNDS];
    ngx_uint_t          i, f, round;
    ngx_trove_spool_t  *spool[BENCH_FILES];

    for (f = 0; f < BENCH_FILES; f++) {
        spool[f] = bench_file(directory, f);
        (void) bench_accept(spool[f], f != BENCH_NONE);
    }

    for (round = 0; round < BENCH_ROUNDS; round++) {

        for (i = 0; i < BENCH_FILES; i++) {
            f = (round + i) % BENCH_FILES;
            us[f][round] = bench_accept(spool[f], f != BENCH_NONE);
        }

        for (f = 0; f < BENCH_FILES; f++) {
            ratio[f][round] = us[f][round] / us[BENCH_ONE][round];
        }
    }

    for (f = 0; f < BENCH_FILES; f++) {
        printf(", \"%s\": { \"us\": %.2f, \"ratio\": %.3f }", bench_files[f],
               bench_quantile(us[f], BENCH_ROUNDS, 0.5),
               bench_quantile(ratio[f], BENCH_ROUNDS, 0.5));
    }

    for (f = 0; f < BENCH_FILES; f++) {
        if (f != BENCH_CROWDED) {
            ngx_trove_spool_destroy(spool[f]);
        }
    }

    bench_fill(spool[BENCH_CROWDED]);
    bench_calls(spool[BENCH_CROWDED]);

    ngx_trove_spool_destroy(spool[BENCH_CROWDED]);

    for (f = 0; f < BENCH_FILES; f++) {
        snprintf(bench_path, sizeof(bench_path), "%s/spool_subscribe%u.db",
                 directory, (unsigned) f);
        bench_remove();
    }
}


/* an event that matches many subscriptions, in one transaction */

static void
bench_matches(const char *directory)
{
    double              begin, times[BENCH_ROUNDS];
    ngx_uint_t          i;
    bench_event_t       event;
    ngx_trove_spool_t  *spool;

    spool = bench_file(directory, BENCH_NONE);

    for (i = 0; i < BENCH_MATCHES; i++) {
        bench_subscribe(spool, i, (char *) bench_namespace.data, "file.*");
    }

    for (i = 0; i < BENCH_ROUNDS; i++) {
        bench_event(&event, 1, 0, 0);
        event.op.u.accept.subscribed = 1;

        begin = bench_time();
        bench_write(spool, &event.op);
        times[i] = (bench_time() - begin) * 1e3;

        if (i == 0) {
            printf("\"first\": %.2f", times[0]);
        }
    }

    printf(", \"next\": %.2f",
           bench_quantile(times + 1, BENCH_ROUNDS - 1, 0.5));

    ngx_trove_spool_destroy(spool);
    bench_remove();
}


static void
bench_fill(ngx_trove_spool_t *spool)
{
    ngx_uint_t             i, n;
    ngx_trove_spool_op_t  *ops;

    static bench_event_t  events[256];

    for (n = 0; n < bench_deliveries / 2; n += 256) {
        ops = NULL;

        for (i = 0; i < 256; i++) {
            bench_event(&events[i], 1, n % 512 ? 1 : 0, 0);
            events[i].op.u.accept.subscribed = 1;
            events[i].op.next = ops;
            ops = &events[i].op;
        }

        bench_write(spool, ops);
    }
}


static void
bench_call(ngx_trove_spool_t *spool, ngx_uint_t call)
{
    char                      id[32], ns[32];
    void                     *result;
    ngx_str_t                 name, own;
    ngx_trove_spool_feed_t   *feed;
    ngx_trove_spool_scope_t   scope, in;
    ngx_trove_spool_filter_t  filter;

    memset(&filter, 0, sizeof(filter));
    memset(&scope, 0, sizeof(scope));

    scope.workspace = bench_workspace;
    in = scope;

    own.data = (u_char *) ns;
    own.len = sprintf(ns, "customer-%u", (unsigned) (bench_many * 3 / 10
                      + bench_random() % (bench_many - bench_many * 3 / 10)));
    in.namespace = own;

    name.data = (u_char *) id;
    name.len = sprintf(id, "wh-%08x", (unsigned) (bench_random() % bench_many));

    switch (call) {

    case 0:
        result = ngx_trove_spool_subscriptions(spool, &scope, NULL,
                                               bench_random() % bench_many,
                                               100, &bench_error);
        break;

    case 1:
        result = ngx_trove_spool_subscriptions(spool, &in, NULL, 0, 100,
                                               &bench_error);
        break;

    case 2:
        result = ngx_trove_spool_subscriptions(spool, &scope, &name, 0, 1,
                                               &bench_error);
        break;

    case 3:
        result = ngx_trove_spool_audit(spool, &in, 0, 100, &bench_error);
        break;

    case 4:
    case 5:
        filter.workspace = bench_workspace;
        filter.namespaces = &own;
        filter.nnamespaces = (call == 5);
        result = ngx_trove_spool_events(spool, &filter, 0, 100, 1048576,
                                        &bench_error);
        break;

    case 6:
        feed = calloc(1, sizeof(ngx_trove_spool_feed_t));

        if (feed == NULL) {
            bench_die("calloc");
        }

        feed->filter = &filter;
        feed->limit = 100;
        feed->max_bytes = 1048576;

        while (ngx_trove_spool_feed(spool, feed, &bench_error) == NGX_AGAIN) {
            /* void */
        }

        result = feed->page;
        free(feed);
        break;

    case 7:
    case 8:
    case 9:
        filter.states = (call == 8) ? 1 << NGX_TROVE_SPOOL_FAILED : 0;

        if (call == 9) {
            filter.target = bench_names[0];
        }

        result = ngx_trove_spool_deliveries(spool, &filter, 0, 100,
                                            &bench_error);
        break;

    case 10:
        result = ngx_trove_spool_delivery(spool,
                                         1 + bench_random() % bench_deliveries,
                                         &bench_error);
        break;

    default:
        result = ngx_trove_spool_stat(spool, &bench_error);
    }

    if (result == NULL) {
        bench_die(bench_call_names[call]);
    }

    ngx_trove_spool_free(result);
}


static void
bench_calls(ngx_trove_spool_t *spool)
{
    double      begin;
    ngx_uint_t  call, i;

    static double  times[BENCH_CALLS];

    printf(", \"calls\": [");

    for (call = 0; call < BENCH_CALL_MAX; call++) {

        for (i = 0; i < BENCH_CALLS; i++) {
            begin = bench_time();
            bench_call(spool, call);
            times[i] = (bench_time() - begin) * 1e3;
        }

        (void) bench_quantile(times, BENCH_CALLS, 0.5);

        printf("%s{ \"name\": \"%s\", \"p50\": %.3f, \"p99\": %.3f }",
               call ? ", " : "", bench_call_names[call], times[BENCH_CALLS / 2],
               times[BENCH_CALLS * 99 / 100]);
    }

    printf("]");
}


int
main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s directory subscriptions deliveries\n",
                argv[0]);
        return 2;
    }

    bench_many = atoi(argv[2]);
    bench_deliveries = atoi(argv[3]);

    printf("{ ");

    bench_matches(argv[1]);
    bench_ratios(argv[1]);

    printf(" }\n");

    return 0;
}
