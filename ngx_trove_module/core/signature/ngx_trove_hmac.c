
/*
 * Copyright (C) the ngx_trove_module authors
 */


/* for SHA256_Init() and so on, see the header */
#ifndef OPENSSL_SUPPRESS_DEPRECATED
#define OPENSSL_SUPPRESS_DEPRECATED
#endif

#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/crypto.h>

#include "ngx_trove_hmac.h"


#if (NGX_TROVE_EVP_MAC)

#include <openssl/core_names.h>
#include <openssl/params.h>


ngx_int_t
ngx_trove_hmac_key_set(ngx_trove_hmac_key_t *key, u_char *secret, size_t len)
{
    OSSL_PARAM       params[2];

    /* fetching is slow; never freed */
    static EVP_MAC  *mac;

    if (mac == NULL) {
        mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
        if (mac == NULL) {
            return NGX_ERROR;
        }
    }

    key->ctx = EVP_MAC_CTX_new(mac);
    if (key->ctx == NULL) {
        return NGX_ERROR;
    }

    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                                 (char *) "SHA256", 0);
    params[1] = OSSL_PARAM_construct_end();

    if (EVP_MAC_init(key->ctx, secret, len, params) != 1) {
        EVP_MAC_CTX_free(key->ctx);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_trove_hmac_key_wipe(ngx_trove_hmac_key_t *key)
{
    /* OpenSSL wipes what it frees */

    EVP_MAC_CTX_free(key->ctx);
    key->ctx = NULL;
}


ngx_int_t
ngx_trove_hmac_start(ngx_trove_hmac_t *hmac, ngx_trove_hmac_key_t *key)
{
    hmac->ctx = EVP_MAC_CTX_dup(key->ctx);

    return hmac->ctx ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_trove_hmac_update(ngx_trove_hmac_t *hmac, u_char *data, size_t len)
{
    if (hmac->ctx == NULL) {
        return NGX_ERROR;
    }

    return EVP_MAC_update(hmac->ctx, data, len) == 1 ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_trove_hmac_final(ngx_trove_hmac_t *hmac, u_char *md)
{
    size_t  len;

    if (hmac->ctx == NULL
        || EVP_MAC_final(hmac->ctx, md, &len, NGX_TROVE_HMAC_LEN) != 1)
    {
        return NGX_ERROR;
    }

    return len == NGX_TROVE_HMAC_LEN ? NGX_OK : NGX_ERROR;
}


void
ngx_trove_hmac_wipe(ngx_trove_hmac_t *hmac)
{
    EVP_MAC_CTX_free(hmac->ctx);
    hmac->ctx = NULL;
}


#else


static ngx_int_t ngx_trove_hmac_pad(SHA256_CTX *ctx, u_char *block, u_char pad);


ngx_int_t
ngx_trove_hmac_key_set(ngx_trove_hmac_key_t *key, u_char *secret, size_t len)
{
    u_char     block[SHA256_CBLOCK];
    ngx_int_t  rc;

    ngx_memzero(block, sizeof(block));

    if (len <= sizeof(block)) {
        ngx_memcpy(block, secret, len);
        rc = NGX_OK;

    } else {
        rc = SHA256(secret, len, block) ? NGX_OK : NGX_ERROR;
    }

    if (rc == NGX_OK) {
        rc = ngx_trove_hmac_pad(&key->inner, block, 0x36);
    }

    if (rc == NGX_OK) {
        rc = ngx_trove_hmac_pad(&key->outer, block, 0x5c);
    }

    OPENSSL_cleanse(block, sizeof(block));

    if (rc != NGX_OK) {
        ngx_trove_hmac_key_wipe(key);
    }

    return rc;
}


/* a whole block: the context keeps only the resulting state, not the bytes */

static ngx_int_t
ngx_trove_hmac_pad(SHA256_CTX *ctx, u_char *block, u_char pad)
{
    u_char      padded[SHA256_CBLOCK];
    ngx_int_t   rc;
    ngx_uint_t  i;

    for (i = 0; i < sizeof(padded); i++) {
        padded[i] = block[i] ^ pad;
    }

    rc = SHA256_Init(ctx) == 1
         && SHA256_Update(ctx, padded, sizeof(padded)) == 1
         ? NGX_OK : NGX_ERROR;

    OPENSSL_cleanse(padded, sizeof(padded));

    return rc;
}


void
ngx_trove_hmac_key_wipe(ngx_trove_hmac_key_t *key)
{
    OPENSSL_cleanse(key, sizeof(ngx_trove_hmac_key_t));
}


ngx_int_t
ngx_trove_hmac_start(ngx_trove_hmac_t *hmac, ngx_trove_hmac_key_t *key)
{
    hmac->inner = key->inner;
    hmac->outer = key->outer;

    return NGX_OK;
}


ngx_int_t
ngx_trove_hmac_update(ngx_trove_hmac_t *hmac, u_char *data, size_t len)
{
    return SHA256_Update(&hmac->inner, data, len) == 1 ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_trove_hmac_final(ngx_trove_hmac_t *hmac, u_char *md)
{
    return SHA256_Final(md, &hmac->inner) == 1
           && SHA256_Update(&hmac->outer, md, NGX_TROVE_HMAC_LEN) == 1
           && SHA256_Final(md, &hmac->outer) == 1
           ? NGX_OK : NGX_ERROR;
}


void
ngx_trove_hmac_wipe(ngx_trove_hmac_t *hmac)
{
    OPENSSL_cleanse(hmac, sizeof(ngx_trove_hmac_t));
}

#endif
