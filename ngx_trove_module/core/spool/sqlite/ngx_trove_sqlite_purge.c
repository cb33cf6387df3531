
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_query.h"


/*
 * Purging of events by a filter.  Events are found by their deliveries if the
 * filter has members for these, and otherwise by themselves, since an event may
 * have none.  Ids and cursors are those of deliveries in both cases.  Without a
 * delivery, that of an event is the id of its first one.
 */

/* the time of a search, microseconds: an event may have many deliveries */
#define NGX_TROVE_SQLITE_PURGE_TIME  50000


static ngx_int_t ngx_trove_sqlite_purge_ended(ngx_trove_sqlite_db_t *db,
    int64_t event);
static ngx_int_t ngx_trove_sqlite_purge_get(ngx_trove_sqlite_db_t *db,
    int64_t event, ngx_uint_t *key);


ngx_int_t
ngx_trove_sqlite_purge_select(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_filter_t *filter, int64_t *cursor, int64_t *ids,
    ngx_uint_t *n, ngx_uint_t max)
{
    int64_t                  start, last, high;
    ngx_int_t                rc;
    ngx_uint_t               deliveries;
    ngx_trove_sqlite_scan_t  scan;

    deliveries = (filter->states != 0 || filter->target.data != NULL);

    if (deliveries) {
        rc = ngx_trove_sqlite_scan(db, filter, *cursor, &scan);

    } else {
        high = (*cursor >> 16) + ((*cursor & 0xffff) != 0);

        rc = ngx_trove_sqlite_scan_events(db, filter, high, &scan);
        scan.heads = 1;
    }

    start = ngx_trove_sqlite_elapsed();
    last = 0;

    while (rc == NGX_OK
           && *n < max
           && ngx_trove_sqlite_elapsed() - start < NGX_TROVE_SQLITE_PURGE_TIME)
    {
        rc = deliveries ? ngx_trove_sqlite_scan_next(&scan)
                        : ngx_trove_sqlite_scan_next_event(&scan);

        if (rc != NGX_OK) {
            break;
        }

        /* several deliveries of an event may match */

        if (scan.event.number == last) {
            continue;
        }

        last = scan.event.number;

        rc = ngx_trove_sqlite_purge_ended(db, last);

        if (rc == NGX_DECLINED) {
            rc = NGX_OK;
            continue;
        }

        if (rc == NGX_OK) {

            if (ids) {
                ids[*n] = deliveries ? scan.row.id : last << 16;
            }

            (*n)++;
        }
    }

    if (rc != NGX_ERROR) {

        *cursor = deliveries ? scan.cursor : scan.cursor << 16;

        /* the next call must not count the event again */

        if (*cursor && ngx_trove_spool_event_of(*cursor) == last) {
            *cursor = last << 16;
        }
    }

    ngx_trove_sqlite_scan_end(&scan);

    return rc;
}


/* NGX_OK; NGX_DECLINED: the event has a pending delivery; NGX_ERROR */

static ngx_int_t
ngx_trove_sqlite_purge_ended(ngx_trove_sqlite_db_t *db, int64_t event)
{
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_DELIVERY_WAITS);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, event);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    (void) sqlite3_reset(stmt);

    return (rc == NGX_DONE) ? NGX_OK : NGX_DECLINED;
}


/*
 * Between the search and this transaction, a delivery may have been replayed,
 * and may even have ended again, and the event may have been pruned.
 */

ngx_int_t
ngx_trove_sqlite_purge(ngx_trove_sqlite_db_t *db, int64_t id, ngx_uint_t states,
    ngx_trove_sqlite_rows_t *rows)
{
    int64_t                  event;
    ngx_int_t                rc;
    ngx_uint_t               i, key, matches;
    ngx_trove_sqlite_row_t  *row, one;

    event = ngx_trove_spool_event_of(id);

    rc = ngx_trove_sqlite_purge_get(db, event, &key);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_trove_sqlite_remove_rows(db, event, rows) != NGX_OK) {
        return NGX_ERROR;
    }

    matches = (states == 0);

    if (rows->more) {

        rc = ngx_trove_sqlite_purge_ended(db, event);

        if (rc != NGX_OK) {
            return rc;
        }

        rc = ngx_trove_sqlite_row_get(db, id, &one);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_OK && (ngx_trove_spool_mask(one.state & 0x1f) & states)) {
            matches = 1;
        }
    }

    for (i = 0; i < rows->n; i++) {

        row = &rows->rows[i];

        if (ngx_trove_sqlite_pending(row->state)) {
            return NGX_DECLINED;
        }

        if (row->id == id
            && (ngx_trove_spool_mask(row->state & 0x1f) & states))
        {
            matches = 1;
        }
    }

    return matches ? ngx_trove_sqlite_remove(db, event, key, rows)
                   : NGX_DECLINED;
}


/* NGX_OK; NGX_DECLINED: there is no such event; NGX_ERROR */

static ngx_int_t
ngx_trove_sqlite_purge_get(ngx_trove_sqlite_db_t *db, int64_t event,
    ngx_uint_t *key)
{
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_EVENT_FROM);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, event);
    (void) sqlite3_bind_int(stmt, 2, 1);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc != NGX_OK) {
        return (rc == NGX_DONE) ? NGX_DECLINED : NGX_ERROR;
    }

    /* that of the event, or of the next one if there is none */

    if (sqlite3_column_int64(stmt, 0) != event) {
        rc = NGX_DECLINED;
    }

    *key = sqlite3_column_int(stmt, 2);

    (void) sqlite3_reset(stmt);

    return rc;
}
