
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_api.h"


/*
 * The token of the client.  Clients of the vendor do not log in unless it has a
 * workspace whose name begins with "ws-".  A token for all workspaces has that
 * of the newest event.
 */


static void ngx_http_trove_api_me_workspace(ngx_http_trove_api_t *api,
    ngx_str_t *workspace);


ngx_int_t
ngx_http_trove_api_me_prepare(ngx_http_trove_api_t *api, ngx_str_t *segments)
{
    if (api->token->workspace.data) {
        api->work = NULL;
    }

    return NGX_OK;
}


/* in a thread: uses the call and the spool only */

void
ngx_http_trove_api_me_work(ngx_http_trove_api_t *api)
{
    /* of a namespace, none may be among the newest events */

    api->result = ngx_trove_spool_events(api->spool, &api->filter, 0, 1, 0,
                                         &api->error);

    api->rc = api->result ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_trove_api_me_render(ngx_http_trove_api_t *api)
{
    ngx_str_t                    workspace;
    const char                  *scope;
    ngx_http_trove_json_t        json;
    ngx_http_trove_api_token_t  *token;

    token = api->token;

    ngx_http_trove_api_me_workspace(api, &workspace);

    scope = token->read ? "read"
            : token->namespace.data ? "namespace"
            : token->workspace.data ? "workspace" : "admin";

    ngx_http_trove_json_init(&json, api->request->pool);

    ngx_http_trove_json_printf(&json, "{\"workspace_id\":");
    ngx_http_trove_json_text(&json, &workspace);
    ngx_http_trove_json_printf(&json, ",\"key_id\":\"key-%V\","
                               "\"key_name\":\"%V\",\"scope\":\"%s\","
                               "\"namespace\":", &token->name, &token->name,
                               scope);

    if (token->namespace.data) {
        ngx_http_trove_json_text(&json, &token->namespace);

    } else {
        ngx_http_trove_json_printf(&json, "null");
    }

    ngx_http_trove_json_printf(&json, ",\"capabilities\":[]}");

    return ngx_http_trove_json_send(&json, api->request, NGX_HTTP_OK);
}


static void
ngx_http_trove_api_me_workspace(ngx_http_trove_api_t *api,
    ngx_str_t *workspace)
{
    ngx_trove_spool_events_t  *events;

    if (api->token->workspace.data) {
        *workspace = api->token->workspace;
        return;
    }

    events = api->result;

    if (events && events->n) {
        *workspace = events->events[0].workspace;

        if (workspace->len > 3 && ngx_strncmp(workspace->data, "ws-", 3) == 0) {
            return;
        }
    }

    ngx_str_set(workspace, NGX_HTTP_TROVE_API_NO_WORKSPACE);
}
