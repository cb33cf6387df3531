
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_db.h"


/*
 * Protection against other programs, and against other parts of the process,
 * which remove files of the spool or close them.
 *
 * A process that closes any descriptor of a file loses all its POSIX locks on
 * it: with them, SQLite would believe that nobody uses the database, and the
 * next program that closes it would remove PATH-wal.  This happens in a worker
 * that serves the file by the directive "alias".  So the locks that SQLite
 * holds all the time are held a second time, as locks of an open file
 * description, which are not affected.
 *
 * PATH-wal that was removed is still open, and PATH-shm tells its contents.
 * So transactions that are nowhere else are copied to PATH before the
 * connections are closed.
 */

/* the locks of SQLite, which are a part of its documented file format */
#define NGX_TROVE_SQLITE_SHARED_FIRST  0x40000002
#define NGX_TROVE_SQLITE_SHARED_SIZE   510
#define NGX_TROVE_SQLITE_SHM_DMS       128


static int ngx_trove_sqlite_guard_lock(const char *path, off_t first,
    off_t size);
static ngx_int_t ngx_trove_sqlite_guard_inode(const char *path,
    ngx_trove_sqlite_inode_t *inode);


ngx_int_t
ngx_trove_sqlite_guard(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_shared_t  *shared;

    if (ngx_trove_sqlite_guard_inode(spool->path_wal, &spool->wal) != NGX_OK
        || ngx_trove_sqlite_guard_inode(spool->path_shm, &spool->shm)
           != NGX_OK)
    {
        return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_GONE, ngx_errno,
                                    "the \"-wal\" or \"-shm\" file was removed "
                                    "while it was opened");
    }

    shared = spool->shared;

    if (shared->saved_ino == (uint64_t) spool->wal.ino) {

        /* a new file has got the number of an old one */

        shared->saved_ino = 0;
    }

    spool->guards[0] = ngx_trove_sqlite_guard_lock(spool->path,
                                           NGX_TROVE_SQLITE_SHARED_FIRST,
                                           NGX_TROVE_SQLITE_SHARED_SIZE);
    spool->guards[1] = ngx_trove_sqlite_guard_lock(spool->path_shm,
                                           NGX_TROVE_SQLITE_SHM_DMS, 1);

    spool->guarded = 1;

    return NGX_OK;
}


/* where this is not supported, there are only the locks of SQLite */

static int
ngx_trove_sqlite_guard_lock(const char *path, off_t first, off_t size)
{
#ifdef F_OFD_SETLK

    int           fd;
    struct flock  fl;

    fd = open(path, O_RDONLY|O_CLOEXEC|O_NOFOLLOW);

    if (fd == -1) {
        return -1;
    }

    ngx_memzero(&fl, sizeof(struct flock));

    fl.l_type = F_RDLCK;
    fl.l_whence = SEEK_SET;
    fl.l_start = first;
    fl.l_len = size;

    /* on failure kept open as well: closing it would release the locks */

    (void) fcntl(fd, F_OFD_SETLK, &fl);

    return fd;

#else

    return -1;

#endif
}


/* closing the descriptors would also release the locks of SQLite */

void
ngx_trove_sqlite_guard_end(ngx_trove_sqlite_t *spool)
{
#ifdef F_OFD_SETLK

    ngx_uint_t    i;
    struct flock  fl;

    if (!spool->guarded) {
        return;
    }

    ngx_memzero(&fl, sizeof(struct flock));

    fl.l_type = F_UNLCK;
    fl.l_whence = SEEK_SET;

    for (i = 0; i < 2; i++) {
        if (spool->guards[i] != -1) {
            (void) fcntl(spool->guards[i], F_OFD_SETLK, &fl);
        }
    }

#endif
}


void
ngx_trove_sqlite_unguard(ngx_trove_sqlite_t *spool)
{
    ngx_uint_t  i;

    if (!spool->guarded) {
        return;
    }

    for (i = 0; i < 2; i++) {
        if (spool->guards[i] != -1) {
            (void) close(spool->guards[i]);
        }
    }

    spool->guarded = 0;
}


void
ngx_trove_sqlite_guard_sync(ngx_trove_sqlite_t *spool)
{
    /* an error is reported to each descriptor: that of SQLite gets it, too */

    if (spool->guarded && spool->guards[0] != -1) {
        (void) fdatasync(spool->guards[0]);
    }
}


static ngx_int_t
ngx_trove_sqlite_guard_inode(const char *path, ngx_trove_sqlite_inode_t *inode)
{
    struct stat  st;

    if (lstat(path, &st) == -1) {
        return NGX_ERROR;
    }

    inode->dev = st.st_dev;
    inode->ino = st.st_ino;

    return NGX_OK;
}


ngx_uint_t
ngx_trove_sqlite_guard_moved(const char *path, ngx_trove_sqlite_inode_t *inode)
{
    struct stat  st;

    return lstat(path, &st) == -1
           || st.st_ino != inode->ino
           || st.st_dev != inode->dev;
}


ngx_int_t
ngx_trove_sqlite_moved(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db)
{
    int          moved;
    const char  *name;

    moved = 0;

    (void) sqlite3_file_control(db->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);

    if (moved) {
        return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_GONE, 0,
                                    "the spool file was removed or replaced "
                                    "while in use");
    }

    if (ngx_trove_sqlite_lock_moved(spool)) {
        name = "-lock";

    } else if (!spool->guarded) {

        /* it is being opened */

        return NGX_OK;

    } else if (ngx_trove_sqlite_guard_moved(spool->path_wal, &spool->wal)) {
        name = "-wal";

    } else if (ngx_trove_sqlite_guard_moved(spool->path_shm, &spool->shm)) {
        name = "-shm";

    } else {
        return NGX_OK;
    }

    return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_GONE, 0,
                                "the \"%s\" file was removed or replaced while "
                                "in use", name);
}
