
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include "fuzz.h"
#include "json.h"

#include "ngx_trove_event_line.h"


/*
 * Tests the body of an event on one line: any text.  A line must have no
 * control character, and its strings must have the same contents, one by one;
 * between them, only white space may differ.
 */


static void compare(const u_char *p, const u_char *last, const u_char *q,
    const u_char *end);
static void strings(const u_char *p, const u_char *last, const u_char *q,
    const u_char *end);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char     *src, *dst;
    size_t      n, m, len, i;
    ngx_int_t   rc;

    src = fuzz_copy(data, size);

    rc = ngx_trove_event_line(NULL, src, size, &n);

    fuzz_check(rc == NGX_OK || rc == NGX_ERROR, "%d", (int) rc);

    if (rc == NGX_OK) {
        fuzz_check(json_utf8(src, src + size), "not UTF-8");
        fuzz_check(n <= 6 * size && n >= 2, "%d of %d bytes", (int) n,
                   (int) size);

        dst = malloc(n);
        fuzz_check(dst != NULL, "harness: out of memory");

        rc = ngx_trove_event_line(dst, src, size, &m);

        fuzz_check(rc == NGX_OK && m == n, "%d: %d bytes, not %d", (int) rc,
                   (int) m, (int) n);

        for (i = 0; i < n; i += len) {
            len = json_char(dst + i, dst + n);

            fuzz_check(len, "not UTF-8 at %d", (int) i);
            fuzz_check(dst[i] >= 0x20 && dst[i] != 0x7f, "control at %d",
                       (int) i);
            fuzz_check(len != 2 || dst[i] != 0xc2 || dst[i + 1] >= 0xa0,
                       "control at %d", (int) i);
            fuzz_check(len != 3 || (memcmp(dst + i, "\xe2\x80\xa8", 3) != 0
                                   && memcmp(dst + i, "\xe2\x80\xa9", 3) != 0),
                       "a separator of lines at %d", (int) i);
        }

        compare(src, src + size, dst, dst + n);

        free(dst);
    }

    free(src);

    return 0;
}


/* an escape is skipped with the character that follows the backslash */

static const u_char *
close_of(const u_char *p, const u_char *last)
{
    for ( /* void */ ; p < last && *p != '"'; p++) {
        p += (*p == '\\');
    }

    fuzz_check(p < last, "a string without an end");

    return p;
}


static ngx_uint_t
blank(u_char ch)
{
    return ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n';
}


static void
compare(const u_char *p, const u_char *last, const u_char *q,
    const u_char *end)
{
    const u_char  *a, *b;

    for ( ;; ) {

        while (p < last && blank(*p)) {
            p++;
        }

        while (q < end && blank(*q)) {
            q++;
        }

        if (p == last || q == end) {
            break;
        }

        fuzz_check(*p == *q, "token %d, not %d", *q, *p);

        if (*p++ == '"') {
            a = close_of(p, last);
            b = close_of(++q, end);

            strings(p, a, q, b);

            p = a + 1;
            q = b;
        }

        q++;
    }

    fuzz_check(p == last && q == end, "%d bytes of text, %d of the line left",
               (int) (last - p), (int) (end - q));
}


static void
strings(const u_char *p, const u_char *last, const u_char *q,
    const u_char *end)
{
    size_t     n, m;
    uint16_t  *a, *b;

    a = malloc((last - p + 1) * sizeof(uint16_t));
    b = malloc((end - q + 1) * sizeof(uint16_t));
    fuzz_check(a && b, "harness: out of memory");

    n = json_units(p, last, a);
    m = json_units(q, end, b);

    fuzz_check(n == m && memcmp(a, b, n * sizeof(uint16_t)) == 0,
               "a string of %d units, not %d", (int) m, (int) n);

    free(a);
    free(b);
}
