
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _FUZZ_ZONE_MODEL_H_INCLUDED_
#define _FUZZ_ZONE_MODEL_H_INCLUDED_


#include "zone.h"


/*
 * The model that zone.c compares a table with: an array of keys with their
 * states, and the changes that an operation may make.  The slot of a key, and
 * the DONE that is evicted, may be any that the rules allow: room_of() returns
 * the expected kind of change before an operation, and settle() checks the
 * changes after it.
 *
 * To add a state, add a line to the enum, its meaning to model_over(),
 * model_is() and slot_live(), and its order of eviction to rank().
 */

#define CLAIMS  64                     /* keys that are claimed */
#define KEYS    96                     /* with them, those that are acked */
#define OWNERS  64                     /* of a key, that are remembered */


typedef enum {
    ABSENT = 0,
    INFLIGHT,
    DONE,
    ACK
} state_e;


/* how a slot is found for a new key */
typedef enum {
    ROOM_NONE = 0,
    ROOM_FREE,
    ROOM_MOVE,                         /* of another to its other bucket */
    ROOM_EVICT,
    ROOM_OWN,                          /* its own slot */
    ROOM_LEFT                          /* it leaves its slot, or both */
} room_e;


typedef struct {
    ngx_trove_zone_key_t   key;
    ngx_trove_zone_pair_t  pair;       /* in the current table */
    state_e                state;

    int64_t                until;      /* INFLIGHT: its last second, mono */
    uint32_t               owner;

    int64_t                since;      /* DONE, ACK: its first second, wall */
    int64_t                ttl;        /* as it is kept */

    uint32_t               owners[OWNERS];     /* all owners so far */
    ngx_uint_t             nowners;
} model_t;


static ngx_uint_t model_over(model_t *m);
static ngx_uint_t model_is(model_t *m, slot_t *slot);
static void model_owner(model_t *m, uint32_t owner);
static int64_t kept(ngx_uint_t ttl);
static ngx_uint_t rank(ngx_uint_t state);

static void before(model_t *m);
static slot_t then(slot_t *slot);
static ngx_uint_t was_twice(model_t *m);
static room_e room_of(model_t *m);
static void settle(model_t *m, room_e room);
static void settle_slot(model_t *m, slot_t *slot, slot_t *old, room_e room);
static void settle_taken(model_t *m, room_e room);
static void settle_victim(slot_t *given);
static void settle_key(model_t *m);
static void settle_all(void);
static ngx_uint_t find(model_t *m, slot_t *slot);
static model_t *model_of(slot_t *slot);
static ngx_uint_t doubles(void);
static ngx_uint_t future(void);
static void remember(void);
static void check_table(void);


static model_t                 models[KEYS];

static ngx_trove_zone_t       *zone;
static ngx_uint_t              npages;
static ngx_trove_zone_now_t    now;
static ngx_trove_zone_stat_t   counters;      /* expected values */
static ngx_uint_t              dead[TABLE_PAGES_MAX];

/* the table before an operation, the buckets of the key, and the changes */

static u_char                 *image;
static ngx_trove_zone_pair_t  *pair;
static slot_t                  taken;
static ngx_uint_t              released, copied;
static model_t                *moved, *victim;
static model_t                *touched[NGX_TROVE_ZONE_GROUP_SLOTS * 2];
static ngx_uint_t              ntouched;


/* whether the lease or ttl of a key has expired, or it is absent */

static ngx_uint_t
model_over(model_t *m)
{
    switch (m->state) {

    case INFLIGHT:
        return now.mono > m->until;

    case DONE:
    case ACK:
        return now.wall - m->since > m->ttl;

    default:
        return 1;
    }
}


/* whether a slot agrees with the model of its key */

static ngx_uint_t
model_is(model_t *m, slot_t *slot)
{
    uint64_t  word;

    word = slot_word(slot);

    switch (m->state) {

    case INFLIGHT:
        return ngx_trove_zone_word_state(word) == NGX_TROVE_ZONE_CLAIMED
               && ngx_trove_zone_word_owner(word) == m->owner
               && ngx_trove_zone_word_time(word) == (uint32_t) (m->until + 1);

    case DONE:
    case ACK:

        if (ngx_trove_zone_word_state(word)
            != (m->state == DONE ? NGX_TROVE_ZONE_COMPLETED
                                 : NGX_TROVE_ZONE_ACKED)
            || !slot_sound(slot) || slot_ttl(slot) != m->ttl)
        {
            return 0;
        }

        /* the clock was set far back: the time may have been reset */

        if (now.wall - m->since < -m->ttl && slot_age(slot, &now) == 0) {
            m->since = now.wall;
        }

        return ngx_trove_zone_word_time(word) == (uint32_t) m->since;

    default:
        return 0;
    }
}


