
/*
 * Copyright (C) the ngx_trove_module authors
 */


/*
 * Measures the maximum that two processes on one table could reach on this
 * machine.  The table has as many pages as a zone of 10 MB, each with only a
 * robust mutex and a counter.  A step prefetches the cache line of the next
 * page, and twice locks a mutex, counts and unlocks it, as a claim and its
 * completion do.  Also measures the transfer of a cache line between the
 * processors.  Prints a JSON object: millions of steps per second, nanoseconds.
 *
 *     zone_floor ROUNDS CPU CPU
 */

#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "zone_bench.h"


#define FLOOR_PAGE    4096
#define FLOOR_PAGES   2540
#define FLOOR_STEPS   400000
#define FLOOR_TURNS   200000
#define FLOOR_ROUNDS  99
#define FLOOR_LIMIT   60                      /* seconds, if one has failed */


typedef struct {
    pthread_mutex_t  mutex;
    uint64_t         count;                   /* in the same line */
} floor_head_t;


/* shared by the processes of a round */
typedef struct {
    uint32_t         ready;
    double           seconds[2];

    /* a line of its own */
    uint32_t         turn __attribute__((aligned(64)));
} floor_round_t;


static void floor_fork(void (*run)(unsigned process));
static void floor_table(unsigned process);
static void floor_line(unsigned process);
static void floor_wait(void);
static double floor_time(void);


static int             floor_cpus[2];
static char           *floor_tables[2];
static floor_round_t  *floor_round;


/* runs it in two processes, each on its processor */

static void
floor_fork(void (*run)(unsigned process))
{
    int        status;
    unsigned   p;
    cpu_set_t  set;

    memset(floor_round, 0, sizeof(floor_round_t));

    for (p = 0; p < 2; p++) {

        switch (fork()) {

        case -1:
            perror("fork");
            exit(1);

        case 0:
            CPU_ZERO(&set);
            CPU_SET(floor_cpus[p], &set);

            /* they wait for each other, forever if they share a processor */

            if (sched_setaffinity(0, sizeof(set), &set) == -1) {
                perror("sched_setaffinity");
                _exit(1);
            }

            alarm(FLOOR_LIMIT);

            run(p);
            _exit(0);
        }
    }

    for (p = 0; p < 2; p++) {
        if (wait(&status) == -1 || status != 0) {
            fprintf(stderr, "a process failed\n");
            exit(1);
        }
    }
}


static void
floor_table(unsigned process)
{
    char          *table;
    double         start;
    uint64_t       seed;
    unsigned       i, n;
    floor_head_t  *head, *next;

    table = floor_tables[process];
    seed = process;

    /* the first access to a page is not measured */

    for (i = 0; i < FLOOR_PAGES; i++) {
        (void) *(volatile char *) &table[i * FLOOR_PAGE];
    }

    floor_wait();
    start = floor_time();

    next = (void *) table;

    for (i = 0; i < FLOOR_STEPS; i++) {
        head = next;
        next = (void *) &table[bench_random(&seed) % FLOOR_PAGES * FLOOR_PAGE];
        __builtin_prefetch(next, 1);

        for (n = 0; n < 2; n++) {
            pthread_mutex_lock(&head->mutex);
            head->count++;
            pthread_mutex_unlock(&head->mutex);
        }
    }

    floor_round->seconds[process] = floor_time() - start;
}


static void
floor_line(unsigned process)
{
    double    start;
    uint32_t  i;

    floor_wait();
    start = floor_time();

    for (i = 0; i < FLOOR_TURNS; i++) {

        while (__atomic_load_n(&floor_round->turn, __ATOMIC_ACQUIRE)
               != 2 * i + process)
        {
            /* void */
        }

        __atomic_store_n(&floor_round->turn, 2 * i + process + 1,
                         __ATOMIC_RELEASE);
    }

    floor_round->seconds[process] = floor_time() - start;
}


static void
floor_wait(void)
{
    __atomic_add_fetch(&floor_round->ready, 1, __ATOMIC_SEQ_CST);

    while (__atomic_load_n(&floor_round->ready, __ATOMIC_SEQ_CST) != 2) {
        sched_yield();
    }
}


static double
floor_time(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec + ts.tv_nsec / 1e9;
}


int
main(int argc, char **argv)
{
    int                  i, n, rounds;
    char                *tables[2];
    double               rate[2][FLOOR_ROUNDS], ratio[FLOOR_ROUNDS];
    double               line[FLOOR_ROUNDS];
    floor_head_t        *head;
    pthread_mutexattr_t  attr;

    if (argc != 4) {
        fprintf(stderr, "usage: zone_floor ROUNDS CPU CPU\n");
        return 2;
    }

    rounds = atoi(argv[1]);
    rounds = rounds < 1 ? 1 : rounds > FLOOR_ROUNDS ? FLOOR_ROUNDS : rounds;

    floor_cpus[0] = atoi(argv[2]);
    floor_cpus[1] = atoi(argv[3]);
    floor_round = bench_map(sizeof(floor_round_t));

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);

    for (i = 0; i < 2; i++) {
        tables[i] = bench_map(FLOOR_PAGES * FLOOR_PAGE);

        for (n = 0; n < FLOOR_PAGES; n++) {
            head = (void *) &tables[i][n * FLOOR_PAGE];
            pthread_mutex_init(&head->mutex, &attr);
        }
    }

    for (i = 0; i < rounds; i++) {

        for (n = 0; n < 2; n++) {                  /* private, shared */
            floor_tables[0] = tables[0];
            floor_tables[1] = tables[n ? 0 : 1];

            floor_fork(floor_table);

            rate[n][i] = FLOOR_STEPS / floor_round->seconds[0] / 1e6
                         + FLOOR_STEPS / floor_round->seconds[1] / 1e6;
        }

        ratio[i] = rate[1][i] / rate[0][i];

        floor_fork(floor_line);

        line[i] = floor_round->seconds[0] / FLOOR_TURNS / 2 * 1e9;
    }

    printf("{\"private\":%.2f,\"shared\":%.2f,\"ratio\":%.2f,\"line\":%.0f}\n",
           bench_median(rate[0], rounds), bench_median(rate[1], rounds),
           bench_median(ratio, rounds), bench_median(line, rounds));

    return 0;
}
