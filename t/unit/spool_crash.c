
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/mman.h>

#include "spool.h"


/* Several processes, and threads, on one file, some of them killed. */

#define WORKERS  3
#define KILLS    40
#define BATCH    16
#define EVENTS   200000          /* of a worker, all its lives together */
#define RACES    3000


/* what a worker was told, so that it is known when it is dead */
typedef struct {
    uint32_t                  events;        /* given a number */
    uint32_t                  delivered;     /* outcomes recorded */
    u_char                    accepted[EVENTS];
} worker_t;


static void race(void);
static void killed(void);
static pid_t start(ngx_uint_t n, ngx_uint_t life);
static void work(ngx_uint_t n, ngx_uint_t life);
static void *keep(void *data);
static void check(void);
static void threads(void);
static void *thread_writes(void *data);
static void *thread_reads(void *data);


static worker_t           *workers;
static ngx_uint_t          stop;
static ngx_trove_spool_t  *spool;


int
main(void)
{
    /* a wedge ends the test */

    alarm(300);

    spool_mkdir();

    workers = mmap(NULL, WORKERS * sizeof(worker_t), PROT_READ|PROT_WRITE,
                   MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    race();
    killed();
    threads();

    return tap_done();
}


/* the same events from two sides: each is accepted once */

static void
race(void)
{
    int                    i, status;
    u_char                *won;
    accept_t               a[BATCH];
    ngx_uint_t             n, j, bad;
    ngx_trove_spool_op_t  *ops;

    won = mmap(NULL, 2 * RACES, PROT_READ|PROT_WRITE,
               MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    for (i = 0; i < 2; i++) {
        fflush(stdout);

        if (fork() == 0) {
            alarm(300);
            spool = spool_open();
            sqlite(spool)->keys = 1000;

            for (n = 0; n + BATCH <= RACES; n += BATCH) {
                ops = NULL;

                for (j = 0; j < BATCH; j++) {
                    accept_op(&a[j], n + j, "a b", 0);
                    a[j].op.next = ops;
                    ops = &a[j].op;
                }

                spool_write(spool, ops);

                for (j = 0; j < BATCH; j++) {
                    won[i * RACES + n + j] = a[j].op.result
                                             == NGX_TROVE_SPOOL_DONE;
                }
            }

            ngx_trove_spool_destroy(spool);
            _exit(0);
        }
    }

    bad = 0;

    for (i = 0; i < 2; i++) {
        wait(&status);
        bad += status != 0;
    }

    tap_is(bad, 0, "two processes came through");

    bad = 0;
    n = 0;

    for (i = 0; i < RACES / BATCH * BATCH; i++) {
        bad += won[i] + won[RACES + i] != 1;
        n += won[i];
    }

    tap_is(bad, 0, "%d events were accepted once each", RACES);
    tap_diag("  one of the processes accepted %d", (int) n);
    tap_ok(spool_sound(), "all is sound");
}


static void
killed(void)
{
    pid_t       pids[WORKERS];
    ngx_uint_t  i, k, n, before, lives[WORKERS];

    srandom(1);

    for (i = 0; i < WORKERS; i++) {
        lives[i] = 0;
        pids[i] = start(i, lives[i]);
    }

    for (k = 0; k < KILLS; k++) {
        i = random() % WORKERS;

        /* after some more work, wherever it is then */

        before = __atomic_load_n(&workers[i].events, __ATOMIC_RELAXED);
        n = random() % 500;

        while (__atomic_load_n(&workers[i].events, __ATOMIC_RELAXED)
               <= before + n)
        {
            usleep(100);
        }

        usleep(random() % 3000);

        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);

        /* all of them, now and then: the next one is the first one */

        if (k % 10 == 9) {
            for (n = 0; n < WORKERS; n++) {
                if (n != i) {
                    kill(pids[n], SIGKILL);
                    waitpid(pids[n], NULL, 0);
                    pids[n] = start(n, ++lives[n]);
                }
            }
        }

        pids[i] = start(i, ++lives[i]);
    }

    for (i = 0; i < WORKERS; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }

    tap_ok(1, "%d kills, and the others went on", KILLS);

    check();
}


static pid_t
start(ngx_uint_t n, ngx_uint_t life)
{
    pid_t  pid;

    fflush(stdout);

    pid = fork();

    if (pid == 0) {
        alarm(300);
        work(n, life);
        _exit(0);
    }

    return pid;
}


/* event i of worker n */
#define event_of(n, i)  (1000000 + (uint64_t) (n) * 10000000 + (i))


/* accepts, delivers most, leaves some, takes up what others left */

static void
work(ngx_uint_t n, ngx_uint_t life)
{
    worker_t               *w;
    accept_t                a[BATCH];
    pthread_t               thread;
    ngx_uint_t              i, first, leases;
    ngx_trove_spool_op_t    outcomes[2 * BATCH], *ops;
    ngx_trove_spool_ref_t   ref;

    w = &workers[n];

    spool = spool_open();
    sqlite(spool)->keys = 2000;
    sqlite(spool)->skew_mono = life * 10000;         /* leases run out sooner */

    if (n == 0) {
        pthread_create(&thread, NULL, keep, spool);
    }

    ops = NULL;

    for ( ;; ) {
        first = __atomic_fetch_add(&w->events, BATCH, __ATOMIC_RELAXED);

        if (first + BATCH > EVENTS) {
            return;
        }

        for (i = 0; i < BATCH; i++) {
            accept_op(&a[i], event_of(n, first + i), "a b", 1);
            a[i].op.next = ops;
            ops = &a[i].op;
        }

        spool_write(spool, ops);

        for (i = 0; i < BATCH; i++) {

            if (a[i].op.result != NGX_TROVE_SPOOL_DONE) {
                abort();
            }

            w->accepted[first + i] = 1;
        }

        ops = NULL;

        for (i = 0; i < BATCH; i++) {

            ref = a[i].targets[0].ref;
            outcome_op(&outcomes[i], ref, NGX_TROVE_SPOOL_TO_DELIVERED, 200,
                       0);
            outcomes[i].next = ops;
            ops = &outcomes[i];

            if (i % 4 == 0) {
                continue;
            }

            ref = a[i].targets[1].ref;
            outcome_op(&outcomes[BATCH + i], ref,
                       i % 4 == 1 ? NGX_TROVE_SPOOL_TO_RETRY
                                  : NGX_TROVE_SPOOL_RELEASED, 500, i);
            outcomes[BATCH + i].next = ops;
            ops = &outcomes[BATCH + i];
        }

        if (first / BATCH % 4 == 0) {
            leases = spool_lease(spool, "b", 40, 40);

            for (i = 0; i < leases; i++) {
                spool_outcome(spool, leased[i].ref,
                              NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0);
                ngx_trove_spool_event_free(leased[i].event);

                /* one of them is enough, for it is a transaction each */

                if (i == 3) {
                    break;
                }
            }

            while (++i < leases) {
                ngx_trove_spool_event_free(leased[i].event);
            }
        }
    }
}


static void *
keep(void *data)
{
    ngx_trove_spool_t             *s = data;
    ngx_trove_spool_error_t        e;
    ngx_trove_spool_maintained_t   m;

    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {

        if (ngx_trove_spool_maintain(s, &m, &e) != NGX_OK) {
            fprintf(stderr, "# maintain: %s\n", e.text);
            abort();
        }

        usleep(3000);
    }

    return NULL;
}


/* what was accepted is there, whole, and known */

static void
check(void)
{
    u_char                     key[NGX_TROVE_SPOOL_KEY_LEN];
    accept_t                   a;
    ngx_uint_t                 i, n, lost, again, accepted;
    ngx_trove_spool_events_t  *page;

    tap_is(sql_int("SELECT count(*) FROM event WHERE 2 != (SELECT count(*) "
                   "FROM delivery WHERE id BETWEEN number << 16 "
                   "AND (number << 16) + 65535)"),
           0, "no event is there by half");

    spool = spool_open();

    tap_is(sql_int("SELECT count(*) FROM delivery WHERE state = 2"), 0,
           "nothing is leased by the dead");

    lost = 0;
    again = 0;
    accepted = 0;

    for (n = 0; n < WORKERS; n++) {

        for (i = 0; i < workers[n].events && i < EVENTS; i++) {

            if (!workers[n].accepted[i]) {
                continue;
            }

            accepted++;

            page = ngx_trove_spool_event(spool, 0, key_of(event_of(n, i), key),
                                         &error);
            lost += page == NULL || page->n != 1;
            ngx_trove_spool_free(page);

            if (i % 50 == 0) {
                spool_write(spool, accept_op(&a, event_of(n, i), "a b", 0));
                again += a.op.result != NGX_TROVE_SPOOL_DUPLICATE;
            }
        }
    }

    tap_ok(accepted > KILLS * 100, "%d events were accepted", (int) accepted);
    tap_is(lost, 0, "each is there");
    tap_is(again, 0, "and is a duplicate when it comes again");
    tap_ok(sql_int("SELECT indexed FROM spool") > 0, "keys were written");
    tap_ok(spool_sound(), "all is sound");
}


/* calls from many threads with one handle */

static void
threads(void)
{
    void        *bad;
    ngx_uint_t   i, failures;
    pthread_t    ids[7];

    pthread_create(&ids[0], NULL, keep, spool);
    pthread_create(&ids[1], NULL, thread_reads, NULL);
    pthread_create(&ids[2], NULL, thread_reads, NULL);

    for (i = 3; i < 7; i++) {
        pthread_create(&ids[i], NULL, thread_writes, (void *) i);
    }

    failures = 0;

    for (i = 3; i < 7; i++) {
        pthread_join(ids[i], &bad);
        failures += bad != NULL;
    }

    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);

    for (i = 0; i < 3; i++) {
        pthread_join(ids[i], &bad);
        failures += bad != NULL;
    }

    tap_is(failures, 0, "threads do not disturb each other");
    tap_ok(spool_sound(), "all is sound");

    ngx_trove_spool_destroy(spool);
}


