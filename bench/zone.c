
/*
 * Copyright (C) the ngx_trove_module authors
 */


/*
 * Measures the capacity and the speed of core/zone.  Times are medians of the
 * rounds.  Figures that are compared are measured in turn.  Prints a JSON
 * object with times in nanoseconds.
 *
 *     zone [-r ROUNDS] [-i IDS] [CPU CPU]
 *
 * IDS is the largest number of ids that is tried.  Two processes are pinned to
 * the processors.  Without processors, two processes are not measured.
 */

#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_zone.h"
#include "zone_bench.h"


/* usable part of a zone of 10 MB; the rest is used by the slab allocator */
#define BENCH_SIZE    ((size_t) 10 * 1024 * 1024 - 70 * 1024)

#define BENCH_IDS     400000
#define BENCH_STEP    20000
#define BENCH_WINDOWS 5                   /* times that all of them expire */
#define BENCH_TTL     4000                /* seconds: 100 ids in each */
#define BENCH_LEASE   60
#define BENCH_ROUNDS  99
#define BENCH_TRIES   5


typedef struct {
    double                 cold;
    double                 claim;
    double                 complete;
    double                 duplicate;
    double                 key;
} bench_times_t;


/* shared by the processes of a round */
typedef struct {
    uint32_t               ready;
    uint32_t               disturbed;
    double                 seconds[2];
} bench_round_t;


static void bench_pin(ngx_uint_t process);
static double bench_clock(clockid_t clock);
static double bench_time(void);
static double bench_cpu(void);
static ngx_trove_zone_t *bench_create(ngx_uint_t n);
static ngx_trove_zone_key_t bench_key(uint64_t *seed);
static void bench_run(ngx_trove_zone_t *zone, ngx_trove_zone_now_t *now,
    ngx_uint_t from, ngx_uint_t n, ngx_uint_t rate, uint64_t *seed);
static void bench_held(ngx_uint_t ids);
static void bench_single(bench_times_t *times);
static double bench_start(bench_round_t *round, ngx_uint_t p,
    ngx_uint_t processes);
static void bench_finish(bench_round_t *round, ngx_uint_t p, double start);
static ngx_uint_t bench_wait(bench_round_t *round, ngx_uint_t processes);
static double bench_processes(ngx_uint_t shared, ngx_uint_t processes);
static ngx_uint_t bench_processes_try(ngx_uint_t shared, ngx_uint_t processes,
    double *sum);
static double bench_hot(void);
static ngx_uint_t bench_hot_try(double *ns);
static void bench_full(void);
static void bench_options(int argc, char **argv, ngx_uint_t *rounds,
    ngx_uint_t *ids);
static void bench_print(const char *name, double *values, ngx_uint_t n);


static int          bench_cpus[2] = { -1, -1 };
static void        *bench_memory[2];
static void        *bench_shared;
static long         bench_switches;
static ngx_uint_t   bench_disturbed;


/* may fail: the figures of two processes then vary more */

static void
bench_pin(ngx_uint_t process)
{
    cpu_set_t  set;

    if (bench_cpus[process] == -1) {
        return;
    }

    CPU_ZERO(&set);
    CPU_SET(bench_cpus[process], &set);

    (void) sched_setaffinity(0, sizeof(set), &set);
}


static double
bench_clock(clockid_t clock)
{
    struct timespec  ts;

    clock_gettime(clock, &ts);

    return ts.tv_sec + ts.tv_nsec / 1e9;
}


static double
bench_time(void)
{
    return bench_clock(CLOCK_MONOTONIC);
}


/* other work on the machine does not count */

static double
bench_cpu(void)
{
    return bench_clock(CLOCK_PROCESS_CPUTIME_ID);
}


/* as uniform as ngx_trove_zone_key(), and the same in each run */

static ngx_trove_zone_key_t
bench_key(uint64_t *seed)
{
    ngx_trove_zone_key_t  key;

    key.place = bench_random(seed);
    key.tag = bench_random(seed);

    return key;
}


