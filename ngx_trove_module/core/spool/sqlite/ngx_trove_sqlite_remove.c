
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_query.h"


ngx_int_t
ngx_trove_sqlite_remove_rows(ngx_trove_sqlite_db_t *db, int64_t event,
    ngx_trove_sqlite_rows_t *rows)
{
    ngx_int_t                rc;
    ngx_uint_t               n;
    sqlite3_stmt            *stmt;
    ngx_trove_sqlite_row_t  *more;

    rows->n = 0;

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

        if (rows->n == rows->alloc) {
            n = ngx_max(16, 2 * rows->alloc);

            more = realloc(rows->rows, n * sizeof(ngx_trove_sqlite_row_t));

            if (more == NULL) {
                (void) sqlite3_reset(stmt);
                return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_MEMORY,
                                            0, "out of memory");
            }

            rows->rows = more;
            rows->alloc = n;
        }

        ngx_trove_sqlite_row_read(stmt, &rows->rows[rows->n++]);
    }
}


/* its entries in the tables of keys and ids are left to maintenance */

ngx_int_t
ngx_trove_sqlite_remove(ngx_trove_sqlite_db_t *db, int64_t event,
    ngx_uint_t key, ngx_trove_sqlite_rows_t *rows)
{
    ngx_uint_t     i;
    sqlite3_stmt  *stmt;

    for (i = 0; i < rows->n; i++) {
        if (ngx_trove_sqlite_row_delete(db, &rows->rows[i]) != NGX_OK) {
            return NGX_ERROR;
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
