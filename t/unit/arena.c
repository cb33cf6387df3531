
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_arena.h"
#include "tap.h"


static void edge(size_t size, ngx_uint_t n);


static ngx_trove_arena_t  arena;


int
main(void)
{
    /* the last block of the arena, and the first one beyond it */

    edge(0, 1);
    edge(0, 2);
    edge(1, 1);
    edge(8, 1);
    edge(16, 1);

    return tap_done();
}


/* fills the arena but for n times 8 bytes, and asks for size bytes more */

static void
edge(size_t size, ngx_uint_t n)
{
    u_char            *first, *last;
    yajl_alloc_funcs   funcs;

    ngx_trove_arena_init(&arena);
    ngx_trove_arena_funcs(&arena, &funcs);

    if (sigsetjmp(arena.jump, 0) != 0) {
        tap_ok(0, "memory is out");
        return;
    }

    first = funcs.malloc(funcs.ctx, NGX_TROVE_ARENA_SIZE - 8 - n * 8);
    memset(first, 'a', NGX_TROVE_ARENA_SIZE - 8 - n * 8);

    last = funcs.malloc(funcs.ctx, size);
    memset(last, 'b', size);

    last = funcs.realloc(funcs.ctx, last, size + 100);
    memset(last + size, 'c', 100);

    tap_ok(last[size + 99] == 'c' && (size == 0 || last[0] == 'b'),
           "%d bytes, where %d are left", (int) size, (int) n * 8);

    funcs.free(funcs.ctx, last);

    last = funcs.malloc(funcs.ctx, size);

    /* an abort, or a report of a sanitizer, if it is taken for another's */

    funcs.free(funcs.ctx, last);
    funcs.free(funcs.ctx, first);
}
