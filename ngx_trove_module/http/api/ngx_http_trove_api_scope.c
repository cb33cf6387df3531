
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_api.h"
#include "ngx_trove_spool_subscription.h"


/*
 * A token of a workspace is for all that is done with the events of the
 * workspace.  One of a namespace is a tenant's: it is for the events of the
 * namespace, and for its subscriptions, but not for the deliveries to targets
 * of the operator, or to subscriptions of others.
 */


static ngx_uint_t ngx_http_trove_api_scope_listed(
    ngx_trove_spool_filter_t *filter, ngx_str_t *namespace);
static ngx_int_t ngx_http_trove_api_scope_delivery(ngx_http_trove_api_t *api,
    ngx_trove_spool_delivery_t *delivery);
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


/* the functions below run in a thread: they use the call and the spool only */

ngx_int_t
ngx_http_trove_api_scope_deliveries(ngx_http_trove_api_t *api,
    ngx_trove_spool_deliveries_t *list)
{
    ngx_int_t   rc;
    ngx_uint_t  i, n;

    for (i = 0, n = 0; i < list->n; i++) {
        rc = ngx_http_trove_api_scope_delivery(api, &list->deliveries[i]);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_OK) {
            list->deliveries[n++] = list->deliveries[i];
        }
    }

    list->n = n;

    return NGX_OK;
}


ngx_int_t
ngx_http_trove_api_scope_ids(ngx_http_trove_api_t *api, int64_t *ids,
    ngx_uint_t *n)
{
    ngx_int_t                      rc;
    ngx_uint_t                     i, k;
    ngx_trove_spool_deliveries_t  *list;

    /* the filter has selected by the events */

    if (api->token->namespace.data == NULL) {
        return NGX_OK;
    }

    for (i = 0, k = 0; i < *n; i++) {
        list = ngx_trove_spool_delivery(api->spool, ids[i], &api->error);

        if (list == NULL) {
            return NGX_ERROR;
        }

        rc = ngx_http_trove_api_scope_deliveries(api, list);

        if (rc == NGX_OK && list->n) {
            ids[k++] = ids[i];
        }

        ngx_trove_spool_free(list);

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }
    }

    *n = k;

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_api_scope_delivery(ngx_http_trove_api_t *api,
    ngx_trove_spool_delivery_t *delivery)
{
    ngx_str_t                        *name;
    ngx_uint_t                        n;
    ngx_trove_spool_scope_t           scope;
    ngx_trove_spool_event_t          *event;
    ngx_trove_spool_subscriptions_t  *list;

    event = delivery->event;

    if (!ngx_http_trove_api_scope_is(&api->token->workspace, &event->workspace)
        || !ngx_http_trove_api_scope_is(&api->token->namespace,
                                        &event->namespace))
    {
        return NGX_DECLINED;
    }

    if (api->token->namespace.data == NULL) {
        return NGX_OK;
    }

    name = &delivery->target.name;

    if (event->workspace.data == NULL || name->len < 3
        || ngx_strncmp(name->data, "wh-", 3) != 0)
    {
        return NGX_DECLINED;
    }

    scope.workspace = event->workspace;
    scope.namespace = api->token->namespace;

    list = ngx_trove_spool_subscriptions(api->spool, &scope, name, 0, 1,
                                         &api->error);
    if (list == NULL) {
        return NGX_ERROR;
    }

    n = list->n;

    ngx_trove_spool_free(list);

    return n ? NGX_OK : NGX_DECLINED;
}


static ngx_uint_t
ngx_http_trove_api_scope_is(ngx_str_t *scope, ngx_str_t *s)
{
    return scope->data == NULL
           || (s->data != NULL && s->len == scope->len
               && ngx_memcmp(s->data, scope->data, s->len) == 0);
}
