
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <arpa/inet.h>

#include "ngx_trove_url.h"


#define NGX_TROVE_URL_LABEL  63

#define ngx_trove_url_hex(c)                                                  \
    (((c) >= '0' && (c) <= '9') || (((c) | 0x20) >= 'a' && ((c) | 0x20) <= 'f'))


static size_t ngx_trove_url_scheme(ngx_str_t *text, ngx_trove_url_t *url);
static const char *ngx_trove_url_host(ngx_trove_url_t *url, u_char *p,
    u_char *end);
static const char *ngx_trove_url_name(ngx_trove_url_t *url, u_char *p,
    u_char *end);
static const char *ngx_trove_url_port(ngx_trove_url_t *url, u_char *p,
    u_char *end);
static const char *ngx_trove_url_path(ngx_str_t *path);


const char *
ngx_trove_url_parse(ngx_str_t *text, ngx_trove_url_t *url)
{
    size_t       n;
    u_char      *p, *end, *host, *last, *port;
    const char  *error;

    ngx_memzero(url, sizeof(ngx_trove_url_t));

    if (text->len > NGX_TROVE_URL_LEN) {
        return "must not be longer than 2048 bytes";
    }

    p = text->data;
    end = p + text->len;

    n = ngx_trove_url_scheme(text, url);

    if (n == 0) {
        return "must begin with \"https://\"";
    }

    p += n;

    /* the authority ends at the first of these, in any URL parser */

    host = p;

    while (p < end && *p != '/' && *p != '?' && *p != '#') {

        if (*p == '\\') {
            return "contains a backslash";
        }

        if (*p == '@') {
            return "must not contain a user name or a password";
        }

        p++;
    }

    url->path.data = p;
    url->path.len = end - p;

    last = p;
    port = NULL;

    if (host < last && *host == '[') {

        p = ngx_strlchr(host, last, ']');

        if (p == NULL) {
            return "has an invalid IPv6 address";
        }

        if (p + 1 < last) {

            if (p[1] != ':') {
                return "has an invalid host";
            }

            port = p + 2;
        }

        error = ngx_trove_url_host(url, host, p + 1);

    } else {
        p = ngx_strlchr(host, last, ':');

        if (p) {
            port = p + 1;
        }

        error = ngx_trove_url_host(url, host, p ? p : last);
    }

    if (error) {
        return error;
    }

    error = ngx_trove_url_port(url, port, last);

    return error ? error : ngx_trove_url_path(&url->path);
}


/* returns the length of the scheme, or 0 */

static size_t
ngx_trove_url_scheme(ngx_str_t *text, ngx_trove_url_t *url)
{
    size_t       i, len;
    const char  *scheme;

    scheme = "https://";
    len = 8;

    for ( ;; ) {

        for (i = 0; i < len && i < text->len; i++) {
            if (ngx_tolower(text->data[i]) != (u_char) scheme[i]) {
                break;
            }
        }

        if (i == len) {
            url->https = (len == 8);
            return len;
        }

        if (len == 7) {
            return 0;
        }

        scheme = "http://";
        len = 7;
    }
}


static const char *
ngx_trove_url_host(ngx_trove_url_t *url, u_char *p, u_char *end)
{
    size_t  len;
    char    text[INET6_ADDRSTRLEN];

    if (p == end) {
        return "has no host";
    }

    if (*p == '[') {
        len = end - p - 2;

        if (len == 0 || len >= sizeof(text)) {
            return "has an invalid IPv6 address";
        }

        ngx_memcpy(text, p + 1, len);
        text[len] = '\0';

        /* a null byte would end the text; a zone is of this machine only */

        if (ngx_strlen(text) != len
            || inet_pton(AF_INET6, text, url->address) != 1)
        {
            return "has an invalid IPv6 address";
        }

        url->family = AF_INET6;

        /* one form of each address */

        if (inet_ntop(AF_INET6, url->address, (char *) url->buf,
                      sizeof(url->buf))
            == NULL)
        {
            return "has an invalid IPv6 address";
        }

        url->host.data = url->buf;
        url->host.len = ngx_strlen(url->buf);

        return NULL;
    }

    return ngx_trove_url_name(url, p, end);
}


