
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_zone_layout.h"


void
ngx_trove_zone_stat(ngx_trove_zone_t *zone, ngx_trove_zone_now_t *now,
    ngx_trove_zone_stat_t *stat)
{
    ngx_uint_t                b, n, s;
    ngx_trove_zone_head_t    *head;
    ngx_trove_zone_group_t   *group;
    ngx_trove_zone_bucket_t  *bucket;

    ngx_memzero(stat, sizeof(ngx_trove_zone_stat_t));

    stat->slots = (uint64_t) zone->groups * NGX_TROVE_ZONE_GROUP_SLOTS;

    for (n = 0; n < zone->groups; n++) {
        group = ngx_trove_zone_group(zone, n);
        head = &group->u.head;

        stat->evicted += ngx_trove_zone_load(&head->evicted);
        stat->takeovers += ngx_trove_zone_load(&head->takeovers);
        stat->full += ngx_trove_zone_load(&head->full);
        stat->recovered += ngx_trove_zone_load(&head->recovered);
        stat->damaged += ngx_trove_zone_load(&head->damaged);
        stat->dropped += ngx_trove_zone_load(&head->dropped);

        for (b = 0; b < NGX_TROVE_ZONE_BUCKETS; b++) {
            bucket = &group->bucket[b];

            for (s = 0; s < NGX_TROVE_ZONE_SLOTS; s++) {

                switch (ngx_trove_zone_slot_state(bucket, s, now)) {

                case NGX_TROVE_ZONE_CLAIMED:
                    stat->inflight++;
                    break;

                case NGX_TROVE_ZONE_COMPLETED:
                    stat->done++;
                    break;

                case NGX_TROVE_ZONE_ACKED:
                    stat->acked++;
                    break;
                }
            }
        }
    }
}
