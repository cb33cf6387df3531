
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_query.h"


/* milliseconds by which events may deviate from the order of their numbers */
#define NGX_TROVE_SQLITE_SLACK  60000


static ngx_int_t ngx_trove_sqlite_scan_bounds(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_filter_t *filter, int64_t *low, int64_t *high);
static ngx_trove_sqlite_sql_e ngx_trove_sqlite_scan_by(
    ngx_trove_sqlite_db_t *db, ngx_uint_t states);
static ngx_uint_t ngx_trove_sqlite_scan_few(ngx_trove_sqlite_db_t *db);
static ngx_int_t ngx_trove_sqlite_scan_ident(ngx_trove_sqlite_scan_t *scan,
    ngx_trove_sqlite_sql_e sql, ngx_trove_sqlite_sql_e then, int shift,
    int64_t low, int64_t high);
static ngx_int_t ngx_trove_sqlite_scan_start(ngx_trove_sqlite_scan_t *scan,
    ngx_trove_sqlite_sql_e sql, int64_t low, int64_t high);
static ngx_int_t ngx_trove_sqlite_scan_step(ngx_trove_sqlite_scan_t *scan);


ngx_int_t
ngx_trove_sqlite_scan(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_filter_t *filter, int64_t cursor,
    ngx_trove_sqlite_scan_t *scan)
{
    int64_t  low, high;

    ngx_memzero(scan, sizeof(ngx_trove_sqlite_scan_t));

    scan->db = db;
    scan->filter = filter;

    if (ngx_trove_sqlite_scan_bounds(db, filter, &low, &high) != NGX_OK) {
        return NGX_ERROR;
    }

    low <<= 16;
    high = (high > INT64_MAX >> 16) ? INT64_MAX : high << 16;

    if (cursor != 0) {
        high = ngx_min(high, cursor);
    }

    if (filter->id.data != NULL) {
        return ngx_trove_sqlite_scan_ident(scan,
                                           NGX_TROVE_SQLITE_SQL_DELIVERY_SCAN,
                                           NGX_TROVE_SQLITE_SQL_DELIVERY_IDENT,
                                           16, low, high);
    }

    return ngx_trove_sqlite_scan_start(scan,
                                       ngx_trove_sqlite_scan_by(db,
                                                               filter->states),
                                       low, high);
}


ngx_int_t
ngx_trove_sqlite_scan_events(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_filter_t *filter, int64_t cursor,
    ngx_trove_sqlite_scan_t *scan)
{
    int64_t  low, high;

    ngx_memzero(scan, sizeof(ngx_trove_sqlite_scan_t));

    scan->db = db;
    scan->filter = filter;

    if (ngx_trove_sqlite_scan_bounds(db, filter, &low, &high) != NGX_OK) {
        return NGX_ERROR;
    }

    if (cursor != 0) {
        high = ngx_min(high, cursor);
    }

    if (filter->id.data != NULL) {
        return ngx_trove_sqlite_scan_ident(scan,
                                           NGX_TROVE_SQLITE_SQL_EVENT_SCAN,
                                           NGX_TROVE_SQLITE_SQL_EVENT_IDENT,
                                           0, low, high);
    }

    return ngx_trove_sqlite_scan_start(scan, NGX_TROVE_SQLITE_SQL_EVENT_SCAN,
                                       low, high);
}


/*
 * Finds the numbers of the events between the times of a filter.  There is no
 * index of times, but events are received nearly in the order of their
 * numbers.  After a step of the clock, a list by times may miss some events.
 */

static ngx_int_t
ngx_trove_sqlite_scan_bounds(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_filter_t *filter, int64_t *low, int64_t *high)
{
    *low = 0;
    *high = INT64_MAX;

    if (filter->since != 0) {
        *low = ngx_trove_sqlite_scan_seek(db, filter->since
                                              - NGX_TROVE_SQLITE_SLACK);
    }

    if (filter->until != 0) {
        *high = ngx_trove_sqlite_scan_seek(db, filter->until
                                              + NGX_TROVE_SQLITE_SLACK);
    }

    return (*low == -1 || *high == -1) ? NGX_ERROR : NGX_OK;
}


