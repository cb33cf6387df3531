
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_UTF8_H_INCLUDED_
#define _NGX_TROVE_UTF8_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Checks UTF-8 strictly (RFC 3629): overlong forms, surrogates and what is
 * beyond U+10FFFF are refused, all of which yajl lets pass.
 */

typedef struct {
    u_char  rest;                    /* bytes that the character still wants */
    u_char  min;                     /* what the next of them may be */
    u_char  max;
} ngx_trove_utf8_t;                  /* all zero at the start of a text */


/*
 * Checks the next len bytes of a text, which may be split anywhere.  The text
 * is complete if utf8->rest is 0 after its end.
 *
 * NGX_OK
 * NGX_DECLINED  not UTF-8
 */
ngx_int_t ngx_trove_utf8_check(ngx_trove_utf8_t *utf8, u_char *p, size_t len);

/*
 * Writes what the inside of a JSON string, len bytes at src, stands for to dst,
 * which has room for len bytes: no escape is shorter than its character.  The
 * string is one that yajl has found to be well formed.  The end of what was
 * written.
 *
 * yajl decodes, too, but where a \u escape is half of a surrogate pair: of the
 * first half it makes "?" and drops the character after it, of the second what
 * is not UTF-8.  Python writes a file name so that is not UTF-8.  Here a half
 * becomes U+FFFD, and *broken is set to 1, which is left alone otherwise.
 */
u_char *ngx_trove_utf8_unescape(u_char *dst, u_char *src, size_t len,
    ngx_uint_t *broken);


/*
 * Copies a text of len bytes that may be anything to dst, which has room for
 * 3 * len bytes, and puts U+FFFD in the place of what is not UTF-8: one for the
 * beginning of a character, whose rest is not there, and for each other byte.
 * The end of what was written.
 */
u_char *ngx_trove_utf8_replace(u_char *dst, u_char *src, size_t len);

/*
 * How many bytes of the text at p, which ends at last, are a control character:
 * 1 for U+0000 to U+001F and U+007F, 2 for U+0080 to U+009F, 0 where there is
 * none.
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
