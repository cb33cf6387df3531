
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_HEADERS_H_INCLUDED_
#define _NGX_HTTP_TROVE_HEADERS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_trove_event.h"


/* a name that the module gives to a header, in memory that stays */
typedef struct {
    ngx_str_t    key;
    ngx_str_t    lowcase;
    ngx_uint_t   hash;                    /* of the latter, made when needed */
} ngx_http_trove_header_t;


/* the place in a walk of the headers of a list; which starts with part, 0 */
typedef struct {
    ngx_list_part_t  *part;
    ngx_uint_t        i;
} ngx_http_trove_headers_walk_t;


/* The next header of a list, until all have been returned; then NULL. */
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
 * Adds a header to a list of those of a request or of a response.  The names
 * are constants; the value must live as long as the list.
 *
 * NULL  out of memory
 */
ngx_table_elt_t *ngx_http_trove_headers_add(ngx_list_t *list, const char *key,
    const char *lowcase, ngx_str_t *value);

/*
 * Finds the request header of a name, given in lower case.  One of a name that
 * differs only by its separators ("X_Trove.Event") is not taken for it, but an
 * application may take it.
 *
 * NGX_OK        *value is its value, empty where there is no such header
 * NGX_DECLINED  there are several, or one of a name that looks like it besides
 */
ngx_int_t ngx_http_trove_headers_find(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value);

/*
 * Sets the request header of a name to value, and overwrites all headers whose
 * names differ only by their separators; the value must live as long as the
 * request.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_headers_set(ngx_http_request_t *r,
    ngx_http_trove_header_t *name, ngx_str_t *value);

/*
 * Has X-Trove-Event and X-Trove-Event-Id of the request, which nobody signs,
 * say what the event says.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_headers_set_event(ngx_http_request_t *r,
    ngx_trove_event_t *event);


#endif /* _NGX_HTTP_TROVE_HEADERS_H_INCLUDED_ */