static const char *
ngx_trove_url_name(ngx_trove_url_t *url, u_char *p, u_char *end)
{
    u_char      c, *q, *label;
    ngx_uint_t  numeric;

    if (end[-1] == '.') {
        end--;
    }

    if (p == end || end - p > NGX_TROVE_HOST_LEN) {
        return "has a host that is empty or too long";
    }

    q = url->buf;
    label = q;

    for ( /* void */ ; p < end; p++) {
        c = *p;

        if (c >= 'A' && c <= 'Z') {
            c |= 0x20;
        }

        if (c == '.') {

            if (q == label || q[-1] == '-') {
                return "has an invalid host name";
            }

            *q++ = c;
            label = q;
            continue;
        }

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'
              || (c == '-' && q != label)))
        {
            return "has a host name with other characters than letters, "
                   "digits, \"-\" and \"_\"";
        }

        if (q - label == NGX_TROVE_URL_LABEL) {
            return "has an invalid host name";
        }

        *q++ = c;
    }

    if (q == label || q[-1] == '-') {
        return "has an invalid host name";
    }

    *q = '\0';

    url->host.data = url->buf;
    url->host.len = q - url->buf;

    /* "127.1", "0x7f.1", "2130706433" are addresses to some resolvers */

    numeric = ngx_trove_url_numeric(label, q);

    if (!numeric) {
        return NULL;
    }

    if (inet_pton(AF_INET, (char *) url->buf, url->address) != 1) {
        return "has an IPv4 address that is not four decimal numbers";
    }

    url->family = AF_INET;

    return NULL;
}


ngx_uint_t
ngx_trove_url_numeric(u_char *p, u_char *end)
{
    u_char      *q;
    ngx_uint_t   hex;

    hex = (end - p >= 2 && p[0] == '0' && p[1] == 'x');

    for (q = hex ? p + 2 : p; q < end; q++) {

        if ((*q < '0' || *q > '9') && !(hex && *q >= 'a' && *q <= 'f')) {
            return 0;
        }
    }

    return 1;
}


static const char *
ngx_trove_url_port(ngx_trove_url_t *url, u_char *p, u_char *end)
{
    ngx_uint_t  n, port;

    port = url->https ? 443 : 80;
    url->port = (in_port_t) port;

    if (p == NULL) {
        return NULL;
    }

    if (p == end || end - p > 5 || *p == '0') {
        return "has an invalid port";
    }

    for (n = 0; p < end; p++) {

        if (*p < '0' || *p > '9') {
            return "has an invalid port";
        }

        n = n * 10 + (*p - '0');
    }

    if (n > 65535) {
        return "has an invalid port";
    }

    url->port = (in_port_t) n;
    url->other_port = (n != port);

    return NULL;
}


static const char *
ngx_trove_url_path(ngx_str_t *path)
{
    size_t  i;
    u_char  c;

    for (i = 0; i < path->len; i++) {
        c = path->data[i];

        if (c == '#') {
            return "must not contain a fragment";
        }

        if (c <= 0x20 || c >= 0x7f || c == '"' || c == '<' || c == '>'
            || c == '\\' || c == '^' || c == '`' || c == '{' || c == '|'
            || c == '}')
        {
            return "contains a character that has to be encoded by \"%\"";
        }

        if (c != '%') {
            continue;
        }

        if (path->len - i < 3
            || !ngx_trove_url_hex(path->data[i + 1])
            || !ngx_trove_url_hex(path->data[i + 2]))
        {
            return "contains \"%\" without two hexadecimal digits";
        }
    }

    return NULL;
}


u_char *
ngx_trove_url_print(ngx_trove_url_t *url, u_char *p)
{
    p = ngx_cpymem(p, url->https ? "https://" : "http://",
                   url->https ? 8 : 7);

    if (url->family == AF_INET6) {
        *p++ = '[';
    }

    p = ngx_cpymem(p, url->host.data, url->host.len);

    if (url->family == AF_INET6) {
        *p++ = ']';
    }

    if (url->other_port) {
        p += snprintf((char *) p, sizeof(":65535"), ":%u", url->port);
    }

    if (url->path.len == 0 || url->path.data[0] != '/') {
        *p++ = '/';
    }

    return ngx_cpymem(p, url->path.data, url->path.len);
}
