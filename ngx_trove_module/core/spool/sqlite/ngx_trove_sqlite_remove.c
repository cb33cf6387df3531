
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_query.h"


/*
 * Removal of events.  Other writers wait meanwhile.  So an event with many
 * deliveries is removed in steps:
 *
 *   the event,      remove      a row with      remove_rest    some
 *   and all its   ----------->  its number in  ------------->  deliveries,
 *   deliveries                  "ident"                        then this row
 *
 * From the first step on, the event does not exist, and its deliveries are not
 * found by any reader and cannot be replayed.  The counters of their targets
 * include a delivery until its row is removed.  If the process dies between two
 * steps, the row in "ident" makes another one continue.
 */


/* attempts of deliveries that are removed at once, approximately */
#define NGX_TROVE_SQLITE_REMOVE_ATTEMPTS  200

/* the time of a step, microseconds: its commit takes as long */
#define NGX_TROVE_SQLITE_REMOVE_TIME  2000


static ngx_int_t ngx_trove_sqlite_remove_mark(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_sql_e sql, int64_t event);
static ngx_int_t ngx_trove_sqlite_remove_step(ngx_trove_sqlite_db_t *db,
    int64_t event, ngx_uint_t *n);


ngx_int_t
ngx_trove_sqlite_remove_rows(ngx_trove_sqlite_db_t *db, int64_t event,
    ngx_trove_sqlite_rows_t *rows)
{
    int64_t                  attempts;
    ngx_int_t                rc;
    sqlite3_stmt            *stmt;
    ngx_trove_sqlite_row_t  *row;

    rows->n = 0;
    rows->more = 0;
    attempts = 0;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_DELIVERY_OF);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, event);

    for ( ;; ) {
        rc = ngx_trove_sqlite_step(db, stmt);

        if (rc != NGX_OK) {
            return (rc == NGX_DONE) ? NGX_OK : NGX_ERROR;
        }

        if (rows->n == NGX_TROVE_SQLITE_REMOVE
            || attempts > NGX_TROVE_SQLITE_REMOVE_ATTEMPTS)
        {
            (void) sqlite3_reset(stmt);
            rows->more = 1;
            return NGX_OK;
        }

        row = &rows->rows[rows->n++];

        ngx_trove_sqlite_row_read(stmt, row);

        attempts += ngx_min(row->attempts, NGX_TROVE_SPOOL_ATTEMPTS);
    }
}


ngx_int_t
ngx_trove_sqlite_remove_ended(ngx_trove_sqlite_db_t *db, int64_t event,
    int64_t *ended)
{
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_DELIVERY_ENDED);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, event);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    if (sqlite3_column_int(stmt, 0)) {
        rc = NGX_DECLINED;
    }

    *ended = sqlite3_column_int64(stmt, 1);

    (void) sqlite3_reset(stmt);

    return rc;
}


/* its entries in the tables of keys and ids are left to maintenance */

ngx_int_t
ngx_trove_sqlite_remove(ngx_trove_sqlite_db_t *db, int64_t event,
    ngx_uint_t key, ngx_trove_sqlite_rows_t *rows)
{
    ngx_uint_t     i;
    sqlite3_stmt  *stmt;

    if (rows->more) {

        if (ngx_trove_sqlite_remove_mark(db, NGX_TROVE_SQLITE_SQL_IDENT_ADD,
                                         event)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

    } else {

        for (i = 0; i < rows->n; i++) {
            if (ngx_trove_sqlite_row_delete(db, &rows->rows[i]) != NGX_OK) {
                return NGX_ERROR;
            }
        }
    }

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_EVENT_DELETE);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, event);

    if (ngx_trove_sqlite_run(db, stmt) != NGX_OK) {
        return NGX_ERROR;
    }

    db->state.events--;
    db->state.dirty = 1;

    if (key) {
        db->state.stale++;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_remove_mark(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_sql_e sql, int64_t event)
{
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, sql);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, NGX_TROVE_SQLITE_IDENT_REMOVED);
    (void) sqlite3_bind_int64(stmt, 2, event);

    return ngx_trove_sqlite_run(db, stmt);
}


ngx_int_t
ngx_trove_sqlite_remove_rest(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_uint_t *deliveries)
{
    int64_t     event, start;
    ngx_int_t   rc;
    ngx_uint_t  n;

    /* without the lock, which is not needed if there are none */

    event = ngx_trove_sqlite_get(db, NGX_TROVE_SQLITE_SQL_IDENT_REST);

    if (event == -1) {
        return NGX_ERROR;
    }

    if (event == 0) {
        return NGX_OK;
    }

    if (ngx_trove_sqlite_begin(spool, db, 0, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    start = ngx_trove_sqlite_elapsed();
    n = 0;

    do {
        rc = ngx_trove_sqlite_remove_step(db, event, &n);

    } while (rc == NGX_AGAIN
             && ngx_trove_sqlite_elapsed() - start
                < NGX_TROVE_SQLITE_REMOVE_TIME);

    if (rc == NGX_ERROR) {
        ngx_trove_sqlite_rollback(spool, db);
        return NGX_ERROR;
    }

    if (ngx_trove_sqlite_commit(spool, db) != NGX_OK) {
        return NGX_ERROR;
    }

    *deliveries += n;

    return NGX_AGAIN;
}


/* NGX_OK: these were the last ones; NGX_AGAIN: there are more; NGX_ERROR */

static ngx_int_t
ngx_trove_sqlite_remove_step(ngx_trove_sqlite_db_t *db, int64_t event,
    ngx_uint_t *n)
{
    ngx_uint_t               i;
    ngx_trove_sqlite_rows_t  rows;

    if (ngx_trove_sqlite_remove_rows(db, event, &rows) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < rows.n; i++) {
        if (ngx_trove_sqlite_row_delete(db, &rows.rows[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    *n += rows.n;

    if (rows.more) {
        return NGX_AGAIN;
    }

    return ngx_trove_sqlite_remove_mark(db, NGX_TROVE_SQLITE_SQL_IDENT_DELETE,
                                        event);
}
