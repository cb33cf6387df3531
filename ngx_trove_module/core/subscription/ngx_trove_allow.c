
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <arpa/inet.h>

#include "ngx_trove_address.h"
#include "ngx_trove_allow.h"


#define NGX_TROVE_ALLOW_PORT  8443


static const char *ngx_trove_allow_block(ngx_str_t *text,
    ngx_trove_allow_t *allow);
static const char *ngx_trove_allow_name(ngx_str_t *text,
    ngx_trove_allow_t *allow);
static ngx_uint_t ngx_trove_allow_host(ngx_trove_allow_t *allow, ngx_uint_t n,
    ngx_str_t *host);
static ngx_uint_t ngx_trove_allow_listed(ngx_trove_allow_t *allow,
    ngx_uint_t n, int family, u_char *address);
static ngx_uint_t ngx_trove_allow_local(ngx_str_t *host);
static ngx_uint_t ngx_trove_allow_check(ngx_trove_allow_t *allow, ngx_uint_t n,
    ngx_trove_url_t *url, int family, u_char *address);


const char *
ngx_trove_allow_parse(ngx_str_t *text, ngx_trove_allow_t *allow)
{
    size_t   i;
    u_char  *end, *label;

    ngx_memzero(allow, sizeof(ngx_trove_allow_t));

    if (text->len == 0) {
        return "must not be empty";
    }

    for (i = 0; i < text->len; i++) {
        text->data[i] = ngx_tolower(text->data[i]);
    }

    /* a name may end with a digit, as "app1", but not with a number */

    end = text->data + text->len;

    for (label = end; label > text->data && label[-1] != '.'; label--) {
        /* void */
    }

    if (ngx_strlchr(text->data, end, '/')
        || ngx_strlchr(text->data, end, ':')
        || (label < end && ngx_trove_url_numeric(label, end)))
    {
        return ngx_trove_allow_block(text, allow);
    }

    return ngx_trove_allow_name(text, allow);
}


static const char *
ngx_trove_allow_block(ngx_str_t *text, ngx_trove_allow_t *allow)
{
    char        address[INET6_ADDRSTRLEN];
    u_char     *p, *end;
    size_t      len;
    ngx_uint_t  max;

    static const char  *invalid = "must be an address, ADDRESS/BITS, a host "
                                  "name, or \"*.SUFFIX\"";

    end = text->data + text->len;

    p = ngx_strlchr(text->data, end, '/');
    len = (p ? p : end) - text->data;

    if (len == 0 || len >= sizeof(address)) {
        return invalid;
    }

    ngx_memcpy(address, text->data, len);
    address[len] = '\0';

    allow->family = ngx_strlchr(text->data, text->data + len, ':')
                    ? AF_INET6 : AF_INET;

    if (ngx_strlen(address) != len
        || inet_pton(allow->family, address, allow->address) != 1)
    {
        return invalid;
    }

    max = (allow->family == AF_INET6) ? 128 : 32;
    allow->bits = max;

    if (p == NULL) {
        return NULL;
    }

    if (end - p < 2 || end - p > 4 || (p[1] == '0' && end - p > 2)) {
        return "has an invalid number of bits";
    }

    allow->bits = 0;

    for (p++; p < end; p++) {

        if (*p < '0' || *p > '9') {
            return "has an invalid number of bits";
        }

        allow->bits = allow->bits * 10 + (*p - '0');
    }

    if (allow->bits > max) {
        return "has an invalid number of bits";
    }

    /* "10.20.0.1/16" is probably a mistake */

    for (len = allow->bits; len < max; len++) {

        if (allow->address[len / 8] & (0x80 >> (len % 8))) {
            return "has bits set beyond the prefix";
        }
    }

    return NULL;
}


static const char *
ngx_trove_allow_name(ngx_str_t *text, ngx_trove_allow_t *allow)
{
    size_t  i;
    u_char  c;

    allow->name = *text;

    if (text->data[0] == '*') {

        if (text->len < 3 || text->data[1] != '.') {
            return "must have a name after \"*.\"";
        }

        allow->name.data++;
        allow->name.len--;
    }

    for (i = 0; i < allow->name.len; i++) {
        c = allow->name.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'
              || c == '_' || c == '.'))
        {
            return "must be a host name";
        }

        if (c == '.' && i && allow->name.data[i - 1] == '.') {
            return "must be a host name";
        }
    }

    if ((allow->name.data[0] == '.' && text->data[0] != '*')
        || allow->name.data[allow->name.len - 1] == '.')
    {
        return "must not begin or end with a dot";
    }

    return NULL;
}


