
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "ngx_trove_signature.h"


/* EVP_MAC came with OpenSSL 3.0, which deprecates HMAC_CTX */

#ifndef NGX_TROVE_EVP_MAC
#define NGX_TROVE_EVP_MAC  (OPENSSL_VERSION_NUMBER >= 0x30000000L)
#endif

#if (NGX_TROVE_EVP_MAC)

#include <openssl/core_names.h>
#include <openssl/params.h>

typedef EVP_MAC_CTX  ngx_trove_hmac_t;

#define ngx_trove_hmac_free(ctx)             EVP_MAC_CTX_free(ctx)
#define ngx_trove_hmac_update(ctx, p, len)   EVP_MAC_update(ctx, p, len)

#else

#include <openssl/hmac.h>

typedef HMAC_CTX  ngx_trove_hmac_t;

#define ngx_trove_hmac_free(ctx)             HMAC_CTX_free(ctx)
#define ngx_trove_hmac_update(ctx, p, len)   HMAC_Update(ctx, p, len)

#endif


/* contexts that a key keeps for the next MACs, 64 bytes and some KB of state */
#define NGX_TROVE_KEY_IDLE_MAX  16


struct ngx_trove_key_s {
    ngx_trove_hmac_t  *template;        /* never used but for copies */

    /*
     * A copy costs as much as the MAC of a small body, so some are kept.  Each
     * is as new here: whoever gives one back resets it.
     */
    ngx_uint_t         nidle;
    ngx_trove_hmac_t  *idle[NGX_TROVE_KEY_IDLE_MAX];
};


typedef struct {
    ngx_trove_key_t   *key;
    ngx_trove_hmac_t  *hmac;
} ngx_trove_mac_item_t;


struct ngx_trove_mac_s {
    ngx_uint_t            failed;
    ngx_uint_t            nitems;
    ngx_trove_mac_item_t  items[1];
};


static ngx_trove_hmac_t *ngx_trove_hmac_create(u_char *secret, size_t len);
static ngx_trove_hmac_t *ngx_trove_hmac_dup(ngx_trove_hmac_t *hmac);
static ngx_int_t ngx_trove_hmac_reset(ngx_trove_hmac_t *hmac);
static ngx_int_t ngx_trove_hmac_final(ngx_trove_hmac_t *hmac, u_char *md);


ngx_trove_key_t *
ngx_trove_key_create(u_char *secret, size_t len)
{
    ngx_trove_key_t  *key;

    /* OpenSSL takes neither: no key is "unset", and the length may be an int */

    if (len == 0 || len > NGX_MAX_INT32_VALUE) {
        return NULL;
    }

    key = OPENSSL_malloc(sizeof(ngx_trove_key_t));
    if (key == NULL) {
        return NULL;
    }

    key->nidle = 0;

    key->template = ngx_trove_hmac_create(secret, len);
    if (key->template == NULL) {
        OPENSSL_free(key);
        return NULL;
    }

    return key;
}


void
ngx_trove_key_destroy(ngx_trove_key_t *key)
{
    if (key == NULL) {
        return;
    }

    /* OpenSSL wipes what it frees */

    while (key->nidle) {
        ngx_trove_hmac_free(key->idle[--key->nidle]);
    }

    ngx_trove_hmac_free(key->template);
    OPENSSL_free(key);
}


ngx_trove_mac_t *
ngx_trove_mac_create(ngx_trove_key_t **keys, ngx_uint_t nkeys, u_char *text,
    size_t text_len)
{
    u_char                *p;
    u_char                 start[NGX_TROVE_SIGNATURE_DIGITS_MAX + 1];
    ngx_uint_t             i;
    ngx_trove_mac_t       *mac;
    ngx_trove_mac_item_t  *item;

    mac = OPENSSL_malloc(offsetof(ngx_trove_mac_t, items)
                         + nkeys * sizeof(ngx_trove_mac_item_t));
    if (mac == NULL) {
        return NULL;
    }

    mac->failed = 0;
    mac->nitems = 0;

    for (i = 0; i < nkeys; i++) {
        item = &mac->items[i];

        item->key = keys[i];

        item->hmac = keys[i]->nidle ? keys[i]->idle[--keys[i]->nidle]
                                    : ngx_trove_hmac_dup(keys[i]->template);

        if (item->hmac == NULL) {
            ngx_trove_mac_destroy(mac);
            return NULL;
        }

        mac->nitems++;
    }

    text_len = ngx_min(text_len, NGX_TROVE_SIGNATURE_DIGITS_MAX);

    p = ngx_cpymem(start, text, text_len);
    *p++ = '.';

    (void) ngx_trove_mac_update(mac, start, p - start);

    return mac;
}


