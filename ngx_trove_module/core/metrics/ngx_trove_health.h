
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_HEALTH_H_INCLUDED_
#define _NGX_TROVE_HEALTH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_slots.h"


/*
 * The health room: whether something works, in memory shared by processes, so
 * that one of them says when that changes, and not each of them, each time.
 * There is no pointer in it.  Knows nothing of HTTP.
 *
 * All times are milliseconds of one clock, which all processes have.
 */

#define NGX_TROVE_HEALTH_QUIET  60000


typedef struct {
    ngx_trove_slot_t          slot;
    uint64_t                  since;         /* when it failed, 0 = it works */
    uint64_t                  said;          /* when that was, 0 = never */
    uint64_t                  count;         /* failures since */
} ngx_trove_health_t;


/* The bytes that a table of n entries needs. */
size_t ngx_trove_health_size(ngx_uint_t n);

/*
 * Makes an empty table of n entries at addr, of the size above, aligned to 64
 * bytes.
 */
ngx_trove_slots_t *ngx_trove_health_create(void *addr, ngx_uint_t n);

/*
 * Finds the entry of a name, or adds it: for as long as the table lives, or
 * until it is given back by ngx_trove_slots_release().  To be called by one
 * process at a time; others may use the entries meanwhile.
 *
 * NULL  it is not there, and there is no room
 */
ngx_trove_health_t *ngx_trove_health_find(ngx_trove_slots_t *table,
    ngx_str_t *name);
ngx_trove_health_t *ngx_trove_health_acquire(ngx_trove_slots_t *table,
    ngx_str_t *name, ngx_pid_t pid);

/*
 * It has failed.  Whether that is to be said, as it worked before; but not if
 * it was said less than NGX_TROVE_HEALTH_QUIET ago: what fails now and then is
 * said now and then.
 */
ngx_uint_t ngx_trove_health_failed(ngx_trove_health_t *health, uint64_t now);

/*
 * It works.  Whether that is to be said, as it was said that it failed: then
 * for how long, in milliseconds, and how often.
 */
ngx_uint_t ngx_trove_health_works(ngx_trove_health_t *health, uint64_t now,
    uint64_t *time, uint64_t *failures);

/*
 * Something has happened that is to be said every NGX_TROVE_HEALTH_QUIET at
 * most: how often it has happened since, this one included; or 0 if it is not
 * to be said now.
 */
uint64_t ngx_trove_health_happened(ngx_trove_health_t *health, uint64_t now);


#endif /* _NGX_TROVE_HEALTH_H_INCLUDED_ */
