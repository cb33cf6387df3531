
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <openssl/sha.h>

#include "ngx_http_trove_secret.h"
#include "ngx_http_trove_secret_near.h"


#define NGX_HTTP_TROVE_SECRET_LINE  1024      /* bytes of a line in a file */
#define NGX_HTTP_TROVE_SECRET_FILE  65536     /* bytes of a file */


static ngx_http_trove_secrets_t *ngx_http_trove_secret_create(ngx_conf_t *cf);
static char *ngx_http_trove_secret_file(ngx_conf_t *cf,
    ngx_http_trove_secrets_t *secrets, ngx_str_t *path);
static char *ngx_http_trove_secret_lines(ngx_conf_t *cf,
    ngx_http_trove_secrets_t *secrets, ngx_str_t *path, u_char *p,
    u_char *last);
static char *ngx_http_trove_secret_env(ngx_conf_t *cf,
    ngx_http_trove_secrets_t *secrets, ngx_str_t *name);
static ngx_int_t ngx_http_trove_secret_keep_env(ngx_conf_t *cf,
    ngx_str_t *name);
static char *ngx_http_trove_secret_value(ngx_conf_t *cf,
    ngx_http_trove_secrets_t *secrets, ngx_str_t *value);
static char *ngx_http_trove_secret_key(ngx_conf_t *cf,
    ngx_http_trove_secrets_t *secrets, u_char *secret, size_t len);
static char *ngx_http_trove_secret_room(ngx_conf_t *cf,
    ngx_http_trove_secrets_t *secrets);
static void ngx_http_trove_secret_digest(ngx_http_trove_keys_t *keys,
    ngx_str_t *value);
static void ngx_http_trove_secret_cleanup(void *data);


char *
ngx_http_trove_secret_add(ngx_conf_t *cf, ngx_http_trove_secrets_t **secrets,
    ngx_str_t *value)
{
    ngx_str_t   arg;
    ngx_str_t  *cmd;

    cmd = cf->args->elts;

    if (*secrets == NULL) {
        *secrets = ngx_http_trove_secret_create(cf);
        if (*secrets == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_strncmp(value->data, "file:", 5) == 0) {
        arg.data = value->data + 5;
        arg.len = value->len - 5;

        if (arg.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "no path in \"%V\", say \"%V file:PATH\"",
                               &cmd[0], &cmd[0]);
            return NGX_CONF_ERROR;
        }

        return ngx_http_trove_secret_file(cf, *secrets, &arg);
    }

    if (ngx_strncmp(value->data, "env:", 4) == 0) {
        arg.data = value->data + 4;
        arg.len = value->len - 4;

        if (arg.len == 0 || ngx_strlchr(arg.data, arg.data + arg.len, '=')) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "no name of an environment variable in \"%V\", "
                               "say \"%V env:NAME\"", &cmd[0], &cmd[0]);
            return NGX_CONF_ERROR;
        }

        return ngx_http_trove_secret_env(cf, *secrets, &arg);
    }

    return ngx_http_trove_secret_value(cf, *secrets, value);
}


static ngx_http_trove_secrets_t *
ngx_http_trove_secret_create(ngx_conf_t *cf)
{
    ngx_pool_cleanup_t        *cln;
    ngx_http_trove_secrets_t  *secrets;

    secrets = ngx_palloc(cf->pool, sizeof(ngx_http_trove_secrets_t));
    if (secrets == NULL) {
        return NULL;
    }

    if (ngx_array_init(&secrets->keys, cf->pool, 2, sizeof(ngx_trove_key_t *))
        != NGX_OK)
    {
        return NULL;
    }

    if (ngx_array_init(&secrets->values, cf->pool, 1,
                       sizeof(ngx_http_complex_value_t))
        != NGX_OK)
    {
        return NULL;
    }

    if (ngx_array_init(&secrets->near, cf->pool, 2,
                       sizeof(ngx_http_trove_secret_near_t))
        != NGX_OK
        || ngx_array_init(&secrets->sources, cf->pool, 1,
                          sizeof(ngx_http_trove_secret_source_t))
           != NGX_OK)
    {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_trove_secret_cleanup;
    cln->data = secrets;

    return secrets;
}


static void
ngx_http_trove_secret_cleanup(void *data)
{
    ngx_http_trove_secrets_t  *secrets = data;

    ngx_uint_t         i;
    ngx_trove_key_t  **keys;

    keys = secrets->keys.elts;

    for (i = 0; i < secrets->keys.nelts; i++) {
        ngx_trove_key_destroy(keys[i]);
    }

    secrets->keys.nelts = 0;

    ngx_http_trove_secret_near_free(secrets->near.elts, secrets->near.nelts);
    secrets->near.nelts = 0;
}


static char *
ngx_http_trove_secret_file(ngx_conf_t *cf, ngx_http_trove_secrets_t *secrets,
    ngx_str_t *path)
{
    char             *rv;
    u_char           *buf;
    size_t            size;
    ssize_t           n;
    ngx_fd_t          fd;
    ngx_str_t        *cmd;
    ngx_file_info_t   fi;

    cmd = cf->args->elts;
    rv = NGX_CONF_ERROR;

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    /* nonblocking: opening a FIFO would wait for its writer */

    fd = ngx_open_file(path->data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" in \"%V\" failed",
                           path, &cmd[0]);
        return NGX_CONF_ERROR;
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
                           "\"%V\" in \"%V\" is not a regular file, "
                           "put one secret a line into one",
                           path, &cmd[0]);
        goto done;
    }

    buf = ngx_alloc(size, cf->log);
    if (buf == NULL) {
        goto done;
    }

    n = ngx_read_fd(fd, buf, size);

    if (n == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_read_fd_n " \"%V\" in \"%V\" failed",
                           path, &cmd[0]);
        goto done;
    }

    if ((size_t) n == size) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"%V\" is larger than %d bytes, "
                           "it must hold nothing but one secret a line",
                           path, &cmd[0], NGX_HTTP_TROVE_SECRET_FILE);
        goto done;
    }

    rv = ngx_http_trove_secret_lines(cf, secrets, path, buf, buf + n);

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


