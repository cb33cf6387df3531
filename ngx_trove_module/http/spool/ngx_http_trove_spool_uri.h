
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SPOOL_URI_H_INCLUDED_
#define _NGX_HTTP_TROVE_SPOOL_URI_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_trove_conf.h"
#include "ngx_trove_spool.h"


/*
 * Converts value, an argument of the current directive, to the URI of a spool.
 * A value without a scheme is a path, relative to the prefix.  It rejects a
 * URI that cannot be a spool, and logs a warning for one that is probably a
 * mistake.  *uri is allocated from cf->pool, or is the value itself.
 *
 * NGX_OK
 * NGX_ERROR  logged
 */
ngx_int_t ngx_http_trove_spool_uri(ngx_conf_t *cf, ngx_str_t *value,
    ngx_str_t *uri);

/*
 * Locks the spool for this nginx: its master and workers, an old or a new
 * binary of it, and its processes after a reload.  The spool is locked until
 * the cycle is destroyed.  *fd is set to the descriptor of the lock, or to
 * NGX_INVALID_FILE if the engine does not need one.  It does nothing under
 * "nginx -t" and "nginx -s".
 *
 * NGX_OK
 * NGX_ERROR  logged: another nginx has locked it, or out of memory
 */
ngx_int_t ngx_http_trove_spool_own(ngx_conf_t *cf, ngx_str_t *uri,
    ngx_fd_t *fd);

/*
 * Creates the spool for the user of the workers if it does not exist, and
 * opens it once.  It must be called by the master at "init module".  place is
 * the place of the directive.
 *
 * NGX_OK     also on failures, which are logged
 * NGX_ERROR  the process has to exit
 */
ngx_int_t ngx_http_trove_spool_prepare(ngx_cycle_t *cycle,
    ngx_trove_spool_conf_t *conf, ngx_http_trove_place_t *place);


#endif /* _NGX_HTTP_TROVE_SPOOL_URI_H_INCLUDED_ */