/* an owner is never used twice */

static void
model_owner(model_t *m, uint32_t owner)
{
    ngx_uint_t  i, n;

    fuzz_check(owner != 0 && owner <= NGX_TROVE_ZONE_OWNER_MAX, "owner %u",
               owner);

    n = ngx_min(m->nowners, OWNERS);

    for (i = 0; i < n; i++) {
        fuzz_check(m->owners[i] != owner, "owner %u was used before", owner);
    }

    m->owners[m->nowners++ % OWNERS] = owner;
}


/* a ttl has 12 significant bits, and is rounded up */

static int64_t
kept(ngx_uint_t ttl)
{
    int64_t  unit;

    for (unit = 1; (ttl + unit - 1) / unit >= 4096; unit *= 2) { /* void */ }

    return (ttl + unit - 1) / unit * unit;
}


/* the highest rank is evicted first, and 0 never */

static ngx_uint_t
rank(ngx_uint_t state)
{
    switch (state) {

    case NGX_TROVE_ZONE_ACKED:
        return 2;

    case NGX_TROVE_ZONE_COMPLETED:
        return 1;

    default:
        return 0;
    }
}


/* begins an operation on a key, which takes the lock of its group */

static void
before(model_t *m)
{
    ngx_uint_t  n;

    pair = &m->pair;

    n = pair->group - ngx_trove_zone_group(zone, 0);
    counters.recovered += dead[n];
    dead[n] = 0;
}


/* a slot before the operation */

static slot_t
then(slot_t *slot)
{
    slot_t  old;

    old.n = slot->n;
    old.bucket = (ngx_trove_zone_bucket_t *)
                     (image + ((u_char *) slot->bucket - (u_char *) zone));

    return old;
}


/* a key had two slots before; an operation may erase one of them */

static ngx_uint_t
was_twice(model_t *m)
{
    slot_t      slot;
    ngx_uint_t  i, found;

    found = 0;

    for (i = 0; i < PAIR_SLOTS; i++) {
        slot = pair_slot(&m->pair, i);
        slot = then(&slot);
        found += slot_has(&slot, &m->key);
    }

    return found > 1;
}


/* what there is for a key that is to be put into the table */

static room_e
room_of(model_t *m)
{
    room_e                  room;
    slot_t                  slot;
    ngx_uint_t              i, n;
    ngx_trove_zone_pair_t  *p;

    if (find(m, &slot)) {
        return ROOM_OWN;
    }

    for (i = 0; i < 2; i++) {
        if (bucket_live(m->pair.bucket[i], &now) < NGX_TROVE_ZONE_SLOTS) {
            return ROOM_FREE;
        }
    }

    room = ROOM_NONE;

    for (i = 0; i < PAIR_SLOTS; i++) {
        slot = pair_slot(&m->pair, i);

        if (rank(slot_state(&slot)) == 0) {
            continue;
        }

        /* for an ack only another one is given up */

        if (room == ROOM_NONE
            && (m < &models[CLAIMS]
                || slot_state(&slot) == NGX_TROVE_ZONE_ACKED))
        {
            room = ROOM_EVICT;
        }

        p = &model_of(&slot)->pair;
        n = (slot.bucket == p->bucket[0]);

        if (bucket_live(p->bucket[n], &now) < NGX_TROVE_ZONE_SLOTS) {
            room = ROOM_MOVE;
        }
    }

    return room;
}


/* checks the changes, and the state of each key */

