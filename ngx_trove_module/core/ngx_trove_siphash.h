
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_SIPHASH_H_INCLUDED_
#define _NGX_TROVE_SIPHASH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * SipHash-2-4 with a result of 128 bits (Aumasson and Bernstein, "SipHash: a
 * fast short-input PRF"): who does not know the key can neither foresee nor
 * steer where in a table a key goes.
 *
 * OpenSSL 3 has it as an EVP_MAC, which allocates and costs several times as
 * much for the few dozen bytes of a key; the unit test compares the two.
 */

#define NGX_TROVE_SIPHASH_KEY_LEN  16


/*
 * Hashes len bytes at data, which may be NULL if len is 0.  hash[0] are the
 * first eight bytes of the result, little-endian, hash[1] the second eight.
 */
void ngx_trove_siphash(const u_char *key, const u_char *data, size_t len,
    uint64_t hash[2]);


#endif /* _NGX_TROVE_SIPHASH_H_INCLUDED_ */
