
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include "zone_model.h"

#include <pthread.h>


/*
 * Compares the operations of a table with a model.  The input:
 *
 *   1 byte    the initial values of the clocks
 *   1 byte    the pages of the table
 *   4 bytes   each: an operation, a key, and an argument of 2 bytes
 *
 * After each operation, its result and the changes of the table must be those
 * specified in ngx_trove_zone.h.
 *
 * To add an operation, add a function, and a line at the end of ops[].  The
 * corpus then keeps its meaning.
 */

#define PAIR         24                /* keys in the same two buckets */
#define CROWD        48                /* with them, in three */
#define OPS_MAX      400
#define DEATHS_MAX   4                 /* a thread each */
#define DRIFT_MAX    (1 << 29)         /* of a clock, seconds */


typedef void (*op_pt)(model_t *m, ngx_uint_t arg);


static void start(ngx_uint_t clocks, ngx_uint_t pages);
static void make_keys(void);
static void make_table(ngx_uint_t pages);

static void op_claim(model_t *m, ngx_uint_t arg);
static void op_renew(model_t *m, ngx_uint_t arg);
static void op_complete(model_t *m, ngx_uint_t arg);
static void op_release(model_t *m, ngx_uint_t arg);
static void op_claim_complete(model_t *m, ngx_uint_t arg);
static void op_mono(model_t *m, ngx_uint_t arg);
static void op_wall(model_t *m, ngx_uint_t arg);
static void op_copy(model_t *m, ngx_uint_t arg);
static void op_recover(model_t *m, ngx_uint_t arg);
static void op_killed(model_t *m, ngx_uint_t arg);
static void op_died(model_t *m, ngx_uint_t arg);
static void op_stat(model_t *m, ngx_uint_t arg);
static void op_forget(model_t *m, ngx_uint_t arg);
static void op_ack(model_t *m, ngx_uint_t arg);
static void op_acked(model_t *m, ngx_uint_t arg);
static void op_migrate(model_t *m, ngx_uint_t arg);

static void given_up(model_t *m);
static void carried(ngx_uint_t n, ngx_uint_t twice, ngx_uint_t again);
static ngx_uint_t left_out(model_t *m);
static uint32_t pick_owner(model_t *m, ngx_uint_t arg);
static void *die(void *data);


static op_pt  ops[] = {
    op_claim,
    op_claim_complete,
    op_complete,
    op_renew,
    op_release,
    op_mono,
    op_wall,
    op_copy,
    op_recover,
    op_killed,
    op_died,
    op_stat,
    op_forget,
    op_ack,
    op_acked,
    op_migrate
};

static u_char                *regions[2];
static ngx_uint_t             region, deaths;
static ngx_trove_zone_now_t   begun;


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    op_pt          op;
    model_t       *m;
    ngx_uint_t     clocks, pages, i;
    fuzz_input_t   in;

    in.p = data;
    in.last = data + size;

    clocks = fuzz_number(&in, 1);
    pages = fuzz_number(&in, 1);

    start(clocks, pages);

    for (i = 0; i < OPS_MAX && in.p < in.last; i++) {
        op = ops[fuzz_number(&in, 1) % (sizeof(ops) / sizeof(ops[0]))];
        m = &models[fuzz_number(&in, 1) % CLAIMS];

        op(m, fuzz_number(&in, 2));
    }

    check_table();
    op_stat(NULL, 0);

    return 0;
}


static void
start(ngx_uint_t clocks, ngx_uint_t pages)
{
    ngx_uint_t  i;

    /* also at the limits of 31 and 32 bits */

    static int64_t  walls[] = { 1793000000, 0x7fffffff - 100,
                                0xffffffff - 100, 0xffffffffLL + 5000000 };
    static int64_t  monos[] = { 1000, 0, 0x7fffffff - 100, 0xffffffff - 100 };

    if (regions[0] == NULL) {
        regions[0] = fuzz_region(TABLE_SIZE_MAX);
        regions[1] = fuzz_region(TABLE_SIZE_MAX);
        image = fuzz_region(TABLE_SIZE_MAX);

        make_keys();
    }

    begun.wall = walls[clocks % 4];
    begun.mono = monos[clocks / 4 % 4];
    now = begun;

    ngx_memzero(&counters, sizeof(ngx_trove_zone_stat_t));
    deaths = 0;

    for (i = 0; i < KEYS; i++) {
        models[i].state = ABSENT;
        models[i].owner = 0;
        models[i].nowners = 0;
    }

    victim = NULL;

    make_table(pages);
}


