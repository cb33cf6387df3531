
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_db.h"


/*
 * Lookup of due deliveries.  The index of pending deliveries is by target,
 * state and due time.  So due deliveries of a target, separately for first
 * attempts and retries, are found immediately, however large the backlog of
 * this or any other target is.
 */

/* groups of ..._ROWS rows repaired for a target per call */
#define NGX_TROVE_SQLITE_REPAIRS   4

/* milliseconds between searches for impossible due times */
#define NGX_TROVE_SQLITE_CLAMP     1000

/* rows per transaction that voids leases */
#define NGX_TROVE_SQLITE_VOID      4096


static sqlite3_stmt *ngx_trove_sqlite_lease_late(
    ngx_trove_sqlite_taking_t *taking, ngx_uint_t want,
    ngx_trove_sqlite_cached_t *cached, ngx_trove_spool_state_e state);
static ngx_int_t ngx_trove_sqlite_lease_is_late(
    ngx_trove_sqlite_taking_t *taking, ngx_uint_t want,
    ngx_trove_sqlite_cached_t *cached);
static ngx_int_t ngx_trove_sqlite_lease_wait(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_row_t *rows, ngx_uint_t n, int64_t now);
static ngx_int_t ngx_trove_sqlite_lease_void_target(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, int64_t target);


void
ngx_trove_sqlite_lease_init(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_op_t *op,
    ngx_trove_sqlite_taking_t *taking)
{
    ngx_memzero(taking, sizeof(ngx_trove_sqlite_taking_t));

    taking->spool = spool;
    taking->db = db;
    taking->lease = &op->u.lease;
    taking->now = ngx_trove_sqlite_now(spool);

    taking->clamp = (ngx_trove_sqlite_mono(spool) - spool->clamped
                     >= NGX_TROVE_SQLITE_CLAMP);

    taking->lease->n = 0;
    taking->lease->next = -1;
}


ngx_int_t
ngx_trove_sqlite_lease_peek(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_op_t *op)
{
    ngx_int_t                   rc;
    ngx_uint_t                  i;
    ngx_trove_sqlite_taking_t   taking;
    ngx_trove_sqlite_cached_t  *cached;

    ngx_trove_sqlite_lease_init(spool, db, op, &taking);

    for (i = 0; i < op->u.lease.nwants; i++) {

        rc = ngx_trove_sqlite_lease_cached(&taking, i, &cached);

        if (rc == NGX_DECLINED) {
            continue;
        }

        if (rc != NGX_OK
            || ngx_trove_sqlite_lease_next(&taking, cached) != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (op->u.lease.next == 0) {
            return NGX_OK;
        }

        if (taking.clamp) {
            rc = ngx_trove_sqlite_lease_is_late(&taking, i, cached);

            if (rc != NGX_DECLINED) {
                return rc;
            }
        }
    }

    if (taking.clamp) {
        spool->clamped = ngx_trove_sqlite_mono(spool);
    }

    return NGX_DECLINED;
}


/* NGX_DECLINED: it cannot have due deliveries */

ngx_int_t
ngx_trove_sqlite_lease_cached(ngx_trove_sqlite_taking_t *taking,
    ngx_uint_t want, ngx_trove_sqlite_cached_t **cached)
{
    ngx_int_t                rc;
    ngx_trove_spool_want_t  *w;

    w = &taking->lease->wants[want];

    if (w->limit == 0) {
        return NGX_DECLINED;
    }

    rc = ngx_trove_sqlite_cache_get(taking->db, &w->target, 0, cached);

    if (rc != NGX_OK) {
        return rc;
    }

    return ((*cached)->paused || (*cached)->pending == 0) ? NGX_DECLINED
                                                          : NGX_OK;
}


/* lowers next to the time when a delivery of the target is due */

ngx_int_t
ngx_trove_sqlite_lease_next(ngx_trove_sqlite_taking_t *taking,
    ngx_trove_sqlite_cached_t *cached)
{
    int64_t        next;
    ngx_int_t      rc;
    ngx_uint_t     state;
    sqlite3_stmt  *stmt;

    for (state = NGX_TROVE_SPOOL_NEW;
         state <= NGX_TROVE_SPOOL_LEASED;
         state++)
    {
        stmt = ngx_trove_sqlite_sql(taking->db,
                                    NGX_TROVE_SQLITE_SQL_DELIVERY_NEXT);
        if (stmt == NULL) {
            return NGX_ERROR;
        }

        (void) sqlite3_bind_int64(stmt, 1, cached->id);
        (void) sqlite3_bind_int(stmt, 2, state);

        rc = ngx_trove_sqlite_step(taking->db, stmt);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DONE) {
            continue;
        }

        next = ngx_max(sqlite3_column_int64(stmt, 0) - taking->now, 0);

        (void) sqlite3_reset(stmt);

        if (taking->lease->next == -1 || next < taking->lease->next) {
            taking->lease->next = next;
        }
    }

    return NGX_OK;
}


