
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_compat.h"
#include "ngx_http_trove_target_conf.h"


static ngx_uint_t ngx_http_trove_target_handled(ngx_conf_t *cf,
    ngx_http_core_srv_conf_t *cscf, ngx_http_core_loc_conf_t *clcf);
static ngx_uint_t ngx_http_trove_target_has(ngx_conf_t *cf, void **loc_conf,
    const char *module);
#if (NGX_HTTP_CACHE)
static ngx_command_t *ngx_http_trove_target_cached(ngx_conf_t *cf,
    void **loc_conf);
#endif
static ngx_http_core_loc_conf_t *ngx_http_trove_target_location(
    ngx_http_core_loc_conf_t *clcf, ngx_str_t *uri, ngx_uint_t *final);
static ngx_http_trove_location_t *ngx_http_trove_target_static(
    ngx_http_location_tree_node_t *node, ngx_str_t *uri, ngx_uint_t *exact);
#if (NGX_PCRE)
static ngx_http_core_loc_conf_t *ngx_http_trove_target_regex(
    ngx_http_core_loc_conf_t *clcf, ngx_str_t *uri);
#endif


/*
 * Checks where the configuration directs a subrequest.  Rewrites of the server
 * may redirect it elsewhere; then it may still fail at run time.
 */

ngx_int_t
ngx_http_trove_target_check(ngx_conf_t *cf, ngx_http_core_srv_conf_t *cscf,
    ngx_array_t *targets)
{
    ngx_uint_t                 i, final;
    ngx_http_trove_target_t  **target;
    ngx_http_core_loc_conf_t  *clcf;
#if (NGX_HTTP_CACHE)
    ngx_str_t                  cache;
    ngx_command_t             *cmd;
#endif

    target = targets->elts;

    for (i = 0; i < targets->nelts; i++) {

        clcf = cscf->ctx->loc_conf[ngx_http_core_module.ctx_index];
        clcf = ngx_http_trove_target_location(clcf, &target[i]->uri, &final);

        if (clcf == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "no location for target \"%V\" of \"trove_fanout\" "
                          "in server \"%V\", add \"location = %V\" with "
                          "\"internal;\" and \"proxy_pass\" in it in %s:%ui",
                          &target[i]->uri, &cscf->server_name, &target[i]->uri,
                          target[i]->place.file, target[i]->place.line);
            return NGX_ERROR;
        }

        if (!clcf->internal) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "location \"%V\" of target \"%V\" of "
                          "\"trove_fanout\" in server \"%V\" is open to "
                          "external requests, add \"internal;\" to it, or add "
                          "\"location = %V\" with \"internal;\" in %s:%ui",
                          &clcf->name, &target[i]->uri, &cscf->server_name,
                          &target[i]->uri, target[i]->place.file,
                          target[i]->place.line);
            return NGX_ERROR;
        }

#if (NGX_HTTP_CACHE)

        cmd = ngx_http_trove_target_cached(cf, clcf->loc_conf);

        if (cmd) {
            cache = cmd->name;
            cache.len -= sizeof("_methods") - 1;

            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "location \"%V\" of target \"%V\" of "
                          "\"trove_fanout\" in server \"%V\" has \"%V\" with "
                          "POST, a cache could respond instead of the target, "
                          "add \"%V off;\" to it in %s:%ui",
                          &clcf->name, &target[i]->uri, &cscf->server_name,
                          &cmd->name, &cache, target[i]->place.file,
                          target[i]->place.line);
            return NGX_ERROR;
        }

#endif

        if (!ngx_http_trove_target_handled(cf, cscf, clcf)) {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "location \"%V\" of target \"%V\" of "
                          "\"trove_fanout\" has no content handler and serves "
                          "static files, deliveries to it always fail; add "
                          "\"proxy_pass\" or a similar directive in %s:%ui",
                          &clcf->name, &target[i]->uri, target[i]->place.file,
                          target[i]->place.line);
        }

        target[i]->loc_conf = clcf->loc_conf;
    }

    return NGX_OK;
}


/*
 * Static files are for GET: a POST gets a response of 404 or 405.  A location
 * that has another handler, or that may redirect, is accepted.
 */

static ngx_uint_t
ngx_http_trove_target_handled(ngx_conf_t *cf, ngx_http_core_srv_conf_t *cscf,
    ngx_http_core_loc_conf_t *clcf)
{
    ngx_http_core_loc_conf_t  *server;

    server = cscf->ctx->loc_conf[ngx_http_core_module.ctx_index];

    return clcf->handler
           || clcf->limit_except_loc_conf
           || clcf->error_pages != server->error_pages
           || ngx_http_trove_target_has(cf, clcf->loc_conf,
                                        "ngx_http_rewrite_module")
           || ngx_http_trove_target_has(cf, clcf->loc_conf,
                                        "ngx_http_try_files_module");
}


/*
 * Returns 1 if a location has directives of a module whose location
 * configuration begins with a pointer to the parsed directives: "return",
 * "rewrite", "if"; "try_files".  Both modules may have been left out of this
 * nginx.
 */