static ngx_trove_zone_t *
bench_create(ngx_uint_t n)
{
    ngx_trove_zone_t  *zone;

    zone = ngx_trove_zone_create(bench_memory[n], BENCH_SIZE);

    if (zone == NULL) {
        fprintf(stderr, "no zone\n");
        exit(1);
    }

    return zone;
}


/*
 * Claims and completes new ids, "rate" of them per second.  Each is prefetched
 * before it is claimed, as in the gate.
 */

static void
bench_run(ngx_trove_zone_t *zone, ngx_trove_zone_now_t *now, ngx_uint_t from,
    ngx_uint_t n, ngx_uint_t rate, uint64_t *seed)
{
    uint32_t              owner;
    ngx_uint_t            i;
    ngx_trove_zone_key_t  key, next;

    next = bench_key(seed);

    for (i = from; i < from + n; i++) {
        now->wall = 1700000000 + i / rate;
        now->mono = 1000 + i / rate;

        key = next;
        next = bench_key(seed);
        ngx_trove_zone_prefetch(zone, &next);

        if (ngx_trove_zone_claim(zone, &key, now, BENCH_LEASE, &owner)
            != NGX_TROVE_ZONE_NEW)
        {
            fprintf(stderr, "a new id is not new\n");
            exit(1);
        }

        (void) ngx_trove_zone_complete(zone, &key, now, BENCH_TTL, owner);
    }
}


/* lost early: while it is filled, and while new ids replace expired ones */

static void
bench_held(ngx_uint_t ids)
{
    uint64_t                seed;
    ngx_trove_zone_t       *zone;
    ngx_trove_zone_now_t    now;
    ngx_trove_zone_stat_t   stat, filled;

    seed = ids;
    zone = bench_create(0);

    bench_run(zone, &now, 0, ids, ids / BENCH_TTL, &seed);
    ngx_trove_zone_stat(zone, &now, &filled);

    bench_run(zone, &now, ids, ids * BENCH_WINDOWS, ids / BENCH_TTL, &seed);
    ngx_trove_zone_stat(zone, &now, &stat);

    printf("%s{\"ids\":%u,\"filling\":%.8f,\"flowing\":%.8f}",
           ids == BENCH_IDS ? "" : ",", (unsigned) ids,
           1.0 * filled.evicted / ids,
           1.0 * (stat.evicted - filled.evicted) / (ids * BENCH_WINDOWS));
}


/* a table that new keys are added to, with BENCH_IDS live ones */

