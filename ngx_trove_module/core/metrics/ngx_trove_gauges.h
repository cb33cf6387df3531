
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_GAUGES_H_INCLUDED_
#define _NGX_TROVE_GAUGES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The gauges component: current amounts, in memory shared by processes.  The
 * memory contains no pointers.  Independent of HTTP.
 *
 * Each process has its own copy of all gauges, a slot, which is identified by
 * the process id.  The gauges of a killed process are ignored, and its slot is
 * reused for the next process that needs one.
 */

#define NGX_TROVE_GAUGES_SLOTS  128


typedef struct ngx_trove_gauges_s       ngx_trove_gauges_t;
typedef struct ngx_trove_gauges_slot_s  ngx_trove_gauges_slot_t;


/* Returns the size in bytes of the memory needed for n gauges. */
size_t ngx_trove_gauges_size(ngx_uint_t n);

/*
 * Creates n gauges at addr, which must have the size above and be aligned to
 * 64 bytes.  The memory need not be zeroed, and remains the caller's.  Cannot
 * fail.
 */
ngx_trove_gauges_t *ngx_trove_gauges_create(void *addr, ngx_uint_t n);

/*
 * Finds the slot of a live process, or allocates one with all gauges set to 0.
 *
 * NULL  all slots belong to other live processes
 */
ngx_trove_gauges_slot_t *ngx_trove_gauges_claim(ngx_trove_gauges_t *gauges,
    ngx_pid_t pid);

/* Returns 1 if the slot belongs to the process pid, 0 otherwise. */
ngx_uint_t ngx_trove_gauges_owned(ngx_trove_gauges_slot_t *slot,
    ngx_pid_t pid);

/* Frees the slot of a process, if it has one. */
void ngx_trove_gauges_release(ngx_trove_gauges_t *gauges, ngx_pid_t pid);

/*
 * Increment or decrement a gauge of a slot.  A gauge never becomes less than
 * 0.  Must be called only by the process that owns the slot.
 */
void ngx_trove_gauges_up(ngx_trove_gauges_slot_t *slot, ngx_uint_t gauge);
void ngx_trove_gauges_down(ngx_trove_gauges_slot_t *slot, ngx_uint_t gauge);

/* Sets sums[0 .. n - 1] to the sums of the n gauges over the live processes. */
void ngx_trove_gauges_sum(ngx_trove_gauges_t *gauges, uint64_t *sums);

/*
 * Returns the sum of one gauge.  Only processes for which it is not 0 are
 * checked for being alive.
 */
uint64_t ngx_trove_gauges_one(ngx_trove_gauges_t *gauges, ngx_uint_t gauge);

/* Returns the number of gauges. */
ngx_uint_t ngx_trove_gauges_count(ngx_trove_gauges_t *gauges);


#endif /* _NGX_TROVE_GAUGES_H_INCLUDED_ */
