
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_trove_compat.h"
#include "ngx_http_trove_spool_pool.h"


typedef struct {
    ngx_str_t   name;
    ngx_uint_t  threads;
} ngx_http_trove_pool_t;


static ngx_int_t ngx_http_trove_pool_set(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_trove_pool_t *pool);


static ngx_http_trove_pool_t  ngx_http_trove_pools[] = {
    { ngx_string("trove_writer"), 1 },
    { ngx_string("trove_maintenance"), 1 },
    { ngx_string("trove_api"), NGX_HTTP_TROVE_POOL_API_THREADS },
    { ngx_string("trove_stream"), 1 },
    { ngx_null_string, 0 }
};


/*
 * The number of threads is a member of a structure that is private to NGINX.
 * The handler of the directive "thread_pool" is the only way to set it.
 */

ngx_int_t
ngx_http_trove_pool_add(ngx_conf_t *cf)
{
    ngx_command_t          *cmd;
    ngx_http_trove_pool_t  *pool;

    static ngx_str_t  name = ngx_string("thread_pool");

    for (cmd = ngx_thread_pool_module.commands; cmd->name.len; cmd++) {

        if (cmd->name.len == name.len
            && ngx_strncmp(cmd->name.data, name.data, name.len) == 0)
        {
            break;
        }
    }

    if (cmd->name.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "this version of nginx has no \"thread_pool\"");
        return NGX_ERROR;
    }

    for (pool = ngx_http_trove_pools; pool->name.len; pool++) {

        if (ngx_http_trove_pool_set(cf, cmd, pool) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_pool_set(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_trove_pool_t *pool)
{
    u_char       threads[sizeof("threads=") + NGX_INT_T_LEN];
    ngx_str_t    value[3];
    ngx_conf_t   conf;
    ngx_array_t  args;

    value[0] = cmd->name;
    value[1] = pool->name;
    value[2].data = threads;
    value[2].len = ngx_sprintf(threads, "threads=%ui", pool->threads) - threads;

    ngx_memzero(&args, sizeof(ngx_array_t));

    args.elts = value;
    args.nelts = 3;

    conf = *cf;
    conf.args = &args;

    return (cmd->set(&conf, cmd, NULL) == NGX_CONF_OK) ? NGX_OK : NGX_ERROR;
}


ngx_thread_pool_t *
ngx_http_trove_pool_get(ngx_cycle_t *cycle, ngx_http_trove_pool_e pool)
{
    return ngx_thread_pool_get(cycle, &ngx_http_trove_pools[pool].name);
}
