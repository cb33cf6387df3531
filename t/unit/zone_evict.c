
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "tap.h"
#include "zone.h"


/*
 * What gives way to a new key where there is no room: what is over, then acks,
 * then the oldest DONE, and never an INFLIGHT; and how many that are in 10 MB.
 */

#define PAIR      (2 * NGX_TROVE_ZONE_SLOTS)
#define KEYS      60
#define SIZE_10M  (10 * 1024 * 1024)


static void keys_of_pair(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *keys);
static ngx_uint_t add(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *key,
    int64_t wall);
static ngx_uint_t is_done(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *key,
    int64_t wall);
static void oldest(void);
static void inflight(void);
static void acks(void);
static void over(void);
static void moves(void);
static void flow(void);
static void overfull(void);


static ngx_trove_zone_now_t  now = { 1793000000, 1000 };


int
main(void)
{
    oldest();
    inflight();
    acks();
    over();
    moves();
    flow();
    overfull();

    return tap_done();
}


/* keys that share both their buckets, and so nothing with any other key */

static void
keys_of_pair(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *keys)
{
    uint64_t               n;
    ngx_uint_t             i;
    ngx_trove_zone_pair_t  first, pair;

    keys[0] = key_of(zone, 0);
    ngx_trove_zone_pair(zone, &keys[0], &first);

    for (i = 1, n = 1; i < KEYS; n++) {
        keys[i] = key_of(zone, n);
        ngx_trove_zone_pair(zone, &keys[i], &pair);

        if ((pair.bucket[0] == first.bucket[0]
             && pair.bucket[1] == first.bucket[1])
            || (pair.bucket[0] == first.bucket[1]
                && pair.bucket[1] == first.bucket[0]))
        {
            i++;
        }
    }
}


/* a key that is completed at that time; 1: it was new */

static ngx_uint_t
add(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *key, int64_t wall)
{
    uint32_t              owner;
    ngx_trove_zone_now_t  t;

    t = now;
    t.wall += wall;

    if (ngx_trove_zone_claim(zone, key, &t, 60, &owner) != NGX_TROVE_ZONE_NEW) {
        return 0;
    }

    return ngx_trove_zone_complete(zone, key, &t, 100000, owner) == NGX_OK;
}


/* looks without changing anything */

static ngx_uint_t
is_done(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *key, int64_t wall)
{
    ngx_trove_zone_now_t   t;
    ngx_trove_zone_pair_t  pair;
    ngx_trove_zone_slot_t  slot;

    t = now;
    t.wall += wall;

    ngx_trove_zone_pair(zone, key, &pair);
    slot = ngx_trove_zone_find(&pair, key);

    return slot.bucket != NULL
           && ngx_trove_zone_slot_state(slot.bucket, slot.n, &t)
              == NGX_TROVE_ZONE_COMPLETED;
}


static void
oldest(void)
{
    ngx_uint_t             i, k, bad;
    ngx_trove_zone_t      *zone;
    ngx_trove_zone_key_t   keys[KEYS];
    ngx_trove_zone_stat_t  stat;

    zone = make_fixed(2 * NGX_TROVE_ZONE_PAGE);
    keys_of_pair(zone, keys);

    /* completed in another order than they are put in: 5, 10, 1, 6, 11 .. */

    for (bad = 0, i = 0; i < PAIR; i++) {
        k = (i * 5 + 5) % PAIR;
        bad += !add(zone, &keys[k], k);
    }

    ngx_trove_zone_stat(zone, &now, &stat);
    tap_is(bad + stat.evicted, 0, "as many as there are slots");

    for (i = 0; i < PAIR; i++) {
        bad += !is_done(zone, &keys[i], PAIR);
    }

    tap_is(bad, 0, "and all are there");

    /* each new one costs the one that is the oldest then, and no other */

    for (i = PAIR; i < KEYS; i++) {
        bad += !add(zone, &keys[i], i);

        for (k = 0; k <= i; k++) {
            bad += is_done(zone, &keys[k], i) != (k > i - PAIR);
        }
    }

    tap_is(bad, 0, "then the oldest goes for each, and no other");

    ngx_trove_zone_stat(zone, &now, &stat);
    tap_is(stat.evicted, KEYS - PAIR, "which is counted");

    drop(zone, 2 * NGX_TROVE_ZONE_PAGE);
}


