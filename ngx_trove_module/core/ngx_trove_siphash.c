
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_siphash.h"


#define ngx_trove_siphash_rotl(x, n)  (((x) << (n)) | ((x) >> (64 - (n))))


typedef struct {
    uint64_t  v0;
    uint64_t  v1;
    uint64_t  v2;
    uint64_t  v3;
} ngx_trove_siphash_t;


static ngx_inline uint64_t ngx_trove_siphash_load(const u_char *p);
static ngx_inline void ngx_trove_siphash_rounds(ngx_trove_siphash_t *sh,
    ngx_uint_t n);


void
ngx_trove_siphash(const u_char *key, const u_char *data, size_t len,
    uint64_t hash[2])
{
    size_t               rest;
    uint64_t             k0, k1, m;
    ngx_trove_siphash_t  sh;

    k0 = ngx_trove_siphash_load(key);
    k1 = ngx_trove_siphash_load(key + 8);

    /* "somepseudorandomlygeneratedbytes"; 0xee selects the 128-bit variant */

    sh.v0 = k0 ^ 0x736f6d6570736575ULL;
    sh.v1 = k1 ^ 0x646f72616e646f6dULL ^ 0xee;
    sh.v2 = k0 ^ 0x6c7967656e657261ULL;
    sh.v3 = k1 ^ 0x7465646279746573ULL;

    for (rest = len; rest >= 8; rest -= 8, data += 8) {
        m = ngx_trove_siphash_load(data);

        sh.v3 ^= m;
        ngx_trove_siphash_rounds(&sh, 2);
        sh.v0 ^= m;
    }

    /* last word: the remaining bytes, and the length in the highest byte */

    m = (uint64_t) len << 56;

    while (rest) {
        rest--;
        m |= (uint64_t) data[rest] << (8 * rest);
    }

    sh.v3 ^= m;
    ngx_trove_siphash_rounds(&sh, 2);
    sh.v0 ^= m;

    sh.v2 ^= 0xee;
    ngx_trove_siphash_rounds(&sh, 4);
    hash[0] = sh.v0 ^ sh.v1 ^ sh.v2 ^ sh.v3;

    sh.v1 ^= 0xdd;
    ngx_trove_siphash_rounds(&sh, 4);
    hash[1] = sh.v0 ^ sh.v1 ^ sh.v2 ^ sh.v3;
}


static ngx_inline uint64_t
ngx_trove_siphash_load(const u_char *p)
{
    /* compiled into a single load on little-endian machines */

    return (uint64_t) p[0] | (uint64_t) p[1] << 8
           | (uint64_t) p[2] << 16 | (uint64_t) p[3] << 24
           | (uint64_t) p[4] << 32 | (uint64_t) p[5] << 40
           | (uint64_t) p[6] << 48 | (uint64_t) p[7] << 56;
}


static ngx_inline void
ngx_trove_siphash_rounds(ngx_trove_siphash_t *sh, ngx_uint_t n)
{
    uint64_t  v0, v1, v2, v3;

    v0 = sh->v0;
    v1 = sh->v1;
    v2 = sh->v2;
    v3 = sh->v3;

    while (n--) {
        v0 += v1;
        v2 += v3;
        v1 = ngx_trove_siphash_rotl(v1, 13) ^ v0;
        v3 = ngx_trove_siphash_rotl(v3, 16) ^ v2;
        v0 = ngx_trove_siphash_rotl(v0, 32);

        v2 += v1;
        v0 += v3;
        v1 = ngx_trove_siphash_rotl(v1, 17) ^ v2;
        v3 = ngx_trove_siphash_rotl(v3, 21) ^ v0;
        v2 = ngx_trove_siphash_rotl(v2, 32);
    }

    sh->v0 = v0;
    sh->v1 = v1;
    sh->v2 = v2;
    sh->v3 = v3;
}
