
/*
 * Copyright (C) the ngx_trove_module authors
 */


/*
 * Measures the operations of core/spool per second, and their duration with a
 * large backlog.  The body of an event has 280 bytes.  Each figure is measured
 * with a new file.  A thread runs the maintenance, as in a worker.
 *
 *     spool_store [directory [seconds [part ..]]]
 *
 * The parts are accept, deliver, two, backlog.  By default, all are run.
 */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <ngx_config.h>
#include <ngx_core.h>

#include <pthread.h>

#include "spool_bench.h"


#define BENCH_BATCH_MAX  256
#define BENCH_BACKLOG    1000000
#define BENCH_SAMPLES    1000000


typedef struct {
    double                   events;             /* a second */
    double                   cpu;                /* of the process, an event */
    double                   p50;                /* of a batch, milliseconds */
    double                   p99;
    double                   max;
} bench_figure_t;


static void bench_disk(const char *directory);
static void *bench_maintain(void *data);
static void bench_start(ngx_trove_spool_t *spool);
static void bench_stop(void);
static bench_figure_t bench_run(ngx_trove_spool_t *spool, ngx_uint_t batch,
    ngx_uint_t targets, ngx_uint_t deliver, double seconds);
static void bench_report(const char *what, ngx_uint_t batch,
    bench_figure_t *figure);
static void bench_accept(void);
static void bench_deliver(void);
static void bench_two(void);
static ngx_uint_t bench_lease(ngx_trove_spool_t *spool, ngx_uint_t target,
    ngx_uint_t max, ngx_trove_spool_leased_t *leased);
static void bench_lease_figure(ngx_trove_spool_t *spool, const char *what,
    ngx_uint_t waiting);
static void bench_drain(ngx_trove_spool_t *spool);
static void bench_backlog(void);
static long bench_memory(void);


static double                    bench_seconds = 3;
static double                   *bench_samples;

static pthread_t                 bench_thread;
static ngx_uint_t                bench_stopping;


static long
bench_memory(void)
{
    long   pages;
    FILE  *f;

    pages = 0;
    f = fopen("/proc/self/statm", "r");

    if (f != NULL) {
        if (fscanf(f, "%*d %ld", &pages) != 1) {
            pages = 0;
        }

        fclose(f);
    }

    return pages * sysconf(_SC_PAGESIZE) / 1024;
}


/* the minimum time of a commit */

static void
bench_disk(const char *directory)
{
    int         fd;
    char        name[4200];
    double      start, begin;
    u_char      block[16384];
    ngx_uint_t  n;

    snprintf(name, sizeof(name), "%s/spool_store.tmp", directory);
    memset(block, 'x', sizeof(block));

    fd = open(name, O_RDWR|O_CREAT|O_TRUNC, 0600);

    if (fd == -1) {
        perror(name);
        exit(1);
    }

    for (n = 0; n < 256; n++) {
        if (pwrite(fd, block, sizeof(block), n * sizeof(block)) == -1) {
            bench_die("pwrite");
        }
    }

    (void) fsync(fd);

    start = bench_time();
    n = 0;

    while (bench_time() - start < 1) {
        begin = bench_time();

        if (pwrite(fd, block, sizeof(block), n % 256 * sizeof(block)) == -1
            || fdatasync(fd) == -1)
        {
            bench_die("fdatasync");
        }

        bench_samples[n++] = (bench_time() - begin) * 1e3;
    }

    printf("fdatasync() after 16 kB: %.2f ms, p99 %.2f ms\n\n",
           bench_quantile(bench_samples, n, 0.5),
           bench_quantile(bench_samples, n, 0.99));

    (void) close(fd);
    (void) unlink(name);
}


static void *
bench_maintain(void *data)
{
    ngx_trove_spool_t             *spool = data;
    ngx_trove_spool_error_t        error;
    ngx_trove_spool_maintained_t   maintained;

    while (!__atomic_load_n(&bench_stopping, __ATOMIC_RELAXED)) {

        if (ngx_trove_spool_maintain(spool, &maintained, &error) != NGX_OK) {
            fprintf(stderr, "maintain: %s\n", error.text);
            exit(1);
        }

        if (!maintained.more) {
            usleep(100000);
        }
    }

    return NULL;
}


