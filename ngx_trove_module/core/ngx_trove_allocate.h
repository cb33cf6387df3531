
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_ALLOCATE_H_INCLUDED_
#define _NGX_TROVE_ALLOCATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Makes sure that the blocks of size bytes at offset of a file exist on disk:
 * access to a mapped page without a block raises SIGBUS if the disk is full.
 * The file is extended if it is shorter.  Its contents are not changed; no
 * other process may write to the range meanwhile.  Exceeding a file size limit
 * raises SIGXFSZ.
 *
 * Returns 0 or an error number, such as ENOSPC; then some of the blocks may
 * exist, and the file may be longer.
 */
ngx_err_t ngx_trove_allocate(int fd, off_t offset, off_t size);

/*
 * The same by writing.  It is used where posix_fallocate() is not supported by
 * the file system, and the C library has no replacement: musl, ZFS on FreeBSD.
 */
ngx_err_t ngx_trove_allocate_write(int fd, off_t offset, off_t size);


#endif /* _NGX_TROVE_ALLOCATE_H_INCLUDED_ */
