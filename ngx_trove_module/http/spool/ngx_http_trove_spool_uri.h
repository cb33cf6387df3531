
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
 * Makes the URI of the spool of value, an argument of the directive that is
 * being read: what has no scheme is a path, relative to the prefix.  Refuses a
 * URI where no spool can be, and warns of one that is hardly meant.
 *
 * NGX_OK
 * NGX_ERROR  logged
 */
ngx_int_t ngx_http_trove_spool_uri(ngx_conf_t *cf, ngx_str_t *value,
    ngx_str_t *uri);

/*
 * Reserves the spool for this nginx: its master and its workers, an old or a
 * new binary of it, and those after a reload are the same one.  The spool is
 * reserved until the cycle is destroyed, by fd, or by nothing if that is
 * NGX_INVALID_FILE.  Does nothing under "nginx -t" and "nginx -s".
 *
 * NGX_OK
 * NGX_ERROR  logged: another one has it, or out of memory
 */
ngx_int_t ngx_http_trove_spool_own(ngx_conf_t *cf, ngx_str_t *uri,
    ngx_fd_t *fd);

/*
 * Makes the spool for the user of the workers, if it does not exist, and opens
 * it once: to be called by the master as "init module".  place is that of the
 * directive.
 *
 * NGX_OK     also where something failed, which is logged
 * NGX_ERROR  the process is to end
 */
ngx_int_t ngx_http_trove_spool_prepare(ngx_cycle_t *cycle,
    ngx_trove_spool_conf_t *conf, ngx_http_trove_place_t *place);


#endif /* _NGX_HTTP_TROVE_SPOOL_URI_H_INCLUDED_ */
