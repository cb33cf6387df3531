
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_utf8.h"
#include "tap.h"


static void test_characters(void);
static void test_two_bytes(void);
static void test_places(void);
static void test_replace(void);
static void test_control(void);
static ngx_uint_t is_utf8(const char *p, size_t len);
static size_t encode(u_char *p, uint32_t ch);


int
main(void)
{
    test_characters();
    test_two_bytes();
    test_places();
    test_replace();
    test_control();

    return tap_done();
}


/* each code point in its right form, and in every longer one */

static void
test_characters(void)
{
    char        buf[4];
    u_char     *p;
    size_t      len;
    uint32_t    ch;
    ngx_uint_t  good, bad_overlong, bad_surrogate, bad_beyond;

    good = 0;
    bad_overlong = 0;
    bad_surrogate = 0;
    bad_beyond = 0;

    p = (u_char *) buf;

    for (ch = 0; ch <= 0x1fffff; ch++) {
        len = encode(p, ch);

        if (ch > 0x10ffff) {
            bad_beyond += is_utf8(buf, len);

        } else if (ch >= 0xd800 && ch <= 0xdfff) {
            bad_surrogate += is_utf8(buf, len);

        } else {
            good += is_utf8(buf, len);
        }

        if (len < 2) {
            buf[0] = (char) (0xc0 | ch >> 6);
            buf[1] = (char) (0x80 | (ch & 0x3f));
            bad_overlong += is_utf8(buf, 2);
        }

        if (len < 3) {
            buf[0] = (char) 0xe0;
            buf[1] = (char) (0x80 | ch >> 6);
            buf[2] = (char) (0x80 | (ch & 0x3f));
            bad_overlong += is_utf8(buf, 3);
        }

        if (len < 4) {
            buf[0] = (char) 0xf0;
            buf[1] = (char) (0x80 | ch >> 12);
            buf[2] = (char) (0x80 | (ch >> 6 & 0x3f));
            buf[3] = (char) (0x80 | (ch & 0x3f));
            bad_overlong += is_utf8(buf, 4);
        }
    }

    tap_is(good, 0x110000 - 0x800, "all characters");
    tap_is(bad_overlong, 0, "no overlong form");
    tap_is(bad_surrogate, 0, "no surrogate");
    tap_is(bad_beyond, 0, "nothing beyond U+10FFFF");
}


static void
test_two_bytes(void)
{
    char        buf[2];
    ngx_uint_t  a, b, n, expected;

    n = 0;
    expected = 128 * 128 + 30 * 64;

    for (a = 0; a < 256; a++) {
        for (b = 0; b < 256; b++) {
            buf[0] = (char) a;
            buf[1] = (char) b;
            n += is_utf8(buf, 2);
        }
    }

    tap_is(n, expected, "of all pairs of bytes");

    n = 0;

    for (a = 0x80; a < 256; a++) {
        buf[0] = (char) a;
        n += is_utf8(buf, 1);
    }

    tap_is(n, 0, "a byte beyond ASCII alone");

    tap_ok(!is_utf8("\xe2\x82", 2), "the third of three is missing");
    tap_ok(!is_utf8("\xf0\x9f\x98", 3), "the fourth of four is missing");
    tap_ok(!is_utf8("\xe2\x82" "a", 3), "something else comes in its place");
    tap_ok(!is_utf8("\xe2\x82\xac\xac", 4), "there is one too many");
    tap_ok(!is_utf8("\xf8\x88\x80\x80\x80", 5), "five bytes");
    tap_ok(is_utf8("", 0), "nothing");
}


/* words of ASCII are skipped: a bad byte is found wherever it is */

static void
test_places(void)
{
    char        buf[40];
    size_t      start, len, i;
    ngx_uint_t  missed, refused;

    missed = 0;
    refused = 0;

    for (start = 0; start < 8; start++) {
        for (len = 0; len + start <= sizeof(buf); len++) {
            memset(buf, 'a', sizeof(buf));

            for (i = start; i < start + len; i++) {
                buf[i] = (char) 0x80;
                missed += is_utf8(buf + start, len);
                buf[i] = 'a';

                if (i + 1 < start + len) {
                    memcpy(buf + i, "\xc3\xa9", 2);
                    refused += !is_utf8(buf + start, len);
                    memcpy(buf + i, "aa", 2);
                }
            }
        }
    }

    tap_is(missed, 0, "a bad byte anywhere");
    tap_is(refused, 0, "a character anywhere");
}


