
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_metrics.h"
#include "ngx_trove_siphash.h"


typedef struct {
    uint64_t                  counters[NGX_TROVE_METRICS_COUNTERS];
} ngx_trove_metrics_worker_t;


struct ngx_trove_metrics_set_s {
    uint64_t                    name[2];       /* its hash, 0 0 = free */
    u_char                      pad[64 - 2 * sizeof(uint64_t)];

    ngx_trove_metrics_worker_t  workers[NGX_TROVE_METRICS_WORKERS];
};


struct ngx_trove_metrics_s {
    uint64_t                  n;
    u_char                    pad[64 - sizeof(uint64_t)];

    ngx_trove_metrics_set_t   sets[1];
};


static ngx_trove_metrics_set_t *ngx_trove_metrics_find(
    ngx_trove_metrics_t *metrics, uint64_t name[2]);


size_t
ngx_trove_metrics_size(ngx_uint_t n)
{
    return offsetof(ngx_trove_metrics_t, sets)
           + n * sizeof(ngx_trove_metrics_set_t);
}


ngx_trove_metrics_t *
ngx_trove_metrics_create(void *addr, ngx_uint_t n)
{
    ngx_trove_metrics_t  *metrics;

    ngx_memzero(addr, ngx_trove_metrics_size(n));

    metrics = addr;
    metrics->n = n;

    return metrics;
}


ngx_trove_metrics_set_t *
ngx_trove_metrics_set(ngx_trove_metrics_t *metrics, ngx_str_t *name)
{
    uint64_t  hash[2];

    /* names are the configuration's: no secret is needed */

    static u_char  key[NGX_TROVE_SIPHASH_KEY_LEN];

    ngx_trove_siphash(key, name->data, name->len, hash);

    return ngx_trove_metrics_find(metrics, hash);
}


static ngx_trove_metrics_set_t *
ngx_trove_metrics_find(ngx_trove_metrics_t *metrics, uint64_t name[2])
{
    ngx_uint_t                i;
    ngx_trove_metrics_set_t  *set;

    /* from where the hash says to the next that is free: there may be many */

    for (i = 0; i < metrics->n; i++) {
        set = &metrics->sets[(name[0] + i) % metrics->n];

        if (set->name[0] == name[0] && set->name[1] == name[1]) {
            return set;
        }

        if (set->name[0] == 0 && set->name[1] == 0) {
            set->name[0] = name[0];
            set->name[1] = name[1];
            return set;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_trove_metrics_index(ngx_trove_metrics_t *metrics,
    ngx_trove_metrics_set_t *set)
{
    return set - metrics->sets;
}


void
ngx_trove_metrics_copy(ngx_trove_metrics_t *to, ngx_trove_metrics_t *from)
{
    uint64_t                  n;
    ngx_uint_t                i, c;
    ngx_trove_metrics_set_t  *set, *old;

    for (i = 0; i < from->n; i++) {
        old = &from->sets[i];

        if (old->name[0] == 0 && old->name[1] == 0) {
            continue;
        }

        set = ngx_trove_metrics_find(to, old->name);

        if (set == NULL) {

            /* full, but those that are there already get theirs */

            continue;
        }

        for (c = 0; c < NGX_TROVE_METRICS_COUNTERS; c++) {
            n = ngx_trove_metrics_sum(old, c);
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
