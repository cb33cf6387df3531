
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <grp.h>

#if (NGX_HAVE_PR_SET_DUMPABLE)
#include <sys/prctl.h>
#endif

#include "ngx_trove_path.h"
#include "ngx_trove_sqlite_db.h"


/* O_PATH: closing the descriptor does not release the locks of SQLite */

#if defined(O_PATH) && defined(AT_EMPTY_PATH)
#define NGX_TROVE_SQLITE_LOOK  (O_PATH|O_CLOEXEC)
#define ngx_trove_sqlite_fchown(fd, user)                                     \
    fchownat(fd, "", user, -1, AT_EMPTY_PATH)
#else
#define NGX_TROVE_SQLITE_LOOK  (O_RDONLY|O_CLOEXEC)
#define ngx_trove_sqlite_fchown(fd, user)  fchown(fd, user, -1)
#endif


/* saved privileges of a process */
typedef struct {
    gid_t      gid;
    int        ngroups;
    gid_t     *groups;
    int        dumpable;
} ngx_trove_sqlite_rights_t;


static ngx_int_t ngx_trove_sqlite_prepare_as(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_user_t *user, ngx_trove_spool_error_t *error);
static ngx_uint_t ngx_trove_sqlite_theirs(const char *path);
static ngx_int_t ngx_trove_sqlite_make(const char *path, uid_t user,
    ngx_trove_spool_error_t *error);
static ngx_int_t ngx_trove_sqlite_chown(int dir, const char *name, uid_t user,
    ngx_trove_spool_error_t *error);
static ngx_int_t ngx_trove_sqlite_reject(const char *name, const char *reason,
    ngx_trove_spool_error_t *error);
static ngx_int_t ngx_trove_sqlite_become(ngx_trove_spool_user_t *user,
    ngx_trove_sqlite_rights_t *rights);
static ngx_int_t ngx_trove_sqlite_return(ngx_trove_sqlite_rights_t *rights);
static ngx_int_t ngx_trove_sqlite_lost(ngx_trove_spool_error_t *error);


/*
 * Workers may not be allowed to create files in the directory of the spool.
 * The master creates empty files, and changes their owner to the user of the
 * workers, as NGINX does with its directories for temporary files.  Then it
 * opens the spool once.  SQLite opens files by name, and changes the owner of
 * PATH-wal to that of PATH.  If the user of the workers could substitute
 * another file, the spool is opened with the privileges of that user.
 */

ngx_int_t
ngx_trove_sqlite_prepare(ngx_trove_spool_conf_t *conf,
    ngx_trove_spool_user_t *user, ngx_trove_spool_error_t *error)
{
    ngx_int_t           rc;
    ngx_trove_spool_t  *base;

    ngx_memzero(error, sizeof(ngx_trove_spool_error_t));

    base = ngx_trove_sqlite_create(conf);

    if (base == NULL) {
        (void) ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_MEMORY, 0,
                                    "out of memory");
        return NGX_ABORT;
    }

    ((ngx_trove_sqlite_t *) base)->prepare = 1;

    if (user != NULL && user->uid != 0 && geteuid() == 0) {
        return ngx_trove_sqlite_prepare_as((ngx_trove_sqlite_t *) base, user,
                                           error);
    }

    rc = ngx_trove_sqlite_open(base, error);

    ngx_trove_sqlite_destroy(base);

    return rc;
}


/* also destroys the handle: its files are closed with the same privileges */

static ngx_int_t
ngx_trove_sqlite_prepare_as(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_user_t *user, ngx_trove_spool_error_t *error)
{
    ngx_int_t                   rc;
    ngx_uint_t                  become;
    ngx_trove_sqlite_rights_t   rights;

    /* nothing is created beside another program's file */

    if (ngx_trove_sqlite_identify(spool->path, error) == NGX_ERROR
        || ngx_trove_sqlite_make(spool->path, user->uid, error) != NGX_OK)
    {
        ngx_trove_sqlite_destroy(&spool->base);
        return NGX_ERROR;
    }

    rc = ngx_trove_sqlite_become(user, &rights);

    if (rc != NGX_OK) {

        if (rc == NGX_ABORT) {
            rc = ngx_trove_sqlite_lost(error);

        } else {
            rc = ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_ACCESS, ngx_errno,
                                      "the spool is left to the workers, the "
                                      "master cannot switch to their user");
        }

        ngx_trove_sqlite_destroy(&spool->base);

        return rc;
    }

    become = ngx_trove_sqlite_theirs(spool->path);

    if (!become && ngx_trove_sqlite_return(&rights) != NGX_OK) {
        rc = ngx_trove_sqlite_lost(error);
        ngx_trove_sqlite_destroy(&spool->base);

        return rc;
    }

    rc = ngx_trove_sqlite_open(&spool->base, error);

    ngx_trove_sqlite_destroy(&spool->base);

    if (become && ngx_trove_sqlite_return(&rights) != NGX_OK) {
        return ngx_trove_sqlite_lost(error);
    }

    return rc;
}


