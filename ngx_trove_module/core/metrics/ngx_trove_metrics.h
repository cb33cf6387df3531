
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_METRICS_H_INCLUDED_
#define _NGX_TROVE_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The metrics component: counters in memory shared by processes, in sets that
 * are found by name.  The memory contains no pointers.  Independent of HTTP.
 *
 * A set has a copy of its counters for each of NGX_TROVE_METRICS_WORKERS
 * workers, in separate cache lines, so that workers do not contend.  Additions
 * are atomic nevertheless: there may be more workers than that, and during a
 * reload an old and a new worker have the same number.
 */

#define NGX_TROVE_METRICS_WORKERS   16
#define NGX_TROVE_METRICS_COUNTERS  24     /* of a set: three cache lines */


typedef struct ngx_trove_metrics_s      ngx_trove_metrics_t;
typedef struct ngx_trove_metrics_set_s  ngx_trove_metrics_set_t;


/* Returns the size in bytes of the memory needed for n sets. */
size_t ngx_trove_metrics_size(ngx_uint_t n);

/*
 * Creates an empty table of n sets at addr, which must have the size above and
 * be aligned to 64 bytes.  The memory remains the caller's.  Cannot fail.
 */
ngx_trove_metrics_t *ngx_trove_metrics_create(void *addr, ngx_uint_t n);

/*
 * Finds the set of a name, or adds it, for the lifetime of the table.  The
 * caller must hold a lock: only one process at a time may call this function
 * and those below, up to ngx_trove_metrics_copy().  Other processes may use
 * the sets meanwhile.
 *
 * NULL  there is no such set, and the table is full
 */
ngx_trove_metrics_set_t *ngx_trove_metrics_set(ngx_trove_metrics_t *metrics,
    ngx_str_t *name);

/*
 * Acquire and release a set for the process pid.  Each acquire must be matched
 * by a release.  After the last release the memory is reused for another name.
 * The number of such sets is limited, see ngx_trove_slots.h.
 * ngx_trove_metrics_forget() releases all sets of a process.
 *
 * NULL  as above, or the limit has been reached
 */
ngx_trove_metrics_set_t *ngx_trove_metrics_acquire(
    ngx_trove_metrics_t *metrics, ngx_str_t *name, ngx_pid_t pid);
void ngx_trove_metrics_release(ngx_trove_metrics_t *metrics,
    ngx_trove_metrics_set_t *set, ngx_pid_t pid);
void ngx_trove_metrics_forget(ngx_trove_metrics_t *metrics, ngx_pid_t pid);

/* Returns the index of a set in its table.  It never changes. */
ngx_uint_t ngx_trove_metrics_index(ngx_trove_metrics_t *metrics,
    ngx_trove_metrics_set_t *set);

/* Adds the counters of all sets of from to the new table to. */
void ngx_trove_metrics_copy(ngx_trove_metrics_t *to,
    ngx_trove_metrics_t *from);

/*
 * Adds n to a counter of a set.  worker is any number, taken modulo the number
 * of workers.  Needs no lock.
 */
void ngx_trove_metrics_add(ngx_trove_metrics_set_t *set, ngx_uint_t worker,
    ngx_uint_t counter, uint64_t n);

/* Returns the sum of a counter over the workers.  Needs no lock. */
uint64_t ngx_trove_metrics_sum(ngx_trove_metrics_set_t *set,
    ngx_uint_t counter);


#endif /* _NGX_TROVE_METRICS_H_INCLUDED_ */
