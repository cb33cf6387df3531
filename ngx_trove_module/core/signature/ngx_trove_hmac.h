
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_HMAC_H_INCLUDED_
#define _NGX_TROVE_HMAC_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/opensslv.h>


/*
 * HMAC-SHA256 (RFC 2104, FIPS 180-4).  Private to the signature component.
 *
 * SHA-256 is provided by OpenSSL.  HMAC is implemented here because EVP_MAC
 * takes twice as long for a small body: it calls some thirty functions in as
 * many pages of memory, and twice allocates a copy of the hash state.
 *
 * EVP_MAC is used if the OpenSSL headers do not declare SHA256_Init() and so
 * on, or may not declare them, as from 4.0 on.  It is also used if
 * NGX_TROVE_EVP_MAC is set, since a FIPS provider has to perform the whole
 * computation.
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
    EVP_MAC_CTX  *ctx;                        /* template to be copied */
} ngx_trove_hmac_key_t;

typedef struct {
    EVP_MAC_CTX  *ctx;                        /* NULL: copying failed */
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
 * Initializes *key with len bytes at secret, 1 or more.  secret is not used
 * after the call.  A key is not changed by its use.
 *
 * NGX_OK     the key must be wiped with ngx_trove_hmac_key_wipe()
 * NGX_ERROR  out of memory, or rejected by OpenSSL; there is nothing to wipe
 */
ngx_int_t ngx_trove_hmac_key_set(ngx_trove_hmac_key_t *key, u_char *secret,
    size_t len);

/* Wipes a key and frees what OpenSSL has allocated for it. */
void ngx_trove_hmac_key_wipe(ngx_trove_hmac_key_t *key);

/*
 * Starts an HMAC with a key, which may be wiped afterwards.  The HMAC itself
 * must be wiped even if this or a later call fails.
 *
 * This and the next two functions return NGX_OK, or NGX_ERROR if OpenSSL
 * failed.
 */
ngx_int_t ngx_trove_hmac_start(ngx_trove_hmac_t *hmac,
    ngx_trove_hmac_key_t *key);

/* Adds len bytes at data. */
ngx_int_t ngx_trove_hmac_update(ngx_trove_hmac_t *hmac, u_char *data,
    size_t len);

/* Writes NGX_TROVE_HMAC_LEN bytes to md.  Must be called once. */
ngx_int_t ngx_trove_hmac_final(ngx_trove_hmac_t *hmac, u_char *md);

/* Wipes the state and frees what OpenSSL has allocated for it. */
void ngx_trove_hmac_wipe(ngx_trove_hmac_t *hmac);


#endif /* _NGX_TROVE_HMAC_H_INCLUDED_ */
