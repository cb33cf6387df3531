
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_subscription.h"


/*
 * Deliveries that are leased, but whose attempts have not begun, are in the
 * memory of a process.  A transaction that stops some of them raises the
 * generation in PATH-lock when it has been committed.  The processes then
 * confirm what is in their memory.
 */

static ngx_int_t ngx_trove_sqlite_confirm_all(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_op_t *ops);
static ngx_int_t ngx_trove_sqlite_confirm_ref(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_ref_t *ref,
    ngx_trove_spool_result_e *result);


/*
 * The mapping may be removed by another thread at any time, so its use is
 * protected.  The mutex is held for a few instructions only.
 */

uint64_t
ngx_trove_sqlite_generation(ngx_trove_spool_t *base)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    uint64_t  generation;

    (void) pthread_mutex_lock(&spool->generation_mutex);

    generation = spool->generation ? __atomic_load_n(spool->generation,
                                                     __ATOMIC_ACQUIRE)
                                   : 0;

    (void) pthread_mutex_unlock(&spool->generation_mutex);

    return generation;
}


ngx_int_t
ngx_trove_sqlite_confirm(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_op_t *ops)
{
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    if (ngx_trove_sqlite_moved(spool, db) != NGX_OK) {
        return NGX_ERROR;
    }

    /* before the rows are read: what raises it later is not seen in them */

    db->generation = __atomic_load_n(&spool->shared->generation,
                                     __ATOMIC_ACQUIRE);
    db->txn++;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_SNAPSHOT);

    if (stmt == NULL || ngx_trove_sqlite_run(db, stmt) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_trove_sqlite_confirm_all(spool, db, ops);

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_ROLLBACK);

    if (stmt == NULL) {
        return NGX_ERROR;
    }

    /* an error may have ended it */

    if (sqlite3_step(stmt) != SQLITE_DONE && rc == NGX_OK) {
        rc = ngx_trove_sqlite_db_fail(db, sqlite3_errcode(db->db), "ROLLBACK");
    }

    (void) sqlite3_reset(stmt);

    return rc;
}


static ngx_int_t
ngx_trove_sqlite_confirm_all(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_op_t *ops)
{
    ngx_uint_t                  i;
    ngx_trove_spool_op_t       *op;
    ngx_trove_spool_confirm_t  *confirm;

    for (op = ops; op; op = op->next) {

        if (op->type != NGX_TROVE_SPOOL_OP_CONFIRM) {
            continue;
        }

        confirm = &op->u.confirm;

        for (i = 0; i < confirm->nrefs; i++) {

            if (ngx_trove_sqlite_confirm_ref(spool, db, &confirm->refs[i],
                                             &confirm->results[i])
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }

        confirm->generation = db->generation;
        op->result = NGX_TROVE_SPOOL_DONE;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_confirm_ref(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_ref_t *ref,
    ngx_trove_spool_result_e *result)
{
    ngx_int_t                       rc;
    ngx_trove_sqlite_row_t          row;
    ngx_trove_sqlite_cached_t      *cached;
    ngx_trove_sqlite_subscriber_t   sub;

    *result = NGX_TROVE_SPOOL_UNKNOWN;

    if (ref->file != spool->file) {
        return NGX_OK;
    }

    rc = ngx_trove_sqlite_row_get(db, ref->id, &row);

    if (rc == NGX_DECLINED) {
        return NGX_OK;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    if (!ngx_trove_sqlite_row_ours(spool, &row, ref)) {
        *result = NGX_TROVE_SPOOL_LOST;
        return NGX_OK;
    }

    if (ngx_trove_sqlite_cache_get_id(db, row.target, &cached) != NGX_OK) {
        return NGX_ERROR;
    }

    *result = cached->paused ? NGX_TROVE_SPOOL_PAUSED : NGX_TROVE_SPOOL_DONE;

    if (cached->paused || cached->subscription == 0) {
        return NGX_OK;
    }

    rc = ngx_trove_sqlite_subscriber_get(db, cached->subscription, 0, &sub);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED || sub.removed) {
        *result = NGX_TROVE_SPOOL_LOST;

    } else if (sub.version != (int64_t) ref->version) {
        *result = NGX_TROVE_SPOOL_CHANGED;
    }

    return NGX_OK;
}
