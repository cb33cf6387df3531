
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_zone_layout.h"


static uint32_t ngx_trove_zone_owner(ngx_trove_zone_group_t *group);
static ngx_trove_zone_slot_t ngx_trove_zone_new_slot(
    ngx_trove_zone_pair_t *pair, ngx_trove_zone_now_t *now);
static ngx_uint_t ngx_trove_zone_owned(ngx_trove_zone_slot_t *slot,
    uint32_t owner);
static void ngx_trove_zone_late(ngx_trove_zone_pair_t *pair,
    ngx_trove_zone_slot_t *slot, ngx_trove_zone_key_t *key,
    ngx_trove_zone_now_t *now, uint64_t word);


void
ngx_trove_zone_prefetch(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *key)
{
    ngx_trove_zone_pair_t  pair;

    ngx_trove_zone_pair(zone, key, &pair);
}


ngx_trove_zone_claim_e
ngx_trove_zone_claim(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *key,
    ngx_trove_zone_now_t *now, ngx_uint_t lease, uint32_t *owner)
{
    uint32_t                token;
    ngx_uint_t              state;
    ngx_trove_zone_pair_t   pair;
    ngx_trove_zone_slot_t   slot;
    ngx_trove_zone_claim_e  rc;

    ngx_trove_zone_pair(zone, key, &pair);

    switch (ngx_trove_zone_lock(pair.group)) {

    case NGX_OK:
        break;

    case NGX_AGAIN:
        return NGX_TROVE_ZONE_MOVED;

    case NGX_ABORT:
        return NGX_TROVE_ZONE_LOST;

    default:
        return NGX_TROVE_ZONE_FULL;
    }

    slot = ngx_trove_zone_find(&pair, key);

    if (slot.bucket != NULL) {
        state = ngx_trove_zone_slot_state(slot.bucket, slot.n, now);

        if (state == NGX_TROVE_ZONE_EMPTY) {
            slot = ngx_trove_zone_sole(&pair, key, now);
            state = ngx_trove_zone_slot_state(slot.bucket, slot.n, now);
        }

        if (state == NGX_TROVE_ZONE_CLAIMED) {
            rc = NGX_TROVE_ZONE_INFLIGHT;
            goto done;
        }

        if (state == NGX_TROVE_ZONE_COMPLETED) {
            ngx_trove_zone_redate(pair.group, &slot, now);
            rc = NGX_TROVE_ZONE_DONE;
            goto done;
        }

        if (ngx_trove_zone_word_state(slot.bucket->word[slot.n])
            == NGX_TROVE_ZONE_CLAIMED)
        {
            ngx_trove_zone_count(&pair.group->u.head.takeovers);
        }

    } else {
        slot = ngx_trove_zone_new_slot(&pair, now);

        if (slot.bucket == NULL) {
            ngx_trove_zone_count(&pair.group->u.head.full);
            rc = NGX_TROVE_ZONE_FULL;
            goto done;
        }
    }

    token = ngx_trove_zone_owner(pair.group);

    ngx_trove_zone_put(&slot, key,
                       ngx_trove_zone_word_claimed(now, lease, token));

    *owner = token;
    rc = NGX_TROVE_ZONE_NEW;

done:

    ngx_trove_zone_unlock(pair.group);

    return rc;
}


ngx_int_t
ngx_trove_zone_renew(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *key,
    ngx_trove_zone_now_t *now, ngx_uint_t lease, uint32_t owner)
{
    ngx_int_t              rc;
    ngx_trove_zone_pair_t  pair;
    ngx_trove_zone_slot_t  slot;

    ngx_trove_zone_pair(zone, key, &pair);

    rc = ngx_trove_zone_lock(pair.group);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = NGX_DECLINED;
    slot = ngx_trove_zone_find(&pair, key);

    if (ngx_trove_zone_owned(&slot, owner)) {
        ngx_trove_zone_store(&slot.bucket->word[slot.n],
                             ngx_trove_zone_word_claimed(now, lease, owner));
        rc = NGX_OK;
    }

    ngx_trove_zone_unlock(pair.group);

    return rc;
}


ngx_int_t
ngx_trove_zone_complete(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *key,
    ngx_trove_zone_now_t *now, ngx_uint_t ttl, uint32_t owner)
{
    uint64_t               word;
    ngx_int_t              rc;
    ngx_trove_zone_pair_t  pair;
    ngx_trove_zone_slot_t  slot;

    word = ngx_trove_zone_word_dated(key, NGX_TROVE_ZONE_COMPLETED,
                                     (uint32_t) now->wall,
                                     ngx_trove_zone_ttl_encode(ttl));

    ngx_trove_zone_pair(zone, key, &pair);

    rc = ngx_trove_zone_lock(pair.group);
    if (rc != NGX_OK) {
        return rc;
    }

    slot = ngx_trove_zone_find(&pair, key);

    if (ngx_trove_zone_owned(&slot, owner)) {
        ngx_trove_zone_store(&slot.bucket->word[slot.n], word);
        rc = NGX_OK;

    } else {
        ngx_trove_zone_late(&pair, &slot, key, now, word);
        rc = NGX_DECLINED;
    }

    ngx_trove_zone_unlock(pair.group);

    return rc;
}


ngx_int_t
ngx_trove_zone_release(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *key,
    uint32_t owner)
{
    ngx_int_t              rc;
    ngx_trove_zone_pair_t  pair;
    ngx_trove_zone_slot_t  slot;

    ngx_trove_zone_pair(zone, key, &pair);

    rc = ngx_trove_zone_lock(pair.group);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = NGX_DECLINED;
    slot = ngx_trove_zone_find(&pair, key);

    if (ngx_trove_zone_owned(&slot, owner)) {
        ngx_trove_zone_store(&slot.bucket->word[slot.n], 0);
        rc = NGX_OK;
    }

    ngx_trove_zone_unlock(pair.group);

    return rc;
}


