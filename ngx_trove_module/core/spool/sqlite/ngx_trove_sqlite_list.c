
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_query.h"


/* a list being built */
typedef struct {
    ngx_trove_sqlite_db_t         *db;
    ngx_trove_spool_deliveries_t  *list;
    ngx_uint_t                     alloc;
    ngx_uint_t                     all;          /* attempts */
    int64_t                        ahead;        /* wall of spool clock */
    ngx_trove_spool_event_t       *event;        /* the last one */
} ngx_trove_sqlite_list_t;


static ngx_int_t ngx_trove_sqlite_list_init(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_list_t *list, ngx_uint_t n,
    ngx_uint_t all);
static ngx_trove_spool_deliveries_t *ngx_trove_sqlite_list_by(
    ngx_trove_sqlite_t *spool, ngx_trove_sqlite_sql_e sql, int64_t key,
    ngx_trove_spool_error_t *error);
static ngx_int_t ngx_trove_sqlite_list_rows(ngx_trove_sqlite_list_t *list,
    sqlite3_stmt *stmt);
static ngx_int_t ngx_trove_sqlite_list_add(ngx_trove_sqlite_list_t *list,
    ngx_trove_sqlite_scan_t *scan);
static ngx_int_t ngx_trove_sqlite_list_history(ngx_trove_sqlite_list_t *list,
    ngx_trove_sqlite_row_t *row, ngx_trove_spool_delivery_t *delivery);
static ngx_int_t ngx_trove_sqlite_list_attempt(ngx_trove_sqlite_list_t *list,
    sqlite3_stmt *stmt, ngx_trove_spool_attempt_t *attempt);


ngx_trove_spool_deliveries_t *
ngx_trove_sqlite_deliveries(ngx_trove_spool_t *base,
    ngx_trove_spool_filter_t *filter, int64_t cursor, ngx_uint_t limit,
    ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    ngx_int_t                rc;
    ngx_trove_sqlite_db_t   *db;
    ngx_trove_sqlite_list_t  list;
    ngx_trove_sqlite_scan_t  scan;

    db = ngx_trove_sqlite_read(spool, error);
    if (db == NULL) {
        return NULL;
    }

    limit = ngx_max(1, ngx_min(limit, NGX_TROVE_SPOOL_SCAN));

    rc = ngx_trove_sqlite_list_init(spool, db, &list, limit, 0);

    if (rc != NGX_OK) {
        goto done;
    }

    rc = ngx_trove_sqlite_scan(list.db, filter, cursor, &scan);

    while (rc == NGX_OK && list.list->n < limit) {

        rc = ngx_trove_sqlite_scan_next(&scan);

        if (rc == NGX_OK) {
            rc = ngx_trove_sqlite_list_add(&list, &scan);
        }
    }

    list.list->next = scan.cursor;

    ngx_trove_sqlite_scan_end(&scan);

done:

    ngx_trove_sqlite_read_end(spool, db, rc);

    if (rc == NGX_ERROR) {
        ngx_trove_spool_free(list.list);
        return NULL;
    }

    return list.list;
}


ngx_trove_spool_deliveries_t *
ngx_trove_sqlite_delivery(ngx_trove_spool_t *base, int64_t id,
    ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    return ngx_trove_sqlite_list_by(spool, NGX_TROVE_SQLITE_SQL_DELIVERY, id,
                                    error);
}


ngx_trove_spool_deliveries_t *
ngx_trove_sqlite_event_deliveries(ngx_trove_spool_t *base, int64_t number,
    ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    return ngx_trove_sqlite_list_by(spool, NGX_TROVE_SQLITE_SQL_DELIVERY_OF,
                                    number, error);
}


