
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_GUARD_H_INCLUDED_
#define _NGX_TROVE_GUARD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Files that are mapped, and that somebody else may truncate: whoever touches a
 * page behind the end gets a SIGBUS.  With a guard, the file is given its size
 * again by a handler of that signal, and the page reads as zeroes, the same in
 * all processes.  Where there is no room for it, the mapping is replaced by
 * zeroes that are the process's own.  The user of the mapping has to notice the
 * zeroes.
 *
 * SIGBUS from elsewhere goes to the handler that was there before, if any.
 */

typedef struct ngx_trove_guard_s  ngx_trove_guard_t;

struct ngx_trove_guard_s {
    u_char                 *addr;            /* NULL: not in use */
    size_t                  len;
    int                     fd;
    off_t                   end;             /* the size that the file needs */
    ngx_uint_t              shared;

    /* what the handler has seen; to be set to 0 by the user */
    volatile sig_atomic_t   faults;
    volatile sig_atomic_t   replaced;

    ngx_trove_guard_t      *next;
};


/*
 * Guards what is mapped at addr, up to the byte end of the file fd.  What is
 * mapped by MAP_PRIVATE is not shared: zeroes replace it, and the file is left
 * as it is.  May be called by any thread.
 *
 * NULL  out of memory, or no signal handler could be set
 */
ngx_trove_guard_t *ngx_trove_guard_add(void *addr, size_t len, int fd,
    off_t end, ngx_uint_t shared);

/* To be called before the memory is unmapped; NULL is allowed. */
void ngx_trove_guard_remove(ngx_trove_guard_t *guard);

/*
 * Gives a file at least so many bytes, with blocks for those that it lacks.
 * May be called by a signal handler.
 *
 * 0, or an error of the system
 */
ngx_err_t ngx_trove_guard_extend(int fd, off_t end);


#endif /* _NGX_TROVE_GUARD_H_INCLUDED_ */
