
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_event_line.h"
#include "tap.h"


/* The body of an event on one line. */


static void cases(void);
static void invalid(void);
static void characters(void);
static void truncated(void);
static ngx_int_t line(const char *text, size_t len, u_char **out, size_t *n);


int
main(void)
{
    cases();
    invalid();
    characters();
    truncated();

    return tap_done();
}


static void
cases(void)
{
    size_t       n;
    u_char      *out;
    ngx_uint_t   i;

    static struct {
        const char  *text;
        const char  *line;
    } cases[] = {
        { "{}", "{}" },
        { " \r\n\t{}\n", "{}" },
        { "{\n  \"a\": 1,\r\n\t\"b\":[1,\n2]}\n", NULL },
        { "{\"a\":\"\\u2028\\n\\\\\\\"\\/\\b\\f\\r\\t\\uD83d\\ude00\"}", NULL },
        { "{\"a\":\"\xc2\x85\"}", "{\"a\":\"\\u0085\"}" },
        { "{\"a\":\"\xe2\x80\xa8\xe2\x80\xa9\"}",
          "{\"a\":\"\\u2028\\u2029\"}" },
        { "{\"\xe2\x80\xa8\":1}", "{\"\\u2028\":1}" },
        { "{\"a\":\"\x0b\x0c\x1c\x1d\x1e\x1f\x7f\"}",
          "{\"a\":\"\\u000b\\u000c\\u001c\\u001d\\u001e\\u001f\\u007f\"}" },
        { "{\"a\":\"\n\r\t\"}", "{\"a\":\"\\u000a\\u000d\\u0009\"}" },
        { "{\"a\":\"\xe2\x80\xa7\xe2\x80\xaa\xe2\x81\xa8\xe3\x80\xa8\"}",
          "{\"a\":\"\xe2\x80\xa7\xe2\x80\xaa\xe2\x81\xa8\xe3\x80\xa8\"}" },
        { "{\"a\":\"\xc2\xa0\xc3\x85\xf0\x9f\x98\x80\"}",
          "{\"a\":\"\xc2\xa0\xc3\x85\xf0\x9f\x98\x80\"}" },
        { "{\"a\":\"\\\\\xe2\x80\xa8\"}", "{\"a\":\"\\\\\\u2028\"}" },
        { "{\"a\":\"}{][\",\"b\":[{}]}", "{\"a\":\"}{][\",\"b\":[{}]}" },
        { NULL, NULL }
    };

    cases[2].line = "{   \"a\": 1,   \"b\":[1, 2]}";
    cases[3].line = cases[3].text;

    for (i = 0; cases[i].text; i++) {
        out = NULL;

        tap_is(line(cases[i].text, strlen(cases[i].text), &out, &n), NGX_OK,
               "case %d", (int) i);
        tap_is_mem(out, n, cases[i].line, strlen(cases[i].line),
                   "case %d: the line", (int) i);
        free(out);
    }
}


static void
invalid(void)
{
    size_t       n;
    u_char      *out;
    ngx_uint_t   i;

    static const char  *cases[] = {
        "", " ", "[]", "1", "\"{}\"", "{", "}", "{]", "{}}", "{} {}", "{}1",
        "{\"a\":\"", "{\"a\":\"}", "{\"a\":\"\\", "{\"a\":\"\\u", "{\"a\":[}",
        "{\"a\":\"\\x\"}", "{\"a\":\"\\u12g4\"}", "{\"a\":\"\\u123\"}",
        "{\"a\":\"\\\xe2\x80\xa8\"}", "{\"a\":\"\\\n\"}",
        "{\x0b}", "{\x0c}", "{\x1c}", "{\x7f}", "{\xc2\x85}", "{\xe2\x80\xa8}",
        "\xef\xbb\xbf{}", "{\"a\":\"\xc2\"}", "{\"a\":\"\xe2\x80\"}",
        "{\"a\":\"\x85\"}", "{\"a\":\"\xff\"}", "{\"a\":\"\xed\xa0\x80\"}",
        NULL
    };

    for (i = 0; cases[i]; i++) {

        /* "{]" and "[}" are balanced: a parser has found such errors */

        if (strcmp(cases[i], "{]") == 0 || strcmp(cases[i], "{\"a\":[}") == 0) {
            continue;
        }

        tap_is(line(cases[i], strlen(cases[i]), &out, &n), NGX_ERROR,
               "invalid %d", (int) i);
    }

    tap_is(line("{\"a\":\"\0\"}", 9, &out, &n), NGX_OK, "a zero in a string");
    tap_is_mem(out, n, "{\"a\":\"\\u0000\"}", 14, "is escaped");
    free(out);

    tap_is(line("{\0}", 3, &out, &n), NGX_ERROR, "and is none between tokens");
}


/* each character of two and three bytes, in a string */

static void
characters(void)
{
    size_t       n, len;
    u_char      *out;
    uint32_t     ch;
    ngx_uint_t   escape, failed, escaped;

    char  text[] = "{\"\":\"...\"}";

    failed = 0;
    escaped = 0;

    for (ch = 0x80; ch < 0x10000; ch++) {

        if (ch >= 0xd800 && ch < 0xe000) {
            continue;
        }

        len = 5;

        if (ch < 0x800) {
            text[len++] = (char) (0xc0 | ch >> 6);

        } else {
            text[len++] = (char) (0xe0 | ch >> 12);
            text[len++] = (char) (0x80 | (ch >> 6 & 0x3f));
        }

        text[len++] = (char) (0x80 | (ch & 0x3f));
        text[len++] = '"';
        text[len++] = '}';

        escape = ch < 0xa0 || ch == 0x2028 || ch == 0x2029;

        if (line(text, len, &out, &n) != NGX_OK) {
            failed++;
            continue;
        }

        if (escape) {
            escaped++;
            failed += (n != 13 || out[5] != '\\' || out[6] != 'u');

        } else {
            failed += (n != len || memcmp(out, text, n) != 0);
        }

        free(out);
    }

    tap_is(failed, 0, "characters");
    tap_is(escaped, 0x20 + 2, "those that are escaped");
}


/* nothing beyond the text is read: the copy ends at the end of its memory */

static void
truncated(void)
{
    size_t       n, len, good;
    char        *copy;
    u_char      *out;

    static const char  text[] =
        "{\"a\":\"\\u1234\\\"\xc2\x85\xe2\x80\xa8 \"}\n\n";

    good = 0;

    for (len = 0; len < sizeof(text); len++) {
        copy = malloc(len + 1);

        if (copy == NULL) {
            tap_ok(0, "memory");
            return;
        }

        copy = realloc(copy, len ? len : 1);
        memcpy(copy, text, len);

        if (line(copy, len, &out, &n) == NGX_OK) {
            good++;
            free(out);
        }

        free(copy);
    }

    tap_is(good, 3, "only complete texts are accepted");
}


static ngx_int_t
line(const char *text, size_t len, u_char **out, size_t *n)
{
    size_t      size, written;
    ngx_int_t   rc;

    size = 0;
    rc = ngx_trove_event_line(NULL, (u_char *) text, len, &size);

    if (rc != NGX_OK) {
        return rc;
    }

    if (size > 6 * len) {
        return NGX_DONE;
    }

    *out = malloc(size + 1);

    if (*out == NULL) {
        return NGX_DONE;
    }

    (*out)[size] = 0xaa;

    rc = ngx_trove_event_line(*out, (u_char *) text, len, &written);

    *n = size;

    return (written != size || (*out)[size] != 0xaa) ? NGX_DONE : rc;
}
