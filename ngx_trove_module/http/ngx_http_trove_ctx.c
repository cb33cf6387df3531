
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_ctx.h"
#include "ngx_http_trove_module.h"


static void ngx_http_trove_ctx_init(ngx_http_trove_ctx_t *ctx,
    ngx_pool_t *pool);
static void ngx_http_trove_ctx_cleanup(void *data);


ngx_http_trove_ctx_t *
ngx_http_trove_ctx_find(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t    *cln;
    ngx_http_trove_ctx_t  *ctx;

    r = r->main;

    ctx = ngx_http_get_module_ctx(r, ngx_http_trove_module);

    if (ctx || !(r->internal || r->filter_finalize)) {
        return ctx;
    }

    /*
     * an internal redirect clears the contexts of all modules,
     * but does not affect the pool
     */

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_trove_ctx_cleanup) {
            ctx = cln->data;
            ngx_http_set_ctx(r, ctx, ngx_http_trove_module);
            break;
        }
    }

    return ctx;
}


ngx_http_trove_ctx_t *
ngx_http_trove_ctx_make(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t    *cln;
    ngx_http_trove_ctx_t  *ctx;

    ctx = ngx_http_trove_ctx_find(r);
    if (ctx) {
        return ctx;
    }

    r = r->main;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_trove_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_http_trove_ctx_init(ctx, r->pool);

    cln->handler = ngx_http_trove_ctx_cleanup;
    ngx_http_set_ctx(r, ctx, ngx_http_trove_module);

    return ctx;
}


ngx_http_trove_ctx_t *
ngx_http_trove_ctx_create(ngx_pool_t *pool)
{
    ngx_http_trove_ctx_t  *ctx;

    ctx = ngx_palloc(pool, sizeof(ngx_http_trove_ctx_t));

    if (ctx) {
        ngx_http_trove_ctx_init(ctx, pool);
    }

    return ctx;
}


static void
ngx_http_trove_ctx_init(ngx_http_trove_ctx_t *ctx, ngx_pool_t *pool)
{
    ngx_memzero(ctx, sizeof(ngx_http_trove_ctx_t));

    ctx->pool = pool;
    ctx->parsed = NGX_AGAIN;
    ngx_queue_init(&ctx->claims);
}


void
ngx_http_trove_ctx_share(ngx_http_request_t *r, ngx_http_trove_ctx_t *ctx)
{
    ngx_http_set_ctx(r, ctx, ngx_http_trove_module);
}


static void
ngx_http_trove_ctx_cleanup(void *data)
{
    /* identifies the context in the list of cleanups; it is in the pool */
}
