
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_ZONE_LAYOUT_H_INCLUDED_
#define _NGX_TROVE_ZONE_LAYOUT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <pthread.h>

#include "ngx_trove_siphash.h"
#include "ngx_trove_zone.h"


/*
 * The memory layout of a table.  Private to the zone component.
 *
 *   page 0      constants set when the table is created: ngx_trove_zone_s
 *   page 1 ..   one group each: a lock, counters, and 31 buckets of 7 slots
 *
 * The place of a key selects a group and two different buckets in it.  The key
 * is put into the emptier one, so that an operation takes a single lock.  A
 * slot stores the complete place, so that a table of another size can be
 * filled from this one, and 16 bits of the tag.
 *
 * Two keys are confused if these 80 bits are equal: for a new key among
 * 400,000 the probability is 1 in 3 * 10^18.
 *
 * The following holds if a process is killed between any two instructions.
 *
 * A slot is defined by its word.  While the word is 0, place and tag have no
 * meaning.  They are written only then, and the word is written after them, by
 * a single 8-byte store with release semantics.  Renewing, completing,
 * releasing and taking over a claim each are such a single store.  So a slot
 * never contains a mix of two keys, and a process that gets the lock of a
 * killed one (EOWNERDEAD) has nothing to repair.
 *
 * To make space, a DONE may be moved to the other bucket of its key: it is
 * written there first, and erased here afterwards.  A process killed in
 * between leaves two copies of a DONE.  That is harmless while both are live:
 * a DONE never changes, and both expire at the same second.  But once the copy
 * that is found first has expired, the other one may hide a new entry.  So
 * before an expired slot is written, or a slot is redated or moved, the copies
 * are erased: there are none beside an INFLIGHT, or a later DONE.  An ACK does
 * not change either, and is moved in the same way.  An INFLIGHT changes, and
 * is never moved.
 *
 * A table is migrated to another one a group at a time.  The position of the
 * successor is written to the first page before the first group is moved.
 * With the lock of a group held, its keys are copied, and then the group is
 * marked as moved.  Until then a key is here, and an entry in the other table
 * is overwritten; from then on the key is there, and the entry here is not
 * changed any more.  A process killed in between leaves a table that can be
 * used, and whose migration can be continued.  When the other table is on the
 * disk with all keys, this one is marked as settled: it only serves as a copy
 * of its keys in case the other table is damaged.  Without this mark, a key
 * that is erased there would be found here after a restart.
 *
 * Memory order: operations are ordered by the lock alone.  The release stores
 * are for readers without the lock: ngx_trove_zone_stat(), and the kernel
 * writing pages of a mapped file to disk.
 */

#define NGX_TROVE_ZONE_MAGIC       0x656e6f7a65766f72ULL     /* "rovezone" */
#define NGX_TROVE_ZONE_VERSION     1

#define NGX_TROVE_ZONE_PAGE        4096     /* may differ from the system's */
#define NGX_TROVE_ZONE_LINE        64       /* usual size of a cache line */
#define NGX_TROVE_ZONE_BUCKETS     31
#define NGX_TROVE_ZONE_SLOTS       7
#define NGX_TROVE_ZONE_GROUP_SLOTS                                            \
    (NGX_TROVE_ZONE_BUCKETS * NGX_TROVE_ZONE_SLOTS)


/*
 * The word of a slot, from the most significant bit:
 *
 *              2 bits   32 bits                      30 bits
 *   empty      0        0                            0
 *   INFLIGHT   1        end of lease, monotonic      owner, not 0
 *   DONE       2        completion, wall clock       16: ttl, 14: check
 *   ACK        3        creation, wall clock         16: ttl, 14: check
 *
 * Both times are seconds modulo 2^32 and are compared by their difference.
 */

#define NGX_TROVE_ZONE_EMPTY       0
#define NGX_TROVE_ZONE_CLAIMED     1
#define NGX_TROVE_ZONE_COMPLETED   2
#define NGX_TROVE_ZONE_ACKED       3

#define NGX_TROVE_ZONE_OWNER_MAX   ((1u << 30) - 1)
#define NGX_TROVE_ZONE_CHECK_BITS  14

#define ngx_trove_zone_word_state(word)  ((ngx_uint_t) ((word) >> 62))
#define ngx_trove_zone_word_time(word)   ((uint32_t) ((word) >> 30))
#define ngx_trove_zone_word_owner(word)                                       \
    ((uint32_t) (word) & NGX_TROVE_ZONE_OWNER_MAX)
#define ngx_trove_zone_word_ttl(word)                                         \
    ((uint16_t) ((word) >> NGX_TROVE_ZONE_CHECK_BITS))

#define ngx_trove_zone_load(p)           __atomic_load_n(p, __ATOMIC_RELAXED)
#define ngx_trove_zone_store(p, v)       __atomic_store_n(p, v,               \
                                                          __ATOMIC_RELEASE)

