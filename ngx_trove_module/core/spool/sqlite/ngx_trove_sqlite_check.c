
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/file.h>

#if (NGX_LINUX)
#include <sys/vfs.h>
#endif

#include "ngx_trove_path.h"
#include "ngx_trove_sqlite_db.h"


/* if the limit is higher, larger descriptors are not searched */
#define NGX_TROVE_SQLITE_FDS  65536


static ngx_int_t ngx_trove_sqlite_directory(const char *path,
    ngx_trove_spool_error_t *error);
static ngx_int_t ngx_trove_sqlite_disk(const char *path,
    ngx_trove_spool_error_t *error);
static void ngx_trove_sqlite_dirname(const char *path, char *directory);
static ngx_int_t ngx_trove_sqlite_in_use(ngx_trove_spool_error_t *error);
static ngx_fd_t ngx_trove_sqlite_inherited(ngx_fd_t fd);


ngx_int_t
ngx_trove_sqlite_check(ngx_str_t *path, ngx_trove_spool_error_t *error)
{
    char       *name;
    ngx_int_t   rc;

    ngx_memzero(error, sizeof(ngx_trove_spool_error_t));

    name = ngx_trove_sqlite_name(path, "");
    if (name == NULL) {
        return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_MEMORY, 0,
                                    "out of memory");
    }

    rc = ngx_trove_sqlite_directory(name, error);

    if (rc == NGX_OK && ngx_trove_sqlite_identify(name, error) == NGX_ERROR) {
        rc = NGX_ERROR;
    }

    if (rc == NGX_OK) {
        rc = ngx_trove_sqlite_disk(name, error);
    }

    free(name);

    return rc;
}


static ngx_int_t
ngx_trove_sqlite_directory(const char *path, ngx_trove_spool_error_t *error)
{
    char         directory[NGX_MAX_PATH + 1];
    ngx_uint_t   missing;
    struct stat  st;

    ngx_trove_sqlite_dirname(path, directory);

    if (stat(directory, &st) == -1) {

        /* "nginx -t" may lack permission to search the directory */

        missing = ngx_errno == NGX_ENOENT || ngx_errno == NGX_ENOTDIR;

    } else {
        missing = !S_ISDIR(st.st_mode);
    }

    if (missing) {
        return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_ACCESS, 0,
                                    "the directory \"%s\" does not exist, "
                                    "create it or mount its file system",
                                    directory);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_disk(const char *path, ngx_trove_spool_error_t *error)
{
#if (NGX_LINUX)

    char           directory[NGX_MAX_PATH + 1];
    struct statfs  fs;

    ngx_trove_sqlite_dirname(path, directory);

    if (statfs(directory, &fs) == -1) {
        return NGX_OK;
    }

    switch ((uint32_t) fs.f_type) {

    case 0x01021994:                           /* tmpfs */
    case 0x858458f6:                           /* ramfs */
        (void) ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_ACCESS, 0,
                                    "the spool is on a memory file system, a "
                                    "reboot loses all events in it, specify a "
                                    "file on a disk");
        return NGX_DECLINED;

    case 0x00006969:                           /* NFS */
    case 0x0000517b:                           /* SMB */
    case 0xff534d42:                           /* CIFS */
    case 0xfe534d42:                           /* SMB2 */
        (void) ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_ACCESS, 0,
                                    "the spool is on a network file system, "
                                    "locking is unreliable there, specify a "
                                    "file on a local disk");
        return NGX_DECLINED;
    }

#endif

    return NGX_OK;
}


static void
ngx_trove_sqlite_dirname(const char *path, char *directory)
{
    size_t       len;
    const char  *p;

    p = strrchr(path, '/');

    len = (p == NULL) ? 0 : p - path + 1;
    len = ngx_min(len, NGX_MAX_PATH);

    ngx_memcpy(directory, path, len);
    directory[len] = '\0';

    if (len == 0) {
        ngx_memcpy(directory, ".", 2);
    }
}


/*
 * A flock() lock belongs to the open file description, and so to all processes
 * that have inherited it: old and new workers, and the new binary.
 */

ngx_int_t
ngx_trove_sqlite_own(ngx_str_t *path, ngx_uint_t first, ngx_fd_t *fd,
    ngx_trove_spool_error_t *error)
{
    int          dir;
    char        *name, file[NGX_MAX_PATH + 1];
    ngx_fd_t     lock, other;
    ngx_err_t    err;
    ngx_uint_t   used;
    const char  *base, *reason;

    *fd = NGX_INVALID_FILE;
    used = 0;

    name = ngx_trove_sqlite_name(path, "-lock");
    if (name == NULL) {
        return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_MEMORY, 0,
                                    "out of memory");
    }

    lock = NGX_INVALID_FILE;
    dir = ngx_trove_path_dir(name, &base, &reason);

    if (dir != -1) {

        /* PATH-lock of another instance may have been removed */

        if (first) {
            (void) snprintf(file, sizeof(file), "%.*s",
                            (int) (strlen(base) - (sizeof("-lock") - 1)), base);

            used = ngx_trove_sqlite_guard_used(dir, file);
        }

        /*
         * Without close-on-exec: a new binary must inherit it.  The workers of
         * another instance could not open a file that is created here.
         */

        lock = openat(dir, base,
                      O_RDWR|O_NOFOLLOW|O_NONBLOCK|(used ? 0 : O_CREAT), 0600);

        (void) close(dir);
    }

    free(name);

    if (lock == NGX_INVALID_FILE && used) {
        return ngx_trove_sqlite_in_use(error);
    }

    if (lock == NGX_INVALID_FILE) {

        /* the error is reported when the spool is opened */

        return NGX_OK;
    }

    if (flock(lock, LOCK_EX|LOCK_NB) == 0) {

        if (used) {
            (void) close(lock);
            return ngx_trove_sqlite_in_use(error);
        }

        *fd = lock;
        return NGX_OK;
    }

    err = ngx_errno;
    other = NGX_INVALID_FILE;

    if (err == EWOULDBLOCK) {
        other = ngx_trove_sqlite_inherited(lock);

        if (other == NGX_INVALID_FILE) {
            (void) close(lock);

            return ngx_trove_sqlite_in_use(error);
        }

        /* the running configuration still uses it */

        if (!first) {
            other = dup(other);
            err = ngx_errno;
        }
    }

    (void) close(lock);

    if (other == NGX_INVALID_FILE) {
        (void) ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_ACCESS, err,
                                    "the spool cannot be locked, make sure "
                                    "that no other nginx uses it");
        return NGX_DECLINED;
    }

    *fd = other;

    return NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_in_use(ngx_trove_spool_error_t *error)
{
    return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_BUSY, 0,
                                "the spool is in use by another nginx, use a "
                                "separate file for each");
}


/* finds another descriptor of this process for the same file */

static ngx_fd_t
ngx_trove_sqlite_inherited(ngx_fd_t fd)
{
    int          fds;
    ngx_fd_t     n;
    struct stat  st, other;

    if (fstat(fd, &st) == -1) {
        return NGX_INVALID_FILE;
    }

    fds = ngx_min(getdtablesize(), NGX_TROVE_SQLITE_FDS);

    for (n = 3; n < fds; n++) {

        if (n != fd
            && fstat(n, &other) == 0
            && other.st_ino == st.st_ino
            && other.st_dev == st.st_dev)
        {
            return n;
        }
    }

    return NGX_INVALID_FILE;
}
