
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_GUARD_H_INCLUDED_
#define _NGX_TROVE_GUARD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Protects mapped files that another process may truncate.  Access to a page
 * beyond the end of such a file raises SIGBUS.  For a guarded mapping, the
 * signal handler extends the file to its full size again.  The page then reads
 * as zeroes in all processes.  If there is no space for that, the handler
 * replaces the mapping by zeroes private to the process.  The user of the
 * mapping has to detect the zeroes.
 *
 * A SIGBUS from any other address is passed to the handler installed before,
 * if any.
 */

typedef struct ngx_trove_guard_s  ngx_trove_guard_t;

struct ngx_trove_guard_s {
    u_char                 *addr;            /* NULL: not in use */
    size_t                  len;
    int                     fd;
    off_t                   end;             /* required size of the file */
    ngx_uint_t              shared;

    /* set by the handler, to be cleared by the user */
    volatile sig_atomic_t   faults;
    volatile sig_atomic_t   replaced;

    ngx_trove_guard_t      *next;
};


/*
 * Guards len bytes mapped at addr.  fd is the mapped file, end is its required
 * size in bytes.  The caller keeps fd open while the guard exists.  shared is 0
 * for a MAP_PRIVATE mapping: it is replaced by zeroes, and the file is not
 * changed.  Can be called in any thread.
 *
 * The guard is freed by ngx_trove_guard_remove().
 *
 * NULL  out of memory, or the signal handler could not be set
 */
ngx_trove_guard_t *ngx_trove_guard_add(void *addr, size_t len, int fd,
    off_t end, ngx_uint_t shared);

/*
 * Removes and frees a guard.  Must be called before the memory is unmapped.
 * NULL is allowed.
 */
void ngx_trove_guard_remove(ngx_trove_guard_t *guard);

/*
 * Extends a file to at least end bytes and allocates blocks for the added
 * part.  Async-signal-safe.
 *
 * Returns 0 or a system error code.
 */
ngx_err_t ngx_trove_guard_extend(int fd, off_t end);


#endif /* _NGX_TROVE_GUARD_H_INCLUDED_ */
