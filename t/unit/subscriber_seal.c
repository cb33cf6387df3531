
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_names.h"
#include "ngx_trove_seal.h"
#include "tap.h"


/* Sealed secrets, the file of their keys, and the names in a subscription. */


#define KEY_A  "0123456789abcdef0123456789abcdef"                             \
               "0123456789abcdef0123456789abcdef"
#define KEY_B  "FEDCBA9876543210fedcba9876543210"                             \
               "fedcba9876543210fedcba9876543210"


typedef struct {
    const char  *text;
    ngx_uint_t   n;                            /* 0: invalid */
    ngx_uint_t   line;
} file_t;


static file_t  files[] = {
    { KEY_A, 1, 0 },
    { KEY_A "\n", 1, 0 },
    { "# a comment\n\n  " KEY_A " \r\n" KEY_B "\n\n", 2, 0 },
    { "", 0, 0 },
    { "\n# nothing\n", 0, 0 },
    { KEY_A "\n" KEY_A "\n", 0, 2 },
    { KEY_A "0\n", 0, 1 },
    { "\n" KEY_A "\nx\n", 0, 3 },
    { "0123456789abcdefg123456789abcdef0123456789abcdef0123456789abcdef", 0,
      1 },
    { "trove-whsec-" KEY_A, 0, 1 }
};


static ngx_trove_seal_keys_t  keys, other;


static ngx_str_t
str(const char *s)
{
    ngx_str_t  v;

    v.data = (u_char *) s;
    v.len = strlen(s);

    return v;
}


static const char *
parse(ngx_trove_seal_keys_t *k, const char *text, ngx_uint_t *line)
{
    return ngx_trove_seal_keys(k, (u_char *) text, strlen(text), line);
}


static void
test_files(void)
{
    u_char      zero[sizeof(ngx_trove_seal_keys_t)];
    ngx_uint_t  i, line;

    memset(zero, 0, sizeof(zero));

    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {

        if (files[i].n) {
            tap_ok(parse(&keys, files[i].text, &line) == NULL
                   && keys.n == files[i].n,
                   "file %d has %d keys", (int) i, (int) files[i].n);
            continue;
        }

        tap_ok(parse(&keys, files[i].text, &line) != NULL
               && line == files[i].line,
               "file %d is invalid at line %d", (int) i, (int) files[i].line);
        tap_ok(memcmp(&keys, zero, sizeof(zero)) == 0,
               "nothing of it is kept");
    }
}


static void
test_seal(void)
{
    u_char      sealed[256], again[256], opened[256];
    size_t      i;
    ngx_str_t   owner, thief, secret, text, plain;
    ngx_uint_t  line, bad;

    (void) parse(&keys, KEY_A "\n" KEY_B, &line);

    owner = str("wh-1");
    thief = str("wh-2");
    secret = str("trove-whsec-a secret");

    tap_is(ngx_trove_seal(&keys, &owner, &secret, sealed), NGX_OK, "sealed");
    tap_is(ngx_trove_seal(&keys, &owner, &secret, again), NGX_OK, "again");

    text.data = sealed;
    text.len = secret.len + NGX_TROVE_SEAL_OVERHEAD;

    tap_ok(memcmp(sealed, again, text.len) != 0, "never the same");

    for (bad = 0, i = 0; i + 5 < text.len; i++) {
        bad += (memcmp(sealed + i, "trove", 5) == 0);
    }

    tap_is(bad, 0, "the secret is not in it");

    plain.data = opened;

    tap_is(ngx_trove_unseal(&keys, &owner, &text, &plain), NGX_OK, "opened");
    tap_ok(plain.len == secret.len
           && memcmp(plain.data, secret.data, secret.len) == 0,
           "as it was");

    tap_is(ngx_trove_unseal(&keys, &thief, &text, &plain), NGX_ABORT,
           "not that of another subscription");
    tap_is(plain.len, 0, "nothing of it is returned");

    /* the key moves down, and is gone */

    (void) parse(&other, KEY_B "\n" KEY_A, &line);
    tap_is(ngx_trove_unseal(&other, &owner, &text, &plain), NGX_OK,
           "opened by the second key");

    (void) parse(&other, KEY_B, &line);
    tap_is(ngx_trove_unseal(&other, &owner, &text, &plain), NGX_DECLINED,
           "its key is gone");

    for (bad = 0, i = 0; i < text.len; i++) {
        sealed[i] ^= 1;
        bad += (ngx_trove_unseal(&keys, &owner, &text, &plain) == NGX_OK);
        sealed[i] ^= 1;
    }

    tap_is(bad, 0, "no bit can be changed");

    for (bad = 0, i = 0; i < secret.len + NGX_TROVE_SEAL_OVERHEAD; i++) {
        text.len = i;
        bad += (ngx_trove_unseal(&keys, &owner, &text, &plain) == NGX_OK);
    }

    tap_is(bad, 0, "nor can it be cut");

    secret.len = 0;
    tap_is(ngx_trove_seal(&keys, &owner, &secret, sealed), NGX_OK, "empty");
    text.len = NGX_TROVE_SEAL_OVERHEAD;
    tap_is(ngx_trove_unseal(&keys, &owner, &text, &plain), NGX_OK, "opened");

    ngx_trove_seal_wipe(&keys);
    tap_is(keys.n, 0, "wiped");
}