static void
settle(model_t *m, room_e room)
{
    slot_t                   slot, old;
    ngx_uint_t               b;
    ngx_trove_zone_group_t  *group;

    taken.bucket = NULL;
    released = 0;
    copied = 0;
    moved = NULL;
    victim = NULL;
    ntouched = 0;

    group = pair->group;

    for (b = 0; b < NGX_TROVE_ZONE_BUCKETS; b++) {
        slot.bucket = &group->bucket[b];
        slot.n = 0;

        if (memcmp(slot.bucket, then(&slot).bucket, sizeof(*slot.bucket))
            == 0)
        {
            continue;
        }

        for ( /* void */ ; slot.n < NGX_TROVE_ZONE_SLOTS; slot.n++) {
            old = then(&slot);
            settle_slot(m, &slot, &old, room);
        }
    }

    fuzz_check((released != 0) == (room == ROOM_LEFT),
               "%d slots were emptied", (int) released);
    fuzz_check((moved != NULL) == (room == ROOM_MOVE && !copied),
               "moved or not");
    fuzz_check(taken.bucket != NULL || room == ROOM_NONE || room >= ROOM_OWN,
               "it got no slot");

    if (taken.bucket) {
        settle_taken(m, room);
    }

    settle_key(m);

    while (ntouched) {
        settle_key(touched[--ntouched]);
    }

    slot.bucket = group->bucket;
    slot.n = 0;

    ngx_memcpy(then(&slot).bucket, group->bucket, sizeof(group->bucket));
}


/* the key may be in this slot */

static void
settle_taken(model_t *m, room_e room)
{
    slot_t      slot, old;
    ngx_uint_t  i, nfree[2];

    old = then(&taken);

    switch (room) {

    case ROOM_OWN:
        fuzz_check(slot_has(&old, &m->key), "the key was not in this slot");
        break;

    case ROOM_FREE:
        fuzz_check(slot_live(&old, &now) == NGX_TROVE_ZONE_EMPTY,
                   "it replaced a slot, although another one is free");

        for (i = 0; i < 2; i++) {
            slot.bucket = pair->bucket[i];
            slot.n = 0;
            nfree[i] = NGX_TROVE_ZONE_SLOTS
                       - bucket_live(then(&slot).bucket, &now);
        }

        i = (taken.bucket == pair->bucket[1]);

        fuzz_check(nfree[i] >= nfree[!i], "not in the emptier bucket");
        break;

    case ROOM_MOVE:

        if (copied) {
            break;
        }

        fuzz_check(slot_has(&old, &moved->key),
                   "not the slot that was moved");
        break;

    case ROOM_EVICT:
        settle_victim(&old);
        victim = model_of(&old);
        break;

    default:
        fuzz_check(0, "it got a slot");
    }
}


static void
settle_slot(model_t *m, slot_t *slot, slot_t *old, room_e room)
{
    slot_t       from;
    model_t     *other;
    ngx_uint_t   i;

    if (slot_word(old) != 0 && slot_word(old) != slot_word(slot)) {
        touched[ntouched++] = model_of(old);
    }

    if (slot_word(slot) == 0) {

        if (slot_word(old) == 0) {
            return;
        }

        if (room != ROOM_LEFT && was_twice(model_of(old))) {
            fuzz_check(find(model_of(old), &from), "both were erased");
            return;
        }

        fuzz_check(slot_has(old, &m->key), "another key was released");
        released++;

        return;
    }

    other = model_of(slot);

    if (slot_has(old, &other->key)) {

        if (slot_word(old) == slot_word(slot)) {
            return;
        }

        if (rank(slot_state(old)) && slot_state(slot) == slot_state(old)
            && slot_age(old, &now) < -slot_ttl(old)
            && slot_age(slot, &now) == 0 && slot_ttl(slot) == slot_ttl(old))
        {
            return;
        }
    }

    if (other == m) {
        fuzz_check(taken.bucket == NULL, "it got two slots");
        taken = *slot;

        /* to be moved to where it is already */

        copied = room == ROOM_MOVE && slot_word(old) != 0
                 && was_twice(model_of(old));
        return;
    }

    /* a slot is moved from its other bucket */

    fuzz_check(room == ROOM_MOVE && moved == NULL, "another key was changed");
    fuzz_check(slot_live(old, &now) == NGX_TROVE_ZONE_EMPTY,
               "moved to a slot in use");

    moved = other;
    touched[ntouched++] = moved;

    for (i = 0; i < PAIR_SLOTS; i++) {
        from = pair_slot(&moved->pair, i);

        if (from.bucket == slot->bucket) {
            continue;
        }

        from = then(&from);

        if (slot_has(&from, &moved->key)
            && slot_word(&from) == slot_word(slot))
        {
            fuzz_check(rank(slot_live(&from, &now)),
                       "moved, but neither a DONE nor an ACK");
            return;
        }
    }

    fuzz_check(0, "moved, but it did not exist");
}


/* the evicted slot has the highest rank, and is the oldest of it */