int64_t
ngx_trove_sqlite_scan_seek(ngx_trove_sqlite_db_t *db, int64_t received)
{
    int64_t        low, high, middle;
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    low = 1;
    high = ngx_trove_sqlite_get(db, NGX_TROVE_SQLITE_SQL_STATE);

    if (high == -1) {
        return -1;
    }

    high++;

    while (low < high) {

        middle = low + (high - low) / 2;

        stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_EVENT_FROM);
        if (stmt == NULL) {
            return -1;
        }

        (void) sqlite3_bind_int64(stmt, 1, middle);
        (void) sqlite3_bind_int(stmt, 2, 1);

        rc = ngx_trove_sqlite_step(db, stmt);

        if (rc == NGX_ERROR) {
            return -1;
        }

        if (rc == NGX_DONE || sqlite3_column_int64(stmt, 1) >= received) {
            high = middle;

        } else {
            low = sqlite3_column_int64(stmt, 0) + 1;
        }

        (void) sqlite3_reset(stmt);
    }

    return low;
}


/* selects an index, if there is one for few rows among many */

static ngx_trove_sqlite_sql_e
ngx_trove_sqlite_scan_by(ngx_trove_sqlite_db_t *db, ngx_uint_t states)
{
    if (states == 0) {
        return NGX_TROVE_SQLITE_SQL_DELIVERY_SCAN;
    }

    if ((states & ~NGX_TROVE_SPOOL_PENDING) == 0
        && ngx_trove_sqlite_scan_few(db))
    {
        return NGX_TROVE_SQLITE_SQL_DELIVERY_PENDING;
    }

    if (states == ngx_trove_spool_mask(NGX_TROVE_SPOOL_FAILED)) {
        return NGX_TROVE_SQLITE_SQL_DELIVERY_FAILED;
    }

    return NGX_TROVE_SQLITE_SQL_DELIVERY_SCAN;
}


/*
 * The index of pending deliveries is not sorted by their ids.  Each call would
 * sort all of them, so that a list of many took quadratic time.
 */

static ngx_uint_t
ngx_trove_sqlite_scan_few(ngx_trove_sqlite_db_t *db)
{
    ngx_uint_t     few;
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_DELIVERY_FEW);
    if (stmt == NULL) {
        return 0;
    }

    (void) sqlite3_bind_int(stmt, 1, NGX_TROVE_SPOOL_SCAN);

    few = (ngx_trove_sqlite_step(db, stmt) == NGX_OK
           && sqlite3_column_int(stmt, 0) < NGX_TROVE_SPOOL_SCAN);

    (void) sqlite3_reset(stmt);

    return few;
}


/* the latest events are examined one by one, the others found by the index */

