
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_zone_layout.h"
#include "tap.h"
#include "zone.h"


/* what NGINX's slab allocator leaves of a zone of 10 MB */
#define SIZE_10M  (10 * 1024 * 1024 - 72 * 1024)


static ngx_uint_t acked(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *key,
    ngx_trove_zone_now_t *t);
static void states(void);
static void owners(void);
static void times(void);
static void ttls(void);
static void eviction(void);
static void density(void);
static void copies(void);
static void attach(void);
static void acks(void);
static void damage(void);
static void recovery(void);


static ngx_trove_zone_now_t  now = { 1793000000, 1000 };


int
main(void)
{
    states();
    owners();
    times();
    ttls();
    eviction();
    density();
    copies();
    attach();
    acks();
    damage();
    recovery();

    return tap_done();
}


static ngx_uint_t
acked(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *key,
    ngx_trove_zone_now_t *t)
{
    ngx_uint_t  is;

    return ngx_trove_zone_acked(zone, key, t, &is) == NGX_OK && is;
}


static void
states(void)
{
    uint32_t               owner, other;
    ngx_trove_zone_t      *zone;
    ngx_trove_zone_key_t   a, b;
    ngx_trove_zone_stat_t  stat;

    zone = make(65536);
    a = key_of(zone, 1);
    b = key_of(zone, 2);
    other = 0;

    tap_is(ngx_trove_zone_claim(zone, &a, &now, 60, &owner),
           NGX_TROVE_ZONE_NEW, "absent: new");
    tap_ok(owner != 0, "an owner");
    tap_is(ngx_trove_zone_claim(zone, &a, &now, 60, &other),
           NGX_TROVE_ZONE_INFLIGHT, "claimed: in flight");
    tap_is(other, 0, "no other owner");
    tap_is(ngx_trove_zone_claim(zone, &b, &now, 60, &other),
           NGX_TROVE_ZONE_NEW, "another key is new");

    tap_is(ngx_trove_zone_release(zone, &a, owner), NGX_OK, "released");
    tap_is(ngx_trove_zone_claim(zone, &a, &now, 60, &owner),
           NGX_TROVE_ZONE_NEW, "released: new again");
    tap_is(ngx_trove_zone_complete(zone, &a, &now, 100, owner), NGX_OK,
           "completed");
    tap_is(ngx_trove_zone_claim(zone, &a, &now, 60, &owner),
           NGX_TROVE_ZONE_DONE, "completed: done");
    tap_is(ngx_trove_zone_release(zone, &a, owner), NGX_DECLINED,
           "a release after that does nothing");
    tap_is(ngx_trove_zone_claim(zone, &a, &now, 60, &owner),
           NGX_TROVE_ZONE_DONE, "still done");

    ngx_trove_zone_stat(zone, &now, &stat);
    tap_is(stat.slots, 15 * 31 * NGX_TROVE_ZONE_SLOTS, "slots");
    tap_is(stat.inflight, 1, "one in flight");
    tap_is(stat.done, 1, "one done");
    tap_is(stat.evicted + stat.takeovers + stat.full + stat.recovered, 0,
           "nothing else");

    drop(zone, 65536);
}