static ngx_uint_t
ngx_http_trove_target_has(ngx_conf_t *cf, void **loc_conf, const char *module)
{
    void         **conf;
    ngx_uint_t     i;
    ngx_module_t  *m;

    for (i = 0; cf->cycle->modules[i]; i++) {
        m = cf->cycle->modules[i];

        if (m->type == NGX_HTTP_MODULE && ngx_strcmp(m->name, module) == 0) {
            conf = loc_conf[m->ctx_index];

            return conf && *conf;
        }
    }

    return 0;
}


#if (NGX_HTTP_CACHE)

/*
 * Returns the directive by which the location caches responses to POST, or
 * NULL.  The configuration of an upstream is a part of that of its module, and
 * is found by the offset of the directive.
 */

static ngx_command_t *
ngx_http_trove_target_cached(ngx_conf_t *cf, void **loc_conf)
{
    u_char                    *conf;
    ngx_uint_t                 i;
    ngx_module_t              *m;
    ngx_command_t             *cmd;
    ngx_http_upstream_conf_t  *ucf;

    for (i = 0; cf->cycle->modules[i]; i++) {
        m = cf->cycle->modules[i];

        if (m->type != NGX_HTTP_MODULE || m->commands == NULL) {
            continue;
        }

        conf = loc_conf[m->ctx_index];

        if (conf == NULL) {
            continue;
        }

        for (cmd = m->commands; cmd->name.len; cmd++) {

            if (cmd->post != ngx_http_upstream_cache_method_mask) {
                continue;
            }

            ucf = (void *) (conf + cmd->offset
                            - offsetof(ngx_http_upstream_conf_t,
                                       cache_methods));

            if (ucf->cache && (ucf->cache_methods & NGX_HTTP_POST)) {
                return cmd;
            }
        }
    }

    return NULL;
}

#endif


/*
 * Finds the location in the same way as NGINX does for a request.  If the
 * match is not final, a regular expression at the same level, or at the level
 * of an enclosing location, takes precedence.
 */

static ngx_http_core_loc_conf_t *
ngx_http_trove_target_location(ngx_http_core_loc_conf_t *clcf, ngx_str_t *uri,
    ngx_uint_t *final)
{
    ngx_http_core_loc_conf_t   *found, *inner;
    ngx_http_trove_location_t  *loc;
#if (NGX_PCRE)
    ngx_uint_t                  noregex;
#endif

    loc = ngx_http_trove_target_static(clcf->static_locations, uri, final);
    found = ngx_http_trove_location_conf(loc);

    if (*final) {
        return found;
    }

#if (NGX_PCRE)
    noregex = 0;
#endif

    if (found) {

#if (NGX_PCRE)
        noregex = loc->noregex;
#endif

        inner = ngx_http_trove_target_location(found, uri, final);

        if (*final) {
            return inner;
        }

        found = inner ? inner : found;
    }

#if (NGX_PCRE)

    if (!noregex) {
        inner = ngx_http_trove_target_regex(clcf, uri);

        if (inner) {
            *final = 1;
            return inner;
        }
    }

#endif

    return found;
}


static ngx_http_trove_location_t *
ngx_http_trove_target_static(ngx_http_location_tree_node_t *node,
    ngx_str_t *name, ngx_uint_t *exact)
{
    u_char                     *uri;
    size_t                      len, n;
    ngx_int_t                   rc;
    ngx_http_trove_location_t  *found;

    uri = name->data;
    len = name->len;

    found = NULL;
    *exact = 0;

    while (node) {
        n = ngx_min(len, (size_t) node->len);

        rc = ngx_filename_cmp(uri, node->name, n);

        if (rc != 0) {
            node = (rc < 0) ? node->left : node->right;
            continue;
        }

        if (len < (size_t) node->len) {
            node = node->left;
            continue;
        }

        if (len == (size_t) node->len) {
            *exact = node->exact != NULL;

            return node->exact ? node->exact : node->inclusive;
        }

        if (node->inclusive == NULL) {
            node = node->right;
            continue;
        }

        found = node->inclusive;
        node = node->tree;
        uri += n;
        len -= n;
    }

    return found;
}


#if (NGX_PCRE)

static ngx_http_core_loc_conf_t *
ngx_http_trove_target_regex(ngx_http_core_loc_conf_t *clcf, ngx_str_t *uri)
{
    int                          captures[3];
    ngx_uint_t                   final;
    ngx_http_core_loc_conf_t    *found, *inner;
    ngx_http_trove_location_t  **re;

    if (clcf->regex_locations == NULL) {
        return NULL;
    }

    for (re = clcf->regex_locations; *re; re++) {

        if (ngx_regex_exec((*re)->regex->regex, uri, captures, 3) < 0) {
            continue;
        }

        found = ngx_http_trove_location_conf(*re);
        inner = ngx_http_trove_target_location(found, uri, &final);

        return inner ? inner : found;
    }

    return NULL;
}

#endif