/* many keys in three buckets, most in the same two, and some anywhere */

static void
make_keys(void)
{
    uint32_t               state;
    ngx_uint_t             i, crowd, n[2];
    ngx_trove_zone_key_t   key;
    ngx_trove_zone_pair_t  p;

    make_table(0);
    state = 1;

    for (i = 0; i < KEYS; /* void */ ) {
        crowd = (i < CROWD || (i >= CLAIMS && i < CLAIMS + PAIR));

        key.place = (uint64_t) fuzz_random(&state) << 32;
        key.place |= fuzz_random(&state);

        /* the lower bits of a key are its index in the models */

        key.tag = (uint64_t) fuzz_random(&state) << 8 | i;

        table_pair(zone, &key, &p);
        n[0] = p.bucket[0] - p.group->bucket;
        n[1] = p.bucket[1] - p.group->bucket;

        if (crowd && (n[0] > 2 || n[1] > 2
                      || (n[0] == 2 || n[1] == 2) != (i % CLAIMS >= PAIR)))
        {
            continue;
        }

        /* some differ only in their tag */

        if (i % 8 == 7) {
            key.place = models[i - 1].key.place;
        }

        models[i++].key = key;
    }
}


static void
make_table(ngx_uint_t pages)
{
    size_t       size;
    u_char      *addr;
    ngx_uint_t   i;

    region = !region;
    npages = 2 + pages % (TABLE_PAGES_MAX - 1);

    addr = table_memory(regions[region], npages);
    size = npages * NGX_TROVE_ZONE_PAGE;

    /* the previous contents, and a part of a page, must not matter */

    memset(addr, 0xa5, size);

    zone = ngx_trove_zone_create(addr, size + pages % NGX_TROVE_ZONE_PAGE);
    fuzz_check(zone == (void *) addr, "no table");
    fuzz_check(zone->groups == npages - 1, "%d groups", (int) zone->groups);

    /* the secret is random otherwise */

    memset(zone->key, 7, sizeof(zone->key));
    ngx_trove_zone_seal(zone);

    ngx_memzero(dead, sizeof(dead));

    for (i = 0; i < KEYS; i++) {
        table_pair(zone, &models[i].key, &models[i].pair);
    }

    remember();
}


static void
op_claim(model_t *m, ngx_uint_t arg)
{
    room_e                  room;
    slot_t                  slot;
    uint32_t                owner;
    ngx_uint_t              lease;
    ngx_trove_zone_claim_e  rc, expected;

    lease = 1 + arg % ((arg & 0x8000) ? NGX_TROVE_ZONE_LEASE_MAX : 100);

    before(m);
    room = room_of(m);

    if (!model_over(m)) {
        expected = (m->state == INFLIGHT) ? NGX_TROVE_ZONE_INFLIGHT
                                          : NGX_TROVE_ZONE_DONE;

    } else {
        expected = (room == ROOM_NONE) ? NGX_TROVE_ZONE_FULL
                                       : NGX_TROVE_ZONE_NEW;
    }

    if (expected == NGX_TROVE_ZONE_NEW && find(m, &slot)
        && slot_state(&slot) == NGX_TROVE_ZONE_CLAIMED)
    {
        counters.takeovers++;
    }

    owner = 0;
    rc = ngx_trove_zone_claim(zone, &m->key, &now, lease, &owner);

    fuzz_check(rc == expected, "claim: %d, the model: %d", rc, expected);

    if (rc == NGX_TROVE_ZONE_NEW) {
        model_owner(m, owner);

        m->state = INFLIGHT;
        m->owner = owner;
        m->until = now.mono + lease;

        if (room == ROOM_EVICT) {
            given_up(m);
        }

    } else {
        fuzz_check(owner == 0, "an owner without a claim");

        room = ROOM_NONE;
        counters.full += (rc == NGX_TROVE_ZONE_FULL);
    }

    settle(m, room);

    fuzz_check(rc != NGX_TROVE_ZONE_DONE || now.wall - m->since >= -m->ttl,
               "in the far future, and the time was not reset");
}


