
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_db.h"


/* instructions of a reader between two checks whether it must stop */
#define NGX_TROVE_SQLITE_PROGRESS  1000


static int ngx_trove_sqlite_progress(void *data);


static ngx_trove_spool_error_e ngx_trove_sqlite_db_kind(int rc, ngx_err_t err);


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
    case SQLITE_INTERRUPT:
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

    /* the errors of a statement whose tables are missing */

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
     * SQLite keeps the system error only for some of its own errors; for
     * others errno may be unrelated.
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

    (void) ngx_trove_spool_fail(db->error, kind, err, "error while %s: %s [%d]",
                                what, sqlite3_errstr(rc), rc);

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
ngx_trove_sqlite_bind_blob(sqlite3_stmt *stmt, int n, ngx_str_t *s)
{
    if (s->data == NULL) {
        (void) sqlite3_bind_null(stmt, n);
        return;
    }

    (void) sqlite3_bind_blob64(stmt, n, s->data, s->len, SQLITE_STATIC);
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

    /* SQLite returns NULL for an empty value as well */

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
        return ngx_trove_sqlite_db_fail(db, rc, "configuring the database");
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


char *
ngx_trove_sqlite_name(ngx_str_t *path, const char *suffix)
{
    char    *name;
    size_t   len;

    len = ngx_strlen(suffix);

    name = malloc(path->len + len + 1);
    if (name == NULL) {
        return NULL;
    }

    ngx_memcpy(name, path->data, path->len);
    ngx_memcpy(name + path->len, suffix, len + 1);

    return name;
}


void
ngx_trove_sqlite_lock_all(ngx_trove_sqlite_t *spool)
{
    ngx_uint_t  i;

    (void) pthread_mutex_lock(&spool->writer.mutex);

    /* events must not wait for long lists: see ngx_trove_sqlite_progress() */

    __atomic_store_n(&spool->closing, 1, __ATOMIC_RELEASE);

    for (i = 0; i < NGX_TROVE_SQLITE_READERS; i++) {
        (void) pthread_mutex_lock(&spool->readers[i].mutex);
    }

    __atomic_store_n(&spool->closing, 0, __ATOMIC_RELEASE);

    (void) pthread_mutex_lock(&spool->maintenance.mutex);
}


void
ngx_trove_sqlite_unlock_all(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *except)
{
    ngx_uint_t  i;

    if (except != &spool->writer) {
        (void) pthread_mutex_unlock(&spool->writer.mutex);
    }

    for (i = 0; i < NGX_TROVE_SQLITE_READERS; i++) {
        if (except != &spool->readers[i]) {
            (void) pthread_mutex_unlock(&spool->readers[i].mutex);
        }
    }

    if (except != &spool->maintenance) {
        (void) pthread_mutex_unlock(&spool->maintenance.mutex);
    }
}


void
ngx_trove_sqlite_interruptible(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db)
{
    sqlite3_progress_handler(db->db, NGX_TROVE_SQLITE_PROGRESS,
                             ngx_trove_sqlite_progress, spool);
}


static int
ngx_trove_sqlite_progress(void *data)
{
    ngx_trove_sqlite_t *spool = data;

    return __atomic_load_n(&spool->closing, __ATOMIC_ACQUIRE) != 0;
}
