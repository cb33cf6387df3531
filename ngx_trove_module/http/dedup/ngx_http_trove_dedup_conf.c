
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_dedup_conf.h"
#include "ngx_http_trove_dedup_zone.h"
#include "ngx_http_trove_module.h"


#define NGX_HTTP_TROVE_DEDUP_TTL    86400
#define NGX_HTTP_TROVE_DEDUP_LEASE  60

/* warnings are logged for fewer seconds without a unit */
#define NGX_HTTP_TROVE_DEDUP_TTL_BARE    3600
#define NGX_HTTP_TROVE_DEDUP_LEASE_BARE  10


static char *ngx_http_trove_dedup_time(ngx_conf_t *cf, ngx_str_t *param,
    size_t prefix, time_t max, ngx_uint_t bare, time_t *time);


void *
ngx_http_trove_dedup_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_trove_dedup_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_trove_dedup_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->enable = 0;
     *     conf->shm_zone = NULL;
     *     conf->ttl = 0;
     *     conf->lease = 0;
     *     conf->key = NULL;
     *     conf->scope
     *     conf->varies = 0;
     */

    conf->said = NGX_CONF_UNSET;

    return conf;
}


char *
ngx_http_trove_dedup_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_trove_dedup_loc_conf_t  *prev = parent;
    ngx_http_trove_dedup_loc_conf_t  *conf = child;

    ngx_http_trove_loc_conf_t  *tlcf;

    tlcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_trove_module);

    conf->enable = conf->said == 1;

    if (conf->said == NGX_CONF_UNSET) {

        /* an exemption is for one location, and not for nested ones */

        conf->said = prev->said;

        conf->enable = tlcf->outer ? prev->enable
                                   : prev->said == 1 && !tlcf->endpoint;
        conf->shm_zone = prev->shm_zone;
        conf->ttl = prev->ttl;
        conf->lease = prev->lease;
        conf->key = prev->key;
        conf->place = prev->place;
    }

    tlcf->dedup = (conf->enable == 1);

    return NGX_CONF_OK;
}


char *
ngx_http_trove_dedup(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_trove_dedup_loc_conf_t *dlcf = conf;

    ngx_str_t                         *value, s;
    ngx_uint_t                         i;
    ngx_http_compile_complex_value_t   ccv;

    if (dlcf->said != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        dlcf->said = 0;
        return NGX_CONF_OK;
    }

    dlcf->said = 1;
    ngx_http_trove_conf_place(cf, &dlcf->place);

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "zone=", 5) == 0
            && value[i].len > 5 && dlcf->shm_zone == NULL)
        {
            s.data = value[i].data + 5;
            s.len = value[i].len - 5;

            dlcf->shm_zone = ngx_http_trove_dedup_zone_get(cf, &s);
            if (dlcf->shm_zone == NULL) {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (ngx_strncmp(value[i].data, "ttl=", 4) == 0 && dlcf->ttl == 0) {
            if (ngx_http_trove_dedup_time(cf, &value[i], 4,
                                          NGX_TROVE_ZONE_TTL_MAX,
                                          NGX_HTTP_TROVE_DEDUP_TTL_BARE,
                                          &dlcf->ttl)
                != NGX_CONF_OK)
            {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (ngx_strncmp(value[i].data, "lease=", 6) == 0 && dlcf->lease == 0) {
            if (ngx_http_trove_dedup_time(cf, &value[i], 6,
                                          NGX_TROVE_ZONE_LEASE_MAX,
                                          NGX_HTTP_TROVE_DEDUP_LEASE_BARE,
                                          &dlcf->lease)
                != NGX_CONF_OK)
            {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (ngx_strncmp(value[i].data, "key=", 4) == 0
            && value[i].len > 4 && dlcf->key == NULL)
        {
            s.data = value[i].data + 4;
            s.len = value[i].len - 4;

            dlcf->key = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
            if (dlcf->key == NULL) {
                return NGX_CONF_ERROR;
            }

            ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

            ccv.cf = cf;
            ccv.value = &s;
            ccv.complex_value = dlcf->key;

            if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown, empty, or duplicate parameter \"%V\" in "
                           "\"%V\", expected \"zone=NAME [ttl=TIME] "
                           "[lease=TIME] [key=VALUE]\" or \"off\"", &value[i],
                           &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (dlcf->shm_zone == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"zone=NAME\" in \"%V\", expected \"zone=NAME "
                           "[ttl=TIME] [lease=TIME] [key=VALUE]\" or \"off\"",
                           &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (dlcf->ttl == 0) {
        dlcf->ttl = NGX_HTTP_TROVE_DEDUP_TTL;
    }

    if (dlcf->lease == 0) {
        dlcf->lease = NGX_HTTP_TROVE_DEDUP_LEASE;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_trove_dedup_time(ngx_conf_t *cf, ngx_str_t *param, size_t prefix,
    time_t max, ngx_uint_t bare, time_t *time)
{
    time_t      sec;
    ngx_str_t   s, *cmd;

    s.data = param->data + prefix;
    s.len = param->len - prefix;

    sec = ngx_parse_time(&s, 1);

    if (sec == (time_t) NGX_ERROR || sec < 1 || sec > max) {
        cmd = cf->args->elts;

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid time \"%V\" in \"%V\", "
                           "it must be from 1s to %Td",
                           param, &cmd[0], max / 86400);
        return NGX_CONF_ERROR;
    }

    ngx_http_trove_conf_bare(cf, param, prefix, bare);

    *time = sec;

    return NGX_CONF_OK;
}
