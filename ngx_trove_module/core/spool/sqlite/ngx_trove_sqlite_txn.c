
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_db.h"


static ngx_int_t ngx_trove_sqlite_state_get(ngx_trove_sqlite_db_t *db);
static ngx_int_t ngx_trove_sqlite_state_flush(ngx_trove_sqlite_db_t *db);


/*
 * Writers are serialized by the mutex.  SQLite's own lock is waited for only
 * if it is held by a program that does not use the mutex, such as a shell.
 */

ngx_int_t
ngx_trove_sqlite_begin(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db,
    ngx_uint_t durable, uint64_t *wait)
{
    int64_t        start, deadline, left;
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    start = ngx_trove_sqlite_elapsed();
    deadline = start + spool->wait * 1000;

    rc = ngx_trove_sqlite_lock(spool, deadline);

    if (rc == NGX_BUSY) {
        return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_BUSY, 0,
                                    "the spool has been locked by other nginx "
                                    "processes for %lld ms",
                                    (long long) spool->wait);
    }

    if (rc != NGX_OK) {
        return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_IO, 0,
                                    "the mutex in the \"-lock\" file is "
                                    "damaged");
    }

    if (ngx_trove_sqlite_moved(spool, db) != NGX_OK) {
        goto failed;
    }

    if (db->sync != durable) {

        /* takes effect when prepared, not when stepped */

        if (ngx_trove_sqlite_exec(db, durable ? "PRAGMA synchronous = FULL"
                                             : "PRAGMA synchronous = NORMAL")
            != NGX_OK)
        {
            goto failed;
        }

        db->sync = durable;
    }

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_BEGIN);
    if (stmt == NULL) {
        goto failed;
    }

    /* a negative timeout would be infinite */

    left = (deadline - ngx_trove_sqlite_elapsed()) / 1000;

    (void) sqlite3_busy_timeout(db->db, (int) ngx_max(1, left));

    if (ngx_trove_sqlite_run(db, stmt) != NGX_OK) {

        if (db->error->kind == NGX_TROVE_SPOOL_BUSY) {
            (void) ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_BUSY, 0,
                                        "the spool has been locked by another "
                                        "program for %lld ms",
                                        (long long) spool->wait);
        }

        goto failed;
    }

    db->txn++;
    db->reopened = 0;
    db->raise = 0;
    db->generation = __atomic_load_n(&spool->shared->generation,
                                     __ATOMIC_ACQUIRE);

    if (wait != NULL) {
        *wait = ngx_trove_sqlite_elapsed() - start;
    }

    if (ngx_trove_sqlite_state_get(db) != NGX_OK
        || (!spool->prepare && ngx_trove_sqlite_key_sync(spool, db) != NGX_OK))
    {
        ngx_trove_sqlite_rollback(spool, db);
        return NGX_ERROR;
    }

    return NGX_OK;

failed:

    ngx_trove_sqlite_unlock(spool);

    return NGX_ERROR;
}


ngx_int_t
ngx_trove_sqlite_commit(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db)
{
    sqlite3_stmt  *stmt;

    db->wal_pages = 0;

    if (ngx_trove_sqlite_cache_flush(db) != NGX_OK
        || ngx_trove_sqlite_state_flush(db) != NGX_OK)
    {
        goto failed;
    }

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_COMMIT);

    if (stmt == NULL || ngx_trove_sqlite_run(db, stmt) != NGX_OK) {
        goto failed;
    }

    db->ntaken = 0;

    if (!spool->prepare) {
        spool->shared->last = db->state.last;
    }

    if (db->reopened) {
        (void) __atomic_add_fetch(&spool->shared->reopened, 1,
                                  __ATOMIC_RELEASE);
    }

    /* a transaction without writes leaves it as it is */

    if (db->wal_pages) {
        __atomic_store_n(&spool->shared->wal_pages, db->wal_pages,
                         __ATOMIC_RELAXED);
    }

    /* before the caller reports that the change has been made */

    if (db->raise) {
        (void) __atomic_add_fetch(&spool->shared->generation, 1,
                                  __ATOMIC_ACQ_REL);
    }

    /*
     * Checked again, so that nothing is reported as stored in a file that was
     * removed meanwhile.
     */

    if (ngx_trove_sqlite_moved(spool, db) != NGX_OK) {
        ngx_trove_sqlite_unlock(spool);
        return NGX_ERROR;
    }

    ngx_trove_sqlite_unlock(spool);

    return NGX_OK;

failed:

    ngx_trove_sqlite_rollback(spool, db);

    return NGX_ERROR;
}


void
ngx_trove_sqlite_rollback(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db)
{
    sqlite3_stmt             *stmt;
    ngx_trove_spool_error_t  *error, ignored;

    /* an error may have ended the transaction; a second error is ignored */

    if (!sqlite3_get_autocommit(db->db)) {

        error = db->error;
        db->error = &ignored;

        stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_ROLLBACK);

        if (stmt != NULL) {
            (void) ngx_trove_sqlite_run(db, stmt);
        }

        db->error = error;
    }

    ngx_trove_sqlite_key_undo(spool, db);
    ngx_trove_sqlite_cache_clear(db);

    ngx_trove_sqlite_unlock(spool);
}


static ngx_int_t
ngx_trove_sqlite_state_get(ngx_trove_sqlite_db_t *db)
{
    ngx_int_t                      rc;
    sqlite3_stmt                  *stmt;
    ngx_trove_sqlite_row_state_t  *state;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_STATE);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc == NGX_DONE) {
        return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_CORRUPT, 0,
                                    "the table \"spool\" is empty");
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    state = &db->state;

    state->last = sqlite3_column_int64(stmt, 0);
    state->events = sqlite3_column_int64(stmt, 1);
    state->indexed = sqlite3_column_int64(stmt, 2);
    state->stale = sqlite3_column_int64(stmt, 3);
    state->identity = sqlite3_column_int64(stmt, 4);
    state->dirty = 0;

    (void) sqlite3_reset(stmt);

    return NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_state_flush(ngx_trove_sqlite_db_t *db)
{
    sqlite3_stmt  *stmt;

    if (!db->state.dirty) {
        return NGX_OK;
    }

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_STATE_SET);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, db->state.last);
    (void) sqlite3_bind_int64(stmt, 2, db->state.events);
    (void) sqlite3_bind_int64(stmt, 3, db->state.indexed);
    (void) sqlite3_bind_int64(stmt, 4, db->state.stale);

    return ngx_trove_sqlite_run(db, stmt);
}
