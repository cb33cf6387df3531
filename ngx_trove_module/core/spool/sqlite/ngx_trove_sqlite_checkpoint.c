
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_db.h"


/*
 * Checkpoints: pages are copied from PATH-wal to PATH, so that PATH-wal can be
 * restarted, that is, written from its beginning again.
 *
 * In SQLite before 3.51.3, a checkpoint that begins when all of PATH-wal has
 * been copied may not notice that a commit restarts PATH-wal at this moment
 * (the "WAL reset" bug).  It then marks pages of later transactions as copied,
 * and they are lost.  So no checkpoint may run while a commit could restart
 * PATH-wal.  Both kinds of checkpoints below exclude this with any version:
 *
 *   - Most pages are copied while others write, but within a read transaction
 *     of another connection.  If this transaction reads PATH-wal, the lock of
 *     SQLite that it holds prevents a restart.  If it reads only PATH, because
 *     everything has been copied, its lock prevents the checkpoint from doing
 *     anything.
 *   - The rest is copied with the right to write, both that of
 *     ngx_trove_sqlite_lock() and that of SQLite, without which nobody can
 *     restart PATH-wal.
 *
 * SQLite must not checkpoint on its own: neither after a commit, which
 * sqlite3_wal_hook() prevents, nor when a connection is closed, except if it
 * is the last one of all processes.  See ngx_trove_sqlite_destroy().
 *
 * A restart also requires that no reader uses PATH-wal.  With many readers,
 * this would never happen by chance.  So the second kind waits for them, while
 * new readers no longer need PATH-wal.  A reader that takes too long delays
 * writers; so the longer PATH-wal is, the longer is the wait, up to a limit,
 * and after a failure there is no other attempt for a multiple of that time.
 */

/* pages that may be left to a checkpoint that blocks writers, and attempts */
#define NGX_TROVE_SQLITE_WAL_LEFT     200
#define NGX_TROVE_SQLITE_WAL_TRIES    4

/* multiple of the usual size, from which it may block writers for longer */
#define NGX_TROVE_SQLITE_WAL_LONG     2

/* pause between attempts, milliseconds */
#define NGX_TROVE_SQLITE_WAL_PAUSE    2

/* wait for readers, milliseconds: for each WAL_PAGES, and at most */
#define NGX_TROVE_SQLITE_WAL_WAIT     20
#define NGX_TROVE_SQLITE_WAL_WAIT_MAX 250

/* pause after a failure, as a multiple of the time that writers were blocked */
#define NGX_TROVE_SQLITE_WAL_REST     20

/* milliseconds between attempts to save PATH-wal */
#define NGX_TROVE_SQLITE_SAVE_PAUSE  5


static ngx_int_t ngx_trove_sqlite_checkpoint_most(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_uint_t *left);
static ngx_int_t ngx_trove_sqlite_checkpoint_begin(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_error_t *error);
static void ngx_trove_sqlite_checkpoint_end(ngx_trove_sqlite_t *spool);
static ngx_int_t ngx_trove_sqlite_checkpoint_rest(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_uint_t pages);
static ngx_int_t ngx_trove_sqlite_save_shared(ngx_trove_sqlite_t *spool,
    int64_t deadline);
static ngx_int_t ngx_trove_sqlite_save_pages(ngx_trove_sqlite_t *spool,
    int64_t deadline);
static ngx_int_t ngx_trove_sqlite_checkpoint_all(ngx_trove_sqlite_db_t *db);
static ngx_int_t ngx_trove_sqlite_checkpoint_do(ngx_trove_sqlite_db_t *db,
    int mode, ngx_uint_t *left);


ngx_uint_t
ngx_trove_sqlite_checkpoint_due(ngx_trove_sqlite_t *spool)
{
    uint32_t                    pages;
    ngx_trove_sqlite_shared_t  *shared;

    shared = spool->shared;
    pages = __atomic_load_n(&shared->wal_pages, __ATOMIC_RELAXED);

    return pages >= spool->wal_pages
           && ngx_trove_sqlite_elapsed()
              >= __atomic_load_n(&shared->checkpoint, __ATOMIC_RELAXED);
}