static void
op_renew(model_t *m, ngx_uint_t arg)
{
    uint32_t    owner;
    ngx_int_t   rc;
    ngx_uint_t  lease, owned;

    owner = pick_owner(m, arg);
    lease = 1 + arg / 8 % 200;
    owned = m->state == INFLIGHT && owner == m->owner;

    before(m);
    rc = ngx_trove_zone_renew(zone, &m->key, &now, lease, owner);

    fuzz_check(rc == (owned ? NGX_OK : NGX_DECLINED), "renew: %d", (int) rc);

    if (owned) {
        m->until = now.mono + lease;
    }

    settle(m, owned ? ROOM_OWN : ROOM_NONE);
}


static void
op_complete(model_t *m, ngx_uint_t arg)
{
    room_e      room;
    uint32_t    owner;
    ngx_int_t   rc;
    ngx_uint_t  ttl, owned;

    owner = pick_owner(m, arg);
    ttl = 1 + ((arg >> 3 & 0x3ff) << (arg >> 13) * 2);
    owned = m->state == INFLIGHT && owner == m->owner;

    before(m);
    room = owned ? ROOM_OWN : model_over(m) ? room_of(m) : ROOM_NONE;

    rc = ngx_trove_zone_complete(zone, &m->key, &now, ttl, owner);

    fuzz_check(rc == (owned ? NGX_OK : NGX_DECLINED), "complete: %d",
               (int) rc);

    if (room != ROOM_NONE) {
        m->state = DONE;
        m->since = now.wall;
        m->ttl = kept(ttl);

        if (room == ROOM_EVICT) {
            given_up(m);
        }
    }

    settle(m, room);
}


static void
op_release(model_t *m, ngx_uint_t arg)
{
    uint32_t    owner;
    ngx_int_t   rc;
    ngx_uint_t  owned;

    owner = pick_owner(m, arg);
    owned = m->state == INFLIGHT && owner == m->owner;

    before(m);
    rc = ngx_trove_zone_release(zone, &m->key, owner);

    fuzz_check(rc == (owned ? NGX_OK : NGX_DECLINED), "release: %d", (int) rc);

    if (owned) {
        m->state = ABSENT;
    }

    settle(m, owned ? ROOM_LEFT : ROOM_NONE);
}


static void
op_claim_complete(model_t *m, ngx_uint_t arg)
{
    op_claim(m, 60);
    op_complete(m, arg & ~7);
}


static void
op_mono(model_t *m, ngx_uint_t arg)
{
    now.mono += (arg & 0x8000) ? (arg & 0x7fff) * 60 : arg & 0xff;
    now.mono = ngx_min(now.mono, begun.mono + DRIFT_MAX);
}


static void
op_wall(model_t *m, ngx_uint_t arg)
{
    int64_t  step;

    step = (int16_t) (arg & ~7) / 8;

    if (arg & 1) {
        step *= 3600;
    }

    if (arg & 2) {
        step *= 24;
    }

    /* what a killed process left twice ends at once, but not in that case */

    if (step < 0 && doubles()) {
        return;
    }

    if (llabs(now.wall + step - begun.wall) <= DRIFT_MAX) {
        now.wall += step;
    }
}


static void
op_copy(model_t *m, ngx_uint_t arg)
{
    ngx_uint_t             i, n, twice;
    ngx_trove_zone_t      *old;
    ngx_trove_zone_key_t   key, same;

    twice = doubles();
    old = zone;
    ngx_trove_zone_key(old, (u_char *) "evt-1", 5, &key);

    for (i = 0; i < TABLE_PAGES_MAX; i++) {
        counters.recovered += dead[i];
    }

    make_table(arg);
    memset(zone->key, 8, sizeof(zone->key));

    n = ngx_trove_zone_copy(zone, old, &now);

    ngx_trove_zone_key(zone, (u_char *) "evt-1", 5, &same);
    fuzz_check(key.place == same.place && key.tag == same.tag,
               "another secret");

    carried(n, twice, 0);
}


/* the keys in the new table, in which n of them were left out */

