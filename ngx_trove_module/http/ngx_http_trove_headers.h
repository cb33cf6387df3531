
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_HEADERS_H_INCLUDED_
#define _NGX_HTTP_TROVE_HEADERS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_trove_event.h"


/* the name of a header that the module sets, in static memory */
typedef struct {
    ngx_str_t    key;
    ngx_str_t    lowcase;
    ngx_uint_t   hash;                    /* of lowcase; computed when needed */
} ngx_http_trove_header_t;


/* an iterator of a list of headers; it starts with the first part, and 0 */
typedef struct {
    ngx_list_part_t  *part;
    ngx_uint_t        i;
} ngx_http_trove_headers_walk_t;


/* Returns the next header of a list; NULL after the last one. */
static ngx_inline ngx_table_elt_t *
ngx_http_trove_headers_next(ngx_http_trove_headers_walk_t *walk)
{
    while (walk->i >= walk->part->nelts) {

        if (walk->part->next == NULL) {
            return NULL;
        }

        walk->part = walk->part->next;
        walk->i = 0;
    }

    return (ngx_table_elt_t *) walk->part->elts + walk->i++;
}


/*
 * Adds a header to the list of a request or of a response.  The names must be
 * constants; the value must exist as long as the list.
 *
 * NULL  out of memory
 */
ngx_table_elt_t *ngx_http_trove_headers_add(ngx_list_t *list, const char *key,
    const char *lowcase, ngx_str_t *value);

/* Fills a header that is not in a list, likewise. */
void ngx_http_trove_headers_fill(ngx_table_elt_t *h, const char *key,
    const char *lowcase, ngx_str_t *value);

/*
 * Finds a request header by its name in lower case.  A header whose name has
 * other separators ("X_Trove.Event") is not the same to this function, but may
 * be to an application.
 *
 * NGX_OK        *value is the value, or empty if there is no such header
 * NGX_DECLINED  there are several headers, with this name or a similar one
 */
ngx_int_t ngx_http_trove_headers_find(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value);

/*
 * Sets a request header, and overwrites all headers whose names differ only in
 * separators.  The value must exist as long as the request.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_headers_set(ngx_http_request_t *r,
    ngx_http_trove_header_t *name, ngx_str_t *value);

/*
 * Sets X-Trove-Event and X-Trove-Event-Id of the request, which are not signed,
 * to the type and the id of the event.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_headers_set_event(ngx_http_request_t *r,
    ngx_trove_event_t *event);


#endif /* _NGX_HTTP_TROVE_HEADERS_H_INCLUDED_ */