static void
owners(void)
{
    uint32_t               first, second;
    ngx_trove_zone_t      *zone;
    ngx_trove_zone_now_t   later;
    ngx_trove_zone_key_t   a;
    ngx_trove_zone_stat_t  stat;

    zone = make(65536);
    a = key_of(zone, 1);

    ngx_trove_zone_claim(zone, &a, &now, 10, &first);

    later = now;
    later.mono += 11;

    tap_is(ngx_trove_zone_claim(zone, &a, &later, 10, &second),
           NGX_TROVE_ZONE_NEW, "the lease ran out: taken over");
    tap_ok(first != second, "by another owner");
    tap_is(ngx_trove_zone_renew(zone, &a, &later, 10, first), NGX_DECLINED,
           "the first cannot renew");
    tap_is(ngx_trove_zone_release(zone, &a, first), NGX_DECLINED,
           "nor release");
    tap_is(ngx_trove_zone_complete(zone, &a, &later, 10, first), NGX_DECLINED,
           "nor complete");
    tap_is(ngx_trove_zone_claim(zone, &a, &later, 10, &first),
           NGX_TROVE_ZONE_INFLIGHT, "the second is not disturbed");
    tap_is(ngx_trove_zone_complete(zone, &a, &later, 10, second), NGX_OK,
           "and completes");

    ngx_trove_zone_stat(zone, &later, &stat);
    tap_is(stat.takeovers, 1, "one takeover");

    /* renewed in time, and renewed late but before anybody came */

    a = key_of(zone, 2);
    ngx_trove_zone_claim(zone, &a, &now, 10, &first);
    tap_is(ngx_trove_zone_renew(zone, &a, &later, 10, first), NGX_OK,
           "a late renewal, nobody came");
    tap_is(ngx_trove_zone_claim(zone, &a, &later, 10, &second),
           NGX_TROVE_ZONE_INFLIGHT, "it holds again");

    /* gone, and absent: that it was done is a fact */

    a = key_of(zone, 3);
    ngx_trove_zone_claim(zone, &a, &now, 10, &first);
    ngx_trove_zone_release(zone, &a, first);
    tap_is(ngx_trove_zone_complete(zone, &a, &now, 10, first), NGX_DECLINED,
           "a completion of what is absent");
    tap_is(ngx_trove_zone_claim(zone, &a, &now, 10, &second),
           NGX_TROVE_ZONE_DONE, "is recorded");

    drop(zone, 65536);
}


static void
times(void)
{
    uint32_t              owner;
    ngx_trove_zone_t     *zone;
    ngx_trove_zone_now_t  t;
    ngx_trove_zone_key_t  a;

    zone = make(65536);
    a = key_of(zone, 1);
    t = now;

    ngx_trove_zone_claim(zone, &a, &t, 10, &owner);

    t.mono = now.mono + 10;
    tap_is(ngx_trove_zone_claim(zone, &a, &t, 10, &owner),
           NGX_TROVE_ZONE_INFLIGHT, "a lease holds for its last second");
    t.wall += 1000000;
    tap_is(ngx_trove_zone_claim(zone, &a, &t, 10, &owner),
           NGX_TROVE_ZONE_INFLIGHT, "a step of the clock is nothing to it");
    t.wall = now.wall;
    t.mono = now.mono + 11;
    tap_is(ngx_trove_zone_claim(zone, &a, &t, 10, &owner),
           NGX_TROVE_ZONE_NEW, "then it is over");

    ngx_trove_zone_complete(zone, &a, &t, 100, owner);

    t.wall = now.wall + 100;
    tap_is(ngx_trove_zone_claim(zone, &a, &t, 10, &owner),
           NGX_TROVE_ZONE_DONE, "a ttl holds for its last second");
    t.wall = now.wall - 50;
    tap_is(ngx_trove_zone_claim(zone, &a, &t, 10, &owner),
           NGX_TROVE_ZONE_DONE, "also when the clock is set back");
    t.wall = now.wall + 101;
    tap_is(ngx_trove_zone_claim(zone, &a, &t, 10, &owner),
           NGX_TROVE_ZONE_NEW, "then it is over");

    /* a completion by a clock that was years ahead */

    t.wall = now.wall + 100000000;
    ngx_trove_zone_complete(zone, &a, &t, 100, owner);
    t.wall = now.wall;
    tap_is(ngx_trove_zone_claim(zone, &a, &t, 10, &owner),
           NGX_TROVE_ZONE_DONE, "from the future: done");
    t.wall = now.wall + 101;
    tap_is(ngx_trove_zone_claim(zone, &a, &t, 10, &owner),
           NGX_TROVE_ZONE_NEW, "but not for ever");

    /* the lower 32 bits overflow */

    a = key_of(zone, 2);
    t.mono = 0xfffffffe;
    tap_is(ngx_trove_zone_claim(zone, &a, &t, 10, &owner),
           NGX_TROVE_ZONE_NEW, "at the end of 32 bits");
    t.mono += 10;
    tap_is(ngx_trove_zone_claim(zone, &a, &t, 10, &owner),
           NGX_TROVE_ZONE_INFLIGHT, "beyond it");
    t.mono += 1;
    tap_is(ngx_trove_zone_claim(zone, &a, &t, 10, &owner),
           NGX_TROVE_ZONE_NEW, "and over");

    drop(zone, 65536);
}


