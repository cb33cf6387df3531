
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SPOOL_PATH_H_INCLUDED_
#define _NGX_HTTP_TROVE_SPOOL_PATH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The path of the spool, value, as the directive that is being read has it:
 * completes it, in path, and refuses what cannot be one; warns of what hardly
 * can be meant.
 *
 * NGX_OK
 * NGX_ERROR  logged
 */
ngx_int_t ngx_http_trove_spool_path(ngx_conf_t *cf, ngx_str_t *value,
    ngx_str_t *path);

/*
 * Sees to it that no other nginx has the spool: its master and its workers, an
 * old or a new binary of it, and those after a reload are the same one.  fd is
 * what it is held by until the cycle is gone; or NGX_INVALID_FILE where that
 * is not possible.  Does nothing under "nginx -t" and "nginx -s".
 *
 * NGX_OK
 * NGX_ERROR  logged: another one has it, or out of memory
 */
ngx_int_t ngx_http_trove_spool_own(ngx_conf_t *cf, ngx_str_t *path,
    ngx_fd_t *fd);


#endif /* _NGX_HTTP_TROVE_SPOOL_PATH_H_INCLUDED_ */
