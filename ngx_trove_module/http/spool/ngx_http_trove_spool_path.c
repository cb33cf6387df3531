
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/file.h>

#if (NGX_LINUX)
#include <sys/vfs.h>
#endif

#include "ngx_http_trove_spool_path.h"
#include "ngx_trove_path.h"


/* above what is set here, a descriptor is not looked for */
#define NGX_HTTP_TROVE_SPOOL_FDS  65536


static ngx_int_t ngx_http_trove_spool_path_syntax(ngx_conf_t *cf,
    ngx_str_t *value);
static ngx_int_t ngx_http_trove_spool_path_directory(ngx_conf_t *cf,
    ngx_str_t *value, ngx_str_t *path);
static void ngx_http_trove_spool_path_disk(ngx_conf_t *cf, ngx_str_t *value,
    u_char *directory);
static ngx_fd_t ngx_http_trove_spool_inherited(ngx_fd_t fd);


ngx_int_t
ngx_http_trove_spool_path(ngx_conf_t *cf, ngx_str_t *value, ngx_str_t *path)
{
    ngx_str_t  *cmd;

    if (ngx_http_trove_spool_path_syntax(cf, value) != NGX_OK) {
        return NGX_ERROR;
    }

    *path = *value;

    if (ngx_conf_full_name(cf->cycle, path, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    if (path->data != value->data) {
        cmd = cf->args->elts;

        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"%V\" in \"%V\" is relative and means \"%V\", "
                           "say the whole path", value, &cmd[0], path);
    }

    return ngx_http_trove_spool_path_directory(cf, value, path);
}


static ngx_int_t
ngx_http_trove_spool_path_syntax(ngx_conf_t *cf, ngx_str_t *value)
{
    u_char     *p, *last;
    ngx_str_t  *cmd;

    cmd = cf->args->elts;
    last = value->data + value->len;

    if (ngx_strlchr(value->data, last, '$')) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"%V\" holds a variable, but there is "
                           "one spool for all, name one file",
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
                           "\"%V\" in \"%V\" is no path, say \"%V "
                           "/var/lib/nginx/trove.spool\"",
                           value, &cmd[0], &cmd[0]);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_spool_path_directory(ngx_conf_t *cf, ngx_str_t *value,
    ngx_str_t *path)
{
    size_t            len;
    u_char           *directory;
    ngx_str_t        *cmd;
    ngx_uint_t        missing;
    ngx_file_info_t   fi;

    for (len = path->len; len > 1 && path->data[len - 1] != '/'; len--) {
        /* void */
    }

    directory = ngx_pnalloc(cf->temp_pool, len + 1);
    if (directory == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(directory, path->data, len + 1);

    if (ngx_file_info(directory, &fi) == NGX_FILE_ERROR) {

        /* "nginx -t" may have no right to look there */

        missing = ngx_errno == NGX_ENOENT || ngx_errno == NGX_ENOTDIR;

    } else {
        missing = !ngx_is_dir(&fi);
    }

    if (missing) {
        cmd = cf->args->elts;

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no directory \"%s\" for \"%V\" in \"%V\", make it, "
                           "or mount its disk", directory, value, &cmd[0]);
        return NGX_ERROR;
    }

    ngx_http_trove_spool_path_disk(cf, value, directory);

    return NGX_OK;
}


static void
ngx_http_trove_spool_path_disk(ngx_conf_t *cf, ngx_str_t *value,
    u_char *directory)
{
#if (NGX_LINUX)

    ngx_str_t      *cmd;
    struct statfs   fs;

    if (statfs((char *) directory, &fs) == -1) {
        return;
    }

    cmd = cf->args->elts;

    switch ((uint32_t) fs.f_type) {

    case 0x01021994:                           /* tmpfs */
    case 0x858458f6:                           /* ramfs */
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"%V\" in \"%V\" is in memory, a restart of "
                           "the machine loses all events in it, name a file "
                           "on a disk", value, &cmd[0]);
        break;

    case 0x00006969:                           /* NFS */
    case 0x0000517b:                           /* SMB */
    case 0xff534d42:                           /* CIFS */
    case 0xfe534d42:                           /* SMB2 */
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"%V\" in \"%V\" is on a network file system, "
                           "whose locks do not do, name a file on a local "
                           "disk",
                           value, &cmd[0]);
        break;
    }