ngx_int_t
ngx_trove_zone_forget(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *key,
    ngx_trove_zone_now_t *now)
{
    ngx_int_t              rc;
    ngx_trove_zone_pair_t  pair;
    ngx_trove_zone_slot_t  slot;

    ngx_trove_zone_pair(zone, key, &pair);

    rc = ngx_trove_zone_lock(pair.group);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = NGX_DECLINED;

    /* a DONE may have a copy: see ngx_trove_zone_layout.h */

    for ( ;; ) {
        slot = ngx_trove_zone_find(&pair, key);

        if (slot.bucket == NULL
            || ngx_trove_zone_word_state(slot.bucket->word[slot.n])
               != NGX_TROVE_ZONE_COMPLETED)
        {
            break;
        }

        if (ngx_trove_zone_slot_state(slot.bucket, slot.n, now)
            == NGX_TROVE_ZONE_COMPLETED)
        {
            rc = NGX_OK;
        }

        ngx_trove_zone_store(&slot.bucket->word[slot.n], 0);
    }

    ngx_trove_zone_unlock(pair.group);

    return rc;
}


ngx_int_t
ngx_trove_zone_ack(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *key,
    ngx_trove_zone_now_t *now, ngx_uint_t ttl)
{
    uint64_t               word;
    ngx_int_t              rc;
    ngx_trove_zone_pair_t  pair;
    ngx_trove_zone_slot_t  slot;

    word = ngx_trove_zone_word_dated(key, NGX_TROVE_ZONE_ACKED,
                                     (uint32_t) now->wall,
                                     ngx_trove_zone_ttl_encode(ttl));

    ngx_trove_zone_pair(zone, key, &pair);

    rc = ngx_trove_zone_lock(pair.group);
    if (rc != NGX_OK) {
        return rc;
    }

    slot = ngx_trove_zone_sole(&pair, key, now);

    if (slot.bucket != NULL) {

        /* a process killed here must not lose an earlier ack */

        ngx_trove_zone_store(&slot.bucket->word[slot.n], word);
        goto done;
    }

    slot = ngx_trove_zone_reserve(&pair, now);

    if (slot.bucket == NULL) {

        /* a DONE is more valuable than an ack, and is not evicted for one */

        slot = ngx_trove_zone_oldest(&pair, NGX_TROVE_ZONE_ACKED, now);
        ngx_trove_zone_count(&pair.group->u.head.dropped);
    }

    if (slot.bucket != NULL) {
        ngx_trove_zone_put(&slot, key, word);
    }

done:

    ngx_trove_zone_unlock(pair.group);

    return (slot.bucket != NULL) ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_trove_zone_acked(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *key,
    ngx_trove_zone_now_t *now, ngx_uint_t *acked)
{
    ngx_int_t              rc;
    ngx_trove_zone_pair_t  pair;
    ngx_trove_zone_slot_t  slot;

    *acked = 0;

    ngx_trove_zone_pair(zone, key, &pair);

    rc = ngx_trove_zone_lock(pair.group);
    if (rc != NGX_OK) {
        return rc;
    }

    slot = ngx_trove_zone_sole(&pair, key, now);

    *acked = slot.bucket != NULL
             && ngx_trove_zone_slot_state(slot.bucket, slot.n, now)
                == NGX_TROVE_ZONE_ACKED;

    ngx_trove_zone_unlock(pair.group);

    return NGX_OK;
}


/*
 * An owner is not reused for a key within the next 2^30 claims in its group.
 * The counter is one of the group, not of the table, because its cache line
 * has been loaded already, and other processors do not contend for it.
 */

static uint32_t
ngx_trove_zone_owner(ngx_trove_zone_group_t *group)
{
    uint64_t  claims;

    claims = group->u.head.claims;

    group->u.head.claims = claims + 1;

    return (uint32_t) (claims % NGX_TROVE_ZONE_OWNER_MAX) + 1;
}


/* returns a slot for a new key, evicting an ACK or a DONE if necessary */

static ngx_trove_zone_slot_t
ngx_trove_zone_new_slot(ngx_trove_zone_pair_t *pair, ngx_trove_zone_now_t *now)
{
    ngx_trove_zone_slot_t  slot;

    slot = ngx_trove_zone_reserve(pair, now);

    if (slot.bucket == NULL) {
        slot = ngx_trove_zone_evict(pair, now);
    }

    return slot;
}


/* an expired claim remains its owner's until another one takes it over */

static ngx_uint_t
ngx_trove_zone_owned(ngx_trove_zone_slot_t *slot, uint32_t owner)
{
    uint64_t  word;

    if (slot->bucket == NULL) {
        return 0;
    }

    word = slot->bucket->word[slot->n];

    return ngx_trove_zone_word_state(word) == NGX_TROVE_ZONE_CLAIMED
           && ngx_trove_zone_word_owner(word) == owner;
}


/* records work completed after its claim was lost, if the key is absent */

static void
ngx_trove_zone_late(ngx_trove_zone_pair_t *pair, ngx_trove_zone_slot_t *slot,
    ngx_trove_zone_key_t *key, ngx_trove_zone_now_t *now, uint64_t word)
{
    if (slot->bucket != NULL) {

        *slot = ngx_trove_zone_sole(pair, key, now);

        if (ngx_trove_zone_slot_state(slot->bucket, slot->n, now)
            != NGX_TROVE_ZONE_EMPTY)
        {
            return;
        }

    } else {
        *slot = ngx_trove_zone_new_slot(pair, now);

        if (slot->bucket == NULL) {
            return;
        }
    }

    ngx_trove_zone_put(slot, key, word);
}
