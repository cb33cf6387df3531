
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_claim.h"
#include "ngx_http_trove_metrics.h"
#include "ngx_http_trove_target_conf.h"


#define NGX_HTTP_TROVE_TARGET_QUEUE     1000
#define NGX_HTTP_TROVE_TARGET_WAIT      5000      /* milliseconds */

#define NGX_HTTP_TROVE_TARGET_INFLIGHT_MAX  65535
#define NGX_HTTP_TROVE_TARGET_QUEUE_MAX     1000000
#define NGX_HTTP_TROVE_TARGET_WAIT_MAX      (3600 * 1000)

/* a larger number without a unit, which means seconds, is suspicious */
#define NGX_HTTP_TROVE_TARGET_WAIT_BARE     60


/* parameters of the limit; unset until they have been read */
typedef struct {
    ngx_uint_t                 max_inflight;
    ngx_uint_t                 max_queue;
    ngx_msec_t                 max_wait;
} ngx_http_trove_target_limit_t;


static ngx_int_t ngx_http_trove_target_name(ngx_conf_t *cf,
    ngx_str_t *name);
static ngx_int_t ngx_http_trove_target_param(ngx_conf_t *cf,
    ngx_http_trove_target_t *target, ngx_http_trove_target_limit_t *limit,
    ngx_str_t *param);
static ngx_int_t ngx_http_trove_target_patterns(ngx_conf_t *cf,
    ngx_array_t **patterns, ngx_str_t *param, ngx_str_t *list);
static ngx_int_t ngx_http_trove_target_condition(ngx_conf_t *cf,
    ngx_http_trove_target_t *target, ngx_str_t *param, ngx_str_t *value);
static ngx_int_t ngx_http_trove_target_number(ngx_conf_t *cf,
    ngx_uint_t *number, ngx_uint_t min, ngx_uint_t max, ngx_str_t *param,
    ngx_str_t *value);


char *
ngx_http_trove_target_add(ngx_conf_t *cf, ngx_array_t *targets)
{
    ngx_str_t                      *value;
    ngx_uint_t                      i;
    ngx_http_trove_target_t        *target, **other;
    ngx_http_core_loc_conf_t       *clcf;
    ngx_http_trove_target_limit_t   limit;

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
    ngx_http_trove_conf_place(cf, &target->place);

    limit.max_inflight = NGX_CONF_UNSET_UINT;
    limit.max_queue = NGX_CONF_UNSET_UINT;
    limit.max_wait = NGX_CONF_UNSET_MSEC;

    value = cf->args->elts;

    if (ngx_http_trove_target_uri(cf, target, &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_trove_target_param(cf, target, &limit, &value[i])
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    if (limit.max_inflight == NGX_CONF_UNSET_UINT
        && (limit.max_queue != NGX_CONF_UNSET_UINT
            || limit.max_wait != NGX_CONF_UNSET_MSEC))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"max_queue\" and \"max_wait\" of \"%V\" in \"%V\" "
                           "require \"max_inflight=N\", add it", &value[1],
                           &value[0]);
        return NGX_CONF_ERROR;
    }

    ngx_conf_init_uint_value(limit.max_inflight, 0);
    ngx_conf_init_uint_value(limit.max_queue, NGX_HTTP_TROVE_TARGET_QUEUE);
    ngx_conf_init_msec_value(limit.max_wait, NGX_HTTP_TROVE_TARGET_WAIT);

    ngx_http_trove_limit_init(&target->limit, limit.max_inflight,
                              limit.max_queue, limit.max_wait);

    if (target->name.len == 0) {
        target->name = target->uri;
    }

    if (ngx_http_trove_target_name(cf, &target->name) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (target->name.len > NGX_HTTP_TROVE_DEDUP_ACK_NAME) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the name of target \"%V\" in \"%V\" is longer than "
                           "%d bytes, specify a shorter one with \"name=NAME\"",
                           &value[1], &value[0], NGX_HTTP_TROVE_DEDUP_ACK_NAME);
        return NGX_CONF_ERROR;
    }

    other = targets->elts;

    for (i = 0; i < targets->nelts - 1; i++) {
        if (other[i]->name.len == target->name.len
            && ngx_strncmp(other[i]->name.data, target->name.data,
                           target->name.len)
               == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "two targets \"%V\" of \"%V\" in one location, "
                               "add \"name=NAME\" to distinguish them",
                               &target->name, &value[0]);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_trove_target_metrics(ngx_conf_t *cf, ngx_array_t *targets)
{
    ngx_uint_t                        i;
    ngx_http_trove_target_t         **target;
    ngx_http_trove_metrics_target_t  *metrics;

    metrics = ngx_http_trove_metrics_loc_targets(cf, targets->nelts);
    if (metrics == NULL) {
        return NGX_CONF_ERROR;
    }

    target = targets->elts;

    for (i = 0; i < targets->nelts; i++) {
        metrics[i].name = target[i]->name;
        target[i]->metrics = &metrics[i];
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_trove_target_uri(ngx_conf_t *cf, ngx_http_trove_target_t *target,
    ngx_str_t *value)
{
    u_char     *p;
    ngx_str_t  *cmd;

    cmd = cf->args->elts;

    if (value->len > 1 && value->data[0] == '@') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"%V\" is a named location, which cannot "
                           "be a target; use \"location = /NAME\" with "
                           "\"internal;\" instead", value, &cmd[0]);
        return NGX_ERROR;
    }

    if (value->len == 0 || value->data[0] != '/') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"%V\" is not the URI of a location, it "
                           "must begin with \"/\"", value, &cmd[0]);
        return NGX_ERROR;
    }

    if (ngx_http_script_variables_count(value)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"%V\" contains a variable, specify a "
                           "location and use the variable there", value,
                           &cmd[0]);
        return NGX_ERROR;
    }

    target->uri = *value;

    p = ngx_strlchr(value->data, value->data + value->len, '?');

    if (p) {
        target->uri.len = p - value->data;
        target->args.data = p + 1;
        target->args.len = value->data + value->len - (p + 1);
    }

    return NGX_OK;
}


