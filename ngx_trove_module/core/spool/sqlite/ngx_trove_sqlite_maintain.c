
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_query.h"
#include "ngx_trove_sqlite_subscription.h"


/* time limit of a call, microseconds, and pause between pieces, milliseconds */
#define NGX_TROVE_SQLITE_BUDGET       60000
#define NGX_TROVE_SQLITE_BREAK        1

/* time limit of a transaction, which blocks other writers, microseconds */
#define NGX_TROVE_SQLITE_PIECE        10000

/* events per pruning transaction, at most; deliveries with an end set back */
#define NGX_TROVE_SQLITE_PRUNE        200
#define NGX_TROVE_SQLITE_PRUNE_END    1000

/* the longest pause between two rounds of pruning, milliseconds */
#define NGX_TROVE_SQLITE_PRUNE_REST   600000

/*
 * Percent of max_size above which events that have ended are removed before
 * the end of the retention, and below which no more are.  If all events wait,
 * reading them again takes at most a tenth of the time of all processes.
 */
#define NGX_TROVE_SQLITE_EARLY        90
#define NGX_TROVE_SQLITE_EARLY_END    80
#define NGX_TROVE_SQLITE_EARLY_REST   5000
#define NGX_TROVE_SQLITE_EARLY_PART   10

/* free pages that trigger a release: a minimum, and a part */
#define NGX_TROVE_SQLITE_FREE         2048
#define NGX_TROVE_SQLITE_FREE_PART    4

/*
 * Pages released at most by a transaction, and before its time is checked.  To
 * release the last page of the file, SQLite may read the list of all free
 * pages: 450 pages of it if 1.75 GB are free.
 */
#define NGX_TROVE_SQLITE_FREE_PIECE   256
#define NGX_TROVE_SQLITE_FREE_STEP    4


typedef struct {
    int64_t                           number;
    int64_t                           received;
    ngx_uint_t                        key;
} ngx_trove_sqlite_old_t;


static ngx_int_t ngx_trove_sqlite_piece(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_maintained_t *maintained);
static ngx_int_t ngx_trove_sqlite_prune(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_maintained_t *maintained);
static ngx_int_t ngx_trove_sqlite_prune_early(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);
static int64_t ngx_trove_sqlite_prune_retention(ngx_trove_sqlite_t *spool);
static ngx_int_t ngx_trove_sqlite_prune_old(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_old_t *old, ngx_uint_t *n,
    ngx_uint_t max);
static void ngx_trove_sqlite_prune_next(ngx_trove_sqlite_t *spool, int64_t ms);
static void ngx_trove_sqlite_prune_rest(ngx_trove_sqlite_t *spool);
static ngx_int_t ngx_trove_sqlite_prune_look(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_old_t *old);
static ngx_int_t ngx_trove_sqlite_prune_event(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_old_t *old, ngx_uint_t many,
    ngx_trove_sqlite_rows_t *rows);
static ngx_int_t ngx_trove_sqlite_prune_many(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_old_t *old, ngx_uint_t write);
static ngx_int_t ngx_trove_sqlite_vacuum(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_maintained_t *maintained);


ngx_int_t
ngx_trove_sqlite_maintain(ngx_trove_spool_t *base,
    ngx_trove_spool_maintained_t *maintained, ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    int                     err;
    int64_t                 start;
    ngx_int_t               rc;
    ngx_trove_sqlite_db_t  *db;

    ngx_memzero(maintained, sizeof(ngx_trove_spool_maintained_t));
    ngx_memzero(error, sizeof(ngx_trove_spool_error_t));

    db = &spool->maintenance;

    if (ngx_trove_sqlite_enter(spool, db, error) != NGX_OK) {
        return NGX_ERROR;
    }

    err = pthread_mutex_trylock(&spool->shared->maintain);

    if (err == EOWNERDEAD) {
        err = pthread_mutex_consistent(&spool->shared->maintain);
    }

    if (err != 0) {
        ngx_trove_sqlite_leave(spool, db, NGX_OK);
        return NGX_OK;
    }

    start = ngx_trove_sqlite_elapsed();

    rc = ngx_trove_sqlite_checkpoint(spool, db);

    while (rc != NGX_ERROR) {

        rc = ngx_trove_sqlite_piece(spool, db, maintained);

        if (rc != NGX_AGAIN) {
            break;
        }

        if (ngx_trove_sqlite_elapsed() - start > NGX_TROVE_SQLITE_BUDGET) {
            maintained->more = 1;
            break;
        }

        /* a mutex is not fair: let waiting processes have it */

        ngx_msleep(NGX_TROVE_SQLITE_BREAK);
    }

    (void) pthread_mutex_unlock(&spool->shared->maintain);

    ngx_trove_sqlite_leave(spool, db, rc);

    return (rc == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


/* NGX_OK: done; NGX_AGAIN: there is more to do; NGX_ERROR */

static ngx_int_t
ngx_trove_sqlite_piece(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_maintained_t *maintained)
{
    ngx_int_t  rc, more;

    rc = ngx_trove_sqlite_key_maintain(spool, db);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    more = rc;

    rc = ngx_trove_sqlite_ident_maintain(spool, db);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_AGAIN) {
        more = NGX_AGAIN;
    }

    /* first what has been removed, so that it is known how much is in use */

    rc = ngx_trove_sqlite_remove_rest(spool, db, &maintained->deliveries);

    if (rc == NGX_OK) {
        rc = ngx_trove_sqlite_prune(spool, db, maintained);
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_AGAIN) {
        more = NGX_AGAIN;
    }

    rc = ngx_trove_sqlite_removed(spool, db);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_AGAIN) {
        more = NGX_AGAIN;
    }

    rc = ngx_trove_sqlite_vacuum(spool, db, maintained);

    return (rc == NGX_OK) ? more : rc;
}