static void
ttls(void)
{
    int64_t     ttl, back;
    ngx_uint_t  bad;

    bad = 0;

    for (ttl = 1; ttl <= NGX_TROVE_ZONE_TTL_MAX; ttl += 1 + ttl / 1000) {
        back = ngx_trove_zone_ttl_decode(ngx_trove_zone_ttl_encode(ttl));

        if (back < ttl || back > ttl + ttl / 1024
            || (ttl < 2048 && back != ttl))
        {
            bad++;
        }
    }

    tap_is(bad, 0, "each ttl is kept, or a little more");
}


static void
eviction(void)
{
    uint32_t                owner, owners[2000];
    ngx_uint_t              i, n, old, evicted;
    ngx_trove_zone_t       *zone;
    ngx_trove_zone_now_t    t;
    ngx_trove_zone_key_t    key;
    ngx_trove_zone_stat_t   stat;
    ngx_trove_zone_claim_e  rc;

    /* one group: live claims until there is no room */

    zone = make(2 * NGX_TROVE_ZONE_PAGE);

    for (n = 0; n < 2000; n++) {
        key = key_of(zone, n);
        rc = ngx_trove_zone_claim(zone, &key, &now, 60, &owners[n]);

        if (rc != NGX_TROVE_ZONE_NEW) {
            break;
        }
    }

    tap_is(rc, NGX_TROVE_ZONE_FULL, "no room after %d claims", (int) n);
    ngx_trove_zone_stat(zone, &now, &stat);
    tap_is(stat.full, 1, "counted");
    tap_is(stat.inflight, n, "all that were given are alive");

    for (i = 0; i < n; i++) {
        key = key_of(zone, i);
        if (ngx_trove_zone_renew(zone, &key, &now, 60, owners[i]) != NGX_OK) {
            break;
        }
    }

    tap_is(i, n, "and their owners' own");

    drop(zone, 2 * NGX_TROVE_ZONE_PAGE);

    /* DONE of two ages: the younger ones stay as long as older ones go */

    zone = make(2 * NGX_TROVE_ZONE_PAGE);
    t = now;

    for (n = 0; n < 5000; n++) {
        t.wall = now.wall + n;
        key = key_of(zone, n);

        if (ngx_trove_zone_claim(zone, &key, &t, 60, &owner)
            != NGX_TROVE_ZONE_NEW)
        {
            break;
        }

        ngx_trove_zone_complete(zone, &key, &t, 1000000, owner);
    }

    tap_is(n, 5000, "DONE gives way for ever");

    old = 0;

    for (i = 0; i < 4000; i++) {
        key = key_of(zone, i);
        rc = ngx_trove_zone_claim(zone, &key, &t, 60, &owner);

        if (rc == NGX_TROVE_ZONE_DONE) {
            old++;

        } else if (rc == NGX_TROVE_ZONE_NEW) {
            ngx_trove_zone_release(zone, &key, owner);
        }
    }

    ngx_trove_zone_stat(zone, &t, &stat);
    evicted = stat.evicted;

    tap_ok(old < 8, "of the oldest 4000 only %d are left", (int) old);
    tap_ok(evicted >= 4500, "%d evictions are counted", (int) evicted);

    drop(zone, 2 * NGX_TROVE_ZONE_PAGE);
}


static void
density(void)
{
    uint32_t               owner;
    uint64_t               n, lost;
    ngx_trove_zone_t      *zone;
    ngx_trove_zone_key_t   key;
    ngx_trove_zone_stat_t  stat;

    zone = make(SIZE_10M);

    /* its secret is random otherwise, and so the number below */

    memset(zone->key, 7, sizeof(zone->key));
    ngx_trove_zone_seal(zone);

    for (n = 0; n < 400000; n++) {
        key = key_of(zone, n);
        ngx_trove_zone_claim(zone, &key, &now, 60, &owner);
        ngx_trove_zone_complete(zone, &key, &now, 86400, owner);
    }

    for (lost = 0, n = 0; n < 400000; n++) {
        key = key_of(zone, n);

        if (ngx_trove_zone_claim(zone, &key, &now, 60, &owner)
            == NGX_TROVE_ZONE_NEW)
        {
            ngx_trove_zone_release(zone, &key, owner);
            lost++;
        }
    }

    ngx_trove_zone_stat(zone, &now, &stat);

    tap_ok(lost <= 400, "400,000 ids in 10 MB, %d forgotten early", (int) lost);
    tap_ok(stat.evicted >= lost / 2 && stat.evicted <= 400,
           "%d counted", (int) stat.evicted);

    drop(zone, SIZE_10M);
}