static char *
ngx_http_trove_secret_lines(ngx_conf_t *cf, ngx_http_trove_secrets_t *secrets,
    ngx_str_t *path, u_char *p, u_char *last)
{
    u_char      *start, *end, *next;
    ngx_str_t   *cmd;
    ngx_uint_t   line, n;

    cmd = cf->args->elts;
    n = 0;

    for (line = 1; p < last; line++, p = next) {

        end = ngx_strlchr(p, last, LF);
        next = end ? end + 1 : last;
        end = end ? end : last;

        start = p;

        /* a secret has no blanks, CR LF and a stray blank are the editor's */

        while (start < end && (*start == ' ' || *start == '\t')) {
            start++;
        }

        while (end > start
               && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == CR))
        {
            end--;
        }

        if (start == end || *start == '#') {
            continue;
        }

        if (end - start > NGX_HTTP_TROVE_SECRET_LINE) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "line %ui of \"%V\" in \"%V\" is longer than "
                               "%d bytes, it must hold one secret",
                               line, path, &cmd[0], NGX_HTTP_TROVE_SECRET_LINE);
            return NGX_CONF_ERROR;
        }

        if (ngx_strlchr(start, end, '\0')) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "line %ui of \"%V\" in \"%V\" has a zero byte, "
                               "the file must be text with one secret a line",
                               line, path, &cmd[0]);
            return NGX_CONF_ERROR;
        }

        if (ngx_http_trove_secret_key(cf, secrets, start, end - start)
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }

        n++;
    }

    if (n == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no secret in \"%V\" of \"%V\", "
                           "put one a line into it", path, &cmd[0]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_trove_secret_env(ngx_conf_t *cf, ngx_http_trove_secrets_t *secrets,
    ngx_str_t *name)
{
    char        *secret;
    ngx_str_t   *cmd;
    ngx_uint_t   level;

    cmd = cf->args->elts;

    /* arguments are terminated by a NUL */

    secret = getenv((char *) name->data);

    if (secret == NULL) {

        /*
         * a shell that runs "nginx -t" or "nginx -s reload" need not have
         * the environment of the server
         */

        level = (ngx_test_config || ngx_process == NGX_PROCESS_SIGNALLER)
                ? NGX_LOG_WARN : NGX_LOG_EMERG;

        ngx_conf_log_error(level, cf, 0,
                           "no environment variable \"%V\" for \"%V\", "
                           "set it where nginx is started",
                           name, &cmd[0]);

        if (level == NGX_LOG_EMERG) {
            return NGX_CONF_ERROR;
        }

        return ngx_http_trove_secret_room(cf, secrets);
    }

    if (*secret == '\0') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the environment variable \"%V\" for \"%V\" is "
                           "empty, set it where nginx is started",
                           name, &cmd[0]);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_trove_secret_keep_env(cf, name) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_trove_secret_key(cf, secrets, (u_char *) secret,
                                     ngx_strlen(secret));
}


