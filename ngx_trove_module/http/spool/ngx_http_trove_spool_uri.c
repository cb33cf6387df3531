
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_trove_spool_uri.h"


static ngx_int_t ngx_http_trove_spool_uri_syntax(ngx_conf_t *cf,
    ngx_str_t *value);
static ngx_int_t ngx_http_trove_spool_uri_check(ngx_conf_t *cf,
    ngx_str_t *uri);
static ngx_int_t ngx_http_trove_spool_uri_log(ngx_conf_t *cf, ngx_str_t *uri,
    ngx_int_t rc, ngx_trove_spool_error_t *error);


ngx_int_t
ngx_http_trove_spool_uri(ngx_conf_t *cf, ngx_str_t *value, ngx_str_t *uri)
{
    ngx_str_t  *cmd;

    if (ngx_http_trove_spool_uri_syntax(cf, value) != NGX_OK) {
        return NGX_ERROR;
    }

    *uri = *value;

    if (ngx_trove_spool_scheme(value)) {
        return ngx_http_trove_spool_uri_check(cf, uri);
    }

    if (ngx_conf_full_name(cf->cycle, uri, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    if (uri->data != value->data) {
        cmd = cf->args->elts;

        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"%V\" in \"%V\" is relative to the prefix and "
                           "means \"%V\", specify the full path", value,
                           &cmd[0], uri);
    }

    return ngx_http_trove_spool_uri_check(cf, uri);
}


static ngx_int_t
ngx_http_trove_spool_uri_syntax(ngx_conf_t *cf, ngx_str_t *value)
{
    u_char     *p, *last;
    ngx_str_t  *cmd;

    cmd = cf->args->elts;
    last = value->data + value->len;

    /* a URI may contain a password and must not be logged */

    if (ngx_trove_spool_scheme(value) == 0
        && ngx_strlchr(value->data, last, '$'))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"%V\" contains a variable, specify a "
                           "single file",
                           value, &cmd[0]);
        return NGX_ERROR;
    }

    /* "on", "off", "max_size=10g", "file:/var/lib/nginx/trove.spool" */

    p = ngx_strlchr(value->data, last, '/');

    if (value->len == 0
        || (value->len == 2 && ngx_strncmp(value->data, "on", 2) == 0)
        || (value->len == 3 && ngx_strncmp(value->data, "off", 3) == 0)
        || ngx_strncmp(value->data, "file:", sizeof("file:") - 1) == 0
        || ngx_strlchr(value->data, p ? p : last, '='))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"%V\" is not a path, expected a path "
                           "such as \"%V /var/lib/nginx/trove.spool\"",
                           value, &cmd[0], &cmd[0]);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_spool_uri_check(ngx_conf_t *cf, ngx_str_t *uri)
{
    u_char                   *text;
    ngx_int_t                 rc;
    ngx_str_t                *cmd;
    ngx_trove_spool_error_t   error;

    rc = ngx_trove_spool_check(uri, &error);

    if (rc == NGX_ERROR) {
        cmd = cf->args->elts;
        text = error.text;

        /* without the URI, which may contain a password */

        ngx_conf_log_error(NGX_LOG_EMERG, cf, error.err,
                           "spool cannot be opened: %s, in \"%V\"", text,
                           &cmd[0]);
        return NGX_ERROR;
    }

    return ngx_http_trove_spool_uri_log(cf, uri, rc, &error);
}


static ngx_int_t
ngx_http_trove_spool_uri_log(ngx_conf_t *cf, ngx_str_t *uri, ngx_int_t rc,
    ngx_trove_spool_error_t *error)
{
    u_char      *text;
    ngx_str_t   *cmd;
    ngx_uint_t   level;

    if (rc == NGX_OK) {
        return NGX_OK;
    }

    cmd = cf->args->elts;
    text = error->text;
    level = (rc == NGX_ERROR) ? NGX_LOG_EMERG : NGX_LOG_WARN;

    ngx_conf_log_error(level, cf, error->err,
                       "spool \"%V\" in \"%V\": %s", uri, &cmd[0], text);

    return (rc == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_http_trove_spool_own(ngx_conf_t *cf, ngx_str_t *uri, ngx_fd_t *fd)
{
    ngx_int_t                 rc;
    ngx_pool_cleanup_t       *cln;
    ngx_pool_cleanup_file_t  *clnf;
    ngx_trove_spool_error_t   error;

    *fd = NGX_INVALID_FILE;

    if (ngx_test_config || ngx_process == NGX_PROCESS_SIGNALLER) {
        return NGX_OK;
    }

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_pool_cleanup_file_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_trove_spool_own(uri, ngx_is_init_cycle(ngx_cycle), fd, &error);

    if (ngx_http_trove_spool_uri_log(cf, uri, rc, &error) != NGX_OK) {
        return NGX_ERROR;
    }

    if (*fd == NGX_INVALID_FILE) {
        return NGX_OK;
    }

    cln->handler = ngx_pool_cleanup_file;
    clnf = cln->data;

    clnf->fd = *fd;
    clnf->name = uri->data;

    /* cf->cycle->log belongs to the previous cycle, destroyed by then */

    clnf->log = &cf->cycle->new_log;

    return NGX_OK;
}


/*
 * Failures are only logged.  On a reload, an error returned here would end the
 * running server.  The workers report their own errors.
 */

ngx_int_t
ngx_http_trove_spool_prepare(ngx_cycle_t *cycle, ngx_trove_spool_conf_t *conf,
    ngx_http_trove_place_t *place)
{
    ngx_int_t                 rc;
    ngx_uint_t                severity;
    ngx_core_conf_t          *ccf;
    ngx_trove_spool_user_t    user, *u;
    ngx_trove_spool_error_t   error;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    u = NULL;

    if (ccf->user != (ngx_uid_t) NGX_CONF_UNSET_UINT) {
        user.name = ccf->username;
        user.uid = ccf->user;
        user.gid = ccf->group;
        u = &user;
    }

    rc = ngx_trove_spool_prepare(conf, u, &error);

    if (rc != NGX_OK) {
        severity = (rc == NGX_ABORT) ? NGX_LOG_EMERG : NGX_LOG_ERR;

        ngx_log_error(severity, cycle->log, error.err,
                      "trove: spool \"%V\" cannot be opened: %s, in %s:%ui",
                      &conf->uri, error.text, place->file, place->line);
    }

    return (rc == NGX_ABORT) ? NGX_ERROR : NGX_OK;
}