static void
bench_single(bench_times_t *times)
{
    u_char                 id[64];
    double                 start;
    size_t                 len;
    uint32_t               owner;
    uint64_t               seed, sum;
    ngx_uint_t             i, n, new, done, bytes;
    ngx_trove_zone_t      *zone;
    ngx_trove_zone_now_t   now;
    ngx_trove_zone_key_t   key;

    static uint32_t               owners[BENCH_IDS / 2];
    static ngx_trove_zone_key_t   keys[BENCH_IDS / 2];

    seed = 1;
    n = BENCH_IDS / 2;
    zone = bench_create(0);

    bench_run(zone, &now, 0, 2 * BENCH_IDS, BENCH_IDS / BENCH_TTL, &seed);

    /* half of the ids expire, to be replaced by as many */

    now.wall += BENCH_TTL / 2;
    now.mono += BENCH_TTL / 2;

    for (i = 0; i < n; i++) {
        keys[i] = bench_key(&seed);
    }

    new = 0;
    start = bench_cpu();

    for (i = 0; i < n / 2; i++) {
        new += ngx_trove_zone_claim(zone, &keys[i], &now, BENCH_LEASE, &owner)
               == NGX_TROVE_ZONE_NEW;
        owners[i] = owner;
    }

    times->cold = (bench_cpu() - start) / (n / 2) * 1e9;
    start = bench_cpu();

    for ( /* void */ ; i < n; i++) {
        ngx_trove_zone_prefetch(zone, &keys[ngx_min(i + 1, n - 1)]);

        new += ngx_trove_zone_claim(zone, &keys[i], &now, BENCH_LEASE, &owner)
               == NGX_TROVE_ZONE_NEW;
        owners[i] = owner;
    }

    times->claim = (bench_cpu() - start) / (n - n / 2) * 1e9;
    start = bench_cpu();

    for (i = 0; i < n; i++) {
        (void) ngx_trove_zone_complete(zone, &keys[i], &now, BENCH_TTL,
                                       owners[i]);
    }

    times->complete = (bench_cpu() - start) / n * 1e9;

    done = 0;
    start = bench_cpu();

    for (i = 0; i < n; i++) {
        done += ngx_trove_zone_claim(zone, &keys[i], &now, BENCH_LEASE, &owner)
                == NGX_TROVE_ZONE_DONE;
    }

    times->duplicate = (bench_cpu() - start) / n * 1e9;

    if (new != n || done < n - n / 1000) {
        fprintf(stderr, "%u of %u new, %u done\n", (unsigned) new,
                (unsigned) n, (unsigned) done);
        exit(1);
    }

    /* a scope and an id: "16 bytes" "evt_" and 26 more */

    memset(id, 'x', sizeof(id));
    bytes = 46;
    sum = 0;
    start = bench_cpu();

    for (i = 0; i < n; i++) {
        for (len = 0; len < sizeof(i); len++) {
            id[20 + len] = (u_char) (i >> (8 * len));
        }

        ngx_trove_zone_key(zone, id, bytes, &key);
        sum += key.place;
    }

    times->key = (bench_cpu() - start) / n * 1e9;

    /* keeps the compiler from removing the computation */

    if (sum == 1) {
        fprintf(stderr, "unlikely\n");
    }
}


/* a process of a round: waits until all have started */

static double
bench_start(bench_round_t *round, ngx_uint_t p, ngx_uint_t processes)
{
    struct rusage  usage;

    bench_pin(p);

    __atomic_add_fetch(&round->ready, 1, __ATOMIC_SEQ_CST);

    while (__atomic_load_n(&round->ready, __ATOMIC_SEQ_CST) != processes) {
        sched_yield();
    }

    getrusage(RUSAGE_SELF, &usage);
    bench_switches = usage.ru_nivcsw;

    return bench_time();
}


static void
bench_finish(bench_round_t *round, ngx_uint_t p, double start)
{
    struct rusage  usage;

    round->seconds[p] = bench_time() - start;

    /*
     * A measurement is invalid if the process was preempted.  Waiting for a
     * lock is part of the measurement.
     */

    getrusage(RUSAGE_SELF, &usage);

    if (usage.ru_nivcsw > bench_switches + 1) {
        __atomic_add_fetch(&round->disturbed, 1, __ATOMIC_SEQ_CST);
    }

    _exit(0);
}


/* whether no process was preempted */

static ngx_uint_t
bench_wait(bench_round_t *round, ngx_uint_t processes)
{
    int  status;

    while (processes--) {
        if (wait(&status) == -1 || status != 0) {
            fprintf(stderr, "a process failed\n");
            exit(1);
        }
    }

    return round->disturbed == 0;
}


/*
 * Millions of claims with completion per second, the sum of all processes.
 * Each table has BENCH_IDS live keys.
 */

static double
bench_processes(ngx_uint_t shared, ngx_uint_t processes)
{
    double      sum;
    ngx_uint_t  i;

    for (i = 0; i < BENCH_TRIES; i++) {
        if (bench_processes_try(shared, processes, &sum)) {
            return sum;
        }
    }

    bench_disturbed++;

    return sum;
}


