
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_arena.h"


/* precedes each block: realloc() must know how much to copy */
typedef union {
    size_t    size;
    uint64_t  align;
} ngx_trove_arena_block_t;


static void *ngx_trove_arena_malloc(void *ctx, size_t size);
static void *ngx_trove_arena_realloc(void *ctx, void *p, size_t size);
static void ngx_trove_arena_free(void *ctx, void *p);
static ngx_uint_t ngx_trove_arena_owns(ngx_trove_arena_t *arena, void *p);


void
ngx_trove_arena_funcs(ngx_trove_arena_t *arena, yajl_alloc_funcs *funcs)
{
    funcs->malloc = ngx_trove_arena_malloc;
    funcs->realloc = ngx_trove_arena_realloc;
    funcs->free = ngx_trove_arena_free;
    funcs->ctx = arena;
}


static void *
ngx_trove_arena_malloc(void *ctx, size_t size)
{
    ngx_trove_arena_t *arena = ctx;

    void                     *p;
    size_t                    full;
    ngx_trove_arena_block_t  *block;

    /* at least one byte: an empty block must have an address in the arena */

    full = sizeof(ngx_trove_arena_block_t)
           + ngx_align(ngx_max(size, 1), sizeof(ngx_trove_arena_block_t));

    if (size <= sizeof(arena->memory)
        && full <= sizeof(arena->memory) - arena->used)
    {
        p = (u_char *) arena->memory + arena->used;
        arena->used += full;

        block = p;
        block->size = size;

        return block + 1;
    }

    p = malloc(size);

    if (p == NULL) {
        siglongjmp(arena->jump, 1);
    }

    return p;
}


static void *
ngx_trove_arena_realloc(void *ctx, void *p, size_t size)
{
    ngx_trove_arena_t *arena = ctx;

    void    *new;
    size_t   old;

    if (p == NULL) {
        return ngx_trove_arena_malloc(arena, size);
    }

    if (ngx_trove_arena_owns(arena, p)) {
        old = ((ngx_trove_arena_block_t *) p - 1)->size;

        new = ngx_trove_arena_malloc(arena, size);
        ngx_memcpy(new, p, ngx_min(old, size));

        return new;
    }

    new = realloc(p, size);

    if (new == NULL) {
        siglongjmp(arena->jump, 1);
    }

    return new;
}


static void
ngx_trove_arena_free(void *ctx, void *p)
{
    /* blocks in the arena are freed together with it */

    if (!ngx_trove_arena_owns(ctx, p)) {
        free(p);
    }
}


static ngx_uint_t
ngx_trove_arena_owns(ngx_trove_arena_t *arena, void *p)
{
    return (u_char *) p >= (u_char *) arena->memory
           && (u_char *) p < (u_char *) arena->memory + sizeof(arena->memory);
}
