
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_trove_shm.h"


ngx_shm_zone_t *
ngx_http_trove_shm_find(ngx_cycle_t *cycle, ngx_str_t *name, void *tag)
{
    ngx_uint_t        i;
    ngx_shm_zone_t   *shm_zone;
    ngx_list_part_t  *part;

    part = &cycle->shared_memory.part;
    shm_zone = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return NULL;
            }

            part = part->next;
            shm_zone = part->elts;
            i = 0;
        }

        if (shm_zone[i].tag == tag
            && shm_zone[i].data
            && shm_zone[i].shm.addr
            && shm_zone[i].shm.name.len == name->len
            && ngx_strncmp(shm_zone[i].shm.name.data, name->data, name->len)
               == 0)
        {
            return &shm_zone[i];
        }
    }
}


ngx_shm_zone_t *
ngx_http_trove_shm_old(ngx_shm_zone_t *shm_zone)
{
    ngx_shm_zone_t  *old;

    /* while a new cycle is made, ngx_cycle is the old one */

    old = ngx_http_trove_shm_find((ngx_cycle_t *) ngx_cycle,
                                  &shm_zone->shm.name, shm_zone->tag);

    return (old == shm_zone) ? NULL : old;
}