static void
bench_start(ngx_trove_spool_t *spool)
{
    bench_stopping = 0;
    pthread_create(&bench_thread, NULL, bench_maintain, spool);
}


static void
bench_stop(void)
{
    __atomic_store_n(&bench_stopping, 1, __ATOMIC_RELAXED);
    pthread_join(bench_thread, NULL);
}


/*
 * Writes batches of events and, if "deliver" is set, the outcomes of the
 * deliveries of the previous batch.
 */

static bench_figure_t
bench_run(ngx_trove_spool_t *spool, ngx_uint_t batch, ngx_uint_t targets,
    ngx_uint_t deliver, double seconds)
{
    double                  start, begin, end, cpu;
    ngx_uint_t              i, j, n, noutcomes;
    bench_figure_t          figure;
    ngx_trove_spool_op_t   *ops, *outcome;

    static bench_event_t         events[BENCH_BATCH_MAX];
    static ngx_trove_spool_op_t  outcomes[BENCH_BATCH_MAX * BENCH_TARGETS];

    n = 0;
    noutcomes = 0;
    cpu = bench_cpu();
    start = bench_time();
    end = start;

    while (end - start < seconds && n < BENCH_SAMPLES) {

        ops = NULL;

        for (i = 0; i < noutcomes; i++) {
            outcomes[i].next = ops;
            ops = &outcomes[i];
        }

        for (i = 0; i < batch; i++) {
            bench_event(&events[i], targets, 0, 1);
            events[i].op.next = ops;
            ops = &events[i].op;
        }

        begin = bench_time();
        bench_write(spool, ops);
        end = bench_time();

        bench_samples[n++] = (end - begin) * 1e3;

        if (!deliver) {
            continue;
        }

        noutcomes = 0;

        for (i = 0; i < batch; i++) {
            for (j = 0; j < targets; j++) {
                outcome = &outcomes[noutcomes++];
                memset(outcome, 0, sizeof(*outcome));

                outcome->type = NGX_TROVE_SPOOL_OP_OUTCOME;
                outcome->u.outcome.ref = events[i].starts[j].ref;
                outcome->u.outcome.verdict = NGX_TROVE_SPOOL_TO_DELIVERED;
                outcome->u.outcome.started = (int64_t) time(NULL) * 1000;
                outcome->u.outcome.took = 3;
                outcome->u.outcome.status = 200;
            }
        }
    }

    figure.events = n * batch / (end - start);
    figure.cpu = (bench_cpu() - cpu) * 1e6 / (n * batch);
    figure.p50 = bench_quantile(bench_samples, n, 0.5);
    figure.p99 = bench_quantile(bench_samples, n, 0.99);
    figure.max = bench_quantile(bench_samples, n, 1);

    return figure;
}


static void
bench_report(const char *what, ngx_uint_t batch, bench_figure_t *figure)
{
    printf("%-44s %5u %9.0f %7.1f %8.2f %8.2f %8.2f\n", what,
           (unsigned) batch, figure->events, figure->cpu, figure->p50,
           figure->p99, figure->max);
    fflush(stdout);
}


static void
bench_accept(void)
{
    ngx_uint_t          i;
    bench_figure_t      figure;
    ngx_trove_spool_t  *spool;

    static ngx_uint_t  batches[] = { 1, 16, 64, 256 };

    for (i = 0; i < 4; i++) {
        bench_remove();
        spool = bench_open();

        bench_start(spool);
        figure = bench_run(spool, batches[i], BENCH_TARGETS, 0, bench_seconds);
        bench_stop();

        bench_report("accept, 3 deliveries each", batches[i], &figure);

        ngx_trove_spool_destroy(spool);
    }
}


