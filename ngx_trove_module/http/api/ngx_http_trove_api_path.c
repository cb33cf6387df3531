
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_api.h"


static ngx_uint_t ngx_http_trove_api_path_ambiguous(ngx_str_t *raw);
static const char *ngx_http_trove_api_path_decode(ngx_http_request_t *r,
    ngx_str_t *raw, ngx_str_t *path);
static const char *ngx_http_trove_api_path_location(ngx_http_request_t *r,
    ngx_str_t *path);


/*
 * NGINX decodes "%2F" in the URI, and then removes "..": the id "a/../b" would
 * become "b", which is another event.  So the path is taken from the URI as it
 * was received.  A rewritten URI has no such form.
 */

const char *
ngx_http_trove_api_path(ngx_http_request_t *r, ngx_str_t *path)
{
    u_char      *p;
    ngx_str_t    raw;
    const char  *error;

    raw = r->unparsed_uri;

    for (p = raw.data; p < raw.data + raw.len; p++) {
        if (*p == '?' || *p == '#') {
            raw.len = p - raw.data;
            break;
        }
    }

    if (!r->valid_unparsed_uri) {

        if (ngx_http_trove_api_path_ambiguous(&raw)) {
            return "the URI was rewritten, and contains an encoded slash, "
                   "\"//\" or a dot segment";
        }

        *path = r->uri;

        return NULL;
    }

    error = ngx_http_trove_api_path_decode(r, &raw, path);

    return error ? error : ngx_http_trove_api_path_location(r, path);
}


/* whether NGINX could have changed where a segment begins or ends */

static ngx_uint_t
ngx_http_trove_api_path_ambiguous(ngx_str_t *raw)
{
    u_char  *p, *last;

    last = raw->data + raw->len;

    for (p = raw->data; p < last; p++) {

        if (*p == '/' && last - p > 1 && (p[1] == '/' || p[1] == '.')) {
            return 1;
        }

        if (*p == '%' && last - p > 2 && p[1] == '2'
            && (p[2] == 'F' || p[2] == 'f' || p[2] == 'E' || p[2] == 'e'))
        {
            return 1;
        }
    }

    return 0;
}


static const char *
ngx_http_trove_api_path_decode(ngx_http_request_t *r, ngx_str_t *raw,
    ngx_str_t *path)
{
    u_char     *p, *last, *dst, *segment;
    size_t      len;
    ngx_int_t   ch;

    path->data = ngx_pnalloc(r->pool, raw->len + 1);
    if (path->data == NULL) {
        return "out of memory";
    }

    dst = path->data;
    segment = dst;
    last = raw->data + raw->len;

    for (p = raw->data; /* void */ ; p++) {

        if (p == last || *p == '/') {

            /* RFC 3986, section 6.2.2: they are the same if encoded */

            len = dst - segment;

            if ((len == 1 || len == 2) && segment[0] == '.'
                && segment[len - 1] == '.')
            {
                return "the path contains a dot segment";
            }

            if (p == last) {
                break;
            }

            *dst++ = '/';
            segment = dst;
            continue;
        }

        if (*p != '%') {
            *dst++ = *p;
            continue;
        }

        ch = (last - p < 3) ? NGX_ERROR : ngx_hextoi(p + 1, 2);

        if (ch == NGX_ERROR || ch == '\0') {
            return "the path has an invalid encoding";
        }

        *dst++ = (ch == '/') ? NGX_HTTP_TROVE_API_SLASH : (u_char) ch;
        p += 2;
    }

    path->len = dst - path->data;

    return NULL;
}


/*
 * Removes the name of a location that is a prefix, except for the "/v1" at its
 * end.  The name may contain "/v1/" elsewhere.
 */

static const char *
ngx_http_trove_api_path_location(ngx_http_request_t *r, ngx_str_t *path)
{
    size_t                     len;
    ngx_str_t                 *name;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    name = &clcf->name;

    /* blocks such as "if" have the name of the location around them */

    if (clcf->exact_match || clcf->named || clcf->noname
#if (NGX_PCRE)
        || clcf->regex
#endif
        || name->len == 0)
    {
        return NULL;
    }

    if (path->len < name->len
        || ngx_memcmp(path->data, name->data, name->len) != 0)
    {
        return "the path is not that of the location";
    }

    len = name->len - (name->data[name->len - 1] == '/');

    if (len >= sizeof("/v1") - 1
        && ngx_memcmp(name->data + len - (sizeof("/v1") - 1), "/v1",
                      sizeof("/v1") - 1)
           == 0)
    {
        len -= sizeof("/v1") - 1;
    }

    path->data += len;
    path->len -= len;

    return NULL;
}
