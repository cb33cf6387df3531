
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_ZONE_H_INCLUDED_
#define _NGX_TROVE_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The zone room: a table of keys in memory shared by processes, with fixed-size
 * slots and without a pointer in it, so that it may be mapped anywhere, by any
 * number of processes, from a file as well.  Knows nothing of HTTP.
 *
 * The states of a key:
 *
 *             claim                    complete
 *   absent ----------> INFLIGHT -----------------> DONE ----ttl----> absent
 *      ^                 |  lease ran out: the next claim takes over
 *      +-----release-----+
 *
 * Beside them there are acks (acknowledgements), which say of a key only that
 * something was done.  An ack is absent or there, for its ttl, and gives way to
 * all others.  Keys of claims and keys of acks must not be the same.
 *
 * Any process may be killed at any instruction: the table stays usable and
 * consistent, and what the process held is free again when its lease runs out.
 */

typedef struct ngx_trove_zone_s  ngx_trove_zone_t;     /* the mapped memory */


/* a key, hashed with the table's own secret: ngx_trove_zone_key() */
typedef struct {
    uint64_t          place;
    uint64_t          tag;           /* 16 bits of it are kept */
} ngx_trove_zone_key_t;


/*
 * Whole seconds, rounded down.  A lease or a ttl never ends early for that; it
 * may last up to a second longer.
 */
typedef struct {
    int64_t           wall;          /* since the epoch: DONE, ttl */
    int64_t           mono;          /* of CLOCK_MONOTONIC: leases */
} ngx_trove_zone_now_t;


/* sums over the table; all but the first four only grow */
typedef struct {
    uint64_t          slots;         /* how many keys there is room for */
    uint64_t          inflight;      /* live claims */
    uint64_t          done;          /* completed and not expired */
    uint64_t          acked;         /* acks that have not expired */
    uint64_t          evicted;       /* DONE given up before their time */
    uint64_t          takeovers;     /* claims whose lease ran out */
    uint64_t          full;          /* claims refused: no room */
    uint64_t          recovered;     /* locks left behind by a killed process */
    uint64_t          damaged;       /* slots dropped by the recovery */
    uint64_t          dropped;       /* acks given up before their time */
} ngx_trove_zone_stat_t;


typedef enum {
    NGX_TROVE_ZONE_NEW = 0,          /* the claim is the caller's */
    NGX_TROVE_ZONE_INFLIGHT,         /* somebody else's, still alive */
    NGX_TROVE_ZONE_DONE,             /* completed less than its ttl ago */
    NGX_TROVE_ZONE_FULL,             /* no room: live claims everywhere */
    NGX_TROVE_ZONE_MOVED,            /* the key is in another table */
    NGX_TROVE_ZONE_LOST              /* it is to be healed: see below */
} ngx_trove_zone_claim_e;


/* where a table was migrated to: bytes of a file that its users know */
typedef struct {
    uint64_t          offset;
    uint64_t          size;
} ngx_trove_zone_where_t;


/* the first page of a table, as it is in all processes that use it */
typedef struct {
    uint64_t          head[8];
} ngx_trove_zone_kept_t;


#define NGX_TROVE_ZONE_TTL_MAX    (10 * 366 * 86400)     /* seconds */
#define NGX_TROVE_ZONE_LEASE_MAX  86400                  /* seconds */


/*
 * The least number of bytes that a table can be made of.
 */
size_t ngx_trove_zone_size_min(void);

/*
 * Makes an empty table of size bytes at addr, which is aligned to 4096 bytes.
 * The memory need not be zeroed.  No other process may use it meanwhile.
 * Nothing is returned that would have to be freed.
 *
 * NULL  size is too small, addr is not aligned, or no random secret or no lock
 *       could be had
 */
ngx_trove_zone_t *ngx_trove_zone_create(void *addr, size_t size);

/*
 * Checks that what is at addr is a table of this layout and of this size, as
 * counted in whole pages of 4096 bytes.  Reads the first page only.
 *
 * NULL  it is not
 */
ngx_trove_zone_t *ngx_trove_zone_attach(void *addr, size_t size);

/*
 * The bytes that a table takes of which the first page is at addr; 0 if it is
 * not that of a table of this layout.
 */
