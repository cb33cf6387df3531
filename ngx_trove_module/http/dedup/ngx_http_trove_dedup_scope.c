
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <openssl/sha.h>

#include "ngx_http_trove_dedup_conf.h"
#include "ngx_http_trove_dedup_zone.h"
#include "ngx_http_trove_module.h"


static ngx_http_trove_dedup_loc_conf_t *ngx_http_trove_dedup_conf(
    ngx_http_trove_loc_conf_t *tlcf);
static ngx_http_core_loc_conf_t *ngx_http_trove_dedup_clcf(
    ngx_http_trove_loc_conf_t *tlcf);
static ngx_int_t ngx_http_trove_dedup_scope(ngx_conf_t *cf,
    ngx_http_trove_loc_conf_t *tlcf);
static ngx_int_t ngx_http_trove_dedup_check(ngx_conf_t *cf,
    ngx_http_trove_loc_conf_t *tlcf);
static ngx_int_t ngx_http_trove_dedup_check_scopes(ngx_conf_t *cf,
    ngx_array_t *locs);
static ngx_uint_t ngx_http_trove_dedup_has_scope(
    ngx_http_trove_loc_conf_t *tlcf);


ngx_int_t
ngx_http_trove_dedup_scopes(ngx_conf_t *cf)
{
    ngx_uint_t                   i;
    ngx_array_t                 *locs;
    ngx_http_trove_loc_conf_t  **loc;

    locs = ngx_http_trove_locs(cf);
    loc = locs->elts;

    for (i = 0; i < locs->nelts; i++) {

        if (!loc[i]->dedup) {
            continue;
        }

        if (ngx_http_trove_dedup_scope(cf, loc[i]) != NGX_OK
            || ngx_http_trove_dedup_check(cf, loc[i]) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_trove_dedup_check_scopes(cf, locs);
}


static ngx_http_trove_dedup_loc_conf_t *
ngx_http_trove_dedup_conf(ngx_http_trove_loc_conf_t *tlcf)
{
    return tlcf->loc_conf[ngx_http_trove_dedup_module.ctx_index];
}


static ngx_http_core_loc_conf_t *
ngx_http_trove_dedup_clcf(ngx_http_trove_loc_conf_t *tlcf)
{
    return tlcf->loc_conf[ngx_http_core_module.ctx_index];
}


static ngx_int_t
ngx_http_trove_dedup_scope(ngx_conf_t *cf, ngx_http_trove_loc_conf_t *tlcf)
{
    size_t                            len;
    u_char                           *p, *buf, md[SHA256_DIGEST_LENGTH];
    ngx_http_core_loc_conf_t         *clcf;
    ngx_http_trove_dedup_loc_conf_t  *conf, *outer;

    conf = ngx_http_trove_dedup_conf(tlcf);
    clcf = ngx_http_trove_dedup_clcf(tlcf);

    conf->varies = tlcf->varies;

    if (tlcf->outer) {

        /* outer ones come first */

        outer = ngx_http_trove_dedup_conf(tlcf->outer);

        conf->enable = outer->enable;
        tlcf->dedup = tlcf->outer->dedup;

        ngx_memcpy(conf->scope, outer->scope, NGX_HTTP_TROVE_DEDUP_SCOPE);
        return NGX_OK;
    }

    if (clcf->name.len == 0 && conf->key == NULL) {

        /*
         * A request that matches no location can only be redirected to one,
         * and is deduplicated there.  The scope here would be the same for
         * servers with the same name.
         */

        conf->enable = 0;
        tlcf->dedup = 0;
        return NGX_OK;
    }

    len = tlcf->cscf->server_name.len + clcf->name.len + 2;

    buf = ngx_pnalloc(cf->temp_pool, len);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    /* "/a", "= /a" and "~ /a" are different locations with the same name */

    p = ngx_cpymem(buf, tlcf->cscf->server_name.data,
                   tlcf->cscf->server_name.len);
    *p++ = '\0';
    *p++ = clcf->exact_match ? '=' : ' ';

#if (NGX_PCRE)
    if (clcf->regex) {
        p[-1] = '~';
    }
#endif

    /* the configuration of a server has no name */

    if (clcf->name.len) {
        ngx_memcpy(p, clcf->name.data, clcf->name.len);
    }

    (void) SHA256(buf, len, md);

    ngx_memcpy(conf->scope, md, NGX_HTTP_TROVE_DEDUP_SCOPE);

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_dedup_check(ngx_conf_t *cf, ngx_http_trove_loc_conf_t *tlcf)
{
    ngx_http_core_loc_conf_t         *clcf;
    ngx_http_trove_dedup_loc_conf_t  *conf;

    conf = ngx_http_trove_dedup_conf(tlcf);
    clcf = ngx_http_trove_dedup_clcf(tlcf);

    if (!ngx_http_trove_dedup_zone_declared(conf->shm_zone)) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "unknown zone \"%V\" in \"trove_dedup\", "
                      "add \"trove_dedup_zone zone=%V:10m;\" to http "
                      "in %s:%ui",
                      &conf->shm_zone->shm.name, &conf->shm_zone->shm.name,
                      conf->place.file, conf->place.line);
        return NGX_ERROR;
    }

    if (clcf->name.len == 0 || tlcf->outer
        || tlcf->verify == NGX_HTTP_TROVE_VERIFY_OFF)
    {
        return NGX_OK;
    }

    if (tlcf->tolerance == 0) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"trove_tolerance off\" in location \"%V\" allows "
                      "captured requests to be replayed after the \"ttl\" of "
                      "\"trove_dedup\" in %s:%ui", &clcf->name,
                      conf->place.file, conf->place.line);

    } else if (conf->ttl < 2 * tlcf->tolerance) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"ttl\" of \"trove_dedup\" in location \"%V\" is less "
                      "than twice the \"trove_tolerance\" of %T s and allows "
                      "captured requests to be replayed after it in %s:%ui",
                      &clcf->name, tlcf->tolerance,
                      conf->place.file, conf->place.line);
    }

    return NGX_OK;
}


