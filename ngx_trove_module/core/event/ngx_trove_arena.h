
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
 * The memory of yajl: a block that comes with whatever it is a part of, and
 * malloc() for what finds no room there.
 *
 * yajl uses what it gets without a look whether it got anything.  So the
 * functions do not return when memory is out: they jump.  Who calls yajl sets
 * arena->jump by sigsetjmp() before; yajl_free() is fine after a jump.
 */

/* enough for yajl and an ordinary event, so that nothing else is allocated */
#define NGX_TROVE_ARENA_SIZE  4096


typedef struct {
    sigjmp_buf   jump;
    size_t       used;
    uint64_t     memory[NGX_TROVE_ARENA_SIZE / sizeof(uint64_t)];
} ngx_trove_arena_t;


/* Starts an arena, whose memory need not be zeroed. */
#define ngx_trove_arena_init(arena)  (arena)->used = 0

/*
 * Fills in the functions that yajl is to be given, which copies them.  All that
 * it has not given back belongs to the arena, but for what malloc() served.
 */
void ngx_trove_arena_funcs(ngx_trove_arena_t *arena, yajl_alloc_funcs *funcs);


#endif /* _NGX_TROVE_ARENA_H_INCLUDED_ */