/* the name appears in logs, in labels and in comma-separated lists */

static ngx_int_t
ngx_http_trove_target_name(ngx_conf_t *cf, ngx_str_t *name)
{
    size_t      i;
    ngx_str_t  *cmd;

    for (i = 0; i < name->len; i++) {

        if (name->data[i] <= 0x20 || name->data[i] == 0x7f
            || name->data[i] == ',' || name->data[i] == '='
            || name->data[i] == '"' || name->data[i] == '$')
        {
            cmd = cf->args->elts;

            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid target name \"%V\" in \"%V\", it must "
                               "not contain blanks, quotes, or any of \",=$\"; "
                               "specify another one with \"name=NAME\"", name,
                               &cmd[0]);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_target_param(ngx_conf_t *cf, ngx_http_trove_target_t *target,
    ngx_http_trove_target_limit_t *limit, ngx_str_t *param)
{
    u_char      *p;
    ngx_int_t    bare;
    ngx_str_t   *cmd, name, value;
    ngx_uint_t   n;

    cmd = cf->args->elts;

    if (ngx_strcmp(param->data, "optional") == 0 && !target->optional) {
        target->optional = 1;
        return NGX_OK;
    }

    p = ngx_strlchr(param->data, param->data + param->len, '=');

    if (p == NULL || p == param->data + param->len - 1) {
        goto invalid;
    }

    name.data = param->data;
    name.len = p - param->data;
    value.data = p + 1;
    value.len = param->data + param->len - value.data;

#define ngx_http_trove_target_is(s)                                           \
    (name.len == sizeof(s) - 1                                                \
     && ngx_strncmp(name.data, s, sizeof(s) - 1) == 0)

    if (ngx_http_trove_target_is("name") && target->name.len == 0) {

        target->name = value;
        return NGX_OK;
    }

    if (ngx_http_trove_target_is("events") && target->events == NULL) {
        return ngx_http_trove_target_patterns(cf, &target->events, param,
                                              &value);
    }

    if (ngx_http_trove_target_is("namespace") && target->namespaces == NULL) {
        return ngx_http_trove_target_patterns(cf, &target->namespaces, param,
                                              &value);
    }

    if (ngx_http_trove_target_is("if") && target->condition == NULL) {
        return ngx_http_trove_target_condition(cf, target, param, &value);
    }

    if (ngx_http_trove_target_is("max_inflight")
        && limit->max_inflight == NGX_CONF_UNSET_UINT)
    {
        return ngx_http_trove_target_number(cf, &limit->max_inflight, 1,
                                            NGX_HTTP_TROVE_TARGET_INFLIGHT_MAX,
                                            param, &value);
    }

    if (ngx_http_trove_target_is("max_queue")
        && limit->max_queue == NGX_CONF_UNSET_UINT)
    {
        return ngx_http_trove_target_number(cf, &limit->max_queue, 0,
                                            NGX_HTTP_TROVE_TARGET_QUEUE_MAX,
                                            param, &value);
    }

    if (ngx_http_trove_target_is("max_wait")
        && limit->max_wait == NGX_CONF_UNSET_MSEC)
    {
        n = ngx_parse_time(&value, 0);

        if (n == (ngx_uint_t) NGX_ERROR || n == 0
            || n > NGX_HTTP_TROVE_TARGET_WAIT_MAX)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid time \"%V\" in \"%V\", "
                               "it must be from 1ms to 1h", param, &cmd[0]);
            return NGX_ERROR;
        }

        /* it may be meant as milliseconds, as other directives use */

        bare = ngx_atoi(value.data, value.len);

        if (bare > NGX_HTTP_TROVE_TARGET_WAIT_BARE) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "\"%V\" in \"%V\" means %i seconds, add a unit, "
                               "such as \"%ims\" or \"%is\"",
                               param, &cmd[0], bare, bare, bare);
        }

        limit->max_wait = n;
        return NGX_OK;
    }

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown, empty, or duplicate parameter \"%V\" in "
                       "\"%V\", expected \"URI [name=N] [events=A,B] "
                       "[namespace=N,M] [if=$VARIABLE] [optional] "
                       "[max_inflight=N] [max_queue=N] [max_wait=TIME]\"",
                       param, &cmd[0]);
    return NGX_ERROR;
}


