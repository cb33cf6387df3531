
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_ZONE_H_INCLUDED_
#define _NGX_TROVE_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The zone component: a table of keys in memory shared by processes.  It has
 * slots of fixed size and contains no pointers, so that any number of
 * processes can map it at any address, from a file as well.  Independent of
 * HTTP.
 *
 * The states of a key:
 *
 *             claim                    complete
 *   absent ----------> INFLIGHT -----------------> DONE ----ttl----> absent
 *      ^                 |  lease ran out: the next claim takes over
 *      +-----release-----+
 *
 * In addition there are acks (acknowledgements), which only record that
 * something was done for a key.  An ack is either absent or present, for its
 * ttl, and is evicted in favour of any other entry.  Keys of claims and keys
 * of acks must be distinct.
 *
 * A process may be killed at any instruction: the table remains usable and
 * consistent, and claims of the process become free when their leases expire.
 */

typedef struct ngx_trove_zone_s  ngx_trove_zone_t;     /* mapped memory */


/* a key hashed with the secret of the table: ngx_trove_zone_key() */
typedef struct {
    uint64_t          place;
    uint64_t          tag;           /* 16 bits of it are stored */
} ngx_trove_zone_key_t;


/*
 * Whole seconds, rounded down.  Rounding never shortens a lease or a ttl; it
 * may extend one by up to a second.
 */
typedef struct {
    int64_t           wall;          /* since the epoch: DONE, ttl */
    int64_t           mono;          /* CLOCK_MONOTONIC: leases */
} ngx_trove_zone_now_t;


/* sums over the table; all but the first four only grow */
typedef struct {
    uint64_t          slots;         /* capacity in keys */
    uint64_t          inflight;      /* live claims */
    uint64_t          done;          /* completed and not expired */
    uint64_t          acked;         /* acks that have not expired */
    uint64_t          evicted;       /* DONE evicted before expiry */
    uint64_t          takeovers;     /* expired claims taken over */
    uint64_t          full;          /* claims refused: no space */
    uint64_t          recovered;     /* locks held by killed processes */
    uint64_t          damaged;       /* slots dropped by recovery */
    uint64_t          dropped;       /* acks evicted before expiry */
} ngx_trove_zone_stat_t;


typedef enum {
    NGX_TROVE_ZONE_NEW = 0,          /* claimed by the caller */
    NGX_TROVE_ZONE_INFLIGHT,         /* claimed by another, alive */
    NGX_TROVE_ZONE_DONE,             /* completed, ttl not expired */
    NGX_TROVE_ZONE_FULL,             /* no space: only live claims */
    NGX_TROVE_ZONE_MOVED,            /* the key is in another table */
    NGX_TROVE_ZONE_LOST              /* must be healed: see below */
} ngx_trove_zone_claim_e;


/* position of a successor: bytes in a file known to the users of the table */
typedef struct {
    uint64_t          offset;
    uint64_t          size;
} ngx_trove_zone_where_t;


/* contents of the first page, the same in all processes */
typedef struct {
    uint64_t          head[8];
} ngx_trove_zone_kept_t;


#define NGX_TROVE_ZONE_TTL_MAX    (10 * 366 * 86400)     /* seconds */
#define NGX_TROVE_ZONE_LEASE_MAX  86400                  /* seconds */


/* Returns the minimum size of a table in bytes. */
size_t ngx_trove_zone_size_min(void);

/*
 * Creates an empty table of size bytes at addr, which must be aligned to 4096
 * bytes.  The memory need not be zeroed, must not be used by another process
 * meanwhile, and remains the caller's.  The returned table need not be freed.
 *
 * NULL  size is too small, addr is not aligned, or the random secret or a lock
 *       could not be created
 */
ngx_trove_zone_t *ngx_trove_zone_create(void *addr, size_t size);

/*
 * Checks that there is a table of this layout and size at addr.  size is in
 * bytes and is compared in whole pages of 4096 bytes.  Only the first page is
 * read.
 *
 * NULL  there is no such table
 */
ngx_trove_zone_t *ngx_trove_zone_attach(void *addr, size_t size);

/*
 * Returns the size in bytes of the table whose first page is at addr, or 0 if
 * it is not the first page of a table of this layout.
 */
