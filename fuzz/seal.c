
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include "fuzz.h"

#include "ngx_trove_names.h"
#include "ngx_trove_seal.h"


/*
 * Tests the file of keys, sealed secrets, and the names in a subscription.  The
 * input is a number of 2 bytes, a sealed secret of this length, and a file.
 *
 * Nothing but what has been sealed is opened.
 */


static ngx_trove_seal_keys_t  keys;


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char        *sealed, *opened, *file;
    size_t         len;
    ngx_int_t      rc;
    ngx_str_t      owner, text, secret;
    ngx_uint_t     line;
    fuzz_input_t   in;

    in.p = data;
    in.last = data + size;

    len = fuzz_number(&in, 2);
    len = ngx_min(len, (size_t) (in.last - in.p));

    text.len = len;
    text.data = sealed = malloc(len + 1);
    opened = malloc(len + 1);

    fuzz_check(sealed != NULL && opened != NULL, "harness: out of memory");

    memcpy(sealed, in.p, len);
    in.p += len;

    len = in.last - in.p;
    file = malloc(len + 1);

    fuzz_check(file != NULL, "harness: out of memory");

    memcpy(file, in.p, len);

    (void) ngx_trove_names_pattern(&text);
    (void) ngx_trove_names_namespace(&text);
    (void) ngx_trove_names_description(&text);

    ngx_str_set(&owner, "wh-1");
    secret.data = opened;

    if (ngx_trove_seal_keys(&keys, file, len, &line) == NULL) {

        fuzz_check(keys.n >= 1 && keys.n <= NGX_TROVE_SEAL_KEYS,
                   "the number of keys");

        rc = ngx_trove_unseal(&keys, &owner, &text, &secret);

        fuzz_check(rc == NGX_DECLINED || rc == NGX_ABORT,
                   "a secret that was not sealed is opened: %d", (int) rc);

        /* what is sealed is opened, if its length is that of a secret */

        if (text.len <= 256) {
            free(sealed);
            sealed = malloc(text.len + NGX_TROVE_SEAL_OVERHEAD);
            fuzz_check(sealed != NULL, "harness: out of memory");

            memset(opened, 'x', text.len);

            secret.len = text.len;
            fuzz_check(ngx_trove_seal(&keys, &owner, &secret, sealed) == NGX_OK,
                       "it cannot be sealed");

            text.data = sealed;
            text.len += NGX_TROVE_SEAL_OVERHEAD;
            fuzz_check(ngx_trove_unseal(&keys, &owner, &text, &secret)
                       == NGX_OK,
                       "it cannot be opened");
        }

    } else {
        fuzz_check(keys.n == 0, "keys of an invalid file");
    }

    free(sealed);
    free(opened);
    free(file);

    return 0;
}
