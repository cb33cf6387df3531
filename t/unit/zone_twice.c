
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "tap.h"
#include "zone.h"


/*
 * Keys that are in two slots: a process is killed while it moves a DONE or a
 * ACK.  None of the slots may hide what was completed later.
 */

#define PAIR      (2 * NGX_TROVE_ZONE_SLOTS)


static ngx_uint_t add(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *key);
static ngx_trove_zone_t *twice(ngx_trove_zone_key_t *key,
    ngx_trove_zone_pair_t *pair, uint64_t first, uint64_t second);
static ngx_uint_t slots_of(ngx_trove_zone_pair_t *pair,
    ngx_trove_zone_key_t *key);
static void moved(void);
static void completed(void);
static void acked(void);


static ngx_trove_zone_now_t  now = { 1793000000, 1000 };


int
main(void)
{
    moved();
    completed();
    acked();

    return tap_done();
}


/* a key that is completed; 1: it was new */

static ngx_uint_t
add(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *key)
{
    uint32_t  owner;

    if (ngx_trove_zone_claim(zone, key, &now, 60, &owner)
        != NGX_TROVE_ZONE_NEW)
    {
        return 0;
    }

    return ngx_trove_zone_complete(zone, key, &now, 100000, owner) == NGX_OK;
}


/*
 * A table in which a key is twice, as somebody leaves it who is killed while he
 * moves it.
 */

static ngx_trove_zone_t *
twice(ngx_trove_zone_key_t *key, ngx_trove_zone_pair_t *pair, uint64_t first,
    uint64_t second)
{
    ngx_trove_zone_t       *zone;
    ngx_trove_zone_slot_t   slot;

    zone = make_fixed(2 * NGX_TROVE_ZONE_PAGE);

    *key = key_of(zone, 1);
    ngx_trove_zone_pair(zone, key, pair);

    slot.bucket = pair->bucket[0];
    slot.n = 2;
    ngx_trove_zone_put(&slot, key, first);

    slot.bucket = pair->bucket[1];
    slot.n = 4;
    ngx_trove_zone_put(&slot, key, second);

    return zone;
}


static ngx_uint_t
slots_of(ngx_trove_zone_pair_t *pair, ngx_trove_zone_key_t *key)
{
    ngx_uint_t                i, n, found;
    ngx_trove_zone_bucket_t  *bucket;

    found = 0;

    for (i = 0; i < 2; i++) {
        bucket = pair->bucket[i];

        for (n = 0; n < NGX_TROVE_ZONE_SLOTS; n++) {
            found += bucket->word[n] != 0
                     && bucket->place[n] == key->place
                     && bucket->tag[n] == (uint16_t) key->tag;
        }
    }

    return found;
}


/*
 * A DONE is moved to where a copy of it is that ran out, and would be found
 * first: the event would be new once more.
 */