#endif
}


/*
 * A lock by flock() belongs to what open() has made, and so to whoever has
 * inherited a descriptor of that by exec(): to an old or new binary.  Workers
 * close theirs.  It is another one than those that the spool takes by
 * fcntl() in the same file, which all processes with the spool open share.
 */

ngx_int_t
ngx_http_trove_spool_own(ngx_conf_t *cf, ngx_str_t *path, ngx_fd_t *fd)
{
    int                       dir;
    u_char                   *name;
    ngx_fd_t                  lock, other;
    ngx_err_t                 err;
    ngx_str_t                *cmd;
    const char               *base, *reason;
    ngx_pool_cleanup_t       *cln;
    ngx_pool_cleanup_file_t  *clnf;

    *fd = NGX_INVALID_FILE;

    if (ngx_test_config || ngx_process == NGX_PROCESS_SIGNALLER) {
        return NGX_OK;
    }

    name = ngx_pnalloc(cf->pool, path->len + sizeof("-lock"));
    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_pool_cleanup_file_t));

    if (name == NULL || cln == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(name, "%V-lock%Z", path);

    lock = NGX_INVALID_FILE;
    dir = ngx_trove_path_dir((char *) name, &base, &reason);

    if (dir != -1) {

        /* without close-on-exec: the next binary is to inherit it */

        lock = openat(dir, base, O_RDWR|O_CREAT|O_NOFOLLOW|O_NONBLOCK, 0600);

        (void) close(dir);
    }

    if (lock == NGX_INVALID_FILE) {

        /* whoever opens the spool is going to say what is wrong */

        return NGX_OK;
    }

    cmd = cf->args->elts;

    if (flock(lock, LOCK_EX|LOCK_NB) == -1) {
        err = ngx_errno;
        other = NGX_INVALID_FILE;

        if (err == EWOULDBLOCK) {
            other = ngx_http_trove_spool_inherited(lock);

            if (other == NGX_INVALID_FILE) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "spool \"%V\" in \"%V\" is in use by "
                                   "another nginx, give each a file of its own",
                                   path, &cmd[0]);
                (void) ngx_close_file(lock);

                return NGX_ERROR;
            }

            /* the running configuration still has it */

            if (!ngx_is_init_cycle(ngx_cycle)) {
                other = dup(other);
                err = ngx_errno;
            }
        }

        (void) ngx_close_file(lock);
        lock = other;

        if (lock == NGX_INVALID_FILE) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, err,
                               "spool \"%V\" in \"%V\" cannot be locked, "
                               "see to it that no other nginx uses it",
                               path, &cmd[0]);
            return NGX_OK;
        }
    }

    cln->handler = ngx_pool_cleanup_file;
    clnf = cln->data;

    clnf->fd = lock;
    clnf->name = name;

    /* cf->cycle->log is that of the cycle before, which is gone by then */

    clnf->log = &cf->cycle->new_log;

    *fd = lock;

    return NGX_OK;
}


/* another descriptor of this process for the same file, or NGX_INVALID_FILE */

static ngx_fd_t
ngx_http_trove_spool_inherited(ngx_fd_t fd)
{
    int              fds;
    ngx_fd_t         n;
    ngx_file_info_t  fi, info;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        return NGX_INVALID_FILE;
    }

    fds = ngx_min(getdtablesize(), NGX_HTTP_TROVE_SPOOL_FDS);

    for (n = 3; n < fds; n++) {

        if (n != fd
            && ngx_fd_info(n, &info) != NGX_FILE_ERROR
            && ngx_file_uniq(&info) == ngx_file_uniq(&fi)
            && info.st_dev == fi.st_dev)
        {
            return n;
        }
    }

    return NGX_INVALID_FILE;
}