/* an event in the one would be a duplicate in the other, and be lost */

static ngx_int_t
ngx_http_trove_dedup_check_scopes(ngx_conf_t *cf, ngx_array_t *locs)
{
    ngx_uint_t                        i, n;
    ngx_http_core_loc_conf_t         *clcf;
    ngx_http_trove_loc_conf_t       **loc;
    ngx_http_trove_dedup_loc_conf_t  *conf, *other;

    loc = locs->elts;

    for (i = 0; i < locs->nelts; i++) {

        if (!ngx_http_trove_dedup_has_scope(loc[i])) {
            continue;
        }

        clcf = ngx_http_trove_dedup_clcf(loc[i]);
        conf = ngx_http_trove_dedup_conf(loc[i]);

        for (n = 0; n < i; n++) {

            if (!ngx_http_trove_dedup_has_scope(loc[n])) {
                continue;
            }

            other = ngx_http_trove_dedup_conf(loc[n]);

            if (other->shm_zone != conf->shm_zone
                || ngx_memcmp(other->scope, conf->scope,
                              NGX_HTTP_TROVE_DEDUP_SCOPE)
                   != 0)
            {
                continue;
            }

            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"trove_dedup\" in two locations \"%V\" of servers "
                          "named \"%V\" uses the same zone \"%V\", an event of "
                          "one would be a duplicate in the other; use "
                          "different zones or set \"key=\" in %s:%ui",
                          &clcf->name, &loc[i]->cscf->server_name,
                          &conf->shm_zone->shm.name,
                          conf->place.file, conf->place.line);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* the configuration of a server handles no requests */

static ngx_uint_t
ngx_http_trove_dedup_has_scope(ngx_http_trove_loc_conf_t *tlcf)
{
    return tlcf->dedup && tlcf->outer == NULL
           && ngx_http_trove_dedup_clcf(tlcf)->name.len
           && ngx_http_trove_dedup_conf(tlcf)->key == NULL;
}
