
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
 * How a table lies in memory.  Private to the zone room.
 *
 *   page 0      what is fixed when the table is made: ngx_trove_zone_s
 *   page 1 ..   a group each: a lock, counters, and 31 buckets of 7 slots
 *
 * The place of a key picks a group, and there two different buckets.  The key
 * is put into the emptier one, so one lock covers an operation.  The slot keeps
 * the whole place, so that a table of another size can be filled from this one,
 * and 16 bits of the tag.
 *
 * Two keys are taken for one another if those 80 bits are equal: for a new key
 * among 400,000 the chance is 1 in 3 * 10^18.
 *
 * What holds when a process is killed between any two instructions:
 *
 * A slot is its word.  While the word is 0, place and tag mean nothing.  They
 * are written only then, and the word after them, with one store of 8 bytes
 * and release semantics.  Renewing, completing, releasing and taking over a
 * claim are one such store each.  So there is no moment at which a slot is
 * half of one key and half of another, and whoever gets the lock of a killed
 * process (EOWNERDEAD) has nothing to repair.
 *
 * To make room, a DONE may be moved to the other bucket of its key: it is
 * written there first, and erased here afterwards.  A process killed in between
 * leaves the same DONE twice.  That does no harm as long as both live: a DONE
 * never changes, and both end at the same second.  Once the first one that is
 * found is over, another one may be in the way: whoever is about to write to a
 * slot that is over, or to date or move one, erases its copies, so that there
 * are none beside an INFLIGHT, or a later DONE.  An ACK, which does not change
 * either, is moved like it.  An INFLIGHT, which does change, is never moved.
 *
 * A table is migrated to another one a group at a time.  The first page says
 * where to, before the first group is.  Under the lock of a group its keys are
 * copied, and then it is marked as moved: until then a key is here, and what
 * there is of it in the other table is overwritten; from then on it is there,
 * and what is here is left as it was.  Whoever is killed in between leaves a
 * table that can be used as it is, and migrated further.
 *
 * Memory order: the lock alone orders the operations.  Release stores are for
 * those that look without it: ngx_trove_zone_stat(), and whatever writes the
 * pages of a mapped file to a disk.
 */

#define NGX_TROVE_ZONE_MAGIC       0x656e6f7a65766f72ULL     /* "rovezone" */
#define NGX_TROVE_ZONE_VERSION     1

#define NGX_TROVE_ZONE_PAGE        4096     /* the system's may be another */
#define NGX_TROVE_ZONE_LINE        64       /* of a cache, as is usual */
#define NGX_TROVE_ZONE_BUCKETS     31
#define NGX_TROVE_ZONE_SLOTS       7
#define NGX_TROVE_ZONE_GROUP_SLOTS                                            \
    (NGX_TROVE_ZONE_BUCKETS * NGX_TROVE_ZONE_SLOTS)


/*
 * The word of a slot, from the highest bit:
 *
 *              2 bits   32 bits                      30 bits
 *   empty      0        0                            0
 *   INFLIGHT   1        the lease's end, monotonic   the owner, not 0
 *   DONE       2        completion, wall clock       16: ttl, 14: check
 *   ACK        3        when it was made, wall       16: ttl, 14: check
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

/* asks for a line of the cache that will be written */
#define ngx_trove_zone_fetch(p)          __builtin_prefetch(p, 1)

/* a counter, which is written under its group's lock only */
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

    pthread_mutex_t           migrate;         /* of who migrates it */
    uint64_t                  offset;          /* where to */
    uint64_t                  size;
    uint64_t                  where;           /* check of these two, 0: none */
    uint64_t                  migrated;        /* 1: all groups are moved */

    /* the rest of the page is zero, for what later versions may want to keep */
};


typedef struct {
    uint64_t                  place[NGX_TROVE_ZONE_SLOTS];
    uint64_t                  word[NGX_TROVE_ZONE_SLOTS];
    uint16_t                  tag[NGX_TROVE_ZONE_SLOTS];
    uint16_t                  reserved;
} ngx_trove_zone_bucket_t;


/*
 * The mutex is robust: the kernel marks it when its holder dies.  The pointers
 * that the C library keeps in it are the holder's own, and are not looked at by
 * anybody else.  What a claim changes shares a cache line with it.
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


/* where a key may be */
typedef struct {
    ngx_trove_zone_group_t   *group;
    ngx_trove_zone_bucket_t  *bucket[2];
} ngx_trove_zone_pair_t;


typedef struct {
    ngx_trove_zone_bucket_t  *bucket;          /* NULL: no such slot */
    ngx_uint_t                n;
} ngx_trove_zone_slot_t;


/* does not compile where the layout is not what it says */
typedef char ngx_trove_zone_assert_bucket[
    sizeof(ngx_trove_zone_bucket_t) == 128 ? 1 : -1];
typedef char ngx_trove_zone_assert_group[
    sizeof(ngx_trove_zone_group_t) == NGX_TROVE_ZONE_PAGE ? 1 : -1];


#define ngx_trove_zone_group(zone, n)                                         \
    ((ngx_trove_zone_group_t *)                                               \
         ((u_char *) (zone) + NGX_TROVE_ZONE_PAGE) + (n))


/* ngx_trove_zone_layout.c */

/* marks the first page as that of a valid table */
void ngx_trove_zone_seal(ngx_trove_zone_t *zone);

