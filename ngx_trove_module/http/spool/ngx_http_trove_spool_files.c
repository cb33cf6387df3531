
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <grp.h>

#if (NGX_HAVE_PR_SET_DUMPABLE)
#include <sys/prctl.h>
#endif

#include "ngx_http_trove_spool.h"
#include "ngx_trove_path.h"


/* to look at a file, and to close it, without a lock of SQLite being lost */

#if defined(O_PATH) && defined(AT_EMPTY_PATH)
#define NGX_HTTP_TROVE_SPOOL_LOOK  (O_PATH|O_CLOEXEC)
#define ngx_http_trove_spool_chown(fd, user)                                  \
    fchownat(fd, "", user, -1, AT_EMPTY_PATH)
#else
#define NGX_HTTP_TROVE_SPOOL_LOOK  (O_RDONLY|O_CLOEXEC)
#define ngx_http_trove_spool_chown(fd, user)  fchown(fd, user, -1)
#endif


/* the rights of a process, to be had again */
typedef struct {
    gid_t      gid;
    int        ngroups;
    gid_t     *groups;
    int        dumpable;
} ngx_http_trove_spool_rights_t;


static ngx_uint_t ngx_http_trove_spool_theirs(ngx_str_t *path);
static ngx_int_t ngx_http_trove_spool_make(ngx_cycle_t *cycle,
    ngx_str_t *path, ngx_core_conf_t *ccf);
static ngx_int_t ngx_http_trove_spool_give(ngx_cycle_t *cycle, int dir,
    const char *name, ngx_str_t *path, const char *suffix, ngx_uid_t user);
static void ngx_http_trove_spool_refused(ngx_cycle_t *cycle, ngx_str_t *path,
    const char *suffix, const char *reason);
static ngx_int_t ngx_http_trove_spool_become(ngx_core_conf_t *ccf,
    ngx_http_trove_spool_rights_t *rights);
static ngx_int_t ngx_http_trove_spool_return(
    ngx_http_trove_spool_rights_t *rights);


/*
 * Workers may not be allowed to make files where the spool is to be: the master
 * makes them, empty, and gives them to the user of the workers, as NGINX does
 * with its directories for temporary files.  Then it opens the spool once.
 * SQLite does that by names, and gives PATH-wal to the owner of PATH: where the
 * user of the workers could put something else there, it is done by the rights
 * of that user.
 */

ngx_int_t
ngx_http_trove_spool_prepare(ngx_cycle_t *cycle, ngx_trove_spool_conf_t *conf,
    ngx_http_trove_place_t *place)
{
    ngx_uint_t                      root;
    ngx_core_conf_t                *ccf;
    ngx_trove_spool_t              *spool;
    ngx_trove_spool_error_t         error;
    ngx_http_trove_spool_rights_t   rights;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    root = (geteuid() == 0 && ccf->user != (ngx_uid_t) NGX_CONF_UNSET_UINT
            && ccf->user != 0);

    spool = ngx_trove_spool_create(conf);
    if (spool == NULL) {
        return NGX_ERROR;
    }

    if (root) {

        /* nothing is made beside the file of another program */

        if (ngx_trove_spool_check(&conf->uri, &error) != NGX_OK) {
            ngx_log_error(NGX_LOG_ERR, cycle->log, error.err,
                          "trove: spool \"%V\" cannot be opened: %s, "
                          "in %s:%ui", &conf->uri, error.text, place->file,
                          place->line);
            goto done;
        }

        if (ngx_http_trove_spool_make(cycle, &conf->uri, ccf) != NGX_OK) {
            goto done;
        }

        if (ngx_http_trove_spool_become(ccf, &rights) != NGX_OK) {
            ngx_log_error(NGX_LOG_ERR, cycle->log, ngx_errno,
                          "trove: spool \"%V\" is left to the workers, the "
                          "master cannot act for their user", &conf->uri);
            goto done;
        }

        if (!ngx_http_trove_spool_theirs(&conf->uri)) {
            root = 0;

            if (ngx_http_trove_spool_return(&rights) != NGX_OK) {
                goto lost;
            }
        }
    }

    if (ngx_trove_spool_open(spool, &error) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, cycle->log, error.err,
                      "trove: spool \"%V\" cannot be opened: %s, in %s:%ui",
                      &conf->uri, error.text, place->file, place->line);
    }

    ngx_trove_spool_destroy(spool);

    spool = NULL;

    if (root && ngx_http_trove_spool_return(&rights) != NGX_OK) {
        goto lost;
    }

done:

    ngx_trove_spool_destroy(spool);

    return NGX_OK;

lost:

    ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                  "trove: the master cannot get its rights back");

    ngx_trove_spool_destroy(spool);

    return NGX_ERROR;
}


/*
 * Whether the user of the process may put something else where the spool is, or
 * where a directory on the way to it is.
 */

static ngx_uint_t
ngx_http_trove_spool_theirs(ngx_str_t *path)
{
    char        *p, *last, name[NGX_MAX_PATH + 1];
    struct stat  st;

    (void) ngx_cpystrn((u_char *) name, path->data, sizeof(name));

    last = strrchr(name, '/');

    if (last == NULL) {
        return 1;
    }

    for (p = name + 1; p <= last; p++) {

        if (*p != '/') {
            continue;
        }

        *p = '\0';

        /*
         * The owner can have the right to write at any moment.  In one that is
         * sticky, nobody else can rename what is another's.
         */

        if (stat(name, &st) == -1
            || st.st_uid == geteuid()
            || (faccessat(AT_FDCWD, name, W_OK, AT_EACCESS) == 0
                && (p == last || !(st.st_mode & S_ISVTX))))
        {
            return 1;
        }

        *p = '/';
    }

    return 0;
}