static ngx_int_t
ngx_trove_sqlite_scan_ident(ngx_trove_sqlite_scan_t *scan,
    ngx_trove_sqlite_sql_e sql, ngx_trove_sqlite_sql_e then, int shift,
    int64_t low, int64_t high)
{
    int64_t  first;

    if (ngx_trove_sqlite_ident_hash(scan->db, &scan->filter->id, &scan->hash,
                                    &first)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    first = (first + 1) << shift;

    if (low < first) {
        scan->then = then;
        scan->low = low;
        scan->high = ngx_min(high, first);
    }

    return ngx_trove_sqlite_scan_start(scan, sql, ngx_max(low, first), high);
}


static ngx_int_t
ngx_trove_sqlite_scan_start(ngx_trove_sqlite_scan_t *scan,
    ngx_trove_sqlite_sql_e sql, int64_t low, int64_t high)
{
    scan->stmt = ngx_trove_sqlite_sql(scan->db, sql);
    if (scan->stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(scan->stmt, 1, high);
    (void) sqlite3_bind_int64(scan->stmt, 2, low);
    (void) sqlite3_bind_int64(scan->stmt, 3,
                              NGX_TROVE_SPOOL_SCAN - scan->scanned);

    return NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_scan_step(ngx_trove_sqlite_scan_t *scan)
{
    ngx_int_t               rc;
    ngx_trove_sqlite_sql_e  then;

    rc = ngx_trove_sqlite_step(scan->db, scan->stmt);

    if (rc == NGX_DONE && scan->then && scan->scanned < NGX_TROVE_SPOOL_SCAN) {

        then = scan->then;
        scan->then = 0;

        if (ngx_trove_sqlite_scan_start(scan, then, scan->low, scan->high)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        (void) sqlite3_bind_int64(scan->stmt, 4, scan->hash);

        rc = ngx_trove_sqlite_step(scan->db, scan->stmt);
    }

    if (rc == NGX_OK) {
        scan->scanned++;
        scan->cursor = sqlite3_column_int64(scan->stmt, 0);

    } else if (rc == NGX_DONE && scan->scanned < NGX_TROVE_SPOOL_SCAN) {
        scan->cursor = 0;
    }

    return rc;
}


ngx_int_t
ngx_trove_sqlite_scan_next(ngx_trove_sqlite_scan_t *scan)
{
    ngx_int_t                  rc;
    ngx_uint_t                 states;
    ngx_trove_spool_filter_t  *filter;

    filter = scan->filter;

    states = filter->states ? filter->states : NGX_MAX_UINT32_VALUE;

    for ( ;; ) {
        rc = ngx_trove_sqlite_scan_step(scan);

        if (rc != NGX_OK) {
            return rc;
        }

        ngx_trove_sqlite_row_read(scan->stmt, &scan->row);

        if (!(ngx_trove_spool_mask(scan->row.state & 0x1f) & states)) {
            continue;
        }

        if (ngx_trove_sqlite_cache_get_id(scan->db, scan->row.target,
                                          &scan->cached)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (!ngx_trove_spool_match_one(&filter->target,
                                       &scan->cached->target.name))
        {
            continue;
        }

        rc = ngx_trove_sqlite_scan_head(scan);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_OK && ngx_trove_spool_match(filter, &scan->event)) {
            return NGX_OK;
        }
    }
}


ngx_int_t
ngx_trove_sqlite_scan_head(ngx_trove_sqlite_scan_t *scan)
{
    int64_t        number;
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    number = ngx_trove_spool_event_of(scan->row.id);

    if (scan->event.number == number) {
        return NGX_OK;
    }

    if (scan->removed == number) {
        return NGX_DECLINED;
    }

    stmt = ngx_trove_sqlite_sql(scan->db, NGX_TROVE_SQLITE_SQL_EVENT_HEAD);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    /* its strings are valid until it is reset */

    scan->event.number = 0;

    (void) sqlite3_reset(stmt);
    (void) sqlite3_bind_int64(stmt, 1, number);

    rc = ngx_trove_sqlite_step(scan->db, stmt);

    if (rc == NGX_DONE) {

        rc = ngx_trove_sqlite_event_removed(scan->db, number);

        if (rc == NGX_OK) {
            scan->removed = number;
            return NGX_DECLINED;
        }

        if (rc == NGX_DECLINED) {
            (void) ngx_trove_spool_fail(scan->db->error,
                                        NGX_TROVE_SPOOL_CORRUPT, 0,
                                        "a delivery has no row in \"event\"");
        }

        return NGX_ERROR;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_trove_sqlite_event_row(stmt, 0, &scan->event);

    return NGX_OK;
}


ngx_int_t
ngx_trove_sqlite_scan_next_event(ngx_trove_sqlite_scan_t *scan)
{
    ngx_int_t  rc;

    for ( ;; ) {
        rc = ngx_trove_sqlite_scan_step(scan);

        if (rc != NGX_OK) {
            return rc;
        }

        /* a body may be large, and is read only for matching events */

        ngx_trove_sqlite_event_row(scan->stmt, 0, &scan->event);

        if (ngx_trove_spool_match(scan->filter, &scan->event)) {

            if (!scan->heads) {
                ngx_trove_sqlite_event_row(scan->stmt, 1, &scan->event);
            }

            return NGX_OK;
        }
    }
}


void
ngx_trove_sqlite_scan_end(ngx_trove_sqlite_scan_t *scan)
{
    sqlite3_stmt  *stmt;

    if (scan->stmt != NULL) {
        (void) sqlite3_reset(scan->stmt);
    }

    stmt = scan->db->stmts[NGX_TROVE_SQLITE_SQL_EVENT_HEAD];

    if (stmt != NULL) {
        (void) sqlite3_reset(stmt);
    }
}
