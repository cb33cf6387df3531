
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_lease.h"
#include "ngx_trove_sqlite_subscription.h"


/*
 * The rest of the work for removed subscriptions.  Their targets are paused, so
 * that no attempt begins.  Their pending deliveries are cancelled in steps.
 * When the last delivery has been pruned, the targets and the subscription are
 * removed.
 *
 *   removed --> deliveries are pending --> deliveries are final --> no row
 */

/* the time that a step takes, microseconds */
#define NGX_TROVE_SQLITE_REMOVED       3000

/* subscriptions examined by a call */
#define NGX_TROVE_SQLITE_REMOVED_TURN  64


static ngx_int_t ngx_trove_sqlite_removed_expire(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);
static ngx_int_t ngx_trove_sqlite_removed_next(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, int64_t *number, ngx_uint_t *todo);
static ngx_int_t ngx_trove_sqlite_removed_step(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, int64_t number);
static ngx_int_t ngx_trove_sqlite_removed_target(ngx_trove_sqlite_db_t *db,
    int64_t number, int64_t *target);
static ngx_int_t ngx_trove_sqlite_removed_pending(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, int64_t target, int64_t start);


ngx_int_t
ngx_trove_sqlite_removed(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db)
{
    int64_t     number;
    ngx_int_t   rc;
    ngx_uint_t  i, todo;

    if (ngx_trove_sqlite_removed_expire(spool, db) != NGX_OK) {
        return NGX_ERROR;
    }

    /* some in each call, in turns: most of them only wait to be pruned */

    for (i = 0; i < NGX_TROVE_SQLITE_REMOVED_TURN; i++) {

        rc = ngx_trove_sqlite_removed_next(spool, db, &number, &todo);

        if (rc != NGX_OK) {
            return (rc == NGX_DECLINED) ? NGX_OK : NGX_ERROR;
        }

        if (todo) {
            return ngx_trove_sqlite_removed_step(spool, db, number);
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_trove_sqlite_removed_is(ngx_trove_sqlite_db_t *db, int64_t target)
{
    ngx_int_t                       rc;
    ngx_trove_sqlite_cached_t      *cached;
    ngx_trove_sqlite_subscriber_t   sub;

    if (ngx_trove_sqlite_cache_find_id(db, target, &cached) != NGX_OK) {
        return NGX_ERROR;
    }

    if (cached->subscription == 0) {
        return NGX_OK;
    }

    rc = ngx_trove_sqlite_subscriber_get(db, cached->subscription, 0, &sub);

    return (rc == NGX_OK && sub.removed) ? NGX_DECLINED : rc;
}


/* a secret that is no longer used is not kept */

static ngx_int_t
ngx_trove_sqlite_removed_expire(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db)
{
    int64_t        wall;
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    wall = ngx_trove_sqlite_wall(spool);

    stmt = ngx_trove_sqlite_sql(db,
                                NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_EXPIRED);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, wall);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc != NGX_OK) {
        return (rc == NGX_DONE) ? NGX_OK : NGX_ERROR;
    }

    (void) sqlite3_reset(stmt);

    if (ngx_trove_sqlite_begin(spool, db, 0, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_EXPIRE);

    if (stmt == NULL) {
        goto failed;
    }

    (void) sqlite3_bind_int64(stmt, 1, wall);

    if (ngx_trove_sqlite_run(db, stmt) != NGX_OK) {
        goto failed;
    }

    return ngx_trove_sqlite_commit(spool, db);

failed:

    ngx_trove_sqlite_rollback(spool, db);

    return NGX_ERROR;
}


/* NGX_DECLINED: there are no more in this turn */

static ngx_int_t
ngx_trove_sqlite_removed_next(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, int64_t *number, ngx_uint_t *todo)
{
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_REMOVED);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, spool->removed);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DONE) {
        spool->removed = 0;
        return NGX_DECLINED;
    }

    *number = sqlite3_column_int64(stmt, 0);
    *todo = sqlite3_column_int(stmt, 1);

    (void) sqlite3_reset(stmt);

    spool->removed = *number;

    return NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_removed_step(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, int64_t number)
{
    ngx_int_t  rc;

    if (ngx_trove_sqlite_begin(spool, db, 0, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_trove_sqlite_removed_cancel(spool, db, number);

    if (rc == NGX_OK) {
        rc = ngx_trove_sqlite_removed_rows(db, number);
    }

    if (rc == NGX_ERROR) {
        ngx_trove_sqlite_rollback(spool, db);
        return NGX_ERROR;
    }

    if (ngx_trove_sqlite_commit(spool, db) != NGX_OK) {
        return NGX_ERROR;
    }

    if (rc == NGX_AGAIN) {

        /* the same one again */

        spool->removed = number - 1;
    }

    return NGX_AGAIN;
}


ngx_int_t
ngx_trove_sqlite_removed_cancel(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, int64_t number)
{
    int64_t    target, start;
    ngx_int_t  rc;

    target = 0;
    start = ngx_trove_sqlite_elapsed();

    for ( ;; ) {
        rc = ngx_trove_sqlite_removed_target(db, number, &target);

        if (rc != NGX_OK) {
            return (rc == NGX_DECLINED) ? NGX_OK : NGX_ERROR;
        }

        rc = ngx_trove_sqlite_removed_pending(spool, db, target, start);

        if (rc != NGX_OK) {
            return rc;
        }
    }
}


/* the next target of a subscription; NGX_DECLINED: there is none */

static ngx_int_t
ngx_trove_sqlite_removed_target(ngx_trove_sqlite_db_t *db, int64_t number,
    int64_t *target)
{
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_TARGETS);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, number);
    (void) sqlite3_bind_int64(stmt, 2, *target);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc != NGX_OK) {
        return (rc == NGX_DONE) ? NGX_DECLINED : NGX_ERROR;
    }

    *target = sqlite3_column_int64(stmt, 0);

    (void) sqlite3_reset(stmt);

    return NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_removed_pending(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, int64_t target, int64_t start)
{
    int64_t                  now;
    ngx_uint_t               i, n, state;
    sqlite3_stmt            *stmt;
    ngx_trove_spool_state_e  from;
    ngx_trove_sqlite_row_t   rows[NGX_TROVE_SQLITE_ROWS];

    now = ngx_trove_sqlite_now(spool);

    for (state = NGX_TROVE_SPOOL_NEW;
         state <= NGX_TROVE_SPOOL_LEASED;
         /* void */ )
    {
        stmt = ngx_trove_sqlite_lease_due(db, target, state, INT64_MAX,
                                          NGX_TROVE_SQLITE_ROWS);

        if (ngx_trove_sqlite_lease_rows(db, stmt, rows, &n) != NGX_OK) {
            return NGX_ERROR;
        }

        for (i = 0; i < n; i++) {
            from = rows[i].state;

            rows[i].state = NGX_TROVE_SPOOL_CANCELLED;
            rows[i].ended = now;
            rows[i].owner = 0;

            if (ngx_trove_sqlite_row_set(db, &rows[i], from) != NGX_OK) {
                return NGX_ERROR;
            }
        }

        if (n < NGX_TROVE_SQLITE_ROWS) {
            state++;
            continue;
        }

        if (ngx_trove_sqlite_elapsed() - start > NGX_TROVE_SQLITE_REMOVED) {
            return NGX_AGAIN;
        }
    }

    return NGX_OK;
}


