
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <openssl/sha.h>

#include "ngx_http_trove_clock.h"
#include "ngx_http_trove_dedup.h"
#include "ngx_http_trove_dedup_conf.h"
#include "ngx_http_trove_dedup_zone.h"
#include "ngx_http_trove_module.h"


static ngx_http_trove_dedup_loc_conf_t *ngx_http_trove_dedup_by_id(
    ngx_http_trove_loc_conf_t *tlcf);


ngx_int_t
ngx_http_trove_dedup_forget(ngx_http_request_t *r, ngx_str_t *id,
    u_char **digests, ngx_uint_t *n, uint64_t *count)
{
    u_char                           *buf, *p, md[SHA256_DIGEST_LENGTH];
    size_t                            len;
    ngx_uint_t                        i, max;
    ngx_array_t                      *locs;
    ngx_http_trove_key_t              key;
    ngx_http_trove_loc_conf_t       **loc;
    ngx_http_trove_dedup_store_t     *store;
    ngx_http_trove_dedup_loc_conf_t  *conf;

    locs = ngx_http_trove_request_locs(r);
    loc = locs->elts;

    for (i = 0, max = 0; i < locs->nelts; i++) {
        max += (ngx_http_trove_dedup_by_id(loc[i]) != NULL);
    }

    len = NGX_HTTP_TROVE_DEDUP_SCOPE + id->len;

    buf = ngx_pnalloc(r->pool, len);
    p = ngx_pnalloc(r->pool, (max + 1) * NGX_HTTP_TROVE_DEDUP_SCOPE);

    if (buf == NULL || p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(buf + NGX_HTTP_TROVE_DEDUP_SCOPE, id->data, id->len);

    *digests = p;
    *n = 0;

    for (i = 0; i < locs->nelts; i++) {

        conf = ngx_http_trove_dedup_by_id(loc[i]);

        if (conf == NULL) {
            continue;
        }

        ngx_memcpy(buf, conf->scope, NGX_HTTP_TROVE_DEDUP_SCOPE);

        store = ngx_http_trove_dedup_zone_store(conf->shm_zone);

        store->actions->key(store->data, buf, len, &key);

        *count += (store->actions->forget(store->data, &key) == NGX_OK);

        (void) SHA256(buf, len, md);

        p = ngx_cpymem(p, md, NGX_HTTP_TROVE_DEDUP_SCOPE);
        (*n)++;
    }

    return NGX_OK;
}


/* NULL: the key depends on more of the request than the id */

static ngx_http_trove_dedup_loc_conf_t *
ngx_http_trove_dedup_by_id(ngx_http_trove_loc_conf_t *tlcf)
{
    ngx_http_trove_dedup_loc_conf_t  *dlcf;

    if (!tlcf->dedup || tlcf->outer) {
        return NULL;
    }

    dlcf = tlcf->loc_conf[ngx_http_trove_dedup_module.ctx_index];

    return (dlcf->key || dlcf->varies) ? NULL : dlcf;
}
