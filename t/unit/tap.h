
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _TAP_H_INCLUDED_
#define _TAP_H_INCLUDED_


#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>


/*
 * What a unit test needs to talk to prove:
 *
 *   tap_ok(cond, "format", ...)           each prints "ok" or "not ok", and
 *   tap_is(got, expected, ...)            gives 1 or 0; integers, signed
 *   tap_is_str(got, expected, ...)        C strings, NULL allowed
 *   tap_is_mem(got, len, expected, len2, ...)
 *   tap_diag("format", ...)               a "# ..." line on stderr
 *   tap_plan(n)                           optional, before all else
 *   tap_skip_all("format", ...)           instead of everything else
 *   return tap_done();                    at the end of main()
 *
 * To be used by the process that runs main() only: a child that tests for
 * itself reports by its exit code, and leaves by _exit(), which flushes
 * nothing.
 */

#if (__GNUC__)
#define TAP_UNUSED             __attribute__((unused))
#define TAP_PRINTF(fmt, args)  TAP_UNUSED                                     \
                               __attribute__((format(printf, fmt, args)))
#else
#define TAP_UNUSED
#define TAP_PRINTF(fmt, args)
#endif


#define tap_ok(cond, ...)                                                     \
    tap_ok_at(__FILE__, __LINE__, (cond) ? 1 : 0, #cond, __VA_ARGS__)

#define tap_is(got, expected, ...)                                            \
    tap_is_at(__FILE__, __LINE__, (intmax_t) (got), (intmax_t) (expected),    \
              __VA_ARGS__)

#define tap_is_str(got, expected, ...)                                        \
    tap_is_str_at(__FILE__, __LINE__, (got), (expected), __VA_ARGS__)

#define tap_is_mem(got, len, expected, len2, ...)                             \
    tap_is_mem_at(__FILE__, __LINE__, (got), (len), (expected), (len2),       \
                  __VA_ARGS__)


static int  tap_tests;
static int  tap_failures;
static int  tap_planned;


static TAP_PRINTF(1, 2) void
tap_diag(const char *fmt, ...)
{
    va_list  args;

    /* in the order of events, also where both go to one terminal */

    fflush(stdout);
    fputs("# ", stderr);

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);

    fputc('\n', stderr);
}


static TAP_UNUSED void
tap_plan(int n)
{
    tap_planned = n;
    printf("1..%d\n", n);
}


static TAP_PRINTF(1, 2) int
tap_skip_all(const char *fmt, ...)
{
    va_list  args;

    fputs("1..0 # SKIP ", stdout);

    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);

    putchar('\n');

    return 0;
}


static TAP_UNUSED int
tap_result(const char *file, int line, int ok, const char *fmt, va_list args)
{
    printf("%sok %d - ", ok ? "" : "not ", ++tap_tests);
    vprintf(fmt, args);
    putchar('\n');
    fflush(stdout);

    if (!ok) {
        tap_failures++;
        tap_diag("  failed at %s:%d", file, line);
    }

    return ok;
}


static TAP_PRINTF(5, 6) int
tap_ok_at(const char *file, int line, int ok, const char *text,
    const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    tap_result(file, line, ok, fmt, args);
    va_end(args);

    if (!ok) {
        tap_diag("  false: %s", text);
    }

    return ok;
}


static TAP_PRINTF(5, 6) int
tap_is_at(const char *file, int line, intmax_t got, intmax_t expected,
    const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    tap_result(file, line, got == expected, fmt, args);
    va_end(args);

    if (got != expected) {
        tap_diag("       got: %" PRIdMAX, got);
        tap_diag("  expected: %" PRIdMAX, expected);
    }

    return got == expected;
}


static TAP_PRINTF(5, 6) int
tap_is_str_at(const char *file, int line, const char *got,
    const char *expected, const char *fmt, ...)
{
    int      ok;
    va_list  args;

    ok = (got == NULL || expected == NULL) ? got == expected
                                           : strcmp(got, expected) == 0;

    va_start(args, fmt);
    tap_result(file, line, ok, fmt, args);
    va_end(args);

    if (!ok) {
        tap_diag("       got: %s", got ? got : "(NULL)");
        tap_diag("  expected: %s", expected ? expected : "(NULL)");
    }

    return ok;
}


static TAP_UNUSED void
tap_diag_mem(const char *name, const void *p, size_t len)
{
    size_t                i;
    const unsigned char  *s = p;

    fflush(stdout);

    if (s == NULL) {
        fprintf(stderr, "# %s: (NULL)\n", name);
        return;
    }

    fprintf(stderr, "# %s: %zu bytes: \"", name, len);

    for (i = 0; i < len && i < 200; i++) {
        if (s[i] < 0x20 || s[i] >= 0x7f || s[i] == '\\' || s[i] == '"') {
            fprintf(stderr, "\\x%02x", s[i]);

        } else {
            fputc(s[i], stderr);
        }
    }

    fprintf(stderr, "\"%s\n", i < len ? "..." : "");
}


/* NULL is not the same as no bytes */

static TAP_PRINTF(7, 8) int
tap_is_mem_at(const char *file, int line, const void *got, size_t len,
    const void *expected, size_t len2, const char *fmt, ...)
{
    int      ok;
    va_list  args;

    if (got == NULL || expected == NULL) {
        ok = got == expected;

    } else {
        ok = len == len2 && (len == 0 || memcmp(got, expected, len) == 0);
    }

    va_start(args, fmt);
    tap_result(file, line, ok, fmt, args);
    va_end(args);

    if (!ok) {
        tap_diag_mem("       got", got, len);
        tap_diag_mem("  expected", expected, len2);
    }

    return ok;
}


/* the exit code of main(): 0 if all went well */

static TAP_UNUSED int
tap_done(void)
{
    if (tap_planned == 0) {
        printf("1..%d\n", tap_tests);

    } else if (tap_planned != tap_tests) {
        tap_diag("planned %d tests but ran %d", tap_planned, tap_tests);
        return 1;
    }

    fflush(stdout);

    if (tap_failures) {
        tap_diag("%d of %d tests failed", tap_failures, tap_tests);
        return 1;
    }

    return 0;
}


#endif /* _TAP_H_INCLUDED_ */
