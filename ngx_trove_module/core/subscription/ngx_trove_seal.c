
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "ngx_trove_seal.h"


#define NGX_TROVE_SEAL_VERSION  1
#define NGX_TROVE_SEAL_ID       4
#define NGX_TROVE_SEAL_NONCE    12
#define NGX_TROVE_SEAL_TAG      16


ngx_int_t
ngx_trove_seal(ngx_trove_seal_keys_t *keys, ngx_str_t *owner,
    ngx_str_t *secret, u_char *sealed)
{
    int              len;
    u_char          *nonce, *text, *tag;
    ngx_int_t        rc;
    EVP_CIPHER_CTX  *ctx;

    if (keys->n == 0) {

        /* they have been wiped: the key would be zero */

        return NGX_ERROR;
    }

    sealed[0] = NGX_TROVE_SEAL_VERSION;
    ngx_memcpy(sealed + 1, keys->keys[0].id, NGX_TROVE_SEAL_ID);

    nonce = sealed + 1 + NGX_TROVE_SEAL_ID;
    text = nonce + NGX_TROVE_SEAL_NONCE;
    tag = text + secret->len;

    ctx = EVP_CIPHER_CTX_new();
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (RAND_bytes(nonce, NGX_TROVE_SEAL_NONCE) == 1
        && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, keys->keys[0].key,
                              nonce) == 1
        && EVP_EncryptUpdate(ctx, NULL, &len, owner->data, (int) owner->len)
           == 1
        && EVP_EncryptUpdate(ctx, text, &len, secret->data, (int) secret->len)
           == 1
        && EVP_EncryptFinal_ex(ctx, text + len, &len) == 1
        && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, NGX_TROVE_SEAL_TAG,
                               tag) == 1)
    {
        rc = NGX_OK;
    }

    EVP_CIPHER_CTX_free(ctx);

    return rc;
}


ngx_int_t
ngx_trove_unseal(ngx_trove_seal_keys_t *keys, ngx_str_t *owner,
    ngx_str_t *sealed, ngx_str_t *secret)
{
    int                    len;
    size_t                 n;
    u_char                *nonce, *text, *tag;
    ngx_int_t              rc;
    ngx_uint_t             i;
    EVP_CIPHER_CTX        *ctx;
    ngx_trove_seal_key_t  *key;

    secret->len = 0;

    if (sealed->len < NGX_TROVE_SEAL_OVERHEAD
        || sealed->data[0] != NGX_TROVE_SEAL_VERSION)
    {
        return NGX_ABORT;
    }

    n = sealed->len - NGX_TROVE_SEAL_OVERHEAD;
    key = NULL;

    for (i = 0; i < keys->n; i++) {

        if (ngx_memcmp(keys->keys[i].id, sealed->data + 1, NGX_TROVE_SEAL_ID)
            == 0)
        {
            key = &keys->keys[i];
            break;
        }
    }

    if (key == NULL) {
        return NGX_DECLINED;
    }

    nonce = sealed->data + 1 + NGX_TROVE_SEAL_ID;
    text = nonce + NGX_TROVE_SEAL_NONCE;
    tag = text + n;

    ctx = EVP_CIPHER_CTX_new();
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->key, nonce) == 1
        && EVP_DecryptUpdate(ctx, NULL, &len, owner->data, (int) owner->len)
           == 1
        && EVP_DecryptUpdate(ctx, secret->data, &len, text, (int) n) == 1
        && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, NGX_TROVE_SEAL_TAG,
                               tag) == 1)
    {
        rc = (EVP_DecryptFinal_ex(ctx, secret->data + len, &len) == 1)
             ? NGX_OK : NGX_ABORT;
    }

    EVP_CIPHER_CTX_free(ctx);

    if (rc == NGX_OK) {
        secret->len = n;

    } else {
        OPENSSL_cleanse(secret->data, n);
    }

    return rc;
}


void
ngx_trove_seal_wipe(ngx_trove_seal_keys_t *keys)
{
    OPENSSL_cleanse(keys, sizeof(ngx_trove_seal_keys_t));
}
