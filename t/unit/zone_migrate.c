
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/wait.h>

#include "tap.h"
#include "zone.h"


/* A table in use is migrated to another: who asks the old one is sent there. */

#define PAGES(n)  ((n) * NGX_TROVE_ZONE_PAGE)
#define KEYS      3000


static ngx_trove_zone_t *successor(ngx_trove_zone_t *zone, size_t size);
static void states(void);
static void owners(void);
static void sizes(void);
static void counters(void);
static void half(void);
static void killed(void);
static void repaired(void);
static void lost(ngx_uint_t healed);


static ngx_trove_zone_now_t    now = { 1793000000, 1000 };
static ngx_trove_zone_where_t  there = { 12345 * 4096, PAGES(64) };


int
main(void)
{
    alarm(120);

    states();
    owners();
    sizes();
    counters();
    half();
    killed();
    repaired();
    lost(0);
    lost(1);

    return tap_done();
}


static ngx_trove_zone_t *
successor(ngx_trove_zone_t *zone, size_t size)
{
    return ngx_trove_zone_create_successor(mapped(size), size, zone);
}


static void
states(void)
{
    uint32_t                 owner[3], other;
    ngx_uint_t               left, is;
    ngx_trove_zone_t        *from, *to;
    ngx_trove_zone_key_t     done, inflight, ack, absent;
    ngx_trove_zone_where_t   where;

    from = make(PAGES(16));
    done = key_of(from, 1);
    inflight = key_of(from, 2);
    ack = key_of(from, 3);
    absent = key_of(from, 4);

    ngx_trove_zone_claim(from, &done, &now, 60, &owner[0]);
    ngx_trove_zone_complete(from, &done, &now, 1000, owner[0]);
    ngx_trove_zone_claim(from, &inflight, &now, 60, &owner[1]);
    ngx_trove_zone_ack(from, &ack, &now, 1000);

    tap_is(ngx_trove_zone_successor(from, &where), NGX_DECLINED,
           "no successor yet");
    tap_is(ngx_trove_zone_migrate_begin(from), NGX_OK, "begin");
    tap_is(ngx_trove_zone_migrate_begin(from), NGX_BUSY, "only once");

    to = successor(from, PAGES(64));
    tap_is(ngx_trove_zone_claim(from, &done, &now, 60, &other),
           NGX_TROVE_ZONE_DONE, "nothing has changed yet");

    ngx_trove_zone_migrate(to, from, &there, &now, &left);
    ngx_trove_zone_migrate_end(from);

    tap_is(left, 0, "nothing is left out");
    tap_is(ngx_trove_zone_successor(from, &where), NGX_OK,
           "all is in the successor");
    tap_is(where.offset, there.offset, "where it is");
    tap_is(where.size, there.size, "and its size");
    tap_is(ngx_trove_zone_successor(to, &where), NGX_DECLINED,
           "which has none");

    tap_is(ngx_trove_zone_claim(from, &absent, &now, 60, &other),
           NGX_TROVE_ZONE_MOVED, "claim: moved");
    tap_is(ngx_trove_zone_renew(from, &inflight, &now, 60, owner[1]),
           NGX_AGAIN, "renew: moved");
    tap_is(ngx_trove_zone_complete(from, &inflight, &now, 60, owner[1]),
           NGX_AGAIN, "complete: moved");
    tap_is(ngx_trove_zone_release(from, &inflight, owner[1]),
           NGX_AGAIN, "release: moved");
    tap_is(ngx_trove_zone_ack(from, &ack, &now, 60), NGX_AGAIN,
           "ack: moved");
    tap_is(ngx_trove_zone_acked(from, &ack, &now, &is), NGX_AGAIN,
           "acked: moved");

    tap_ok(memcmp(&done, &(ngx_trove_zone_key_t) { key_of(to, 1).place,
                                                   key_of(to, 1).tag },
                  sizeof(done))
           == 0, "a key is the same there");

    tap_is(ngx_trove_zone_claim(to, &done, &now, 60, &other),
           NGX_TROVE_ZONE_DONE, "DONE is there");
    tap_is(ngx_trove_zone_claim(to, &inflight, &now, 60, &other),
           NGX_TROVE_ZONE_INFLIGHT, "INFLIGHT is there");
    tap_is(ngx_trove_zone_acked(to, &ack, &now, &is), NGX_OK, "an ack");
    tap_ok(is, "is there");
    tap_is(ngx_trove_zone_renew(to, &inflight, &now, 60, owner[1]), NGX_OK,
           "its owner's own");
    tap_is(ngx_trove_zone_complete(to, &inflight, &now, 60, owner[1]), NGX_OK,
           "who completes it there");
    tap_is(ngx_trove_zone_claim(to, &absent, &now, 60, &owner[2]),
           NGX_TROVE_ZONE_NEW, "and others are new");
}


