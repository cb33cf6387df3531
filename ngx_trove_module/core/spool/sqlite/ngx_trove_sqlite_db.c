
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <stdarg.h>

#include "ngx_trove_sqlite_db.h"


static ngx_trove_spool_error_e ngx_trove_sqlite_db_kind(int rc, ngx_err_t err);
static ngx_int_t ngx_trove_sqlite_state_get(ngx_trove_sqlite_db_t *db);
static ngx_int_t ngx_trove_sqlite_state_flush(ngx_trove_sqlite_db_t *db);


ngx_int_t
ngx_trove_spool_fail(ngx_trove_spool_error_t *error,
    ngx_trove_spool_error_e kind, ngx_err_t err, const char *fmt, ...)
{
    int      n;
    va_list  args;

    error->kind = kind;
    error->err = err;
    error->code = 0;

    va_start(args, fmt);
    n = vsnprintf((char *) error->text, NGX_TROVE_SPOOL_TEXT_LEN, fmt, args);
    va_end(args);

    if (err != 0 && n >= 0 && n < NGX_TROVE_SPOOL_TEXT_LEN) {
        snprintf((char *) error->text + n, NGX_TROVE_SPOOL_TEXT_LEN - n,
                 " (%d: %s)", err, strerror(err));
    }

    return NGX_ERROR;
}


ngx_trove_spool_error_e
ngx_trove_spool_kind(ngx_err_t err)
{
    switch (err) {

    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return NGX_TROVE_SPOOL_FULL;

    case EROFS:
        return NGX_TROVE_SPOOL_READONLY;

    case ENOMEM:
        return NGX_TROVE_SPOOL_MEMORY;

    case EIO:
        return NGX_TROVE_SPOOL_IO;

    default:
        return NGX_TROVE_SPOOL_ACCESS;
    }
}


static ngx_trove_spool_error_e
ngx_trove_sqlite_db_kind(int rc, ngx_err_t err)
{
    if (rc == SQLITE_READONLY_DBMOVED) {
        return NGX_TROVE_SPOOL_GONE;
    }

    if (rc == SQLITE_IOERR_NOMEM) {
        return NGX_TROVE_SPOOL_MEMORY;
    }

    switch (rc & 0xff) {

    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return NGX_TROVE_SPOOL_BUSY;

    case SQLITE_FULL:
        return NGX_TROVE_SPOOL_FULL;

    case SQLITE_READONLY:
    case SQLITE_PERM:
        return NGX_TROVE_SPOOL_READONLY;

    case SQLITE_NOMEM:
        return NGX_TROVE_SPOOL_MEMORY;

    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:

    /* what is said of a statement for which there are no tables */

    case SQLITE_ERROR:
    case SQLITE_SCHEMA:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
        return NGX_TROVE_SPOOL_CORRUPT;

    case SQLITE_CANTOPEN:
        return (err == EROFS) ? NGX_TROVE_SPOOL_READONLY
                              : NGX_TROVE_SPOOL_ACCESS;

    case SQLITE_IOERR:

        if (err == ENOSPC || err == EDQUOT || err == EFBIG) {
            return NGX_TROVE_SPOOL_FULL;
        }

        return NGX_TROVE_SPOOL_IO;

    default:
        return NGX_TROVE_SPOOL_IO;
    }
}


ngx_int_t
ngx_trove_sqlite_db_fail(ngx_trove_sqlite_db_t *db, int rc, const char *what)
{
    ngx_err_t                 err;
    ngx_trove_spool_error_e   kind;

    /*
     * SQLite keeps the error of the system for some of its own errors only, and
     * for others errno may be that of something else.
     */

    switch (rc & 0xff) {

    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_FULL:
        err = ngx_errno;

        if (db->db != NULL && sqlite3_system_errno(db->db) != 0) {
            err = sqlite3_system_errno(db->db);
        }

        break;

    default:
        err = 0;
    }

    kind = ngx_trove_sqlite_db_kind(rc, err);

    (void) ngx_trove_spool_fail(db->error, kind, err, "%s: %s [%d]", what,
                                sqlite3_errstr(rc), rc);

    db->error->code = rc;

    return NGX_ERROR;
}


sqlite3_stmt *
ngx_trove_sqlite_sql(ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_sql_e n)
{
    int  rc;

    if (db->stmts[n] == NULL) {

        rc = sqlite3_prepare_v3(db->db, ngx_trove_sqlite_sqls[n], -1,
                                SQLITE_PREPARE_PERSISTENT, &db->stmts[n], NULL);

        if (rc != SQLITE_OK) {
            (void) ngx_trove_sqlite_db_fail(db, rc, "preparing a statement");
            return NULL;
        }
    }

    return db->stmts[n];
}


void
ngx_trove_sqlite_bind(sqlite3_stmt *stmt, int n, ngx_str_t *s)
{
    if (s->data == NULL) {
        (void) sqlite3_bind_null(stmt, n);
        return;
    }

    (void) sqlite3_bind_text64(stmt, n, (char *) s->data, s->len,
                               SQLITE_STATIC, SQLITE_UTF8);
}


