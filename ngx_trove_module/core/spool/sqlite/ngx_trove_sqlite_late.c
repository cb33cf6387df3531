
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_lease.h"


/* milliseconds between searches for impossible due times, and their targets */
#define NGX_TROVE_SQLITE_CLAMP    1000
#define NGX_TROVE_SQLITE_CLAMPED  256


static sqlite3_stmt *ngx_trove_sqlite_lease_late(
    ngx_trove_sqlite_taking_t *taking, ngx_uint_t want, int64_t target,
    ngx_trove_spool_state_e state);
static ngx_int_t ngx_trove_sqlite_lease_is_late(
    ngx_trove_sqlite_taking_t *taking, ngx_uint_t want, int64_t target);
static ngx_int_t ngx_trove_sqlite_lease_fix_late(
    ngx_trove_sqlite_taking_t *taking, ngx_uint_t want, int64_t target);
static ngx_int_t ngx_trove_sqlite_lease_spread(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_row_t *rows, ngx_uint_t n, int64_t now, int64_t max);


/*
 * Finds deliveries due later than possible: the clock was set back, or the
 * longest delay was lowered.
 */

static sqlite3_stmt *
ngx_trove_sqlite_lease_late(ngx_trove_sqlite_taking_t *taking, ngx_uint_t want,
    int64_t target, ngx_trove_spool_state_e state)
{
    int64_t        max;
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(taking->db, NGX_TROVE_SQLITE_SQL_DELIVERY_LATE);
    if (stmt == NULL) {
        return NULL;
    }

    /* a new delivery is due from the time it was stored or released */

    max = NGX_TROVE_SPOOL_RELEASE_MAX;

    if (state == NGX_TROVE_SPOOL_LEASED) {
        max = NGX_TROVE_SPOOL_LEASE_MAX;

    } else if (state == NGX_TROVE_SPOOL_RETRY) {
        max = ngx_max(taking->lease->wants[want].delay_max, max);
    }

    (void) sqlite3_bind_int64(stmt, 1, target);
    (void) sqlite3_bind_int(stmt, 2, state);
    (void) sqlite3_bind_int64(stmt, 3, taking->now + max);
    (void) sqlite3_bind_int(stmt, 4, NGX_TROVE_SQLITE_ROWS);

    return stmt;
}


/* NGX_OK: there are some; NGX_DECLINED: there are none */

static ngx_int_t
ngx_trove_sqlite_lease_is_late(ngx_trove_sqlite_taking_t *taking,
    ngx_uint_t want, int64_t target)
{
    ngx_int_t      rc;
    ngx_uint_t     state;
    sqlite3_stmt  *stmt;

    for (state = NGX_TROVE_SPOOL_NEW;
         state <= NGX_TROVE_SPOOL_LEASED;
         state++)
    {
        stmt = ngx_trove_sqlite_lease_late(taking, want, target, state);
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


/*
 * Impossible times are rare: they are left by a clock that was set back, or by
 * a longer "max".  Each search examines a limited number of targets.
 */

ngx_int_t
ngx_trove_sqlite_lease_clamp(ngx_trove_sqlite_taking_t *taking,
    ngx_uint_t peek)
{
    int64_t              target;
    ngx_int_t            rc;
    ngx_uint_t           i, want;
    sqlite3_stmt        *stmt;
    ngx_trove_sqlite_t  *spool;

    spool = taking->spool;

    if (ngx_trove_sqlite_mono(spool) - spool->clamped < NGX_TROVE_SQLITE_CLAMP)
    {
        return NGX_DECLINED;
    }

    target = spool->late;

    for (i = 0; i < NGX_TROVE_SQLITE_CLAMPED; i++) {

        stmt = ngx_trove_sqlite_sql(taking->db,
                                    NGX_TROVE_SQLITE_SQL_DELIVERY_TARGET);
        if (stmt == NULL) {
            return NGX_ERROR;
        }

        (void) sqlite3_bind_int64(stmt, 1, target);

        rc = ngx_trove_sqlite_step(taking->db, stmt);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DONE) {

            if (target == 0 || spool->late == 0) {
                target = 0;
                break;
            }

            /* again from the first one, but not twice */

            spool->late = 0;
            target = 0;
            continue;
        }

        target = sqlite3_column_int64(stmt, 0);
        (void) sqlite3_reset(stmt);

        rc = ngx_trove_sqlite_lease_want(taking, target, &want);

        if (rc == NGX_OK) {
            rc = peek ? ngx_trove_sqlite_lease_is_late(taking, want, target)
                      : ngx_trove_sqlite_lease_fix_late(taking, want, target);
        }

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_OK) {

            /* this one again next time: there may be more */

            spool->late = target - 1;
            return NGX_OK;
        }
    }

    spool->late = target;
    spool->clamped = ngx_trove_sqlite_mono(spool);

    return NGX_DECLINED;
}


/* NGX_OK: there may be more; NGX_DECLINED: there are no more */

static ngx_int_t
ngx_trove_sqlite_lease_fix_late(ngx_trove_sqlite_taking_t *taking,
    ngx_uint_t want, int64_t target)
{
    ngx_int_t               rc;
    ngx_uint_t              i, n, state;
    sqlite3_stmt           *stmt;
    ngx_trove_sqlite_row_t  rows[NGX_TROVE_SQLITE_ROWS];

    n = 0;

    for (state = NGX_TROVE_SPOOL_NEW;
         state <= NGX_TROVE_SPOOL_LEASED;
         state++)
    {
        for (i = 0; i < NGX_TROVE_SQLITE_REPAIRS; i++) {

            stmt = ngx_trove_sqlite_lease_late(taking, want, target, state);

            if (ngx_trove_sqlite_lease_rows(taking->db, stmt, rows, &n)
                != NGX_OK)
            {
                return NGX_ERROR;
            }

            rc = (state == NGX_TROVE_SPOOL_RETRY)
                 ? ngx_trove_sqlite_lease_spread(taking->db, rows, n,
                                                 taking->now,
                                          taking->lease->wants[want].delay_max)
                 : ngx_trove_sqlite_lease_wait(taking->db, rows, n,
                                               taking->now);

            if (rc != NGX_OK) {
                return NGX_ERROR;
            }

            if (n < NGX_TROVE_SQLITE_ROWS) {
                break;
            }
        }

        if (n == NGX_TROVE_SQLITE_ROWS) {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/*
 * Deliveries of a target that was down for long are due at about the same time.
 * They must not be sent all at once because "max" has been lowered.
 */

static ngx_int_t
ngx_trove_sqlite_lease_spread(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_row_t *rows, ngx_uint_t n, int64_t now, int64_t max)
{
    uint64_t                 hash;
    ngx_uint_t               i;
    ngx_trove_spool_state_e  from;

    for (i = 0; i < n; i++) {
        from = rows[i].state;
        hash = ((uint64_t) rows[i].id * 0x9e3779b97f4a7c15ULL) >> 32;

        ngx_trove_sqlite_row_wait(&rows[i], now + hash % (ngx_max(max, 0) + 1));

        if (ngx_trove_sqlite_row_set(db, &rows[i], from) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}
