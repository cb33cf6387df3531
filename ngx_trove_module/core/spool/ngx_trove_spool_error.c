
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <stdarg.h>

#include "ngx_trove_spool_engine.h"


ngx_int_t
ngx_trove_spool_fail(ngx_trove_spool_error_t *error,
    ngx_trove_spool_error_e kind, ngx_err_t err, const char *fmt, ...)
{
    int      n;
    va_list  args;

    error->kind = kind;
    error->err = err;
    error->code = 0;

    va_start(args, fmt);
    n = vsnprintf((char *) error->text, NGX_TROVE_SPOOL_TEXT_LEN, fmt, args);
    va_end(args);

    if (err != 0 && n >= 0 && n < NGX_TROVE_SPOOL_TEXT_LEN) {
        snprintf((char *) error->text + n, NGX_TROVE_SPOOL_TEXT_LEN - n,
                 " (%d: %s)", err, strerror(err));
    }

    return NGX_ERROR;
}


ngx_trove_spool_error_e
ngx_trove_spool_kind(ngx_err_t err)
{
    switch (err) {

    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return NGX_TROVE_SPOOL_FULL;

    case EROFS:
        return NGX_TROVE_SPOOL_READONLY;

    case ENOMEM:
        return NGX_TROVE_SPOOL_MEMORY;

    case EIO:
        return NGX_TROVE_SPOOL_IO;

    default:
        return NGX_TROVE_SPOOL_ACCESS;
    }
}
