
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_names.h"
#include "ngx_trove_seal.h"
#include "tap.h"


/*
 * Sealed secrets: one that another implementation has sealed, all changes of a
 * byte, all lengths, other owners, the rotation of keys; and files of keys.
 */


#define KEYS      NGX_TROVE_SEAL_KEYS
#define OVERHEAD  NGX_TROVE_SEAL_OVERHEAD


static ngx_trove_seal_keys_t  keys, other;
static u_char                 opened[512];


static ngx_str_t
str(const char *s)
{
    ngx_str_t  v;

    v.data = (u_char *) s;
    v.len = strlen(s);

    return v;
}


/* the key number n, as a line */

static char *
line_of(char *p, ngx_uint_t n)
{
    return p + sprintf(p, "%064lx\n", (unsigned long) n + 1);
}


static const char *
parse(ngx_trove_seal_keys_t *k, const char *text, size_t len,
    ngx_uint_t *line)
{
    u_char      *copy;
    const char  *error;

    copy = malloc(len ? len : 1);
    memcpy(copy, text, len);

    error = ngx_trove_seal_keys(k, copy, len, line);

    free(copy);

    return error;
}


static void
one_key(ngx_trove_seal_keys_t *k, ngx_uint_t n)
{
    char        text[128];
    ngx_uint_t  line;

    (void) parse(k, text, line_of(text, n) - text, &line);
}


static ngx_int_t
unseal(ngx_trove_seal_keys_t *k, const char *owner, u_char *p, size_t len,
    ngx_str_t *plain)
{
    u_char     *copy;
    ngx_int_t   rc;
    ngx_str_t   id, sealed;

    copy = malloc(len ? len : 1);
    memcpy(copy, p, len);

    sealed.data = copy;
    sealed.len = len;
    id = str(owner);

    memset(opened, 'x', sizeof(opened));
    plain->data = opened;
    plain->len = 999;

    rc = ngx_trove_unseal(k, &id, &sealed, plain);

    free(copy);

    return rc;
}


/* made by another implementation: what is in a spool stays readable */

static void
test_known(void)
{
    u_char       sealed[256];
    size_t       i;
    ngx_str_t    plain;
    ngx_uint_t   line;
    const char  *key, *owner, *secret;

    static const char  hex[] =
        "014773d12ea0a1a2a3a4a5a6a7a8a9aaabaa461b5a25614a94fc595a"
        "645fd8b3c9f4f3cb80d4f3327de682e2e88731dcf8824b7901292850"
        "749dc4fe06c30cbc05ba8e46ff3910ce9a6b62f74cc7c4313e944a88"
        "ba26190cdd137e2930d96bf576fd595e6cc8183bc8f8d3b2da";

    key = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
    owner = "wh-0123456789abcdef01234567";
    secret = "trove-whsec-0123456789abcdef0123456789abcdef"
             "0123456789abcdef0123456789abcdef";

    for (i = 0; i < sizeof(hex) / 2; i++) {
        sscanf(hex + 2 * i, "%2hhx", &sealed[i]);
    }

    tap_ok(parse(&keys, key, 64, &line) == NULL, "the key");
    tap_is(unseal(&keys, owner, sealed, sizeof(hex) / 2, &plain), NGX_OK,
           "a known secret is opened");
    tap_is_mem(plain.data, plain.len, secret, strlen(secret), "it is right");
    tap_is(opened[plain.len], 'x', "nothing is written after it");
}


