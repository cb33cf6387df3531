
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_secret_conf.h"


#define NGX_HTTP_TROVE_SECRET_PREFIX_LEN                                      \
    (sizeof(NGX_HTTP_TROVE_SECRET_PREFIX) - 1)


static char *ngx_http_trove_secret_check_bytes(
    ngx_http_trove_secret_source_t *source, ngx_str_t *where,
    ngx_str_t *secret);
static char *ngx_http_trove_secret_check_form(
    ngx_http_trove_secret_source_t *source, ngx_str_t *where,
    ngx_str_t *secret);
static char *ngx_http_trove_secret_check_public(
    ngx_http_trove_secret_source_t *source, ngx_str_t *where,
    ngx_str_t *secret);
static void ngx_http_trove_secret_check_unusual(
    ngx_http_trove_secret_source_t *source, ngx_str_t *where,
    ngx_str_t *secret);
static ngx_uint_t ngx_http_trove_secret_begins(ngx_str_t *secret,
    const char *text);
static ngx_uint_t ngx_http_trove_secret_is_quoted(ngx_str_t *secret);
static ngx_uint_t ngx_http_trove_secret_is_named(ngx_str_t *secret);
static ngx_uint_t ngx_http_trove_secret_is_scheme(ngx_str_t *secret);
static ngx_uint_t ngx_http_trove_secret_is_several(
    ngx_http_trove_secret_source_t *source, ngx_str_t *secret);
static ngx_uint_t ngx_http_trove_secret_is_prefix(ngx_str_t *secret);


char *
ngx_http_trove_secret_check(ngx_http_trove_secret_source_t *source,
    u_char *p, size_t len)
{
    ngx_str_t  secret, where;

    if (ngx_http_trove_secret_where(source, &where) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    secret.len = len;
    secret.data = p;

    if (ngx_http_trove_secret_check_bytes(source, &where, &secret)
        != NGX_CONF_OK
        || ngx_http_trove_secret_check_form(source, &where, &secret)
           != NGX_CONF_OK
        || ngx_http_trove_secret_check_public(source, &where, &secret)
           != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (!source->warned) {
        ngx_http_trove_secret_check_unusual(source, &where, &secret);
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_trove_secret_check_bytes(ngx_http_trove_secret_source_t *source,
    ngx_str_t *where, ngx_str_t *secret)
{
    u_char      *last;
    ngx_conf_t  *cf;

    cf = source->cf;
    last = secret->data + secret->len;

    if (secret->len > NGX_HTTP_TROVE_SECRET_LINE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%V is longer than %d bytes, it must be one secret",
                           where, NGX_HTTP_TROVE_SECRET_LINE);
        return NGX_CONF_ERROR;
    }

    if (ngx_strlchr(secret->data, last, '\0')) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%V has a null byte, the file must be text with one "
                           "secret per line", where);
        return NGX_CONF_ERROR;
    }

    if (ngx_strlchr(secret->data, last, CR)
        || ngx_strlchr(secret->data, last, LF))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%V has a line break, use a file with one secret "
                           "per line and Unix line endings", where);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* text around a secret in files of other programs */

static char *
ngx_http_trove_secret_check_form(ngx_http_trove_secret_source_t *source,
    ngx_str_t *where, ngx_str_t *secret)
{
    ngx_str_t   *cmd;
    ngx_conf_t  *cf;

    cf = source->cf;
    cmd = cf->args->elts;

    if (ngx_http_trove_secret_is_quoted(secret)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%V has quotes around the secret, remove them",
                           where);
        return NGX_CONF_ERROR;
    }

    if (secret->data[0] == '{' || secret->data[0] == '['
        || secret->data[0] == '<')
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%V is JSON or markup, specify only the secret",
                           where);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_trove_secret_begins(secret, "-----BEGIN")) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%V is the beginning of a TLS key or certificate, "
                           "specify only the secret", where);
        return NGX_CONF_ERROR;
    }

    if (secret->data[0] == ';'
        || ngx_http_trove_secret_begins(secret, "// "))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%V looks like a comment, comments in a file begin "
                           "with \"#\"", where);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_trove_secret_is_scheme(secret)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%V is a reference rather than a secret, use "
                           "\"%V file:PATH\" or \"%V env:NAME\"",
                           where, &cmd[0], &cmd[0]);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_trove_secret_is_named(secret)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%V has a name before the secret, specify only the "
                           "secret", where);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_trove_secret_is_several(source, secret)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%V has other text beside the secret, put one "
                           "secret per line and comments on separate lines",
                           where);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* secrets that are easy to guess */

