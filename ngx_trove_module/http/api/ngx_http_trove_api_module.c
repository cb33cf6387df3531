
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_api.h"
#include "ngx_http_trove_compat.h"
#include "ngx_http_trove_headers.h"
#include "ngx_http_trove_module.h"
#include "ngx_http_trove_spool.h"
#include "ngx_http_trove_spool_writer.h"


/* value of Retry-After when too many calls are waiting, in seconds */
#define NGX_HTTP_TROVE_API_RETRY  "1"

typedef struct {
    ngx_array_t                 *tokens;       /* ngx_http_trove_api_token_t */
    ngx_http_trove_api_token_t  *token;        /* NULL: it is not the API */
} ngx_http_trove_api_loc_conf_t;


static ngx_int_t ngx_http_trove_api_handler(ngx_http_request_t *r);
static ngx_http_trove_api_t *ngx_http_trove_api_create(ngx_http_request_t *r);
static ngx_int_t ngx_http_trove_api_find(ngx_http_trove_api_t *api);
static ngx_int_t ngx_http_trove_api_ready(ngx_http_trove_api_t *api);
static ngx_int_t ngx_http_trove_api_refuse(ngx_http_trove_api_t *api,
    ngx_int_t rc);
static ngx_int_t ngx_http_trove_api_unauthorized(ngx_http_request_t *r);
static ngx_int_t ngx_http_trove_api_start(ngx_http_trove_api_t *api);
static void ngx_http_trove_api_watch(ngx_http_request_t *r);
static ngx_int_t ngx_http_trove_api_busy(ngx_http_request_t *r);
static ngx_int_t ngx_http_trove_api_complete(ngx_http_request_t *r,
    void *data);
static void ngx_http_trove_api_cleanup(void *data);

static ngx_int_t ngx_http_trove_api_init_process(ngx_cycle_t *cycle);
static void *ngx_http_trove_api_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_trove_api_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_trove_api(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_command_t  ngx_http_trove_api_commands[] = {

    { ngx_string("trove_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_trove_api,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      { ngx_string("trove_api_token"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_2MORE,
      ngx_http_trove_api_token,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_trove_api_loc_conf_t, tokens),
      NULL },

    ngx_null_command
};


static ngx_http_module_t  ngx_http_trove_api_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_trove_api_create_loc_conf,    /* create location configuration */
    ngx_http_trove_api_merge_loc_conf      /* merge location configuration */
};


