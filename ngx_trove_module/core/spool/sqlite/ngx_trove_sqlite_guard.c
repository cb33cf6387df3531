
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
 * One more lock, on PATH, tells that an NGINX uses the spool.  The lock
 * on PATH-lock does not, once another program has removed that file.
 *
 * PATH-wal that was removed is still open, and PATH-shm tells its contents.
 * So transactions that are nowhere else are copied to PATH before the
 * connections are closed.
 */

/* the locks of SQLite, which are a part of its documented file format */
#define NGX_TROVE_SQLITE_SHARED_FIRST  0x40000002
#define NGX_TROVE_SQLITE_SHARED_SIZE   510
#define NGX_TROVE_SQLITE_SHM_DMS       128

/* a byte that SQLite does not use: locked by each process that uses a spool */
#define NGX_TROVE_SQLITE_OPENED        0x40000200


static void ngx_trove_sqlite_guard_instance(ngx_trove_sqlite_t *spool);
static int ngx_trove_sqlite_guard_lock(const char *path, off_t first,
    off_t size);
#ifdef F_OFD_SETLK
static void ngx_trove_sqlite_guard_range(int fd, int type, off_t first,
    off_t size);
#endif
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

    ngx_trove_sqlite_guard_instance(spool);

    return NGX_OK;
}


/*
 * This lock is kept while the spool is closed because a file was removed: the
 * process is going to open it again.
 */

static void
ngx_trove_sqlite_guard_instance(ngx_trove_sqlite_t *spool)
{
    struct stat  st, now;

    if (spool->instance != -1) {

        if (fstat(spool->instance, &st) == 0
            && lstat(spool->path, &now) == 0
            && st.st_ino == now.st_ino
            && st.st_dev == now.st_dev)
        {
            return;
        }

        (void) close(spool->instance);
    }

    spool->instance = ngx_trove_sqlite_guard_lock(spool->path,
                                              NGX_TROVE_SQLITE_OPENED, 1);
}


/* where this is not supported, there are only the locks of SQLite */

static int
ngx_trove_sqlite_guard_lock(const char *path, off_t first, off_t size)
{
#ifdef F_OFD_SETLK

    int  fd;

    fd = open(path, O_RDONLY|O_CLOEXEC|O_NOFOLLOW);

    if (fd == -1) {
        return -1;
    }

    /* on failure kept open as well: closing it would release the locks */

    ngx_trove_sqlite_guard_range(fd, F_RDLCK, first, size);

    return fd;

#else

    return -1;

#endif
}


#ifdef F_OFD_SETLK

static void
ngx_trove_sqlite_guard_range(int fd, int type, off_t first, off_t size)
{
    struct flock  fl;

    ngx_memzero(&fl, sizeof(struct flock));

    fl.l_type = type;
    fl.l_whence = SEEK_SET;
    fl.l_start = first;
    fl.l_len = size;

    (void) fcntl(fd, F_OFD_SETLK, &fl);
}

#endif


/* closing the descriptors would also release the locks of SQLite */

void
ngx_trove_sqlite_guard_end(ngx_trove_sqlite_t *spool)
{
#ifdef F_OFD_SETLK

    ngx_uint_t  i;

    if (!spool->guarded) {
        return;
    }

    for (i = 0; i < 2; i++) {
        if (spool->guards[i] != -1) {
            ngx_trove_sqlite_guard_range(spool->guards[i], F_UNLCK, 0, 0);
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


/*
 * Opens and closes the file: the process must not have the spool open.  A
 * program other than NGINX that reads the spool does no harm.
 */

ngx_uint_t
ngx_trove_sqlite_guard_used(int dir, const char *name)
{
#ifdef F_OFD_SETLK

    int           fd;
    ngx_uint_t    used;
    struct flock  fl;

    fd = openat(dir, name, O_RDONLY|O_CLOEXEC|O_NOFOLLOW|O_NONBLOCK);

    if (fd == -1) {
        return 0;
    }

    ngx_memzero(&fl, sizeof(struct flock));

    fl.l_type = F_WRLCK;
    fl.l_whence = SEEK_SET;
    fl.l_start = NGX_TROVE_SQLITE_OPENED;
    fl.l_len = 1;

    used = fcntl(fd, F_OFD_GETLK, &fl) == 0 && fl.l_type != F_UNLCK;

    (void) close(fd);

    return used;

#else

    return 0;

#endif
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
