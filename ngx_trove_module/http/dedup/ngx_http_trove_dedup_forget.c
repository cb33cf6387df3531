
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <openssl/sha.h>

#include "ngx_http_trove_dedup.h"
#include "ngx_http_trove_dedup_zone.h"


ngx_int_t
ngx_http_trove_dedup_forget(ngx_http_request_t *r, ngx_str_t *id,
    u_char **digests, ngx_uint_t *n, uint64_t *count)
{
    u_char                      *buf, *p, md[SHA256_DIGEST_LENGTH];
    size_t                       len;
    ngx_uint_t                   i;
    ngx_array_t                 *locs;
    ngx_trove_table_t           *table;
    ngx_trove_zone_now_t         now;
    ngx_trove_zone_key_t         key;
    ngx_http_trove_dedup_loc_t  *loc;

    locs = ngx_http_trove_dedup_locs(r);
    loc = locs->elts;

    len = NGX_HTTP_TROVE_DEDUP_SCOPE + id->len;

    buf = ngx_pnalloc(r->pool, len);
    p = ngx_pnalloc(r->pool, (locs->nelts + 1) * NGX_HTTP_TROVE_DEDUP_SCOPE);

    if (buf == NULL || p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(buf + NGX_HTTP_TROVE_DEDUP_SCOPE, id->data, id->len);

    ngx_http_trove_dedup_zone_now(&now);

    *digests = p;
    *n = 0;

    for (i = 0; i < locs->nelts; i++) {

        /* where the key is the id, and nothing of the request but that */

        if (!loc[i].conf->enable || loc[i].conf->outer || loc[i].conf->key
            || loc[i].conf->varies)
        {
            continue;
        }

        ngx_memcpy(buf, loc[i].conf->scope, NGX_HTTP_TROVE_DEDUP_SCOPE);

        table = ngx_http_trove_dedup_zone_table(loc[i].conf->shm_zone);

        ngx_memzero(&key, sizeof(ngx_trove_zone_key_t));
        ngx_trove_table_key(table, buf, len, &key);

        *count += (ngx_trove_table_forget(table, &key, &now) == NGX_OK);

        (void) SHA256(buf, len, md);

        p = ngx_cpymem(p, md, NGX_HTTP_TROVE_DEDUP_SCOPE);
        (*n)++;
    }

    return NGX_OK;
}