size_t ngx_trove_zone_size(void *addr);

/*
 * Whether there is the first page of a table at addr, of whatever version, and
 * damaged or not.  Reads 8 bytes.
 */
ngx_uint_t ngx_trove_zone_known(void *addr);

/*
 * Makes an attached table usable that nobody else has open, of which it is not
 * known how it was left: in a file, after a restart of the machine.  Makes the
 * locks anew, clears every INFLIGHT (the owners are gone, and the monotonic
 * clock may have begun again), and drops and counts what is damaged.
 *
 * NGX_OK
 * NGX_ERROR  no lock could be had
 */
ngx_int_t ngx_trove_zone_recover(ngx_trove_zone_t *zone);

/*
 * A table in a file that somebody truncates reads as zeroes, in all or in some
 * pages: see ngx_trove_guard.h.  Who finds a page without a lock gets
 * NGX_TROVE_ZONE_LOST or NGX_ABORT.  Then
 *
 *   keep  copies what does not change from a table that is in order
 *   kept  tells whether its first page is as it was then
 *   heal  makes the first page as it was then, and those without a lock empty;
 *         all of them, if there is something else in the first page.  Returns
 *         how many pages were made anew.  No two processes may do it at once;
 *         others may use the table meanwhile
 */
void ngx_trove_zone_keep(ngx_trove_zone_t *zone, ngx_trove_zone_kept_t *kept);
ngx_uint_t ngx_trove_zone_kept(ngx_trove_zone_t *zone,
    ngx_trove_zone_kept_t *kept);
ngx_uint_t ngx_trove_zone_heal(ngx_trove_zone_t *zone,
    ngx_trove_zone_kept_t *kept);

/*
 * Copies all that is alive in the table from into the table to, which is not
 * yet used by anybody, and is new, or has got copies of tables with the same
 * secret: of two DONE of a key the later one stays.  from may be in use: each
 * of its groups is copied at one moment, and what happens there later is not
 * seen in to.  Claims come along with their owners and leases, and no owner is
 * given out again.  Keys keep their identity: to takes over the secret of from,
 * and the counters, so that they go on growing.  What finds no room is left
 * out: acks first, then the oldest DONE, as far as the buckets allow, then
 * INFLIGHT.
 *
 * The number of keys left out, acks not counted.
 */
ngx_uint_t ngx_trove_zone_copy(ngx_trove_zone_t *to, ngx_trove_zone_t *from,
    ngx_trove_zone_now_t *now);

/*
 * A table that is in use is migrated to another, its successor, while everybody
 * goes on using it.  The functions that take a key tell whoever still asks the
 * old table that it is in the other one: NGX_TROVE_ZONE_MOVED or NGX_AGAIN.
 *
 *   begin -> create_successor -> migrate -> end
 *
 * create_successor is ngx_trove_zone_create() with the secret of the other
 * table.
 *
 * migrate moves group by group, and tells everybody where the successor is.
 * What is lost for want of room is as with a copy; *left says how many keys.
 * Who did this may have been killed on the way: then the next one goes on, with
 * the same successor.
 *
 * begin  NGX_OK        nobody else does it, until end
 *        NGX_BUSY      somebody else does
 */
ngx_int_t ngx_trove_zone_migrate_begin(ngx_trove_zone_t *zone);
ngx_trove_zone_t *ngx_trove_zone_create_successor(void *addr, size_t size,
    ngx_trove_zone_t *zone);
void ngx_trove_zone_migrate(ngx_trove_zone_t *to, ngx_trove_zone_t *from,
    ngx_trove_zone_where_t *where, ngx_trove_zone_now_t *now,
    ngx_uint_t *left);
void ngx_trove_zone_migrate_end(ngx_trove_zone_t *zone);

/*
 * Whether a table has a successor, and where.
 *
 * NGX_DECLINED  it has none
 * NGX_AGAIN     a key may be in this one or in the successor
 * NGX_OK        all are in the successor, nobody needs this one any more
 * NGX_ERROR     it is damaged
 */
ngx_int_t ngx_trove_zone_successor(ngx_trove_zone_t *zone,
    ngx_trove_zone_where_t *where);

