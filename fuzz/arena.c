
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include "fuzz.h"

#include "ngx_trove_arena.h"


/*
 * Tests the memory of yajl.  The input consists of operations of 3 bytes: the
 * operation, the block, and its size.
 *
 * Each block is filled, and must keep its contents until it is freed.  This
 * finds overlapping blocks.  The sanitizer finds accesses outside of the arena.
 */

#define BLOCKS  32


typedef struct {
    u_char      *p;
    size_t       len;
    u_char       fill;
} block_t;


static void check(block_t *block, size_t len);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t              len;
    block_t             blocks[BLOCKS], *block;
    ngx_uint_t          op, n;
    fuzz_input_t        in;
    yajl_alloc_funcs    funcs;
    ngx_trove_arena_t  *arena;

    in.p = data;
    in.last = data + size;

    ngx_memzero(blocks, sizeof(blocks));

    arena = malloc(sizeof(ngx_trove_arena_t));
    fuzz_check(arena != NULL, "harness: out of memory");

    memset(arena, 0xa5, sizeof(ngx_trove_arena_t));
    ngx_trove_arena_init(arena);
    ngx_trove_arena_funcs(arena, &funcs);

    fuzz_check(sigsetjmp(arena->jump, 0) == 0, "memory is not out");

    for (n = 0; in.p < in.last; n++) {
        op = fuzz_number(&in, 1);
        block = &blocks[op / 8 % BLOCKS];

        /* few blocks are large */

        len = fuzz_number(&in, 2);
        len %= (len & 0x8000) ? NGX_TROVE_ARENA_SIZE + 64 : 256;

        check(block, block->len);

        switch (op % 8) {

        case 0:
        case 1:
            funcs.free(funcs.ctx, block->p);
            ngx_memzero(block, sizeof(block_t));
            continue;

        case 2:
        case 3:
        case 4:
            funcs.free(funcs.ctx, block->p);
            block->p = funcs.malloc(funcs.ctx, len);
            break;

        default:

            /* yajl asks for the first memory by malloc(), others by this */

            block->p = funcs.realloc(funcs.ctx, block->p, ngx_max(len, 1));
            len = ngx_max(len, 1);
            check(block, ngx_min(len, block->len));
            break;
        }

        fuzz_check(block->p != NULL, "no block");
        fuzz_check((uintptr_t) block->p % sizeof(void *) == 0, "not aligned");

        block->len = len;
        block->fill = (u_char) n;
        memset(block->p, block->fill, len);
    }

    for (n = 0; n < BLOCKS; n++) {
        check(&blocks[n], blocks[n].len);
        funcs.free(funcs.ctx, blocks[n].p);
    }

    free(arena);

    return 0;
}


static void
check(block_t *block, size_t len)
{
    size_t  n;

    for (n = 0; n < len; n++) {
        fuzz_check(block->p[n] == block->fill, "byte %d of a block of %d",
                   (int) n, (int) block->len);
    }
}