static void
settle_victim(slot_t *given)
{
    slot_t      slot;
    int64_t     age, oldest;
    ngx_uint_t  i, highest;

    highest = 0;
    oldest = INT64_MIN;

    for (i = 0; i < PAIR_SLOTS; i++) {
        slot = pair_slot(pair, i);
        slot = then(&slot);

        if (rank(slot_state(&slot)) < highest) {
            continue;
        }

        if (rank(slot_state(&slot)) > highest) {
            highest = rank(slot_state(&slot));
            oldest = INT64_MIN;
        }

        /* farther in the future than its ttl: the time was reset */

        age = slot_age(&slot, &now);
        age = (age < -slot_ttl(&slot)) ? 0 : age;

        oldest = ngx_max(oldest, age);
    }

    age = slot_age(given, &now);
    age = (age < -slot_ttl(given)) ? 0 : age;

    fuzz_check(highest && rank(slot_state(given)) == highest,
               "evicted, but another slot has a higher rank");
    fuzz_check(age == oldest, "evicted at %d seconds, the oldest has %d",
               (int) age, (int) oldest);
}


/* a key agrees with the model; an expired one may be absent */

static void
settle_key(model_t *m)
{
    slot_t  slot;

    if (!find(m, &slot)) {
        fuzz_check(model_over(m) || m == victim, "key %d is lost",
                   (int) (m - models));

        m->state = ABSENT;
        return;
    }

    if (model_is(m, &slot)) {
        return;
    }

    /* of a DONE that occurred twice, the second one is found now */

    fuzz_check(model_over(m)
               && slot_state(&slot) == NGX_TROVE_ZONE_COMPLETED
               && slot_live(&slot, &now) == NGX_TROVE_ZONE_EMPTY,
               "key %d differs from the model", (int) (m - models));

    m->state = DONE;
    m->since = now.wall - slot_age(&slot, &now);
    m->ttl = slot_ttl(&slot);
}


static void
settle_all(void)
{
    ngx_uint_t  i;

    for (i = 0; i < KEYS; i++) {
        settle_key(&models[i]);
    }

    remember();
}


static ngx_uint_t
find(model_t *m, slot_t *slot)
{
    return pair_find(&m->pair, &m->key, slot);
}


static model_t *
model_of(slot_t *slot)
{
    ngx_uint_t  i;

    i = slot->bucket->tag[slot->n] & 0xff;

    fuzz_check(i < KEYS && slot_has(slot, &models[i].key),
               "an unknown key");

    return &models[i];
}


/* the number of additional slots of keys that have one already */

static FUZZ_QUIET ngx_uint_t
doubles(void)
{
    slot_t      slot;
    ngx_uint_t  i, n, k, found;

    n = 0;

    for (k = 0; k < KEYS; k++) {
        found = 0;

        for (i = 0; i < PAIR_SLOTS; i++) {
            slot = pair_slot(&models[k].pair, i);
            found += slot_has(&slot, &models[k].key);
        }

        n += (found > 1) ? found - 1 : 0;
    }

    return n;
}


/* whether a completion lies in the future */

static ngx_uint_t
future(void)
{
    ngx_uint_t  i;

    for (i = 0; i < KEYS; i++) {
        if (models[i].state == DONE && models[i].since > now.wall) {
            return 1;
        }
    }

    return 0;
}


static void
remember(void)
{
    ngx_memcpy(image, zone, npages * NGX_TROVE_ZONE_PAGE);
}


/*
 * The table is valid, unused groups have not been changed, and each key is in a
 * place where it is searched for.
 */

static FUZZ_QUIET void
check_table(void)
{
    slot_t      slot, old;
    ngx_uint_t  i;
    model_t    *m;

    fuzz_check(ngx_trove_zone_attach(zone, npages * NGX_TROVE_ZONE_PAGE)
               == zone, "not attached");

    for (i = 0; i < table_slots(zone); i++) {
        slot = table_slot(zone, i);
        old = then(&slot);

        fuzz_check(slot_word(&slot) == slot_word(&old), "another group");

        if (slot_word(&slot) == 0) {
            continue;
        }

        m = model_of(&slot);

        fuzz_check(slot.bucket == m->pair.bucket[0]
                   || slot.bucket == m->pair.bucket[1],
                   "a key in a wrong bucket");
    }
}


#endif /* _FUZZ_ZONE_MODEL_H_INCLUDED_ */