static ngx_uint_t
bench_processes_try(ngx_uint_t shared, ngx_uint_t processes, double *sum)
{
    double                 start;
    uint64_t               seed;
    ngx_uint_t             p, n, rate, quiet;
    bench_round_t         *round;
    ngx_trove_zone_t      *zone[2];
    ngx_trove_zone_now_t   now;

    n = BENCH_IDS;
    rate = BENCH_IDS / BENCH_TTL;
    round = bench_shared;
    ngx_memzero(round, sizeof(bench_round_t));

    for (p = 0; p < processes; p++) {
        if (shared && p) {
            zone[p] = zone[0];
            continue;
        }

        seed = 100 + p;
        zone[p] = bench_create(p);
        bench_run(zone[p], &now, 0, n, rate, &seed);
    }

    fflush(stdout);

    for (p = 0; p < processes; p++) {

        switch (fork()) {

        case -1:
            perror("fork");
            exit(1);

        case 0:
            seed = 1000 + p;

            start = bench_start(round, p, processes);

            if (shared && processes == 2) {
                bench_run(zone[p], &now, n / 2, n, rate / 2, &seed);

            } else {
                bench_run(zone[p], &now, n, n, rate, &seed);
            }

            bench_finish(round, p, start);
        }
    }

    quiet = bench_wait(round, processes);

    *sum = 0;

    for (p = 0; p < processes; p++) {
        *sum += n / round->seconds[p] / 1e6;
    }

    return quiet;
}


/* two processes that claim the same key all the time */

static double
bench_hot(void)
{
    double      ns;
    ngx_uint_t  i;

    for (i = 0; i < BENCH_TRIES; i++) {
        if (bench_hot_try(&ns)) {
            return ns;
        }
    }

    bench_disturbed++;

    return ns;
}


static ngx_uint_t
bench_hot_try(double *ns)
{
    double                 start;
    uint32_t               owner;
    uint64_t               seed;
    ngx_uint_t             i, p, n, quiet;
    bench_round_t         *round;
    ngx_trove_zone_t      *zone;
    ngx_trove_zone_key_t   key;
    ngx_trove_zone_now_t   now = { 1700000000, 1000 };

    n = BENCH_IDS;
    seed = 7;
    key = bench_key(&seed);
    zone = bench_create(0);
    round = bench_shared;
    ngx_memzero(round, sizeof(bench_round_t));

    fflush(stdout);

    for (p = 0; p < 2; p++) {

        switch (fork()) {

        case -1:
            perror("fork");
            exit(1);

        case 0:
            start = bench_start(round, p, 2);

            for (i = 0; i < n; i++) {
                (void) ngx_trove_zone_claim(zone, &key, &now, BENCH_LEASE,
                                            &owner);
            }

            bench_finish(round, p, start);
        }
    }

    quiet = bench_wait(round, 2);

    *ns = (round->seconds[0] + round->seconds[1]) / 2 / n * 1e9;

    return quiet;
}


static void
bench_full(void)
{
    double                  start, ns;
    uint32_t                owner;
    uint64_t                seed, was;
    ngx_uint_t              i, n;
    ngx_trove_zone_t       *zone;
    ngx_trove_zone_now_t    now;
    ngx_trove_zone_key_t    key;
    ngx_trove_zone_stat_t   stat;

    seed = 3;
    n = BENCH_IDS;
    zone = bench_create(0);

    /* twice the capacity, and none expires */

    bench_run(zone, &now, 0, 3 * n, 3 * n, &seed);
    ngx_trove_zone_stat(zone, &now, &stat);
    was = stat.evicted;

    start = bench_cpu();
    bench_run(zone, &now, 0, n, 3 * n, &seed);
    ns = (bench_cpu() - start) / n * 1e9;

    ngx_trove_zone_stat(zone, &now, &stat);

    printf("\"full\":{\"ns\":%.1f,\"used\":%.4f,\"evicted\":%.4f},", ns,
           1.0 * (stat.done + stat.inflight) / stat.slots,
           1.0 * (stat.evicted - was) / n);

    for (i = 0; i < 3 * n; i++) {
        key = bench_key(&seed);
        (void) ngx_trove_zone_claim(zone, &key, &now, BENCH_LEASE, &owner);
    }

    ngx_trove_zone_stat(zone, &now, &stat);
    was = stat.full;

    start = bench_cpu();

    for (i = 0; i < n; i++) {
        key = bench_key(&seed);
        (void) ngx_trove_zone_claim(zone, &key, &now, BENCH_LEASE, &owner);
    }

    ns = (bench_cpu() - start) / n * 1e9;
    ngx_trove_zone_stat(zone, &now, &stat);

    printf("\"full_inflight\":{\"ns\":%.1f,\"used\":%.4f,\"refused\":%.4f}",
           ns, 1.0 * (stat.done + stat.inflight) / stat.slots,
           1.0 * (stat.full - was) / n);
}