/* nobody gets a number there that somebody may still have from here */

static void
owners(void)
{
    uint32_t              owner, old;
    ngx_uint_t            i, left, again;
    ngx_trove_zone_t     *from, *to;
    ngx_trove_zone_key_t  key;

    from = make(PAGES(2));
    key = key_of(from, 1);

    for (i = 0; i < 500; i++) {
        ngx_trove_zone_claim(from, &key, &now, 60, &old);
        ngx_trove_zone_release(from, &key, old);
    }

    to = successor(from, PAGES(2));
    ngx_trove_zone_migrate(to, from, &there, &now, &left);

    for (again = 0, i = 0; i < 2000; i++) {
        ngx_trove_zone_claim(to, &key, &now, 60, &owner);
        again += owner <= old;
        ngx_trove_zone_release(to, &key, owner);
    }

    tap_is(again, 0, "no owner is given out again");
}


static void
sizes(void)
{
    uint32_t              owner;
    ngx_uint_t            i, s, left, done, evicted;
    ngx_trove_zone_t     *from, *to;
    ngx_trove_zone_now_t  t;
    ngx_trove_zone_key_t  key;
    ngx_trove_zone_stat_t stat;

    static size_t  size[] = { PAGES(64), PAGES(33), PAGES(24), PAGES(4) };

    for (s = 0; s < 4; s++) {
        from = make(PAGES(32));

        for (i = 0; i < KEYS; i++) {
            t = now;
            t.wall += i / 100;
            key = key_of(from, i);
            ngx_trove_zone_claim(from, &key, &t, 60, &owner);
            ngx_trove_zone_complete(from, &key, &t, 1000, owner);
        }

        to = successor(from, size[s]);
        ngx_trove_zone_migrate(to, from, &there, &now, &left);

        ngx_trove_zone_stat(to, &now, &stat);
        done = stat.done;
        evicted = stat.evicted;

        for (i = 0; s < 3 && i < KEYS; i++) {
            key = key_of(to, i);
            done -= ngx_trove_zone_claim(to, &key, &now, 60, &owner)
                    != NGX_TROVE_ZONE_DONE;
        }

        if (s < 3) {
            tap_is(done, KEYS, "to %d bytes: all", (int) size[s]);
            tap_is(left, 0, "and none is left out");

        } else {
            tap_ok(done < KEYS && done >= 3 * 217 * 8 / 10,
                   "to %d bytes: %d", (int) size[s], (int) done);
            tap_ok(left >= 2000 && left < KEYS, "%d are left out", (int) left);
            tap_ok(evicted >= left, "which is counted");
        }
    }
}


static void
counters(void)
{
    uint32_t               owner;
    ngx_uint_t             i, left;
    ngx_trove_zone_t      *from, *to;
    ngx_trove_zone_key_t   key;
    ngx_trove_zone_stat_t  before, after;

    from = make(PAGES(3));

    for (i = 0; i < KEYS; i++) {
        key = key_of(from, i);

        if (ngx_trove_zone_claim(from, &key, &now, 60, &owner)
            == NGX_TROVE_ZONE_NEW && i % 3)
        {
            ngx_trove_zone_complete(from, &key, &now, 1000, owner);
        }
    }

    ngx_trove_zone_stat(from, &now, &before);

    to = successor(from, PAGES(64));
    ngx_trove_zone_migrate(to, from, &there, &now, &left);

    ngx_trove_zone_stat(to, &now, &after);

    tap_ok(before.evicted > 0 && before.full > 0, "something is counted");
    tap_is(after.evicted, before.evicted, "evictions go on from there");
    tap_is(after.full, before.full, "and so do refusals");
    tap_is(after.done, before.done, "all DONE");
    tap_is(after.inflight, before.inflight, "all INFLIGHT");
}


