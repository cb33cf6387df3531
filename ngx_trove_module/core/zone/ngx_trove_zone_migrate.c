
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_zone_layout.h"


/* more than the number of claims in a group until it is moved */
#define NGX_TROVE_ZONE_CLAIMS_AHEAD  (1u << 20)


static uint64_t ngx_trove_zone_where(ngx_trove_zone_t *zone);
static ngx_uint_t ngx_trove_zone_migrate_group(ngx_trove_zone_t *to,
    ngx_trove_zone_t *from, ngx_trove_zone_group_t *group,
    ngx_trove_zone_now_t *now);
static ngx_uint_t ngx_trove_zone_migrate_slot(ngx_trove_zone_t *to,
    ngx_trove_zone_t *from, ngx_trove_zone_slot_t *slot,
    ngx_trove_zone_now_t *now);
static void ngx_trove_zone_migrate_counters(ngx_trove_zone_t *to,
    ngx_trove_zone_head_t *head);


ngx_int_t
ngx_trove_zone_migrate_begin(ngx_trove_zone_t *zone)
{
    return ngx_trove_zone_mutex_try(&zone->migrate) == NGX_OK ? NGX_OK
                                                              : NGX_BUSY;
}


void
ngx_trove_zone_migrate_end(ngx_trove_zone_t *zone)
{
    ngx_trove_zone_mutex_unlock(&zone->migrate);
}


ngx_trove_zone_t *
ngx_trove_zone_create_successor(void *addr, size_t size, ngx_trove_zone_t *zone)
{
    uint64_t           claims;
    ngx_uint_t         n;
    ngx_trove_zone_t  *successor;

    successor = ngx_trove_zone_create(addr, size);

    if (successor == NULL) {
        return NULL;
    }

    /* owners of migrated claims must not be reused */

    claims = 0;

    for (n = 0; n < zone->groups; n++) {
        claims = ngx_max(claims, ngx_trove_zone_load(
                                &ngx_trove_zone_group(zone, n)->u.head.claims));
    }

    for (n = 0; n < successor->groups; n++) {
        ngx_trove_zone_group(successor, n)->u.head.claims =
                                          claims + NGX_TROVE_ZONE_CLAIMS_AHEAD;
    }

    ngx_memcpy(successor->key, zone->key, NGX_TROVE_SIPHASH_KEY_LEN);
    ngx_trove_zone_seal(successor);

    return successor;
}


void
ngx_trove_zone_migrate(ngx_trove_zone_t *to, ngx_trove_zone_t *from,
    ngx_trove_zone_where_t *where, ngx_trove_zone_now_t *now, ngx_uint_t *left)
{
    ngx_uint_t  n;

    *left = 0;

    from->offset = where->offset;
    from->size = where->size;

    ngx_trove_zone_store(&from->where, ngx_trove_zone_where(from));

    for (n = 0; n < from->groups; n++) {
        *left += ngx_trove_zone_migrate_group(to, from,
                                              ngx_trove_zone_group(from, n),
                                              now);
    }

    ngx_trove_zone_store(&from->migrated, 1);
}


ngx_int_t
ngx_trove_zone_successor(ngx_trove_zone_t *zone, ngx_trove_zone_where_t *where)
{
    uint64_t  migrated;

    migrated = __atomic_load_n(&zone->migrated, __ATOMIC_ACQUIRE);

    if (__atomic_load_n(&zone->where, __ATOMIC_ACQUIRE) == 0) {
        return NGX_DECLINED;
    }

    if (zone->where != ngx_trove_zone_where(zone)) {
        return NGX_ERROR;
    }

    where->offset = zone->offset;
    where->size = zone->size;

    return (migrated == 1) ? NGX_OK : NGX_AGAIN;
}


void
ngx_trove_zone_settle(ngx_trove_zone_t *zone)
{
    ngx_trove_zone_store(&zone->settled, zone->where);
}


ngx_uint_t
ngx_trove_zone_settled(ngx_trove_zone_t *zone)
{
    return zone->where != 0
           && zone->where == ngx_trove_zone_where(zone)
           && zone->migrated == 1
           && zone->settled == zone->where;
}


