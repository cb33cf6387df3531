
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_target.h"


static ngx_http_core_loc_conf_t *ngx_http_trove_target_location(
    ngx_http_core_loc_conf_t *clcf, ngx_str_t *uri, ngx_uint_t *final);
static ngx_http_core_loc_conf_t *ngx_http_trove_target_static(
    ngx_http_location_tree_node_t *node, ngx_str_t *uri, ngx_uint_t *exact);
#if (NGX_PCRE)
static ngx_http_core_loc_conf_t *ngx_http_trove_target_regex(
    ngx_http_core_loc_conf_t *clcf, ngx_str_t *uri);
#endif


/*
 * What the configuration tells of where a subrequest will go to.  Rewrites of
 * the server may yet send it elsewhere: then it fails, or not, at run time.
 */

ngx_int_t
ngx_http_trove_target_check(ngx_conf_t *cf, ngx_http_core_srv_conf_t *cscf,
    ngx_array_t *targets)
{
    ngx_uint_t                 i, final;
    ngx_http_trove_target_t   *target;
    ngx_http_core_loc_conf_t  *clcf;

    target = targets->elts;

    for (i = 0; i < targets->nelts; i++) {

        clcf = cscf->ctx->loc_conf[ngx_http_core_module.ctx_index];
        clcf = ngx_http_trove_target_location(clcf, &target[i].uri, &final);

        if (clcf == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "no location for target \"%V\" of \"trove_fanout\" "
                          "in server \"%V\", add \"location = %V\" with "
                          "\"internal;\" and a \"proxy_pass\" in it",
                          &target[i].uri, &cscf->server_name, &target[i].uri);
            return NGX_ERROR;
        }

        if (!clcf->internal) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "location \"%V\", which target \"%V\" of "
                          "\"trove_fanout\" is served by, is open to everybody "
                          "in server \"%V\": add \"internal;\" to it, or a "
                          "\"location = %V\" with it",
                          &clcf->name, &target[i].uri, &cscf->server_name,
                          &target[i].uri);
            return NGX_ERROR;
        }

        target[i].loc_conf = clcf->loc_conf;
    }

    return NGX_OK;
}


/*
 * As NGINX itself looks for the location of a request.  One that is not final
 * gives way to a regular expression beside it, or beside what it is nested in.
 */

static ngx_http_core_loc_conf_t *
ngx_http_trove_target_location(ngx_http_core_loc_conf_t *clcf, ngx_str_t *uri,
    ngx_uint_t *final)
{
    ngx_http_core_loc_conf_t  *found, *inner;
#if (NGX_PCRE)
    ngx_uint_t                 noregex;
#endif

    found = ngx_http_trove_target_static(clcf->static_locations, uri, final);

    if (*final) {
        return found;
    }

#if (NGX_PCRE)
    noregex = 0;
#endif

    if (found) {

#if (NGX_PCRE)
        noregex = found->noregex;
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


static ngx_http_core_loc_conf_t *
ngx_http_trove_target_static(ngx_http_location_tree_node_t *node,
    ngx_str_t *name, ngx_uint_t *exact)
{
    u_char                    *uri;
    size_t                     len, n;
    ngx_int_t                  rc;
    ngx_http_core_loc_conf_t  *found;

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
    int                         captures[3];
    ngx_uint_t                  final;
    ngx_http_core_loc_conf_t   *inner, **re;

    if (clcf->regex_locations == NULL) {
        return NULL;
    }

    for (re = clcf->regex_locations; *re; re++) {

        if (ngx_regex_exec((*re)->regex->regex, uri, captures, 3) < 0) {
            continue;
        }

        inner = ngx_http_trove_target_location(*re, uri, &final);

        return inner ? inner : *re;
    }

    return NULL;
}

#endif