static void
inflight(void)
{
    uint32_t               owner, owners[4];
    ngx_uint_t             i, bad;
    ngx_trove_zone_t      *zone;
    ngx_trove_zone_now_t   t;
    ngx_trove_zone_key_t   keys[KEYS];
    ngx_trove_zone_stat_t  stat;

    zone = make_fixed(2 * NGX_TROVE_ZONE_PAGE);
    keys_of_pair(zone, keys);

    /* older than anything else */

    for (i = 0; i < 4; i++) {
        ngx_trove_zone_claim(zone, &keys[i], &now, 60, &owners[i]);
    }

    for (bad = 0, i = 4; i < 50; i++) {
        bad += !add(zone, &keys[i], i);
    }

    for (i = 0; i < 4; i++) {
        bad += ngx_trove_zone_renew(zone, &keys[i], &now, 60, owners[i])
               != NGX_OK;
    }

    for (i = 4; i < 50; i++) {
        bad += is_done(zone, &keys[i], 50) != (i >= 50 - (PAIR - 4));
    }

    tap_is(bad, 0, "INFLIGHT stays, however old; DONE goes in its order");

    /* claims that stay: DONE goes until there is none */

    t = now;
    t.wall += 50;

    for (i = 50; i < KEYS; i++) {
        bad += ngx_trove_zone_claim(zone, &keys[i], &t, 60, &owner)
               != NGX_TROVE_ZONE_NEW;
        bad += is_done(zone, &keys[i - (PAIR - 4)], 50);
    }

    tap_is(bad, 0, "for a claim as well");

    ngx_trove_zone_stat(zone, &t, &stat);
    tap_is(stat.inflight, PAIR, "until all is INFLIGHT");

    i = stat.evicted;

    bad = ngx_trove_zone_claim(zone, &keys[20], &t, 60, &owner)
          != NGX_TROVE_ZONE_FULL;
    tap_is(bad, 0, "then there is no room");

    ngx_trove_zone_stat(zone, &t, &stat);
    tap_is(stat.evicted, i, "nothing gives way");
    tap_is(stat.full, 1, "and that is counted");

    bad = ngx_trove_zone_release(zone, &keys[0], owners[0]) != NGX_OK;
    tap_is(bad, 0, "one is released");
    tap_is(add(zone, &keys[21], 60), 1, "and there is room again");

    drop(zone, 2 * NGX_TROVE_ZONE_PAGE);
}


static void
acks(void)
{
    ngx_uint_t             i, is, bad;
    ngx_trove_zone_t      *zone;
    ngx_trove_zone_now_t   t;
    ngx_trove_zone_key_t   keys[KEYS];
    ngx_trove_zone_stat_t  stat;

    zone = make_fixed(2 * NGX_TROVE_ZONE_PAGE);
    keys_of_pair(zone, keys);

    for (bad = 0, i = 0; i < PAIR - 5; i++) {
        bad += !add(zone, &keys[i], i);
    }

    /* younger than all of them */

    t = now;

    for (i = PAIR - 5; i < PAIR; i++) {
        t.wall = now.wall + 100 + i;
        bad += ngx_trove_zone_ack(zone, &keys[i], &t, 1000) != NGX_OK;
    }

    /* an ack costs an ack */

    t.wall = now.wall + 200;
    bad += ngx_trove_zone_ack(zone, &keys[PAIR], &t, 1000) != NGX_OK;
    ngx_trove_zone_acked(zone, &keys[PAIR - 5], &t, &is);
    tap_is(bad + is, 0, "for an ack the oldest ack goes");

    /* so does an event, as long as there are any */

    for (i = 0; i < 5; i++) {
        bad += !add(zone, &keys[20 + i], 300);

        ngx_trove_zone_stat(zone, &t, &stat);
        bad += stat.acked != 4 - i;
    }

    for (i = 0; i < PAIR - 5; i++) {
        bad += !is_done(zone, &keys[i], 300);
    }

    tap_is(bad, 0, "for an event an ack goes, be it the youngest of all");
    tap_is(stat.dropped, 6, "which is counted");
    tap_is(stat.evicted, 0, "as no eviction");

    tap_is(ngx_trove_zone_ack(zone, &keys[40], &t, 1000), NGX_DECLINED,
           "no DONE goes for an ack");
    tap_is(add(zone, &keys[41], 300), 1, "for an event then");
    tap_is(is_done(zone, &keys[0], 300), 0, "the oldest DONE goes");

    drop(zone, 2 * NGX_TROVE_ZONE_PAGE);
}


/* what is over is room, and no eviction */

