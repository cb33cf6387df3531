
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_utf8.h"


#define NGX_TROVE_UTF8_HIGH_BITS    0x8080808080808080ULL
#define NGX_TROVE_UTF8_REPLACEMENT  0xfffd
#define NGX_TROVE_UTF8_MAX          4          /* bytes of a character */

#define ngx_trove_utf8_next(ch)     (((ch) & 0xc0) == 0x80)


static u_char *ngx_trove_utf8_ascii(u_char *p, u_char *last);
static ngx_inline size_t ngx_trove_utf8_char(u_char *p);
static ngx_int_t ngx_trove_utf8_lead(ngx_trove_utf8_t *utf8, u_char ch);
static uint32_t ngx_trove_utf8_hex(u_char *p);
static u_char *ngx_trove_utf8_encode(u_char *dst, uint32_t ch);


ngx_int_t
ngx_trove_utf8_check(ngx_trove_utf8_t *utf8, u_char *p, size_t len)
{
    u_char  ch, *last;
    size_t  n;

    last = p + len;

    while (p < last) {

        if (utf8->rest == 0) {
            p = ngx_trove_utf8_ascii(p, last);

            /* whole characters, since non-ASCII ones usually come in runs */

            while (last - p >= NGX_TROVE_UTF8_MAX && *p >= 0x80) {
                n = ngx_trove_utf8_char(p);

                if (n == 0) {
                    return NGX_DECLINED;
                }

                p += n;
            }

            if (p == last) {
                break;
            }

            ch = *p++;

            if (ch >= 0x80 && ngx_trove_utf8_lead(utf8, ch) != NGX_OK) {
                return NGX_DECLINED;
            }

            continue;
        }

        ch = *p++;

        if (ch < utf8->min || ch > utf8->max) {
            return NGX_DECLINED;
        }

        utf8->rest--;
        utf8->min = 0x80;
        utf8->max = 0xbf;
    }

    return NGX_OK;
}


/* skips ASCII, the bulk of most input, except less than a word at the end */

static u_char *
ngx_trove_utf8_ascii(u_char *p, u_char *last)
{
    uint64_t  word[4];

    while (last - p >= (ssize_t) sizeof(word)) {
        ngx_memcpy(word, p, sizeof(word));

        if ((word[0] | word[1] | word[2] | word[3]) & NGX_TROVE_UTF8_HIGH_BITS)
        {
            break;
        }

        p += sizeof(word);
    }

    while (last - p >= (ssize_t) sizeof(word[0])) {
        ngx_memcpy(word, p, sizeof(word[0]));

        if (word[0] & NGX_TROVE_UTF8_HIGH_BITS) {
            break;
        }

        p += sizeof(word[0]);
    }

    return p;
}


/* returns the length of the character at p, or 0 if invalid; p is not ASCII */

static ngx_inline size_t
ngx_trove_utf8_char(u_char *p)
{
    uint32_t  ch;

    if (p[0] < 0xe0) {
        return p[0] >= 0xc2 && ngx_trove_utf8_next(p[1]) ? 2 : 0;
    }

    if (!ngx_trove_utf8_next(p[1]) || !ngx_trove_utf8_next(p[2])) {
        return 0;
    }

    if (p[0] < 0xf0) {
        ch = (uint32_t) (p[0] & 0xf) << 12 | (uint32_t) (p[1] & 0x3f) << 6;

        return ch >= 0x800 && (ch < 0xd800 || ch > 0xdfff) ? 3 : 0;
    }

    ch = (uint32_t) (p[0] & 0xf) << 18 | (uint32_t) (p[1] & 0x3f) << 12;

    return p[0] < 0xf8 && ngx_trove_utf8_next(p[3])
           && ch >= 0x10000 && ch < 0x110000
           ? 4 : 0;
}