void
ngx_trove_sqlite_bind_int(sqlite3_stmt *stmt, int n, int64_t value)
{
    if (value == 0) {
        (void) sqlite3_bind_null(stmt, n);
        return;
    }

    (void) sqlite3_bind_int64(stmt, n, value);
}


void
ngx_trove_sqlite_column(sqlite3_stmt *stmt, int n, ngx_str_t *s)
{
    if (sqlite3_column_type(stmt, n) == SQLITE_NULL) {
        ngx_str_null(s);
        return;
    }

    s->data = (u_char *) sqlite3_column_blob(stmt, n);
    s->len = sqlite3_column_bytes(stmt, n);

    /* NULL is also what SQLite has for nothing */

    if (s->data == NULL) {
        s->data = (u_char *) "";
    }
}


ngx_int_t
ngx_trove_sqlite_step(ngx_trove_sqlite_db_t *db, sqlite3_stmt *stmt)
{
    int  rc;

    ngx_set_errno(0);

    rc = sqlite3_step(stmt);

    if (rc == SQLITE_ROW) {
        return NGX_OK;
    }

    if (rc == SQLITE_DONE) {
        (void) sqlite3_reset(stmt);
        return NGX_DONE;
    }

    (void) ngx_trove_sqlite_db_fail(db, rc, sqlite3_column_count(stmt)
                                           ? "reading" : "writing");
    (void) sqlite3_reset(stmt);

    return NGX_ERROR;
}


ngx_int_t
ngx_trove_sqlite_run(ngx_trove_sqlite_db_t *db, sqlite3_stmt *stmt)
{
    ngx_int_t  rc;

    do {
        rc = ngx_trove_sqlite_step(db, stmt);
    } while (rc == NGX_OK);

    return (rc == NGX_DONE) ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_trove_sqlite_exec(ngx_trove_sqlite_db_t *db, const char *sql)
{
    int  rc;

    ngx_set_errno(0);

    rc = sqlite3_exec(db->db, sql, NULL, NULL, NULL);

    if (rc != SQLITE_OK) {
        return ngx_trove_sqlite_db_fail(db, rc, "preparing the file");
    }

    return NGX_OK;
}


int64_t
ngx_trove_sqlite_get(ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_sql_e n)
{
    int64_t        value;
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, n);
    if (stmt == NULL) {
        return -1;
    }

    rc = ngx_trove_sqlite_step(db, stmt);
    if (rc == NGX_ERROR) {
        return -1;
    }

    value = (rc == NGX_OK) ? sqlite3_column_int64(stmt, 0) : 0;

    (void) sqlite3_reset(stmt);

    return value;
}


ngx_int_t
ngx_trove_sqlite_moved(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db)
{
    int  moved;

    moved = 0;

    (void) sqlite3_file_control(db->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);

    if (moved) {
        return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_GONE, 0,
                                    "removed or replaced while in use");
    }

    if (ngx_trove_sqlite_lock_moved(spool)) {
        return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_GONE, 0,
                                    "\"-lock\" file: removed or replaced while "
                                    "in use");
    }

    return NGX_OK;
}


/*
 * Turns are taken by the mutex.  What SQLite's own lock is waited for is those
 * who do not know of the mutex: a person with a shell.
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
                                    "other processes of nginx kept it locked "
                                    "for %lld ms", (long long) spool->wait);
    }

    if (rc != NGX_OK) {
        return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_IO, 0,
                                    "\"-lock\" file: the mutex is damaged");
    }

    if (ngx_trove_sqlite_moved(spool, db) != NGX_OK) {
        goto failed;
    }

    if (db->sync != durable) {

        /* acts when it is prepared, not when it is stepped */

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

    /* less than nothing would be: for ever */

    left = (deadline - ngx_trove_sqlite_elapsed()) / 1000;

    (void) sqlite3_busy_timeout(db->db, (int) ngx_max(1, left));

    if (ngx_trove_sqlite_run(db, stmt) != NGX_OK) {

        if (db->error->kind == NGX_TROVE_SPOOL_BUSY) {
            (void) ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_BUSY, 0,
                                        "another program kept it locked for "
                                        "%lld ms", (long long) spool->wait);
        }

        goto failed;
    }

    db->txn++;

    if (wait != NULL) {
        *wait = ngx_trove_sqlite_elapsed() - start;
    }

    if (ngx_trove_sqlite_state_get(db) != NGX_OK
        || ngx_trove_sqlite_key_sync(spool, db) != NGX_OK)
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

    if (ngx_trove_sqlite_known_flush(db) != NGX_OK
        || ngx_trove_sqlite_state_flush(db) != NGX_OK)
    {
        goto failed;
    }

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_COMMIT);

    if (stmt == NULL || ngx_trove_sqlite_run(db, stmt) != NGX_OK) {
        goto failed;
    }

    db->ntaken = 0;
    spool->shared->last = db->state.last;

    /*
     * Once more: nobody will be told that something is in the file that was
     * taken away meanwhile.
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

    /* an error may have ended it already, and another one is of no interest */

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
    ngx_trove_sqlite_known_clear(db);

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