static void
moved(void)
{
    uint32_t                owner;
    uint64_t                n, old, late, busy;
    ngx_uint_t              i, k;
    ngx_trove_zone_t       *zone;
    ngx_trove_zone_key_t    key, other;
    ngx_trove_zone_pair_t   pair, full;
    ngx_trove_zone_slot_t   slot;

    zone = make_fixed(2 * NGX_TROVE_ZONE_PAGE);

    key = key_of(zone, 1);
    ngx_trove_zone_pair(zone, &key, &pair);

    old = ngx_trove_zone_word_dated(&key, NGX_TROVE_ZONE_COMPLETED,
                                    (uint32_t) now.wall - 100, 10);
    late = ngx_trove_zone_word_dated(&key, NGX_TROVE_ZONE_COMPLETED,
                                     (uint32_t) now.wall, 100);
    busy = ngx_trove_zone_word_claimed(&now, 100, 1);

    slot.bucket = pair.bucket[1];
    slot.n = 0;
    ngx_trove_zone_put(&slot, &key, old);

    /* one that shares the first bucket, and no room in both of its own */

    for (n = 2; /* void */ ; n++) {
        other = key_of(zone, n);
        ngx_trove_zone_pair(zone, &other, &full);

        if (full.bucket[0] == pair.bucket[0]
            && full.bucket[1] != pair.bucket[1])
        {
            break;
        }
    }

    for (i = 0; i < 2; i++) {
        slot.bucket = full.bucket[i];

        for (k = 0; k < NGX_TROVE_ZONE_SLOTS; k++) {
            slot.n = k;
            ngx_trove_zone_put(&slot, &other, busy);
            slot.bucket->tag[k] += 1 + k;
        }
    }

    slot.bucket = pair.bucket[0];
    slot.n = 3;
    ngx_trove_zone_put(&slot, &key, late);

    tap_is(add(zone, &other), 1, "a key takes the slot of a DONE");
    tap_is(slots_of(&pair, &key), 1, "which is moved to its other bucket");
    tap_is(ngx_trove_zone_claim(zone, &key, &now, 60, &owner),
           NGX_TROVE_ZONE_DONE, "and known, though a copy there ran out");

    drop(zone, 2 * NGX_TROVE_ZONE_PAGE);

    /* the copy may be alive as well */

    zone = twice(&key, &pair, late, late);

    ngx_trove_zone_pair(zone, &other, &full);

    for (i = 0; i < PAIR; i++) {
        slot.bucket = full.bucket[i / NGX_TROVE_ZONE_SLOTS];
        slot.n = i % NGX_TROVE_ZONE_SLOTS;

        if (slot.bucket->word[slot.n] == 0) {
            ngx_trove_zone_put(&slot, &other, busy);
            slot.bucket->tag[slot.n] += 1 + i;
        }
    }

    tap_is(add(zone, &other), 1, "or that of a DONE that is there twice");
    tap_is(slots_of(&pair, &key), 1, "which is there once then");
    tap_is(ngx_trove_zone_claim(zone, &key, &now, 60, &owner),
           NGX_TROVE_ZONE_DONE, "and known");

    drop(zone, 2 * NGX_TROVE_ZONE_PAGE);
}


/* of what is there twice, only what counts is left when it is written to */