static void
copies(void)
{
    uint32_t                owners[1000], owner;
    ngx_uint_t              i, s, lost, done, inflight, kept;
    ngx_trove_zone_t       *from, *to;
    ngx_trove_zone_key_t    key;
    ngx_trove_zone_claim_e  rc;

    static size_t  sizes[] = { 1048576, 65536, 40960, 8192 };

    for (s = 0; s < 4; s++) {
        from = make(262144);

        for (i = 0; i < 1000; i++) {
            key = key_of(from, i);
            ngx_trove_zone_claim(from, &key, &now, 60, &owners[i]);

            if (i % 4) {
                ngx_trove_zone_complete(from, &key, &now, 1000, owners[i]);
            }
        }

        to = make(sizes[s]);
        lost = ngx_trove_zone_copy(to, from, &now);

        done = 0;
        inflight = 0;
        kept = 0;

        for (i = 0; i < 1000; i++) {
            key = key_of(to, i);
            rc = ngx_trove_zone_claim(to, &key, &now, 60, &owner);

            if (rc == NGX_TROVE_ZONE_DONE) {
                done += (i % 4 != 0);

            } else if (rc == NGX_TROVE_ZONE_INFLIGHT && i % 4 == 0) {
                inflight++;
                kept += ngx_trove_zone_renew(to, &key, &now, 60, owners[i])
                        == NGX_OK;

            } else if (rc == NGX_TROVE_ZONE_NEW) {
                ngx_trove_zone_release(to, &key, owner);
            }
        }

        if (sizes[s] >= 65536) {
            tap_is(lost, 0, "%d bytes: nothing is lost", (int) sizes[s]);
            tap_is(done, 750, "%d bytes: DONE", (int) sizes[s]);
            tap_is(inflight, 250, "%d bytes: INFLIGHT", (int) sizes[s]);

        } else {
            tap_ok(done + inflight <= 1000 && done + inflight + lost >= 990,
                   "%d bytes: %d and %d, %d lost", (int) sizes[s], (int) done,
                   (int) inflight, (int) lost);
        }

        tap_is(kept, inflight, "%d bytes: owners stay", (int) sizes[s]);

        drop(to, sizes[s]);
        drop(from, 262144);
    }
}


static void
attach(void)
{
    u_char            *p;
    ngx_uint_t         i, refused;
    ngx_trove_zone_t  *zone;

    zone = make(65536);
    p = (u_char *) zone;

    tap_ok(ngx_trove_zone_attach(zone, 65536) == zone, "attached");
    tap_ok(ngx_trove_zone_attach(zone, 61440) == NULL, "not with less");
    tap_ok(ngx_trove_zone_attach(zone, 69632) == NULL, "not with more");
    tap_ok(ngx_trove_zone_attach(zone, 4096) == NULL, "nor without a group");
    tap_ok(ngx_trove_zone_attach(p + 8, 65536 - 8) == NULL, "nor askew");

    refused = 0;

    for (i = 0; i < offsetof(ngx_trove_zone_t, check) + 8; i++) {
        p[i] ^= 0x40;
        refused += ngx_trove_zone_attach(zone, 65536) == NULL;
        p[i] ^= 0x40;
    }

    tap_is(refused, i, "nor with any bit of its head changed");
    tap_ok(ngx_trove_zone_attach(zone, 65536) == zone, "as it was, it is");
    tap_ok(ngx_trove_zone_create(zone, 4096) == NULL, "one page is too small");

    drop(zone, 65536);
}


/* what nobody may see takes no room: where there is no other, it gives way */