static void
carried(ngx_uint_t n, ngx_uint_t twice, ngx_uint_t again)
{
    slot_t                  slot;
    model_t                *m;
    ngx_uint_t              i, lost, inflight, acks;
    ngx_trove_zone_stat_t   stat;

    lost = 0;
    inflight = 0;
    acks = 0;

    for (i = 0; i < KEYS; i++) {
        m = &models[i];

        if (!find(m, &slot)) {

            if (!model_over(m)) {
                lost += left_out(m);
                inflight += m->state == INFLIGHT;
                acks += m->state == ACK;
            }

            m->state = ABSENT;
        }
    }

    lost -= acks;

    fuzz_check((twice || again) ? n >= lost : n == lost,
               "%d left out, the model: %d", (int) n, (int) lost);

    counters.evicted += n - inflight;
    counters.dropped += acks;

    if (again) {

        /* keys that did not fit may have been counted twice */

        ngx_trove_zone_stat(zone, &now, &stat);

        fuzz_check(stat.evicted <= counters.evicted
                   && stat.evicted + 2 * n >= counters.evicted
                   && stat.dropped >= counters.dropped, "the counters differ");

        counters.evicted = stat.evicted;
        counters.dropped = stat.dropped;
    }

    settle_all();
    check_table();
}


/*
 * What a copy leaves out had no room.  An INFLIGHT gives way to INFLIGHT only.
 * A DONE gave way in one of its buckets where it was the oldest and where there
 * was no ACK.  Nothing there could be moved, nor can it since, so that all of
 * what came after took the place of something older.
 */

static ngx_uint_t
left_out(model_t *m)
{
    slot_t      slot;
    int64_t     age;
    ngx_uint_t  i, n, bad[2];

    age = now.wall - m->since;
    age = (age < -m->ttl) ? 0 : age;

    bad[0] = 0;
    bad[1] = 0;

    for (i = 0; i < PAIR_SLOTS; i++) {
        slot = pair_slot(&m->pair, i);
        n = i / NGX_TROVE_ZONE_SLOTS;

        switch (slot_live(&slot, &now)) {

        case NGX_TROVE_ZONE_EMPTY:
            fuzz_check(0, "it was left out, but there is space");

        case NGX_TROVE_ZONE_CLAIMED:
            break;

        case NGX_TROVE_ZONE_COMPLETED:
            bad[n] |= slot_age(&slot, &now) > age;
            fuzz_check(m->state != INFLIGHT, "it was left out for a DONE");
            break;

        default:
            bad[n] = 1;
            fuzz_check(m->state != INFLIGHT, "it was left out for an ACK");
        }
    }

    fuzz_check(m->state == ACK || !bad[0] || !bad[1],
               "it was left out for an older DONE, or an ACK");

    return 1;
}


/* a restart: claims are removed, and no lock is held */

static void
op_recover(model_t *m, ngx_uint_t arg)
{
    ngx_uint_t  i;

    fuzz_check(ngx_trove_zone_attach(zone, npages * NGX_TROVE_ZONE_PAGE)
               == zone, "not attached");
    fuzz_check(ngx_trove_zone_recover(zone) == NGX_OK, "not recovered");

    ngx_memzero(dead, sizeof(dead));

    for (i = 0; i < KEYS; i++) {
        if (models[i].state == INFLIGHT) {
            models[i].state = ABSENT;
        }
    }

    settle_all();
    check_table();
}


/*
 * A process is killed while it moves or evicts a slot: a DONE occurs twice, or
 * a slot has a key and no word.
 */

static void
op_killed(model_t *m, ngx_uint_t arg)
{
    slot_t      slot, from;
    ngx_uint_t  i;

    for (i = 0; i < PAIR_SLOTS; i++) {
        slot = pair_slot(&m->pair, i);

        if (slot_live(&slot, &now) != NGX_TROVE_ZONE_EMPTY) {
            continue;
        }

        if (arg % 2) {
            ngx_trove_zone_store(&slot_word(&slot), 0);
            slot.bucket->place[slot.n] = m->key.place;
            slot.bucket->tag[slot.n] = arg;
            break;
        }

        if (m->state == DONE && !model_over(m) && find(m, &from)
            && from.bucket != slot.bucket && !doubles() && !future())
        {
            ngx_trove_zone_store(&slot_word(&slot), 0);
            slot.bucket->place[slot.n] = m->key.place;
            slot.bucket->tag[slot.n] = (uint16_t) m->key.tag;
            ngx_trove_zone_store(&slot_word(&slot), slot_word(&from));
            break;
        }
    }

    settle_all();
}


