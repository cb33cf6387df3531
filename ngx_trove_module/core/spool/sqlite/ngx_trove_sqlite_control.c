
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_query.h"
#include "ngx_trove_sqlite_subscription.h"


/*
 * The time that a control operation takes, microseconds: it delays the events
 * of the same transaction, and all other writers.
 */
#define NGX_TROVE_SQLITE_CONTROL  3000


static ngx_uint_t ngx_trove_sqlite_can(ngx_trove_spool_action_e action,
    ngx_trove_sqlite_row_t *row);
static ngx_int_t ngx_trove_sqlite_do(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_action_e action, ngx_trove_sqlite_row_t *row);
static ngx_int_t ngx_trove_sqlite_control_select(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_action_e action, ngx_trove_spool_filter_t *filter,
    int64_t *cursor, int64_t *ids, ngx_uint_t *n, ngx_uint_t max);
static ngx_int_t ngx_trove_sqlite_control_one(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_control_t *control, int64_t id,
    ngx_trove_sqlite_rows_t *rows);


ngx_int_t
ngx_trove_sqlite_control(ngx_trove_spool_t *base,
    ngx_trove_spool_action_e action, int64_t id, ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    ngx_int_t               rc;
    ngx_trove_sqlite_row_t  row;

    if (ngx_trove_sqlite_enter_txn(spool, error) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_trove_sqlite_row_get(&spool->writer, id, &row);

    if (rc == NGX_OK) {
        rc = ngx_trove_sqlite_can(action, &row)
             ? ngx_trove_sqlite_do(spool, action, &row) : NGX_BUSY;
    }

    return ngx_trove_sqlite_leave_txn(spool, rc);
}


static ngx_uint_t
ngx_trove_sqlite_can(ngx_trove_spool_action_e action,
    ngx_trove_sqlite_row_t *row)
{
    switch (action) {

    case NGX_TROVE_SPOOL_REPLAY:
    case NGX_TROVE_SPOOL_REPLAY_COUNT:
        return row->state != NGX_TROVE_SPOOL_LEASED;

    default:
        return ngx_trove_sqlite_pending(row->state);
    }
}


/* NGX_OK; NGX_DECLINED: there is no target for it any more; NGX_ERROR */

static ngx_int_t
ngx_trove_sqlite_do(ngx_trove_sqlite_t *spool, ngx_trove_spool_action_e action,
    ngx_trove_sqlite_row_t *row)
{
    int64_t                   now;
    ngx_int_t                 rc;
    ngx_trove_sqlite_db_t    *db;
    ngx_trove_spool_state_e   from;

    db = &spool->writer;
    now = ngx_trove_sqlite_now(spool);
    from = row->state;

    switch (action) {

    case NGX_TROVE_SPOOL_REPLAY:

        rc = ngx_trove_sqlite_removed_is(db, row->target);

        if (rc != NGX_OK) {
            return rc;
        }

        /* the next attempt will overwrite it in the row */

        if (ngx_trove_sqlite_attempt_keep(db, row) != NGX_OK) {
            return NGX_ERROR;
        }

        row->state = NGX_TROVE_SPOOL_RETRY;
        row->due = now;
        /* it identifies the window: see ngx_trove_sqlite_row_ours() */

        row->opened = ngx_max(now, row->opened + 1);
        row->earlier = row->attempts;
        break;

    case NGX_TROVE_SPOOL_CANCEL:
        db->raise |= (from == NGX_TROVE_SPOOL_LEASED);
        row->state = NGX_TROVE_SPOOL_CANCELLED;
        row->ended = now;
        break;

    default:
        return NGX_OK;
    }

    row->owner = 0;

    return ngx_trove_sqlite_row_set(db, row, from);
}


ngx_int_t
ngx_trove_sqlite_select(ngx_trove_spool_t *base,
    ngx_trove_spool_action_e action, ngx_trove_spool_filter_t *filter,
    int64_t *cursor, int64_t *ids, ngx_uint_t *n,
    ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    ngx_int_t               rc;
    ngx_uint_t              max;
    ngx_trove_sqlite_db_t  *db;

    max = ids ? *n : NGX_TROVE_SPOOL_SCAN;
    *n = 0;

    db = ngx_trove_sqlite_read(spool, error);
    if (db == NULL) {
        return NGX_ERROR;
    }

    switch (action) {

    case NGX_TROVE_SPOOL_PURGE:
    case NGX_TROVE_SPOOL_PURGE_COUNT:
        rc = ngx_trove_sqlite_purge_select(db, filter, cursor, ids, n, max);
        break;

    default:
        rc = ngx_trove_sqlite_control_select(db, action, filter, cursor, ids, n,
                                             max);
    }

    ngx_trove_sqlite_read_end(spool, db, rc);

    return (rc == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


/* NGX_OK; NGX_DONE: none within reach, see *cursor; NGX_ERROR */

static ngx_int_t
ngx_trove_sqlite_control_select(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_action_e action, ngx_trove_spool_filter_t *filter,
    int64_t *cursor, int64_t *ids, ngx_uint_t *n, ngx_uint_t max)
{
    ngx_int_t                rc;
    ngx_trove_sqlite_scan_t  scan;

    rc = ngx_trove_sqlite_scan(db, filter, *cursor, &scan);

    while (rc == NGX_OK && *n < max) {

        rc = ngx_trove_sqlite_scan_next(&scan);

        if (rc == NGX_OK && ngx_trove_sqlite_can(action, &scan.row)) {

            if (ids) {
                ids[*n] = scan.row.id;
            }

            (*n)++;
        }
    }

    if (rc != NGX_ERROR) {
        *cursor = scan.cursor;
    }

    ngx_trove_sqlite_scan_end(&scan);

    return rc;
}


ngx_int_t
ngx_trove_sqlite_control_op(ngx_trove_sqlite_t *spool, ngx_trove_spool_op_t *op)
{
    int64_t                     start;
    ngx_int_t                   rc;
    ngx_trove_sqlite_rows_t     rows;
    ngx_trove_spool_control_t  *control;

    control = &op->u.control;

    control->done = 0;
    control->changed = 0;

    start = ngx_trove_sqlite_elapsed();

    while (control->done < control->nids) {

        rc = ngx_trove_sqlite_control_one(spool, control,
                                          control->ids[control->done++], &rows);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        control->changed += (rc == NGX_OK);

        if (ngx_trove_sqlite_elapsed() - start > NGX_TROVE_SQLITE_CONTROL) {
            break;
        }
    }

    op->result = NGX_TROVE_SPOOL_DONE;

    return NGX_OK;
}


/* NGX_OK: changed; NGX_DECLINED: skipped; NGX_ERROR */

static ngx_int_t
ngx_trove_sqlite_control_one(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_control_t *control, int64_t id,
    ngx_trove_sqlite_rows_t *rows)
{
    ngx_int_t               rc;
    ngx_trove_sqlite_row_t  row;

    if (control->action == NGX_TROVE_SPOOL_PURGE) {
        return ngx_trove_sqlite_purge(&spool->writer, id, control->states,
                                      rows);
    }

    rc = ngx_trove_sqlite_row_get(&spool->writer, id, &row);

    if (rc != NGX_OK) {
        return rc;
    }

    if ((control->states != 0
         && !(ngx_trove_spool_mask(row.state & 0x1f) & control->states))
        || !ngx_trove_sqlite_can(control->action, &row))
    {
        return NGX_DECLINED;
    }

    return ngx_trove_sqlite_do(spool, control->action, &row);
}


ngx_int_t
ngx_trove_sqlite_pause(ngx_trove_spool_t *base,
    ngx_trove_spool_target_t *target, ngx_uint_t paused,
    ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    ngx_int_t                  rc;
    sqlite3_stmt              *stmt;
    ngx_trove_sqlite_db_t     *db;
    ngx_trove_sqlite_cached_t  *cached;

    if (ngx_trove_sqlite_enter_txn(spool, error) != NGX_OK) {
        return NGX_ERROR;
    }

    db = &spool->writer;
    rc = NGX_ERROR;

    if (target->route.data != NULL
        && ngx_trove_sqlite_cache_get(db, target, 1, &cached) != NGX_OK)
    {
        goto done;
    }

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_TARGET_PAUSE);
    if (stmt == NULL) {
        goto done;
    }

    (void) sqlite3_bind_int(stmt, 1, paused ? 1 : 0);

    ngx_trove_sqlite_bind(stmt, 2, &target->name);
    ngx_trove_sqlite_bind(stmt, 3, &target->route);

    rc = ngx_trove_sqlite_run(db, stmt);

    if (rc == NGX_OK && sqlite3_changes(db->db) == 0) {
        rc = NGX_DECLINED;
    }

    db->raise = (rc == NGX_OK);

done:

    return ngx_trove_sqlite_leave_txn(spool, rc);
}


ngx_int_t
ngx_trove_sqlite_forget(ngx_trove_spool_t *base, u_char *key,
    ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    int64_t                 number;
    ngx_int_t               rc;
    sqlite3_stmt           *stmt;
    ngx_trove_sqlite_db_t  *db;

    if (ngx_trove_sqlite_enter_txn(spool, error) != NGX_OK) {
        return NGX_ERROR;
    }

    db = &spool->writer;

    rc = ngx_trove_sqlite_key_find(spool, db, key, &number);

    if (rc == NGX_OK) {

        stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_EVENT_FORGET);

        if (stmt == NULL) {
            rc = NGX_ERROR;

        } else {
            (void) sqlite3_bind_int64(stmt, 1, number);
            rc = ngx_trove_sqlite_run(db, stmt);
        }

        db->state.stale++;
        db->state.dirty = 1;
    }

    return ngx_trove_sqlite_leave_txn(spool, rc);
}
