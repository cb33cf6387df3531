
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_target_conf.h"
#include "ngx_trove_spool.h"


/* deliveries to a subscription at once, in a worker */
#define NGX_HTTP_TROVE_SUBSCRIBERS_INFLIGHT      8
#define NGX_HTTP_TROVE_SUBSCRIBERS_INFLIGHT_MAX  1000

/* milliseconds */
#define NGX_HTTP_TROVE_SUBSCRIBERS_DISABLE                                    \
    ((int64_t) 5 * 86400 * 1000)
#define NGX_HTTP_TROVE_SUBSCRIBERS_DISABLE_MAX                                \
    ((int64_t) 365 * 86400 * 1000)


static ngx_int_t ngx_http_trove_target_disable_after(
    ngx_http_trove_target_t *target, ngx_str_t *value);


/* the directive "trove_subscriptions" */

char *
ngx_http_trove_target_subscribers(ngx_conf_t *cf, ngx_array_t *targets)
{
    ngx_int_t                  n;
    ngx_str_t                 *value, s;
    ngx_uint_t                 i, inflight;
    ngx_http_core_loc_conf_t  *clcf;
    ngx_http_trove_target_t   *target, **other;

    value = cf->args->elts;
    other = targets->elts;

    for (i = 0; i < targets->nelts; i++) {
        if (other[i]->subscribers) {
            return "is duplicate";
        }
    }

    target = ngx_pcalloc(cf->pool, sizeof(ngx_http_trove_target_t));
    if (target == NULL) {
        return NGX_CONF_ERROR;
    }

    other = ngx_array_push(targets);
    if (other == NULL) {
        return NGX_CONF_ERROR;
    }

    *other = target;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    target->location = clcf->name;
    target->subscribers = 1;
    target->disable_after = -1;

    ngx_str_set(&target->name, NGX_TROVE_SPOOL_SUBSCRIBERS);
    ngx_http_trove_conf_place(cf, &target->place);

    if (ngx_http_trove_target_uri(cf, target, &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    inflight = 0;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "max_inflight=", 13) == 0
            && inflight == 0)
        {
            n = ngx_atoi(value[i].data + 13, value[i].len - 13);

            if (n < 1 || n > NGX_HTTP_TROVE_SUBSCRIBERS_INFLIGHT_MAX) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid number \"%V\" in \"%V\", it must "
                                   "be from %ui to %ui", &value[i], &value[0],
                                   (ngx_uint_t) 1, (ngx_uint_t)
                                   NGX_HTTP_TROVE_SUBSCRIBERS_INFLIGHT_MAX);
                return NGX_CONF_ERROR;
            }

            inflight = n;
            continue;
        }

        if (ngx_strncmp(value[i].data, "disable_after=", 14) == 0
            && target->disable_after == -1)
        {
            s.data = value[i].data + 14;
            s.len = value[i].len - 14;

            if (ngx_http_trove_target_disable_after(target, &s) != NGX_OK) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid time \"%V\" in \"%V\", it must be "
                                   "from 1s to 365d, or \"off\"", &value[i],
                                   &value[0]);
                return NGX_CONF_ERROR;
            }

            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown or duplicate parameter \"%V\" in \"%V\", "
                           "expected \"URI [max_inflight=N] "
                           "[disable_after=TIME|off]\"",
                           &value[i], &value[0]);
        return NGX_CONF_ERROR;
    }

    if (target->disable_after == -1) {
        target->disable_after = NGX_HTTP_TROVE_SUBSCRIBERS_DISABLE;
    }

    ngx_http_trove_limit_init(&target->limit,
                              inflight ? inflight
                                       : NGX_HTTP_TROVE_SUBSCRIBERS_INFLIGHT,
                              0, 0);

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_trove_target_disable_after(ngx_http_trove_target_t *target,
    ngx_str_t *value)
{
    int64_t  ms;

    if (value->len == 3 && ngx_strncmp(value->data, "off", 3) == 0) {
        target->disable_after = 0;
        return NGX_OK;
    }

    if (value->len == 0) {
        return NGX_ERROR;
    }

    ms = ngx_parse_time(value, 0);

    if (ms < 1000 || ms > NGX_HTTP_TROVE_SUBSCRIBERS_DISABLE_MAX) {
        return NGX_ERROR;
    }

    target->disable_after = ms;

    return NGX_OK;
}