static void
damage(void)
{
    size_t                 size;
    uint32_t               owner;
    uint64_t               i;
    ngx_trove_zone_t      *zone;
    ngx_trove_zone_key_t   key, other;
    ngx_trove_zone_pair_t  pair;
    ngx_trove_zone_stat_t  stat;

    size = ngx_trove_zone_size_min();
    zone = make(size);

    /* full of claims, which give way to nothing */

    for (i = 0; i < 2000; i++) {
        key = key_of(zone, i);
        (void) ngx_trove_zone_claim(zone, &key, &now, 60, &owner);
    }

    other = key_of(zone, 2000);
    tap_is(ngx_trove_zone_claim(zone, &other, &now, 60, &owner),
           NGX_TROVE_ZONE_FULL, "no room");

    ngx_trove_zone_pair(zone, &other, &pair);
    pair.bucket[1]->word[3] = ngx_trove_zone_word_dated(&other,
                                  NGX_TROVE_ZONE_COMPLETED,
                                  (uint32_t) now.wall, 100) ^ 1;

    tap_is(ngx_trove_zone_claim(zone, &other, &now, 60, &owner),
           NGX_TROVE_ZONE_NEW, "room where one is damaged");

    ngx_trove_zone_stat(zone, &now, &stat);
    tap_is(stat.evicted, 0, "which is no eviction");

    drop(zone, size);
}


static void
acks(void)
{
    uint32_t               owner;
    ngx_uint_t             i, n, left, live;
    ngx_trove_zone_t      *zone, *copy;
    ngx_trove_zone_now_t   t;
    ngx_trove_zone_key_t   key;
    ngx_trove_zone_stat_t  stat;

    zone = make(2 * NGX_TROVE_ZONE_PAGE);
    t = now;

    key = key_of(zone, 1);

    tap_ok(!acked(zone, &key, &t), "no ack yet");
    tap_is(ngx_trove_zone_ack(zone, &key, &t, 100), NGX_OK, "ack");
    tap_ok(acked(zone, &key, &t), "there it is");

    t.wall += 100;
    tap_ok(acked(zone, &key, &t), "for its ttl");

    tap_is(ngx_trove_zone_ack(zone, &key, &t, 100), NGX_OK, "ack again");
    t.wall += 100;
    tap_ok(acked(zone, &key, &t), "for another ttl");

    ngx_trove_zone_stat(zone, &t, &stat);
    tap_is(stat.acked, 1, "it is one ack");
    tap_is(stat.done + stat.inflight, 0, "and nothing else");

    t.wall += 1;
    tap_ok(!acked(zone, &key, &t), "then it is over");

    /* a claim is no ack, in any of its states */

    key = key_of(zone, 2);
    ngx_trove_zone_claim(zone, &key, &t, 60, &owner);
    tap_ok(!acked(zone, &key, &t), "INFLIGHT is no ack");
    ngx_trove_zone_complete(zone, &key, &t, 1000, owner);
    tap_ok(!acked(zone, &key, &t), "DONE is no ack");

    drop(zone, 2 * NGX_TROVE_ZONE_PAGE);

    /* acks fill what is empty, and give way: to acks, to claims, to DONE */

    zone = make(2 * NGX_TROVE_ZONE_PAGE);
    t = now;

    for (n = 0; n < 1000; n++) {
        key = key_of(zone, n);
        t.wall = now.wall + n;
        ngx_trove_zone_ack(zone, &key, &t, 100000);
    }

    ngx_trove_zone_stat(zone, &t, &stat);
    tap_ok(stat.acked > stat.slots * 9 / 10, "%d slots of %d are acks",
           (int) stat.acked, (int) stat.slots);
    tap_is(stat.dropped, 1000 - stat.acked, "each one dropped is counted");

    key = key_of(zone, 999);
    tap_ok(acked(zone, &key, &t), "the last one is there");

    for (i = 0; i < 3000; i++) {
        key = key_of(zone, 10000 + i);

        if (ngx_trove_zone_claim(zone, &key, &t, 60, &owner)
            != NGX_TROVE_ZONE_NEW)
        {
            break;
        }

        ngx_trove_zone_complete(zone, &key, &t, 1000000, owner);

        ngx_trove_zone_stat(zone, &t, &stat);
        if (stat.evicted) {
            break;
        }
    }

    tap_ok(stat.done > stat.slots / 2,
           "%d DONE, of which none was given up before, %d acks are left",
           (int) stat.done, (int) stat.acked);

    /* no DONE gives way to an ack */

    left = stat.done;

    for (n = 0; n < 1000; n++) {
        key = key_of(zone, 20000 + n);
        ngx_trove_zone_ack(zone, &key, &t, 100000);
    }

    ngx_trove_zone_stat(zone, &t, &stat);
    tap_is(stat.done, left, "all DONE outlive 1000 acks");

    drop(zone, 2 * NGX_TROVE_ZONE_PAGE);

    /* over a restart, and into a table of another size */

    zone = make(3 * NGX_TROVE_ZONE_PAGE);
    copy = make(9 * NGX_TROVE_ZONE_PAGE);
    t = now;

    for (n = 0; n < 250; n++) {
        key = key_of(zone, n);
        ngx_trove_zone_ack(zone, &key, &t, 1000);
    }

    tap_is(ngx_trove_zone_recover(zone), NGX_OK, "recover");
    tap_is(ngx_trove_zone_copy(copy, zone, &t), 0, "copy");

    for (n = 0, live = 0; n < 250; n++) {
        key = key_of(zone, n);
        live += acked(zone, &key, &t)
                && acked(copy, &key, &t);
    }

    tap_is(live, 250, "all acks are in both");

    drop(copy, 9 * NGX_TROVE_ZONE_PAGE);

    /* into a smaller one, with DONE beside them: the acks stay behind */

    copy = make(2 * NGX_TROVE_ZONE_PAGE);

    for (n = 0; n < 60; n++) {
        key = key_of(zone, 1000 + n);
        ngx_trove_zone_claim(zone, &key, &t, 60, &owner);
        ngx_trove_zone_complete(zone, &key, &t, 1000, owner);
    }

    tap_is(ngx_trove_zone_copy(copy, zone, &t), 0, "copy to a smaller one");
    ngx_trove_zone_stat(copy, &t, &stat);
    tap_is(stat.done, 60, "all DONE are there");
    tap_ok(stat.dropped > 0, "%d acks are not", (int) stat.dropped);

    drop(zone, 3 * NGX_TROVE_ZONE_PAGE);
    drop(copy, 2 * NGX_TROVE_ZONE_PAGE);
}