static void
bench_deliver(void)
{
    char                what[64];
    ngx_uint_t          i, targets, after;
    bench_figure_t      figure;
    ngx_trove_spool_t  *spool;

    for (targets = 1; targets <= BENCH_TARGETS; targets += 2) {

        bench_remove();
        spool = bench_open();
        bench_start(spool);

        for (i = 0; i < 4; i++) {
            figure = bench_run(spool, 64, targets, 1, bench_seconds);
            after = (ngx_uint_t) (i * bench_seconds);

            snprintf(what, sizeof(what), "accept and deliver to %u, after %u s",
                     (unsigned) targets, (unsigned) after);
            bench_report(what, 64, &figure);
        }

        bench_stop();
        ngx_trove_spool_destroy(spool);
    }
}


/* the same by two processes on one file */

static void
bench_two(void)
{
    int                 i, status, pipes[2];
    double              sum;
    bench_figure_t      figure;
    ngx_trove_spool_t  *spool;

    bench_remove();

    if (pipe(pipes) == -1) {
        bench_die("pipe");
    }

    fflush(stdout);

    for (i = 0; i < 2; i++) {
        if (fork() == 0) {
            spool = bench_open();
            bench_start(spool);

            figure = bench_run(spool, 64, 1, 1, 2 * bench_seconds);

            bench_stop();
            ngx_trove_spool_destroy(spool);

            _exit(write(pipes[1], &figure, sizeof(figure)) != sizeof(figure));
        }
    }

    sum = 0;

    for (i = 0; i < 2; i++) {
        if (wait(&status) == -1 || status != 0
            || read(pipes[0], &figure, sizeof(figure)) != sizeof(figure))
        {
            fprintf(stderr, "a process failed\n");
            exit(1);
        }

        bench_report("accept and deliver to 1, one of two processes", 64,
                     &figure);
        sum += figure.events;
    }

    printf("%-44s %5u %9.0f\n", "  both together", 64, sum);
}


static ngx_uint_t
bench_lease(ngx_trove_spool_t *spool, ngx_uint_t target, ngx_uint_t max,
    ngx_trove_spool_leased_t *leased)
{
    ngx_trove_spool_op_t    op;
    ngx_trove_spool_want_t  want;

    memset(&op, 0, sizeof(op));
    memset(&want, 0, sizeof(want));

    want.target.route = bench_route;
    want.target.name = bench_names[target];
    want.limit = max;
    want.retries = max;
    want.delay_max = 3600 * 1000;

    op.type = NGX_TROVE_SPOOL_OP_LEASE;
    op.u.lease.wants = &want;
    op.u.lease.nwants = 1;
    op.u.lease.max = max;
    op.u.lease.max_bytes = 16 * 1024 * 1024;
    op.u.lease.lease = 3600000;
    op.u.lease.leased = leased;

    bench_write(spool, &op);

    return op.u.lease.n;
}


/* one of another target, while many wait for a target that hangs */

static void
bench_lease_figure(ngx_trove_spool_t *spool, const char *what,
    ngx_uint_t waiting)
{
    char                      text[64];
    double                    begin;
    ngx_uint_t                i, n;
    bench_event_t             event;
    bench_figure_t            figure;
    ngx_trove_spool_leased_t  leased[64];

    n = 0;

    for (i = 0; i < 500; i++) {
        bench_write(spool, bench_event(&event, 1, 0, 0));

        begin = bench_time();

        if (bench_lease(spool, 0, 64, leased) != 1) {
            bench_die("lease");
        }

        bench_samples[n++] = (bench_time() - begin) * 1e3;
        ngx_trove_spool_event_free(leased[0].event);
    }

    figure.events = 0;
    figure.cpu = 0;
    figure.p50 = bench_quantile(bench_samples, n, 0.5);
    figure.p99 = bench_quantile(bench_samples, n, 0.99);
    figure.max = bench_quantile(bench_samples, n, 1);

    snprintf(text, sizeof(text), "%s, %u wait", what, (unsigned) waiting);
    bench_report(text, 1, &figure);
}


/* leases and delivers the backlog, 256 deliveries at a time */