static ngx_trove_spool_deliveries_t *
ngx_trove_sqlite_list_by(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_sql_e sql,
    int64_t key, ngx_trove_spool_error_t *error)
{
    ngx_int_t                rc;
    sqlite3_stmt            *stmt;
    ngx_trove_sqlite_db_t   *db;
    ngx_trove_sqlite_list_t  list;

    db = ngx_trove_sqlite_read(spool, error);
    if (db == NULL) {
        return NULL;
    }

    rc = ngx_trove_sqlite_list_init(spool, db, &list, 1, 1);

    if (rc == NGX_OK) {
        stmt = ngx_trove_sqlite_sql(list.db, sql);

        if (stmt == NULL) {
            rc = NGX_ERROR;

        } else {
            (void) sqlite3_bind_int64(stmt, 1, key);
            rc = ngx_trove_sqlite_list_rows(&list, stmt);
        }
    }

    ngx_trove_sqlite_read_end(spool, db, rc);

    if (rc == NGX_ERROR) {
        ngx_trove_spool_free(list.list);
        return NULL;
    }

    return list.list;
}


static ngx_int_t
ngx_trove_sqlite_list_rows(ngx_trove_sqlite_list_t *list, sqlite3_stmt *stmt)
{
    ngx_int_t                rc;
    ngx_trove_sqlite_scan_t  scan;

    ngx_memzero(&scan, sizeof(ngx_trove_sqlite_scan_t));

    scan.db = list->db;

    for ( ;; ) {
        rc = ngx_trove_sqlite_step(list->db, stmt);

        if (rc != NGX_OK) {
            break;
        }

        ngx_trove_sqlite_row_read(stmt, &scan.row);

        rc = ngx_trove_sqlite_scan_head(&scan);

        if (rc == NGX_DECLINED) {
            continue;
        }

        if (rc == NGX_ERROR
            || ngx_trove_sqlite_cache_get_id(scan.db, scan.row.target,
                                             &scan.cached)
               != NGX_OK
            || ngx_trove_sqlite_list_add(list, &scan) != NGX_OK)
        {
            (void) sqlite3_reset(stmt);
            rc = NGX_ERROR;
            break;
        }
    }

    ngx_trove_sqlite_scan_end(&scan);

    return rc;
}