static void
recovery(void)
{
    uint32_t               owner;
    ngx_uint_t             i, done, fresh;
    ngx_trove_zone_t      *zone;
    ngx_trove_zone_key_t   key;
    ngx_trove_zone_pair_t  pair;
    ngx_trove_zone_slot_t  slot;
    ngx_trove_zone_stat_t  stat;

    zone = make(65536);

    for (i = 0; i < 100; i++) {
        key = key_of(zone, i);
        ngx_trove_zone_claim(zone, &key, &now, 60, &owner);

        if (i % 2) {
            ngx_trove_zone_complete(zone, &key, &now, 1000, owner);
        }
    }

    /* a lock that nobody is left to give back, and a flipped bit */

    key = key_of(zone, 1);
    ngx_trove_zone_pair(zone, &key, &pair);
    slot = ngx_trove_zone_find(&pair, &key);
    slot.bucket->word[slot.n] ^= 1 << 20;
    pthread_mutex_lock(&pair.group->u.head.mutex);

    tap_is(ngx_trove_zone_recover(zone), NGX_OK, "recovered");

    for (done = 0, fresh = 0, i = 0; i < 100; i++) {
        key = key_of(zone, i);

        switch (ngx_trove_zone_claim(zone, &key, &now, 60, &owner)) {
        case NGX_TROVE_ZONE_DONE:
            done++;
            break;
        case NGX_TROVE_ZONE_NEW:
            fresh++;
            break;
        default:
            break;
        }
    }

    tap_is(done, 49, "what was DONE is, but for the damaged one");
    tap_is(fresh, 51, "what was INFLIGHT is free");

    ngx_trove_zone_stat(zone, &now, &stat);
    tap_is(stat.damaged, 1, "the damaged one is counted");

    drop(zone, 65536);
}
