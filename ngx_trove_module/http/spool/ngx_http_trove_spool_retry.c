
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_conf.h"
#include "ngx_http_trove_spool_retry.h"
#include "ngx_trove_spool.h"


#define NGX_HTTP_TROVE_RETRY_BASE    5000
#define NGX_HTTP_TROVE_RETRY_FACTOR  2
#define NGX_HTTP_TROVE_RETRY_MAX     (3600 * 1000)
#define NGX_HTTP_TROVE_RETRY_WINDOW  ((int64_t) 86400 * 1000)
#define NGX_HTTP_TROVE_RETRY_RESPONSE  1024

/* the limits of the parameters */
#define NGX_HTTP_TROVE_RETRY_FACTOR_MAX  10
#define NGX_HTTP_TROVE_RETRY_MAX_MAX     ((ngx_msec_t) 7 * 86400 * 1000)
#define NGX_HTTP_TROVE_RETRY_WINDOW_MAX  ((int64_t) 366 * 86400 * 1000)

/* smaller numbers without a unit, which mean seconds, are suspicious */
#define NGX_HTTP_TROVE_RETRY_MAX_BARE     30
#define NGX_HTTP_TROVE_RETRY_WINDOW_BARE  3600


static ngx_int_t ngx_http_trove_retry_time(ngx_conf_t *cf, ngx_str_t *param,
    size_t prefix, int64_t max, ngx_uint_t bare, int64_t *msec);
static ngx_msec_t ngx_http_trove_retry_asked(ngx_str_t *value,
    ngx_msec_t max);
static ngx_uint_t ngx_http_trove_retry_day(u_char *p, u_char *last);
static time_t ngx_http_trove_retry_seconds(u_char *p, u_char *last);


void
ngx_http_trove_retry_default(ngx_http_trove_retry_t *retry)
{
    retry->base = NGX_HTTP_TROVE_RETRY_BASE;
    retry->factor = NGX_HTTP_TROVE_RETRY_FACTOR;
    retry->max = NGX_HTTP_TROVE_RETRY_MAX;
    retry->window = NGX_HTTP_TROVE_RETRY_WINDOW;
    retry->response = NGX_HTTP_TROVE_RETRY_RESPONSE;
}


char *
ngx_http_trove_retry_conf(ngx_conf_t *cf, ngx_http_trove_retry_t *retry)
{
    int64_t      base, max, window;
    ssize_t      response;
    ngx_int_t    rc, factor;
    ngx_str_t   *value, s;
    ngx_uint_t   i;

    base = 0;
    max = 0;
    window = 0;
    factor = 0;
    response = NGX_CONF_UNSET;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "base=", 5) == 0 && base == 0) {
            rc = ngx_http_trove_retry_time(cf, &value[i], 5,
                                           NGX_HTTP_TROVE_RETRY_MAX_MAX, 0,
                                           &base);

        } else if (ngx_strncmp(value[i].data, "max=", 4) == 0 && max == 0) {
            rc = ngx_http_trove_retry_time(cf, &value[i], 4,
                                           NGX_HTTP_TROVE_RETRY_MAX_MAX,
                                           NGX_HTTP_TROVE_RETRY_MAX_BARE,
                                           &max);

        } else if (ngx_strncmp(value[i].data, "window=", 7) == 0
                   && window == 0)
        {
            rc = ngx_http_trove_retry_time(cf, &value[i], 7,
                                           NGX_HTTP_TROVE_RETRY_WINDOW_MAX,
                                           NGX_HTTP_TROVE_RETRY_WINDOW_BARE,
                                           &window);

        } else if (ngx_strncmp(value[i].data, "factor=", 7) == 0
                   && factor == 0)
        {
            rc = NGX_OK;
            factor = ngx_atoi(value[i].data + 7, value[i].len - 7);

            if (factor < 1 || factor > NGX_HTTP_TROVE_RETRY_FACTOR_MAX) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid factor \"%V\" in \"%V\", "
                                   "it must be from 1 to %d", &value[i],
                                   &value[0], NGX_HTTP_TROVE_RETRY_FACTOR_MAX);
                rc = NGX_ERROR;
            }

        } else if (ngx_strncmp(value[i].data, "response=", 9) == 0
                   && response == NGX_CONF_UNSET)
        {
            rc = NGX_OK;

            s.data = value[i].data + 9;
            s.len = value[i].len - 9;

            response = ngx_parse_size(&s);

            if (response == NGX_ERROR
                || response > NGX_TROVE_SPOOL_RESPONSE_LEN)
            {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid size \"%V\" in \"%V\", "
                                   "it must be from 0 to %dk", &value[i],
                                   &value[0],
                                   NGX_TROVE_SPOOL_RESPONSE_LEN / 1024);
                rc = NGX_ERROR;
            }

        } else if (ngx_strncmp(value[i].data, "answer=", 7) == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"answer\" in \"%V\" is now \"response\"",
                               &value[0]);
            rc = NGX_ERROR;

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "unknown or duplicate parameter \"%V\" in "
                               "\"%V\", expected \"[base=TIME] [factor=N] "
                               "[max=TIME] [window=TIME] [response=SIZE]\"",
                               &value[i], &value[0]);
            rc = NGX_ERROR;
        }

        if (rc != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    retry->base = base ? (ngx_msec_t) base : NGX_HTTP_TROVE_RETRY_BASE;
    retry->max = max ? (ngx_msec_t) max : NGX_HTTP_TROVE_RETRY_MAX;
    retry->window = window ? window : NGX_HTTP_TROVE_RETRY_WINDOW;
    retry->factor = factor ? factor : NGX_HTTP_TROVE_RETRY_FACTOR;
    retry->response = (response == NGX_CONF_UNSET)
                      ? NGX_HTTP_TROVE_RETRY_RESPONSE : (size_t) response;

    if (retry->base > retry->max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"base\" in \"%V\" is greater than \"max\" of %M "
                           "ms", &value[0], retry->max);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_trove_retry_time(ngx_conf_t *cf, ngx_str_t *param, size_t prefix,
    int64_t max, ngx_uint_t bare, int64_t *msec)
{
    ngx_str_t   s, *cmd;

    s.data = param->data + prefix;
    s.len = param->len - prefix;

    *msec = ngx_parse_time(&s, 0);

    if (s.len == 0 || *msec < 1 || *msec > max) {
        cmd = cf->args->elts;

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid time \"%V\" in \"%V\", "
                           "it must be from 1ms to %Ld",
                           param, &cmd[0], max / 86400000);
        return NGX_ERROR;
    }

    ngx_http_trove_conf_bare(cf, param, prefix, bare);

    return NGX_OK;
}