const char *
ngx_trove_allow_url(ngx_trove_allow_t *allow, ngx_uint_t n,
    ngx_trove_url_t *url)
{
    ngx_uint_t  i;

    if (url->family) {

        if (ngx_trove_allow_check(allow, n, url, url->family, url->address)) {
            return NULL;
        }

        if (!url->https) {
            return "must begin with \"https://\"";
        }

        if (url->other_port && url->port != NGX_TROVE_ALLOW_PORT) {
            return "must have the port 443 or 8443";
        }

        return "has an address that is not allowed";
    }

    if (ngx_trove_allow_host(allow, n, &url->host)) {
        return NULL;
    }

    if (ngx_trove_allow_local(&url->host)) {
        return "has a host that is not in the public Internet";
    }

    /* the address may be one of those that are allowed */

    for (i = 0; i < n; i++) {
        if (allow[i].family) {
            return NULL;
        }
    }

    if (!url->https) {
        return "must begin with \"https://\"";
    }

    if (url->other_port && url->port != NGX_TROVE_ALLOW_PORT) {
        return "must have the port 443 or 8443";
    }

    return NULL;
}


/* names that are not resolved by the DNS, or not in the same way everywhere */

static ngx_uint_t
ngx_trove_allow_local(ngx_str_t *host)
{
    size_t       len;
    ngx_uint_t   i;

    static const char  *local[] = {
        "localhost", ".localhost", ".local", ".internal", ".localdomain",
        ".home.arpa", ".test", ".invalid", ".onion", ".lan", ".intranet",
        ".corp", ".home", NULL
    };

    if (ngx_strlchr(host->data, host->data + host->len, '.') == NULL) {
        return 1;
    }

    for (i = 0; local[i]; i++) {
        len = ngx_strlen(local[i]);

        if (host->len >= len
            && ngx_memcmp(host->data + host->len - len, local[i], len) == 0
            && (local[i][0] == '.' || host->len == len))
        {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
ngx_trove_allow_address(ngx_trove_allow_t *allow, ngx_uint_t n,
    ngx_trove_url_t *url, struct sockaddr *sa)
{
    int     family;
    u_char  address[16];

    family = ngx_trove_address_of(sa, address);

    return family
           && ngx_trove_allow_check(allow, n, url, family, address);
}


static ngx_uint_t
ngx_trove_allow_check(ngx_trove_allow_t *allow, ngx_uint_t n,
    ngx_trove_url_t *url, int family, u_char *address)
{
    ngx_trove_address_e  kind;

    kind = ngx_trove_address_kind(family, address);

    if (kind == NGX_TROVE_ADDRESS_INVALID) {
        return 0;
    }

    if (ngx_trove_allow_listed(allow, n, family, address)) {
        return 1;
    }

    if (kind == NGX_TROVE_ADDRESS_METADATA) {
        return 0;
    }

    if (url->family == 0 && ngx_trove_allow_host(allow, n, &url->host)) {
        return 1;
    }

    return kind == NGX_TROVE_ADDRESS_PUBLIC
           && url->https
           && (!url->other_port || url->port == NGX_TROVE_ALLOW_PORT);
}


static ngx_uint_t
ngx_trove_allow_host(ngx_trove_allow_t *allow, ngx_uint_t n, ngx_str_t *host)
{
    ngx_uint_t   i;
    ngx_str_t   *name;

    for (i = 0; i < n; i++) {

        if (allow[i].family) {
            continue;
        }

        name = &allow[i].name;

        if (name->data[0] == '.') {

            if (host->len > name->len
                && ngx_memcmp(host->data + host->len - name->len, name->data,
                              name->len)
                   == 0)
            {
                return 1;
            }

            continue;
        }

        if (host->len == name->len
            && ngx_memcmp(host->data, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_trove_allow_listed(ngx_trove_allow_t *allow, ngx_uint_t n, int family,
    u_char *address)
{
    u_char      mask;
    ngx_uint_t  i, bytes, bits;

    for (i = 0; i < n; i++) {

        if (allow[i].family != family) {
            continue;
        }

        bytes = allow[i].bits / 8;
        bits = allow[i].bits % 8;

        if (ngx_memcmp(allow[i].address, address, bytes) != 0) {
            continue;
        }

        mask = (u_char) (0xff00 >> bits);

        if (bits == 0
            || ((allow[i].address[bytes] ^ address[bytes]) & mask) == 0)
        {
            return 1;
        }
    }

    return 0;
}