size_t ngx_trove_zone_size(void *addr);

/*
 * Returns 1 if there is the first page of a table at addr, of any version and
 * possibly damaged, and 0 otherwise.  Reads 8 bytes.
 */
ngx_uint_t ngx_trove_zone_has_magic(void *addr);

/*
 * Makes an attached table usable that was left in an unknown state: in a file,
 * after a reboot.  No other process may have it open.  Recreates the locks,
 * clears every INFLIGHT (the owners are gone, and the monotonic clock may have
 * restarted), and drops and counts damaged slots.
 *
 * NGX_OK
 * NGX_ERROR  a lock could not be created
 */
ngx_int_t ngx_trove_zone_recover(ngx_trove_zone_t *zone);

/*
 * If a file is truncated, some or all pages of its table read as zeroes: see
 * ngx_trove_guard.h.  An operation on a page without a lock returns
 * NGX_TROVE_ZONE_LOST or NGX_ABORT.
 *
 * keep  copies the constant part of the first page of an intact table to *kept
 * kept  returns 1 if that part is the same as in *kept, 0 otherwise
 * heal  restores the first page from *kept and recreates pages without a lock
 *       as empty ones; all pages if the first one has other contents.  Returns
 *       the number of recreated pages.  Must not be called by two processes at
 *       once.  Other processes may use the table meanwhile
 */
void ngx_trove_zone_keep(ngx_trove_zone_t *zone, ngx_trove_zone_kept_t *kept);
ngx_uint_t ngx_trove_zone_kept(ngx_trove_zone_t *zone,
    ngx_trove_zone_kept_t *kept);
ngx_uint_t ngx_trove_zone_heal(ngx_trove_zone_t *zone,
    ngx_trove_zone_kept_t *kept);

/*
 * Copies all live keys of the table from to the table to.  to must not be in
 * use yet.  It must be new, or filled with copies of tables with the same
 * secret: of two DONE of a key the later one is kept.
 *
 * from may be in use: each of its groups is copied atomically, and later
 * changes are not reflected in to.  Claims are copied with their owners and
 * leases, and no owner is issued twice.  Keys keep their identity: to takes
 * over the secret of from.  It also takes over the counters, so that they
 * never decrease.
 *
 * Keys that do not fit are left out: acks first, then the oldest DONE, as far
 * as the buckets allow, then INFLIGHT.  Returns the number of keys left out,
 * without acks.
 */
ngx_uint_t ngx_trove_zone_copy(ngx_trove_zone_t *to, ngx_trove_zone_t *from,
    ngx_trove_zone_now_t *now);

/*
 * Migration of a table in use to another one, its successor.  Processes use
 * both during the migration.  Operations on a key that is in the other table
 * return NGX_TROVE_ZONE_MOVED or NGX_AGAIN.
 *
 *   begin -> create_successor -> migrate -> end
 *
 * create_successor is ngx_trove_zone_create() with the secret of the other
 * table.
 *
 * migrate publishes the position of the successor and moves the keys group by
 * group.  Keys that do not fit are lost as in a copy; *left is set to their
 * number.  If the migrating process is killed, the next one continues with the
 * same successor.
 *
 * begin returns:
 *
 * NGX_OK    the caller migrates the table, until end
 * NGX_BUSY  another process is migrating it
 */
ngx_int_t ngx_trove_zone_migrate_begin(ngx_trove_zone_t *zone);
ngx_trove_zone_t *ngx_trove_zone_create_successor(void *addr, size_t size,
    ngx_trove_zone_t *zone);
void ngx_trove_zone_migrate(ngx_trove_zone_t *to, ngx_trove_zone_t *from,
    ngx_trove_zone_where_t *where, ngx_trove_zone_now_t *now,
    ngx_uint_t *left);
void ngx_trove_zone_migrate_end(ngx_trove_zone_t *zone);

/*
 * ngx_trove_zone_settle() records that a migrated table is superseded by its
 * successor for good: it is called when all of the successor is on the disk.
 * ngx_trove_zone_settled() returns 1 if that was recorded, 0 otherwise.
 */
void ngx_trove_zone_settle(ngx_trove_zone_t *zone);
ngx_uint_t ngx_trove_zone_settled(ngx_trove_zone_t *zone);

