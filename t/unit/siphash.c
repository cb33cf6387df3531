
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "ngx_trove_siphash.h"
#include "tap.h"


/* OpenSSL is the oracle: all lengths up to eight words and one */

int
main(void)
{
    size_t        len, size, i;
    u_char        key[16], data[65], md[16], own[16];
    uint64_t      hash[2];
    EVP_MAC      *mac;
    OSSL_PARAM    params[2];
    EVP_MAC_CTX  *ctx;

    /* the first of the vectors of the reference implementation */

    static u_char  empty[16] = {
        0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6,
        0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93
    };

    for (i = 0; i < sizeof(key); i++) {
        key[i] = i;
    }

    for (i = 0; i < sizeof(data); i++) {
        data[i] = i;
    }

    mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    tap_ok(mac != NULL, "OpenSSL has SipHash");

    ctx = EVP_MAC_CTX_new(mac);
    size = sizeof(md);

    params[0] = OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size);
    params[1] = OSSL_PARAM_construct_end();

    for (len = 0; len <= sizeof(data); len++) {

        EVP_MAC_init(ctx, key, sizeof(key), params);
        EVP_MAC_update(ctx, data, len);
        EVP_MAC_final(ctx, md, &size, sizeof(md));

        ngx_trove_siphash(key, data, len, hash);

        for (i = 0; i < 16; i++) {
            own[i] = (u_char) (hash[i / 8] >> 8 * (i % 8));
        }

        tap_ok(memcmp(own, md, 16) == 0, "%d bytes", (int) len);

        if (len == 0) {
            tap_ok(memcmp(own, empty, 16) == 0, "the reference vector");
        }
    }

    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);

    return tap_done();
}
