
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/crypto.h>

#include "ngx_trove_hmac.h"
#include "ngx_trove_signature.h"


struct ngx_trove_key_s {
    ngx_trove_hmac_key_t   hmac;
};


struct ngx_trove_mac_s {
    ngx_uint_t             failed;
    ngx_uint_t             matched;            /* index + 1, 0: none */
    ngx_uint_t             nhmacs;
    ngx_trove_hmac_t       hmacs[1];
};


ngx_trove_key_t *
ngx_trove_key_create(u_char *secret, size_t len)
{
    ngx_trove_key_t  *key;

    /* OpenSSL takes an empty key for "not set", and a length of type int */

    if (len == 0 || len > NGX_MAX_INT32_VALUE) {
        return NULL;
    }

    key = OPENSSL_malloc(sizeof(ngx_trove_key_t));
    if (key == NULL) {
        return NULL;
    }

    if (ngx_trove_hmac_key_set(&key->hmac, secret, len) != NGX_OK) {
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

    ngx_trove_hmac_key_wipe(&key->hmac);
    OPENSSL_free(key);
}


ngx_trove_mac_t *
ngx_trove_mac_create(ngx_trove_key_t **keys, ngx_uint_t nkeys, u_char *text,
    size_t text_len)
{
    u_char           *p;
    u_char            start[NGX_TROVE_SIGNATURE_DIGITS_MAX + 1];
    ngx_uint_t        i;
    ngx_trove_mac_t  *mac;

    mac = OPENSSL_malloc(offsetof(ngx_trove_mac_t, hmacs)
                         + nkeys * sizeof(ngx_trove_hmac_t));
    if (mac == NULL) {
        return NULL;
    }

    mac->failed = 0;
    mac->matched = 0;
    mac->nhmacs = nkeys;

    for (i = 0; i < nkeys; i++) {
        if (ngx_trove_hmac_start(&mac->hmacs[i], &keys[i]->hmac) != NGX_OK) {
            mac->failed = 1;
        }
    }

    if (mac->failed) {
        ngx_trove_mac_destroy(mac);
        return NULL;
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
        for (i = 0; i < mac->nhmacs; i++) {
            if (ngx_trove_hmac_update(&mac->hmacs[i], data, len) != NGX_OK) {
                mac->failed = 1;
            }
        }
    }

    return mac->failed ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_trove_mac_verify(ngx_trove_mac_t *mac, ngx_trove_signature_t *sg)
{
    u_char      md[NGX_TROVE_HMAC_LEN];
    ngx_uint_t  i, n, equal;

    for (i = 0; i < mac->nhmacs; i++) {

        if (ngx_trove_hmac_final(&mac->hmacs[i], md) != NGX_OK) {
            mac->failed = 1;
            continue;
        }

        equal = 0;

        for (n = 0; n < sg->nmacs; n++) {
            equal |= (CRYPTO_memcmp(md, sg->macs[n], sizeof(md)) == 0);
        }

        /* the first match: a mask of all ones or zeroes, without a branch */

        mac->matched |= (i + 1) & (0 - (equal & (mac->matched == 0)));
    }

    /* the MAC would allow this body to be signed */

    OPENSSL_cleanse(md, sizeof(md));

    if (mac->failed) {
        return NGX_ERROR;
    }

    return mac->matched ? NGX_OK : NGX_DECLINED;
}


ngx_uint_t
ngx_trove_mac_matched(ngx_trove_mac_t *mac)
{
    return mac->matched - 1;
}


u_char *
ngx_trove_mac_sign(ngx_trove_mac_t *mac, u_char *text, size_t text_len,
    u_char *buf)
{
    u_char         md[NGX_TROVE_HMAC_LEN];
    size_t         i;
    static u_char  hex[] = "0123456789abcdef";

    if (ngx_trove_hmac_final(&mac->hmacs[0], md) != NGX_OK || mac->failed) {
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
    ngx_uint_t  i;

    if (mac == NULL) {
        return;
    }

    for (i = 0; i < mac->nhmacs; i++) {
        ngx_trove_hmac_wipe(&mac->hmacs[i]);
    }

    OPENSSL_free(mac);
}
