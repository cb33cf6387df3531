
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_HEALTH_H_INCLUDED_
#define _NGX_TROVE_HEALTH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_slots.h"


/*
 * The health component: tracks whether a service works, in memory shared by
 * processes, so that a change is logged once and not by each process each
 * time.  The memory contains no pointers.  Independent of HTTP.
 *
 * All times are milliseconds of one clock that is common to all processes.
 */

#define NGX_TROVE_HEALTH_QUIET  60000


typedef struct {
    ngx_trove_slot_t          slot;
    uint64_t                  since;         /* when it failed, 0: it works */
    uint64_t                  said;          /* when it was reported, or 0 */
    uint64_t                  count;         /* failures since */
} ngx_trove_health_t;


/* Returns the size in bytes of the memory needed for n entries. */
size_t ngx_trove_health_size(ngx_uint_t n);

/*
 * Creates an empty table of n entries at addr, which must have the size above
 * and be aligned to 64 bytes.  The memory remains the caller's.  Cannot fail.
 */
ngx_trove_slots_t *ngx_trove_health_create(void *addr, ngx_uint_t n);

/*
 * Find the entry of a name, or add it.  An entry that was found exists as long
 * as the table, one that was acquired until it is released with
 * ngx_trove_slots_release().  The caller must hold a lock: only one process at
 * a time may call these functions.  Other processes may use the entries
 * meanwhile.
 *
 * NULL  there is no such entry, and the table is full
 */
ngx_trove_health_t *ngx_trove_health_find(ngx_trove_slots_t *table,
    ngx_str_t *name);
ngx_trove_health_t *ngx_trove_health_acquire(ngx_trove_slots_t *table,
    ngx_str_t *name, ngx_pid_t pid);

/*
 * Records a failure.  Returns 1 if it should be logged: the service worked
 * before, and the last report is at least NGX_TROVE_HEALTH_QUIET milliseconds
 * old.  So intermittent failures are logged only now and then.
 */
ngx_uint_t ngx_trove_health_failed(ngx_trove_health_t *health, uint64_t now);

/*
 * Records a success.  Returns 1 if the recovery should be logged, because the
 * failure was. *time is then set to the duration of the failure in
 * milliseconds, *failures to the number of failures.
 */
ngx_uint_t ngx_trove_health_works(ngx_trove_health_t *health, uint64_t now,
    uint64_t *time, uint64_t *failures);

/*
 * Records an occurrence to be logged at most once per NGX_TROVE_HEALTH_QUIET
 * milliseconds.  Returns the number of occurrences since the last report,
 * including this one, or 0 if it should not be logged now.
 */
uint64_t ngx_trove_health_happened(ngx_trove_health_t *health, uint64_t now);


#endif /* _NGX_TROVE_HEALTH_H_INCLUDED_ */