/*
 * Hashes len bytes at data to the key of a table.  Keys of different tables
 * have nothing to do with each other.
 */
void ngx_trove_zone_key(ngx_trove_zone_t *zone, u_char *data, size_t len,
    ngx_trove_zone_key_t *key);

/*
 * Tells that a key will be asked for in less than a microsecond: the processor
 * is to fetch what there is about it.  Changes nothing.
 */
void ngx_trove_zone_prefetch(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *key);

/*
 * Claims a key for lease seconds (1 .. NGX_TROVE_ZONE_LEASE_MAX).  Of any
 * number of simultaneous calls for an absent key, in any processes, exactly one
 * gets NGX_TROVE_ZONE_NEW, and an owner, never 0, in *owner, to be given to the
 * functions below.  *owner is not touched otherwise.
 *
 * If there is no room, the oldest ack in reach is given up, or else the oldest
 * DONE, never an INFLIGHT.
 */
ngx_trove_zone_claim_e ngx_trove_zone_claim(ngx_trove_zone_t *zone,
    ngx_trove_zone_key_t *key, ngx_trove_zone_now_t *now, ngx_uint_t lease,
    uint32_t *owner);

/*
 * These three act only while the claim is the owner's: not after its lease ran
 * out and somebody took it over (or its slot), not after it was completed or
 * released.
 *
 * renew     the lease is to run for lease seconds from now
 * complete  INFLIGHT becomes DONE for ttl seconds (1 .. ..._TTL_MAX)
 * release   INFLIGHT becomes absent
 *
 * A complete whose claim is gone, and whose key is absent, records DONE none
 * the less where there is room: that the work was done is a fact.  It returns
 * NGX_DECLINED all the same.
 *
 * The ttl is kept with 12 significant bits: exact up to 4095 seconds, above
 * that longer by less than 1/2048.
 *
 * NGX_OK        done
 * NGX_DECLINED  the claim is not the owner's any more
 * NGX_AGAIN     the key is in another table
 * NGX_ABORT     the table is to be healed
 */
ngx_int_t ngx_trove_zone_renew(ngx_trove_zone_t *zone,
    ngx_trove_zone_key_t *key, ngx_trove_zone_now_t *now, ngx_uint_t lease,
    uint32_t owner);
ngx_int_t ngx_trove_zone_complete(ngx_trove_zone_t *zone,
    ngx_trove_zone_key_t *key, ngx_trove_zone_now_t *now, ngx_uint_t ttl,
    uint32_t owner);
ngx_int_t ngx_trove_zone_release(ngx_trove_zone_t *zone,
    ngx_trove_zone_key_t *key, uint32_t owner);

/*
 * Makes a DONE absent before its time.
 *
 * NGX_OK
 * NGX_DECLINED  it is not DONE
 * NGX_AGAIN     the key is in another table
 * NGX_ABORT     the table is to be healed
 */
ngx_int_t ngx_trove_zone_forget(ngx_trove_zone_t *zone,
    ngx_trove_zone_key_t *key, ngx_trove_zone_now_t *now);

/*
 * Acknowledges a key for ttl seconds (1 .. NGX_TROVE_ZONE_TTL_MAX), or tells in
 * *acked whether it is.  For an ack nothing is given up but another ack.
 *
 * NGX_OK
 * NGX_DECLINED  there is no room
 * NGX_AGAIN     the key is in another table
 * NGX_ABORT     the table is to be healed
 */
ngx_int_t ngx_trove_zone_ack(ngx_trove_zone_t *zone,
    ngx_trove_zone_key_t *key, ngx_trove_zone_now_t *now, ngx_uint_t ttl);
ngx_int_t ngx_trove_zone_acked(ngx_trove_zone_t *zone,
    ngx_trove_zone_key_t *key, ngx_trove_zone_now_t *now, ngx_uint_t *acked);

/*
 * Sums up the table.  Reads every slot without a lock: meant for a person or a
 * scraper, not for the path of a request.
 */
void ngx_trove_zone_stat(ngx_trove_zone_t *zone, ngx_trove_zone_now_t *now,
    ngx_trove_zone_stat_t *stat);


#endif /* _NGX_TROVE_ZONE_H_INCLUDED_ */