/* prefetches a cache line that will be written */
#define ngx_trove_zone_fetch(p)          __builtin_prefetch(p, 1)

/* increments a counter; the lock of the group must be held */
#define ngx_trove_zone_count(p)          __atomic_store_n(p, *(p) + 1,        \
                                                          __ATOMIC_RELAXED)


struct ngx_trove_zone_s {
    uint64_t                  magic;
    uint32_t                  version;
    uint32_t                  page;
    uint32_t                  buckets;         /* in a group */
    uint32_t                  slots;           /* in a bucket */
    uint32_t                  mutex;           /* sizeof(pthread_mutex_t) */
    uint32_t                  groups;
    u_char                    key[NGX_TROVE_SIPHASH_KEY_LEN];
    uint64_t                  check;           /* of all the above */

    pthread_mutex_t           migrate;         /* lock for migration */
    uint64_t                  offset;          /* of the successor */
    uint64_t                  size;
    uint64_t                  where;           /* check of these two, 0: none */
    uint64_t                  migrated;        /* 1: all groups are moved */
    uint64_t                  settled;         /* where: and are on disk */

    /* the rest of the page is zeroed and reserved for later versions */
};


typedef struct {
    uint64_t                  place[NGX_TROVE_ZONE_SLOTS];
    uint64_t                  word[NGX_TROVE_ZONE_SLOTS];
    uint16_t                  tag[NGX_TROVE_ZONE_SLOTS];
    uint16_t                  reserved;
} ngx_trove_zone_bucket_t;


/*
 * The mutex is robust: the kernel marks it when its holder dies.  The C
 * library stores pointers in it, which are valid in the holder only and are
 * not used by other processes.  The counter changed by a claim shares its
 * cache line.
 */

typedef struct {
    pthread_mutex_t           mutex;
    uint64_t                  claims;          /* for the next owner */
    uint64_t                  evicted;
    uint64_t                  takeovers;
    uint64_t                  full;
    uint64_t                  recovered;
    uint64_t                  damaged;
    uint64_t                  dropped;
    uint64_t                  moved;           /* 1: to another table */
} ngx_trove_zone_head_t;


typedef struct {
    union {
        ngx_trove_zone_head_t    head;
        u_char                   size[sizeof(ngx_trove_zone_bucket_t)];
    } u;

    ngx_trove_zone_bucket_t   bucket[NGX_TROVE_ZONE_BUCKETS];
} ngx_trove_zone_group_t;


/* possible locations of a key */
typedef struct {
    ngx_trove_zone_group_t   *group;
    ngx_trove_zone_bucket_t  *bucket[2];
} ngx_trove_zone_pair_t;


typedef struct {
    ngx_trove_zone_bucket_t  *bucket;          /* NULL: no such slot */
    ngx_uint_t                n;
} ngx_trove_zone_slot_t;


/* compile-time checks of the layout */
typedef char ngx_trove_zone_assert_bucket[
    sizeof(ngx_trove_zone_bucket_t) == 128 ? 1 : -1];
typedef char ngx_trove_zone_assert_group[
    sizeof(ngx_trove_zone_group_t) == NGX_TROVE_ZONE_PAGE ? 1 : -1];


#define ngx_trove_zone_group(zone, n)                                         \
    ((ngx_trove_zone_group_t *)                                               \
         ((u_char *) (zone) + NGX_TROVE_ZONE_PAGE) + (n))


/* ngx_trove_zone_layout.c */

/* makes the first page that of a valid table */
void ngx_trove_zone_seal(ngx_trove_zone_t *zone);

/*
 * Locks a group.
 *
 * NGX_OK        locked
 * NGX_AGAIN     the group is in another table; not locked
 * NGX_ABORT     there is no lock: the page was lost
 * NGX_DECLINED  the lock is unusable
 */
ngx_int_t ngx_trove_zone_lock(ngx_trove_zone_group_t *group);

/* unlocks a group */
void ngx_trove_zone_unlock(ngx_trove_zone_group_t *group);

/*
 * Lock a mutex, whether the group has been moved or not.  *recovered is
 * incremented if the last holder was killed.
 *
 * NGX_OK
 * NGX_BUSY      try only: another process holds it
 * NGX_ABORT     lock only: there is none
 * NGX_DECLINED  it is unusable
 */
ngx_int_t ngx_trove_zone_mutex_lock(pthread_mutex_t *mutex,
    uint64_t *recovered);
ngx_int_t ngx_trove_zone_mutex_try(pthread_mutex_t *mutex);

/* unlocks a mutex, in whatever state it is */
void ngx_trove_zone_mutex_unlock(pthread_mutex_t *mutex);