static void
bench_drain(ngx_trove_spool_t *spool)
{
    long                      before, most;
    double                    start;
    ngx_uint_t                i, n, total;
    ngx_trove_spool_op_t      outcomes[256], *ops;
    ngx_trove_spool_leased_t  leased[256];

    before = bench_memory();
    most = before;
    total = 0;
    start = bench_time();

    do {
        n = bench_lease(spool, 3, 256, leased);
        ops = NULL;

        for (i = 0; i < n; i++) {
            memset(&outcomes[i], 0, sizeof(outcomes[i]));

            outcomes[i].type = NGX_TROVE_SPOOL_OP_OUTCOME;
            outcomes[i].next = ops;
            outcomes[i].u.outcome.ref = leased[i].ref;
            outcomes[i].u.outcome.verdict = NGX_TROVE_SPOOL_TO_DELIVERED;
            outcomes[i].u.outcome.started = (int64_t) time(NULL) * 1000;
            outcomes[i].u.outcome.took = 3;
            outcomes[i].u.outcome.status = 200;

            ops = &outcomes[i];
        }

        if (n) {
            bench_write(spool, ops);
        }

        for (i = 0; i < n; i++) {
            ngx_trove_spool_event_free(leased[i].event);
        }

        total += n;
        most = ngx_max(most, bench_memory());

    } while (n && bench_time() - start < 5 * bench_seconds);

    printf("%-44s %5u %9.0f\n", "leased and delivered of these", 256,
           total / (bench_time() - start));
    printf("  memory of the process: %ld kB before, %ld kB at most\n", before,
           most);
}


static void
bench_backlog(void)
{
    double                   begin;
    ngx_uint_t               i, n;
    bench_event_t           *events;
    ngx_trove_spool_t       *spool;
    ngx_trove_spool_stat_t  *stat;

    bench_remove();
    spool = bench_open();
    bench_start(spool);

    events = malloc(BENCH_BATCH_MAX * sizeof(bench_event_t));
    if (events == NULL) {
        bench_die("malloc");
    }

    bench_lease_figure(spool, "lease for one target, for another", 0);

    for (n = 0; n < BENCH_BACKLOG; n += BENCH_BATCH_MAX) {

        for (i = 0; i < BENCH_BATCH_MAX; i++) {
            bench_event(&events[i], 1, 3, 0);
            events[i].op.next = i ? &events[i - 1].op : NULL;
        }

        bench_write(spool, &events[i - 1].op);

        if (n == 10240 - BENCH_BATCH_MAX) {
            bench_lease_figure(spool, "lease for one target, for another",
                               n + BENCH_BATCH_MAX);
        }
    }

    bench_lease_figure(spool, "lease for one target, for another", n);

    begin = bench_time();
    stat = ngx_trove_spool_stat(spool, &bench_error);

    if (stat == NULL) {
        bench_die("stat");
    }

    printf("%-44s %24.2f\n", "counters and ages of these", (bench_time()
           - begin) * 1e3);
    printf("  bytes of the file: %llu in use, %llu in all\n",
           (unsigned long long) stat->used, (unsigned long long) stat->size);

    ngx_trove_spool_free(stat);

    bench_drain(spool);

    bench_stop();
    free(events);
    ngx_trove_spool_destroy(spool);
}


int
main(int argc, char **argv)
{
    int         i;
    ngx_uint_t  p, wanted;

    static struct {
        const char  *name;
        void       (*run)(void);
    } parts[] = {
        { "accept", bench_accept },
        { "deliver", bench_deliver },
        { "two", bench_two },
        { "backlog", bench_backlog }
    };

    snprintf(bench_path, sizeof(bench_path), "%s/spool_store.db",
             argc > 1 ? argv[1] : ".");

    if (argc > 2) {
        bench_seconds = atof(argv[2]);
    }

    bench_samples = malloc(BENCH_SAMPLES * sizeof(double));
    if (bench_samples == NULL) {
        bench_die("malloc");
    }

    bench_disk(argc > 1 ? argv[1] : ".");

    printf("%-44s %5s %9s %7s %8s %8s %8s\n", "", "batch", "events/s",
           "CPU us", "p50 ms", "p99", "max");

    for (p = 0; p < sizeof(parts) / sizeof(parts[0]); p++) {

        wanted = argc <= 3;

        for (i = 3; i < argc; i++) {
            wanted |= strcmp(argv[i], parts[p].name) == 0;
        }

        if (wanted) {
            parts[p].run();
        }
    }

    bench_remove();

    return 0;
}
