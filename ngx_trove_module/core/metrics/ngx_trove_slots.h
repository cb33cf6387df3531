
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_SLOTS_H_INCLUDED_
#define _NGX_TROVE_SLOTS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Slots of equal size, found by name, in memory shared by processes.  Counters
 * and health states are kept in them.  The memory contains no pointers.
 * Independent of HTTP.
 *
 *   free --keep------> kept
 *     |                  ^
 *     |                  | keep
 *     +----acquire----> held --the last process releases it--> free
 *
 * A slot is kept for the configuration: it exists as long as the memory does,
 * so that it is found again by its name after a reload.  A slot is held by
 * processes for as long as they need it.  A killed process holds nothing.
 *
 * Functions that change the table must be called by one process at a time: the
 * caller holds a lock.  The data of a slot belongs to its user and needs no
 * lock here.
 */

/* processes hold at most one slot in so many; keep can use the others */
#define NGX_TROVE_SLOTS_HELD  4


/* header of a slot, followed by its data */
typedef struct {
    uint64_t                  name[2];       /* hash, 0 0: never used */
    uint64_t                  kept;
} ngx_trove_slot_t;


typedef struct ngx_trove_slots_s  ngx_trove_slots_t;


/*
 * Returns the size in bytes of the memory needed for n slots of size bytes,
 * including the header of the slot.
 */
size_t ngx_trove_slots_size(ngx_uint_t n, size_t size);

/*
 * Creates an empty table at addr, which must have the size above and be
 * aligned to 64 bytes.  The memory need not be zeroed, and remains the
 * caller's.  The alignment of a slot is that of its size.  Cannot fail.
 */
ngx_trove_slots_t *ngx_trove_slots_create(void *addr, ngx_uint_t n,
    size_t size);

/*
 * Finds the slot of a name, or adds it, and keeps it.  The data of a new slot
 * is zeroed.
 *
 * NULL  there is no such slot, and the table is full
 */
ngx_trove_slot_t *ngx_trove_slots_keep(ngx_trove_slots_t *slots,
    ngx_str_t *name);

/*
 * Finds the slot of a name, or adds it, and increments the number of times the
 * process pid holds it.  A kept slot need not be released, but may be.
 *
 * NULL  there is no such slot, and processes hold as many as allowed; or there
 *       are too many processes
 */
ngx_trove_slot_t *ngx_trove_slots_acquire(ngx_trove_slots_t *slots,
    ngx_str_t *name, ngx_pid_t pid);

/*
 * Releases a slot once.  After the last release the slot must not be used: it
 * is zeroed and given to another name.
 */
void ngx_trove_slots_release(ngx_trove_slots_t *slots, ngx_trove_slot_t *slot,
    ngx_pid_t pid);

/*
 * Releases all slots held by a process.  Must be called when a process starts,
 * because its id may be that of a killed process, and when it exits.  Needs no
 * lock.
 */
void ngx_trove_slots_forget(ngx_trove_slots_t *slots, ngx_pid_t pid);

/* Returns the index of a slot in its table.  It never changes. */
ngx_uint_t ngx_trove_slots_index(ngx_trove_slots_t *slots,
    ngx_trove_slot_t *slot);

/*
 * Used to copy a table.  ngx_trove_slots_get() returns the slot with index i,
 * or NULL if it is free.  ngx_trove_slots_copy() finds or adds the slot with
 * the same name as a slot of another table, or returns NULL if the table is
 * full.  A copied slot that is not kept is not held by any process: it is
 * reused unless a process acquires it in time.
 */
ngx_trove_slot_t *ngx_trove_slots_get(ngx_trove_slots_t *slots, ngx_uint_t i);
ngx_trove_slot_t *ngx_trove_slots_copy(ngx_trove_slots_t *slots,
    ngx_trove_slot_t *slot);

/* Returns the number of slots, free ones included. */
ngx_uint_t ngx_trove_slots_count(ngx_trove_slots_t *slots);


#endif /* _NGX_TROVE_SLOTS_H_INCLUDED_ */
