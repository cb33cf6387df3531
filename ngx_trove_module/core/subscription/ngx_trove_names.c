
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "ngx_trove_names.h"
#include "ngx_trove_utf8.h"


static ngx_int_t ngx_trove_names_random(u_char *p, const char *prefix,
    size_t digits);
static const char *ngx_trove_names_text(ngx_str_t *text);


ngx_int_t
ngx_trove_webhook_id(u_char *p)
{
    return ngx_trove_names_random(p, "wh-", 24);
}


ngx_int_t
ngx_trove_webhook_secret(u_char *p)
{
    return ngx_trove_names_random(p, "trove-whsec-", 64);
}


static ngx_int_t
ngx_trove_names_random(u_char *p, const char *prefix, size_t digits)
{
    size_t  i;
    u_char  random[32];

    static const char  hex[] = "0123456789abcdef";

    if (RAND_bytes(random, (int) digits / 2) != 1) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(p, prefix, ngx_strlen(prefix));

    for (i = 0; i < digits / 2; i++) {
        *p++ = hex[random[i] >> 4];
        *p++ = hex[random[i] & 0xf];
    }

    OPENSSL_cleanse(random, sizeof(random));

    return NGX_OK;
}


const char *
ngx_trove_names_pattern(ngx_str_t *text)
{
    u_char  *p, *end;

    if (text->len == 0) {
        return "must not be empty";
    }

    if (text->len > NGX_TROVE_NAME_LEN) {
        return "must not be longer than 255 bytes";
    }

    end = text->data + text->len;
    p = ngx_strlchr(text->data, end, '*');

    if (p && p != end - 1) {
        return "may have \"*\" only at the end";
    }

    return ngx_trove_names_text(text);
}


const char *
ngx_trove_names_namespace(ngx_str_t *text)
{
    if (text->len == 0) {
        return "must not be empty";
    }

    if (text->len > NGX_TROVE_NAME_LEN) {
        return "must not be longer than 255 bytes";
    }

    return ngx_trove_names_text(text);
}


const char *
ngx_trove_names_description(ngx_str_t *text)
{
    if (text->len > NGX_TROVE_DESCRIPTION_LEN) {
        return "must not be longer than 1000 bytes";
    }

    return ngx_trove_names_text(text);
}


static const char *
ngx_trove_names_text(ngx_str_t *text)
{
    u_char            *p, *end;
    ngx_trove_utf8_t   utf8;

    ngx_memzero(&utf8, sizeof(ngx_trove_utf8_t));

    if (ngx_trove_utf8_check(&utf8, text->data, text->len) != NGX_OK
        || utf8.rest)
    {
        return "must be valid UTF-8";
    }

    end = text->data + text->len;

    for (p = text->data; p < end; p++) {
        if (ngx_trove_utf8_control(p, end)) {
            return "must not contain control characters";
        }
    }

    return NULL;
}