/*
 * Create a mutex.  attr is initialized by ngx_trove_zone_lock_attr() and
 * destroyed by the caller.  Both return NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_trove_zone_lock_attr(pthread_mutexattr_t *attr);
ngx_int_t ngx_trove_zone_lock_make(pthread_mutex_t *mutex,
    pthread_mutexattr_t *attr);

/* returns 0 if there are zeroes in place of the mutex, 1 otherwise */
ngx_uint_t ngx_trove_zone_lock_there(pthread_mutex_t *mutex);


/* ngx_trove_zone_copy.c */

/*
 * Puts a key into a pair of buckets of another table that does not contain it.
 * The lock must be held.  Returns the number of keys left out for lack of
 * space: 0 or 1.
 */
ngx_uint_t ngx_trove_zone_insert(ngx_trove_zone_pair_t *pair,
    ngx_trove_zone_key_t *key, uint64_t word, ngx_trove_zone_now_t *now);


/* ngx_trove_zone_slot.c: from find() on, the lock must be held */

/*
 * Convert a ttl in seconds to 16 bits and back: 5 bits of exponent and 11 of
 * mantissa with a hidden bit.  Exact up to 4095 seconds, above that rounded up
 * by less than 1/2048.
 */
uint16_t ngx_trove_zone_ttl_encode(ngx_uint_t ttl);
int64_t ngx_trove_zone_ttl_decode(uint16_t ttl);

/* returns the state of slot n at the time now, EMPTY if it has expired */
ngx_uint_t ngx_trove_zone_slot_state(ngx_trove_zone_bucket_t *bucket,
    ngx_uint_t n, ngx_trove_zone_now_t *now);

/* returns 1 if slot n holds a DONE or an ACK with a valid check */
ngx_uint_t ngx_trove_zone_slot_intact(ngx_trove_zone_bucket_t *bucket,
    ngx_uint_t n);

/* returns the word of an INFLIGHT; lease is in seconds */
uint64_t ngx_trove_zone_word_claimed(ngx_trove_zone_now_t *now,
    ngx_uint_t lease, uint32_t owner);
/* returns the word of a COMPLETED or ACKED; wall in seconds, ttl encoded */
uint64_t ngx_trove_zone_word_dated(ngx_trove_zone_key_t *key,
    ngx_uint_t state, uint32_t wall, uint16_t ttl);

/* sets *pair to the group and the buckets of a key */
void ngx_trove_zone_pair(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *key,
    ngx_trove_zone_pair_t *pair);

/* returns the slot of a key, expired or not; bucket is NULL if there is none */
ngx_trove_zone_slot_t ngx_trove_zone_find(ngx_trove_zone_pair_t *pair,
    ngx_trove_zone_key_t *key);

/*
 * Returns the valid slot of a key that may have copies: an INFLIGHT, or else
 * the latest one that has not expired, or else any.  Erases the others.
 */
ngx_trove_zone_slot_t ngx_trove_zone_sole(ngx_trove_zone_pair_t *pair,
    ngx_trove_zone_key_t *key, ngx_trove_zone_now_t *now);

/* returns a free slot for a new key; its bucket is NULL if there is none */
ngx_trove_zone_slot_t ngx_trove_zone_reserve(ngx_trove_zone_pair_t *pair,
    ngx_trove_zone_now_t *now);

/* returns the slot of the oldest DONE or ACK, by state, to be evicted */
ngx_trove_zone_slot_t ngx_trove_zone_oldest(ngx_trove_zone_pair_t *pair,
    ngx_uint_t state, ngx_trove_zone_now_t *now);

/*
 * Returns the slot to be evicted for a claim or a DONE if there is no free
 * one: that of the oldest ACK, or else of the oldest DONE.  Counts the
 * eviction.
 */
ngx_trove_zone_slot_t ngx_trove_zone_evict(ngx_trove_zone_pair_t *pair,
    ngx_trove_zone_now_t *now);

/* limits the effect on a DONE or an ACK of a clock that was set far back */
void ngx_trove_zone_redate(ngx_trove_zone_group_t *group,
    ngx_trove_zone_slot_t *slot, ngx_trove_zone_now_t *now);

/* writes a key to a slot, whatever the slot contained */
void ngx_trove_zone_put(ngx_trove_zone_slot_t *slot, ngx_trove_zone_key_t *key,
    uint64_t word);

/* returns the key of a slot */
ngx_trove_zone_key_t ngx_trove_zone_slot_key(ngx_trove_zone_slot_t *slot);


/* returns the seconds since a completion, negative if it is in the future */

static ngx_inline int64_t
ngx_trove_zone_age(uint64_t word, ngx_trove_zone_now_t *now)
{
    return (int32_t) ((uint32_t) now->wall - ngx_trove_zone_word_time(word));
}


#endif /* _NGX_TROVE_ZONE_LAYOUT_H_INCLUDED_ */
