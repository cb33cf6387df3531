
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/mman.h>

#include "ngx_trove_allocate.h"
#include "ngx_trove_sqlite_db.h"


/* byte-range locks that belong to the descriptor, not to the process */

#ifdef F_OFD_SETLK
#define NGX_TROVE_SQLITE_SETLK    F_OFD_SETLK
#else
#define NGX_TROVE_SQLITE_SETLK    F_SETLK
#endif

#define NGX_TROVE_SQLITE_ATTACHING 0     /* exclusive: to attach */
#define NGX_TROVE_SQLITE_USING    1      /* shared, while it is mapped */

/* milliseconds between two attempts to attach */
#define NGX_TROVE_SQLITE_PAUSE    2


static ngx_int_t ngx_trove_sqlite_lock_open(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_error_t *error);
static ngx_int_t ngx_trove_sqlite_lock_byte(int fd, int type, off_t byte);
static ngx_int_t ngx_trove_sqlite_lock_map(ngx_trove_sqlite_t *spool,
    ngx_uint_t first, ngx_trove_spool_error_t *error);
static ngx_int_t ngx_trove_sqlite_lock_make(ngx_trove_sqlite_t *spool);
static ngx_int_t ngx_trove_sqlite_lock_mutex(pthread_mutex_t *mutex);
static ngx_int_t ngx_trove_sqlite_lock_wait(pthread_mutex_t *mutex,
    int64_t deadline);


/*
 * While attaching, a process holds an exclusive lock on one byte.  All
 * attached processes hold a shared lock on another byte.  So a process that
 * gets an exclusive lock on the latter is the only one: all others have
 * exited, in whatever way, and the contents of the file are void.
 */

ngx_int_t
ngx_trove_sqlite_attach(ngx_trove_sqlite_t *spool, ngx_uint_t *first,
    ngx_trove_spool_error_t *error)
{
    if (ngx_trove_sqlite_lock_open(spool, error) != NGX_OK) {
        return NGX_ERROR;
    }

    *first = (ngx_trove_sqlite_lock_byte(spool->fd, F_WRLCK,
                                         NGX_TROVE_SQLITE_USING)
              == NGX_OK);

    if (!*first
        && ngx_trove_sqlite_lock_byte(spool->fd, F_RDLCK,
                                      NGX_TROVE_SQLITE_USING)
           != NGX_OK)
    {
        /* only possible for a process that uses F_SETLK */

        ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_BUSY, ngx_errno,
                             "the \"-lock\" file is locked by another process");
        goto failed;
    }

    if (ngx_trove_sqlite_lock_map(spool, *first, error) == NGX_OK) {
        return NGX_OK;
    }

failed:

    ngx_trove_sqlite_detach(spool);

    return NGX_ERROR;
}


static ngx_int_t
ngx_trove_sqlite_lock_open(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_error_t *error)
{
    int        fd;
    int64_t    deadline;
    ngx_err_t  err;

    deadline = ngx_trove_sqlite_elapsed() + spool->wait * 1000;

    for ( ;; ) {
        fd = open(spool->path_lock, O_RDWR|O_CREAT|O_CLOEXEC|O_NOFOLLOW, 0600);

        if (fd == -1) {
            err = ngx_errno;

            return ngx_trove_spool_fail(error, ngx_trove_spool_kind(err), err,
                                        "open() of the \"-lock\" file failed");
        }

        spool->fd = fd;

        if (ngx_trove_sqlite_lock_byte(fd, F_WRLCK, NGX_TROVE_SQLITE_ATTACHING)
            == NGX_OK)
        {
            if (!ngx_trove_sqlite_lock_moved(spool)) {
                return NGX_OK;
            }

        } else if (ngx_errno != EAGAIN && ngx_errno != EACCES) {
            ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_IO, ngx_errno,
                                 "fcntl() of the \"-lock\" file failed");
            ngx_trove_sqlite_detach(spool);

            return NGX_ERROR;
        }

        ngx_trove_sqlite_detach(spool);

        if (ngx_trove_sqlite_elapsed() >= deadline) {
            return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_BUSY, 0,
                                        "another process is still opening the "
                                        "spool");
        }

        ngx_msleep(NGX_TROVE_SQLITE_PAUSE);
    }
}


