
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_db.h"


/*
 * Rows of deliveries.  All changes of their states are made here, and counted
 * by their targets.
 */


static void ngx_trove_sqlite_row_due(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_cached_t *cached, ngx_trove_sqlite_row_t *row);
static ngx_int_t ngx_trove_sqlite_row_count(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_cached_t *cached, ngx_trove_spool_state_e state, int by);
static sqlite3_stmt *ngx_trove_sqlite_row_bind(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_sql_e n, ngx_trove_sqlite_row_t *row);


static ngx_int_t
ngx_trove_sqlite_row_count(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_cached_t *cached, ngx_trove_spool_state_e state, int by)
{
    if (cached == NULL || (ngx_uint_t) state >= NGX_TROVE_SPOOL_STATES) {
        return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_CORRUPT, 0,
                                    "a delivery has the invalid state %d",
                                    (int) state);
    }

    cached->delta[state] += by;

    if (ngx_trove_sqlite_pending(state)) {
        cached->pending += by;
    }

    ngx_trove_sqlite_cache_changed(db, cached);

    return NGX_OK;
}


/*
 * The time of a target only decreases here.  It is corrected when the target is
 * found by it: otherwise it would be written with each outcome.
 */

static void
ngx_trove_sqlite_row_due(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_cached_t *cached, ngx_trove_sqlite_row_t *row)
{
    if (ngx_trove_sqlite_pending(row->state) && row->due < cached->due) {
        ngx_trove_sqlite_cache_due(db, cached, row->due);
    }
}


void
ngx_trove_sqlite_row_read(sqlite3_stmt *stmt, ngx_trove_sqlite_row_t *row)
{
    row->id = sqlite3_column_int64(stmt, 0);
    row->target = sqlite3_column_int64(stmt, 1);
    row->state = sqlite3_column_int(stmt, 2);
    row->due = sqlite3_column_int64(stmt, 3);
    row->ended = sqlite3_column_int64(stmt, 4);
    row->opened = sqlite3_column_int64(stmt, 5);
    row->attempts = sqlite3_column_int64(stmt, 6);
    row->owner = sqlite3_column_int64(stmt, 7);
    row->started = sqlite3_column_int64(stmt, 8);
    row->took = sqlite3_column_int64(stmt, 9);
    row->status = sqlite3_column_int64(stmt, 10);
    row->earlier = sqlite3_column_int64(stmt, 11);
}


ngx_int_t
ngx_trove_sqlite_row_get(ngx_trove_sqlite_db_t *db, int64_t id,
    ngx_trove_sqlite_row_t *row)
{
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_DELIVERY);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, id);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc == NGX_DONE) {
        return NGX_DECLINED;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_trove_sqlite_row_read(stmt, row);
    (void) sqlite3_reset(stmt);

    if (ngx_trove_sqlite_pending(row->state)) {
        return NGX_OK;
    }

    rc = ngx_trove_sqlite_event_removed(db, ngx_trove_spool_event_of(id));

    return (rc == NGX_ERROR) ? NGX_ERROR
                             : (rc == NGX_OK) ? NGX_DECLINED : NGX_OK;
}


/*
 * An outcome that fits in the space of the row is written in place.  If rows
 * of a page grew one after another, the page would be split again and again.
 * So a leased row has from the start the bytes needed by its outcome: those of
 * the owner, which is a large number, are used for the status and the
 * duration, and those of "started" exist already.
 */

