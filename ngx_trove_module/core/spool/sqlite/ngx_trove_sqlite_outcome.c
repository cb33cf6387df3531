
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_subscription.h"


static ngx_int_t ngx_trove_sqlite_outcome_attempt(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_op_t *op,
    ngx_trove_sqlite_row_t *row, int64_t now, ngx_uint_t removed,
    ngx_uint_t notice);
static ngx_int_t ngx_trove_sqlite_attempt_add(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_row_t *row, ngx_str_t *reason, ngx_str_t *response);


ngx_int_t
ngx_trove_sqlite_outcome(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_op_t *op, ngx_uint_t notice)
{
    int64_t                     now;
    ngx_int_t                   rc;
    ngx_uint_t                  removed;
    ngx_trove_sqlite_row_t      row;
    ngx_trove_spool_outcome_t  *outcome;

    outcome = &op->u.outcome;
    outcome->disabled = 0;

    if (outcome->ref.file != spool->file) {
        op->result = NGX_TROVE_SPOOL_UNKNOWN;
        return NGX_OK;
    }

    rc = ngx_trove_sqlite_row_get(db, outcome->ref.id, &row);

    if (rc == NGX_DECLINED) {
        op->result = NGX_TROVE_SPOOL_UNKNOWN;
        return NGX_OK;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    op->result = ngx_trove_sqlite_row_ours(spool, &row, &outcome->ref)
                 ? NGX_TROVE_SPOOL_DONE : NGX_TROVE_SPOOL_LOST;

    now = ngx_trove_sqlite_now(spool);

    rc = ngx_trove_sqlite_removed_is(db, row.target);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    /* nothing may wait for a subscription that has been removed */

    removed = (rc == NGX_DECLINED);

    if (outcome->verdict != NGX_TROVE_SPOOL_RELEASED) {
        return ngx_trove_sqlite_outcome_attempt(spool, db, op, &row, now,
                                                removed, notice);
    }

    if (op->result == NGX_TROVE_SPOOL_LOST) {
        return NGX_OK;
    }

    if (removed) {
        row.state = NGX_TROVE_SPOOL_CANCELLED;
        row.ended = now;
        row.owner = 0;

    } else {
        ngx_trove_sqlite_row_wait(&row, now + outcome->delay);
    }

    return ngx_trove_sqlite_row_set(db, &row, NGX_TROVE_SPOOL_LEASED);
}


/*
 * The last attempt is stored in the row.  A successful one is stored only
 * there, so that the common case is a single write.  Any other is also stored
 * in the table of attempts.
 */

static ngx_int_t
ngx_trove_sqlite_outcome_attempt(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_op_t *op,
    ngx_trove_sqlite_row_t *row, int64_t now, ngx_uint_t removed,
    ngx_uint_t notice)
{
    ngx_uint_t                  delivered;
    ngx_trove_sqlite_cached_t  *cached;
    ngx_trove_spool_state_e     from;
    ngx_trove_spool_outcome_t  *outcome;

    outcome = &op->u.outcome;
    from = row->state;

    if (ngx_trove_sqlite_attempt_keep(db, row) != NGX_OK) {
        return NGX_ERROR;
    }

    row->attempts++;
    row->started = outcome->started;
    row->took = outcome->took;
    row->status = outcome->status;

    delivered = 0;

    if (op->result == NGX_TROVE_SPOOL_DONE) {

        row->owner = 0;
        row->ended = now;

        switch (outcome->verdict) {

        case NGX_TROVE_SPOOL_TO_DELIVERED:
            row->state = NGX_TROVE_SPOOL_DELIVERED;
            delivered = 1;
            break;

        case NGX_TROVE_SPOOL_TO_FAILED:
            row->state = NGX_TROVE_SPOOL_FAILED;
            break;

        default:
            row->state = removed ? NGX_TROVE_SPOOL_CANCELLED
                                 : NGX_TROVE_SPOOL_RETRY;
            row->due = now + outcome->delay;
        }

    } else {
        if (outcome->ref.opened != row->opened) {

            /* an attempt from before a replay does not count for the replay */

            row->earlier++;

        } else if (outcome->verdict == NGX_TROVE_SPOOL_TO_DELIVERED
                   && from != NGX_TROVE_SPOOL_DELIVERED)
        {
            /* successful delivery is recorded even without the lease */

            db->raise |= (from == NGX_TROVE_SPOOL_LEASED);

            row->owner = 0;
            row->ended = now;
            row->state = NGX_TROVE_SPOOL_DELIVERED;
            delivered = 1;
        }
    }

    if (!delivered
        && ngx_trove_sqlite_attempt_add(db, row, &outcome->reason,
                                        &outcome->response)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_trove_sqlite_row_set(db, row, from) != NGX_OK
        || ngx_trove_sqlite_cache_find_id(db, row->target, &cached) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (cached->subscription == 0) {
        return NGX_OK;
    }

    return ngx_trove_sqlite_health(spool, db, op, row->target,
                                   cached->subscription, notice);
}


ngx_int_t
ngx_trove_sqlite_attempt_keep(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_row_t *row)
{
    ngx_str_t  none;

    if (row->state != NGX_TROVE_SPOOL_DELIVERED || row->attempts == 0) {
        return NGX_OK;
    }

    ngx_str_null(&none);

    return ngx_trove_sqlite_attempt_add(db, row, &none, &none);
}


static ngx_int_t
ngx_trove_sqlite_attempt_add(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_row_t *row, ngx_str_t *reason, ngx_str_t *response)
{
    ngx_str_t      s;
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_ATTEMPT_ADD);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, row->id);
    (void) sqlite3_bind_int64(stmt, 2, row->attempts);
    (void) sqlite3_bind_int64(stmt, 3, row->started);
    (void) sqlite3_bind_int64(stmt, 4, row->took);

    ngx_trove_sqlite_bind_int(stmt, 5, row->status);

    s.data = reason->data;
    s.len = ngx_min(reason->len, NGX_TROVE_SPOOL_REASON_LEN);

    ngx_trove_sqlite_bind(stmt, 6, &s);

    if (response->data != NULL) {
        (void) sqlite3_bind_blob(stmt, 7, response->data,
                                 (int) ngx_min(response->len,
                                               NGX_TROVE_SPOOL_RESPONSE_LEN),
                                 SQLITE_STATIC);

    } else {
        (void) sqlite3_bind_null(stmt, 7);
    }

    if (ngx_trove_sqlite_run(db, stmt) != NGX_OK) {
        return NGX_ERROR;
    }

    if (row->attempts <= NGX_TROVE_SPOOL_ATTEMPTS) {
        return NGX_OK;
    }

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_ATTEMPT_TRIM);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, row->id);
    (void) sqlite3_bind_int64(stmt, 2,
                              row->attempts - NGX_TROVE_SPOOL_ATTEMPTS);

    return ngx_trove_sqlite_run(db, stmt);
}