ngx_msec_t
ngx_http_trove_retry_delay(ngx_http_trove_retry_t *retry, ngx_uint_t n,
    ngx_str_t *retry_after)
{
    uint64_t  delay, asked, jitter;

    /* a delay of days times the factor exceeds 32 bits */

    delay = retry->base;

    while (--n && delay < retry->max && retry->factor > 1) {
        delay *= retry->factor;
    }

    /* deliveries that failed together should not be retried together */

    jitter = delay / 10;

    if (jitter) {
        delay = delay - jitter + (uint64_t) ngx_random() % (2 * jitter + 1);
    }

    /* nor when the delay has become the longest one */

    if (delay > retry->max) {
        delay = retry->max - (uint64_t) ngx_random() % (retry->max / 10 + 1);
    }

    asked = ngx_http_trove_retry_asked(retry_after, retry->max);

    return ngx_max(delay, asked);
}


/*
 * A list of numbers and dates, of which the longest counts.  A number may have
 * a fraction, which is rounded up, and an "s".  A date may contain a comma.
 */

static ngx_msec_t
ngx_http_trove_retry_asked(ngx_str_t *value, ngx_msec_t max)
{
    u_char   *p, *end, *last;
    time_t    sec, longest;

    longest = 0;
    last = value->data + value->len;

    for (p = value->data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, ',');
        end = end ? end : last;

        while (p < end && (*p == ' ' || *p == '\t')) {
            p++;
        }

        if (p == end) {
            continue;
        }

        if (*p >= '0' && *p <= '9') {
            sec = ngx_http_trove_retry_seconds(p, end);

        } else {

            /* "Sun, 06 Nov 1994 ..", "Sunday, 06-Nov-94 .." */

            if (end < last && ngx_strlchr(p, end, ' ') == NULL
                && ngx_http_trove_retry_day(p, end))
            {
                end = ngx_strlchr(end + 1, last, ',');
                end = end ? end : last;
            }

            sec = ngx_parse_http_time(p, end - p);
            sec = (sec == (time_t) NGX_ERROR) ? 0 : sec - ngx_time();
        }

        longest = ngx_max(longest, sec);
    }

    return (longest > (time_t) (max / 1000)) ? max
                                             : (ngx_msec_t) longest * 1000;
}


static ngx_uint_t
ngx_http_trove_retry_day(u_char *p, u_char *last)
{
    ngx_uint_t  i;

    static const char  *days[] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat",
                                   "Sun", NULL };

    for (i = 0; days[i]; i++) {
        if (last - p >= 3 && ngx_strncasecmp(p, (u_char *) days[i], 3) == 0) {
            return 1;
        }
    }

    return 0;
}


/* 0 if it is not a number of seconds */

static time_t
ngx_http_trove_retry_seconds(u_char *p, u_char *last)
{
    time_t      sec;
    ngx_uint_t  more;

    sec = 0;
    more = 0;

    for ( /* void */ ; p < last && *p >= '0' && *p <= '9'; p++) {
        if (sec < NGX_MAX_INT32_VALUE / 10) {
            sec = sec * 10 + (*p - '0');

        } else {
            sec = NGX_MAX_INT32_VALUE;
        }
    }

    if (last - p > 1 && *p == '.' && p[1] >= '0' && p[1] <= '9') {
        for (p++; p < last && *p >= '0' && *p <= '9'; p++) {
            more |= (*p != '0');
        }
    }

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    if (p < last && (*p == 's' || *p == 'S')) {
        p++;
    }

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    return (p == last) ? sec + (time_t) more : 0;
}