static ngx_int_t
ngx_http_trove_target_patterns(ngx_conf_t *cf, ngx_array_t **patterns,
    ngx_str_t *param, ngx_str_t *list)
{
    u_char                    *p, *next, *last;
    ngx_str_t                 *cmd;
    ngx_http_trove_pattern_t  *pattern;

    *patterns = ngx_array_create(cf->pool, 2,
                                 sizeof(ngx_http_trove_pattern_t));
    if (*patterns == NULL) {
        return NGX_ERROR;
    }

    last = list->data + list->len;

    for (p = list->data; p <= last; p = next + 1) {
        next = ngx_strlchr(p, last, ',');
        next = next ? next : last;

        pattern = ngx_array_push(*patterns);
        if (pattern == NULL) {
            return NGX_ERROR;
        }

        pattern->text.data = p;
        pattern->text.len = next - p;
        pattern->prefix = (next > p && next[-1] == '*');
        pattern->text.len -= pattern->prefix;

        if (next == p
            || ngx_strlchr(p, p + pattern->text.len, '*')
            || ngx_strlchr(p, p + pattern->text.len, '$'))
        {
            cmd = cf->args->elts;

            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid \"%V\" in \"%V\", it must be a "
                               "comma-separated list of names, with \"*\" only "
                               "at the end of a name", param, &cmd[0]);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_target_condition(ngx_conf_t *cf,
    ngx_http_trove_target_t *target, ngx_str_t *param, ngx_str_t *value)
{
    ngx_str_t                         *cmd;
    ngx_http_compile_complex_value_t   ccv;

    if (ngx_http_script_variables_count(value) == 0) {
        cmd = cf->args->elts;

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no variable in \"%V\" of \"%V\", define one with a "
                           "\"map\" that has \"volatile;\"", param, &cmd[0]);
        return NGX_ERROR;
    }

    target->condition = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (target->condition == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = value;
    ccv.complex_value = target->condition;

    return ngx_http_compile_complex_value(&ccv);
}


static ngx_int_t
ngx_http_trove_target_number(ngx_conf_t *cf, ngx_uint_t *number,
    ngx_uint_t min, ngx_uint_t max, ngx_str_t *param, ngx_str_t *value)
{
    ngx_int_t   n;
    ngx_str_t  *cmd;

    n = ngx_atoi(value->data, value->len);

    if (n == NGX_ERROR || (ngx_uint_t) n < min || (ngx_uint_t) n > max) {
        cmd = cf->args->elts;

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number \"%V\" in \"%V\", it must be from "
                           "%ui to %ui", param, &cmd[0], min, max);
        return NGX_ERROR;
    }

    *number = n;

    return NGX_OK;
}