/* left half-done: each key is in one of both, and the next one goes on */

static void
half(void)
{
    uint32_t                 owner, owners[KEYS];
    ngx_uint_t               i, left, bad, moved;
    ngx_trove_zone_t        *from, *to, *at;
    ngx_trove_zone_key_t     key;
    ngx_trove_zone_where_t   where;
    ngx_trove_zone_claim_e   rc;

    from = make(PAGES(32));

    for (i = 0; i < KEYS; i++) {
        key = key_of(from, i);
        ngx_trove_zone_claim(from, &key, &now, 60, &owners[i]);

        if (i % 2) {
            ngx_trove_zone_complete(from, &key, &now, 1000, owners[i]);
        }
    }

    to = successor(from, PAGES(64));
    ngx_trove_zone_migrate(to, from, &there, &now, &left);

    /* as if killed: the last groups are copied, but not marked as moved */

    from->migrated = 0;

    for (i = from->groups / 2; i < from->groups; i++) {
        ngx_trove_zone_group(from, i)->u.head.moved = 0;
    }

    tap_is(ngx_trove_zone_successor(from, &where), NGX_AGAIN, "half-done");

    for (bad = 0, moved = 0, i = 0; i < KEYS; i++) {
        at = from;
        key = key_of(from, i);
        rc = ngx_trove_zone_claim(from, &key, &now, 60, &owner);

        if (rc == NGX_TROVE_ZONE_MOVED) {
            at = to;
            rc = ngx_trove_zone_claim(to, &key, &now, 60, &owner);
            moved++;
        }

        bad += rc != (i % 2 ? NGX_TROVE_ZONE_DONE : NGX_TROVE_ZONE_INFLIGHT);

        if (i % 4 == 0) {
            bad += ngx_trove_zone_complete(at, &key, &now, 1000, owners[i])
                   != NGX_OK;

        } else if (i % 4 == 2) {
            bad += ngx_trove_zone_release(at, &key, owners[i]) != NGX_OK;
        }
    }

    tap_is(bad, 0, "each key is as it was, here or there");
    tap_ok(moved > 1000 && moved < KEYS - 1000, "%d of them there",
           (int) moved);

    ngx_trove_zone_migrate(to, from, &there, &now, &left);

    tap_is(ngx_trove_zone_successor(from, &where), NGX_OK, "done with");

    for (bad = 0, i = 0; i < KEYS; i++) {
        key = key_of(to, i);
        rc = ngx_trove_zone_claim(to, &key, &now, 60, &owner);

        /* what a stale copy says is in flight ends by its lease */

        bad += i % 4 != 2 && rc != NGX_TROVE_ZONE_DONE;
    }

    tap_is(bad, 0, "all that was completed is there");
}


/* killed at any instruction, again and again, until it gets through */

