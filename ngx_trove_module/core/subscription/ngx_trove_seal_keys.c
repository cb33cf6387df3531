
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "ngx_trove_seal.h"


static const char *ngx_trove_seal_add(ngx_trove_seal_keys_t *keys, u_char *p,
    size_t len);
static int ngx_trove_seal_digit(u_char c);


const char *
ngx_trove_seal_keys(ngx_trove_seal_keys_t *keys, u_char *p, size_t len,
    ngx_uint_t *line)
{
    u_char      *end, *next, *last;
    const char  *error;

    ngx_memzero(keys, sizeof(ngx_trove_seal_keys_t));

    end = p + len;

    for (*line = 1; p < end; (*line)++) {

        next = ngx_strlchr(p, end, LF);
        next = next ? next : end;

        for (last = next; last > p && (last[-1] == CR || last[-1] == ' '
                                       || last[-1] == '\t');
             last--)
        {
            /* void */
        }

        while (p < last && (*p == ' ' || *p == '\t')) {
            p++;
        }

        if (p < last && *p != '#') {

            error = ngx_trove_seal_add(keys, p, last - p);

            if (error) {
                ngx_trove_seal_wipe(keys);
                return error;
            }
        }

        p = (next < end) ? next + 1 : end;
    }

    *line = 0;

    return keys->n ? NULL : "it has no key";
}


static const char *
ngx_trove_seal_add(ngx_trove_seal_keys_t *keys, u_char *p, size_t len)
{
    int                    high, low;
    u_char                 digest[SHA256_DIGEST_LENGTH];
    ngx_uint_t             i;
    ngx_trove_seal_key_t  *key;

    if (keys->n == NGX_TROVE_SEAL_KEYS) {
        return "there are more than 64 keys";
    }

    if (len != 2 * NGX_TROVE_SEAL_KEY_LEN) {
        return "a key must have 64 hexadecimal digits";
    }

    key = &keys->keys[keys->n];

    for (i = 0; i < NGX_TROVE_SEAL_KEY_LEN; i++) {
        high = ngx_trove_seal_digit(p[2 * i]);
        low = ngx_trove_seal_digit(p[2 * i + 1]);

        if (high == -1 || low == -1) {
            return "a key must have 64 hexadecimal digits";
        }

        key->key[i] = (u_char) (high << 4 | low);
    }

    (void) SHA256(key->key, NGX_TROVE_SEAL_KEY_LEN, digest);

    ngx_memcpy(key->id, digest, sizeof(key->id));

    OPENSSL_cleanse(digest, sizeof(digest));

    /* keys are found by their ids */

    for (i = 0; i < keys->n; i++) {
        if (ngx_memcmp(keys->keys[i].id, key->id, sizeof(key->id)) == 0) {
            return "a key is there twice";
        }
    }

    keys->n++;

    return NULL;
}


static int
ngx_trove_seal_digit(u_char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : -1;
}