static ngx_int_t
ngx_trove_utf8_lead(ngx_trove_utf8_t *utf8, u_char ch)
{
    utf8->min = 0x80;
    utf8->max = 0xbf;

    if (ch >= 0xc2 && ch <= 0xdf) {
        utf8->rest = 1;
        return NGX_OK;
    }

    if (ch >= 0xe0 && ch <= 0xef) {
        utf8->rest = 2;

        if (ch == 0xe0) {
            utf8->min = 0xa0;                           /* overlong */

        } else if (ch == 0xed) {
            utf8->max = 0x9f;                           /* surrogates */
        }

        return NGX_OK;
    }

    if (ch >= 0xf0 && ch <= 0xf4) {
        utf8->rest = 3;

        if (ch == 0xf0) {
            utf8->min = 0x90;                           /* overlong */

        } else if (ch == 0xf4) {
            utf8->max = 0x8f;                           /* beyond U+10FFFF */
        }

        return NGX_OK;
    }

    return NGX_DECLINED;
}


u_char *
ngx_trove_utf8_unescape(u_char *dst, u_char *src, size_t len,
    ngx_uint_t *broken)
{
    u_char    *p, *last;
    uint32_t   ch, low;

    p = src;
    last = src + len;

    while (p < last) {

        if (*p != '\\') {
            *dst++ = *p++;
            continue;
        }

        p++;

        switch (*p++) {

        case 'b':
            *dst++ = '\b';
            continue;

        case 'f':
            *dst++ = '\f';
            continue;

        case 'n':
            *dst++ = '\n';
            continue;

        case 'r':
            *dst++ = '\r';
            continue;

        case 't':
            *dst++ = '\t';
            continue;

        case 'u':
            break;

        default: /* '"', '\\', '/' */
            *dst++ = p[-1];
            continue;
        }

        ch = ngx_trove_utf8_hex(p);
        p += 4;

        if (ch >= 0xd800 && ch <= 0xdfff) {

            low = 0;

            if (ch <= 0xdbff && last - p >= 6 && p[0] == '\\' && p[1] == 'u') {
                low = ngx_trove_utf8_hex(p + 2);
            }

            if (low >= 0xdc00 && low <= 0xdfff) {
                ch = 0x10000 + ((ch - 0xd800) << 10) + (low - 0xdc00);
                p += 6;

            } else {
                ch = NGX_TROVE_UTF8_REPLACEMENT;
                *broken = 1;
            }
        }

        dst = ngx_trove_utf8_encode(dst, ch);
    }

    return dst;
}


/* the digits have been validated */

static uint32_t
ngx_trove_utf8_hex(u_char *p)
{
    uint32_t    value;
    ngx_uint_t  i;

    value = 0;

    for (i = 0; i < 4; i++) {
        value <<= 4;
        value |= (p[i] <= '9') ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10;
    }

    return value;
}


static u_char *
ngx_trove_utf8_encode(u_char *dst, uint32_t ch)
{
    if (ch < 0x80) {
        *dst++ = (u_char) ch;
        return dst;
    }

    if (ch < 0x800) {
        *dst++ = (u_char) (0xc0 | ch >> 6);

    } else {

        if (ch < 0x10000) {
            *dst++ = (u_char) (0xe0 | ch >> 12);

        } else {
            *dst++ = (u_char) (0xf0 | ch >> 18);
            *dst++ = (u_char) (0x80 | (ch >> 12 & 0x3f));
        }

        *dst++ = (u_char) (0x80 | (ch >> 6 & 0x3f));
    }

    *dst++ = (u_char) (0x80 | (ch & 0x3f));

    return dst;
}


u_char *
ngx_trove_utf8_replace(u_char *dst, u_char *src, size_t len)
{
    u_char            *begin, *last;
    ngx_trove_utf8_t   utf8;

    last = src + len;

    while (src < last) {
        begin = src;

        ngx_memzero(&utf8, sizeof(ngx_trove_utf8_t));

        do {
            if (ngx_trove_utf8_check(&utf8, src, 1) != NGX_OK) {

                /* an unexpected byte may start a character itself */

                src += (src == begin);
                utf8.rest = 1;
                break;
            }

            src++;

        } while (utf8.rest && src < last);

        dst = utf8.rest ? ngx_trove_utf8_encode(dst, NGX_TROVE_UTF8_REPLACEMENT)
                        : ngx_cpymem(dst, begin, src - begin);
    }

    return dst;
}