static ngx_int_t
ngx_trove_sqlite_lock_byte(int fd, int type, off_t byte)
{
    struct flock  fl;

    ngx_memzero(&fl, sizeof(struct flock));

    fl.l_type = type;
    fl.l_whence = SEEK_SET;
    fl.l_start = byte;
    fl.l_len = 1;

    return (fcntl(fd, NGX_TROVE_SQLITE_SETLK, &fl) == -1) ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_lock_map(ngx_trove_sqlite_t *spool, ngx_uint_t first,
    ngx_trove_spool_error_t *error)
{
    int                         err;
    void                       *addr;
    size_t                      size;
    struct stat                 st;
    ngx_trove_sqlite_shared_t  *shared;

    size = sizeof(ngx_trove_sqlite_shared_t);

    if (first) {

        /* access to a mapped page without space on disk raises SIGBUS */

        err = ftruncate(spool->fd, 0) == -1 ? ngx_errno
                                            : ngx_trove_allocate(spool->fd, 0,
                                                                 size);

        if (err != 0) {
            return ngx_trove_spool_fail(error, ngx_trove_spool_kind(err), err,
                                        "space for the \"-lock\" file cannot "
                                        "be allocated");
        }

    } else if (fstat(spool->fd, &st) == -1 || (size_t) st.st_size < size) {
        return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_BUSY, 0,
                                    "the spool is in use by another version of "
                                    "the module");
    }

    addr = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_SHARED, spool->fd, 0);

    if (addr == MAP_FAILED) {
        return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_MEMORY, ngx_errno,
                                    "mmap() of the \"-lock\" file failed");
    }

    shared = addr;
    spool->shared = shared;

    if (first) {

        if (ngx_trove_sqlite_lock_make(spool) != NGX_OK) {
            return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_IO, 0,
                                        "the mutex in the \"-lock\" file "
                                        "cannot be created");
        }

        return NGX_OK;
    }

    if (shared->magic != NGX_TROVE_SQLITE_SHARED_MAGIC
        || shared->version != NGX_TROVE_SQLITE_SHARED_VERSION
        || shared->mutex != sizeof(pthread_mutex_t))
    {
        return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_BUSY, 0,
                                    "the spool is in use by another version of "
                                    "the module");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_lock_make(ngx_trove_sqlite_t *spool)
{
    ngx_trove_sqlite_shared_t  *shared;

    shared = spool->shared;

    shared->magic = NGX_TROVE_SQLITE_SHARED_MAGIC;
    shared->version = NGX_TROVE_SQLITE_SHARED_VERSION;
    shared->mutex = sizeof(pthread_mutex_t);

    /* all else is zero: it describes no file, and is filled on first use */

    shared->clock = ngx_trove_sqlite_wall(spool) - ngx_trove_sqlite_mono(spool);

    /* different from those of all earlier files */

    shared->generation = (uint64_t) ngx_trove_sqlite_wall(spool) << 20;

    if (ngx_trove_sqlite_lock_mutex(&shared->turn) != NGX_OK
        || ngx_trove_sqlite_lock_mutex(&shared->write) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_trove_sqlite_lock_mutex(&shared->maintain);
}


static ngx_int_t
ngx_trove_sqlite_lock_mutex(pthread_mutex_t *mutex)
{
    int                  rc;
    pthread_mutexattr_t  attr;

    if (pthread_mutexattr_init(&attr) != 0) {
        return NGX_ERROR;
    }

    rc = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);

    if (rc == 0) {
        rc = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    }

    if (rc == 0) {
        rc = pthread_mutex_init(mutex, &attr);
    }

    (void) pthread_mutexattr_destroy(&attr);

    return (rc == 0) ? NGX_OK : NGX_ERROR;
}


void
ngx_trove_sqlite_attached(ngx_trove_sqlite_t *spool)
{
    ngx_trove_sqlite_generation_set(spool, &spool->shared->generation);

    (void) ngx_trove_sqlite_lock_byte(spool->fd, F_RDLCK,
                                      NGX_TROVE_SQLITE_USING);
    (void) ngx_trove_sqlite_lock_byte(spool->fd, F_UNLCK,
                                      NGX_TROVE_SQLITE_ATTACHING);
}


void
ngx_trove_sqlite_detach(ngx_trove_sqlite_t *spool)
{
    ngx_trove_sqlite_generation_set(spool, NULL);

    if (spool->shared != NULL) {
        (void) munmap(spool->shared, sizeof(ngx_trove_sqlite_shared_t));
        spool->shared = NULL;
    }

    if (spool->fd != -1) {
        (void) close(spool->fd);
        spool->fd = -1;
    }
}