/*
 * Checks whether the user of the process may replace the spool or a directory
 * of its path.
 */

static ngx_uint_t
ngx_trove_sqlite_theirs(const char *path)
{
    char        *p, *last, name[NGX_MAX_PATH + 1];
    struct stat  st;

    (void) snprintf(name, sizeof(name), "%s", path);

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
         * The owner can get write permission at any time.  In a sticky
         * directory, no other user can rename files of others.
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
ngx_trove_sqlite_make(const char *path, uid_t user,
    ngx_trove_spool_error_t *error)
{
    int          dir;
    char        *name;
    size_t       len;
    ngx_int_t    rc;
    ngx_uint_t   i;
    const char  *base, *reason;

    static const char  *suffixes[] = { "", "-wal", "-shm", "-lock", NULL };

    dir = ngx_trove_path_dir(path, &base, &reason);

    if (dir == -1) {
        return ngx_trove_sqlite_reject(base, reason, error);
    }

    rc = NGX_ERROR;
    len = strlen(base) + sizeof("-lock");

    name = malloc(len);

    if (name == NULL) {
        (void) ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_MEMORY, 0,
                                    "out of memory");
        goto done;
    }

    for (i = 0; suffixes[i]; i++) {
        (void) snprintf(name, len, "%s%s", base, suffixes[i]);

        if (ngx_trove_sqlite_chown(dir, name, user, error) != NGX_OK) {
            goto done;
        }
    }

    rc = NGX_OK;

done:

    free(name);
    (void) close(dir);

    return rc;
}


/* creates a file owned by the user, or changes the owner of an existing one */

static ngx_int_t
ngx_trove_sqlite_chown(int dir, const char *name, uid_t user,
    ngx_trove_spool_error_t *error)
{
    int           fd;
    ngx_int_t     rc;
    const char   *reason;
    struct stat   st, where;

    fd = ngx_trove_path_open(dir, name, NGX_TROVE_SQLITE_LOOK, 1, &st,
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
        return ngx_trove_sqlite_reject(name, reason, error);
    }

    rc = NGX_OK;

    if (st.st_uid == user) {
        goto done;
    }

    /* the user may have renamed another's file into the directory */

    if (st.st_size != 0
        && (fstat(dir, &where) == -1 || where.st_uid == user
            || (where.st_mode & (S_IWGRP|S_IWOTH))))
    {
        rc = ngx_trove_sqlite_reject(name,
                                     "is not owned by the user of the workers, "
                                     "and other users can write to its "
                                     "directory; chown it", error);
        goto done;
    }

    if (ngx_trove_sqlite_fchown(fd, user) == -1) {
        rc = ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_ACCESS, ngx_errno,
                                  "chown() \"%s\" failed", name);
    }

done:

    (void) close(fd);

    return rc;
}


/* reason is one of those in ngx_trove_path.h */

static ngx_int_t
ngx_trove_sqlite_reject(const char *name, const char *reason,
    ngx_trove_spool_error_t *error)
{
    if (reason) {
        return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_ACCESS, 0,
                                    "\"%s\" %s", name, reason);
    }

    return ngx_trove_spool_fail(error, ngx_trove_spool_kind(ngx_errno),
                                ngx_errno, "\"%s\" cannot be created", name);
}


static ngx_int_t
ngx_trove_sqlite_become(ngx_trove_spool_user_t *user,
    ngx_trove_sqlite_rights_t *rights)
{
    ngx_err_t  err;

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

    if ((user->name != NULL && initgroups(user->name, user->gid) == -1)
        || setegid(user->gid) == -1
        || seteuid(user->uid) == -1)
    {
        err = ngx_errno;

        if (ngx_trove_sqlite_return(rights) != NGX_OK) {
            return NGX_ABORT;
        }

        ngx_set_errno(err);

        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_return(ngx_trove_sqlite_rights_t *rights)
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


static ngx_int_t
ngx_trove_sqlite_lost(ngx_trove_spool_error_t *error)
{
    (void) ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_ACCESS, ngx_errno,
                                "the master cannot restore its privileges");

    return NGX_ABORT;
}
