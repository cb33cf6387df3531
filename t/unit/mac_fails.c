
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "tap.h"


/*
 * MACs once more, under other names and with functions of OpenSSL that fail:
 * nothing is verified or signed then, and nothing is left or freed twice.
 */

#undef NGX_TROVE_EVP_MAC
#define NGX_TROVE_EVP_MAC         1

#define ngx_trove_hmac_key_set    fails_hmac_key_set
#define ngx_trove_hmac_key_wipe   fails_hmac_key_wipe
#define ngx_trove_hmac_start      fails_hmac_start
#define ngx_trove_hmac_update     fails_hmac_update
#define ngx_trove_hmac_final      fails_hmac_final
#define ngx_trove_hmac_wipe       fails_hmac_wipe

#define ngx_trove_key_create      fails_key_create
#define ngx_trove_key_destroy     fails_key_destroy
#define ngx_trove_mac_create      fails_mac_create
#define ngx_trove_mac_update      fails_mac_update
#define ngx_trove_mac_verify      fails_mac_verify
#define ngx_trove_mac_matched     fails_mac_matched
#define ngx_trove_mac_sign        fails_mac_sign
#define ngx_trove_mac_destroy     fails_mac_destroy

static int  fails_in;                         /* calls; 0: none does */

#define fails(call)               (fails_in && --fails_in == 0 ? 0 : (call))
#define fails_null(call)          (fails_in && --fails_in == 0 ? NULL : (call))

#define EVP_MAC_CTX_new(mac)      fails_null(EVP_MAC_CTX_new(mac))
#define EVP_MAC_CTX_dup(ctx)      fails_null(EVP_MAC_CTX_dup(ctx))
#define EVP_MAC_init(c, s, l, p)  fails(EVP_MAC_init(c, s, l, p))
#define EVP_MAC_update(c, p, l)   fails(EVP_MAC_update(c, p, l))
#define EVP_MAC_final(c, p, l, n) fails(EVP_MAC_final(c, p, l, n))

#include "ngx_trove_hmac.c"
#include "ngx_trove_mac.c"


#define KEYS   3
#define BODY   "{}"


static ngx_trove_key_t  *keys[KEYS];


static void
test_keys(void)
{
    int              i;
    u_char           secret[] = "secret";
    ngx_trove_key_t *key;

    for (i = 1; i <= 2; i++) {
        fails_in = i;
        key = ngx_trove_key_create(secret, 6);

        tap_ok(key == NULL, "a key: call %d fails", i);
    }

    fails_in = 0;

    for (i = 0; i < KEYS; i++) {
        secret[0] = (u_char) ('a' + i);
        keys[i] = ngx_trove_key_create(secret, 6);

        tap_ok(keys[i] != NULL, "key %d", i);
    }
}


/* which is good by the last key: a copy, the dot, the body, an end of each */

static void
test_verify(ngx_trove_signature_t *sg)
{
    int               i;
    ngx_int_t         rc;
    ngx_trove_mac_t  *mac;

    for (i = 1; i <= 4 * KEYS; i++) {
        fails_in = i;
        mac = ngx_trove_mac_create(keys, KEYS, (u_char *) "7", 1);

        if (i <= KEYS) {
            tap_ok(mac == NULL, "verification: copy %d fails", i);
            continue;
        }

        (void) ngx_trove_mac_update(mac, (u_char *) BODY, 2);
        rc = ngx_trove_mac_verify(mac, sg);
        ngx_trove_mac_destroy(mac);

        tap_is(fails_in, 0, "call %d has failed", i);
        tap_is(rc, NGX_ERROR, "nothing is verified");
    }

    fails_in = 0;
    mac = ngx_trove_mac_create(keys, KEYS, (u_char *) "7", 1);

    tap_is(ngx_trove_mac_update(mac, (u_char *) BODY, 2), NGX_OK, "and then");
    tap_is(ngx_trove_mac_verify(mac, sg), NGX_OK, "it is");
    ngx_trove_mac_destroy(mac);
}


static void
test_sign(ngx_trove_signature_t *sg)
{
    int               i;
    u_char           *p, buf[NGX_TROVE_SIGNATURE_TEXT_MAX];
    ngx_str_t         value;
    ngx_trove_mac_t  *mac;

    for (i = 1; i <= 5; i++) {
        fails_in = i % 5;
        mac = ngx_trove_mac_create(&keys[KEYS - 1], 1, (u_char *) "7", 1);

        if (i == 1) {
            tap_ok(mac == NULL, "signing: the copy fails");
            continue;
        }

        (void) ngx_trove_mac_update(mac, (u_char *) BODY, 2);
        p = ngx_trove_mac_sign(mac, (u_char *) "7", 1, buf);
        ngx_trove_mac_destroy(mac);

        if (i < 5) {
            tap_is(fails_in, 0, "call %d has failed", i);
            tap_ok(p == NULL, "nothing is signed");
            continue;
        }

        tap_ok(p != NULL, "and then it is");

        value.data = buf;
        value.len = p - buf;

        tap_is(ngx_trove_signature_parse(sg, &value), NGX_OK, "a signature");
    }
}


int
main(void)
{
    int                    i;
    ngx_trove_signature_t  sg;

    test_keys();
    test_sign(&sg);
    test_verify(&sg);

    for (i = 0; i < KEYS; i++) {
        ngx_trove_key_destroy(keys[i]);
    }

    return tap_done();
}