ngx_uint_t
ngx_trove_sqlite_lock_alone(ngx_trove_sqlite_t *spool)
{
    int64_t  deadline;

    deadline = ngx_trove_sqlite_elapsed() + spool->wait * 1000;

    while (ngx_trove_sqlite_lock_byte(spool->fd, F_WRLCK,
                                      NGX_TROVE_SQLITE_ATTACHING)
           != NGX_OK)
    {
        if (ngx_trove_sqlite_elapsed() >= deadline) {
            return 0;
        }

        ngx_msleep(NGX_TROVE_SQLITE_PAUSE);
    }

    return ngx_trove_sqlite_lock_byte(spool->fd, F_WRLCK,
                                      NGX_TROVE_SQLITE_USING)
           == NGX_OK;
}


ngx_uint_t
ngx_trove_sqlite_lock_moved(ngx_trove_sqlite_t *spool)
{
    struct stat  st, now;

    return fstat(spool->fd, &st) == -1
           || lstat(spool->path_lock, &now) == -1
           || st.st_ino != now.st_ino
           || st.st_dev != now.st_dev;
}


/*
 * A process waiting for write holds turn meanwhile.  With write alone, a
 * process that releases and locks it again gets it before the woken waiter is
 * scheduled: on a busy machine repeatedly, for minutes.
 *
 * PTHREAD_PRIO_INHERIT would hand write over directly.  But the kernel then
 * looks up the owner by its thread id, which denotes another thread in a
 * different container.
 */

ngx_int_t
ngx_trove_sqlite_lock(ngx_trove_sqlite_t *spool, int64_t deadline)
{
    ngx_int_t                   rc;
    ngx_trove_sqlite_shared_t  *shared;

    shared = spool->shared;

    rc = ngx_trove_sqlite_lock_wait(&shared->turn, deadline);

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_trove_sqlite_lock_wait(&shared->write, deadline);

    (void) pthread_mutex_unlock(&shared->turn);

    return rc;
}


void
ngx_trove_sqlite_unlock(ngx_trove_sqlite_t *spool)
{
    (void) pthread_mutex_unlock(&spool->shared->write);
}


/*
 * The deadline is in wall clock time, because POSIX has no other.  A step of
 * the clock may shift it once, and only matters if a process hangs holding the
 * mutex.
 */

static ngx_int_t
ngx_trove_sqlite_lock_wait(pthread_mutex_t *mutex, int64_t deadline)
{
    int              rc;
    int64_t          left;
    struct timespec  ts;

    rc = pthread_mutex_trylock(mutex);

    while (rc == EBUSY || rc == ETIMEDOUT) {

        left = deadline - ngx_trove_sqlite_elapsed();

        if (left <= 0) {
            return NGX_BUSY;
        }

        (void) clock_gettime(CLOCK_REALTIME, &ts);

        ts.tv_sec += left / 1000000;
        ts.tv_nsec += left % 1000000 * 1000;

        if (ts.tv_nsec >= 1000000000) {
            ts.tv_sec++;
            ts.tv_nsec -= 1000000000;
        }

        rc = pthread_mutex_timedlock(mutex, &ts);
    }

    if (rc == EOWNERDEAD) {

        /* its transaction is void; see ngx_trove_sqlite_key_sync() */

        rc = pthread_mutex_consistent(mutex);
    }

    return (rc == 0) ? NGX_OK : NGX_ERROR;
}


int64_t
ngx_trove_sqlite_elapsed(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


int64_t
ngx_trove_sqlite_wall(ngx_trove_sqlite_t *spool)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000
           + spool->skew_wall;
}


int64_t
ngx_trove_sqlite_mono(ngx_trove_sqlite_t *spool)
{
    return ngx_trove_sqlite_elapsed() / 1000 + spool->skew_mono;
}


int64_t
ngx_trove_sqlite_now(ngx_trove_sqlite_t *spool)
{
    return ngx_trove_sqlite_mono(spool) + spool->shared->clock;
}


void
ngx_trove_sqlite_generation_set(ngx_trove_sqlite_t *spool,
    uint64_t *generation)
{
    (void) pthread_mutex_lock(&spool->generation_mutex);

    spool->generation = generation;

    (void) pthread_mutex_unlock(&spool->generation_mutex);
}