/* finds deliveries due later than possible, after the clock was set back */

static sqlite3_stmt *
ngx_trove_sqlite_lease_late(ngx_trove_sqlite_taking_t *taking, ngx_uint_t want,
    ngx_trove_sqlite_cached_t *cached, ngx_trove_spool_state_e state)
{
    int64_t        max;
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(taking->db, NGX_TROVE_SQLITE_SQL_DELIVERY_LATE);
    if (stmt == NULL) {
        return NULL;
    }

    /* a new delivery is due from the time it was stored */

    max = 0;

    if (state == NGX_TROVE_SPOOL_LEASED) {
        max = NGX_TROVE_SPOOL_LEASE_MAX;

    } else if (state == NGX_TROVE_SPOOL_RETRY) {
        max = taking->lease->wants[want].delay_max;
    }

    (void) sqlite3_bind_int64(stmt, 1, cached->id);
    (void) sqlite3_bind_int(stmt, 2, state);
    (void) sqlite3_bind_int64(stmt, 3, taking->now + max);
    (void) sqlite3_bind_int(stmt, 4, NGX_TROVE_SQLITE_ROWS);

    return stmt;
}


/* NGX_OK: there are some; NGX_DECLINED: there are none */

static ngx_int_t
ngx_trove_sqlite_lease_is_late(ngx_trove_sqlite_taking_t *taking,
    ngx_uint_t want, ngx_trove_sqlite_cached_t *cached)
{
    ngx_int_t      rc;
    ngx_uint_t     state;
    sqlite3_stmt  *stmt;

    for (state = NGX_TROVE_SPOOL_NEW;
         state <= NGX_TROVE_SPOOL_LEASED;
         state++)
    {
        stmt = ngx_trove_sqlite_lease_late(taking, want, cached, state);
        if (stmt == NULL) {
            return NGX_ERROR;
        }

        rc = ngx_trove_sqlite_step(taking->db, stmt);

        if (rc != NGX_DONE) {
            (void) sqlite3_reset(stmt);
            return rc;
        }
    }

    return NGX_DECLINED;
}


sqlite3_stmt *
ngx_trove_sqlite_lease_due(ngx_trove_sqlite_db_t *db, int64_t target,
    ngx_trove_spool_state_e state, int64_t due, ngx_uint_t n)
{
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_DELIVERY_DUE);
    if (stmt == NULL) {
        return NULL;
    }

    (void) sqlite3_bind_int64(stmt, 1, target);
    (void) sqlite3_bind_int(stmt, 2, state);
    (void) sqlite3_bind_int64(stmt, 3, due);
    (void) sqlite3_bind_int(stmt, 4, (int) n);

    return stmt;
}


/* at most NGX_TROVE_SQLITE_ROWS rows, by the LIMIT of the statement */

ngx_int_t
ngx_trove_sqlite_lease_rows(ngx_trove_sqlite_db_t *db, sqlite3_stmt *stmt,
    ngx_trove_sqlite_row_t *rows, ngx_uint_t *n)
{
    ngx_int_t  rc;

    *n = 0;

    if (stmt == NULL) {
        return NGX_ERROR;
    }

    for ( ;; ) {
        rc = ngx_trove_sqlite_step(db, stmt);

        if (rc != NGX_OK) {
            return (rc == NGX_DONE) ? NGX_OK : NGX_ERROR;
        }

        ngx_trove_sqlite_row_read(stmt, &rows[(*n)++]);
    }
}


