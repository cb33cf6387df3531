
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_SLOTS_H_INCLUDED_
#define _NGX_TROVE_SLOTS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Slots of one size, found by a name, in memory shared by processes, without a
 * pointer in it.  Counters and health states are kept in them.  Knows nothing
 * of HTTP.
 *
 *   free --keep------> kept
 *     |                  ^
 *     |                  | keep
 *     +----acquire----> held --the last process releases it--> free
 *
 * The configuration keeps a slot: it stays until the memory is given up, so
 * that its name finds it again after a reload.  Processes hold a slot for as
 * long as they need it.  A process that was killed holds nothing any more.
 *
 * One process at a time may call the functions below that change the table: the
 * caller has a lock.  The data of a slot is its user's, and needs no lock here.
 */

/* processes hold at most one slot in so many, and leave the others to "keep" */
#define NGX_TROVE_SLOTS_HELD  4


/* what each slot begins with; its data follows */
typedef struct {
    uint64_t                  name[2];       /* its hash; 0 0: never used */
    uint64_t                  kept;
} ngx_trove_slot_t;


typedef struct ngx_trove_slots_s  ngx_trove_slots_t;


/* The bytes that n slots of a size, header included, need. */
size_t ngx_trove_slots_size(ngx_uint_t n, size_t size);

/*
 * Makes an empty table at addr, which is aligned to 64 bytes and of the size
 * above.  The memory need not be zeroed.  A slot is aligned as its size is.
 */
ngx_trove_slots_t *ngx_trove_slots_create(void *addr, ngx_uint_t n,
    size_t size);

/*
 * Finds the slot of a name, or adds it, and keeps it.  The data of a new one is
 * zeroed.
 *
 * NULL  it is not there, and there is no room
 */
ngx_trove_slot_t *ngx_trove_slots_keep(ngx_trove_slots_t *slots,
    ngx_str_t *name);

/*
 * Finds the slot of a name, or adds it, and holds it once more for a process.
 * A slot that is kept need not be released, but may be.
 *
 * NULL  it is not there, and processes hold as many as they may; or there are
 *       too many processes
 */
ngx_trove_slot_t *ngx_trove_slots_acquire(ngx_trove_slots_t *slots,
    ngx_str_t *name, ngx_pid_t pid);

/*
 * Gives back what was acquired.  After the last time nobody may use the slot:
 * another name gets it, and its data is zeroed.
 */
void ngx_trove_slots_release(ngx_trove_slots_t *slots, ngx_trove_slot_t *slot,
    ngx_pid_t pid);

/*
 * A process holds nothing any more; to be called when one begins, because its
 * process id may be that of one that was killed, and when it ends.  Needs no
 * lock.
 */
void ngx_trove_slots_forget(ngx_trove_slots_t *slots, ngx_pid_t pid);

/* The number of a slot in its table, from 0: it stays the same. */
ngx_uint_t ngx_trove_slots_index(ngx_trove_slots_t *slots,
    ngx_trove_slot_t *slot);

/*
 * For a copy of a table.  get: slot number i; NULL if it is free.  copy: finds
 * the slot that has the name of one of another table, or adds it; NULL if there
 * is no room.  A slot that is not kept is not held by a process then: its space
 * is used for another one if no process acquires it in time.
 */
ngx_trove_slot_t *ngx_trove_slots_get(ngx_trove_slots_t *slots, ngx_uint_t i);
ngx_trove_slot_t *ngx_trove_slots_copy(ngx_trove_slots_t *slots,
    ngx_trove_slot_t *slot);

/* How many slots there are, in use or not. */
ngx_uint_t ngx_trove_slots_count(ngx_trove_slots_t *slots);


#endif /* _NGX_TROVE_SLOTS_H_INCLUDED_ */
