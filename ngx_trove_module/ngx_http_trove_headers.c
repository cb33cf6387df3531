
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_compat.h"
#include "ngx_http_trove_headers.h"


static ngx_uint_t ngx_http_trove_headers_same(ngx_table_elt_t *h,
    ngx_str_t *lowcase);


ngx_int_t
ngx_http_trove_headers_find(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    n = 0;
    ngx_str_null(value);

    part = &r->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (h[i].key.len == name->len
            && ngx_strncmp(h[i].lowcase_key, name->data, name->len) == 0)
        {
            *value = h[i].value;
            n++;
        }
    }

    return n > 1 ? NGX_DECLINED : NGX_OK;
}


ngx_int_t
ngx_http_trove_headers_set_event(ngx_http_request_t *r,
    ngx_trove_event_t *event)
{
    static ngx_str_t  event_key = ngx_string("X-Trove-Event");
    static ngx_str_t  event_lowcase = ngx_string("x-trove-event");
    static ngx_str_t  id_key = ngx_string("X-Trove-Event-Id");
    static ngx_str_t  id_lowcase = ngx_string("x-trove-event-id");

    if (ngx_http_trove_headers_set(r, &event_key, &event_lowcase, &event->type)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_trove_headers_set(r, &id_key, &id_lowcase, &event->id);
}


ngx_int_t
ngx_http_trove_headers_set(ngx_http_request_t *r, ngx_str_t *key,
    ngx_str_t *lowcase, ngx_str_t *value)
{
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    n = 0;
    part = &r->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (!ngx_http_trove_headers_same(&h[i], lowcase)) {
            continue;
        }

        /* before a redirect, FastCGI and its kin may have linked the copies */

        ngx_http_trove_header_end(&h[i]);

        if (n++ == 0) {
            h[i].key = *key;
            h[i].lowcase_key = lowcase->data;
            h[i].hash = ngx_hash_key(lowcase->data, lowcase->len);
            h[i].value = *value;
            continue;
        }

        /*
         * Nothing can be taken out of the list, but nobody has to see what
         * another copy says.
         */

        ngx_str_set(&h[i].key, "X-Trove-Repeated");
        h[i].lowcase_key = (u_char *) "x-trove-repeated";
        h[i].hash = ngx_hash_key(h[i].lowcase_key, h[i].key.len);
        ngx_str_set(&h[i].value, "1");
    }

    if (n) {
        return NGX_OK;
    }

    h = ngx_list_push(&r->headers_in.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = ngx_hash_key(lowcase->data, lowcase->len);
    h->key = *key;
    h->lowcase_key = lowcase->data;
    h->value = *value;
    ngx_http_trove_header_end(h);

    return NGX_OK;
}


/*
 * With "underscores_in_headers on" a header may be spelt so that FastCGI and
 * its kin, who make "_" of "-", cannot tell it from ours.
 */

static ngx_uint_t
ngx_http_trove_headers_same(ngx_table_elt_t *h, ngx_str_t *lowcase)
{
    size_t  i;

    if (h->key.len != lowcase->len) {
        return 0;
    }

    for (i = 0; i < lowcase->len; i++) {
        if (h->lowcase_key[i] != lowcase->data[i]
            && !(h->lowcase_key[i] == '_' && lowcase->data[i] == '-'))
        {
            return 0;
        }
    }

    return 1;
}
