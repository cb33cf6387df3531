
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_HMAC_H_INCLUDED_
#define _NGX_TROVE_HMAC_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/opensslv.h>


/*
 * HMAC-SHA256 (RFC 2104, FIPS 180-4).  Private to the signature room.
 *
 * SHA-256 is OpenSSL's.  The HMAC around it is here because a small body costs
 * twice as much by EVP_MAC: it calls through some thirty functions in as many
 * pages of memory, and allocates a copy of what it has hashed, twice.
 *
 * EVP_MAC does it where OpenSSL's headers do not have SHA256_Init() and so on,
 * or may not have them, from 4.0 on; and where NGX_TROVE_EVP_MAC is set, since
 * a FIPS provider has to do all of it.
 */

#ifndef NGX_TROVE_EVP_MAC
#if (defined OPENSSL_NO_DEPRECATED_3_0                                        \
     || OPENSSL_VERSION_NUMBER >= 0x40000000L)
#define NGX_TROVE_EVP_MAC  1
#else
#define NGX_TROVE_EVP_MAC  0
#endif
#endif

#if (NGX_TROVE_EVP_MAC)
#include <openssl/evp.h>
#else
#include <openssl/sha.h>
#endif


#define NGX_TROVE_HMAC_LEN  32


#if (NGX_TROVE_EVP_MAC)

typedef struct {
    EVP_MAC_CTX  *ctx;                        /* for copies */
} ngx_trove_hmac_key_t;

typedef struct {
    EVP_MAC_CTX  *ctx;                        /* NULL: could not be copied */
} ngx_trove_hmac_t;

#else

typedef struct {
    SHA256_CTX    inner;                      /* has hashed K xor ipad */
    SHA256_CTX    outer;                      /* has hashed K xor opad */
} ngx_trove_hmac_key_t;

typedef struct {
    SHA256_CTX    inner;
    SHA256_CTX    outer;
} ngx_trove_hmac_t;

#endif


/*
 * Makes a key of len bytes at secret, 1 or more, which are not referred to
 * afterwards.  It is never changed by what is made of it.
 *
 * NGX_OK     to be wiped
 * NGX_ERROR  out of memory, or OpenSSL refuses; nothing is to be wiped
 */
ngx_int_t ngx_trove_hmac_key_set(ngx_trove_hmac_key_t *key, u_char *secret,
    size_t len);
void ngx_trove_hmac_key_wipe(ngx_trove_hmac_key_t *key);

/* Starts an HMAC; to be wiped, whatever comes of it. */
ngx_int_t ngx_trove_hmac_start(ngx_trove_hmac_t *hmac,
    ngx_trove_hmac_key_t *key);

ngx_int_t ngx_trove_hmac_update(ngx_trove_hmac_t *hmac, u_char *data,
    size_t len);

/* Writes NGX_TROVE_HMAC_LEN bytes to md.  To be called once. */
ngx_int_t ngx_trove_hmac_final(ngx_trove_hmac_t *hmac, u_char *md);

/* All three: NGX_OK, or NGX_ERROR if OpenSSL failed. */

void ngx_trove_hmac_wipe(ngx_trove_hmac_t *hmac);


#endif /* _NGX_TROVE_HMAC_H_INCLUDED_ */
