
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_DEDUP_SYNC_H_INCLUDED_
#define _NGX_HTTP_TROVE_DEDUP_SYNC_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Writes files that are mapped to the disk, once a second, from a thread of its
 * own, which may wait for the disk as long as that takes.
 */

/*
 * Starts it in this process, for n files.  The descriptors remain the caller's.
 * Failures are logged, and change nothing but what a power cut leaves.
 */
void ngx_http_trove_sync_start(ngx_fd_t *fds, ngx_uint_t n, ngx_log_t *log);

/*
 * Ends it, if it was started; to be called before the process exits.  Waits for
 * what is being written.
 */
void ngx_http_trove_sync_stop(void);


#endif /* _NGX_HTTP_TROVE_DEDUP_SYNC_H_INCLUDED_ */