static ngx_int_t
ngx_trove_sqlite_lease_wait(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_row_t *rows, ngx_uint_t n, int64_t now)
{
    ngx_uint_t               i;
    ngx_trove_spool_state_e  from;

    for (i = 0; i < n; i++) {
        from = rows[i].state;

        /* its owner may be alive, but late */

        db->raise |= (from == NGX_TROVE_SPOOL_LEASED);

        ngx_trove_sqlite_row_wait(&rows[i], now);

        if (ngx_trove_sqlite_row_set(db, &rows[i], from) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* makes deliveries with expired leases or impossible times wait */

ngx_int_t
ngx_trove_sqlite_lease_repair(ngx_trove_sqlite_taking_t *taking,
    ngx_uint_t want, ngx_trove_sqlite_cached_t *cached)
{
    ngx_uint_t              i, n, state;
    sqlite3_stmt           *stmt;
    ngx_trove_sqlite_db_t  *db;
    ngx_trove_sqlite_row_t  rows[NGX_TROVE_SQLITE_ROWS];

    n = 0;

    db = taking->db;

    for (i = 0; i < NGX_TROVE_SQLITE_REPAIRS; i++) {

        stmt = ngx_trove_sqlite_lease_due(db, cached->id,
                                          NGX_TROVE_SPOOL_LEASED, taking->now,
                                          NGX_TROVE_SQLITE_ROWS);

        if (ngx_trove_sqlite_lease_rows(db, stmt, rows, &n) != NGX_OK
            || ngx_trove_sqlite_lease_wait(db, rows, n, taking->now) != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (n < NGX_TROVE_SQLITE_ROWS) {
            break;
        }
    }

    if (!taking->clamp) {
        return NGX_OK;
    }

    for (state = NGX_TROVE_SPOOL_NEW;
         state <= NGX_TROVE_SPOOL_LEASED;
         state++)
    {
        for (i = 0; i < NGX_TROVE_SQLITE_REPAIRS; i++) {

            stmt = ngx_trove_sqlite_lease_late(taking, want, cached, state);

            if (ngx_trove_sqlite_lease_rows(db, stmt, rows, &n) != NGX_OK
                || ngx_trove_sqlite_lease_wait(db, rows, n, taking->now)
                   != NGX_OK)
            {
                return NGX_ERROR;
            }

            if (n < NGX_TROVE_SQLITE_ROWS) {
                break;
            }
        }

        if (n == NGX_TROVE_SQLITE_ROWS) {

            /* there may be more: the next call continues at once */

            taking->clamp = 0;
            break;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_trove_sqlite_lease_void(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db)
{
    int64_t        *ids, *more;
    ngx_int_t       rc;
    ngx_uint_t      i, n;
    sqlite3_stmt   *stmt;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_TARGETS);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    ids = NULL;
    n = 0;

    for ( ;; ) {
        rc = ngx_trove_sqlite_step(db, stmt);

        if (rc != NGX_OK) {
            break;
        }

        more = realloc(ids, (n + 1) * sizeof(int64_t));

        if (more == NULL) {
            (void) sqlite3_reset(stmt);
            rc = ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_MEMORY, 0,
                                      "out of memory");
            break;
        }

        ids = more;
        ids[n++] = sqlite3_column_int64(stmt, 0);
    }

    for (i = 0; i < n && rc != NGX_ERROR; i++) {
        rc = ngx_trove_sqlite_lease_void_target(spool, db, ids[i]);
    }

    free(ids);

    return (rc == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_lease_void_target(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, int64_t target)
{
    int64_t                 now;
    ngx_uint_t              n, total;
    sqlite3_stmt           *stmt;
    ngx_trove_sqlite_row_t  rows[NGX_TROVE_SQLITE_ROWS];

    now = ngx_trove_sqlite_now(spool);

    do {
        if (ngx_trove_sqlite_begin(spool, db, 0, NULL) != NGX_OK) {
            return NGX_ERROR;
        }

        total = 0;

        do {
            stmt = ngx_trove_sqlite_lease_due(db, target,
                                              NGX_TROVE_SPOOL_LEASED, INT64_MAX,
                                              NGX_TROVE_SQLITE_ROWS);

            if (ngx_trove_sqlite_lease_rows(db, stmt, rows, &n) != NGX_OK
                || ngx_trove_sqlite_lease_wait(db, rows, n, now) != NGX_OK)
            {
                ngx_trove_sqlite_rollback(spool, db);
                return NGX_ERROR;
            }

            total += n;

        } while (n == NGX_TROVE_SQLITE_ROWS && total < NGX_TROVE_SQLITE_VOID);

        if (ngx_trove_sqlite_commit(spool, db) != NGX_OK) {
            return NGX_ERROR;
        }

    } while (n == NGX_TROVE_SQLITE_ROWS);

    return NGX_OK;
}
