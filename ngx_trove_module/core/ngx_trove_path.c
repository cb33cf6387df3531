
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <dirent.h>

#include "ngx_trove_path.h"


#ifdef O_PATH
#define NGX_TROVE_PATH_DIR  (O_PATH|O_DIRECTORY|O_CLOEXEC)
#else
#define NGX_TROVE_PATH_DIR  (O_RDONLY|O_DIRECTORY|O_CLOEXEC)
#endif

/* the limit of the system */
#define NGX_TROVE_PATH_LINKS  40


static int ngx_trove_path_follow(int dir, const char *name, char *rest,
    ngx_uint_t *links, const char **reason);


int
ngx_trove_path_dir(const char *path, const char **name, const char **reason)
{
    int         fd, next;
    char       *p, part[NGX_MAX_PATH + 1], rest[NGX_MAX_PATH + 1];
    size_t      len;
    ngx_err_t   err;
    ngx_uint_t  links;

    *reason = NULL;
    *name = strrchr(path, '/');
    *name = (*name == NULL) ? path : *name + 1;

    len = *name - path;

    if (len > NGX_MAX_PATH) {
        ngx_set_errno(NGX_ENAMETOOLONG);
        return -1;
    }

    ngx_memcpy(rest, path, len);
    rest[len] = '\0';

    links = 0;
    fd = open(rest[0] == '/' ? "/" : ".", NGX_TROVE_PATH_DIR);

    while (fd != -1) {
        p = rest + strspn(rest, "/");
        len = strcspn(p, "/");

        if (len == 0) {
            break;
        }

        ngx_memcpy(part, p, len);
        part[len] = '\0';

        ngx_memmove(rest, p + len, strlen(p + len) + 1);

        next = openat(fd, part, NGX_TROVE_PATH_DIR|O_NOFOLLOW);

        if (next == -1) {
            next = ngx_trove_path_follow(fd, part, rest, &links, reason);
        }

        err = ngx_errno;
        (void) close(fd);
        ngx_set_errno(err);

        fd = next;
    }

    return fd;
}


/* replaces a link by its target, put before the rest of the path */

static int
ngx_trove_path_follow(int dir, const char *name, char *rest,
    ngx_uint_t *links, const char **reason)
{
    char         target[NGX_MAX_PATH];
    ssize_t      n;
    ngx_err_t    err;
    struct stat  st;

    err = ngx_errno;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1) {
        return -1;
    }

    if (!S_ISLNK(st.st_mode)) {
        ngx_set_errno(err);
        return -1;
    }

    if (st.st_uid != 0 && st.st_uid != geteuid()) {
        *reason = NGX_TROVE_PATH_OTHERS;
        return -1;
    }

    n = readlinkat(dir, name, target, sizeof(target));

    if (n == -1) {
        return -1;
    }

    if (++*links > NGX_TROVE_PATH_LINKS) {
        ngx_set_errno(NGX_ELOOP);
        return -1;
    }

    if (n + strlen(rest) > NGX_MAX_PATH) {
        ngx_set_errno(NGX_ENAMETOOLONG);
        return -1;
    }

    ngx_memmove(rest + n, rest, strlen(rest) + 1);
    ngx_memcpy(rest, target, n);

    return (target[0] == '/') ? open("/", NGX_TROVE_PATH_DIR)
                              : openat(dir, ".", NGX_TROVE_PATH_DIR);
}


const char *
ngx_trove_path_error(struct stat *st, nlink_t names)
{
    if (S_ISLNK(st->st_mode)) {
        return NGX_TROVE_PATH_LINK;
    }

    if (!S_ISREG(st->st_mode)) {
        return NGX_TROVE_PATH_IRREGULAR;
    }

    return (st->st_nlink > names) ? NGX_TROVE_PATH_HARD : NULL;
}


int
ngx_trove_path_open(int dir, const char *name, int flags, nlink_t names,
    struct stat *st, const char **reason)
{
    int        fd;
    ngx_err_t  err;

    /* checked before opening, because opening a device may have side effects */

    *reason = NULL;

    if (fstatat(dir, name, st, AT_SYMLINK_NOFOLLOW) == -1) {
        return -1;
    }

    *reason = ngx_trove_path_error(st, names);

    if (*reason != NULL) {
        return -1;
    }

    fd = openat(dir, name, flags|O_NOFOLLOW|O_NONBLOCK);

    if (fd == -1) {
        return -1;
    }

    /* checked again after opening, because the file may have been replaced */

    err = (fstat(fd, st) == -1) ? ngx_errno : 0;

    if (err == 0) {
        *reason = ngx_trove_path_error(st, names);
    }

    if (err || *reason != NULL) {
        (void) close(fd);
        ngx_set_errno(err);
        return -1;
    }

    return fd;
}


nlink_t
ngx_trove_path_names(int dir, const char *name, const char *suffix)
{
    int             fd;
    DIR            *list;
    size_t          len;
    nlink_t         n;
    struct stat     st, other;
    struct dirent  *entry;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1
        || st.st_nlink == 1)
    {
        return 0;
    }

    fd = openat(dir, ".", O_RDONLY|O_DIRECTORY|O_CLOEXEC);
    list = (fd == -1) ? NULL : fdopendir(fd);

    if (list == NULL) {

        if (fd != -1) {
            (void) close(fd);
        }

        return 0;
    }

    n = 0;
    len = strlen(name);

    while ((entry = readdir(list)) != NULL) {

        n += strncmp(entry->d_name, name, len) == 0
             && strncmp(entry->d_name + len, suffix, strlen(suffix)) == 0
             && fstatat(dir, entry->d_name, &other, AT_SYMLINK_NOFOLLOW) == 0
             && other.st_ino == st.st_ino
             && other.st_dev == st.st_dev;
    }

    (void) closedir(list);

    return n;
}