/*
 * NGX_OK        the group is the caller's
 * NGX_AGAIN     it is in another table
 * NGX_ABORT     there is no lock: the page was lost
 * NGX_DECLINED  the lock is beyond use
 */
ngx_int_t ngx_trove_zone_lock(ngx_trove_zone_group_t *group);
void ngx_trove_zone_unlock(ngx_trove_zone_group_t *group);

/*
 * The lock alone, wherever the group is.
 *
 * NGX_OK
 * NGX_BUSY      for try only: somebody else has it
 * NGX_ABORT     for lock only: there is none
 * NGX_DECLINED  it is beyond use
 */
ngx_int_t ngx_trove_zone_mutex_lock(pthread_mutex_t *mutex,
    uint64_t *recovered);
ngx_int_t ngx_trove_zone_mutex_try(pthread_mutex_t *mutex);

/* whatever has become of it */
void ngx_trove_zone_mutex_unlock(pthread_mutex_t *mutex);


/* makes a lock; attr is of ngx_trove_zone_lock_attr() */
ngx_int_t ngx_trove_zone_lock_attr(pthread_mutexattr_t *attr);
ngx_int_t ngx_trove_zone_lock_make(pthread_mutex_t *mutex,
    pthread_mutexattr_t *attr);

/* whether there is a lock, and not zeroes in its place */
ngx_uint_t ngx_trove_zone_lock_there(pthread_mutex_t *mutex);


/* ngx_trove_zone_copy.c */

/*
 * Puts a key into the pair of another table, where it is not, for who holds the
 * lock.  Returns how many keys are left out for want of room: 0 or 1.
 */
ngx_uint_t ngx_trove_zone_insert(ngx_trove_zone_pair_t *pair,
    ngx_trove_zone_key_t *key, uint64_t word, ngx_trove_zone_now_t *now);


/* ngx_trove_zone_slot.c: from find() on, for who holds the lock */

/*
 * A ttl as 16 bits: 5 of exponent and 11 of mantissa with a hidden bit.  Exact
 * up to 4095 seconds, above that rounded up by less than 1/2048.
 */
uint16_t ngx_trove_zone_ttl_encode(ngx_uint_t ttl);
int64_t ngx_trove_zone_ttl_decode(uint16_t ttl);

/* the state of slot n at the time now; EMPTY if what it was is over */
ngx_uint_t ngx_trove_zone_slot_state(ngx_trove_zone_bucket_t *bucket,
    ngx_uint_t n, ngx_trove_zone_now_t *now);

/* whether slot n holds a DONE or an ACK as it was written */
ngx_uint_t ngx_trove_zone_slot_intact(ngx_trove_zone_bucket_t *bucket,
    ngx_uint_t n);

uint64_t ngx_trove_zone_word_claimed(ngx_trove_zone_now_t *now,
    ngx_uint_t lease, uint32_t owner);
/* state is COMPLETED or ACKED */
uint64_t ngx_trove_zone_word_dated(ngx_trove_zone_key_t *key,
    ngx_uint_t state, uint32_t wall, uint16_t ttl);

void ngx_trove_zone_pair(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *key,
    ngx_trove_zone_pair_t *pair);

/* the slot of a key, whether what is in it is over or not */
ngx_trove_zone_slot_t ngx_trove_zone_find(ngx_trove_zone_pair_t *pair,
    ngx_trove_zone_key_t *key);

/*
 * Of a key that may be there more than once, the slot that counts: INFLIGHT, or
 * else the latest that is not over, or else any.  The others are erased.
 */
ngx_trove_zone_slot_t ngx_trove_zone_sole(ngx_trove_zone_pair_t *pair,
    ngx_trove_zone_key_t *key, ngx_trove_zone_now_t *now);

/* a slot for a new key */
ngx_trove_zone_slot_t ngx_trove_zone_room(ngx_trove_zone_pair_t *pair,
    ngx_trove_zone_now_t *now);

/* the slot of the oldest DONE or ACK, as state says, to be given up */
ngx_trove_zone_slot_t ngx_trove_zone_oldest(ngx_trove_zone_pair_t *pair,
    ngx_uint_t state, ngx_trove_zone_now_t *now);

/*
 * Where there is no room, the slot to be given up for a claim or a DONE: that
 * of the oldest ACK, or else of the oldest DONE.  Counts it.
 */
ngx_trove_zone_slot_t ngx_trove_zone_evict(ngx_trove_zone_pair_t *pair,
    ngx_trove_zone_now_t *now);

/* of a DONE or an ACK: bounds what a clock stepped far back does to it */
void ngx_trove_zone_redate(ngx_trove_zone_group_t *group,
    ngx_trove_zone_slot_t *slot, ngx_trove_zone_now_t *now);

/* puts a key into a slot, whatever was in it */
void ngx_trove_zone_put(ngx_trove_zone_slot_t *slot, ngx_trove_zone_key_t *key,
    uint64_t word);

/* the key of what is in a slot */
ngx_trove_zone_key_t ngx_trove_zone_slot_key(ngx_trove_zone_slot_t *slot);


/* whole seconds since a completion; less than 0 if it lies in the future */

static ngx_inline int64_t
ngx_trove_zone_age(uint64_t word, ngx_trove_zone_now_t *now)
{
    return (int32_t) ((uint32_t) now->wall - ngx_trove_zone_word_time(word));
}


#endif /* _NGX_TROVE_ZONE_LAYOUT_H_INCLUDED_ */