/*
 * A binary upgrade hands over nothing of the environment but what the "env"
 * directive names, so that the new binary would start without its secret.
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


static char *
ngx_http_trove_secret_value(ngx_conf_t *cf, ngx_http_trove_secrets_t *secrets,
    ngx_str_t *value)
{
    ngx_str_t                         *cmd;
    ngx_http_complex_value_t          *cv;
    ngx_http_compile_complex_value_t   ccv;

    cmd = cf->args->elts;

    if (value->len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "empty secret in \"%V\", say \"%V file:PATH\", "
                           "\"%V env:NAME\" or the secret itself",
                           &cmd[0], &cmd[0], &cmd[0]);
        return NGX_CONF_ERROR;
    }

    if (value->data[0] == '/') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the secret in \"%V\" is a path, say \"%V "
                           "file:PATH\"; if it does begin with \"/\", put it "
                           "into a file", &cmd[0], &cmd[0]);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_script_variables_count(value) == 0) {
        return ngx_http_trove_secret_key(cf, secrets, value->data, value->len);
    }

    if (ngx_http_trove_secret_room(cf, secrets) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    cv = ngx_array_push(&secrets->values);
    if (cv == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = value;
    ccv.complex_value = cv;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_trove_secret_key(ngx_conf_t *cf, ngx_http_trove_secrets_t *secrets,
    u_char *secret, size_t len)
{
    ngx_str_t         *cmd;
    ngx_trove_key_t  **key;

    if (ngx_http_trove_secret_room(cf, secrets) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    key = ngx_array_push(&secrets->keys);
    if (key == NULL) {
        return NGX_CONF_ERROR;
    }

    *key = ngx_trove_key_create(secret, len);

    if (*key == NULL) {
        cmd = cf->args->elts;

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "OpenSSL cannot use the secret of \"%V\" "
                           "for HMAC-SHA256", &cmd[0]);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_trove_secret_near_add(cf, secrets, secret, len) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_trove_secret_room(ngx_conf_t *cf, ngx_http_trove_secrets_t *secrets)
{
    ngx_str_t  *cmd;

    if (secrets->keys.nelts + secrets->values.nelts
        < NGX_HTTP_TROVE_SECRETS_MAX)
    {
        return NGX_CONF_OK;
    }

    cmd = cf->args->elts;

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "more than %d secrets by \"%V\", "
                       "remove those that are not in use any more",
                       NGX_HTTP_TROVE_SECRETS_MAX, &cmd[0]);

    return NGX_CONF_ERROR;
}


ngx_int_t
ngx_http_trove_secret_keys(ngx_http_request_t *r,
    ngx_http_trove_secrets_t *secrets, ngx_http_trove_keys_t *keys)
{
    ngx_str_t                  value;
    ngx_uint_t                 i;
    ngx_trove_key_t          **key;
    ngx_http_complex_value_t  *cv;

    keys->nkeys = 0;
    keys->nshared = 0;
    ngx_memzero(keys->digest, NGX_HTTP_TROVE_SECRET_DIGEST);

    if (secrets == NULL) {
        return NGX_OK;
    }

    key = secrets->keys.elts;

    for (i = 0; i < secrets->keys.nelts; i++) {
        keys->keys[keys->nkeys++] = key[i];
    }

    keys->nshared = keys->nkeys;

    cv = secrets->values.elts;

    for (i = 0; i < secrets->values.nelts; i++) {

        if (ngx_http_trove_secret_evaluate(r, &cv[i], &value) != NGX_OK) {
            return NGX_ERROR;
        }

        ngx_http_trove_secret_digest(keys, &value);

        if (value.len == 0) {
            continue;
        }

        keys->keys[keys->nkeys] = ngx_trove_key_create(value.data, value.len);

        if (keys->keys[keys->nkeys] == NULL) {
            ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                          "trove: OpenSSL cannot use a secret that variables "
                          "gave for HMAC-SHA256");
            return NGX_ERROR;
        }

        keys->nkeys++;
    }

    return NGX_OK;
}


/* at the debug level NGINX logs what variables and a "map" come to */

ngx_int_t
ngx_http_trove_secret_evaluate(ngx_http_request_t *r,
    ngx_http_complex_value_t *cv, ngx_str_t *value)
{
    ngx_int_t    rc;
    ngx_log_t   *log;
    ngx_uint_t   level;

    log = r->connection->log;
    level = log->log_level;

    log->log_level = ngx_min(level, NGX_LOG_INFO);

    rc = ngx_http_complex_value(r, cv, value);

    log->log_level = level;

    return rc;
}


/* hashed one by one: where a value ends is a part of the digest */

static void
ngx_http_trove_secret_digest(ngx_http_trove_keys_t *keys, ngx_str_t *value)
{
    u_char  buf[2 * NGX_HTTP_TROVE_SECRET_DIGEST];

    ngx_memcpy(buf, keys->digest, NGX_HTTP_TROVE_SECRET_DIGEST);

    (void) SHA256(value->data, value->len, buf + NGX_HTTP_TROVE_SECRET_DIGEST);
    (void) SHA256(buf, sizeof(buf), keys->digest);

    ngx_explicit_memzero(buf, sizeof(buf));
}


void
ngx_http_trove_secret_free(ngx_http_trove_keys_t *keys)
{
    while (keys->nkeys > keys->nshared) {
        ngx_trove_key_destroy(keys->keys[--keys->nkeys]);
    }
}