static ngx_int_t
ngx_http_trove_spool_make(ngx_cycle_t *cycle, ngx_str_t *path,
    ngx_core_conf_t *ccf)
{
    int          dir;
    char        *name;
    size_t       len;
    ngx_int_t    rc;
    ngx_uint_t   i;
    const char  *base, *reason;

    static const char  *suffixes[] = { "", "-wal", "-shm", "-lock", NULL };

    dir = ngx_trove_path_dir((char *) path->data, &base, &reason);

    if (dir == -1) {

        ngx_http_trove_spool_refused(cycle, path, "", reason);
        return NGX_ERROR;
    }

    rc = NGX_ERROR;
    len = strlen(base) + sizeof("-lock");

    name = ngx_alloc(len, cycle->log);
    if (name == NULL) {
        goto done;
    }

    for (i = 0; suffixes[i]; i++) {
        (void) ngx_snprintf((u_char *) name, len, "%s%s%Z", base, suffixes[i]);

        if (ngx_http_trove_spool_give(cycle, dir, name, path, suffixes[i],
                                      ccf->user)
            != NGX_OK)
        {
            goto done;
        }
    }

    rc = NGX_OK;

done:

    ngx_free(name);
    (void) close(dir);

    return rc;
}


static ngx_int_t
ngx_http_trove_spool_give(ngx_cycle_t *cycle, int dir, const char *name,
    ngx_str_t *path, const char *suffix, ngx_uid_t user)
{
    int           fd;
    ngx_int_t     rc;
    const char   *reason;
    struct stat   st, where;

    fd = ngx_trove_path_open(dir, name, NGX_HTTP_TROVE_SPOOL_LOOK, 1, &st,
                             &reason);

    if (fd == -1 && reason == NULL && ngx_errno == NGX_ENOENT) {
        fd = openat(dir, name,
                    O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600);

        if (fd != -1 && fstat(fd, &st) == -1) {
            (void) close(fd);
            fd = -1;
        }
    }

    if (fd == -1) {

        ngx_http_trove_spool_refused(cycle, path, suffix, reason);
        return NGX_ERROR;
    }

    rc = NGX_OK;

    if (st.st_uid == user) {
        goto done;
    }

    /* who can rename what is in a directory is not given another's file so */

    if (st.st_size != 0
        && (fstat(dir, &where) == -1 || where.st_uid == user
            || (where.st_mode & (S_IWGRP|S_IWOTH))))
    {
        ngx_http_trove_spool_refused(cycle, path, suffix,
                                     "belongs to another user than the "
                                     "workers, in a directory that others may "
                                     "write; chown it");
        rc = NGX_ERROR;
        goto done;
    }

    if (ngx_http_trove_spool_chown(fd, user) == -1) {
        ngx_log_error(NGX_LOG_ERR, cycle->log, ngx_errno,
                      "trove: chown() \"%V%s\" of the spool failed", path,
                      suffix);
        rc = NGX_ERROR;
    }

done:

    (void) close(fd);

    return rc;
}


/* reason is as ngx_trove_path.h says */

static void
ngx_http_trove_spool_refused(ngx_cycle_t *cycle, ngx_str_t *path,
    const char *suffix, const char *reason)
{
    if (reason) {
        ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                      "trove: file of the spool refused: \"%V%s\" %s",
                      path, suffix, reason);
        return;
    }

    ngx_log_error(NGX_LOG_ERR, cycle->log, ngx_errno,
                  "trove: file of the spool cannot be made: \"%V%s\"",
                  path, suffix);
}


static ngx_int_t
ngx_http_trove_spool_become(ngx_core_conf_t *ccf,
    ngx_http_trove_spool_rights_t *rights)
{
    rights->gid = getegid();
    rights->dumpable = 0;
    rights->groups = NULL;

#if (NGX_HAVE_PR_SET_DUMPABLE)
    rights->dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
#endif

    rights->ngroups = getgroups(0, NULL);

    if (rights->ngroups == -1) {
        return NGX_ERROR;
    }

    rights->groups = malloc((rights->ngroups + 1) * sizeof(gid_t));

    if (rights->groups == NULL) {
        return NGX_ERROR;
    }

    rights->ngroups = getgroups(rights->ngroups, rights->groups);

    if (rights->ngroups == -1) {
        free(rights->groups);
        return NGX_ERROR;
    }

    if ((ccf->username != NULL && initgroups(ccf->username, ccf->group) == -1)
        || setegid(ccf->group) == -1
        || seteuid(ccf->user) == -1)
    {
        (void) ngx_http_trove_spool_return(rights);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_spool_return(ngx_http_trove_spool_rights_t *rights)
{
    ngx_int_t  rc;

    rc = NGX_OK;

    if (seteuid(0) == -1 || setegid(rights->gid) == -1
        || setgroups(rights->ngroups, rights->groups) == -1)
    {
        rc = NGX_ERROR;
    }

#if (NGX_HAVE_PR_SET_DUMPABLE)
    if (rights->dumpable == 1) {
        (void) prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    }
#endif

    free(rights->groups);

    return rc;
}