static void *
thread_writes(void *data)
{
    accept_t                  a;
    ngx_uint_t                n, i;
    ngx_trove_spool_op_t      op;
    ngx_trove_spool_error_t   e;

    n = (ngx_uint_t) data;

    for (i = 0; i < 100; i++) {

        if (ngx_trove_spool_write(spool, accept_op(&a, n * 1000000000 + i,
                                                   "a b", 1), NULL, &e)
            != NGX_OK
            || a.op.result != NGX_TROVE_SPOOL_DONE)
        {
            return &workers;
        }

        outcome_op(&op, a.targets[1].ref, NGX_TROVE_SPOOL_TO_RETRY, 500, 100);

        if (ngx_trove_spool_write(spool, &op, NULL, &e) != NGX_OK
            || op.result != NGX_TROVE_SPOOL_DONE)
        {
            return &workers;
        }
    }

    return NULL;
}


static void *
thread_reads(void *data)
{
    ngx_uint_t                     n;
    ngx_trove_spool_stat_t        *stat;
    ngx_trove_spool_error_t        e;
    ngx_trove_spool_filter_t       filter;
    ngx_trove_spool_events_t      *events;
    ngx_trove_spool_deliveries_t  *list;

    memset(&filter, 0, sizeof(filter));

    for (n = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); n++) {

        stat = ngx_trove_spool_stat(spool, &e);
        list = ngx_trove_spool_deliveries(spool, &filter, 0, 50, &e);
        events = ngx_trove_spool_events(spool, &filter, 0, 50, 100000, &e);

        if (stat == NULL || list == NULL || events == NULL
            || list->n != 50 || events->n != 50)
        {
            fprintf(stderr, "# %s\n", e.text);
            return &workers;
        }

        ngx_trove_spool_free(stat);
        ngx_trove_spool_free(list);
        ngx_trove_spool_free(events);
    }

    return NULL;
}
