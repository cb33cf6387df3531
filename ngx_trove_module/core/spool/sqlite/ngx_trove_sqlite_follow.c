
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_query.h"


static ngx_int_t ngx_trove_sqlite_follow_scan(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_follow_t *page, ngx_trove_spool_filter_t *filter,
    ngx_uint_t limit, size_t max_bytes);


ngx_trove_spool_follow_t *
ngx_trove_sqlite_follow(ngx_trove_spool_t *base,
    ngx_trove_spool_filter_t *filter, int64_t after, ngx_uint_t limit,
    size_t max_bytes, ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    ngx_int_t                  rc;
    ngx_trove_sqlite_db_t     *db;
    ngx_trove_spool_follow_t  *page;

    db = ngx_trove_sqlite_read(spool, error);
    if (db == NULL) {
        return NULL;
    }

    rc = NGX_ERROR;

    page = ngx_trove_sqlite_read_alloc(db, NULL,
                                       sizeof(ngx_trove_spool_follow_t));

    if (page != NULL) {
        page->last = ngx_trove_sqlite_get(db, NGX_TROVE_SQLITE_SQL_STATE);

        if (page->last != -1) {
            page->next = ngx_min(after, page->last);
            rc = ngx_trove_sqlite_follow_scan(db, page, filter, limit,
                                              max_bytes);
        }
    }

    ngx_trove_sqlite_read_end(spool, db, rc);

    if (rc == NGX_ERROR) {
        ngx_trove_spool_free(page);
        return NULL;
    }

    return page;
}


static ngx_int_t
ngx_trove_sqlite_follow_scan(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_follow_t *page, ngx_trove_spool_filter_t *filter,
    ngx_uint_t limit, size_t max_bytes)
{
    size_t                    bytes;
    ngx_int_t                 rc;
    ngx_uint_t                n;
    sqlite3_stmt             *stmt;
    ngx_trove_spool_event_t   event;

    if (page->next == page->last) {
        return NGX_OK;
    }

    limit = ngx_max(1, ngx_min(limit, NGX_TROVE_SPOOL_SCAN));
    limit = (ngx_uint_t) ngx_min((int64_t) limit, page->last - page->next);

    page->events = ngx_trove_sqlite_read_alloc(db, page,
                                     limit * sizeof(ngx_trove_spool_event_t));

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_EVENT_FOLLOW);

    if (page->events == NULL || stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, page->next);
    (void) sqlite3_bind_int64(stmt, 2, NGX_TROVE_SPOOL_SCAN);

    bytes = 0;

    for (n = 0; page->n < limit; n++) {

        rc = ngx_trove_sqlite_step(db, stmt);

        if (rc == NGX_DONE) {

            if (n < NGX_TROVE_SPOOL_SCAN) {
                page->next = page->last;
            }

            return NGX_OK;
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }

        /* a body may be large, and is read only for matching events */

        ngx_trove_sqlite_event_row(stmt, 0, &event);

        if (ngx_trove_spool_match(filter, &event)) {

            ngx_trove_sqlite_event_row(stmt, 1, &event);

            bytes += event.body.len;

            if (page->n && bytes > max_bytes) {
                break;
            }

            if (ngx_trove_sqlite_read_event(db, page, &page->events[page->n],
                                            &event)
                != NGX_OK)
            {
                (void) sqlite3_reset(stmt);
                return NGX_ERROR;
            }

            page->n++;
        }

        page->next = event.number;
    }

    (void) sqlite3_reset(stmt);

    return NGX_OK;
}


int64_t
ngx_trove_sqlite_last(ngx_trove_spool_t *base, ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    int64_t                 last;
    ngx_trove_sqlite_db_t  *db;

    db = ngx_trove_sqlite_read(spool, error);
    if (db == NULL) {
        return -1;
    }

    last = ngx_trove_sqlite_get(db, NGX_TROVE_SQLITE_SQL_STATE);

    ngx_trove_sqlite_read_end(spool, db, last == -1 ? NGX_ERROR : NGX_OK);

    return last;
}


int64_t
ngx_trove_sqlite_seek(ngx_trove_spool_t *base, int64_t received,
    ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    int64_t                 first;
    ngx_trove_sqlite_db_t  *db;

    db = ngx_trove_sqlite_read(spool, error);
    if (db == NULL) {
        return -1;
    }

    first = ngx_trove_sqlite_scan_seek(db, received);

    ngx_trove_sqlite_read_end(spool, db, first == -1 ? NGX_ERROR : NGX_OK);

    return (first == -1) ? -1 : first - 1;
}
