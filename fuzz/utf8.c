
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include "fuzz.h"
#include "json.h"

#include "ngx_trove_utf8.h"


/*
 * Tests the UTF-8 check of a whole text and of its parts, and the decoding of
 * JSON strings.  The input: 2 bytes for the sizes of the parts, and the text.
 */


static void check(const u_char *p, size_t len, uint32_t cut);
static void unescape(const u_char *p, size_t len);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t         len;
    uint32_t       cut;
    fuzz_input_t   in;
    const u_char  *end;

    in.p = data;
    in.last = data + size;

    cut = fuzz_number(&in, 2);
    len = in.last - in.p;

    check(in.p, len, 0);
    check(in.p, len, 1 + cut);

    /* the part that is valid in a string */

    end = json_string(in.p, in.last);

    if (end != NULL && json_utf8(in.p, end)) {
        unescape(in.p, end - in.p);
    }

    return 0;
}


static void
check(const u_char *p, size_t len, uint32_t cut)
{
    u_char            *copy;
    size_t             n, size;
    ngx_int_t          rc;
    ngx_trove_utf8_t   utf8;

    ngx_memzero(&utf8, sizeof(ngx_trove_utf8_t));
    rc = NGX_OK;

    for (n = 0; n < len && rc == NGX_OK; n += size) {
        size = cut ? fuzz_piece(&cut, len - n) : len - n;

        copy = fuzz_copy(p + n, size);
        rc = ngx_trove_utf8_check(&utf8, copy, size);
        free(copy);

        fuzz_check(rc == NGX_OK || rc == NGX_DECLINED, "%d", (int) rc);
    }

    fuzz_check((rc == NGX_OK && utf8.rest == 0) == json_utf8(p, p + len),
               "%d, %d bytes are missing", (int) rc, (int) utf8.rest);
}


static void
unescape(const u_char *p, size_t len)
{
    u_char      *src, *dst, *expected;
    size_t       n, m;
    ngx_uint_t   broken, halves;

    src = fuzz_copy(p, len);
    dst = malloc(len);
    expected = malloc(len);
    fuzz_check((dst && expected) || len == 0, "harness: out of memory");

    broken = 0;
    n = ngx_trove_utf8_unescape(dst, src, len, &broken) - dst;
    m = json_decode(p, p + len, expected, &halves);

    fuzz_check(n == m && memcmp(dst, expected, n) == 0,
               "decoded: %d bytes, the reference: %d", (int) n, (int) m);
    fuzz_check((broken != 0) == (halves != 0), "broken: %d, the reference: %d",
               (int) broken, (int) halves);
    fuzz_check(json_utf8(dst, dst + n), "not UTF-8");

    broken = 7;
    (void) ngx_trove_utf8_unescape(dst, src, len, &broken);
    fuzz_check(broken == (halves ? 1 : 7), "not changed: %d", (int) broken);

    free(expected);
    free(dst);
    free(src);
}
