
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_spool_engine.h"


#define NGX_TROVE_SPOOL_BLOCK_SIZE  16384


/* an event referenced by several deliveries */
typedef struct {
    ngx_uint_t                       refs;
    ngx_trove_spool_event_t          event;
} ngx_trove_spool_shared_event_t;


typedef struct ngx_trove_spool_block_s  ngx_trove_spool_block_t;

struct ngx_trove_spool_block_s {
    ngx_trove_spool_block_t         *next;
    u_char                          *last;
    u_char                          *end;
    uint64_t                         align;
};


ngx_trove_spool_event_t *
ngx_trove_spool_event_alloc(size_t size)
{
    ngx_trove_spool_shared_event_t  *shared;

    shared = malloc(sizeof(ngx_trove_spool_shared_event_t) + size);
    if (shared == NULL) {
        return NULL;
    }

    shared->refs = 1;

    return &shared->event;
}


#define ngx_trove_spool_event_shared(event)                                   \
    ((ngx_trove_spool_shared_event_t *)                                       \
         ((u_char *) (event)                                                  \
          - offsetof(ngx_trove_spool_shared_event_t, event)))


void
ngx_trove_spool_event_ref(ngx_trove_spool_event_t *event)
{
    ngx_trove_spool_event_shared(event)->refs++;
}


void
ngx_trove_spool_event_free(ngx_trove_spool_event_t *event)
{
    ngx_trove_spool_shared_event_t  *shared;

    shared = ngx_trove_spool_event_shared(event);

    if (--shared->refs == 0) {
        free(shared);
    }
}


/*
 * The first block of a result starts with the result itself and heads a list
 * of the other blocks.
 */

void *
ngx_trove_spool_result(size_t size)
{
    ngx_trove_spool_block_t  *block;

    size = ngx_align(size, sizeof(uint64_t));

    block = calloc(1, sizeof(ngx_trove_spool_block_t) + size);
    if (block == NULL) {
        return NULL;
    }

    block->last = (u_char *) (block + 1) + size;
    block->end = block->last;

    return block + 1;
}


void *
ngx_trove_spool_alloc(void *result, size_t size)
{
    void                     *p;
    size_t                    n;
    ngx_trove_spool_block_t  *first, *block;

    first = (ngx_trove_spool_block_t *) result - 1;
    block = first->next;

    size = ngx_align(size, sizeof(uint64_t));

    if (block == NULL || (size_t) (block->end - block->last) < size) {

        n = ngx_max(size, NGX_TROVE_SPOOL_BLOCK_SIZE);

        block = calloc(1, sizeof(ngx_trove_spool_block_t) + n);
        if (block == NULL) {
            return NULL;
        }

        block->last = (u_char *) (block + 1);
        block->end = block->last + n;

        block->next = first->next;
        first->next = block;
    }

    p = block->last;
    block->last += size;

    return p;
}


void
ngx_trove_spool_free(void *result)
{
    ngx_trove_spool_block_t  *block, *next;

    if (result == NULL) {
        return;
    }

    for (block = (ngx_trove_spool_block_t *) result - 1; block; block = next) {
        next = block->next;
        free(block);
    }
}
