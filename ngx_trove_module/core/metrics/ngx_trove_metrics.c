
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_metrics.h"
#include "ngx_trove_slots.h"


typedef struct {
    uint64_t                  counters[NGX_TROVE_METRICS_COUNTERS];
} ngx_trove_metrics_worker_t;


struct ngx_trove_metrics_set_s {
    ngx_trove_slot_t            slot;
    u_char                      pad[64 - sizeof(ngx_trove_slot_t)];

    ngx_trove_metrics_worker_t  workers[NGX_TROVE_METRICS_WORKERS];
};


static ngx_trove_slots_t *ngx_trove_metrics_slots(
    ngx_trove_metrics_t *metrics);


/* the table is one of slots, with a distinct type for type checking */

static ngx_trove_slots_t *
ngx_trove_metrics_slots(ngx_trove_metrics_t *metrics)
{
    return (ngx_trove_slots_t *) metrics;
}


size_t
ngx_trove_metrics_size(ngx_uint_t n)
{
    return ngx_trove_slots_size(n, sizeof(ngx_trove_metrics_set_t));
}


ngx_trove_metrics_t *
ngx_trove_metrics_create(void *addr, ngx_uint_t n)
{
    return (ngx_trove_metrics_t *)
               ngx_trove_slots_create(addr, n,
                                      sizeof(ngx_trove_metrics_set_t));
}


ngx_trove_metrics_set_t *
ngx_trove_metrics_set(ngx_trove_metrics_t *metrics, ngx_str_t *name)
{
    return (ngx_trove_metrics_set_t *)
               ngx_trove_slots_keep(ngx_trove_metrics_slots(metrics), name);
}


ngx_trove_metrics_set_t *
ngx_trove_metrics_acquire(ngx_trove_metrics_t *metrics, ngx_str_t *name,
    ngx_pid_t pid)
{
    return (ngx_trove_metrics_set_t *)
               ngx_trove_slots_acquire(ngx_trove_metrics_slots(metrics), name,
                                       pid);
}


void
ngx_trove_metrics_release(ngx_trove_metrics_t *metrics,
    ngx_trove_metrics_set_t *set, ngx_pid_t pid)
{
    ngx_trove_slots_release(ngx_trove_metrics_slots(metrics), &set->slot, pid);
}


void
ngx_trove_metrics_forget(ngx_trove_metrics_t *metrics, ngx_pid_t pid)
{
    ngx_trove_slots_forget(ngx_trove_metrics_slots(metrics), pid);
}


ngx_uint_t
ngx_trove_metrics_index(ngx_trove_metrics_t *metrics,
    ngx_trove_metrics_set_t *set)
{
    return ngx_trove_slots_index(ngx_trove_metrics_slots(metrics), &set->slot);
}


void
ngx_trove_metrics_copy(ngx_trove_metrics_t *to, ngx_trove_metrics_t *from)
{
    uint64_t                  n;
    ngx_uint_t                i, c;
    ngx_trove_slot_t         *old, *slot;
    ngx_trove_slots_t        *slots;
    ngx_trove_metrics_set_t  *set;

    slots = ngx_trove_metrics_slots(from);

    for (i = 0; i < ngx_trove_slots_count(slots); i++) {

        old = ngx_trove_slots_get(slots, i);
        if (old == NULL) {
            continue;
        }

        slot = ngx_trove_slots_copy(ngx_trove_metrics_slots(to), old);

        if (slot == NULL) {

            /* the table is full, but existing sets are still copied */

            continue;
        }

        set = (ngx_trove_metrics_set_t *) slot;

        for (c = 0; c < NGX_TROVE_METRICS_COUNTERS; c++) {
            n = ngx_trove_metrics_sum((ngx_trove_metrics_set_t *) old, c);
            ngx_trove_metrics_add(set, 0, c, n);
        }
    }
}


void
ngx_trove_metrics_add(ngx_trove_metrics_set_t *set, ngx_uint_t worker,
    ngx_uint_t counter, uint64_t n)
{
    (void) __atomic_fetch_add(
               &set->workers[worker % NGX_TROVE_METRICS_WORKERS]
                   .counters[counter],
               n, __ATOMIC_RELAXED);
}


uint64_t
ngx_trove_metrics_sum(ngx_trove_metrics_set_t *set, ngx_uint_t counter)
{
    uint64_t    sum;
    ngx_uint_t  i;

    sum = 0;

    for (i = 0; i < NGX_TROVE_METRICS_WORKERS; i++) {
        sum += __atomic_load_n(&set->workers[i].counters[counter],
                               __ATOMIC_RELAXED);
    }

    return sum;
}