static void
op_died(model_t *m, ngx_uint_t arg)
{
    ngx_uint_t  n;
    pthread_t   thread;

    n = m->pair.group - ngx_trove_zone_group(zone, 0);

    if (dead[n] || deaths++ >= DEATHS_MAX) {
        return;
    }

    fuzz_check(pthread_create(&thread, NULL, die, m->pair.group) == 0,
               "no thread for the harness");
    fuzz_check(pthread_join(thread, NULL) == 0, "no thread for the harness");

    dead[n] = 1;
}


static void *
die(void *data)
{
    fuzz_check(ngx_trove_zone_lock(data) == NGX_OK, "no lock");

    return NULL;
}


static void
op_stat(model_t *m, ngx_uint_t arg)
{
    slot_t                 slot;
    ngx_uint_t             i, done;
    ngx_trove_zone_stat_t  stat;

    done = 0;

    counters.inflight = 0;
    counters.done = 0;
    counters.acked = 0;
    counters.slots = (npages - 1) * NGX_TROVE_ZONE_GROUP_SLOTS;

    for (i = 0; i < KEYS; i++) {
        counters.inflight += models[i].state == INFLIGHT
                             && !model_over(&models[i]);
        counters.acked += models[i].state == ACK
                          && !model_over(&models[i]);
        done += models[i].state == DONE && !model_over(&models[i]);
    }

    for (i = 0; i < table_slots(zone); i++) {
        slot = table_slot(zone, i);
        counters.done += slot_live(&slot, &now) == NGX_TROVE_ZONE_COMPLETED;
    }

    ngx_trove_zone_stat(zone, &now, &stat);

    fuzz_check(done + doubles() >= counters.done && done <= counters.done,
               "%d done, the model: %d", (int) counters.done, (int) done);

    fuzz_check(stat.slots == counters.slots, "slots");
    fuzz_check(stat.inflight == counters.inflight, "%d in flight, not %d",
               (int) stat.inflight, (int) counters.inflight);
    fuzz_check(stat.done == counters.done, "%d done, not %d",
               (int) stat.done, (int) counters.done);
    fuzz_check(stat.evicted == counters.evicted, "%d evicted, not %d",
               (int) stat.evicted, (int) counters.evicted);
    fuzz_check(stat.takeovers == counters.takeovers, "%d takeovers, not %d",
               (int) stat.takeovers, (int) counters.takeovers);
    fuzz_check(stat.full == counters.full, "%d refused, not %d",
               (int) stat.full, (int) counters.full);
    fuzz_check(stat.recovered == counters.recovered, "%d recovered, not %d",
               (int) stat.recovered, (int) counters.recovered);
    fuzz_check(stat.acked == counters.acked, "%d acked, not %d",
               (int) stat.acked, (int) counters.acked);
    fuzz_check(stat.dropped == counters.dropped, "%d dropped, not %d",
               (int) stat.dropped, (int) counters.dropped);
    fuzz_check(stat.damaged == 0, "%d damaged", (int) stat.damaged);
}


static void
op_forget(model_t *m, ngx_uint_t arg)
{
    slot_t      slot;
    ngx_int_t   rc;
    ngx_uint_t  there;

    before(m);
    there = m->state == DONE && find(m, &slot);

    rc = ngx_trove_zone_forget(zone, &m->key, &now);

    fuzz_check(rc == (there && !model_over(m) ? NGX_OK : NGX_DECLINED),
               "forget: %d", (int) rc);

    /* both copies, if it occurs twice */

    if (there) {
        m->state = ABSENT;
        fuzz_check(!find(m, &slot), "it is not forgotten");
    }

    settle(m, there ? ROOM_LEFT : ROOM_NONE);
}


/* acks have keys of their own */

static void
op_ack(model_t *m, ngx_uint_t arg)
{
    room_e      room;
    ngx_int_t   rc;
    ngx_uint_t  ttl;

    m = &models[CLAIMS + (m - models) % (KEYS - CLAIMS)];
    ttl = 1 + ((arg >> 3 & 0x3ff) << (arg >> 13) * 2);

    before(m);
    room = room_of(m);

    rc = ngx_trove_zone_ack(zone, &m->key, &now, ttl);

    fuzz_check(rc == (room == ROOM_NONE ? NGX_DECLINED : NGX_OK), "ack: %d",
               (int) rc);

    /* be it another one, or this one */

    counters.dropped += (room == ROOM_NONE || room == ROOM_EVICT);

    if (room != ROOM_NONE) {
        m->state = ACK;
        m->since = now.wall;
        m->ttl = kept(ttl);
    }

    settle(m, room);
}


