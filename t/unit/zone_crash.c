
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/mman.h>
#include <sys/wait.h>

#include "tap.h"
#include "zone.h"


/* Several processes on one table: one winner of each key, whoever is killed. */

#define SIZE     (256 * NGX_TROVE_ZONE_PAGE)    /* no key is evicted */
#define WORKERS  4
#define ROUNDS   200
#define KEYS     64
#define KILLS    300


typedef struct {
    uint32_t              go;                  /* the round */
    uint32_t              ready;
    uint32_t              winners[ROUNDS][KEYS];
    uint64_t              done[WORKERS];       /* operations */
} shared_t;


static void race(ngx_trove_zone_t *zone, shared_t *shared);
static void racer(ngx_trove_zone_t *zone, shared_t *shared);
static void killed(ngx_trove_zone_t *zone, shared_t *shared);
static void hammer(ngx_trove_zone_t *zone, shared_t *shared, ngx_uint_t n);
static pid_t start(ngx_trove_zone_t *zone, shared_t *shared, ngx_uint_t n);


static ngx_trove_zone_now_t  now = { 1793000000, 1000 };


int
main(void)
{
    void              *addr;
    shared_t          *shared;
    ngx_trove_zone_t  *zone;

    /* a wedge ends the test */

    alarm(120);

    addr = mmap(NULL, SIZE, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS, -1,
                0);
    zone = ngx_trove_zone_create(addr, SIZE);

    shared = mmap(NULL, sizeof(shared_t), PROT_READ|PROT_WRITE,
                  MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    race(zone, shared);
    killed(zone, shared);

    return tap_done();
}


static void
race(ngx_trove_zone_t *zone, shared_t *shared)
{
    ngx_uint_t  i, r, k, bad;

    for (i = 0; i < WORKERS; i++) {
        if (fork() == 0) {
            racer(zone, shared);
            _exit(0);
        }
    }

    for (r = 1; r <= ROUNDS; r++) {
        while (__atomic_load_n(&shared->ready, __ATOMIC_ACQUIRE)
               != r * WORKERS)
        {
            sched_yield();
        }

        __atomic_store_n(&shared->go, r, __ATOMIC_RELEASE);
    }

    while (wait(NULL) > 0) { /* void */ }

    bad = 0;

    for (r = 0; r < ROUNDS; r++) {
        for (k = 0; k < KEYS; k++) {
            bad += shared->winners[r][k] != 1;
        }
    }

    tap_is(bad, 0, "%d processes, %d keys: one winner each", WORKERS,
           ROUNDS * KEYS);
}


static void
racer(ngx_trove_zone_t *zone, shared_t *shared)
{
    uint32_t              r, owner;
    ngx_uint_t            k;
    ngx_trove_zone_key_t  key;

    alarm(120);

    for (r = 1; r <= ROUNDS; r++) {

        __atomic_add_fetch(&shared->ready, 1, __ATOMIC_ACQ_REL);

        while (__atomic_load_n(&shared->go, __ATOMIC_ACQUIRE) < r) {
            sched_yield();
        }

        for (k = 0; k < KEYS; k++) {
            key = key_of(zone, r * KEYS + k);

            if (ngx_trove_zone_claim(zone, &key, &now, 60, &owner)
                != NGX_TROVE_ZONE_NEW)
            {
                continue;
            }

            __atomic_add_fetch(&shared->winners[r - 1][k], 1,
                               __ATOMIC_RELAXED);

            ngx_trove_zone_complete(zone, &key, &now, 1000, owner);
        }
    }
}


static pid_t
start(ngx_trove_zone_t *zone, shared_t *shared, ngx_uint_t n)
{
    pid_t  pid;

    pid = fork();

    if (pid == 0) {
        alarm(120);
        hammer(zone, shared, n);
        _exit(0);
    }

    return pid;
}


/* claims, renews, completes and releases few keys */

static void
hammer(ngx_trove_zone_t *zone, shared_t *shared, ngx_uint_t n)
{
    uint32_t              owner;
    uint64_t              i;
    ngx_trove_zone_now_t  t;
    ngx_trove_zone_key_t  key;

    srandom(getpid());
    t = now;

    for (i = 0; /* void */ ; i++) {
        t.wall = now.wall + i / 1000;
        key = key_of(zone, 1000000 + random() % 2000);

        if (ngx_trove_zone_claim(zone, &key, &t, 60, &owner)
            == NGX_TROVE_ZONE_NEW)
        {
            switch (random() % 4) {
            case 0:
                ngx_trove_zone_renew(zone, &key, &t, 60, owner);
                ngx_trove_zone_release(zone, &key, owner);
                break;
            default:
                ngx_trove_zone_complete(zone, &key, &t, 10, owner);
            }
        }

        __atomic_add_fetch(&shared->done[n], 1, __ATOMIC_RELAXED);
    }
}


static void
killed(ngx_trove_zone_t *zone, shared_t *shared)
{
    pid_t                     pids[WORKERS];
    uint32_t                  owner;
    uint64_t                  before;
    ngx_uint_t                i, k, n, b, s, bad, stuck;
    ngx_trove_zone_now_t      t;
    ngx_trove_zone_key_t      key;
    ngx_trove_zone_stat_t     stat;
    ngx_trove_zone_group_t   *group;
    ngx_trove_zone_bucket_t  *bucket;
    ngx_trove_zone_claim_e    rc;

    srandom(1);

    for (i = 0; i < WORKERS; i++) {
        pids[i] = start(zone, shared, i);
    }

    for (k = 0; k < KILLS; k++) {
        i = random() % WORKERS;

        /* after some more work, at whatever instruction that is */

        before = __atomic_load_n(&shared->done[i], __ATOMIC_RELAXED);
        n = random() % 2000;

        while (__atomic_load_n(&shared->done[i], __ATOMIC_RELAXED)
               <= before + n)
        {
            sched_yield();
        }

        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
        pids[i] = start(zone, shared, i);
    }

    for (i = 0; i < WORKERS; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }

    tap_ok(1, "%d kills, and the others went on", KILLS);

    /* what is held is a claim of somebody who was killed, at most one each */

    ngx_trove_zone_stat(zone, &now, &stat);
    tap_ok(stat.inflight <= KILLS + WORKERS, "%d claims are left behind",
           (int) stat.inflight);
    tap_is(stat.full, 0, "there was always room");

    bad = 0;

    for (n = 0; n < zone->groups; n++) {
        group = ngx_trove_zone_group(zone, n);

        for (b = 0; b < NGX_TROVE_ZONE_BUCKETS; b++) {
            bucket = &group->bucket[b];

            for (s = 0; s < NGX_TROVE_ZONE_SLOTS; s++) {
                bad += bucket->word[s] != 0
                       && ngx_trove_zone_word_state(bucket->word[s])
                          != NGX_TROVE_ZONE_CLAIMED
                       && !ngx_trove_zone_slot_intact(bucket, s);
            }
        }
    }

    tap_is(bad, 0, "each slot is valid");

    /* and when the leases and ttls have run out, each key is anybody's */

    t = now;
    t.wall += 100000000;
    t.mono += 1000;
    stuck = 0;

    for (i = 0; i < 2000; i++) {
        key = key_of(zone, 1000000 + i);
        rc = ngx_trove_zone_claim(zone, &key, &t, 1, &owner);

        if (rc == NGX_TROVE_ZONE_NEW) {
            ngx_trove_zone_release(zone, &key, owner);

        } else {
            stuck++;
        }
    }

    tap_is(stuck, 0, "no key is stuck");
}
