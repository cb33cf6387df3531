
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_trove_conf.h"


void
ngx_http_trove_conf_place(ngx_conf_t *cf, ngx_http_trove_place_t *place)
{
    place->file = cf->conf_file->file.name.data;
    place->line = cf->conf_file->line;
}


void
ngx_http_trove_conf_bare(ngx_conf_t *cf, ngx_str_t *param, size_t prefix,
    ngx_uint_t least)
{
    ngx_int_t   n;
    ngx_str_t  *cmd;

    n = ngx_atoi(param->data + prefix, param->len - prefix);

    if (n == NGX_ERROR || (ngx_uint_t) n >= least) {
        return;
    }

    cmd = cf->args->elts;

    ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                       "\"%V\" in \"%V\" means %i seconds, add a unit, such as "
                       "\"%is\", \"%im\", \"%ih\", or \"%id\"",
                       param, &cmd[0], n, n, n, n, n);
}
