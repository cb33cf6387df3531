
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _FUZZ_H_INCLUDED_
#define _FUZZ_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <stdarg.h>
#include <sys/mman.h>


/*
 * Common code of the harnesses.  libFuzzer calls LLVMFuzzerTestOneInput() with
 * one input after the other.  A harness depends only on its input, so that a
 * finding can be reproduced.
 *
 *   fuzz_check(cond, "format", ...)  reports a finding if cond is false
 */

#define FUZZ_UNUSED  __attribute__((unused))

/* not instrumented: for functions that read a whole table */
#define FUZZ_QUIET   FUZZ_UNUSED __attribute__((no_sanitize("coverage")))

#define FUZZ_GUARD   65536         /* bytes, the largest page size */


#define fuzz_check(cond, ...)                                                 \
    do {                                                                      \
        if (!(cond)) {                                                        \
            fuzz_failed(__FILE__, __LINE__, #cond, __VA_ARGS__);              \
        }                                                                     \
    } while (0)


/* an input, which is consumed from its start */
typedef struct {
    const u_char  *p;
    const u_char  *last;
} fuzz_input_t;


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static __attribute__((format(printf, 4, 5), noreturn, unused)) void
fuzz_failed(const char *file, int line, const char *cond, const char *fmt, ...)
{
    va_list  args;

    fprintf(stderr, "%s:%d: ", file, line);

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);

    fprintf(stderr, "\nfalse: %s\n", cond);

    abort();
}


/* the next n bytes as a little-endian number; missing bytes are 0 */

static FUZZ_UNUSED uint64_t
fuzz_number(fuzz_input_t *in, ngx_uint_t n)
{
    uint64_t    value;
    ngx_uint_t  i;

    value = 0;

    for (i = 0; i < n && in->p < in->last; i++) {
        value |= (uint64_t) *in->p++ << 8 * i;
    }

    return value;
}


/* pseudo random numbers, which depend on the state only */

static FUZZ_UNUSED uint32_t
fuzz_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;

    return *state >> 8 | *state << 24;
}


/* the size of the next part: mostly a few bytes, sometimes many */

static FUZZ_UNUSED size_t
fuzz_piece(uint32_t *state, size_t left)
{
    size_t    n;
    uint32_t  x;

    x = fuzz_random(state);
    n = (x >> 8) % ((x % 5) ? 8 : 400);

    return ngx_min(n, left);
}


/* a copy that ends at the end of its memory; to be freed by free() */

static FUZZ_UNUSED u_char *
fuzz_copy(const u_char *p, size_t len)
{
    u_char  *copy;

    copy = malloc(len);
    fuzz_check(copy != NULL || len == 0, "no memory for the harness");

    if (len) {
        ngx_memcpy(copy, p, len);
    }

    return copy;
}


/* memory between two inaccessible pages; size is of whole pages */

static FUZZ_UNUSED u_char *
fuzz_region(size_t size)
{
    u_char  *p;

    p = mmap(NULL, size + 2 * FUZZ_GUARD, PROT_NONE,
             MAP_PRIVATE|MAP_ANONYMOUS, -1, 0);
    fuzz_check(p != MAP_FAILED, "no memory for the harness");

    p += FUZZ_GUARD;
    fuzz_check(mprotect(p, size, PROT_READ|PROT_WRITE) == 0, "mprotect()");

    return p;
}


#endif /* _FUZZ_H_INCLUDED_ */
