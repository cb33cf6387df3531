
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_CONF_H_INCLUDED_
#define _NGX_HTTP_TROVE_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Where a directive is, for what is found out only when all has been read:
 * ngx_conf_log_error() would name the end of the http block then.
 */

typedef struct {
    u_char                    *file;           /* ends with a zero */
    ngx_uint_t                 line;
} ngx_http_trove_place_t;


/* The place of the directive that is being read; in memory of the cycle. */
void ngx_http_trove_conf_place(ngx_conf_t *cf, ngx_http_trove_place_t *place);

/*
 * Warns where the time in param, which is behind prefix bytes of it and was
 * found valid, is a number without a unit that is less than least, in seconds:
 * whoever writes "ttl=24" means hours, and has got seconds.
 */
void ngx_http_trove_conf_bare(ngx_conf_t *cf, ngx_str_t *param, size_t prefix,
    ngx_uint_t least);


#endif /* _NGX_HTTP_TROVE_CONF_H_INCLUDED_ */
