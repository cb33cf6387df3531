
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_event_line.h"
#include "ngx_trove_utf8.h"


/* the length of "\u2028" */
#define NGX_TROVE_EVENT_LINE_ESCAPE  6

#define ngx_trove_event_line_space(ch)                                        \
    ((ch) == ' ' || (ch) == CR || (ch) == LF || (ch) == '\t')


#define ngx_trove_event_line_hex(ch)                                          \
    (((ch) >= '0' && (ch) <= '9')                                             \
     || (((ch) | 0x20) >= 'a' && ((ch) | 0x20) <= 'f'))


/* the line that is being written; the state of the text before p */
typedef struct {
    u_char      *dst;                    /* NULL: only the size is counted */
    size_t       size;
    u_char      *p;
    u_char      *last;
    ngx_uint_t   depth;                  /* of objects and arrays */
    ngx_uint_t   string;                 /* within a string */
} ngx_trove_event_line_t;


static ngx_int_t ngx_trove_event_line_token(ngx_trove_event_line_t *line);
static ngx_int_t ngx_trove_event_line_string(ngx_trove_event_line_t *line);
static size_t ngx_trove_event_line_special(u_char *p, u_char *last,
    uint32_t *code);
static void ngx_trove_event_line_escape(u_char *dst, uint32_t code);
static size_t ngx_trove_event_line_escaped(u_char *p, u_char *last);
static void ngx_trove_event_line_copy(ngx_trove_event_line_t *line, u_char *p,
    size_t len);


ngx_int_t
ngx_trove_event_line(u_char *dst, u_char *src, size_t len, size_t *size)
{
    ngx_int_t               rc;
    ngx_trove_utf8_t        utf8;
    ngx_trove_event_line_t  line;

    ngx_memzero(&utf8, sizeof(ngx_trove_utf8_t));

    if (ngx_trove_utf8_check(&utf8, src, len) != NGX_OK || utf8.rest) {
        return NGX_ERROR;
    }

    ngx_memzero(&line, sizeof(ngx_trove_event_line_t));

    line.dst = dst;
    line.p = src;
    line.last = src + len;

    while (line.p < line.last && ngx_trove_event_line_space(*line.p)) {
        line.p++;
    }

    while (line.p < line.last && ngx_trove_event_line_space(line.last[-1])) {
        line.last--;
    }

    if (line.p == line.last || *line.p != '{') {
        return NGX_ERROR;
    }

    do {
        rc = line.string ? ngx_trove_event_line_string(&line)
                         : ngx_trove_event_line_token(&line);

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }

        /* nothing follows the object */

        if (line.depth == 0 && line.p < line.last) {
            return NGX_ERROR;
        }

    } while (line.p < line.last);

    *size = line.size;

    return line.depth ? NGX_ERROR : NGX_OK;
}


/* a character between strings */

static ngx_int_t
ngx_trove_event_line_token(ngx_trove_event_line_t *line)
{
    u_char  ch;

    ch = *line->p++;

    switch (ch) {

    case CR:
    case LF:
    case '\t':
        ch = ' ';
        break;

    case '"':
        line->string = 1;
        break;

    case '{':
    case '[':
        line->depth++;
        break;

    case '}':
    case ']':
        line->depth--;
        break;

    default:

        if (ch < 0x20 || ch >= 0x7f) {
            return NGX_ERROR;
        }

        break;
    }

    ngx_trove_event_line_copy(line, &ch, 1);

    return NGX_OK;
}


/* a character or an escape sequence in a string, or its end */

static ngx_int_t
ngx_trove_event_line_string(ngx_trove_event_line_t *line)
{
    size_t    len;
    u_char   *p, escape[NGX_TROVE_EVENT_LINE_ESCAPE];
    uint32_t  code;

    p = line->p;

    len = ngx_trove_event_line_special(p, line->last, &code);

    if (len) {
        line->p += len;

        ngx_trove_event_line_escape(escape, code);
        ngx_trove_event_line_copy(line, escape, NGX_TROVE_EVENT_LINE_ESCAPE);

        return NGX_OK;
    }

    len = 1;

    if (*p == '\\') {
        len = ngx_trove_event_line_escaped(p, line->last);

        if (len == 0) {
            return NGX_ERROR;
        }

    } else if (*p == '"') {
        line->string = 0;
    }

    line->p += len;

    ngx_trove_event_line_copy(line, p, len);

    return NGX_OK;
}


/* returns the length of a character that must be escaped, or 0 */

static size_t
ngx_trove_event_line_special(u_char *p, u_char *last, uint32_t *code)
{
    size_t  len;

    /* the text is UTF-8: the characters are complete */

    len = ngx_trove_utf8_control(p, last);

    if (len) {
        *code = p[len - 1];
        return len;
    }

    /* U+2028, U+2029 */

    if (*p == 0xe2 && p[1] == 0x80 && (p[2] & 0xfe) == 0xa8) {
        *code = 0x2000 + (p[2] & 0x3f);
        return 3;
    }

    return 0;
}


static void
ngx_trove_event_line_escape(u_char *dst, uint32_t code)
{
    int  shift;

    static u_char  hex[] = "0123456789abcdef";

    *dst++ = '\\';
    *dst++ = 'u';

    for (shift = 12; shift >= 0; shift -= 4) {
        *dst++ = hex[code >> shift & 0xf];
    }
}


/* returns the length of an escape sequence; 0 if it is invalid */

static size_t
ngx_trove_event_line_escaped(u_char *p, u_char *last)
{
    ngx_uint_t  i;

    if (last - p < 2) {
        return 0;
    }

    switch (p[1]) {

    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return 2;

    case 'u':
        break;

    default:
        return 0;
    }

    if (last - p < NGX_TROVE_EVENT_LINE_ESCAPE) {
        return 0;
    }

    for (i = 2; i < NGX_TROVE_EVENT_LINE_ESCAPE; i++) {
        if (!ngx_trove_event_line_hex(p[i])) {
            return 0;
        }
    }

    return NGX_TROVE_EVENT_LINE_ESCAPE;
}


static void
ngx_trove_event_line_copy(ngx_trove_event_line_t *line, u_char *p, size_t len)
{
    line->size += len;

    if (line->dst) {
        line->dst = ngx_cpymem(line->dst, p, len);
    }
}