ngx_int_t
ngx_trove_sqlite_row_add(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_cached_t *cached, ngx_trove_sqlite_row_t *row)
{
    sqlite3_stmt  *stmt;

    if (ngx_trove_sqlite_row_count(db, cached, row->state, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_trove_sqlite_row_due(db, cached, row);

    stmt = ngx_trove_sqlite_row_bind(db, NGX_TROVE_SQLITE_SQL_DELIVERY_ADD,
                                     row);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    return ngx_trove_sqlite_run(db, stmt);
}


ngx_int_t
ngx_trove_sqlite_row_set(ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_row_t *row,
    ngx_trove_spool_state_e from)
{
    sqlite3_stmt               *stmt;
    ngx_trove_sqlite_cached_t  *cached;

    cached = NULL;

    if (ngx_trove_sqlite_pending(row->state)
        && !ngx_trove_sqlite_pending(from))
    {
        db->reopened = 1;
    }

    if (row->state != from || ngx_trove_sqlite_pending(row->state)) {

        if (ngx_trove_sqlite_cache_get_id(db, row->target, &cached) != NGX_OK
            || ngx_trove_sqlite_row_count(db, cached, from, -1) != NGX_OK
            || ngx_trove_sqlite_row_count(db, cached, row->state, 1) != NGX_OK)
        {
            return NGX_ERROR;
        }

        ngx_trove_sqlite_row_due(db, cached, row);
    }

    stmt = ngx_trove_sqlite_row_bind(db, NGX_TROVE_SQLITE_SQL_DELIVERY_SET,
                                     row);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    return ngx_trove_sqlite_run(db, stmt);
}


ngx_int_t
ngx_trove_sqlite_row_delete(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_row_t *row)
{
    sqlite3_stmt               *stmt;
    ngx_trove_sqlite_cached_t  *cached;

    cached = NULL;

    if (ngx_trove_sqlite_cache_get_id(db, row->target, &cached) != NGX_OK
        || ngx_trove_sqlite_row_count(db, cached, row->state, -1) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (row->attempts != 0) {

        stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_ATTEMPT_DELETE);
        if (stmt == NULL) {
            return NGX_ERROR;
        }

        (void) sqlite3_bind_int64(stmt, 1, row->id);

        if (ngx_trove_sqlite_run(db, stmt) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_DELIVERY_DELETE);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, row->id);

    return ngx_trove_sqlite_run(db, stmt);
}


static sqlite3_stmt *
ngx_trove_sqlite_row_bind(ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_sql_e n,
    ngx_trove_sqlite_row_t *row)
{
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, n);
    if (stmt == NULL) {
        return NULL;
    }

    (void) sqlite3_bind_int64(stmt, 1, row->id);

    if (n == NGX_TROVE_SQLITE_SQL_DELIVERY_ADD) {
        (void) sqlite3_bind_int64(stmt, 2, row->target);
    }

    (void) sqlite3_bind_int64(stmt, 3, row->state);

    /* a row without a due time is not in the index of pending deliveries */

    if (ngx_trove_sqlite_pending(row->state)) {
        (void) sqlite3_bind_int64(stmt, 4, row->due);
        (void) sqlite3_bind_null(stmt, 5);

    } else {
        (void) sqlite3_bind_null(stmt, 4);
        (void) sqlite3_bind_int64(stmt, 5, row->ended);
    }

    (void) sqlite3_bind_int64(stmt, 6, row->opened);
    (void) sqlite3_bind_int64(stmt, 7, row->attempts);

    ngx_trove_sqlite_bind_int(stmt, 8, row->owner);
    ngx_trove_sqlite_bind_int(stmt, 9, row->started);

    /* 0 is a valid duration, but without an attempt there is none */

    if (row->attempts != 0) {
        (void) sqlite3_bind_int64(stmt, 10, row->took);

    } else {
        (void) sqlite3_bind_null(stmt, 10);
    }

    ngx_trove_sqlite_bind_int(stmt, 11, row->status);
    ngx_trove_sqlite_bind_int(stmt, 12, row->earlier);

    return stmt;
}


void
ngx_trove_sqlite_row_wait(ngx_trove_sqlite_row_t *row, int64_t now)
{
    row->state = (row->attempts == 0) ? NGX_TROVE_SPOOL_NEW
                                      : NGX_TROVE_SPOOL_RETRY;
    row->due = now;
    row->owner = 0;
}


/*
 * A delivery that was cancelled, replayed, and leased again by this process is
 * leased by another reference.
 */

ngx_uint_t
ngx_trove_sqlite_row_ours(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_row_t *row, ngx_trove_spool_ref_t *ref)
{
    return row->state == NGX_TROVE_SPOOL_LEASED
           && row->owner == spool->owner
           && row->opened == ref->opened;
}