static void
test_replace(void)
{
    u_char      *end, out[64];
    ngx_uint_t   i;

    static struct {
        const char  *from;
        const char  *to;
    } tests[] = {
        { "", "" },
        { "plain", "plain" },
        { "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
          "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
        { "a\xff" "b", "a\xef\xbf\xbd" "b" },
        { "\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xe2\x82", "\xef\xbf\xbd" },
        { "\xe2\x82" "a", "\xef\xbf\xbd" "a" },
        { "\xf0\x9f\xc3\xa4", "\xef\xbf\xbd\xc3\xa4" },
        { "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xc3\xc3\xc3", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }
    };

    for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        end = ngx_trove_utf8_replace(out, (u_char *) tests[i].from,
                                     strlen(tests[i].from));
        *end = '\0';

        tap_is_str((char *) out, tests[i].to, "replaced: case %d", (int) i);
    }
}


/* each code point, and each pair of bytes, which may be no UTF-8 */

static void
test_control(void)
{
    u_char      p[4];
    size_t      len;
    uint32_t    ch;
    ngx_uint_t  is, right, right_pair;

    right = 0;
    right_pair = 0;

    for (ch = 0; ch <= 0x10ffff; ch++) {
        len = encode(p, ch);

        is = (ch < 0x20 || (ch >= 0x7f && ch <= 0x9f));

        right += (ngx_trove_utf8_control(p, p + len) == (is ? len : 0));
    }

    tap_is(right, 0x110000, "control characters are told");

    for (ch = 0; ch <= 0xffff; ch++) {
        p[0] = (u_char) (ch >> 8);
        p[1] = (u_char) ch;

        is = (p[0] < 0x20 || p[0] == 0x7f) ? 1
             : (ch >= 0xc280 && ch <= 0xc29f) ? 2 : 0;

        right_pair += (ngx_trove_utf8_control(p, p + 2) == is);

        /* nothing is looked at that is behind the end */

        right_pair += (ngx_trove_utf8_control(p, p + 1) == (is == 1));
    }

    tap_is(right_pair, 2 * 0x10000, "pairs of bytes");
}


/* at once, and in two pieces: these must agree */

static ngx_uint_t
is_utf8(const char *p, size_t len)
{
    size_t            n;
    u_char           *data;
    ngx_uint_t        whole, split;
    ngx_trove_utf8_t  utf8;

    data = (u_char *) p;

    ngx_memzero(&utf8, sizeof(utf8));
    whole = (ngx_trove_utf8_check(&utf8, data, len) == NGX_OK
             && utf8.rest == 0);

    for (n = 0; n < len; n++) {
        ngx_memzero(&utf8, sizeof(utf8));

        split = (ngx_trove_utf8_check(&utf8, data, n) == NGX_OK
                 && ngx_trove_utf8_check(&utf8, data + n, len - n) == NGX_OK
                 && utf8.rest == 0);

        if (split != whole) {
            tap_ok(0, "split after %d of %d bytes", (int) n, (int) len);
        }
    }

    return whole;
}


static size_t
encode(u_char *p, uint32_t ch)
{
    if (ch < 0x80) {
        p[0] = (u_char) ch;
        return 1;
    }

    if (ch < 0x800) {
        p[0] = (u_char) (0xc0 | ch >> 6);
        p[1] = (u_char) (0x80 | (ch & 0x3f));
        return 2;
    }

    if (ch < 0x10000) {
        p[0] = (u_char) (0xe0 | ch >> 12);
        p[1] = (u_char) (0x80 | (ch >> 6 & 0x3f));
        p[2] = (u_char) (0x80 | (ch & 0x3f));
        return 3;
    }

    p[0] = (u_char) (0xf0 | ch >> 18);
    p[1] = (u_char) (0x80 | (ch >> 12 & 0x3f));
    p[2] = (u_char) (0x80 | (ch >> 6 & 0x3f));
    p[3] = (u_char) (0x80 | (ch & 0x3f));

    return 4;
}
