
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_SIPHASH_H_INCLUDED_
#define _NGX_TROVE_SIPHASH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * SipHash-2-4 with a 128-bit result (Aumasson and Bernstein, "SipHash: a fast
 * short-input PRF").  Without the key, the position of an entry in a hash
 * table can be neither predicted nor influenced.
 *
 * OpenSSL 3 provides it as an EVP_MAC, which allocates memory and is several
 * times slower for the few dozen bytes of a key.  The unit test compares the
 * two.
 */

#define NGX_TROVE_SIPHASH_KEY_LEN  16


/*
 * Hashes len bytes at data, which may be NULL if len is 0. key has
 * NGX_TROVE_SIPHASH_KEY_LEN bytes.  hash[0] is set to the first eight bytes of
 * the result, little-endian, hash[1] to the second eight.  Cannot fail.
 */
void ngx_trove_siphash(const u_char *key, const u_char *data, size_t len,
    uint64_t hash[2]);


#endif /* _NGX_TROVE_SIPHASH_H_INCLUDED_ */