static ngx_int_t
ngx_trove_sqlite_list_init(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_list_t *list, ngx_uint_t n,
    ngx_uint_t all)
{
    ngx_memzero(list, sizeof(ngx_trove_sqlite_list_t));

    list->db = db;
    list->alloc = n;
    list->all = all;
    list->ahead = ngx_trove_sqlite_wall(spool) - ngx_trove_sqlite_now(spool);

    list->list = ngx_trove_sqlite_read_alloc(list->db, NULL,
                                         sizeof(ngx_trove_spool_deliveries_t));
    if (list->list == NULL) {
        return NGX_ERROR;
    }

    list->list->deliveries = ngx_trove_sqlite_read_alloc(list->db, list->list,
                                       n * sizeof(ngx_trove_spool_delivery_t));

    return (list->list->deliveries == NULL) ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_list_add(ngx_trove_sqlite_list_t *list,
    ngx_trove_sqlite_scan_t *scan)
{
    ngx_trove_sqlite_row_t      *row;
    ngx_trove_spool_delivery_t  *delivery;

    row = &scan->row;

    /* the state is used as an array index by the caller */

    if ((ngx_uint_t) row->state >= NGX_TROVE_SPOOL_STATES) {
        return ngx_trove_spool_fail(list->db->error, NGX_TROVE_SPOOL_CORRUPT,
                                    0, "a delivery has the invalid state %d",
                                    (int) row->state);
    }

    if (list->list->n == list->alloc) {

        /* deliveries of an event: the old array is freed with the result */

        list->alloc *= 2;

        delivery = ngx_trove_sqlite_read_alloc(list->db, list->list,
                             list->alloc * sizeof(ngx_trove_spool_delivery_t));
        if (delivery == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(delivery, list->list->deliveries,
                   list->list->n * sizeof(ngx_trove_spool_delivery_t));

        list->list->deliveries = delivery;
    }

    if (list->event == NULL || list->event->number != scan->event.number) {

        list->event = ngx_trove_sqlite_read_alloc(list->db, list->list,
                                              sizeof(ngx_trove_spool_event_t));

        if (list->event == NULL
            || ngx_trove_sqlite_read_event(list->db, list->list, list->event,
                                           &scan->event)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    delivery = &list->list->deliveries[list->list->n++];

    delivery->id = row->id;
    delivery->state = row->state;
    delivery->attempts = row->attempts;
    delivery->due = list->ahead + (ngx_trove_sqlite_pending(row->state)
                                   ? row->due : row->ended);
    delivery->opened = row->opened + list->ahead;
    delivery->paused = scan->cached->paused ? 1 : 0;
    delivery->event = list->event;

    if (ngx_trove_sqlite_read_string(list->db, list->list,
                                     &delivery->target.route,
                                     &scan->cached->target.route)
        != NGX_OK
        || ngx_trove_sqlite_read_string(list->db, list->list,
                                        &delivery->target.name,
                                        &scan->cached->target.name)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_trove_sqlite_list_history(list, row, delivery);
}


/* the last attempt is in the row, and possibly nowhere else */

static ngx_int_t
ngx_trove_sqlite_list_history(ngx_trove_sqlite_list_t *list,
    ngx_trove_sqlite_row_t *row, ngx_trove_spool_delivery_t *delivery)
{
    ngx_int_t                   rc;
    ngx_uint_t                  n, last;
    sqlite3_stmt               *stmt;
    ngx_trove_spool_attempt_t  *attempt;

    if (row->attempts == 0) {
        return NGX_OK;
    }

    n = list->all ? ngx_min(row->attempts, NGX_TROVE_SPOOL_ATTEMPTS) + 1 : 1;

    delivery->history = ngx_trove_sqlite_read_alloc(list->db, list->list,
                                        n * sizeof(ngx_trove_spool_attempt_t));
    if (delivery->history == NULL) {
        return NGX_ERROR;
    }

    stmt = ngx_trove_sqlite_sql(list->db, list->all
                                         ? NGX_TROVE_SQLITE_SQL_ATTEMPTS
                                         : NGX_TROVE_SQLITE_SQL_ATTEMPT);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, row->id);

    if (!list->all) {
        (void) sqlite3_bind_int64(stmt, 2, row->attempts);
    }

    last = 0;

    for ( ;; ) {
        rc = ngx_trove_sqlite_step(list->db, stmt);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DONE) {
            break;
        }

        if (delivery->nhistory == n) {
            (void) sqlite3_reset(stmt);
            break;
        }

        attempt = &delivery->history[delivery->nhistory++];

        if (ngx_trove_sqlite_list_attempt(list, stmt, attempt) != NGX_OK) {
            (void) sqlite3_reset(stmt);
            return NGX_ERROR;
        }

        last = attempt->n;
    }

    if (last != (ngx_uint_t) row->attempts && delivery->nhistory < n) {

        attempt = &delivery->history[delivery->nhistory++];

        attempt->n = row->attempts;
        attempt->started = row->started;
        attempt->took = row->took;
        attempt->status = row->status;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_list_attempt(ngx_trove_sqlite_list_t *list, sqlite3_stmt *stmt,
    ngx_trove_spool_attempt_t *attempt)
{
    ngx_str_t  reason, response;

    attempt->n = sqlite3_column_int64(stmt, 0);
    attempt->started = sqlite3_column_int64(stmt, 1);
    attempt->took = sqlite3_column_int64(stmt, 2);
    attempt->status = sqlite3_column_int64(stmt, 3);

    ngx_trove_sqlite_column(stmt, 4, &reason);
    ngx_trove_sqlite_column(stmt, 5, &response);

    if (ngx_trove_sqlite_read_string(list->db, list->list, &attempt->reason,
                                     &reason)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_trove_sqlite_read_string(list->db, list->list,
                                        &attempt->response, &response);
}
