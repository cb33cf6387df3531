
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_event_parser.h"


ngx_int_t
ngx_trove_event_buf_add(ngx_trove_event_parser_t *parser,
    ngx_trove_event_buf_t *buf, u_char *p, size_t len)
{
    u_char  *data;
    size_t   size;

    if (len == 0) {
        return NGX_OK;
    }

    if (len > buf->size - buf->len) {
        size = 2 * (buf->len + len);

        data = realloc(buf->data, size);
        if (data == NULL) {
            parser->nomem = 1;
            return NGX_ERROR;
        }

        buf->data = data;
        buf->size = size;
    }

    ngx_memcpy(buf->data + buf->len, p, len);
    buf->len += len;

    return NGX_OK;
}
