
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_spool_query.h"


static ngx_uint_t ngx_trove_spool_match_list(ngx_str_t *wanted, ngx_uint_t n,
    ngx_str_t *s);


ngx_uint_t
ngx_trove_spool_match(ngx_trove_spool_filter_t *filter,
    ngx_trove_spool_event_t *event)
{
    if (filter->since != 0 && event->received < filter->since) {
        return 0;
    }

    if (filter->until != 0 && event->received >= filter->until) {
        return 0;
    }

    return ngx_trove_spool_match_one(&filter->route, &event->route)
           && ngx_trove_spool_match_one(&filter->workspace, &event->workspace)
           && ngx_trove_spool_match_one(&filter->id, &event->id)
           && ngx_trove_spool_match_list(filter->types, filter->ntypes,
                                         &event->type)
           && ngx_trove_spool_match_list(filter->namespaces,
                                         filter->nnamespaces,
                                         &event->namespace);
}


ngx_uint_t
ngx_trove_spool_match_one(ngx_str_t *wanted, ngx_str_t *s)
{
    if (wanted->data == NULL) {
        return 1;
    }

    return s->data != NULL
           && wanted->len == s->len
           && ngx_memcmp(wanted->data, s->data, s->len) == 0;
}


static ngx_uint_t
ngx_trove_spool_match_list(ngx_str_t *wanted, ngx_uint_t n, ngx_str_t *s)
{
    size_t      len;
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {

        len = wanted[i].len;

        if (len && wanted[i].data[len - 1] == '*') {

            len--;

            if (len == 0
                || (s->len >= len
                    && ngx_memcmp(wanted[i].data, s->data, len) == 0))
            {
                return 1;
            }

        } else if (ngx_trove_spool_match_one(&wanted[i], s)) {
            return 1;
        }
    }

    return n == 0;
}
