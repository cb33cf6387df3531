
/*
 * Copyright (C) the ngx_trove_module authors
 */


#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "spool_bench.h"


static int bench_compare(const void *one, const void *two);


char                     bench_path[4096];
ngx_trove_spool_error_t  bench_error;

ngx_str_t  bench_names[] = {
    ngx_string("audit"), ngx_string("pipeline"), ngx_string("slack"),
    ngx_string("hanging")
};

ngx_str_t  bench_route = ngx_string("example.com /trove-events");

static u_char  bench_body[BENCH_BODY];


void
bench_die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, bench_error.text);
    exit(1);
}


double
bench_time(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec + ts.tv_nsec / 1e9;
}


double
bench_cpu(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);

    return ts.tv_sec + ts.tv_nsec / 1e9;
}


uint64_t
bench_random(void)
{
    uint64_t  x;

    static uint64_t  seed;

    if (seed == 0) {
        seed = (uint64_t) getpid() << 32 | time(NULL);
    }

    x = (seed += 0x9e3779b97f4a7c15ULL);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;

    return x ^ (x >> 31);
}


static int
bench_compare(const void *one, const void *two)
{
    double  a = *(const double *) one, b = *(const double *) two;

    return (a > b) - (a < b);
}


double
bench_quantile(double *samples, ngx_uint_t n, double q)
{
    if (n == 0) {
        return 0;
    }

    qsort(samples, n, sizeof(double), bench_compare);

    return samples[(ngx_uint_t) ((n - 1) * q)];
}


void
bench_remove(void)
{
    char         name[4200];
    ngx_uint_t   i;

    static const char  *suffixes[] = { "", "-wal", "-shm", "-lock" };

    for (i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "%s%s", bench_path, suffixes[i]);
        (void) unlink(name);
    }
}


ngx_trove_spool_t *
bench_open(void)
{
    ngx_trove_spool_t       *spool;
    ngx_trove_spool_conf_t   conf;

    memset(&conf, 0, sizeof(conf));

    conf.uri.data = (u_char *) bench_path;
    conf.uri.len = strlen(bench_path);
    conf.retention = (int64_t) 7 * 86400 * 1000;
    conf.wait = 10000;

    (void) ngx_trove_spool_register(&ngx_trove_sqlite_engine);

    spool = ngx_trove_spool_create(&conf);

    if (spool == NULL || ngx_trove_spool_open(spool, &bench_error) != NGX_OK) {
        bench_die("open");
    }

    return spool;
}


ngx_trove_spool_op_t *
bench_event(bench_event_t *event, ngx_uint_t targets, ngx_uint_t first,
    ngx_uint_t lease)
{
    uint64_t                    random[2];
    ngx_uint_t                  i;
    ngx_trove_spool_accept_t   *accept;

    memset(&event->op, 0, sizeof(event->op));
    memset(bench_body, 'x', sizeof(bench_body));

    random[0] = bench_random();
    random[1] = bench_random();
    memcpy(event->key, random, sizeof(event->key));

    event->op.type = NGX_TROVE_SPOOL_OP_ACCEPT;
    accept = &event->op.u.accept;

    accept->event.id.data = event->id;
    accept->event.id.len = sprintf((char *) event->id, "evt-%016llx%08llx",
                                   (unsigned long long) random[0],
                                   (unsigned long long) random[1] >> 32);

    ngx_str_set(&accept->event.type, "file.written");
    ngx_str_set(&accept->event.namespace, "customer-acme");
    ngx_str_set(&accept->event.workspace, "ws-4f6a1c0e");
    ngx_str_set(&accept->event.created_at, "2026-11-25T18:00:00.000Z");
    ngx_str_set(&accept->event.host, "example.com");
    ngx_str_set(&accept->event.uri, "/trove-events");
    ngx_str_set(&accept->event.content_type, "application/json");

    accept->event.route = bench_route;
    accept->event.body.data = bench_body;
    accept->event.body.len = sizeof(bench_body);

    accept->key = event->key;
    accept->fd = NGX_INVALID_FILE;
    accept->targets = event->starts;
    accept->ntargets = targets;
    accept->lease = 3600000;

    memset(event->starts, 0, sizeof(event->starts));

    for (i = 0; i < targets; i++) {
        event->starts[i].name = bench_names[first + i];
        event->starts[i].lease = lease;
    }

    return &event->op;
}


void
bench_write(ngx_trove_spool_t *spool, ngx_trove_spool_op_t *ops)
{
    if (ngx_trove_spool_write(spool, ops, NULL, &bench_error) != NGX_OK) {
        bench_die("write");
    }
}