static void
test_changes(void)
{
    int         c;
    u_char      sealed[512], saved;
    size_t      i, len;
    ngx_int_t   rc, expected;
    ngx_str_t   owner, secret, plain;
    ngx_uint_t  wrong, kept;

    one_key(&keys, 0);

    owner = str("wh-1");
    secret = str("trove-whsec-0123");

    tap_is(ngx_trove_seal(&keys, &owner, &secret, sealed), NGX_OK, "sealed");

    len = secret.len + OVERHEAD;
    wrong = 0;
    kept = 0;

    for (i = 0; i < len; i++) {
        saved = sealed[i];

        /* the version, the id of the key, and all else */

        expected = (i >= 1 && i <= 4) ? NGX_DECLINED : NGX_ABORT;

        for (c = 1; c < 256; c++) {
            sealed[i] = saved ^ c;

            rc = unseal(&keys, "wh-1", sealed, len, &plain);

            wrong += (rc != expected || plain.len != 0);
            kept += (memcmp(opened, secret.data, 4) == 0);
        }

        sealed[i] = saved;
    }

    tap_is(wrong, 0, "all changes of one byte are found");
    tap_is(kept, 0, "nothing is left of the secret");

    for (wrong = 0, i = 0; i < len; i++) {
        rc = unseal(&keys, "wh-1", sealed, i, &plain);
        wrong += (rc != NGX_ABORT || plain.len != 0);
    }

    tap_is(wrong, 0, "it may not be cut at the end");

    for (wrong = 0, i = 1; i <= len; i++) {
        rc = unseal(&keys, "wh-1", sealed + i, len - i, &plain);
        wrong += (rc == NGX_OK || plain.len != 0);
    }

    tap_is(wrong, 0, "nor at the start");

    memset(sealed + len, 0, 64);

    for (wrong = 0, i = 1; i <= 64; i++) {
        rc = unseal(&keys, "wh-1", sealed, len + i, &plain);
        wrong += (rc != NGX_ABORT || plain.len != 0);
    }

    tap_is(wrong, 0, "nor may it be longer");

    tap_is(unseal(&keys, "wh-1", sealed, len, &plain), NGX_OK,
           "unchanged, it is opened");
}


static void
test_owners(void)
{
    u_char      sealed[512];
    ngx_str_t   owner, secret, plain;
    ngx_uint_t  i;

    static const char  *others[] = {
        "", "w", "wh-", "wh-12", "wh-2", "WH-1", "wh-1 ", " wh-1", "wh-11"
    };

    one_key(&keys, 0);

    owner = str("wh-1");
    secret = str("trove-whsec-0123");

    (void) ngx_trove_seal(&keys, &owner, &secret, sealed);

    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        tap_is(unseal(&keys, others[i], sealed, secret.len + OVERHEAD, &plain),
               NGX_ABORT, "not a secret of \"%s\"", others[i]);
    }
}


static void
test_lengths(void)
{
    u_char      sealed[512], text[256];
    size_t      i;
    ngx_int_t   rc;
    ngx_str_t   owner, secret, plain;
    ngx_uint_t  wrong;

    one_key(&keys, 0);
    memset(text, 's', sizeof(text));

    owner = str("wh-1");
    secret.data = text;

    for (wrong = 0, i = 0; i <= sizeof(text); i++) {
        secret.len = i;
        sealed[i + OVERHEAD] = 'x';

        rc = ngx_trove_seal(&keys, &owner, &secret, sealed);
        wrong += (rc != NGX_OK || sealed[i + OVERHEAD] != 'x');

        rc = unseal(&keys, "wh-1", sealed, i + OVERHEAD, &plain);
        wrong += (rc != NGX_OK || plain.len != i
                  || memcmp(opened, text, i) != 0 || opened[i] != 'x');
    }

    tap_is(wrong, 0, "secrets of all lengths");
}


static void
test_rotation(void)
{
    char        text[80 * (KEYS + 1)], *p;
    u_char      sealed[KEYS + 1][64];
    ngx_int_t   rc;
    ngx_str_t   owner, secret, plain;
    ngx_uint_t  i, k, line, wrong;

    owner = str("wh-1");
    secret = str("trove-whsec-0123");

    for (i = 0; i <= KEYS; i++) {
        one_key(&keys, i);
        (void) ngx_trove_seal(&keys, &owner, &secret, sealed[i]);
    }

    /* the newest one is the first */

    for (wrong = 0, i = 1; i <= KEYS; i++) {

        for (p = text, k = i; k > 0; k--) {
            p = line_of(p, k - 1);
        }

        wrong += (parse(&keys, text, p - text, &line) != NULL || keys.n != i
                  || line != 0);

        for (k = 0; k <= KEYS; k++) {
            rc = unseal(&keys, "wh-1", sealed[k], secret.len + OVERHEAD,
                        &plain);
            wrong += (rc != (k < i ? NGX_OK : NGX_DECLINED));
        }

        /* the first one seals */

        one_key(&other, i - 1);
        (void) ngx_trove_seal(&keys, &owner, &secret, sealed[i - 1]);
        rc = unseal(&other, "wh-1", sealed[i - 1], secret.len + OVERHEAD,
                    &plain);
        wrong += (rc != NGX_OK);
    }

    tap_is(wrong, 0, "1 to %d keys", KEYS);

    for (p = text, k = 0; k <= KEYS; k++) {
        p = line_of(p, k);
    }

    tap_ok(parse(&keys, text, p - text, &line) != NULL && line == KEYS + 1,
           "one more is an error");
    tap_is(keys.n, 0, "no key is kept");

    /* without keys, also after they have been wiped */

    memset(sealed[1], 0xee, 64);
    tap_is(ngx_trove_seal(&keys, &owner, &secret, sealed[1]), NGX_ERROR,
           "nothing is sealed without a key");
    tap_is(unseal(&keys, "wh-1", sealed[0], secret.len + OVERHEAD, &plain),
           NGX_DECLINED, "nor opened");

    one_key(&keys, 0);
    ngx_trove_seal_wipe(&keys);
    tap_is(ngx_trove_seal(&keys, &owner, &secret, sealed[1]), NGX_ERROR,
           "nor after they have been wiped");
}