static void
killed(void)
{
    pid_t                    pid;
    uint32_t                 owner;
    ngx_uint_t               i, n, kills, bad, left;
    ngx_trove_zone_t        *from, *to;
    ngx_trove_zone_key_t     key;
    ngx_trove_zone_where_t   where;
    ngx_trove_zone_stat_t    stat;

    srandom(2);
    kills = 0;
    bad = 0;

    /* on a busy machine the parent often wakes up too late to kill */

    for (n = 0; n < 40 || kills <= 10; n++) {
        from = make(PAGES(32));

        for (i = 0; i < KEYS; i++) {
            key = key_of(from, i);
            ngx_trove_zone_claim(from, &key, &now, 60, &owner);
            ngx_trove_zone_complete(from, &key, &now, 1000, owner);
        }

        to = successor(from, PAGES(n % 2 ? 64 : 24));

        for ( ;; ) {
            pid = fork();

            if (pid == 0) {
                if (ngx_trove_zone_migrate_begin(from) != NGX_OK) {
                    _exit(1);
                }

                ngx_trove_zone_migrate(to, from, &there, &now, &left);
                ngx_trove_zone_migrate_end(from);
                _exit(0);
            }

            usleep(random() % 600);
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);

            if (ngx_trove_zone_successor(from, &where) == NGX_OK) {
                break;
            }

            kills++;
        }

        ngx_trove_zone_stat(to, &now, &stat);
        bad += stat.done != KEYS;

        for (i = 0; i < KEYS; i++) {
            key = key_of(to, i);
            bad += ngx_trove_zone_claim(to, &key, &now, 60, &owner)
                   != NGX_TROVE_ZONE_DONE;
        }

        munmap(from, PAGES(32));
        munmap(to, PAGES(n % 2 ? 64 : 24));
    }

    tap_ok(kills > 10, "killed %d times on the way", (int) kills);
    tap_is(bad, 0, "and nothing is lost");
}


/* after a restart of the machine the old one is a table like any other */

static void
repaired(void)
{
    uint32_t                 owner;
    ngx_uint_t               i, left, done;
    ngx_trove_zone_t        *from, *to, *all;
    ngx_trove_zone_key_t     key;
    ngx_trove_zone_now_t     t;
    ngx_trove_zone_where_t   where;

    from = make(PAGES(32));

    for (i = 0; i < 100; i++) {
        key = key_of(from, i);
        ngx_trove_zone_claim(from, &key, &now, 60, &owner);
        ngx_trove_zone_complete(from, &key, &now, 10, owner);
    }

    to = successor(from, PAGES(64));
    ngx_trove_zone_migrate(to, from, &there, &now, &left);

    /* there they run out and are completed once more, and new ones are added */

    t = now;
    t.wall += 11;

    for (i = 50; i < 150; i++) {
        key = key_of(to, i);
        ngx_trove_zone_claim(to, &key, &t, 60, &owner);
        ngx_trove_zone_complete(to, &key, &t, 10, owner);
    }

    from->where ^= 2;
    tap_is(ngx_trove_zone_successor(from, &where), NGX_ERROR, "a flipped bit");
    from->where ^= 2;

    tap_is(ngx_trove_zone_recover(from), NGX_OK, "recovered");
    tap_is(ngx_trove_zone_successor(from, &where), NGX_DECLINED,
           "it has no successor");
    key = key_of(from, 1);
    tap_is(ngx_trove_zone_claim(from, &key, &now, 60, &owner),
           NGX_TROVE_ZONE_DONE, "and all that it had");

    ngx_trove_zone_recover(to);

    for (i = 0; i < 2; i++) {
        all = make(PAGES(32));
        ngx_trove_zone_copy(all, i ? to : from, &now);
        ngx_trove_zone_copy(all, i ? from : to, &now);

        t.wall = now.wall + 15;

        for (done = 0, left = 0; left < 150; left++) {
            key = key_of(all, left);
            done += ngx_trove_zone_claim(all, &key, &t, 60, &owner)
                    == NGX_TROVE_ZONE_DONE;
        }

        tap_is(done, 100, "of two copies of a key the later one stays");
    }
}


/* somebody truncates the file while the table is locked for a migration */

static void
lost(ngx_uint_t healed)
{
    uint32_t                owner;
    ngx_trove_zone_t       *from, *to;
    ngx_trove_zone_key_t    key;
    ngx_trove_zone_kept_t   kept;

    from = make(PAGES(4));
    to = make(PAGES(4));

    ngx_trove_zone_keep(from, &kept);
    tap_is(ngx_trove_zone_migrate_begin(from), NGX_OK, "locked");

    memset(from, 0, PAGES(4));

    if (healed) {
        tap_ok(ngx_trove_zone_heal(from, &kept), "lost, and healed");
    }

    ngx_trove_zone_migrate_end(from);
    munmap(from, PAGES(4));

    key = key_of(to, 1);
    tap_is(ngx_trove_zone_claim(to, &key, &now, 60, &owner),
           NGX_TROVE_ZONE_NEW, "another lock can be taken");
}
