
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "ngx_trove_hmac.h"
#include "tap.h"


#define SECRET_MAX  200
#define DATA_MAX    300


typedef struct {
    size_t       secret_len;
    u_char       secret;                   /* repeated; 1: 1, 2, 3 and so on */
    size_t       data_len;
    u_char       data;                     /* repeated, if there is no text */
    const char  *text;
    const char  *md;
} vector_t;


static void test_vectors(void);
static void test_lengths(void);
static void test_key(void);
static ngx_int_t mac(ngx_trove_hmac_key_t *key, u_char *data, size_t len,
    size_t piece, u_char *md);
static void fill(u_char *p, size_t len, u_char c);


/* RFC 4231: 4.2, 4.4, 4.5, 4.7 and 4.8 */

static vector_t  vectors[] = {

    { 20, 0x0b, 0, 0, "Hi There",
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },

    { 20, 0xaa, 50, 0xdd, NULL,
      "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },

    { 25, 1, 50, 0xcd, NULL,
      "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b" },

    { 131, 0xaa, 0, 0,
      "Test Using Larger Than Block-Size Key - Hash Key First",
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },

    { 131, 0xaa, 0, 0,
      "This is a test using a larger than block-size key and a larger than "
      "block-size data. The key needs to be hashed before being used by the "
      "HMAC algorithm.",
      "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2" },
};


static void
test_vectors(void)
{
    u_char                secret[SECRET_MAX], data[DATA_MAX];
    u_char                md[NGX_TROVE_HMAC_LEN];
    char                  hex[2 * NGX_TROVE_HMAC_LEN + 1];
    size_t                len;
    ngx_uint_t            i, n;
    vector_t             *v;
    ngx_trove_hmac_key_t  key;

    for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        v = &vectors[i];

        fill(secret, v->secret_len, v->secret);

        if (v->text) {
            len = strlen(v->text);
            memcpy(data, v->text, len);

        } else {
            len = v->data_len;
            fill(data, len, v->data);
        }

        tap_is(ngx_trove_hmac_key_set(&key, secret, v->secret_len), NGX_OK,
               "vector %d: a key", (int) i);
        tap_is(mac(&key, data, len, len, md), NGX_OK, "vector %d", (int) i);

        for (n = 0; n < NGX_TROVE_HMAC_LEN; n++) {
            sprintf(&hex[2 * n], "%02x", md[n]);
        }

        tap_is_str(hex, v->md, "vector %d: as the RFC says", (int) i);

        ngx_trove_hmac_key_wipe(&key);
    }
}


/* about the ends of the blocks, and in pieces */

static void
test_lengths(void)
{
    u_char                secret[SECRET_MAX], data[DATA_MAX];
    u_char                md[NGX_TROVE_HMAC_LEN], expected[EVP_MAX_MD_SIZE];
    size_t                secret_len, len;
    ngx_uint_t            wrong;
    unsigned int          n;
    ngx_trove_hmac_key_t  key;

    static size_t  pieces[] = { 1, 7, 63, 64, 65, DATA_MAX };

    fill(secret, sizeof(secret), 1);
    fill(data, sizeof(data), 1);

    wrong = 0;

    for (secret_len = 1; secret_len <= SECRET_MAX; secret_len++) {

        if (ngx_trove_hmac_key_set(&key, secret, secret_len) != NGX_OK) {
            wrong++;
            continue;
        }

        for (len = 0; len <= DATA_MAX; len++) {

            HMAC(EVP_sha256(), secret, (int) secret_len, data, len, expected,
                 &n);

            if (mac(&key, data, len,
                    pieces[(secret_len + len) % (sizeof(pieces)
                                                 / sizeof(pieces[0]))], md)
                != NGX_OK
                || n != sizeof(md)
                || memcmp(md, expected, n) != 0)
            {
                wrong++;
            }
        }

        ngx_trove_hmac_key_wipe(&key);
    }

    tap_is(wrong, 0, "secrets of up to %d bytes, data of up to %d: as HMAC()",
           SECRET_MAX, DATA_MAX);
}


static void
test_key(void)
{
    u_char                md[NGX_TROVE_HMAC_LEN], md2[NGX_TROVE_HMAC_LEN];
    u_char                secret[] = "secret", data[] = "data";
    ngx_trove_hmac_t      begun, other;
    ngx_trove_hmac_key_t  key;

    tap_is(ngx_trove_hmac_key_set(&key, secret, 6), NGX_OK, "a key");

    fill(secret, 6, 'x');

    tap_is(ngx_trove_hmac_start(&begun, &key), NGX_OK, "one begun");
    tap_is(ngx_trove_hmac_update(&begun, data, 2), NGX_OK, "half of it");

    tap_is(ngx_trove_hmac_start(&other, &key), NGX_OK, "another begun");
    tap_is(ngx_trove_hmac_update(&other, data, 4), NGX_OK, "all of it");
    tap_is(ngx_trove_hmac_final(&other, md), NGX_OK, "and ended");
    ngx_trove_hmac_wipe(&other);

    tap_is(ngx_trove_hmac_update(&begun, data + 2, 2), NGX_OK, "the rest");
    tap_is(ngx_trove_hmac_final(&begun, md2), NGX_OK, "ended");
    ngx_trove_hmac_wipe(&begun);

    tap_is_mem(md, sizeof(md), md2, sizeof(md2), "they are the same");

    tap_is(ngx_trove_hmac_start(&begun, &key), NGX_OK, "one given up");
    ngx_trove_hmac_wipe(&begun);

    HMAC(EVP_sha256(), "secret", 6, data, 4, md2, NULL);
    tap_is_mem(md, sizeof(md), md2, sizeof(md2), "and right");

    ngx_trove_hmac_key_wipe(&key);
}


static ngx_int_t
mac(ngx_trove_hmac_key_t *key, u_char *data, size_t len, size_t piece,
    u_char *md)
{
    size_t            n;
    ngx_int_t         rc;
    ngx_trove_hmac_t  hmac;

    rc = ngx_trove_hmac_start(&hmac, key);

    while (rc == NGX_OK && len) {
        n = ngx_min(len, piece);

        rc = ngx_trove_hmac_update(&hmac, data, n);

        data += n;
        len -= n;
    }

    if (rc == NGX_OK) {
        rc = ngx_trove_hmac_final(&hmac, md);
    }

    ngx_trove_hmac_wipe(&hmac);

    return rc;
}


static void
fill(u_char *p, size_t len, u_char c)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        p[i] = (c == 1) ? (u_char) (i + 1) : c;
    }
}


int
main(void)
{
    test_vectors();
    test_lengths();
    test_key();

    return tap_done();
}