static void
bench_options(int argc, char **argv, ngx_uint_t *rounds, ngx_uint_t *ids)
{
    int  c;

    while ((c = getopt(argc, argv, "i:r:")) != -1) {

        switch (c) {

        case 'i':
            *ids = atoi(optarg);
            break;

        case 'r':
            *rounds = atoi(optarg);
            break;

        default:
            exit(2);
        }
    }

    if (optind + 2 == argc) {
        bench_cpus[0] = atoi(argv[optind]);
        bench_cpus[1] = atoi(argv[optind + 1]);

    } else if (optind != argc) {
        fprintf(stderr, "usage: zone [-r ROUNDS] [-i IDS] [CPU CPU]\n");
        exit(2);
    }

    *rounds = ngx_max(1, ngx_min(*rounds, BENCH_ROUNDS));
}


static void
bench_print(const char *name, double *values, ngx_uint_t n)
{
    printf("\"%s\":%.2f,", name, bench_median(values, n));
}


int
main(int argc, char **argv)
{
    double                  shared[BENCH_ROUNDS], private[BENCH_ROUNDS];
    double                  one[BENCH_ROUNDS], ratio[BENCH_ROUNDS];
    double                  hot[BENCH_ROUNDS];
    double                  cold[BENCH_ROUNDS];
    double                  claim[BENCH_ROUNDS], complete[BENCH_ROUNDS];
    double                  duplicate[BENCH_ROUNDS], hash[BENCH_ROUNDS];
    ngx_uint_t              i, rounds, ids;
    bench_times_t           times;
    ngx_trove_zone_now_t    now = { 0, 0 };
    ngx_trove_zone_stat_t   stat;

    rounds = 5;
    ids = BENCH_IDS + 5 * BENCH_STEP;

    bench_options(argc, argv, &rounds, &ids);

    bench_memory[0] = bench_map(BENCH_SIZE);
    bench_memory[1] = bench_map(BENCH_SIZE);
    bench_shared = bench_map(4096);

    bench_pin(0);

    ngx_trove_zone_stat(bench_create(0), &now, &stat);

    printf("{\"slots\":%u,\"bytes\":%u,\"ids\":%u,\"held\":[",
           (unsigned) stat.slots, (unsigned) BENCH_SIZE, BENCH_IDS);

    for (i = BENCH_IDS; i <= ids; i += BENCH_STEP) {
        bench_held(i);
    }

    printf("],");

    for (i = 0; i < rounds; i++) {
        bench_single(&times);

        cold[i] = times.cold;
        claim[i] = times.claim;
        complete[i] = times.complete;
        duplicate[i] = times.duplicate;
        hash[i] = times.key;
    }

    bench_print("cold", cold, rounds);
    bench_print("claim", claim, rounds);
    bench_print("complete", complete, rounds);
    bench_print("duplicate", duplicate, rounds);
    bench_print("hash", hash, rounds);

    if (bench_cpus[0] != -1) {

        for (i = 0; i < rounds; i++) {
            one[i] = bench_processes(0, 1);
            private[i] = bench_processes(0, 2);
            shared[i] = bench_processes(1, 2);
            ratio[i] = shared[i] / private[i];
            hot[i] = bench_hot();
        }

        bench_print("one", one, rounds);
        bench_print("private", private, rounds);
        bench_print("shared", shared, rounds);
        bench_print("ratio", ratio, rounds);
        bench_print("hot", hot, rounds);
    }

    bench_full();

    printf(",\"disturbed\":%u}\n", (unsigned) bench_disturbed);

    return 0;
}
