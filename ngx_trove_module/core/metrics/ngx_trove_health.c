
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_health.h"


static ngx_uint_t ngx_trove_health_due(ngx_trove_health_t *health,
    uint64_t now);


size_t
ngx_trove_health_size(ngx_uint_t n)
{
    return ngx_trove_slots_size(n, sizeof(ngx_trove_health_t));
}


ngx_trove_slots_t *
ngx_trove_health_create(void *addr, ngx_uint_t n)
{
    return ngx_trove_slots_create(addr, n, sizeof(ngx_trove_health_t));
}


ngx_trove_health_t *
ngx_trove_health_find(ngx_trove_slots_t *table, ngx_str_t *name)
{
    return (ngx_trove_health_t *) ngx_trove_slots_keep(table, name);
}


ngx_trove_health_t *
ngx_trove_health_acquire(ngx_trove_slots_t *table, ngx_str_t *name,
    ngx_pid_t pid)
{
    return (ngx_trove_health_t *) ngx_trove_slots_acquire(table, name, pid);
}


ngx_uint_t
ngx_trove_health_failed(ngx_trove_health_t *health, uint64_t now)
{
    if (__atomic_load_n(&health->since, __ATOMIC_RELAXED)) {
        (void) __atomic_fetch_add(&health->count, 1, __ATOMIC_RELAXED);
        return 0;
    }

    if (!ngx_trove_health_due(health, now)) {
        return 0;
    }

    __atomic_store_n(&health->count, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&health->since, now, __ATOMIC_RELEASE);

    return 1;
}


ngx_uint_t
ngx_trove_health_works(ngx_trove_health_t *health, uint64_t now,
    uint64_t *time, uint64_t *failures)
{
    uint64_t  since;

    since = __atomic_load_n(&health->since, __ATOMIC_ACQUIRE);

    /* the usual case */

    if (since == 0) {
        return 0;
    }

    *failures = __atomic_load_n(&health->count, __ATOMIC_RELAXED);
    *time = (now > since) ? now - since : 0;

    return __atomic_compare_exchange_n(&health->since, &since, 0, 0,
                                       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}


uint64_t
ngx_trove_health_happened(ngx_trove_health_t *health, uint64_t now)
{
    (void) __atomic_fetch_add(&health->count, 1, __ATOMIC_RELAXED);

    if (!ngx_trove_health_due(health, now)) {
        return 0;
    }

    return __atomic_exchange_n(&health->count, 0, __ATOMIC_RELAXED);
}


/* only one of the processes that find a report due makes it */

static ngx_uint_t
ngx_trove_health_due(ngx_trove_health_t *health, uint64_t now)
{
    uint64_t  said;

    said = __atomic_load_n(&health->said, __ATOMIC_RELAXED);

    /* clocks of two processes may differ slightly: now may be before said */

    if (said && now < said + NGX_TROVE_HEALTH_QUIET) {
        return 0;
    }

    return __atomic_compare_exchange_n(&health->said, &said, now, 0,
                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}