/* removes the rows if no delivery refers to them */

ngx_int_t
ngx_trove_sqlite_removed_rows(ngx_trove_sqlite_db_t *db, int64_t number)
{
    int64_t        target;
    ngx_int_t      rc;
    ngx_uint_t     kept;
    sqlite3_stmt  *stmt;

    if (ngx_trove_sqlite_cache_flush(db) != NGX_OK) {
        return NGX_ERROR;
    }

    target = 0;
    kept = 0;

    for ( ;; ) {
        rc = ngx_trove_sqlite_removed_target(db, number, &target);

        if (rc == NGX_DECLINED) {
            break;
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }

        stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_TARGET_DELETE);
        if (stmt == NULL) {
            return NGX_ERROR;
        }

        (void) sqlite3_bind_int64(stmt, 1, target);

        if (ngx_trove_sqlite_run(db, stmt) != NGX_OK) {
            return NGX_ERROR;
        }

        kept |= (sqlite3_changes(db->db) == 0);
    }

    if (kept) {
        return NGX_OK;
    }

    /* its targets are in the cache of this connection, too */

    ngx_trove_sqlite_cache_clear(db);

    stmt = ngx_trove_sqlite_sql(db,
                                NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_DELETE);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, number);

    return ngx_trove_sqlite_run(db, stmt);
}
