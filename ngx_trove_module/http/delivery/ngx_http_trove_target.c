
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_health.h"
#include "ngx_http_trove_target.h"


static void ngx_http_trove_target_cleanup(void *data);
static ngx_uint_t ngx_http_trove_target_matches(ngx_array_t *patterns,
    ngx_str_t *value);


ngx_http_trove_target_t *
ngx_http_trove_target_create(ngx_http_trove_target_t *base, ngx_str_t *name,
    ngx_log_t *log)
{
    ngx_http_trove_target_t  *target;

    target = ngx_alloc(sizeof(ngx_http_trove_target_t) + name->len, log);
    if (target == NULL) {
        return NULL;
    }

    *target = *base;

    target->name.len = name->len;
    target->name.data = (u_char *) (target + 1);
    ngx_memcpy(target->name.data, name->data, name->len);

    if (base->metrics) {
        target->metrics = ngx_http_trove_metrics_target_create(base->metrics,
                                                               name, log);
        if (target->metrics == NULL) {
            ngx_free(target);
            return NULL;
        }
    }

    target->refs = 1;

    ngx_http_trove_limit_copy(&target->limit, &base->limit);

    target->health = ngx_http_trove_health_acquire(base->health, name);

    if (target->health == NULL) {
        ngx_memzero(&target->own, sizeof(ngx_trove_health_t));
        target->health = &target->own;
    }

    return target;
}


ngx_http_trove_target_t *
ngx_http_trove_target_alias(ngx_http_trove_target_t *base, ngx_str_t *name,
    ngx_log_t *log)
{
    ngx_http_trove_target_t  *target;

    target = ngx_alloc(sizeof(ngx_http_trove_target_t) + name->len, log);
    if (target == NULL) {
        return NULL;
    }

    *target = *base;

    target->name.len = name->len;
    target->name.data = (u_char *) (target + 1);
    ngx_memcpy(target->name.data, name->data, name->len);

    target->refs = 1;
    target->alias = 1;

    ngx_http_trove_limit_init(&target->limit, 0, 0, 0);

    return target;
}


void
ngx_http_trove_target_ref(ngx_http_trove_target_t *target)
{
    if (target->refs) {
        target->refs++;
    }
}


void
ngx_http_trove_target_unref(ngx_http_trove_target_t *target)
{
    if (target->refs == 0 || --target->refs) {
        return;
    }

    if (!target->alias && target->health != &target->own) {
        ngx_http_trove_health_release(target->health);
    }

    if (!target->alias && target->metrics) {
        ngx_http_trove_metrics_target_destroy(target->metrics);
    }

    ngx_free(target);
}


ngx_int_t
ngx_http_trove_target_hold(ngx_http_trove_target_t *target, ngx_pool_t *pool)
{
    ngx_pool_cleanup_t  *cln;

    if (target->refs == 0) {
        return NGX_OK;
    }

    cln = ngx_pool_cleanup_add(pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_trove_target_cleanup;
    cln->data = target;

    target->refs++;

    return NGX_OK;
}


static void
ngx_http_trove_target_cleanup(void *data)
{
    ngx_http_trove_target_unref(data);
}


ngx_int_t
ngx_http_trove_target_match(ngx_http_request_t *r,
    ngx_http_trove_target_t *target, ngx_trove_event_t *event)
{
    ngx_str_t  value;

    if (!ngx_http_trove_target_receives(target, &event->type,
                                        &event->namespace))
    {
        return NGX_DECLINED;
    }

    if (target->condition) {

        if (ngx_http_complex_value(r, target->condition, &value) != NGX_OK) {
            return NGX_ERROR;
        }

        if (value.len == 0 || (value.len == 1 && value.data[0] == '0')) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_trove_target_receives(ngx_http_trove_target_t *target,
    ngx_str_t *type, ngx_str_t *namespace)
{
    /* subscriptions are matched by the spool */

    return !target->subscribers
           && ngx_http_trove_target_matches(target->events, type)
           && ngx_http_trove_target_matches(target->namespaces, namespace);
}


static ngx_uint_t
ngx_http_trove_target_matches(ngx_array_t *patterns, ngx_str_t *value)
{
    ngx_uint_t                 i;
    ngx_http_trove_pattern_t  *pattern;

    if (patterns == NULL) {
        return 1;
    }

    pattern = patterns->elts;

    for (i = 0; i < patterns->nelts; i++) {

        if ((pattern[i].text.len == value->len
             || (pattern[i].prefix && pattern[i].text.len < value->len))
            && (pattern[i].text.len == 0
                || ngx_memcmp(pattern[i].text.data, value->data,
                              pattern[i].text.len)
                   == 0))
        {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_trove_target_max_inflight(ngx_http_trove_target_t *target)
{
    return ngx_http_trove_limit_max(&target->limit);
}


void
ngx_http_trove_target_skipped(ngx_http_trove_target_t *target)
{
    ngx_http_trove_metrics_target_skip(target->metrics);
}


void
ngx_http_trove_target_failed(ngx_http_trove_target_t *target)
{
    ngx_http_trove_metrics_target_fail(target->metrics);
}