ngx_int_t
ngx_trove_sqlite_checkpoint(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db)
{
    ngx_int_t   rc;
    ngx_uint_t  i, left, pages;

    if (!ngx_trove_sqlite_checkpoint_due(spool)) {
        return NGX_OK;
    }

    for (i = 0; /* void */ ; i++) {

        if (ngx_trove_sqlite_moved(spool, db) != NGX_OK) {
            return NGX_ERROR;
        }

        rc = ngx_trove_sqlite_checkpoint_most(spool, db, &left);

        if (rc != NGX_OK) {
            return rc;
        }

        if (left <= NGX_TROVE_SQLITE_WAL_LEFT
            || i == NGX_TROVE_SQLITE_WAL_TRIES)
        {
            break;
        }

        /* readers may finish, and writers may become slower */

        ngx_msleep(NGX_TROVE_SQLITE_WAL_PAUSE);
    }

    pages = __atomic_load_n(&spool->shared->wal_pages, __ATOMIC_RELAXED);

    if (left > NGX_TROVE_SQLITE_WAL_LEFT
        && pages < NGX_TROVE_SQLITE_WAL_LONG * spool->wal_pages)
    {
        return NGX_OK;
    }

    /* SQLite only does this when all has been copied, which is below */

    ngx_trove_sqlite_guard_sync(spool);

    return ngx_trove_sqlite_checkpoint_rest(spool, db, pages);
}


static ngx_int_t
ngx_trove_sqlite_checkpoint_most(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_uint_t *left)
{
    ngx_int_t  rc;

    if (ngx_trove_sqlite_checkpoint_begin(spool, db->error) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_trove_sqlite_checkpoint_do(db, SQLITE_CHECKPOINT_PASSIVE, left);

    ngx_trove_sqlite_checkpoint_end(spool);

    return rc;
}


static ngx_int_t
ngx_trove_sqlite_checkpoint_begin(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_error_t *error)
{
    int64_t                 identity;
    sqlite3_stmt           *stmt;
    ngx_trove_sqlite_db_t  *db;

    db = &spool->snapshot;
    db->error = error;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_SNAPSHOT);

    if (stmt == NULL || ngx_trove_sqlite_run(db, stmt) != NGX_OK) {
        return NGX_ERROR;
    }

    /* the transaction begins when something is read */

    identity = ngx_trove_sqlite_get(db, NGX_TROVE_SQLITE_SQL_IDENTITY);

    if (identity == -1 && error->kind != 0) {
        ngx_trove_sqlite_checkpoint_end(spool);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_trove_sqlite_checkpoint_end(ngx_trove_sqlite_t *spool)
{
    sqlite3_stmt             *stmt;
    ngx_trove_sqlite_db_t    *db;
    ngx_trove_spool_error_t   ignored;

    db = &spool->snapshot;
    db->error = &ignored;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_ROLLBACK);

    if (stmt != NULL) {
        (void) ngx_trove_sqlite_run(db, stmt);
    }

    db->error = NULL;
}


static ngx_int_t
ngx_trove_sqlite_checkpoint_rest(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_uint_t pages)
{
    int64_t     start, now;
    ngx_int_t   rc;
    ngx_uint_t  left, wait;

    wait = NGX_TROVE_SQLITE_WAL_WAIT
           * ngx_max(pages / NGX_TROVE_SQLITE_WAL_PAGES, 1);
    wait = ngx_min(wait, NGX_TROVE_SQLITE_WAL_WAIT_MAX);

    start = ngx_trove_sqlite_elapsed();

    rc = ngx_trove_sqlite_lock(spool, start + spool->wait * 1000);

    if (rc != NGX_OK) {

        /* busy: the next call tries again */

        return NGX_OK;
    }

    start = ngx_trove_sqlite_elapsed();

    rc = ngx_trove_sqlite_moved(spool, db);

    if (rc == NGX_OK) {
        (void) sqlite3_busy_timeout(db->db, (int) wait);

        rc = ngx_trove_sqlite_checkpoint_do(db, SQLITE_CHECKPOINT_RESTART,
                                            &left);
    }

    if (rc == NGX_OK) {
        __atomic_store_n(&spool->shared->wal_pages, 0, __ATOMIC_RELAXED);
    }

    ngx_trove_sqlite_unlock(spool);

    if (rc == NGX_AGAIN) {
        now = ngx_trove_sqlite_elapsed();

        __atomic_store_n(&spool->shared->checkpoint,
                         now + NGX_TROVE_SQLITE_WAL_REST * (now - start),
                         __ATOMIC_RELAXED);

        return NGX_OK;
    }

    return rc;
}


/*
 * Copies all of PATH-wal, which is not there any more, outside of a
 * transaction.  The caller must hold the right to write.  It also waits for
 * readers that use PATH-wal: while there is one, the next commit would be
 * appended to the new file, as if this had the header and the pages of the
 * removed one, and SQLite would ignore the new file at the next start.
 * NGX_AGAIN: others prevent it.
 */

static ngx_int_t
ngx_trove_sqlite_checkpoint_all(ngx_trove_sqlite_db_t *db)
{
    ngx_uint_t  left;

    (void) sqlite3_busy_timeout(db->db, NGX_TROVE_SQLITE_WAL_WAIT);

    return ngx_trove_sqlite_checkpoint_do(db, SQLITE_CHECKPOINT_TRUNCATE,
                                          &left);
}


/*
 * Sets *left to the number of pages that were not copied.  NGX_AGAIN: others
 * prevent a restart.
 */

static ngx_int_t
ngx_trove_sqlite_checkpoint_do(ngx_trove_sqlite_db_t *db, int mode,
    ngx_uint_t *left)
{
    int  rc, frames, done;

    frames = 0;
    done = 0;

    ngx_set_errno(0);

    rc = sqlite3_wal_checkpoint_v2(db->db, NULL, mode, &frames, &done);

    *left = ngx_max(frames - done, 0);

    if ((rc & 0xff) == SQLITE_BUSY) {
        return (mode == SQLITE_CHECKPOINT_PASSIVE) ? NGX_OK : NGX_AGAIN;
    }

    if (rc != SQLITE_OK) {
        return ngx_trove_sqlite_db_fail(db, rc,
                                        "checkpointing the \"-wal\" file");
    }

    return NGX_OK;
}


ngx_int_t
ngx_trove_sqlite_save(ngx_trove_sqlite_t *spool, ngx_trove_spool_error_t *error)
{
    int         moved;
    int64_t     deadline;
    ngx_int_t   rc;
    ngx_uint_t  wal;

    if (!spool->guarded) {
        return NGX_OK;
    }

    moved = 0;

    (void) sqlite3_file_control(spool->writer.db, "main",
                                SQLITE_FCNTL_HAS_MOVED, &moved);

    wal = ngx_trove_sqlite_guard_moved(spool->path_wal, &spool->wal);

    if (moved
        || (!wal
            && !ngx_trove_sqlite_guard_moved(spool->path_shm, &spool->shm)))
    {
        return NGX_OK;
    }

    rc = NGX_OK;

    if (wal) {
        deadline = ngx_trove_sqlite_elapsed() + spool->wait * 1000;

        if (ngx_trove_sqlite_lock(spool, deadline) != NGX_OK) {
            return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_BUSY, 0,
                                        "the spool has been locked by other "
                                        "nginx processes for %lld ms",
                                        (long long) spool->wait);
        }

        spool->writer.error = error;
        rc = ngx_trove_sqlite_save_shared(spool, deadline);
        spool->writer.error = NULL;

        ngx_trove_sqlite_unlock(spool);
    }

    if (rc == NGX_OK) {

        /* the file is the same as before: references to deliveries are valid */

        spool->moved = 0;
    }

    return rc;
}


