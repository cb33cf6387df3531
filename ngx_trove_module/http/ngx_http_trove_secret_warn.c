
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_module.h"
#include "ngx_http_trove_secret_conf.h"


/* in addition to the kinds of secrets */
#define NGX_HTTP_TROVE_SECRET_WARN_MODE  100
#define NGX_HTTP_TROVE_SECRET_WARN_CONF  101

#define ngx_http_trove_secret_others(fi)                                      \
    (ngx_file_access(fi) & (S_IROTH|S_IWOTH))


typedef struct {
    ngx_str_t   name;        /* of a file or a variable */
    ngx_uint_t  from;
    off_t       offset;      /* of a value, in the file */
    ngx_uint_t  what;
} ngx_http_trove_secret_warned_t;


static ngx_int_t ngx_http_trove_secret_warned(ngx_conf_t *cf, ngx_str_t *name,
    ngx_uint_t from, off_t offset, ngx_uint_t what);
static ngx_uint_t ngx_http_trove_secret_is_sent(ngx_str_t *name);


char *
ngx_http_trove_secret_check_warned(ngx_http_trove_secret_source_t *source)
{
    off_t             offset;
    ngx_int_t         rc;
    ngx_str_t        *name;
    ngx_buf_t        *b;
    ngx_conf_file_t  *file;

    offset = 0;
    name = &source->name;

    if (source->from == NGX_HTTP_TROVE_SECRET_FROM_VALUE) {

        /* a line may contain several */

        file = source->cf->conf_file;
        b = file->buffer;

        name = &file->file.name;
        offset = file->file.offset - (b ? b->last - b->pos : 0);
    }

    rc = ngx_http_trove_secret_warned(source->cf, name, source->from, offset,
                                      source->secrets->kind);

    source->warned = (rc == NGX_DECLINED);

    return rc == NGX_ERROR ? NGX_CONF_ERROR : NGX_CONF_OK;
}


/*
 * NGX_OK        called for the first time
 * NGX_DECLINED  called before
 * NGX_ERROR     out of memory
 */

static ngx_int_t
ngx_http_trove_secret_warned(ngx_conf_t *cf, ngx_str_t *name, ngx_uint_t from,
    off_t offset, ngx_uint_t what)
{
    ngx_uint_t                       i;
    ngx_array_t                     *list;
    ngx_http_trove_secret_warned_t  *warned;

    list = ngx_http_trove_secrets_warned(cf,
                                       sizeof(ngx_http_trove_secret_warned_t));
    if (list == NULL) {
        return NGX_ERROR;
    }

    warned = list->elts;

    for (i = 0; i < list->nelts; i++) {
        if (warned[i].from == from && warned[i].offset == offset
            && warned[i].what == what && warned[i].name.len == name->len
            && ngx_memcmp(warned[i].name.data, name->data, name->len) == 0)
        {
            return NGX_DECLINED;
        }
    }

    warned = ngx_array_push(list);
    if (warned == NULL) {
        return NGX_ERROR;
    }

    /* the name of an included file is not kept */

    warned->name.len = name->len;
    warned->name.data = ngx_pstrdup(cf->pool, name);
    if (warned->name.data == NULL) {
        return NGX_ERROR;
    }

    warned->from = from;
    warned->offset = offset;
    warned->what = what;

    return NGX_OK;
}