static void
op_acked(model_t *m, ngx_uint_t arg)
{
    ngx_uint_t  acked;

    m = &models[CLAIMS + (m - models) % (KEYS - CLAIMS)];

    before(m);

    fuzz_check(ngx_trove_zone_acked(zone, &m->key, &now, &acked) == NGX_OK,
               "acked");
    fuzz_check(acked == !model_over(m), "acked: %d", (int) acked);

    settle(m, ROOM_NONE);
}


/*
 * Like a copy, but the old table refers to the new one.  The process may be
 * killed before the last group is marked as moved, and another one continues.
 */

static void
op_migrate(model_t *m, ngx_uint_t arg)
{
    size_t                   size;
    uint32_t                 owner;
    ngx_uint_t               n, more, twice, i;
    ngx_trove_zone_t        *old, *successor;
    ngx_trove_zone_where_t   where, there;
    ngx_trove_zone_group_t  *last;

    twice = doubles();
    old = zone;
    last = ngx_trove_zone_group(old, old->groups - 1);

    fuzz_check(ngx_trove_zone_migrate_begin(old) == NGX_OK, "begin");
    fuzz_check(ngx_trove_zone_migrate_begin(old) == NGX_BUSY, "begin again");
    fuzz_check(ngx_trove_zone_successor(old, &there) == NGX_DECLINED,
               "a successor");

    for (i = 0; i < TABLE_PAGES_MAX; i++) {
        counters.recovered += dead[i];
    }

    make_table(arg);
    size = npages * NGX_TROVE_ZONE_PAGE;

    successor = ngx_trove_zone_create_successor(zone, size, old);
    fuzz_check(successor == zone, "no successor");

    fuzz_check(memcmp(zone->key, old->key, sizeof(zone->key)) == 0,
               "another secret");

    where.offset = arg;
    where.size = size;

    ngx_trove_zone_migrate(zone, old, &where, &now, &n);

    if (arg & 0x8000) {
        old->migrated = 0;
        last->u.head.moved = 0;

        fuzz_check(ngx_trove_zone_successor(old, &there) == NGX_AGAIN,
                   "halfway");

        ngx_trove_zone_migrate(zone, old, &where, &now, &more);
        n += more;
    }

    ngx_trove_zone_migrate_end(old);

    fuzz_check(ngx_trove_zone_successor(old, &there) == NGX_OK
               && there.offset == where.offset && there.size == where.size,
               "the successor of the old table");
    fuzz_check(ngx_trove_zone_successor(zone, &there) == NGX_DECLINED,
               "a successor of the new table");

    owner = 0;

    fuzz_check(ngx_trove_zone_claim(old, &m->key, &now, 60, &owner)
               == NGX_TROVE_ZONE_MOVED && owner == 0, "claimed there");
    fuzz_check(ngx_trove_zone_complete(old, &m->key, &now, 60, m->owner)
               == NGX_AGAIN, "completed there");

    /* the second process tries again to copy keys, or evicts others */

    carried(n, twice, arg & 0x8000);
}


/* the slot of the highest rank in the buckets of a key is counted as evicted */

static void
given_up(model_t *m)
{
    slot_t      slot;
    ngx_uint_t  i, acks;

    acks = 0;

    for (i = 0; i < PAIR_SLOTS; i++) {
        slot = pair_slot(&m->pair, i);
        slot = then(&slot);

        acks += slot_state(&slot) == NGX_TROVE_ZONE_ACKED;
    }

    if (acks) {
        counters.dropped++;

    } else {
        counters.evicted++;
    }
}


/* mostly the owner of the key, or a previous, another key's, or no owner */

static uint32_t
pick_owner(model_t *m, ngx_uint_t arg)
{
    ngx_uint_t  n;

    n = ngx_min(m->nowners, OWNERS);

    switch (arg % 8) {

    case 5:
        return n ? m->owners[arg / 8 % n] : 0;

    case 6:
        return models[arg / 8 % CLAIMS].owner;

    case 7:
        return arg / 8;

    default:
        return m->owner;
    }
}
