
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_signature.h"


static ngx_int_t ngx_trove_signature_part(ngx_trove_signature_t *sg,
    u_char *p, u_char *last);
static ngx_int_t ngx_trove_signature_timestamp(ngx_trove_signature_t *sg,
    u_char *p, u_char *last);
static ngx_int_t ngx_trove_signature_mac(ngx_trove_signature_t *sg,
    u_char *p, u_char *last);


ngx_int_t
ngx_trove_signature_parse(ngx_trove_signature_t *sg, ngx_str_t *value)
{
    u_char  *p, *last, *start, *end;

    sg->text_len = 0;
    sg->nmacs = 0;

    if (value->len == 0) {
        return NGX_DECLINED;
    }

    p = value->data;
    last = p + value->len;

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    if (p == last) {
        return NGX_DECLINED;
    }

    if (value->len > NGX_TROVE_SIGNATURE_HEADER_MAX) {
        return NGX_ERROR;
    }

    for ( ;; ) {
        start = p;

        p = memchr(p, ',', last - p);
        p = p ? p : last;

        end = p;

        while (start < end && (*start == ' ' || *start == '\t')) {
            start++;
        }

        while (end > start && (end[-1] == ' ' || end[-1] == '\t')) {
            end--;
        }

        if (ngx_trove_signature_part(sg, start, end) != NGX_OK) {
            return NGX_ERROR;
        }

        if (p == last) {
            break;
        }

        p++;
    }

    return (sg->text_len && sg->nmacs) ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_trove_signature_part(ngx_trove_signature_t *sg, u_char *p, u_char *last)
{
    if (last - p >= 2 && p[0] == 't' && p[1] == '=') {
        return ngx_trove_signature_timestamp(sg, p + 2, last);
    }

    if (last - p >= 3 && p[0] == 'v' && p[1] == '1' && p[2] == '=') {
        return ngx_trove_signature_mac(sg, p + 3, last);
    }

    /* other schemes may be added: parts with an unknown name are ignored */

    return NGX_OK;
}


static ngx_int_t
ngx_trove_signature_timestamp(ngx_trove_signature_t *sg, u_char *p,
    u_char *last)
{
    size_t   len;
    int64_t  t;

    len = last - p;

    if (sg->text_len || len == 0
        || len > NGX_TROVE_SIGNATURE_DIGITS_MAX) {
        return NGX_ERROR;
    }

    if (*p == '0' && len > 1) {
        return NGX_ERROR;
    }

    ngx_memcpy(sg->text, p, len);
    sg->text_len = len;

    for (t = 0; p < last; p++) {
        if (*p < '0' || *p > '9') {
            return NGX_ERROR;
        }

        t = t * 10 + (*p - '0');
    }

    sg->timestamp = t;

    return NGX_OK;
}


static ngx_int_t
ngx_trove_signature_mac(ngx_trove_signature_t *sg, u_char *p, u_char *last)
{
    u_char       ch, figure, letter, bad, *mac;
    u_char       hex[2 * NGX_TROVE_SIGNATURE_MAC_LEN];
    ngx_uint_t   i;

    if (sg->nmacs == NGX_TROVE_SIGNATURE_MACS_MAX
        || last - p != 2 * NGX_TROVE_SIGNATURE_MAC_LEN)
    {
        return NGX_ERROR;
    }

    /*
     * Digits and letters are random, so that a branch would be mispredicted.
     * Without branches, compilers vectorize the loop.
     */

    bad = 0;

    for (i = 0; i < sizeof(hex); i++) {
        ch = p[i];

        figure = (u_char) (ch - '0') < 10;
        letter = (u_char) ((ch | 0x20) - 'a') < 6;

        hex[i] = (u_char) ((ch & 0xf) + 9 * letter);
        bad |= (u_char) !(figure | letter);
    }

    if (bad) {
        return NGX_ERROR;
    }

    mac = sg->macs[sg->nmacs++];

    for (i = 0; i < NGX_TROVE_SIGNATURE_MAC_LEN; i++) {
        mac[i] = (u_char) (hex[2 * i] << 4 | hex[2 * i + 1]);
    }

    return NGX_OK;
}


ngx_int_t
ngx_trove_signature_fresh(ngx_trove_signature_t *sg, int64_t now,
    int64_t tolerance)
{
    int64_t  age;

    if (tolerance == 0) {
        return NGX_OK;
    }

    age = now - sg->timestamp;

    return (age <= tolerance && age >= -tolerance) ? NGX_OK : NGX_DECLINED;
}
