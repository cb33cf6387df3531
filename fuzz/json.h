
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _JSON_H_INCLUDED_
#define _JSON_H_INCLUDED_


#include "fuzz.h"


/*
 * The reference implementation of JSON (RFC 8259) and UTF-8 (RFC 3629).  It
 * reads a whole text.  It is slow and simple, so that it does not have the same
 * errors as the tested code.
 */


/* the length of the character at p, 0 if it is invalid */

static FUZZ_UNUSED size_t
json_char(const u_char *p, const u_char *last)
{
    size_t    len, i;
    uint32_t  ch;

    static uint32_t  least[] = { 0, 0, 0x80, 0x800, 0x10000 };

    if (*p < 0x80) {
        return 1;
    }

    len = ((*p & 0xe0) == 0xc0) ? 2 : ((*p & 0xf0) == 0xe0) ? 3
                                : ((*p & 0xf8) == 0xf0) ? 4 : 0;

    if (len == 0 || (size_t) (last - p) < len) {
        return 0;
    }

    ch = *p & (0x7f >> len);

    for (i = 1; i < len; i++) {

        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }

        ch = ch << 6 | (p[i] & 0x3f);
    }

    return (ch < least[len] || ch > 0x10ffff || (ch >= 0xd800 && ch < 0xe000))
           ? 0 : len;
}


static FUZZ_UNUSED ngx_uint_t
json_utf8(const u_char *p, const u_char *last)
{
    size_t  len;

    for ( /* void */ ; p < last; p += len) {
        len = json_char(p, last);

        if (len == 0) {
            return 0;
        }
    }

    return 1;
}


/* the closing quote of a string; NULL if there is none */

static FUZZ_UNUSED const u_char *
json_string(const u_char *p, const u_char *last)
{
    ngx_uint_t  i;

    for ( /* void */ ; p < last; p++) {

        if (*p == '"') {
            return p;
        }

        if (*p < 0x20) {
            return NULL;
        }

        if (*p != '\\') {
            continue;
        }

        if (++p == last || *p == '\0' || strchr("\"\\/bfnrtu", *p) == NULL) {
            return NULL;
        }

        if (*p != 'u') {
            continue;
        }

        for (i = 0; i < 4; i++) {
            if (++p == last || !isxdigit(*p)) {
                return NULL;
            }
        }
    }

    return NULL;
}


/* the contents of a string in UTF-16, with its escapes decoded: len units */

static FUZZ_UNUSED size_t
json_units(const u_char *p, const u_char *last, uint16_t *units)
{
    char        hex[5];
    size_t      n, len, i;
    uint32_t    ch;
    const char *at;

    n = 0;

    while (p < last) {

        if (*p == '\\' && p[1] == 'u') {
            ngx_memcpy(hex, p + 2, 4);
            hex[4] = '\0';

            units[n++] = (uint16_t) strtoul(hex, NULL, 16);
            p += 6;
            continue;
        }

        if (*p == '\\') {
            at = strchr("bfnrt", p[1]);
            units[n++] = at ? "\b\f\n\r\t"[at - "bfnrt"] : p[1];
            p += 2;
            continue;
        }

        len = json_char(p, last);
        ch = (len == 1) ? *p : *p & (0x7f >> len);

        for (i = 1; i < len; i++) {
            ch = ch << 6 | (p[i] & 0x3f);
        }

        p += len;

        if (ch < 0x10000) {
            units[n++] = ch;

        } else {
            units[n++] = 0xd800 + ((ch - 0x10000) >> 10);
            units[n++] = 0xdc00 + ((ch - 0x10000) & 0x3ff);
        }
    }

    return n;
}


/*
 * Decodes the contents of a valid string to dst, which has the same size.
 * Halves of surrogate pairs become U+FFFD and are counted.
 */

static FUZZ_UNUSED size_t
json_decode(const u_char *p, const u_char *last, u_char *dst,
    ngx_uint_t *halves)
{
    size_t     n, i;
    u_char    *start;
    uint16_t  *units;
    uint32_t   ch;

    units = malloc((last - p + 1) * sizeof(uint16_t));
    fuzz_check(units != NULL, "harness: out of memory");

    n = json_units(p, last, units);
    start = dst;
    *halves = 0;

    for (i = 0; i < n; i++) {
        ch = units[i];

        if (ch >= 0xd800 && ch < 0xdc00 && i + 1 < n
            && units[i + 1] >= 0xdc00 && units[i + 1] < 0xe000)
        {
            ch = 0x10000 + (ch - 0xd800) * 0x400 + (units[++i] - 0xdc00);

        } else if (ch >= 0xd800 && ch < 0xe000) {
            ch = 0xfffd;
            (*halves)++;
        }

        if (ch < 0x80) {
            *dst++ = ch;

        } else if (ch < 0x800) {
            *dst++ = 0xc0 + ch / 0x40;
            *dst++ = 0x80 + ch % 0x40;

        } else if (ch < 0x10000) {
            *dst++ = 0xe0 + ch / 0x1000;
            *dst++ = 0x80 + ch / 0x40 % 0x40;
            *dst++ = 0x80 + ch % 0x40;

        } else {
            *dst++ = 0xf0 + ch / 0x40000;
            *dst++ = 0x80 + ch / 0x1000 % 0x40;
            *dst++ = 0x80 + ch / 0x40 % 0x40;
            *dst++ = 0x80 + ch % 0x40;
        }
    }

    free(units);

    return dst - start;
}


#endif /* _JSON_H_INCLUDED_ */