static uint64_t
ngx_trove_zone_where(ngx_trove_zone_t *zone)
{
    uint64_t  hash[2];

    ngx_trove_siphash(zone->key, (u_char *) &zone->offset,
                      offsetof(ngx_trove_zone_t, where)
                      - offsetof(ngx_trove_zone_t, offset),
                      hash);

    return hash[0] | 1;
}


static ngx_uint_t
ngx_trove_zone_migrate_group(ngx_trove_zone_t *to, ngx_trove_zone_t *from,
    ngx_trove_zone_group_t *group, ngx_trove_zone_now_t *now)
{
    ngx_int_t               rc;
    ngx_uint_t              b, n, left;
    ngx_trove_zone_head_t  *head;
    ngx_trove_zone_slot_t   slot;

    left = 0;
    head = &group->u.head;

    /* a group whose lock is unusable does not change any more */

    rc = ngx_trove_zone_mutex_lock(&head->mutex, &head->recovered);

    if (head->moved == 0) {

        for (b = 0; b < NGX_TROVE_ZONE_BUCKETS; b++) {
            slot.bucket = &group->bucket[b];

            for (n = 0; n < NGX_TROVE_ZONE_SLOTS; n++) {
                slot.n = n;

                if (ngx_trove_zone_slot_state(slot.bucket, n, now)
                    != NGX_TROVE_ZONE_EMPTY)
                {
                    left += ngx_trove_zone_migrate_slot(to, from, &slot, now);
                }
            }
        }

        ngx_trove_zone_migrate_counters(to, head);
        ngx_trove_zone_store(&head->moved, 1);
    }

    if (rc == NGX_OK) {
        ngx_trove_zone_unlock(group);
    }

    return left;
}


/*
 * Locks a group of the other table while holding one here.  There is no
 * deadlock, because nothing locks in the opposite order.
 */

static ngx_uint_t
ngx_trove_zone_migrate_slot(ngx_trove_zone_t *to, ngx_trove_zone_t *from,
    ngx_trove_zone_slot_t *slot, ngx_trove_zone_now_t *now)
{
    uint64_t               word;
    ngx_uint_t             left;
    ngx_trove_zone_key_t   key;
    ngx_trove_zone_pair_t  pair;
    ngx_trove_zone_slot_t  sole;

    key = ngx_trove_zone_slot_key(slot);
    word = slot->bucket->word[slot->n];

    /* a DONE may have a copy: see ngx_trove_zone_layout.h */

    ngx_trove_zone_pair(from, &key, &pair);
    sole = ngx_trove_zone_sole(&pair, &key, now);

    if (sole.bucket != slot->bucket || sole.n != slot->n) {
        return 0;
    }

    ngx_trove_zone_pair(to, &key, &pair);

    if (ngx_trove_zone_lock(pair.group) != NGX_OK) {
        return 1;
    }

    left = 0;

    /* written by a process that was killed at this point */

    sole = ngx_trove_zone_sole(&pair, &key, now);

    if (sole.bucket != NULL) {
        ngx_trove_zone_put(&sole, &key, word);

    } else {
        left = ngx_trove_zone_insert(&pair, &key, word, now);
    }

    ngx_trove_zone_unlock(pair.group);

    return left;
}


static void
ngx_trove_zone_migrate_counters(ngx_trove_zone_t *to,
    ngx_trove_zone_head_t *head)
{
    ngx_trove_zone_head_t   *sum;
    ngx_trove_zone_group_t  *group;

    if ((head->evicted | head->takeovers | head->full | head->recovered
         | head->damaged | head->dropped)
        == 0)
    {
        return;
    }

    group = ngx_trove_zone_group(to, 0);

    if (ngx_trove_zone_lock(group) != NGX_OK) {
        return;
    }

    sum = &group->u.head;

    sum->evicted += head->evicted;
    sum->takeovers += head->takeovers;
    sum->full += head->full;
    sum->recovered += head->recovered;
    sum->damaged += head->damaged;
    sum->dropped += head->dropped;

    head->evicted = 0;
    head->takeovers = 0;
    head->full = 0;
    head->recovered = 0;
    head->damaged = 0;
    head->dropped = 0;

    ngx_trove_zone_unlock(group);
}