static char *
ngx_http_trove_secret_check_public(ngx_http_trove_secret_source_t *source,
    ngx_str_t *where, ngx_str_t *secret)
{
    if (source->script) {
        return NGX_CONF_OK;
    }

    if (ngx_http_trove_secret_is_prefix(secret)) {
        ngx_conf_log_error(NGX_LOG_EMERG, source->cf, 0,
                           "%V is only the prefix of a secret, specify the "
                           "whole secret", where);
        return NGX_CONF_ERROR;
    }

    if (secret->len < source->secrets->min) {
        ngx_conf_log_error(NGX_LOG_EMERG, source->cf, 0,
                           "%V is shorter than %ui bytes and can be guessed, "
                           "generate one with \"openssl rand -hex 32\"", where,
                           source->secrets->min);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* secrets of targets, and tokens, may have any format */

static void
ngx_http_trove_secret_check_unusual(ngx_http_trove_secret_source_t *source,
    ngx_str_t *where, ngx_str_t *secret)
{
    ngx_uint_t  i;

    if (source->script
        || source->secrets->kind != NGX_HTTP_TROVE_SECRET_VERIFY)
    {
        return;
    }

    if (!ngx_http_trove_secret_begins(secret, NGX_HTTP_TROVE_SECRET_PREFIX)) {
        ngx_conf_log_error(NGX_LOG_WARN, source->cf, 0,
                           "%V does not begin with \"trove-whsec-\" as a "
                           "TroveFiles secret does, copy it again with its "
                           "prefix", where);
        return;
    }

    for (i = 0; i < secret->len; i++) {
        if (secret->data[i] <= ' ' || secret->data[i] > '~') {
            ngx_conf_log_error(NGX_LOG_WARN, source->cf, 0,
                               "%V has a blank or a byte that is not printable "
                               "ASCII, specify only the secret", where);
            return;
        }
    }
}


char *
ngx_http_trove_secret_check_path(ngx_http_trove_secret_source_t *source,
    u_char *p, size_t len)
{
    ngx_str_t         name, secret, where, *cmd;
    ngx_uint_t        i;
    ngx_conf_t       *cf;
    ngx_file_info_t   fi;

    static const char  *words[] = { "on", "off", "log", "file", "env", NULL };

    cf = source->cf;
    cmd = cf->args->elts;

    if (ngx_http_trove_secret_where(source, &where) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    secret.len = len;
    secret.data = p;

    if (secret.data[0] == '/'
        || ngx_http_trove_secret_begins(&secret, "./")
        || ngx_http_trove_secret_begins(&secret, "../")
        || ngx_http_trove_secret_begins(&secret, "~/"))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%V is a path, use \"%V file:PATH\"; if it is the "
                           "secret itself, put it into a file",
                           &where, &cmd[0]);
        return NGX_CONF_ERROR;
    }

    if (source->script) {
        return NGX_CONF_OK;
    }

    for (i = 0; words[i]; i++) {
        if (secret.len == ngx_strlen(words[i])
            && ngx_strncasecmp(secret.data, (u_char *) words[i], secret.len)
               == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "%V is a keyword rather than a secret, use "
                               "\"%V file:PATH\" or \"%V env:NAME\"",
                               &where, &cmd[0], &cmd[0]);
            return NGX_CONF_ERROR;
        }
    }

    /* relative to nginx.conf, relative to the prefix, and unchanged */

    for (i = 0; i < 3; i++) {
        name.len = secret.len;
        name.data = ngx_pnalloc(cf->temp_pool, secret.len + 1);
        if (name.data == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_cpystrn(name.data, secret.data, secret.len + 1);

        if (i < 2 && ngx_conf_full_name(cf->cycle, &name, i == 0) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        if (ngx_file_info(name.data, &fi) != NGX_FILE_ERROR
            && !ngx_is_dir(&fi))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "%V is the name of a file, use "
                               "\"%V file:PATH\"; if it is the secret itself, "
                               "put it into a file", &where, &cmd[0]);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_trove_secret_where(ngx_http_trove_secret_source_t *source,
    ngx_str_t *where)
{
    u_char     *p;
    size_t      len;
    ngx_str_t  *cmd;

    cmd = source->cf->args->elts;

    len = sizeof("line  of the environment variable \"\" in \"\"") - 1
          + NGX_INT_T_LEN + source->name.len + cmd[0].len;

    p = ngx_pnalloc(source->cf->temp_pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    where->data = p;

    switch (source->from) {

    case NGX_HTTP_TROVE_SECRET_FROM_FILE:
        p = ngx_sprintf(p, "line %ui of \"%V\" in \"%V\"",
                        source->line, &source->name, &cmd[0]);
        break;

    case NGX_HTTP_TROVE_SECRET_FROM_ENV:
        p = ngx_sprintf(p, "line %ui of the environment variable \"%V\" "
                        "in \"%V\"",
                        source->line, &source->name, &cmd[0]);
        break;

    default: /* NGX_HTTP_TROVE_SECRET_FROM_VALUE */
        p = ngx_sprintf(p, "the value of \"%V\"", &cmd[0]);
    }

    where->len = p - where->data;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_trove_secret_begins(ngx_str_t *secret, const char *text)
{
    size_t  len;

    len = ngx_strlen(text);

    return secret->len >= len && ngx_memcmp(secret->data, text, len) == 0;
}


/* one quote is sufficient: the other may have been left out */

static ngx_uint_t
ngx_http_trove_secret_is_quoted(ngx_str_t *secret)
{
    u_char      *p;
    ngx_uint_t   i;

    p = secret->data;

    for (i = 0; i < 2; i++) {
        if (*p == '"' || *p == '\'' || *p == '`') {
            return 1;
        }

        p = secret->data + secret->len - 1;
    }

    /* U+2018 to U+201F, by a word processor */

    p = secret->data;

    for (i = 0; secret->len >= 3 && i < 2; i++) {
        if (p[0] == 0xe2 && p[1] == 0x80 && p[2] >= 0x98 && p[2] <= 0x9f) {
            return 1;
        }

        p = secret->data + secret->len - 3;
    }

    return 0;
}


/*
 * "NAME=..", "export NAME=..", "name: ..".  A "=" at the end is of base64,
 * unless the name could only be that of a variable.
 */

static ngx_uint_t
ngx_http_trove_secret_is_named(ngx_str_t *secret)
{
    u_char      *p, *last;
    ngx_uint_t   lower;

    p = secret->data;
    last = p + secret->len;

    if (ngx_http_trove_secret_begins(secret, "export ")) {
        p += sizeof("export ") - 1;
    }

    if (p == last || (*p >= '0' && *p <= '9')) {
        return 0;
    }

    lower = 0;

    for ( /* void */ ; p < last; p++) {

        if (*p >= 'a' && *p <= 'z') {
            lower = 1;
            continue;
        }

        if ((*p < 'A' || *p > 'Z') && (*p < '0' || *p > '9') && *p != '_') {
            break;
        }
    }

    if (p == secret->data) {
        return 0;
    }

    if (last - p >= 2 && p[0] == ':' && ngx_http_trove_secret_blank(p[1])) {
        return 1;
    }

    while (p < last && ngx_http_trove_secret_blank(*p)) {
        p++;
    }

    if (p == last || *p != '=') {
        return 0;
    }

    while (p < last && *p == '=') {
        p++;
    }

    return p < last || !lower;
}


/* "File:", "FILE:", "file=", "path=", "env=" and the like */

static ngx_uint_t
ngx_http_trove_secret_is_scheme(ngx_str_t *secret)
{
    size_t       len;
    ngx_uint_t   i;

    static const char  *schemes[] = { "file", "path", "env", NULL };

    for (i = 0; schemes[i]; i++) {
        len = ngx_strlen(schemes[i]);

        if (secret->len > len
            && (secret->data[len] == ':' || secret->data[len] == '=')
            && ngx_strncasecmp(secret->data, (u_char *) schemes[i], len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_trove_secret_is_several(ngx_http_trove_secret_source_t *source,
    ngx_str_t *secret)
{
    u_char  *p, *last;

    p = secret->data + 1;
    last = secret->data + secret->len;

    for ( /* void */ ; p < last; p++) {

        if (*p == '#' && ngx_http_trove_secret_blank(p[-1])
            && source->from != NGX_HTTP_TROVE_SECRET_FROM_VALUE)
        {
            return 1;
        }

        if ((size_t) (last - p) >= NGX_HTTP_TROVE_SECRET_PREFIX_LEN
            && ngx_memcmp(p, NGX_HTTP_TROVE_SECRET_PREFIX,
                          NGX_HTTP_TROVE_SECRET_PREFIX_LEN)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* alone, or as "trove-whsec-..." in documentation */

static ngx_uint_t
ngx_http_trove_secret_is_prefix(ngx_str_t *secret)
{
    size_t  i;

    if (!ngx_http_trove_secret_begins(secret, NGX_HTTP_TROVE_SECRET_PREFIX)) {
        return 0;
    }

    for (i = NGX_HTTP_TROVE_SECRET_PREFIX_LEN; i < secret->len; i++) {
        if (ngx_strchr(".*xX-_", secret->data[i]) == NULL) {
            return 0;
        }
    }

    return 1;
}
