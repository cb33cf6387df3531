
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_EVENT_LINE_H_INCLUDED_
#define _NGX_TROVE_EVENT_LINE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The body of an event on one line, for formats that are divided into lines.
 * Programs divide text not only at LF and CR: Python does at U+000B, U+000C,
 * U+001C to U+001E, U+0085, U+2028, and U+2029, too.  None of them, and no
 * other control character, is in the line.
 */

/*
 * Writes the JSON text of len bytes at src to dst: the same text, in which each
 * line feed, carriage return and tab between tokens is a blank, and in which
 * the above characters in strings are escaped ("\u2028").  Escape sequences are
 * not changed.  White space around the text is removed.
 *
 * dst must have space for *size bytes.  If dst is NULL, nothing is written, and
 * *size is set to the size of the line, at most 6 * len.
 *
 * The text must have been validated.  It is an error if it is no object, is not
 * UTF-8, or has a control character between tokens, an invalid escape sequence,
 * or an unterminated string: it is not one line that a client could parse.
 * Other errors are not noticed.
 *
 * NGX_OK
 * NGX_ERROR
 */
ngx_int_t ngx_trove_event_line(u_char *dst, u_char *src, size_t len,
    size_t *size);


#endif /* _NGX_TROVE_EVENT_LINE_H_INCLUDED_ */