/*
 * Prunes events in the order of their numbers, up to those received within the
 * retention, and then starts again.  Events whose deliveries are not final, or
 * not for long enough, are skipped.  The next round starts when the first of
 * them can be pruned.
 */

static ngx_int_t
ngx_trove_sqlite_prune(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_maintained_t *maintained)
{
    int64_t                     start;
    ngx_int_t                   rc;
    ngx_uint_t                  i, n, deliveries, events, left;
    ngx_trove_sqlite_old_t      old[NGX_TROVE_SQLITE_PRUNE];
    ngx_trove_sqlite_rows_t     rows;
    ngx_trove_sqlite_shared_t  *shared;

    shared = spool->shared;

    if (ngx_trove_sqlite_prune_early(spool, db) != NGX_OK) {
        return NGX_ERROR;
    }

    if (spool->work.pruned == 0 && !spool->work.early) {

        if (shared->prune_retention == spool->retention
            && ngx_trove_sqlite_mono(spool) < shared->prune)
        {
            return NGX_OK;
        }

        spool->work.prune = NGX_TROVE_SQLITE_PRUNE_REST;
    }

    /* without the lock, which is not needed if there are none */

    if (ngx_trove_sqlite_prune_old(spool, db, old, &n, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    if (n == 0) {
        ngx_trove_sqlite_prune_rest(spool);
        return NGX_OK;
    }

    rc = ngx_trove_sqlite_prune_look(spool, db, &old[0]);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {
        spool->work.pruned = old[0].number;
        return NGX_AGAIN;
    }

    if (ngx_trove_sqlite_begin(spool, db, 0, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    start = ngx_trove_sqlite_elapsed();

    deliveries = 0;
    events = 0;
    left = 0;

    rc = ngx_trove_sqlite_prune_old(spool, db, old, &n, NGX_TROVE_SQLITE_PRUNE);

    for (i = 0; i < n && rc == NGX_OK; i++) {

        if (i && ngx_trove_sqlite_elapsed() - start > NGX_TROVE_SQLITE_PIECE) {
            break;
        }

        rc = ngx_trove_sqlite_prune_event(spool, db, &old[i], i == 0, &rows);

        if (rc == NGX_OK) {
            events++;

            if (rows.more) {
                left = 1;
                i++;
                break;
            }

            deliveries += rows.n;

        } else if (rc == NGX_DECLINED) {
            rc = NGX_OK;
        }
    }

    if (rc == NGX_AGAIN) {

        /* the last one, which has many deliveries, is examined again */

        i--;
        rc = NGX_OK;
    }

    if (rc != NGX_OK) {
        ngx_trove_sqlite_rollback(spool, db);
        return NGX_ERROR;
    }

    if (ngx_trove_sqlite_commit(spool, db) != NGX_OK) {
        return NGX_ERROR;
    }

    maintained->events += events;
    maintained->deliveries += deliveries;

    if (spool->work.early) {
        maintained->early += events;
    }

    if (i == n && n < NGX_TROVE_SQLITE_PRUNE) {
        ngx_trove_sqlite_prune_rest(spool);
        return left ? NGX_AGAIN : NGX_OK;
    }

    if (i) {
        spool->work.pruned = old[i - 1].number;
    }

    return NGX_AGAIN;
}


/* an event was skipped, which cannot be pruned for ms milliseconds */

static void
ngx_trove_sqlite_prune_next(ngx_trove_sqlite_t *spool, int64_t ms)
{
    spool->work.prune = ngx_min(spool->work.prune, ngx_max(ms, 0));
}


/* the end of a round */

static void
ngx_trove_sqlite_prune_rest(ngx_trove_sqlite_t *spool)
{
    ngx_trove_sqlite_shared_t  *shared;

    shared = spool->shared;

    spool->work.pruned = 0;

    if (spool->work.early) {
        spool->work.early = 0;
        shared->prune_early = ngx_trove_sqlite_mono(spool)
                + ngx_max(NGX_TROVE_SQLITE_EARLY_REST,
                          NGX_TROVE_SQLITE_EARLY_PART
                          * (ngx_trove_sqlite_mono(spool)
                             - spool->work.early_start));
        return;
    }

    shared->prune = ngx_trove_sqlite_mono(spool) + spool->work.prune;
    shared->prune_retention = spool->retention;
}


/*
 * Begins and ends a round in which the retention is not observed, so that new
 * events are not rejected in favour of those that have ended.
 */

static ngx_int_t
ngx_trove_sqlite_prune_early(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db)
{
    int64_t                   pages, free_pages;
    uint64_t                  used;
    ngx_uint_t                rests;
    ngx_trove_sqlite_work_t  *work;

    if (spool->max_size == 0) {
        return NGX_OK;
    }

    pages = ngx_trove_sqlite_get(db, NGX_TROVE_SQLITE_SQL_PAGES);
    free_pages = ngx_trove_sqlite_get(db, NGX_TROVE_SQLITE_SQL_FREE_PAGES);

    if (pages == -1 || free_pages == -1) {
        return NGX_ERROR;
    }

    work = &spool->work;
    used = (uint64_t) (pages - free_pages) * NGX_TROVE_SQLITE_PAGE_SIZE;

    rests = (ngx_trove_sqlite_mono(spool) < spool->shared->prune_early);

    if (work->early) {

        /* another process may have examined all events in the meantime */

        if (used < spool->max_size / 100 * NGX_TROVE_SQLITE_EARLY_END
            || rests)
        {
            work->early = 0;
            work->pruned = 0;
        }

        return NGX_OK;
    }

    if (used > spool->max_size / 100 * NGX_TROVE_SQLITE_EARLY && !rests) {
        work->early = 1;
        work->early_start = ngx_trove_sqlite_mono(spool);
        work->pruned = 0;
    }

    return NGX_OK;
}


static int64_t
ngx_trove_sqlite_prune_retention(ngx_trove_sqlite_t *spool)
{
    return spool->work.early ? 0 : spool->retention;
}


static ngx_int_t
ngx_trove_sqlite_prune_old(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_old_t *old, ngx_uint_t *n, ngx_uint_t max)
{
    int64_t        wall, received, retention;
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    *n = 0;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_EVENT_FROM);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    wall = ngx_trove_sqlite_wall(spool);
    retention = ngx_trove_sqlite_prune_retention(spool);

    (void) sqlite3_bind_int64(stmt, 1, spool->work.pruned + 1);
    (void) sqlite3_bind_int(stmt, 2, (int) max);

    for ( ;; ) {
        rc = ngx_trove_sqlite_step(db, stmt);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DONE) {

            /* an event that is accepted now */

            ngx_trove_sqlite_prune_next(spool, spool->retention);

            return NGX_OK;
        }

        received = sqlite3_column_int64(stmt, 1);

        /* a time in the future does not bound those of the following events */

        if (received > wall - retention && received <= wall) {
            (void) sqlite3_reset(stmt);

            ngx_trove_sqlite_prune_next(spool,
                                        received + retention - wall);

            return NGX_OK;
        }

        old[*n].number = sqlite3_column_int64(stmt, 0);
        old[*n].received = received;
        old[*n].key = sqlite3_column_int(stmt, 2);

        (*n)++;
    }
}


/*
 * Examines an event without the lock if it has many deliveries.
 *
 * NGX_OK: few, or it may be pruned; NGX_DECLINED: not due yet
 */

static ngx_int_t
ngx_trove_sqlite_prune_look(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_old_t *old)
{
    ngx_int_t                rc;
    ngx_trove_sqlite_rows_t  rows;

    if (ngx_trove_sqlite_remove_rows(db, old->number, &rows) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!rows.more) {
        return NGX_OK;
    }

    rc = ngx_trove_sqlite_prune_many(spool, db, old, 0);

    return (rc == NGX_AGAIN) ? NGX_OK : rc;
}


/*
 * NGX_OK: pruned, with its rows; NGX_DECLINED: not due yet; NGX_AGAIN: it has
 * many deliveries, and must be examined again
 */

static ngx_int_t
ngx_trove_sqlite_prune_event(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_old_t *old, ngx_uint_t many,
    ngx_trove_sqlite_rows_t *rows)
{
    ngx_int_t                rc;
    int64_t                  now, wait, retention;
    ngx_uint_t               i;
    ngx_trove_sqlite_row_t  *row;

    if (ngx_trove_sqlite_remove_rows(db, old->number, rows) != NGX_OK) {
        return NGX_ERROR;
    }

    if (rows->more) {

        rc = many ? ngx_trove_sqlite_prune_many(spool, db, old, 1) : NGX_AGAIN;

        if (rc != NGX_OK) {
            return rc;
        }

        return ngx_trove_sqlite_remove(db, old->number, old->key, rows);
    }

    now = ngx_trove_sqlite_now(spool);
    retention = ngx_trove_sqlite_prune_retention(spool);
    wait = 0;

    if (rows->n == 0) {

        /* without deliveries, only the time of the event counts */

        wait = old->received + retention - ngx_trove_sqlite_wall(spool);
        wait = ngx_min(wait, retention);
    }

    for (i = 0; i < rows->n; i++) {

        row = &rows->rows[i];

        if (ngx_trove_sqlite_pending(row->state)) {
            ngx_trove_sqlite_prune_next(spool, spool->retention);
            return NGX_DECLINED;
        }

        if (row->ended > now) {

            /* the clock was set back: it is considered final as of now */

            row->ended = now;

            if (ngx_trove_sqlite_row_set(db, row, row->state) != NGX_OK) {
                return NGX_ERROR;
            }
        }

        wait = ngx_max(wait, row->ended + retention - now);
    }

    if (wait > 0) {
        ngx_trove_sqlite_prune_next(spool, wait);
        return NGX_DECLINED;
    }

    return ngx_trove_sqlite_remove(db, old->number, old->key, rows);
}


/* NGX_OK: may be pruned; NGX_DECLINED: not due yet; NGX_AGAIN: not yet known */

static ngx_int_t
ngx_trove_sqlite_prune_many(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_old_t *old, ngx_uint_t write)
{
    int64_t        now, ended, wait;
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    rc = ngx_trove_sqlite_remove_ended(db, old->number, &ended);

    if (rc == NGX_DECLINED) {
        ngx_trove_sqlite_prune_next(spool, spool->retention);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    now = ngx_trove_sqlite_now(spool);

    if (ended > now) {

        if (!write) {
            return NGX_AGAIN;
        }

        /* as above, for some of them */

        stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_DELIVERY_END);
        if (stmt == NULL) {
            return NGX_ERROR;
        }

        (void) sqlite3_bind_int64(stmt, 1, old->number);
        (void) sqlite3_bind_int64(stmt, 2, now);
        (void) sqlite3_bind_int(stmt, 3, NGX_TROVE_SQLITE_PRUNE_END);

        rc = ngx_trove_sqlite_run(db, stmt);

        return (rc == NGX_OK) ? NGX_AGAIN : NGX_ERROR;
    }

    wait = ended + ngx_trove_sqlite_prune_retention(spool) - now;

    if (wait > 0) {
        ngx_trove_sqlite_prune_next(spool, wait);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_vacuum(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_maintained_t *maintained)
{
    char        sql[64];
    int64_t     pages, free_pages, left, start;
    ngx_uint_t  i;

    pages = ngx_trove_sqlite_get(db, NGX_TROVE_SQLITE_SQL_PAGES);
    free_pages = ngx_trove_sqlite_get(db, NGX_TROVE_SQLITE_SQL_FREE_PAGES);

    if (pages == -1 || free_pages == -1) {
        return NGX_ERROR;
    }

    if (free_pages < NGX_TROVE_SQLITE_FREE
        || free_pages < pages / NGX_TROVE_SQLITE_FREE_PART)
    {
        return NGX_OK;
    }

    if (ngx_trove_sqlite_begin(spool, db, 0, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    start = ngx_trove_sqlite_elapsed();

    snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%d)",
             NGX_TROVE_SQLITE_FREE_STEP);

    for (i = 0;
         i < NGX_TROVE_SQLITE_FREE_PIECE
         && ngx_trove_sqlite_elapsed() - start < NGX_TROVE_SQLITE_PIECE;
         i += NGX_TROVE_SQLITE_FREE_STEP)
    {
        if (ngx_trove_sqlite_exec(db, sql) != NGX_OK) {
            ngx_trove_sqlite_rollback(spool, db);
            return NGX_ERROR;
        }
    }

    left = ngx_trove_sqlite_get(db, NGX_TROVE_SQLITE_SQL_PAGES);

    if (ngx_trove_sqlite_commit(spool, db) != NGX_OK) {
        return NGX_ERROR;
    }

    /* nothing is released if the file was recreated without auto_vacuum */

    if (left == -1 || left >= pages) {
        return NGX_OK;
    }

    maintained->pages += pages - left;

    return NGX_AGAIN;
}