/* the first process saves it for all of them: they share PATH-shm */

static ngx_int_t
ngx_trove_sqlite_save_shared(ngx_trove_sqlite_t *spool, int64_t deadline)
{
    ngx_int_t                   rc;
    struct stat                 st;
    ngx_trove_sqlite_shared_t  *shared;

    shared = spool->shared;

    if (shared->saved_dev == (uint64_t) spool->wal.dev
        && shared->saved_ino == (uint64_t) spool->wal.ino)
    {
        return NGX_OK;
    }

    /* if there is something in the new file, PATH may belong to it already */

    if (lstat(spool->path_wal, &st) == 0 && st.st_size != 0) {
        return NGX_DECLINED;
    }

    rc = ngx_trove_sqlite_save_pages(spool, deadline);

    if (rc == NGX_OK) {
        shared->saved_dev = (uint64_t) spool->wal.dev;
        shared->saved_ino = (uint64_t) spool->wal.ino;
    }

    return rc;
}


static ngx_int_t
ngx_trove_sqlite_save_pages(ngx_trove_sqlite_t *spool, int64_t deadline)
{
    ngx_int_t               rc;
    ngx_trove_sqlite_db_t  *db;

    db = &spool->writer;

    for ( ;; ) {
        rc = ngx_trove_sqlite_checkpoint_all(db);

        if (rc == NGX_OK) {
            return NGX_OK;
        }

        if (rc == NGX_ERROR) {
            return (db->error->kind == NGX_TROVE_SPOOL_FULL
                    || db->error->kind == NGX_TROVE_SPOOL_MEMORY)
                   ? NGX_ERROR : NGX_DECLINED;
        }

        if (ngx_trove_sqlite_elapsed() >= deadline) {
            return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_BUSY, 0,
                                        "readers prevent the removed \"-wal\" "
                                        "file from being saved");
        }

        ngx_msleep(NGX_TROVE_SQLITE_SAVE_PAUSE);
    }
}
