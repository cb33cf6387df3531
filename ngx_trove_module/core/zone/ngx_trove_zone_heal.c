
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/rand.h>

#include "ngx_trove_zone_layout.h"


/* constants set when a table is created, and their check */
#define NGX_TROVE_ZONE_FIXED                                                  \
    (offsetof(ngx_trove_zone_t, check) + sizeof(uint64_t))


typedef char ngx_trove_zone_assert_kept[
    sizeof(ngx_trove_zone_kept_t) >= NGX_TROVE_ZONE_FIXED ? 1 : -1];


static ngx_uint_t ngx_trove_zone_zeroes(ngx_trove_zone_t *zone);


void
ngx_trove_zone_keep(ngx_trove_zone_t *zone, ngx_trove_zone_kept_t *kept)
{
    ngx_memzero(kept, sizeof(ngx_trove_zone_kept_t));
    ngx_memcpy(kept->head, zone, NGX_TROVE_ZONE_FIXED);
}


ngx_uint_t
ngx_trove_zone_kept(ngx_trove_zone_t *zone, ngx_trove_zone_kept_t *kept)
{
    return ngx_trove_zone_load(&zone->check)
           == ((ngx_trove_zone_t *) kept->head)->check;
}


ngx_uint_t
ngx_trove_zone_heal(ngx_trove_zone_t *zone, ngx_trove_zone_kept_t *kept)
{
    uint32_t                 claims;
    ngx_uint_t               n, all, lost, moved;
    ngx_trove_zone_t        *head;
    pthread_mutexattr_t      attr;
    ngx_trove_zone_group_t  *group;

    if (ngx_trove_zone_lock_attr(&attr) != NGX_OK) {
        return 0;
    }

    head = (ngx_trove_zone_t *) kept->head;

    lost = 0;
    all = 0;

    if (!ngx_trove_zone_kept(zone, kept)) {
        lost = 1;

        if (!ngx_trove_zone_zeroes(zone)) {
            all = 1;
            ngx_memzero(zone, NGX_TROVE_ZONE_PAGE);
        }
    }

    moved = (zone->where != 0 && zone->migrated == 1);

    for (n = 0; n < head->groups; n++) {
        group = ngx_trove_zone_group(zone, n);

        if (all) {
            ngx_memzero(group, NGX_TROVE_ZONE_PAGE);
        }

        if (ngx_trove_zone_lock_there(&group->u.head.mutex)) {
            continue;
        }

        lost++;

        /* owners from before must not be reused */

        if (RAND_bytes((u_char *) &claims, sizeof(uint32_t)) != 1) {
            claims = (uint32_t) ngx_random();
        }

        group->u.head.claims = claims;
        group->u.head.moved = moved;

        (void) ngx_trove_zone_lock_make(&group->u.head.mutex, &attr);
    }

    if (!ngx_trove_zone_lock_there(&zone->migrate)) {
        (void) ngx_trove_zone_lock_make(&zone->migrate, &attr);
    }

    (void) pthread_mutexattr_destroy(&attr);

    /* the check is written last: until then the table counts as lost */

    ngx_memcpy(zone, head, offsetof(ngx_trove_zone_t, check));
    ngx_trove_zone_store(&zone->check, head->check);

    return lost;
}


static ngx_uint_t
ngx_trove_zone_zeroes(ngx_trove_zone_t *zone)
{
    uint64_t    *p;
    ngx_uint_t   i;

    p = (uint64_t *) zone;

    for (i = 0; i < NGX_TROVE_ZONE_PAGE / sizeof(uint64_t); i++) {
        if (p[i] != 0) {
            return 0;
        }
    }

    return 1;
}