static void
over(void)
{
    uint32_t               owner;
    ngx_uint_t             i, bad;
    ngx_trove_zone_t      *zone;
    ngx_trove_zone_now_t   t;
    ngx_trove_zone_key_t   keys[KEYS];
    ngx_trove_zone_stat_t  stat;

    zone = make_fixed(2 * NGX_TROVE_ZONE_PAGE);
    keys_of_pair(zone, keys);

    for (bad = 0, i = 0; i < PAIR; i++) {
        bad += ngx_trove_zone_claim(zone, &keys[i], &now, 10, &owner)
               != NGX_TROVE_ZONE_NEW;

        if (i % 2) {
            bad += ngx_trove_zone_complete(zone, &keys[i], &now, 50, owner)
                   != NGX_OK;
        }
    }

    t = now;
    t.mono += 11;

    for (i = 0; i < PAIR / 2; i++) {
        bad += ngx_trove_zone_claim(zone, &keys[20 + i], &t, 1000, &owner)
               != NGX_TROVE_ZONE_NEW;
    }

    t.wall += 51;

    for (i = 0; i < PAIR / 2; i++) {
        bad += ngx_trove_zone_claim(zone, &keys[30 + i], &t, 1000, &owner)
               != NGX_TROVE_ZONE_NEW;
    }

    ngx_trove_zone_stat(zone, &t, &stat);
    tap_is(bad, 0, "leases and ttls that ran out make room");
    tap_is(stat.evicted, 0, "without an eviction");
    tap_is(stat.inflight, PAIR, "for as many");

    drop(zone, 2 * NGX_TROVE_ZONE_PAGE);
}


/* nothing is given up as long as one can be moved to its other bucket */

static void
moves(void)
{
    ngx_uint_t             i, n, bad;
    ngx_trove_zone_t      *zone;
    ngx_trove_zone_key_t   key;
    ngx_trove_zone_stat_t  stat;

    zone = make_fixed(2 * NGX_TROVE_ZONE_PAGE);

    for (n = 0; /* void */ ; n++) {
        key = key_of(zone, n);
        add(zone, &key, n);

        ngx_trove_zone_stat(zone, &now, &stat);

        if (stat.evicted) {
            break;
        }
    }

    tap_ok(n >= NGX_TROVE_ZONE_GROUP_SLOTS * 8 / 10,
           "the first goes when %d of %d slots are taken", (int) n,
           NGX_TROVE_ZONE_GROUP_SLOTS);

    for (bad = 0, i = 0; i <= n; i++) {
        key = key_of(zone, i);
        bad += !is_done(zone, &key, n);
    }

    tap_is(bad, 1, "and it is the only one");

    drop(zone, 2 * NGX_TROVE_ZONE_PAGE);
}


/* 400,000 at any time, as they come and run out */

static void
flow(void)
{
    uint32_t               owner;
    uint64_t               n;
    ngx_trove_zone_t      *zone;
    ngx_trove_zone_now_t   t;
    ngx_trove_zone_key_t   key;
    ngx_trove_zone_stat_t  before, after;

    zone = make_fixed(SIZE_10M);

    for (n = 0; n < 1600000; n++) {

        if (n == 400000) {
            ngx_trove_zone_stat(zone, &t, &before);
        }

        t = now;
        t.wall += n / 400;

        key = key_of(zone, n);
        ngx_trove_zone_claim(zone, &key, &t, 60, &owner);
        ngx_trove_zone_complete(zone, &key, &t, 999, owner);
    }

    ngx_trove_zone_stat(zone, &t, &after);

    tap_ok(after.done > 399000 && after.done < 401000,
           "%d ids alive in 10 MB", (int) after.done);
    tap_ok(after.evicted - before.evicted <= 1200,
           "of 1,200,000 that came, %d were forgotten early: 0.1 %% at most",
           (int) (after.evicted - before.evicted));

    drop(zone, SIZE_10M);
}


/* far too many: the older, the more are forgotten */

static void
overfull(void)
{
    uint64_t               n;
    ngx_uint_t             i, bad, left[8];
    ngx_trove_zone_t      *zone;
    ngx_trove_zone_key_t   key;
    ngx_trove_zone_stat_t  stat;

    zone = make_fixed(SIZE_10M);

    for (n = 0; n < 800000; n++) {
        key = key_of(zone, n);
        add(zone, &key, n / 100);
    }

    ngx_memzero(left, sizeof(left));

    for (n = 0; n < 800000; n++) {
        key = key_of(zone, n);
        left[n / 100000] += is_done(zone, &key, 8000);
    }

    for (bad = 0, i = 1; i < 8; i++) {
        bad += left[i] < left[i - 1];
    }

    tap_is(bad, 0, "800,000 in 10 MB, of each 100,000 are left: %d %d %d %d %d "
           "%d %d %d", (int) left[0], (int) left[1], (int) left[2],
           (int) left[3], (int) left[4], (int) left[5], (int) left[6],
           (int) left[7]);
    tap_ok(left[7] >= 99900 && left[0] < 10000,
           "the youngest are there, the oldest are not");

    ngx_trove_zone_stat(zone, &now, &stat);

    for (n = 0, i = 0; i < 8; i++) {
        n += left[i];
    }

    tap_is(stat.evicted, 800000 - n, "and each that is not was counted");

    drop(zone, SIZE_10M);
}