static void
completed(void)
{
    void                    *addr;
    uint32_t                 owner;
    uint64_t                 old, late, future;
    ngx_uint_t               left;
    ngx_trove_zone_t        *zone, *successor;
    ngx_trove_zone_now_t     t;
    ngx_trove_zone_key_t     key;
    ngx_trove_zone_pair_t    pair;
    ngx_trove_zone_where_t   where;

    zone = make_fixed(2 * NGX_TROVE_ZONE_PAGE);
    key = key_of(zone, 1);
    drop(zone, 2 * NGX_TROVE_ZONE_PAGE);

    old = ngx_trove_zone_word_dated(&key, NGX_TROVE_ZONE_COMPLETED,
                                    (uint32_t) now.wall - 100, 10);
    late = ngx_trove_zone_word_dated(&key, NGX_TROVE_ZONE_COMPLETED,
                                     (uint32_t) now.wall, 100);
    future = ngx_trove_zone_word_dated(&key, NGX_TROVE_ZONE_COMPLETED,
                                       (uint32_t) now.wall + 100000, 100);

    zone = twice(&key, &pair, old, late);
    tap_is(ngx_trove_zone_claim(zone, &key, &now, 60, &owner),
           NGX_TROVE_ZONE_DONE, "a DONE is known behind a copy that ran out");
    tap_is(slots_of(&pair, &key), 1, "which is erased");
    drop(zone, 2 * NGX_TROVE_ZONE_PAGE);

    zone = twice(&key, &pair, old, old);
    tap_is(ngx_trove_zone_claim(zone, &key, &now, 60, &owner),
           NGX_TROVE_ZONE_NEW, "what ran out twice is new");
    tap_is(slots_of(&pair, &key), 1, "and has one slot");
    tap_is(ngx_trove_zone_release(zone, &key, owner), NGX_OK, "released");
    tap_is(slots_of(&pair, &key), 0, "and none");
    drop(zone, 2 * NGX_TROVE_ZONE_PAGE);

    zone = twice(&key, &pair, old, late);
    tap_is(ngx_trove_zone_complete(zone, &key, &now, 5, 77), NGX_DECLINED,
           "completed without a claim, behind a copy that ran out");
    t = now;
    t.wall += 50;
    tap_is(ngx_trove_zone_claim(zone, &key, &t, 60, &owner),
           NGX_TROVE_ZONE_DONE, "the DONE that is alive stays");
    tap_is(slots_of(&pair, &key), 1, "as the only one");
    drop(zone, 2 * NGX_TROVE_ZONE_PAGE);

    zone = twice(&key, &pair, future, future);
    tap_is(ngx_trove_zone_claim(zone, &key, &now, 60, &owner),
           NGX_TROVE_ZONE_DONE, "a DONE of the far future, twice");
    t = now;
    t.wall += 102;
    tap_is(ngx_trove_zone_claim(zone, &key, &t, 60, &owner),
           NGX_TROVE_ZONE_NEW, "ends a ttl after it was seen");
    drop(zone, 2 * NGX_TROVE_ZONE_PAGE);

    zone = twice(&key, &pair, old, late);
    successor = make_fixed(3 * NGX_TROVE_ZONE_PAGE);
    addr = successor;

    (void) ngx_trove_zone_migrate_begin(zone);
    successor = ngx_trove_zone_create_successor(addr, 3 * NGX_TROVE_ZONE_PAGE,
                                                zone);

    where.offset = 2 * NGX_TROVE_ZONE_PAGE;
    where.size = 3 * NGX_TROVE_ZONE_PAGE;
    ngx_trove_zone_migrate(successor, zone, &where, &now, &left);
    ngx_trove_zone_migrate_end(zone);

    tap_is(ngx_trove_zone_claim(successor, &key, &now, 60, &owner),
           NGX_TROVE_ZONE_DONE, "migrated from behind a copy that ran out");

    drop(successor, 3 * NGX_TROVE_ZONE_PAGE);
    drop(zone, 2 * NGX_TROVE_ZONE_PAGE);

    zone = twice(&key, &pair, old, late);
    tap_is(ngx_trove_zone_forget(zone, &key, &now), NGX_OK, "forgotten");
    tap_is(slots_of(&pair, &key), 0, "both of them");
    drop(zone, 2 * NGX_TROVE_ZONE_PAGE);
}


static void
acked(void)
{
    uint64_t                old, late;
    ngx_uint_t              is_acked;
    ngx_trove_zone_t       *zone;
    ngx_trove_zone_key_t    key;
    ngx_trove_zone_pair_t   pair;

    zone = make_fixed(2 * NGX_TROVE_ZONE_PAGE);
    key = key_of(zone, 1);
    drop(zone, 2 * NGX_TROVE_ZONE_PAGE);

    old = ngx_trove_zone_word_dated(&key, NGX_TROVE_ZONE_ACKED,
                                    (uint32_t) now.wall - 100, 10);
    late = ngx_trove_zone_word_dated(&key, NGX_TROVE_ZONE_ACKED,
                                     (uint32_t) now.wall, 100);

    zone = twice(&key, &pair, old, late);
    tap_is(ngx_trove_zone_acked(zone, &key, &now, &is_acked), NGX_OK,
           "looked for an ack");
    tap_is(is_acked, 1, "which is behind a copy that ran out");
    drop(zone, 2 * NGX_TROVE_ZONE_PAGE);

    zone = twice(&key, &pair, old, old);
    tap_is(ngx_trove_zone_ack(zone, &key, &now, 100), NGX_OK, "acked anew");
    tap_is(slots_of(&pair, &key), 1, "once");
    drop(zone, 2 * NGX_TROVE_ZONE_PAGE);
}
