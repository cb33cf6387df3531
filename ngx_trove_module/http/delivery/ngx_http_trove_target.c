
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_target.h"


static ngx_uint_t ngx_http_trove_target_matches(ngx_array_t *patterns,
    ngx_str_t *value);


ngx_int_t
ngx_http_trove_target_match(ngx_http_request_t *r,
    ngx_http_trove_target_t *target, ngx_trove_event_t *event)
{
    ngx_str_t  value;

    if (!ngx_http_trove_target_matches(target->events, &event->type)
        || !ngx_http_trove_target_matches(target->namespaces,
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
