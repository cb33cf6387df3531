
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_zone_layout.h"


static ngx_uint_t ngx_trove_zone_copy_group(ngx_trove_zone_t *to,
    ngx_trove_zone_group_t *from, ngx_trove_zone_now_t *now);
static ngx_uint_t ngx_trove_zone_copy_slot(ngx_trove_zone_t *to,
    ngx_trove_zone_slot_t *from, ngx_trove_zone_now_t *now);


ngx_uint_t
ngx_trove_zone_copy(ngx_trove_zone_t *to, ngx_trove_zone_t *from,
    ngx_trove_zone_now_t *now)
{
    uint64_t                 claims;
    ngx_int_t                rc;
    ngx_uint_t               n, left;
    ngx_trove_zone_head_t   *head, *sum;
    ngx_trove_zone_group_t  *group;

    ngx_memcpy(to->key, from->key, NGX_TROVE_SIPHASH_KEY_LEN);
    ngx_trove_zone_seal(to);

    left = 0;
    claims = ngx_trove_zone_group(to, 0)->u.head.claims;
    sum = &ngx_trove_zone_group(to, 0)->u.head;

    for (n = 0; n < from->groups; n++) {
        group = ngx_trove_zone_group(from, n);
        head = &group->u.head;

        /* a group whose lock is unusable does not change any more */

        rc = ngx_trove_zone_mutex_lock(&head->mutex, &head->recovered);

        left += ngx_trove_zone_copy_group(to, group, now);

        claims = ngx_max(claims, head->claims);

        sum->evicted += head->evicted;
        sum->takeovers += head->takeovers;
        sum->full += head->full;
        sum->recovered += head->recovered;
        sum->damaged += head->damaged;
        sum->dropped += head->dropped;

        if (rc == NGX_OK) {
            ngx_trove_zone_unlock(group);
        }
    }

    /* owners of copied claims must not be reused */

    for (n = 0; n < to->groups; n++) {
        ngx_trove_zone_group(to, n)->u.head.claims = claims;
    }

    return left;
}


static ngx_uint_t
ngx_trove_zone_copy_group(ngx_trove_zone_t *to, ngx_trove_zone_group_t *from,
    ngx_trove_zone_now_t *now)
{
    ngx_uint_t             b, n, left;
    ngx_trove_zone_slot_t  slot;

    left = 0;

    for (b = 0; b < NGX_TROVE_ZONE_BUCKETS; b++) {
        slot.bucket = &from->bucket[b];

        for (n = 0; n < NGX_TROVE_ZONE_SLOTS; n++) {
            slot.n = n;

            if (ngx_trove_zone_slot_state(slot.bucket, n, now)
                != NGX_TROVE_ZONE_EMPTY)
            {
                left += ngx_trove_zone_copy_slot(to, &slot, now);
            }
        }
    }

    return left;
}


/* copies a live key; returns the number of keys left out for it: 0 or 1 */

static ngx_uint_t
ngx_trove_zone_copy_slot(ngx_trove_zone_t *to, ngx_trove_zone_slot_t *from,
    ngx_trove_zone_now_t *now)
{
    uint64_t               word, other;
    ngx_trove_zone_key_t   key;
    ngx_trove_zone_pair_t  pair;
    ngx_trove_zone_slot_t  slot;

    key = ngx_trove_zone_slot_key(from);
    word = from->bucket->word[from->n];

    ngx_trove_zone_pair(to, &key, &pair);

    slot = ngx_trove_zone_find(&pair, &key);

    if (slot.bucket == NULL) {
        return ngx_trove_zone_insert(&pair, &key, word, now);
    }

    /*
     * A DONE may have a copy, see ngx_trove_zone_layout.h, or have been copied
     * from another table already.
     */

    other = slot.bucket->word[slot.n];

    if (ngx_trove_zone_word_state(word) >= NGX_TROVE_ZONE_COMPLETED
        && (ngx_trove_zone_word_state(other) < NGX_TROVE_ZONE_COMPLETED
            || ngx_trove_zone_age(word, now) < ngx_trove_zone_age(other, now)))
    {
        ngx_trove_zone_put(&slot, &key, word);
    }

    return 0;
}


ngx_uint_t
ngx_trove_zone_insert(ngx_trove_zone_pair_t *pair, ngx_trove_zone_key_t *key,
    uint64_t word, ngx_trove_zone_now_t *now)
{
    ngx_trove_zone_slot_t  slot;

    slot = ngx_trove_zone_reserve(pair, now);

    if (slot.bucket != NULL) {
        ngx_trove_zone_put(&slot, key, word);
        return 0;
    }

    /* an ack is left out first, either an existing one or this one */

    slot = ngx_trove_zone_oldest(pair, NGX_TROVE_ZONE_ACKED, now);

    if (slot.bucket != NULL
        || ngx_trove_zone_word_state(word) == NGX_TROVE_ZONE_ACKED)
    {
        ngx_trove_zone_count(&pair->group->u.head.dropped);

        if (ngx_trove_zone_word_state(word) != NGX_TROVE_ZONE_ACKED) {
            ngx_trove_zone_put(&slot, key, word);
        }

        return 0;
    }

    /* then the oldest DONE */

    slot = ngx_trove_zone_oldest(pair, NGX_TROVE_ZONE_COMPLETED, now);

    if (ngx_trove_zone_word_state(word) == NGX_TROVE_ZONE_COMPLETED) {
        ngx_trove_zone_count(&pair->group->u.head.evicted);

        if (slot.bucket == NULL
            || ngx_trove_zone_age(word, now)
               >= ngx_trove_zone_age(slot.bucket->word[slot.n], now))
        {
            return 1;
        }

    } else if (slot.bucket == NULL) {
        return 1;

    } else {
        ngx_trove_zone_count(&pair->group->u.head.evicted);
    }

    ngx_trove_zone_put(&slot, key, word);

    return 1;
}
