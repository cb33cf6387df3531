
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_ARENA_H_INCLUDED_
#define _NGX_TROVE_ARENA_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <yajl/yajl_common.h>


/*
 * Memory for yajl: a block embedded in its owner, and malloc() when the block
 * is full.
 *
 * yajl does not check the result of an allocation.  So the allocation
 * functions do not return when memory is exhausted, but jump.  The caller of
 * yajl must set arena->jump with sigsetjmp() first.  yajl_free() can be called
 * after a jump.
 */

/* enough for yajl and an ordinary event, so that malloc() is not called */
#define NGX_TROVE_ARENA_SIZE  4096


typedef struct {
    sigjmp_buf   jump;
    size_t       used;
    uint64_t     memory[NGX_TROVE_ARENA_SIZE / sizeof(uint64_t)];
} ngx_trove_arena_t;


/* Initializes an arena.  Its memory need not be zeroed. */
#define ngx_trove_arena_init(arena)  (arena)->used = 0

/*
 * Fills in the allocation functions for yajl, which copies the structure.
 * Blocks that yajl has not freed go away with the arena, except those from
 * malloc().
 */
void ngx_trove_arena_funcs(ngx_trove_arena_t *arena, yajl_alloc_funcs *funcs);


#endif /* _NGX_TROVE_ARENA_H_INCLUDED_ */
