
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <openssl/sha.h>

#include "ngx_http_trove_dedup.h"
#include "ngx_http_trove_dedup_zone.h"
#include "ngx_http_trove_verify.h"


static ngx_int_t ngx_http_trove_dedup_scope(ngx_conf_t *cf,
    ngx_http_trove_dedup_loc_t *loc);
static ngx_int_t ngx_http_trove_dedup_check(ngx_conf_t *cf,
    ngx_http_trove_dedup_loc_t *loc);
static ngx_int_t ngx_http_trove_dedup_check_scopes(ngx_conf_t *cf,
    ngx_array_t *locs);
static ngx_http_core_loc_conf_t *ngx_http_trove_dedup_clcf(
    ngx_http_trove_dedup_loc_t *loc);


ngx_int_t
ngx_http_trove_dedup_scopes(ngx_conf_t *cf, ngx_array_t *locs)
{
    ngx_uint_t                   i;
    ngx_http_trove_dedup_loc_t  *loc;

    loc = locs->elts;

    for (i = 0; i < locs->nelts; i++) {

        if (ngx_http_trove_dedup_scope(cf, &loc[i]) != NGX_OK
            || ngx_http_trove_dedup_check(cf, &loc[i]) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_trove_dedup_check_scopes(cf, locs);
}


static ngx_http_core_loc_conf_t *
ngx_http_trove_dedup_clcf(ngx_http_trove_dedup_loc_t *loc)
{
    return loc->loc_conf[ngx_http_core_module.ctx_index];
}


static ngx_int_t
ngx_http_trove_dedup_scope(ngx_conf_t *cf, ngx_http_trove_dedup_loc_t *loc)
{
    size_t                            len;
    u_char                           *p, *buf, md[SHA256_DIGEST_LENGTH];
    ngx_http_core_loc_conf_t         *clcf;
    ngx_http_trove_verify_info_t      info;
    ngx_http_trove_dedup_loc_conf_t  *conf;

    conf = loc->conf;
    clcf = ngx_http_trove_dedup_clcf(loc);

    ngx_http_trove_verify_info(loc->loc_conf, &info);
    conf->varies = info.varies;

    if (conf->outer) {

        /* outer ones come first */

        conf->enable = conf->outer->enable;

        ngx_memcpy(conf->scope, conf->outer->scope,
                   NGX_HTTP_TROVE_DEDUP_SCOPE);
        return NGX_OK;
    }

    if (clcf->name.len == 0 && conf->key == NULL) {

        /*
         * What matches no location can only go on to one: it is deduplicated
         * there.  Here servers of one name could not be told apart.
         */

        conf->enable = 0;
        return NGX_OK;
    }

    len = loc->cscf->server_name.len + clcf->name.len + 2;

    buf = ngx_pnalloc(cf->temp_pool, len);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    /* "/a", "= /a" and "~ /a" are different locations of one name */

    p = ngx_cpymem(buf, loc->cscf->server_name.data,
                   loc->cscf->server_name.len);
    *p++ = '\0';
    *p++ = clcf->exact_match ? '=' : ' ';

#if (NGX_PCRE)
    if (clcf->regex) {
        p[-1] = '~';
    }
#endif

    /* what is set for a server as a whole has no name */

    if (clcf->name.len) {
        ngx_memcpy(p, clcf->name.data, clcf->name.len);
    }

    (void) SHA256(buf, len, md);

    ngx_memcpy(conf->scope, md, NGX_HTTP_TROVE_DEDUP_SCOPE);

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_dedup_check(ngx_conf_t *cf, ngx_http_trove_dedup_loc_t *loc)
{
    ngx_http_core_loc_conf_t         *clcf;
    ngx_http_trove_verify_info_t      info;
    ngx_http_trove_dedup_loc_conf_t  *conf;

    conf = loc->conf;
    clcf = ngx_http_trove_dedup_clcf(loc);

    if (!ngx_http_trove_dedup_zone_declared(conf->shm_zone)) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "unknown zone \"%V\" in \"trove_dedup\", "
                      "add \"trove_dedup_zone zone=%V:10m;\" to http "
                      "in %s:%ui",
                      &conf->shm_zone->shm.name, &conf->shm_zone->shm.name,
                      conf->place.file, conf->place.line);
        return NGX_ERROR;
    }

    ngx_http_trove_verify_info(loc->loc_conf, &info);

    if (clcf->name.len == 0 || conf->outer
        || info.mode == NGX_HTTP_TROVE_VERIFY_OFF)
    {
        return NGX_OK;
    }

    if (info.tolerance == 0) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "with \"trove_tolerance off\" in location \"%V\" a "
                      "captured request can be replayed when the \"ttl\" of "
                      "\"trove_dedup\" has passed in %s:%ui", &clcf->name,
                      conf->place.file, conf->place.line);

    } else if (conf->ttl < 2 * info.tolerance) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"ttl\" of \"trove_dedup\" in location \"%V\" is less "
                      "than twice the \"trove_tolerance\" of %T s: a captured "
                      "request can be replayed when it has passed in %s:%ui",
                      &clcf->name, info.tolerance,
                      conf->place.file, conf->place.line);
    }

    return NGX_OK;
}


/* an event of the one would be a duplicate in the other: never delivered */

static ngx_int_t
ngx_http_trove_dedup_check_scopes(ngx_conf_t *cf, ngx_array_t *locs)
{
    ngx_uint_t                   i, n;
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_trove_dedup_loc_t  *loc;

    loc = locs->elts;

    for (i = 0; i < locs->nelts; i++) {
        clcf = ngx_http_trove_dedup_clcf(&loc[i]);

        /* what is set for a server as a whole answers nothing */

        if (clcf->name.len == 0 || loc[i].conf->outer || loc[i].conf->key) {
            continue;
        }

        for (n = 0; n < i; n++) {

            if (ngx_http_trove_dedup_clcf(&loc[n])->name.len == 0
                || loc[n].conf->outer
                || loc[n].conf->key
                || loc[n].conf->shm_zone != loc[i].conf->shm_zone
                || ngx_memcmp(loc[n].conf->scope, loc[i].conf->scope,
                              NGX_HTTP_TROVE_DEDUP_SCOPE)
                   != 0)
            {
                continue;
            }

            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"trove_dedup\" in two locations \"%V\" of servers "
                          "named \"%V\" share zone \"%V\": an event of the one "
                          "would be a duplicate in the other; give them "
                          "different zones or a \"key=\" in %s:%ui",
                          &clcf->name, &loc[i].cscf->server_name,
                          &loc[i].conf->shm_zone->shm.name,
                          loc[i].conf->place.file, loc[i].conf->place.line);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}
