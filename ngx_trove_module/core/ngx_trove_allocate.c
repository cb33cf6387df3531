
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_allocate.h"


#define NGX_TROVE_ALLOCATE_BLOCK  512        /* no block of a disk is smaller */


ngx_err_t
ngx_trove_allocate(int fd, off_t offset, off_t size)
{
    ngx_err_t  err;

    do {
        err = posix_fallocate(fd, offset, size);
    } while (err == NGX_EINTR);

    /* EINVAL: FreeBSD, where ENODEV would mean that it is no regular file */

    if (err == EOPNOTSUPP || err == ENOSYS || err == NGX_EINVAL) {
        err = ngx_trove_allocate_write(fd, offset, size);
    }

    return err;
}


ngx_err_t
ngx_trove_allocate_write(int fd, off_t offset, off_t size)
{
    u_char   byte;
    off_t    at, end;
    ssize_t  n;

    if (offset < 0 || size <= 0) {
        return NGX_EINVAL;
    }

    /* the last byte of each block: the file has its size at the end */

    end = offset + size;
    at = offset - offset % NGX_TROVE_ALLOCATE_BLOCK;

    while (at < end) {
        at = ngx_min(at + NGX_TROVE_ALLOCATE_BLOCK, end);

        do {
            byte = 0;
            n = pread(fd, &byte, 1, at - 1);

            if (n != -1) {
                n = pwrite(fd, &byte, 1, at - 1);
            }
        } while (n == -1 && ngx_errno == NGX_EINTR);

        if (n != 1) {
            return (n == -1) ? ngx_errno : NGX_ENOSPC;
        }
    }

    return 0;
}