ngx_int_t
ngx_trove_mac_update(ngx_trove_mac_t *mac, u_char *data, size_t len)
{
    ngx_uint_t  i;

    if (len) {
        for (i = 0; i < mac->nitems; i++) {
            if (ngx_trove_hmac_update(mac->items[i].hmac, data, len) != 1) {
                mac->failed = 1;
            }
        }
    }

    return mac->failed ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_trove_mac_verify(ngx_trove_mac_t *mac, ngx_trove_signature_t *sg)
{
    u_char      md[NGX_TROVE_SIGNATURE_MAC_LEN];
    ngx_uint_t  i, n, matched;

    matched = 0;

    for (i = 0; i < mac->nitems; i++) {

        if (ngx_trove_hmac_final(mac->items[i].hmac, md) != NGX_OK) {
            mac->failed = 1;
            continue;
        }

        for (n = 0; n < sg->nmacs; n++) {
            matched |= (CRYPTO_memcmp(md, sg->macs[n], sizeof(md)) == 0);
        }
    }

    /* who gets hold of it can sign this body */

    OPENSSL_cleanse(md, sizeof(md));

    if (mac->failed) {
        return NGX_ERROR;
    }

    return matched ? NGX_OK : NGX_DECLINED;
}


u_char *
ngx_trove_mac_sign(ngx_trove_mac_t *mac, u_char *text, size_t text_len,
    u_char *buf)
{
    u_char         md[NGX_TROVE_SIGNATURE_MAC_LEN];
    size_t         i;
    static u_char  hex[] = "0123456789abcdef";

    if (ngx_trove_hmac_final(mac->items[0].hmac, md) != NGX_OK || mac->failed) {
        return NULL;
    }

    text_len = ngx_min(text_len, NGX_TROVE_SIGNATURE_DIGITS_MAX);

    buf = ngx_cpymem(buf, "t=", 2);
    buf = ngx_cpymem(buf, text, text_len);
    buf = ngx_cpymem(buf, ",v1=", 4);

    for (i = 0; i < sizeof(md); i++) {
        *buf++ = hex[md[i] >> 4];
        *buf++ = hex[md[i] & 0xf];
    }

    return buf;
}


void
ngx_trove_mac_destroy(ngx_trove_mac_t *mac)
{
    ngx_uint_t         i;
    ngx_trove_key_t   *key;
    ngx_trove_hmac_t  *hmac;

    if (mac == NULL) {
        return;
    }

    for (i = 0; i < mac->nitems; i++) {
        key = mac->items[i].key;
        hmac = mac->items[i].hmac;

        if (!mac->failed
            && key->nidle < NGX_TROVE_KEY_IDLE_MAX
            && ngx_trove_hmac_reset(hmac) == NGX_OK)
        {
            key->idle[key->nidle++] = hmac;

        } else {
            ngx_trove_hmac_free(hmac);
        }
    }

    OPENSSL_free(mac);
}


#if (NGX_TROVE_EVP_MAC)

static ngx_trove_hmac_t *
ngx_trove_hmac_create(u_char *secret, size_t len)
{
    OSSL_PARAM         params[2];
    ngx_trove_hmac_t  *hmac;

    /* slow to look up, and never given back */
    static EVP_MAC    *mac;

    if (mac == NULL) {
        mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
        if (mac == NULL) {
            return NULL;
        }
    }

    hmac = EVP_MAC_CTX_new(mac);
    if (hmac == NULL) {
        return NULL;
    }

    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                                 (char *) "SHA256", 0);
    params[1] = OSSL_PARAM_construct_end();

    if (EVP_MAC_init(hmac, secret, len, params) != 1) {
        EVP_MAC_CTX_free(hmac);
        return NULL;
    }

    return hmac;
}


static ngx_trove_hmac_t *
ngx_trove_hmac_dup(ngx_trove_hmac_t *hmac)
{
    return EVP_MAC_CTX_dup(hmac);
}


static ngx_int_t
ngx_trove_hmac_reset(ngx_trove_hmac_t *hmac)
{
    /* before 3.0.3 an init without a key says yes and resets nothing */

    if (OpenSSL_version_num() < 0x30000030L) {
        return NGX_DECLINED;
    }

    return EVP_MAC_init(hmac, NULL, 0, NULL) == 1 ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_trove_hmac_final(ngx_trove_hmac_t *hmac, u_char *md)
{
    size_t  len;

    if (EVP_MAC_final(hmac, md, &len, NGX_TROVE_SIGNATURE_MAC_LEN) != 1) {
        return NGX_ERROR;
    }

    return len == NGX_TROVE_SIGNATURE_MAC_LEN ? NGX_OK : NGX_ERROR;
}

#else

static ngx_trove_hmac_t *
ngx_trove_hmac_create(u_char *secret, size_t len)
{
    ngx_trove_hmac_t  *hmac;

    hmac = HMAC_CTX_new();
    if (hmac == NULL) {
        return NULL;
    }

    if (HMAC_Init_ex(hmac, secret, len, EVP_sha256(), NULL) != 1) {
        HMAC_CTX_free(hmac);
        return NULL;
    }

    return hmac;
}


static ngx_trove_hmac_t *
ngx_trove_hmac_dup(ngx_trove_hmac_t *hmac)
{
    ngx_trove_hmac_t  *copy;

    copy = HMAC_CTX_new();
    if (copy == NULL) {
        return NULL;
    }

    if (HMAC_CTX_copy(copy, hmac) != 1) {
        HMAC_CTX_free(copy);
        return NULL;
    }

    return copy;
}


static ngx_int_t
ngx_trove_hmac_reset(ngx_trove_hmac_t *hmac)
{
    return HMAC_Init_ex(hmac, NULL, 0, NULL, NULL) == 1 ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_trove_hmac_final(ngx_trove_hmac_t *hmac, u_char *md)
{
    unsigned int  len;

    if (HMAC_Final(hmac, md, &len) != 1) {
        return NGX_ERROR;
    }

    return len == NGX_TROVE_SIGNATURE_MAC_LEN ? NGX_OK : NGX_ERROR;
}

#endif
