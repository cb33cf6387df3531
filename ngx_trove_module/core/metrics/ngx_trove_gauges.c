
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_gauges.h"


/* a cache line must not be shared by two processes */
#define NGX_TROVE_GAUGES_LINE  64


struct ngx_trove_gauges_slot_s {
    uint64_t                 pid;           /* 0: free */
    uint32_t                 values[1];
};


struct ngx_trove_gauges_s {
    uint64_t                 n;
    uint64_t                 size;          /* of a slot */
};


static size_t ngx_trove_gauges_slot_size(ngx_uint_t n);
static ngx_trove_gauges_slot_t *ngx_trove_gauges_slot(
    ngx_trove_gauges_t *gauges, ngx_uint_t i);
static uint64_t ngx_trove_gauges_pid(ngx_trove_gauges_slot_t *slot);
static ngx_uint_t ngx_trove_gauges_alive(uint64_t pid);


static size_t
ngx_trove_gauges_slot_size(ngx_uint_t n)
{
    return ngx_align(offsetof(ngx_trove_gauges_slot_t, values)
                     + n * sizeof(uint32_t), NGX_TROVE_GAUGES_LINE);
}


size_t
ngx_trove_gauges_size(ngx_uint_t n)
{
    return NGX_TROVE_GAUGES_LINE
           + NGX_TROVE_GAUGES_SLOTS * ngx_trove_gauges_slot_size(n);
}


ngx_trove_gauges_t *
ngx_trove_gauges_create(void *addr, ngx_uint_t n)
{
    ngx_uint_t           i;
    ngx_trove_gauges_t  *gauges;

    gauges = addr;
    gauges->n = n;
    gauges->size = ngx_trove_gauges_slot_size(n);

    /* the values of a free slot are ignored */

    for (i = 0; i < NGX_TROVE_GAUGES_SLOTS; i++) {
        ngx_trove_gauges_slot(gauges, i)->pid = 0;
    }

    return gauges;
}


static ngx_trove_gauges_slot_t *
ngx_trove_gauges_slot(ngx_trove_gauges_t *gauges, ngx_uint_t i)
{
    return (ngx_trove_gauges_slot_t *)
               ((u_char *) gauges + NGX_TROVE_GAUGES_LINE + i * gauges->size);
}


ngx_trove_gauges_slot_t *
ngx_trove_gauges_claim(ngx_trove_gauges_t *gauges, ngx_pid_t pid)
{
    uint64_t                  owner;
    ngx_uint_t                i;
    ngx_trove_gauges_slot_t  *slot;

    for (i = 0; i < NGX_TROVE_GAUGES_SLOTS; i++) {
        slot = ngx_trove_gauges_slot(gauges, i);

        if (ngx_trove_gauges_owned(slot, pid)) {
            return slot;
        }
    }

    for (i = 0; i < NGX_TROVE_GAUGES_SLOTS; i++) {
        slot = ngx_trove_gauges_slot(gauges, i);
        owner = ngx_trove_gauges_pid(slot);

        if (owner && ngx_trove_gauges_alive(owner)) {
            continue;
        }

        /* another process may allocate it at the same time */

        if (__atomic_compare_exchange_n(&slot->pid, &owner, (uint64_t) pid, 0,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        {
            ngx_memzero(slot->values, gauges->n * sizeof(uint32_t));
            return slot;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_trove_gauges_owned(ngx_trove_gauges_slot_t *slot, ngx_pid_t pid)
{
    return ngx_trove_gauges_pid(slot) == (uint64_t) pid;
}


static uint64_t
ngx_trove_gauges_pid(ngx_trove_gauges_slot_t *slot)
{
    return __atomic_load_n(&slot->pid, __ATOMIC_RELAXED);
}


/* EPERM counts as alive: the process cannot be told from one of ours */

static ngx_uint_t
ngx_trove_gauges_alive(uint64_t pid)
{
    return kill((ngx_pid_t) pid, 0) == 0 || ngx_errno != NGX_ESRCH;
}


void
ngx_trove_gauges_release(ngx_trove_gauges_t *gauges, ngx_pid_t pid)
{
    ngx_uint_t                i;
    ngx_trove_gauges_slot_t  *slot;

    for (i = 0; i < NGX_TROVE_GAUGES_SLOTS; i++) {
        slot = ngx_trove_gauges_slot(gauges, i);

        if (ngx_trove_gauges_owned(slot, pid)) {
            __atomic_store_n(&slot->pid, 0, __ATOMIC_RELEASE);
        }
    }
}


void
ngx_trove_gauges_up(ngx_trove_gauges_slot_t *slot, ngx_uint_t gauge)
{
    /* only the owner writes */

    __atomic_store_n(&slot->values[gauge], slot->values[gauge] + 1,
                     __ATOMIC_RELAXED);
}


void
ngx_trove_gauges_down(ngx_trove_gauges_slot_t *slot, ngx_uint_t gauge)
{
    /* increments before the slot was claimed are not included */

    if (slot->values[gauge]) {
        __atomic_store_n(&slot->values[gauge], slot->values[gauge] - 1,
                         __ATOMIC_RELAXED);
    }
}


void
ngx_trove_gauges_sum(ngx_trove_gauges_t *gauges, uint64_t *sums)
{
    uint64_t                  pid;
    ngx_uint_t                i, n;
    ngx_trove_gauges_slot_t  *slot;

    ngx_memzero(sums, gauges->n * sizeof(uint64_t));

    for (i = 0; i < NGX_TROVE_GAUGES_SLOTS; i++) {
        slot = ngx_trove_gauges_slot(gauges, i);
        pid = ngx_trove_gauges_pid(slot);

        if (pid == 0 || !ngx_trove_gauges_alive(pid)) {
            continue;
        }

        for (n = 0; n < gauges->n; n++) {
            sums[n] += __atomic_load_n(&slot->values[n], __ATOMIC_RELAXED);
        }
    }
}


uint64_t
ngx_trove_gauges_one(ngx_trove_gauges_t *gauges, ngx_uint_t gauge)
{
    uint64_t                  pid, sum;
    uint32_t                  value;
    ngx_uint_t                i;
    ngx_trove_gauges_slot_t  *slot;

    sum = 0;

    for (i = 0; i < NGX_TROVE_GAUGES_SLOTS; i++) {
        slot = ngx_trove_gauges_slot(gauges, i);
        pid = ngx_trove_gauges_pid(slot);

        if (pid == 0) {
            continue;
        }

        value = __atomic_load_n(&slot->values[gauge], __ATOMIC_RELAXED);

        if (value && ngx_trove_gauges_alive(pid)) {
            sum += value;
        }
    }

    return sum;
}


ngx_uint_t
ngx_trove_gauges_count(ngx_trove_gauges_t *gauges)
{
    return gauges->n;
}