ngx_module_t  ngx_http_trove_api_module = {
    NGX_MODULE_V1,
    &ngx_http_trove_api_module_ctx,        /* module context */
    ngx_http_trove_api_commands,           /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_trove_api_init_process,       /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_trove_api_handler(ngx_http_request_t *r)
{
    ngx_int_t              rc, found;
    ngx_http_trove_api_t  *api;

    static ngx_str_t  no_store = ngx_string("no-store");

    if (r != r->main) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    api = ngx_http_trove_api_create(r);
    if (api == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    found = ngx_http_trove_api_find(api);

    /* responses have events, or secrets */

    if (ngx_http_trove_headers_add(&r->headers_out.headers, "Cache-Control",
                                   "cache-control", &no_store)
        == NULL)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (found == NGX_OK && api->parse) {
        return ngx_http_trove_api_body(api, ngx_http_trove_api_ready);
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (found != NGX_OK) {
        return ngx_http_trove_api_refuse(api, found);
    }

    return api->work ? ngx_http_trove_api_start(api) : api->render(api);
}


static ngx_http_trove_api_t *
ngx_http_trove_api_create(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t    *cln;
    ngx_http_trove_api_t  *api;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_trove_api_t));
    if (cln == NULL) {
        return NULL;
    }

    api = cln->data;
    ngx_memzero(api, sizeof(ngx_http_trove_api_t));

    cln->handler = ngx_http_trove_api_cleanup;

    api->request = r;
    api->spool = ngx_http_trove_writer_spool();

    return api;
}


/* NGX_OK, or NGX_HTTP_..., with the reason in api->reject, or NULL */

static ngx_int_t
ngx_http_trove_api_find(ngx_http_trove_api_t *api)
{
    ngx_int_t                       rc;
    ngx_str_t                       path;
    const char                     *reject;
    ngx_http_request_t             *r;
    ngx_http_trove_api_loc_conf_t  *alcf;

    r = api->request;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_trove_api_module);

    reject = ngx_http_trove_api_path(r, &path);

    if (reject == NULL && ngx_http_trove_api_no_login(&path)) {
        api->reject = "use a token: there is no login";
        return NGX_HTTP_NOT_FOUND;
    }

    rc = ngx_http_trove_api_token_find(r, alcf->token, alcf->tokens,
                                       &api->token);

    if (rc == NGX_DECLINED) {
        return NGX_HTTP_UNAUTHORIZED;
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (reject == NULL) {
        reject = ngx_http_trove_api_args(api);
    }

    if (reject) {
        api->reject = reject;
        return NGX_HTTP_BAD_REQUEST;
    }

    return ngx_http_trove_api_route(api, &path);
}


/* the body has been read */

static ngx_int_t
ngx_http_trove_api_ready(ngx_http_trove_api_t *api)
{
    ngx_int_t  rc;

    rc = api->parse(api);

    if (rc != NGX_OK) {
        return ngx_http_trove_api_refuse(api, rc);
    }

    return api->work ? ngx_http_trove_api_start(api) : api->render(api);
}


static ngx_int_t
ngx_http_trove_api_refuse(ngx_http_trove_api_t *api, ngx_int_t rc)
{
    ngx_http_request_t  *r;

    r = api->request;

    if (api->reject) {
        return ngx_http_trove_api_error(r, rc, api->reject);
    }

    switch (rc) {

    case NGX_HTTP_UNAUTHORIZED:
        return ngx_http_trove_api_unauthorized(r);

    case NGX_HTTP_NOT_FOUND:
        return ngx_http_trove_api_error(r, NGX_HTTP_NOT_FOUND, "no such path");

    case NGX_HTTP_NOT_ALLOWED:
        if (api->allow.len == 0
            || ngx_http_trove_headers_add(&r->headers_out.headers, "Allow",
                                          "allow", &api->allow)
               == NULL)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_trove_api_error(r, NGX_HTTP_NOT_ALLOWED,
                                        "method not allowed");

    default:
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
}


static ngx_int_t
ngx_http_trove_api_unauthorized(ngx_http_request_t *r)
{
    ngx_table_elt_t  *h;

    static ngx_str_t  value = ngx_string("Bearer realm=\"trove\"");

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "trove: API request refused: the token is missing or "
                  "invalid");

    h = ngx_http_trove_headers_add(&r->headers_out.headers, "WWW-Authenticate",
                                   "www-authenticate", &value);
    if (h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.www_authenticate = h;

    return ngx_http_trove_api_error(r, NGX_HTTP_UNAUTHORIZED, "unauthorized");
}


static ngx_int_t
ngx_http_trove_api_start(ngx_http_trove_api_t *api)
{
    ngx_http_request_t  *r;

    r = api->request;

    api->suspend = ngx_http_trove_suspend_create(r, ngx_http_trove_api_complete,
                                                 api);
    if (api->suspend == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    switch (ngx_http_trove_api_queue_add(api)) {

    case NGX_OK:
        break;

    case NGX_BUSY:
        return ngx_http_trove_api_busy(r);

    case NGX_DECLINED:
        return ngx_http_trove_api_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                        "the spool is not open");

    default:
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_trove_suspend(api->suspend);
    ngx_http_trove_api_watch(r);

    return NGX_DONE;
}


/* a client that closes its connection takes its call out of the queue */

static void
ngx_http_trove_api_watch(ngx_http_request_t *r)
{
    ngx_event_t  *rev;

    if (r->discard_body) {
        return;
    }

    r->read_event_handler = ngx_http_test_reading;

    rev = r->connection->read;

    /* it may have been closed already */

    if (rev->ready) {
        ngx_post_event(rev, &ngx_posted_events);
    }
}


static ngx_int_t
ngx_http_trove_api_busy(ngx_http_request_t *r)
{
    static ngx_str_t  value = ngx_string(NGX_HTTP_TROVE_API_RETRY);

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "trove: API request refused: too many requests are waiting");

    if (ngx_http_trove_headers_add(&r->headers_out.headers, "Retry-After",
                                   "retry-after", &value)
        == NULL)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_trove_api_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                    "too many API requests are waiting");
}


static ngx_int_t
ngx_http_trove_api_complete(ngx_http_request_t *r, void *data)
{
    ngx_http_trove_api_t *api = data;

    if (api->full) {
        return ngx_http_trove_api_busy(r);
    }

    if (api->rc == NGX_ERROR) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, api->error.err,
                      "trove: API request failed: %s", api->error.text);

        return ngx_http_trove_api_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                        (const char *) api->error.text);
    }

    /* a change of a subscription is logged with its id */

    if (r->method == NGX_HTTP_POST && api->webhook == NULL && !api->dry_run
        && api->rc == NGX_OK)
    {
        ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                      "trove: an API request by token \"%V\" has made changes",
                      &api->token->name);
    }

    return api->render(api);
}


static void
ngx_http_trove_api_cleanup(void *data)
{
    ngx_http_trove_api_t *api = data;

    ngx_trove_spool_free(api->result);
    ngx_trove_spool_free(api->more);
}


static ngx_int_t
ngx_http_trove_api_init_process(ngx_cycle_t *cycle)
{
    ngx_http_trove_api_queue_init(cycle);

    return NGX_OK;
}


static void *
ngx_http_trove_api_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_trove_api_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_trove_api_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->token = NULL;
     */

    conf->tokens = NGX_CONF_UNSET_PTR;

    return conf;
}


static char *
ngx_http_trove_api_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_trove_api_loc_conf_t *prev = parent;
    ngx_http_trove_api_loc_conf_t *conf = child;

    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_trove_loc_conf_t  *tlcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    ngx_conf_merge_ptr_value(conf->tokens, prev->tokens, NULL);

    if (clcf->noname) {
        conf->token = prev->token;
    }

    if (conf->token == NULL) {
        return NGX_CONF_OK;
    }

    if (!ngx_http_trove_spool_configured(cf)) {
        tlcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_trove_module);

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"trove_api\" in location \"%V\" requires a spool, add "
                      "\"trove_spool PATH\" to http in %s:%ui",
                      &clcf->name, tlcf->place.file, tlcf->place.line);
        return NGX_CONF_ERROR;
    }

    if (!clcf->noname
        && ngx_http_trove_api_token_check(cf, conf->token, conf->tokens)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_trove_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_trove_api_loc_conf_t *alcf = conf;

    char                        *rv;
    ngx_str_t                   *value;
    ngx_http_trove_api_token_t  *token;

    if (alcf->token) {
        return "is duplicate";
    }

    if (ngx_http_trove_spool_threads(cf, &cmd->name) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    rv = ngx_http_trove_set_endpoint(cf, ngx_http_trove_api_handler);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    token = ngx_pcalloc(cf->pool, sizeof(ngx_http_trove_api_token_t));
    if (token == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_str_set(&token->name, NGX_HTTP_TROVE_API_TOKEN_DEFAULT);

    alcf->token = token;

    value = cf->args->elts;

    return ngx_http_trove_api_token_add(cf, token, &value[1]);
}
