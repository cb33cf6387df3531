
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_secret_conf.h"


static char *ngx_http_trove_secret_open_error(
    ngx_http_trove_secret_source_t *source, ngx_err_t err);
static ssize_t ngx_http_trove_secret_read(ngx_fd_t fd, u_char *buf,
    size_t size);
static char *ngx_http_trove_secret_text(ngx_http_trove_secret_source_t *source,
    u_char *p, u_char *last);
static char *ngx_http_trove_secret_lines(ngx_http_trove_secret_source_t *source,
    u_char *p, u_char *last, ngx_uint_t *n);
static ngx_int_t ngx_http_trove_secret_keep_env(ngx_conf_t *cf,
    ngx_str_t *name);


static u_char  ngx_http_trove_secret_bom[] = { 0xef, 0xbb, 0xbf };


char *
ngx_http_trove_secret_file(ngx_http_trove_secret_source_t *source)
{
    char             *rv;
    u_char           *buf;
    size_t            size;
    ssize_t           n;
    ngx_fd_t          fd;
    ngx_str_t        *cmd, *path;
    ngx_conf_t       *cf;
    ngx_file_info_t   fi;

    cf = source->cf;
    cmd = cf->args->elts;
    path = &source->name;
    rv = NGX_CONF_ERROR;

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    /* nonblocking: otherwise open() would wait for the writer of a FIFO */

    fd = ngx_open_file(path->data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        return ngx_http_trove_secret_open_error(source, ngx_errno);
    }

    buf = NULL;
    size = NGX_HTTP_TROVE_SECRET_FILE + 1;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_fd_info_n " \"%V\" in \"%V\" failed",
                           path, &cmd[0]);
        goto done;
    }

    if (!ngx_is_file(&fi)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"%V\" is not a regular file, use a file "
                           "with one secret per line",
                           path, &cmd[0]);
        goto done;
    }

    if (ngx_http_trove_secret_check_mode(source, &fi) != NGX_CONF_OK) {
        goto done;
    }

    buf = ngx_alloc(size, cf->log);
    if (buf == NULL) {
        goto done;
    }

    n = ngx_http_trove_secret_read(fd, buf, size);

    if (n == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_read_fd_n " \"%V\" in \"%V\" failed",
                           path, &cmd[0]);
        goto done;
    }

    if ((size_t) n == size) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"%V\" is larger than %d bytes, it must "
                           "contain only secrets, one per line",
                           path, &cmd[0], NGX_HTTP_TROVE_SECRET_FILE);
        goto done;
    }

    rv = source->text ? source->text(cf, path, buf, n, source->data)
                      : ngx_http_trove_secret_text(source, buf, buf + n);

done:

    if (buf) {
        ngx_explicit_memzero(buf, size);
        ngx_free(buf);
    }

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, cf->log, ngx_errno,
                      ngx_close_file_n " \"%V\" failed", path);
    }

    return rv;
}


char *
ngx_http_trove_secret_read_text(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_trove_secret_text_pt text, void *data)
{
    ngx_str_t                       *cmd;
    ngx_http_trove_secret_source_t   source;

    if (value->len <= 5 || ngx_strncmp(value->data, "file:", 5) != 0) {
        cmd = cf->args->elts;

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" requires a file, specify \"file:PATH\"",
                           &cmd[0]);
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&source, sizeof(ngx_http_trove_secret_source_t));

    source.cf = cf;
    source.from = NGX_HTTP_TROVE_SECRET_FROM_FILE;
    source.name.data = value->data + 5;
    source.name.len = value->len - 5;
    source.text = text;
    source.data = data;

    return ngx_http_trove_secret_file(&source);
}


static char *
ngx_http_trove_secret_open_error(ngx_http_trove_secret_source_t *source,
    ngx_err_t err)
{
    ngx_str_t   *cmd, *path;
    ngx_conf_t  *cf;

    cf = source->cf;
    cmd = cf->args->elts;
    path = &source->name;

    if (err == NGX_EACCES) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, err,
                           "\"%V\" in \"%V\" cannot be read by this user, run "
                           "nginx and \"nginx -t\" as root or as the user that "
                           "starts nginx",
                           path, &cmd[0]);
        return NGX_CONF_ERROR;
    }

    if (ngx_strlchr(path->data, path->data + path->len, '$')) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, err,
                           "\"%V\" in \"%V\" cannot be opened, variables are "
                           "not supported in a path; use a \"map\" with the "
                           "secrets", path, &cmd[0]);
        return NGX_CONF_ERROR;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, err,
                       ngx_open_file_n " \"%V\" in \"%V\" failed",
                       path, &cmd[0]);

    return NGX_CONF_ERROR;
}


