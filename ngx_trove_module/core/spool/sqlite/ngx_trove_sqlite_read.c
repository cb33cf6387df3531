
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_query.h"


ngx_trove_sqlite_db_t *
ngx_trove_sqlite_read(ngx_trove_sqlite_t *spool, ngx_trove_spool_error_t *error)
{
    ngx_int_t               rc;
    sqlite3_stmt           *stmt;
    ngx_trove_sqlite_db_t  *db;

    ngx_memzero(error, sizeof(ngx_trove_spool_error_t));

    db = ngx_trove_sqlite_enter_reader(spool, error);
    if (db == NULL) {
        return NULL;
    }

    db->txn++;

    rc = ngx_trove_sqlite_moved(spool, db);

    if (rc == NGX_OK) {
        stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_SNAPSHOT);
        rc = (stmt == NULL) ? NGX_ERROR : ngx_trove_sqlite_run(db, stmt);
    }

    if (rc != NGX_OK) {
        ngx_trove_sqlite_leave(spool, db, NGX_ERROR);
        return NULL;
    }

    return db;
}


void
ngx_trove_sqlite_read_end(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db,
    ngx_int_t rc)
{
    sqlite3_stmt  *stmt;

    if (!sqlite3_get_autocommit(db->db)) {

        stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_ROLLBACK);

        if (stmt != NULL) {
            (void) sqlite3_step(stmt);
            (void) sqlite3_reset(stmt);
        }
    }

    ngx_trove_sqlite_leave(spool, db, rc);
}


void *
ngx_trove_sqlite_read_alloc(ngx_trove_sqlite_db_t *db,
    void *result, size_t size)
{
    void  *p;

    p = result ? ngx_trove_spool_alloc(result, size)
               : ngx_trove_spool_result(size);

    if (p == NULL) {
        (void) ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_MEMORY, 0,
                                    "out of memory");
    }

    return p;
}


ngx_int_t
ngx_trove_sqlite_read_string(ngx_trove_sqlite_db_t *db, void *result,
    ngx_str_t *to, ngx_str_t *from)
{
    ngx_str_null(to);

    if (from->data == NULL) {
        return NGX_OK;
    }

    to->data = ngx_trove_sqlite_read_alloc(db, result, from->len + 1);
    if (to->data == NULL) {
        return NGX_ERROR;
    }

    to->len = from->len;
    ngx_memcpy(to->data, from->data, from->len);

    return NGX_OK;
}


ngx_int_t
ngx_trove_sqlite_read_column(ngx_trove_sqlite_db_t *db, void *result,
    sqlite3_stmt *stmt, int column, ngx_str_t *to)
{
    ngx_str_t  from;

    ngx_trove_sqlite_column(stmt, column, &from);

    return ngx_trove_sqlite_read_string(db, result, to, &from);
}


ngx_int_t
ngx_trove_sqlite_read_event(ngx_trove_sqlite_db_t *db, void *result,
    ngx_trove_spool_event_t *to, ngx_trove_spool_event_t *from)
{
    u_char  *p;

    p = ngx_trove_sqlite_read_alloc(db, result,
                                    ngx_trove_sqlite_event_size(from) + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    *to = *from;

    (void) ngx_trove_sqlite_event_copy(to, p);

    return NGX_OK;
}


ngx_trove_spool_events_t *
ngx_trove_sqlite_events(ngx_trove_spool_t *base,
    ngx_trove_spool_filter_t *filter, int64_t cursor, ngx_uint_t limit,
    size_t max_bytes, ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    size_t                     bytes;
    int64_t                    last;
    ngx_int_t                  rc;
    ngx_trove_sqlite_db_t     *db;
    ngx_trove_sqlite_scan_t    scan;
    ngx_trove_spool_events_t  *page;

    db = ngx_trove_sqlite_read(spool, error);
    if (db == NULL) {
        return NULL;
    }

    limit = ngx_max(1, ngx_min(limit, NGX_TROVE_SPOOL_SCAN));
    bytes = 0;
    rc = NGX_ERROR;

    page = ngx_trove_sqlite_read_alloc(db, NULL,
                                       sizeof(ngx_trove_spool_events_t));

    if (page == NULL) {
        goto done;
    }

    page->events = ngx_trove_sqlite_read_alloc(db, page,
                                    limit * sizeof(ngx_trove_spool_event_t));

    if (page->events == NULL
        || ngx_trove_sqlite_scan_events(db, filter, cursor, &scan) != NGX_OK)
    {
        goto done;
    }

    do {
        last = scan.cursor;

        rc = ngx_trove_sqlite_scan_next_event(&scan);

        if (rc != NGX_OK) {
            break;
        }

        bytes += scan.event.body.len;

        if (page->n && bytes > max_bytes) {
            scan.cursor = last;
            break;
        }

        rc = ngx_trove_sqlite_read_event(db, page, &page->events[page->n++],
                                         &scan.event);

    } while (rc == NGX_OK && page->n < limit);

    page->next = scan.cursor;

    ngx_trove_sqlite_scan_end(&scan);

done:

    ngx_trove_sqlite_read_end(spool, db, rc);

    if (rc == NGX_ERROR) {
        ngx_trove_spool_free(page);
        return NULL;
    }

    return page;
}


ngx_trove_spool_events_t *
ngx_trove_sqlite_event(ngx_trove_spool_t *base, int64_t number, u_char *key,
    ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    ngx_int_t                  rc;
    sqlite3_stmt              *stmt;
    ngx_trove_sqlite_db_t     *db;
    ngx_trove_spool_event_t    row;
    ngx_trove_spool_events_t  *page;

    db = ngx_trove_sqlite_read(spool, error);
    if (db == NULL) {
        return NULL;
    }

    rc = NGX_OK;

    page = ngx_trove_sqlite_read_alloc(db, NULL,
                                       sizeof(ngx_trove_spool_events_t));

    if (page == NULL) {
        rc = NGX_ERROR;
        goto done;
    }

    page->events = ngx_trove_sqlite_read_alloc(db, page,
                                               sizeof(ngx_trove_spool_event_t));

    if (page->events == NULL) {
        rc = NGX_ERROR;
        goto done;
    }

    if (key != NULL) {
        rc = ngx_trove_sqlite_key_find(spool, db, key, &number);

        if (rc != NGX_OK) {
            goto done;
        }
    }

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_EVENT);
    if (stmt == NULL) {
        rc = NGX_ERROR;
        goto done;
    }

    (void) sqlite3_bind_int64(stmt, 1, number);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc == NGX_OK) {
        ngx_trove_sqlite_event_row(stmt, 1, &row);

        rc = ngx_trove_sqlite_read_event(db, page, &page->events[0], &row);
        page->n = 1;

        (void) sqlite3_reset(stmt);
    }

done:

    ngx_trove_sqlite_read_end(spool, db, rc);

    if (rc == NGX_ERROR) {
        ngx_trove_spool_free(page);
        return NULL;
    }

    return page;
}
