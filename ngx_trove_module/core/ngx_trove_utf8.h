
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_UTF8_H_INCLUDED_
#define _NGX_TROVE_UTF8_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Strict UTF-8 validation (RFC 3629).  Rejects overlong forms, surrogates and
 * code points above U+10FFFF, all of which yajl accepts.
 */

typedef struct {
    u_char  rest;                    /* missing bytes of the character */
    u_char  min;                     /* range of the next byte */
    u_char  max;
} ngx_trove_utf8_t;                  /* zeroed at the start of a text */


/*
 * Validates the next len bytes of a text, which may be split at any byte.  The
 * text is complete if utf8->rest is 0 at its end.
 *
 * NGX_OK
 * NGX_DECLINED  invalid UTF-8
 */
ngx_int_t ngx_trove_utf8_check(ngx_trove_utf8_t *utf8, u_char *p, size_t len);

/*
 * Decodes the contents of a JSON string, len bytes at src, into dst.  dst must
 * have space for len bytes: an escape sequence is never shorter than its
 * character.  The string must have been validated by yajl.  Returns the end of
 * the output.
 *
 * The decoder of yajl mishandles a \u escape that is an unpaired surrogate: a
 * high one becomes "?" and swallows the next character, a low one becomes
 * invalid UTF-8.  Python encodes file names that are not UTF-8 this way.  This
 * function replaces an unpaired surrogate by U+FFFD and sets *broken to 1;
 * otherwise *broken is not changed.
 */
u_char *ngx_trove_utf8_unescape(u_char *dst, u_char *src, size_t len,
    ngx_uint_t *broken);


/*
 * Copies len arbitrary bytes at src to dst and replaces invalid UTF-8 by
 * U+FFFD: one for a truncated character, and one for each other invalid byte.
 * dst must have space for 3 * len bytes.  Returns the end of the output.
 */
u_char *ngx_trove_utf8_replace(u_char *dst, u_char *src, size_t len);

/*
 * Returns the length in bytes of the control character at p: 1 for U+0000 to
 * U+001F and U+007F, 2 for U+0080 to U+009F, 0 if there is none.  last is the
 * end of the text.
 */
static ngx_inline ngx_uint_t
ngx_trove_utf8_control(u_char *p, u_char *last)
{
    if (*p < 0x20 || *p == 0x7f) {
        return 1;
    }

    if (*p == 0xc2 && last - p > 1 && p[1] >= 0x80 && p[1] <= 0x9f) {
        return 2;
    }

    return 0;
}


#endif /* _NGX_TROVE_UTF8_H_INCLUDED_ */
