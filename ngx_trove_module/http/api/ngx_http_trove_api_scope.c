
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_api.h"


static ngx_uint_t ngx_http_trove_api_scope_listed(
    ngx_trove_spool_filter_t *filter, ngx_str_t *namespace);
static ngx_uint_t ngx_http_trove_api_scope_is(ngx_str_t *scope, ngx_str_t *s);


ngx_uint_t
ngx_http_trove_api_scoped(ngx_http_trove_api_t *api)
{
    return api->token->workspace.data || api->token->namespace.data;
}


ngx_uint_t
ngx_http_trove_api_scope_has(ngx_http_trove_api_t *api, ngx_str_t *workspace)
{
    return ngx_http_trove_api_scope_is(&api->token->workspace, workspace);
}


ngx_uint_t
ngx_http_trove_api_scope_event(ngx_http_trove_api_t *api,
    ngx_trove_spool_event_t *event)
{
    return ngx_http_trove_api_scope_is(&api->token->workspace,
                                       &event->workspace)
           && ngx_http_trove_api_scope_is(&api->token->namespace,
                                          &event->namespace);
}


void
ngx_http_trove_api_scope_filter(ngx_http_trove_api_t *api)
{
    ngx_str_t                 *namespace;
    ngx_trove_spool_filter_t  *filter;

    /* an event has a type */

    static ngx_str_t  none = ngx_string("");

    filter = &api->filter;

    if (api->token->workspace.data) {
        filter->workspace = api->token->workspace;
    }

    namespace = &api->token->namespace;

    if (namespace->data == NULL) {
        return;
    }

    if (!ngx_http_trove_api_scope_listed(filter, namespace)) {
        filter->types = &none;
        filter->ntypes = 1;
    }

    filter->namespaces = namespace;
    filter->nnamespaces = 1;
}


/* whether the namespaces that the client has asked for include the one */

static ngx_uint_t
ngx_http_trove_api_scope_listed(ngx_trove_spool_filter_t *filter,
    ngx_str_t *namespace)
{
    size_t      len;
    ngx_str_t  *s;
    ngx_uint_t  i, prefix;

    s = filter->namespaces;

    for (i = 0; i < filter->nnamespaces; i++) {

        prefix = (s[i].data[s[i].len - 1] == '*');
        len = s[i].len - prefix;

        if ((prefix ? namespace->len >= len : namespace->len == len)
            && ngx_memcmp(namespace->data, s[i].data, len) == 0)
        {
            return 1;
        }
    }

    return filter->nnamespaces == 0;
}


static ngx_uint_t
ngx_http_trove_api_scope_is(ngx_str_t *scope, ngx_str_t *s)
{
    return scope->data == NULL
           || (s->data != NULL && s->len == scope->len
               && ngx_memcmp(s->data, scope->data, s->len) == 0);
}
