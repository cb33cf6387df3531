
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_CONF_H_INCLUDED_
#define _NGX_HTTP_TROVE_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The location of a directive in the configuration, for errors that are found
 * after all of it has been read: ngx_conf_log_error() would then report the end
 * of the http block.
 */

typedef struct {
    u_char                    *file;           /* null-terminated */
    ngx_uint_t                 line;
} ngx_http_trove_place_t;


/* Sets place to the directive being read; the memory is of the cycle. */
void ngx_http_trove_conf_place(ngx_conf_t *cf, ngx_http_trove_place_t *place);

/*
 * Logs a warning if the time in param is a number without a unit and less than
 * least seconds: "ttl=24" is 24 seconds, but was probably meant to be hours.
 * The time follows the first prefix bytes of param, and is known to be valid.
 */
void ngx_http_trove_conf_bare(ngx_conf_t *cf, ngx_str_t *param, size_t prefix,
    ngx_uint_t least);


#endif /* _NGX_HTTP_TROVE_CONF_H_INCLUDED_ */