/* a key that has a byte changed, or is cut */

static void
test_files(void)
{
    int         c;
    char        text[256];
    size_t      i;
    u_char      zero[sizeof(ngx_trove_seal_keys_t)];
    ngx_uint_t  line, wrong, digit;

    memset(zero, 0, sizeof(zero));

    for (wrong = 0, c = 0; c < 256; c++) {

        for (i = 0; i < 64; i++) {
            memset(text, 'a', 64);
            text[i] = (char) c;

            digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')
                    || (c >= 'A' && c <= 'F');

            if ((parse(&keys, text, 64, &line) == NULL) != digit
                || (!digit && memcmp(&keys, zero, sizeof(zero)) != 0))
            {
                wrong++;
            }
        }
    }

    tap_is(wrong, 0, "each byte at each place of a key");

    memset(text, 'a', sizeof(text));

    for (wrong = 0, i = 0; i <= 200; i++) {
        wrong += ((parse(&keys, text, i, &line) == NULL) != (i == 64));
    }

    tap_is(wrong, 0, "keys of all lengths");

    /* blanks around it, and the ends of lines of all systems */

    text[64] = '\n';
    tap_ok(parse(&keys, text, 65, &line) == NULL, "LF");

    text[64] = '\r';
    tap_ok(parse(&keys, text, 65, &line) == NULL, "CR");

    text[65] = '\n';
    tap_ok(parse(&keys, text, 66, &line) == NULL, "CR LF");

    text[64] = '\0';
    tap_ok(parse(&keys, text, 65, &line) != NULL, "a null byte");

    memcpy(text, "\xef\xbb\xbf", 3);
    memset(text + 3, 'a', 64);
    tap_ok(parse(&keys, text, 67, &line) != NULL && line == 1,
           "a byte order mark");

    memset(text, 'a', 64);
    text[64] = '\n';
    memset(text + 65, 'A', 64);
    tap_ok(parse(&keys, text, 129, &line) != NULL && line == 2,
           "the same key in upper case");
}


/* no two are equal, and they are safe in a path */

static void
test_random(void)
{
    u_char      ids[1000][NGX_TROVE_WEBHOOK_ID_LEN];
    u_char      secrets[1000][NGX_TROVE_WEBHOOK_SECRET_LEN];
    ngx_uint_t  i, k, wrong;

    for (wrong = 0, i = 0; i < 1000; i++) {
        wrong += (ngx_trove_webhook_id(ids[i]) != NGX_OK);
        wrong += (ngx_trove_webhook_secret(secrets[i]) != NGX_OK);

        for (k = 0; k < i; k++) {
            wrong += (memcmp(ids[i], ids[k], sizeof(ids[i])) == 0);
            wrong += (memcmp(secrets[i], secrets[k], sizeof(secrets[i])) == 0);
        }
    }

    tap_is(wrong, 0, "ids and secrets are different");
}


int
main(void)
{
    test_known();
    test_changes();
    test_owners();
    test_lengths();
    test_rotation();
    test_files();
    test_random();

    return tap_done();
}