/*
 * A read() may be short, for example in a file system in user space.  Without
 * the rest, secrets would be missing or truncated.
 */

static ssize_t
ngx_http_trove_secret_read(ngx_fd_t fd, u_char *buf, size_t size)
{
    size_t   len;
    ssize_t  n;

    len = 0;

    while (len < size) {
        n = ngx_read_fd(fd, buf + len, size - len);

        if (n == -1) {
            if (ngx_errno == NGX_EINTR) {
                continue;
            }

            return -1;
        }

        if (n == 0) {
            break;
        }

        len += n;
    }

    return len;
}


static char *
ngx_http_trove_secret_text(ngx_http_trove_secret_source_t *source, u_char *p,
    u_char *last)
{
    ngx_str_t   *cmd;
    ngx_uint_t   n;

    cmd = source->cf->args->elts;

    if (last - p >= 2
        && ((p[0] == 0xff && p[1] == 0xfe) || (p[0] == 0xfe && p[1] == 0xff)))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, source->cf, 0,
                           "\"%V\" in \"%V\" is in UTF-16, save it as UTF-8",
                           &source->name, &cmd[0]);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_trove_secret_check_warned(source) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    n = 0;

    if (ngx_http_trove_secret_lines(source, p, last, &n) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (n == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, source->cf, 0,
                           "no secret in \"%V\" of \"%V\", add one secret per "
                           "line",
                           &source->name, &cmd[0]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_trove_secret_lines(ngx_http_trove_secret_source_t *source, u_char *p,
    u_char *last, ngx_uint_t *n)
{
    u_char  *start, *end, *next;

    for (source->line = 1; p < last; source->line++, p = next) {

        end = ngx_strlchr(p, last, LF);
        next = end ? end + 1 : last;
        end = end ? end : last;

        start = p;

        /* at the beginning of a file, or after it if files were concatenated */

        if (end - start >= (ssize_t) sizeof(ngx_http_trove_secret_bom)
            && ngx_memcmp(start, ngx_http_trove_secret_bom,
                          sizeof(ngx_http_trove_secret_bom))
               == 0)
        {
            start += sizeof(ngx_http_trove_secret_bom);
        }

        ngx_http_trove_secret_trim(&start, &end);

        if (start == end || *start == '#') {
            continue;
        }

        if (source->from == NGX_HTTP_TROVE_SECRET_FROM_ENV
            && ngx_http_trove_secret_check_path(source, start, end - start)
               != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }

        if (ngx_http_trove_secret_check(source, start, end - start)
            != NGX_CONF_OK
            || ngx_http_trove_secret_key(source, start, end - start)
               != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }

        (*n)++;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_trove_secret_env(ngx_http_trove_secret_source_t *source)
{
    u_char      *secret;
    ngx_str_t   *cmd, *name;
    ngx_uint_t   level;
    ngx_conf_t  *cf;

    cf = source->cf;
    cmd = cf->args->elts;
    name = &source->name;

    /* arguments are null-terminated */

    secret = (u_char *) getenv((char *) name->data);

    if (secret == NULL) {

        /*
         * "nginx -t" and "nginx -s reload" may run without the
         * environment of the server
         */

        level = (ngx_test_config || ngx_process == NGX_PROCESS_SIGNALLER)
                ? NGX_LOG_WARN : NGX_LOG_EMERG;

        ngx_conf_log_error(level, cf, 0,
                           "the environment variable \"%V\" in \"%V\" is not "
                           "set, set it in the environment of nginx",
                           name, &cmd[0]);

        if (level == NGX_LOG_EMERG) {
            return NGX_CONF_ERROR;
        }

        return ngx_http_trove_secret_limit(source);
    }

    if (*secret == '\0') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the environment variable \"%V\" in \"%V\" is "
                           "empty, set it in the environment of nginx",
                           name, &cmd[0]);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_trove_secret_keep_env(cf, name) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_trove_secret_text(source, secret,
                                      secret + ngx_strlen(secret));
}


/*
 * A binary upgrade passes only those environment variables that "env"
 * directives name: the new binary would start without the secret.
 */

static ngx_int_t
ngx_http_trove_secret_keep_env(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_str_t        *env;
    ngx_uint_t        i;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                           ngx_core_module);
    env = ccf->env.elts;

    for (i = 0; i < ccf->env.nelts; i++) {
        if (env[i].len == name->len
            && ngx_strncmp(env[i].data, name->data, name->len) == 0)
        {
            return NGX_OK;
        }
    }

    env = ngx_array_push(&ccf->env);
    if (env == NULL) {
        return NGX_ERROR;
    }

    *env = *name;

    return NGX_OK;
}