char *
ngx_http_trove_secret_check_mode(ngx_http_trove_secret_source_t *source,
    ngx_file_info_t *fi)
{
    ngx_int_t   rc;
    ngx_str_t  *cmd, *path;

    if (!ngx_http_trove_secret_others(fi)) {
        return NGX_CONF_OK;
    }

    path = &source->name;

    rc = ngx_http_trove_secret_warned(source->cf, path, source->from, 0,
                                      NGX_HTTP_TROVE_SECRET_WARN_MODE);

    if (rc == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    if (rc == NGX_OK) {
        cmd = source->cf->args->elts;

        ngx_conf_log_error(NGX_LOG_WARN, source->cf, 0,
                           "any user can read or change \"%V\" in \"%V\", run "
                           "\"chmod o-rw %V\"",
                           path, &cmd[0], path);
    }

    return NGX_CONF_OK;
}


char *
ngx_http_trove_secret_check_conf(ngx_http_trove_secret_source_t *source)
{
    ngx_int_t         rc;
    ngx_str_t        *cmd;
    ngx_file_t       *file;
    ngx_file_info_t   fi;

    file = &source->cf->conf_file->file;

    if (file->fd == NGX_INVALID_FILE
        || ngx_fd_info(file->fd, &fi) == NGX_FILE_ERROR
        || !ngx_http_trove_secret_others(&fi))
    {
        return NGX_CONF_OK;
    }

    rc = ngx_http_trove_secret_warned(source->cf, &file->name, source->from, 0,
                                      NGX_HTTP_TROVE_SECRET_WARN_CONF);

    if (rc == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    if (rc == NGX_OK) {
        cmd = source->cf->args->elts;

        ngx_conf_log_error(NGX_LOG_WARN, source->cf, 0,
                           "any user can read or change the file with the "
                           "value of \"%V\", move the secret to a separate "
                           "file and use \"%V file:PATH\"", &cmd[0], &cmd[0]);
    }

    return NGX_CONF_OK;
}


char *
ngx_http_trove_secret_check_repeated(ngx_http_trove_secret_source_t *source,
    ngx_uint_t n)
{
    ngx_int_t          rc;
    ngx_str_t          where;
    ngx_uint_t         i;
    ngx_trove_key_t  **key;

    key = source->secrets->keys.elts;

    for (i = 0; i < n; i++) {
        rc = ngx_http_trove_secret_same(key[i], key[n]);

        if (rc == NGX_ERROR) {
            return NGX_CONF_ERROR;
        }

        if (rc == NGX_OK) {
            break;
        }
    }

    /* the warning was logged when the file was read before */

    if (i == n || (i >= source->first && source->warned)) {
        return NGX_CONF_OK;
    }

    if (ngx_http_trove_secret_where(source, &where) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    ngx_conf_log_error(NGX_LOG_WARN, source->cf, 0,
                       "%V is a duplicate secret, remove it or replace it with "
                       "the new secret", &where);

    return NGX_CONF_OK;
}


/* the client knows a value of constants and of variables that it sends */

char *
ngx_http_trove_secret_check_variables(ngx_http_trove_secret_source_t *source,
    ngx_str_t *value)
{
    u_char     *p, *last;
    ngx_str_t   name, where;

    if (source->secrets->kind == NGX_HTTP_TROVE_SECRET_SIGN
        || source->warned)
    {
        return NGX_CONF_OK;
    }

    p = value->data;
    last = p + value->len;

    while (p < last) {

        if (*p++ != '$') {
            continue;
        }

        if (p < last && *p == '{') {
            p++;
        }

        name.data = p;

        while (p < last
               && ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')
                   || (*p >= '0' && *p <= '9') || *p == '_'))
        {
            p++;
        }

        name.len = p - name.data;

        if (!ngx_http_trove_secret_is_sent(&name)) {
            return NGX_CONF_OK;
        }
    }

    if (ngx_http_trove_secret_where(source, &where) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    ngx_conf_log_error(NGX_LOG_WARN, source->cf, 0,
                       "%V is chosen by the client, look it up with a \"map\"",
                       &where);

    return NGX_CONF_OK;
}


static ngx_uint_t
ngx_http_trove_secret_is_sent(ngx_str_t *name)
{
    size_t       len;
    ngx_uint_t   i;

    static const char  *prefixes[] = { "http_", "arg_", "cookie_", NULL };

    static const char  *names[] = {
        "args", "content_length", "content_type", "document_uri", "host",
        "http2", "is_args", "query_string", "remote_addr", "remote_port",
        "remote_user", "request", "request_method", "request_uri", "scheme",
        "server_name", "server_port", "server_protocol", "uri", NULL
    };

    /* captures */

    if (name->len && name->data[0] >= '1' && name->data[0] <= '9') {
        return 1;
    }

    for (i = 0; prefixes[i]; i++) {
        len = ngx_strlen(prefixes[i]);

        if (name->len > len
            && ngx_strncasecmp(name->data, (u_char *) prefixes[i], len) == 0)
        {
            return 1;
        }
    }

    for (i = 0; names[i]; i++) {
        if (name->len == ngx_strlen(names[i])
            && ngx_strncasecmp(name->data, (u_char *) names[i], name->len)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}
