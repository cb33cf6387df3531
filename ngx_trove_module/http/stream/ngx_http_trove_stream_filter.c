
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_trove_stream_filter.h"


static ngx_int_t ngx_http_trove_stream_copy(ngx_pool_t *pool, ngx_str_t *to,
    ngx_str_t *from);
static ngx_int_t ngx_http_trove_stream_copy_list(ngx_pool_t *pool,
    ngx_str_t **list, ngx_uint_t n);


ngx_int_t
ngx_http_trove_stream_filter(ngx_pool_t *pool, ngx_trove_spool_filter_t *to,
    ngx_trove_spool_filter_t *from)
{
    ngx_memzero(to, sizeof(ngx_trove_spool_filter_t));

    to->types = from->types;
    to->ntypes = from->ntypes;
    to->namespaces = from->namespaces;
    to->nnamespaces = from->nnamespaces;

    if (ngx_http_trove_stream_copy(pool, &to->workspace, &from->workspace)
        != NGX_OK
        || ngx_http_trove_stream_copy_list(pool, &to->types, to->ntypes)
           != NGX_OK
        || ngx_http_trove_stream_copy_list(pool, &to->namespaces,
                                           to->nnamespaces)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_stream_copy(ngx_pool_t *pool, ngx_str_t *to, ngx_str_t *from)
{
    if (from->data == NULL) {
        return NGX_OK;
    }

    to->data = ngx_pnalloc(pool, from->len + 1);
    if (to->data == NULL) {
        return NGX_ERROR;
    }

    to->len = from->len;
    ngx_memcpy(to->data, from->data, from->len);

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_stream_copy_list(ngx_pool_t *pool, ngx_str_t **list,
    ngx_uint_t n)
{
    ngx_str_t   *copy;
    ngx_uint_t   i;

    copy = ngx_pcalloc(pool, (n + 1) * sizeof(ngx_str_t));
    if (copy == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        if (ngx_http_trove_stream_copy(pool, &copy[i], &(*list)[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    *list = copy;

    return NGX_OK;
}
