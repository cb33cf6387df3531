
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_DEDUP_SYNC_H_INCLUDED_
#define _NGX_HTTP_TROVE_DEDUP_SYNC_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * A thread that writes mapped files to the disk once a second.  It may wait for
 * the disk for any time.
 */


/*
 * Starts the thread in this process, for n files.  The caller keeps the
 * descriptors.  Errors are logged; they matter after a power failure only.
 */
void ngx_http_trove_sync_start(ngx_fd_t *fds, ngx_uint_t n, ngx_log_t *log);

/*
 * Stops the thread, if it was started, and waits for it; to be called before
 * the process exits.
 */
void ngx_http_trove_sync_stop(void);


#endif /* _NGX_HTTP_TROVE_DEDUP_SYNC_H_INCLUDED_ */
