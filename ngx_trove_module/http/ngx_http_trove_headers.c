
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_compat.h"
#include "ngx_http_trove_headers.h"


static ngx_uint_t ngx_http_trove_headers_same(ngx_table_elt_t *h,
    ngx_str_t *lowcase, ngx_uint_t *exact);


ngx_table_elt_t *
ngx_http_trove_headers_add(ngx_list_t *list, const char *key,
    const char *lowcase, ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(list);
    if (h == NULL) {
        return NULL;
    }

    ngx_http_trove_headers_fill(h, key, lowcase, value);

    return h;
}


void
ngx_http_trove_headers_fill(ngx_table_elt_t *h, const char *key,
    const char *lowcase, ngx_str_t *value)
{
    h->key.len = ngx_strlen(key);
    h->key.data = (u_char *) key;
    h->lowcase_key = (u_char *) lowcase;
    h->hash = ngx_hash_key(h->lowcase_key, h->key.len);
    h->value = *value;
    ngx_http_trove_header_end(h);
}


ngx_int_t
ngx_http_trove_headers_find(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_uint_t                      n, found, exact;
    ngx_table_elt_t                *h;
    ngx_http_trove_headers_walk_t   walk;

    n = 0;
    found = 0;
    ngx_str_null(value);

    walk.part = &r->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_trove_headers_next(&walk)) != NULL) {

        if (h->key.len != name->len
            || !ngx_http_trove_headers_same(h, name, &exact))
        {
            continue;
        }

        if (exact) {
            *value = h->value;
            found = 1;
        }

        n++;
    }

    /* a similar name alone is not the header, but makes the header ambiguous */

    return (found && n > 1) ? NGX_DECLINED : NGX_OK;
}


ngx_int_t
ngx_http_trove_headers_set_event(ngx_http_request_t *r,
    ngx_trove_event_t *event)
{
    static ngx_http_trove_header_t  type = {
        ngx_string("X-Trove-Event"), ngx_string("x-trove-event"), 0
    };

    static ngx_http_trove_header_t  id = {
        ngx_string("X-Trove-Event-Id"), ngx_string("x-trove-event-id"), 0
    };

    if (ngx_http_trove_headers_set(r, &type, &event->type) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_trove_headers_set(r, &id, &event->id);
}


ngx_int_t
ngx_http_trove_headers_set(ngx_http_request_t *r,
    ngx_http_trove_header_t *name, ngx_str_t *value)
{
    ngx_uint_t                      n, exact;
    ngx_table_elt_t                *h;
    ngx_http_trove_headers_walk_t   walk;

    if (name->hash == 0) {
        name->hash = ngx_hash_key(name->lowcase.data, name->lowcase.len);
    }

    n = 0;
    walk.part = &r->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_trove_headers_next(&walk)) != NULL) {

        if (h->key.len != name->key.len
            || !ngx_http_trove_headers_same(h, &name->lowcase, &exact))
        {
            continue;
        }

        /* FastCGI and similar modules may have linked them before a redirect */

        ngx_http_trove_header_end(h);

        if (n++ == 0) {
            h->key = name->key;
            h->lowcase_key = name->lowcase.data;
            h->hash = name->hash;
            h->value = *value;
            continue;
        }

        /*
         * Headers cannot be removed from the list, but the values of copies
         * must not be visible.
         */

        ngx_str_set(&h->key, "X-Trove-Repeated");
        h->lowcase_key = (u_char *) "x-trove-repeated";
        h->hash = ngx_hash_key(h->lowcase_key, h->key.len);
        ngx_str_set(&h->value, "1");
    }

    if (n) {
        return NGX_OK;
    }

    h = ngx_list_push(&r->headers_in.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = name->hash;
    h->key = name->key;
    h->lowcase_key = name->lowcase.data;
    h->value = *value;
    ngx_http_trove_header_end(h);

    return NGX_OK;
}


/*
 * Compares two names of the same length.  CGI replaces "-" with "_", and some
 * applications and servers replace other characters too: PHP ".", and Puma ",".
 * With "underscores_in_headers on" or "ignore_invalid_headers off", NGINX
 * accepts such names.  So any character but a letter or a digit is equal to
 * "-".
 */

static ngx_uint_t
ngx_http_trove_headers_same(ngx_table_elt_t *h, ngx_str_t *lowcase,
    ngx_uint_t *exact)
{
    u_char  ch;
    size_t  i;

    *exact = (ngx_memcmp(h->lowcase_key, lowcase->data, lowcase->len) == 0);

    if (*exact) {
        return 1;
    }

    for (i = 0; i < lowcase->len; i++) {
        ch = h->lowcase_key[i];

        if (ch != lowcase->data[i]
            && (lowcase->data[i] != '-'
                || (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9')))
        {
            return 0;
        }
    }

    return 1;
}
