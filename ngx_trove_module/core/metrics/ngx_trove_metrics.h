
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_METRICS_H_INCLUDED_
#define _NGX_TROVE_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The metrics room: counters in memory shared by processes, in sets that are
 * found by a name, without a pointer in it.  Knows nothing of HTTP.
 *
 * A set has its counters once for each of NGX_TROVE_METRICS_WORKERS workers,
 * in cache lines of their own, so that workers do not wait for each other.
 * Additions are atomic all the same: there may be more workers, and during a
 * reload an old and a new one have the same number.
 */

#define NGX_TROVE_METRICS_WORKERS   16
#define NGX_TROVE_METRICS_COUNTERS  24     /* of a set: three cache lines */


typedef struct ngx_trove_metrics_s      ngx_trove_metrics_t;
typedef struct ngx_trove_metrics_set_s  ngx_trove_metrics_set_t;


/* The bytes that n sets need. */
size_t ngx_trove_metrics_size(ngx_uint_t n);

/*
 * Makes an empty table of n sets at addr, of the size above, aligned to 64
 * bytes.
 */
ngx_trove_metrics_t *ngx_trove_metrics_create(void *addr, ngx_uint_t n);

/*
 * Finds the set of a name, or adds it, for as long as the table lives.  This
 * and the functions below are for one process at a time; others may use the
 * sets meanwhile.
 *
 * NULL  it is not there, and there is no room
 */
ngx_trove_metrics_set_t *ngx_trove_metrics_set(ngx_trove_metrics_t *metrics,
    ngx_str_t *name);

/*
 * The same for as long as a process needs it: each time that it is acquired, it
 * has to be released.  Its memory is used for another name after that.  The
 * number of such sets is limited, see ngx_trove_slots.h.
 *
 * A process holds nothing any more after "forget".
 */
ngx_trove_metrics_set_t *ngx_trove_metrics_acquire(
    ngx_trove_metrics_t *metrics, ngx_str_t *name, ngx_pid_t pid);
void ngx_trove_metrics_release(ngx_trove_metrics_t *metrics,
    ngx_trove_metrics_set_t *set, ngx_pid_t pid);
void ngx_trove_metrics_forget(ngx_trove_metrics_t *metrics, ngx_pid_t pid);

/* The number of a set in its table, from 0: it stays the same. */
ngx_uint_t ngx_trove_metrics_index(ngx_trove_metrics_t *metrics,
    ngx_trove_metrics_set_t *set);

/* Adds to to, which is new, what the sets in from have counted. */
void ngx_trove_metrics_copy(ngx_trove_metrics_t *to,
    ngx_trove_metrics_t *from);

/* Adds n to a counter of a set. */
void ngx_trove_metrics_add(ngx_trove_metrics_set_t *set, ngx_uint_t worker,
    ngx_uint_t counter, uint64_t n);

/* The sum of a counter over the workers. */
uint64_t ngx_trove_metrics_sum(ngx_trove_metrics_set_t *set,
    ngx_uint_t counter);


#endif /* _NGX_TROVE_METRICS_H_INCLUDED_ */
