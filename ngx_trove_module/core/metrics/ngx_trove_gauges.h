
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_GAUGES_H_INCLUDED_
#define _NGX_TROVE_GAUGES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The gauges room: how much there is of something at the moment, in memory
 * shared by processes, without a pointer in it.  Knows nothing of HTTP.
 *
 * Each process has its own copy of all gauges, a slot, under its process id.
 * What a process that was killed had in its slot counts no more from then on,
 * and the slot is given to the next that asks for one.
 */

#define NGX_TROVE_GAUGES_SLOTS  128


typedef struct ngx_trove_gauges_s       ngx_trove_gauges_t;
typedef struct ngx_trove_gauges_slot_s  ngx_trove_gauges_slot_t;


/* The bytes that n gauges need. */
size_t ngx_trove_gauges_size(ngx_uint_t n);

/*
 * Makes n gauges at addr, of the size above, aligned to 64 bytes.  The memory
 * need not be zeroed.
 */
ngx_trove_gauges_t *ngx_trove_gauges_create(void *addr, ngx_uint_t n);

/*
 * Finds the slot of a process that is alive, or takes one for it, all of whose
 * gauges are 0 then.
 *
 * NULL  all slots belong to other processes that are alive
 */
ngx_trove_gauges_slot_t *ngx_trove_gauges_claim(ngx_trove_gauges_t *gauges,
    ngx_pid_t pid);

/* Whether the slot is one of pid. */
ngx_uint_t ngx_trove_gauges_owned(ngx_trove_gauges_slot_t *slot,
    ngx_pid_t pid);

/* Gives back the slot of a process, if it has one. */
void ngx_trove_gauges_release(ngx_trove_gauges_t *gauges, ngx_pid_t pid);

/*
 * One more, or one less, but not less than none, in a slot; to be called by its
 * owner only.
 */
void ngx_trove_gauges_up(ngx_trove_gauges_slot_t *slot, ngx_uint_t gauge);
void ngx_trove_gauges_down(ngx_trove_gauges_slot_t *slot, ngx_uint_t gauge);

/* Sets sums, of all n gauges, to what the processes alive have together. */
void ngx_trove_gauges_sum(ngx_trove_gauges_t *gauges, uint64_t *sums);

/* The same of one gauge: only processes that have some of it are looked at. */
uint64_t ngx_trove_gauges_one(ngx_trove_gauges_t *gauges, ngx_uint_t gauge);

/* How many gauges there are. */
ngx_uint_t ngx_trove_gauges_count(ngx_trove_gauges_t *gauges);


#endif /* _NGX_TROVE_GAUGES_H_INCLUDED_ */
