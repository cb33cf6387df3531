
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _FUZZ_ZONE_H_INCLUDED_
#define _FUZZ_ZONE_H_INCLUDED_


#include "fuzz.h"

#include "ngx_trove_zone_layout.h"


/*
 * Reads a table, for the harnesses of core/zone.  It is written from the
 * description in ngx_trove_zone_layout.h.  Only the buckets of a key and the
 * check of a slot are computed by core/zone itself.
 */

#define TABLE_PAGES_MAX  4             /* with the first one */

#define TABLE_SIZE_MAX   (TABLE_PAGES_MAX * NGX_TROVE_ZONE_PAGE)

#define PAIR_SLOTS       (2 * NGX_TROVE_ZONE_SLOTS)
#define table_slots(zone)                                                     \
    ((zone)->groups * NGX_TROVE_ZONE_GROUP_SLOTS)


typedef struct {
    ngx_trove_zone_bucket_t  *bucket;
    ngx_uint_t                n;
} slot_t;


#define slot_word(slot)   ((slot)->bucket->word[(slot)->n])
#define slot_state(slot)  ngx_trove_zone_word_state(slot_word(slot))


/* memory for a table of this size, which ends at the end of the region */

static FUZZ_UNUSED u_char *
table_memory(u_char *region, ngx_uint_t pages)
{
    return region + TABLE_SIZE_MAX - pages * NGX_TROVE_ZONE_PAGE;
}


/* the slots of a table one after the other */

static FUZZ_QUIET slot_t
table_slot(ngx_trove_zone_t *zone, ngx_uint_t i)
{
    slot_t                   slot;
    ngx_trove_zone_group_t  *group;

    group = ngx_trove_zone_group(zone, i / NGX_TROVE_ZONE_GROUP_SLOTS);
    i %= NGX_TROVE_ZONE_GROUP_SLOTS;

    slot.bucket = &group->bucket[i / NGX_TROVE_ZONE_SLOTS];
    slot.n = i % NGX_TROVE_ZONE_SLOTS;

    return slot;
}


static FUZZ_QUIET ngx_uint_t
slot_has(slot_t *slot, ngx_trove_zone_key_t *key)
{
    return slot->bucket->word[slot->n] != 0
           && slot->bucket->place[slot->n] == key->place
           && slot->bucket->tag[slot->n] == (uint16_t) key->tag;
}


/* whether a DONE or an ACK is as somebody has written it */

static FUZZ_UNUSED ngx_uint_t
slot_sound(slot_t *slot)
{
    uint64_t              word;
    ngx_trove_zone_key_t  key;

    word = slot_word(slot);
    key.place = slot->bucket->place[slot->n];
    key.tag = slot->bucket->tag[slot->n];

    return word == ngx_trove_zone_word_dated(&key,
                                             ngx_trove_zone_word_state(word),
                                             ngx_trove_zone_word_time(word),
                                             ngx_trove_zone_word_ttl(word));
}


/* of a DONE or an ACK: how old it is, and how many seconds it is kept for */

static FUZZ_UNUSED int64_t
slot_age(slot_t *slot, ngx_trove_zone_now_t *now)
{
    return (int32_t) ((uint32_t) now->wall
                      - ngx_trove_zone_word_time(slot_word(slot)));
}


static FUZZ_UNUSED int64_t
slot_ttl(slot_t *slot)
{
    return ngx_trove_zone_ttl_decode(ngx_trove_zone_word_ttl(slot_word(slot)));
}


/* its state, EMPTY if it has expired */

static FUZZ_UNUSED ngx_uint_t
slot_live(slot_t *slot, ngx_trove_zone_now_t *now)
{
    int32_t  left;

    switch (slot_state(slot)) {

    case NGX_TROVE_ZONE_CLAIMED:
        left = (int32_t) (ngx_trove_zone_word_time(slot_word(slot))
                          - (uint32_t) now->mono);

        return left > 0 ? NGX_TROVE_ZONE_CLAIMED : NGX_TROVE_ZONE_EMPTY;

    case NGX_TROVE_ZONE_COMPLETED:
    case NGX_TROVE_ZONE_ACKED:
        return (slot_sound(slot) && slot_age(slot, now) <= slot_ttl(slot))
               ? slot_state(slot) : NGX_TROVE_ZONE_EMPTY;

    default:
        return NGX_TROVE_ZONE_EMPTY;
    }
}


/* the two buckets of a key, in a group of the table */

static FUZZ_UNUSED void
table_pair(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *key,
    ngx_trove_zone_pair_t *pair)
{
    ngx_uint_t  i, n;

    ngx_trove_zone_pair(zone, key, pair);

    n = pair->group - ngx_trove_zone_group(zone, 0);
    fuzz_check(n < zone->groups, "group %d of %d", (int) n,
               (int) zone->groups);

    for (i = 0; i < 2; i++) {
        n = pair->bucket[i] - pair->group->bucket;
        fuzz_check(n < NGX_TROVE_ZONE_BUCKETS, "bucket %d", (int) n);
    }

    fuzz_check(pair->bucket[0] != pair->bucket[1], "the same bucket twice");
}


/* the slots in which a key may be */

static FUZZ_QUIET slot_t
pair_slot(ngx_trove_zone_pair_t *pair, ngx_uint_t i)
{
    slot_t  slot;

    slot.bucket = pair->bucket[i / NGX_TROVE_ZONE_SLOTS];
    slot.n = i % NGX_TROVE_ZONE_SLOTS;

    return slot;
}


/* the slot of a key, expired or not: the first one, if there are two */

static FUZZ_QUIET ngx_uint_t
pair_find(ngx_trove_zone_pair_t *pair, ngx_trove_zone_key_t *key,
    slot_t *slot)
{
    ngx_uint_t  i;

    for (i = 0; i < PAIR_SLOTS; i++) {
        *slot = pair_slot(pair, i);

        if (slot_has(slot, key)) {
            return 1;
        }
    }

    return 0;
}


static FUZZ_UNUSED ngx_uint_t
table_find(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *key, slot_t *slot)
{
    ngx_trove_zone_pair_t  pair;

    table_pair(zone, key, &pair);

    return pair_find(&pair, key, slot);
}


/* the live slots of a bucket */

static FUZZ_UNUSED ngx_uint_t
bucket_live(ngx_trove_zone_bucket_t *bucket, ngx_trove_zone_now_t *now)
{
    slot_t      slot;
    ngx_uint_t  n;

    n = 0;
    slot.bucket = bucket;

    for (slot.n = 0; slot.n < NGX_TROVE_ZONE_SLOTS; slot.n++) {
        n += slot_live(&slot, now) != NGX_TROVE_ZONE_EMPTY;
    }

    return n;
}


#endif /* _FUZZ_ZONE_H_INCLUDED_ */