/*
 * Finds the successor of a table, and sets *where to its position.
 *
 * NGX_DECLINED  there is none
 * NGX_AGAIN     a key may be in this table or in the successor
 * NGX_OK        all keys are in the successor, this table is not used any more
 * NGX_ERROR     the position is damaged
 */
ngx_int_t ngx_trove_zone_successor(ngx_trove_zone_t *zone,
    ngx_trove_zone_where_t *where);

/*
 * Hashes len bytes at data to the key of a table.  Keys of tables with
 * different secrets are unrelated.
 */
void ngx_trove_zone_key(ngx_trove_zone_t *zone, u_char *data, size_t len,
    ngx_trove_zone_key_t *key);

/*
 * Makes the processor prefetch the buckets of a key that will be used within a
 * microsecond.  Changes nothing.
 */
void ngx_trove_zone_prefetch(ngx_trove_zone_t *zone, ngx_trove_zone_key_t *key);

/*
 * Claims a key for lease seconds (1 .. NGX_TROVE_ZONE_LEASE_MAX).  If any
 * number of processes simultaneously claim an absent key, exactly one gets
 * NGX_TROVE_ZONE_NEW, and *owner is set to a value other than 0, to be passed
 * to the functions below.  Otherwise *owner is not changed.
 *
 * If there is no space, the oldest ack within reach is evicted, or else the
 * oldest DONE, but never an INFLIGHT.
 */
ngx_trove_zone_claim_e ngx_trove_zone_claim(ngx_trove_zone_t *zone,
    ngx_trove_zone_key_t *key, ngx_trove_zone_now_t *now, ngx_uint_t lease,
    uint32_t *owner);

/*
 * These functions take effect only while the owner has the claim: not after
 * the claim (or its slot) was taken over because its lease had expired, and
 * not after the claim was completed or released.
 *
 * renew     the lease runs for lease seconds from now
 * complete  INFLIGHT becomes DONE for ttl seconds (1 .. ..._TTL_MAX)
 * release   INFLIGHT becomes absent
 *
 * If the claim is lost and the key is absent, complete records DONE
 * nevertheless if there is space, because the work was done.  It still returns
 * NGX_DECLINED.
 *
 * The ttl is stored with 12 significant bits: exactly up to 4095 seconds,
 * above that rounded up by less than 1/2048.
 *
 * NGX_OK        done
 * NGX_DECLINED  the owner no longer has the claim
 * NGX_AGAIN     the key is in another table
 * NGX_ABORT     the table must be healed
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
 * Makes a DONE key absent before its ttl expires.
 *
 * NGX_OK
 * NGX_DECLINED  the key is not DONE
 * NGX_AGAIN     the key is in another table
 * NGX_ABORT     the table must be healed
 */
ngx_int_t ngx_trove_zone_forget(ngx_trove_zone_t *zone,
    ngx_trove_zone_key_t *key, ngx_trove_zone_now_t *now);

/*
 * ngx_trove_zone_ack() acknowledges a key for ttl seconds (1 ..
 * NGX_TROVE_ZONE_TTL_MAX).  ngx_trove_zone_acked() sets *acked to 1 if the key
 * is acknowledged, to 0 otherwise.  An ack can evict only another ack.
 *
 * NGX_OK
 * NGX_DECLINED  there is no space
 * NGX_AGAIN     the key is in another table
 * NGX_ABORT     the table must be healed
 */
ngx_int_t ngx_trove_zone_ack(ngx_trove_zone_t *zone,
    ngx_trove_zone_key_t *key, ngx_trove_zone_now_t *now, ngx_uint_t ttl);
ngx_int_t ngx_trove_zone_acked(ngx_trove_zone_t *zone,
    ngx_trove_zone_key_t *key, ngx_trove_zone_now_t *now, ngx_uint_t *acked);

/*
 * Fills in *stat.  Reads every slot without a lock.  Intended for metrics, not
 * for the processing of a request.
 */
void ngx_trove_zone_stat(ngx_trove_zone_t *zone, ngx_trove_zone_now_t *now,
    ngx_trove_zone_stat_t *stat);


#endif /* _NGX_TROVE_ZONE_H_INCLUDED_ */