static void
test_names(void)
{
    char        longest[1002];
    u_char      id[NGX_TROVE_WEBHOOK_ID_LEN + 1];
    u_char      secret[NGX_TROVE_WEBHOOK_SECRET_LEN + 1];
    ngx_str_t   s;
    ngx_uint_t  i;

    static const char  *patterns[] = {
        "*", "file.written", "file.*", "\xc3\xa4*", NULL,
        "", "**", "*.written", "a\nb", "a\x7f", "\xc3", "\xc2\x85", "a*b", NULL
    };

    for (i = 0; patterns[i]; i++) {
        s = str(patterns[i]);
        tap_ok(ngx_trove_names_pattern(&s) == NULL, "\"%s\"", patterns[i]);
    }

    for (i++; patterns[i]; i++) {
        s = str(patterns[i]);
        tap_ok(ngx_trove_names_pattern(&s) != NULL, "invalid %d", (int) i);
    }

    memset(longest, 'a', sizeof(longest));
    s.data = (u_char *) longest;

    s.len = 255;
    tap_ok(ngx_trove_names_pattern(&s) == NULL, "the longest pattern");
    tap_ok(ngx_trove_names_namespace(&s) == NULL, "and namespace");
    s.len = 256;
    tap_ok(ngx_trove_names_pattern(&s) != NULL, "one byte more");
    tap_ok(ngx_trove_names_namespace(&s) != NULL, "likewise");
    s.len = 1000;
    tap_ok(ngx_trove_names_description(&s) == NULL, "the longest description");
    s.len = 1001;
    tap_ok(ngx_trove_names_description(&s) != NULL, "one byte more");
    s.len = 0;
    tap_ok(ngx_trove_names_description(&s) == NULL, "none");
    tap_ok(ngx_trove_names_namespace(&s) != NULL, "no namespace is not one");

    memset(id, 0, sizeof(id));
    memset(secret, 0, sizeof(secret));

    tap_is(ngx_trove_webhook_id(id), NGX_OK, "an id");
    tap_ok(strlen((char *) id) == NGX_TROVE_WEBHOOK_ID_LEN
           && strncmp((char *) id, "wh-", 3) == 0
           && strspn((char *) id + 3, "0123456789abcdef") == 24,
           "of its form: %s", id);

    tap_is(ngx_trove_webhook_secret(secret), NGX_OK, "a secret");
    tap_ok(strlen((char *) secret) == NGX_TROVE_WEBHOOK_SECRET_LEN
           && strncmp((char *) secret, "trove-whsec-", 12) == 0
           && strspn((char *) secret + 12, "0123456789abcdef") == 64,
           "of its form");
}


int
main(void)
{
    test_files();
    test_seal();
    test_names();

    return tap_done();
}
