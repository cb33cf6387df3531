
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_time.h"


#define NGX_TROVE_TIME_SEC  ((int64_t) 1000000000)


typedef struct {
    u_char   *p;
    u_char   *last;
} ngx_trove_time_text_t;


static ngx_int_t ngx_trove_time_date(ngx_trove_time_text_t *text,
    int64_t *days);
static ngx_int_t ngx_trove_time_clock(ngx_trove_time_text_t *text,
    int64_t *sec, int64_t *ns);
static ngx_int_t ngx_trove_time_zone(ngx_trove_time_text_t *text,
    int64_t *sec);
static ngx_uint_t ngx_trove_time_fraction(ngx_trove_time_text_t *text,
    int64_t *ns);
static ngx_uint_t ngx_trove_time_skip(ngx_trove_time_text_t *text, u_char ch);
static ngx_int_t ngx_trove_time_digits(ngx_trove_time_text_t *text,
    ngx_uint_t n, int64_t *value);
static int64_t ngx_trove_time_days(int64_t year, int64_t month, int64_t day);


ngx_int_t
ngx_trove_time_parse(ngx_str_t *s, int64_t *ns)
{
    int64_t                days, sec, zone, fraction;
    ngx_trove_time_text_t  text;

    text.p = s->data;
    text.last = s->data + s->len;

    sec = 0;
    zone = 0;
    fraction = 0;

    if (ngx_trove_time_date(&text, &days) != NGX_OK) {
        return NGX_ERROR;
    }

    if (text.p < text.last
        && (ngx_trove_time_clock(&text, &sec, &fraction) != NGX_OK
            || ngx_trove_time_zone(&text, &zone) != NGX_OK
            || text.p != text.last))
    {
        return NGX_ERROR;
    }

    sec += days * 86400 - zone;

    if (sec < 0) {
        *ns = -1;

    } else if (sec >= NGX_TROVE_TIME_MAX / NGX_TROVE_TIME_SEC) {
        *ns = NGX_TROVE_TIME_MAX;

    } else {
        *ns = sec * NGX_TROVE_TIME_SEC + fraction;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trove_time_date(ngx_trove_time_text_t *text, int64_t *days)
{
    int64_t     year, month, day, first, next;
    ngx_uint_t  extended;

    if (ngx_trove_time_digits(text, 4, &year) != NGX_OK) {
        return NGX_ERROR;
    }

    extended = ngx_trove_time_skip(text, '-');

    if (ngx_trove_time_digits(text, 2, &month) != NGX_OK
        || ngx_trove_time_skip(text, '-') != extended
        || ngx_trove_time_digits(text, 2, &day) != NGX_OK
        || month < 1 || month > 12)
    {
        return NGX_ERROR;
    }

    first = ngx_trove_time_days(year, month, 1);
    next = (month == 12) ? ngx_trove_time_days(year + 1, 1, 1)
                         : ngx_trove_time_days(year, month + 1, 1);

    if (day < 1 || day > next - first) {
        return NGX_ERROR;
    }

    *days = first + day - 1;

    return NGX_OK;
}


static ngx_int_t
ngx_trove_time_clock(ngx_trove_time_text_t *text, int64_t *sec, int64_t *ns)
{
    int64_t     hour, min, s;
    ngx_uint_t  extended;

    if (!ngx_trove_time_skip(text, 'T') && !ngx_trove_time_skip(text, 't')
        && !ngx_trove_time_skip(text, ' '))
    {
        return NGX_ERROR;
    }

    s = 0;

    if (ngx_trove_time_digits(text, 2, &hour) != NGX_OK) {
        return NGX_ERROR;
    }

    extended = ngx_trove_time_skip(text, ':');

    if (ngx_trove_time_digits(text, 2, &min) != NGX_OK) {
        return NGX_ERROR;
    }

    if (extended ? ngx_trove_time_skip(text, ':')
                 : (text->p < text->last && *text->p >= '0'
                    && *text->p <= '9'))
    {
        if (ngx_trove_time_digits(text, 2, &s) != NGX_OK) {
            return NGX_ERROR;
        }

        if ((ngx_trove_time_skip(text, '.') || ngx_trove_time_skip(text, ','))
            && ngx_trove_time_fraction(text, ns) == 0)
        {
            return NGX_ERROR;
        }
    }

    /* 60: a leap second, which is the first second of the next minute */

    if (hour > 23 || min > 59 || s > 60) {
        return NGX_ERROR;
    }

    *sec = hour * 3600 + min * 60 + s;

    return NGX_OK;
}


static ngx_int_t
ngx_trove_time_zone(ngx_trove_time_text_t *text, int64_t *sec)
{
    int64_t  hour, min, sign;

    if (text->p == text->last) {
        return NGX_OK;
    }

    if (ngx_trove_time_skip(text, 'Z') || ngx_trove_time_skip(text, 'z')) {
        return NGX_OK;
    }

    if (ngx_trove_time_skip(text, '-')) {
        sign = -1;

    } else if (ngx_trove_time_skip(text, '+')
               || ngx_trove_time_skip(text, ' '))
    {
        sign = 1;

    } else {
        return NGX_ERROR;
    }

    min = 0;

    if (ngx_trove_time_digits(text, 2, &hour) != NGX_OK) {
        return NGX_ERROR;
    }

    if (text->p < text->last) {

        (void) ngx_trove_time_skip(text, ':');

        if (ngx_trove_time_digits(text, 2, &min) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (hour > 23 || min > 59) {
        return NGX_ERROR;
    }

    *sec = sign * (hour * 3600 + min * 60);

    return NGX_OK;
}


/* returns the number of digits */

static ngx_uint_t
ngx_trove_time_fraction(ngx_trove_time_text_t *text, int64_t *ns)
{
    int64_t     unit;
    ngx_uint_t  n;

    n = 0;
    *ns = 0;

    for (unit = NGX_TROVE_TIME_SEC / 10;
         text->p < text->last && *text->p >= '0' && *text->p <= '9';
         unit /= 10)
    {
        *ns += (*text->p++ - '0') * unit;
        n++;
    }

    return n;
}


static ngx_uint_t
ngx_trove_time_skip(ngx_trove_time_text_t *text, u_char ch)
{
    if (text->p == text->last || *text->p != ch) {
        return 0;
    }

    text->p++;

    return 1;
}


static ngx_int_t
ngx_trove_time_digits(ngx_trove_time_text_t *text, ngx_uint_t n,
    int64_t *value)
{
    if ((size_t) (text->last - text->p) < n) {
        return NGX_ERROR;
    }

    for (*value = 0; n; n--) {

        if (*text->p < '0' || *text->p > '9') {
            return NGX_ERROR;
        }

        *value = *value * 10 + *text->p++ - '0';
    }

    return NGX_OK;
}


/* the proleptic Gregorian calendar, in years that begin in March */

static int64_t
ngx_trove_time_days(int64_t year, int64_t month, int64_t day)
{
    if (month <= 2) {
        year--;
        month += 12;
    }

    return year * 365 + (year + 400) / 4 - (year + 400) / 100
           + (year + 400) / 400 + (month * 153 - 457) / 5 + day
           - 719566;
}
