
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_db.h"


static ngx_int_t ngx_trove_sqlite_stat_targets(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_stat_t *stat, int64_t **ids);
static ngx_int_t ngx_trove_sqlite_stat_oldest(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_stat_t *stat, int64_t *ids);
static int64_t ngx_trove_sqlite_stat_received(ngx_trove_sqlite_db_t *db,
    int64_t number);
static void ngx_trove_sqlite_stat_sizes(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_stat_t *stat);
static uint64_t ngx_trove_sqlite_stat_pending(ngx_trove_spool_stat_t *stat);


ngx_trove_spool_stat_t *
ngx_trove_sqlite_stat(ngx_trove_spool_t *base, ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    int64_t                 *ids;
    ngx_int_t                rc;
    ngx_trove_sqlite_db_t   *db;
    ngx_trove_spool_stat_t  *stat;

    if (ngx_trove_sqlite_read(spool, error) != NGX_OK) {
        return NULL;
    }

    db = &spool->reader;
    rc = NGX_ERROR;

    stat = ngx_trove_sqlite_read_alloc(db, NULL,
                                       sizeof(ngx_trove_spool_stat_t));

    if (stat != NULL
        && ngx_trove_sqlite_stat_targets(db, stat, &ids) == NGX_OK)
    {
        rc = ngx_trove_sqlite_stat_oldest(spool, stat, ids);
    }

    if (rc == NGX_OK) {
        ngx_trove_sqlite_stat_sizes(spool, stat);
    }

    ngx_trove_sqlite_read_end(spool, rc);

    if (rc != NGX_OK) {
        ngx_trove_spool_free(stat);
        return NULL;
    }

    return stat;
}


static ngx_int_t
ngx_trove_sqlite_stat_targets(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_stat_t *stat, int64_t **ids)
{
    int64_t                   events;
    ngx_int_t                 rc;
    ngx_str_t                 route, name;
    ngx_uint_t                n, i;
    sqlite3_stmt             *stmt;
    ngx_trove_spool_gauge_t  *gauge;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_STATE);
    if (stmt == NULL || ngx_trove_sqlite_step(db, stmt) == NGX_ERROR) {
        return NGX_ERROR;
    }

    events = sqlite3_column_int64(stmt, 1);
    stat->events = events;

    (void) sqlite3_reset(stmt);

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_TARGETS);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    /* the first pass counts them: the snapshot is the same */

    for (n = 0; (rc = ngx_trove_sqlite_step(db, stmt)) == NGX_OK; n++) {
        /* void */
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    stat->targets = ngx_trove_sqlite_read_alloc(db, stat,
                                    (n + 1) * sizeof(ngx_trove_spool_gauge_t));
    *ids = ngx_trove_sqlite_read_alloc(db, stat, (n + 1) * sizeof(int64_t));

    if (stat->targets == NULL || *ids == NULL) {
        return NGX_ERROR;
    }

    while (stat->ntargets < n) {

        rc = ngx_trove_sqlite_step(db, stmt);

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }

        (*ids)[stat->ntargets] = sqlite3_column_int64(stmt, 0);
        gauge = &stat->targets[stat->ntargets++];

        ngx_trove_sqlite_column(stmt, 1, &route);
        ngx_trove_sqlite_column(stmt, 2, &name);

        gauge->paused = sqlite3_column_int(stmt, 3) ? 1 : 0;

        for (i = 0; i < NGX_TROVE_SPOOL_STATES; i++) {
            gauge->states[i] = sqlite3_column_int64(stmt, 4 + (int) i);
            stat->states[i] += gauge->states[i];
        }

        if (ngx_trove_sqlite_read_string(db, stat, &gauge->target.route, &route)
            != NGX_OK
            || ngx_trove_sqlite_read_string(db, stat, &gauge->target.name,
                                            &name)
               != NGX_OK)
        {
            (void) sqlite3_reset(stmt);
            return NGX_ERROR;
        }
    }

    (void) sqlite3_reset(stmt);

    return NGX_OK;
}


/* an older event has a lower number */

static ngx_int_t
ngx_trove_sqlite_stat_oldest(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_stat_t *stat, int64_t *ids)
{
    int64_t                 target, age, received;
    ngx_int_t               rc;
    ngx_uint_t              i;
    sqlite3_stmt           *stmt;
    ngx_trove_sqlite_db_t  *db;

    db = &spool->reader;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_DELIVERY_OLDEST);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    for ( ;; ) {
        rc = ngx_trove_sqlite_step(db, stmt);

        if (rc != NGX_OK) {
            return (rc == NGX_DONE) ? NGX_OK : NGX_ERROR;
        }

        target = sqlite3_column_int64(stmt, 0);

        received = ngx_trove_sqlite_stat_received(db,
                      ngx_trove_spool_event_of(sqlite3_column_int64(stmt, 1)));

        if (received == -1) {
            (void) sqlite3_reset(stmt);
            return NGX_ERROR;
        }

        age = ngx_max(ngx_trove_sqlite_wall(spool) - received, 0);

        for (i = 0; i < stat->ntargets; i++) {
            if (ids[i] == target) {
                stat->targets[i].oldest = age;
                break;
            }
        }

        stat->oldest = ngx_max(stat->oldest, age);
    }
}


static int64_t
ngx_trove_sqlite_stat_received(ngx_trove_sqlite_db_t *db, int64_t number)
{
    int64_t        received;
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_EVENT_FROM);
    if (stmt == NULL) {
        return -1;
    }

    (void) sqlite3_bind_int64(stmt, 1, number);
    (void) sqlite3_bind_int(stmt, 2, 1);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc == NGX_ERROR) {
        return -1;
    }

    received = (rc == NGX_OK) ? sqlite3_column_int64(stmt, 1) : 0;

    (void) sqlite3_reset(stmt);

    return received;
}


static void
ngx_trove_sqlite_stat_sizes(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_stat_t *stat)
{
    int64_t                 pages, free_pages;
    uint64_t                ended;
    struct stat             st;
    ngx_trove_sqlite_db_t  *db;

    db = &spool->reader;
    stat->max_size = spool->max_size;

    pages = ngx_trove_sqlite_get(db, NGX_TROVE_SQLITE_SQL_PAGES);
    free_pages = ngx_trove_sqlite_get(db, NGX_TROVE_SQLITE_SQL_FREE_PAGES);

    if (pages != -1 && free_pages != -1) {
        stat->used = (uint64_t) (pages - free_pages)
                     * NGX_TROVE_SQLITE_PAGE_SIZE;
    }

    if (stat->events) {
        ended = stat->events - ngx_trove_sqlite_stat_pending(stat);
        stat->history = stat->used / stat->events * ended;
    }

    if (lstat(spool->path, &st) == 0) {
        stat->size += st.st_size;
    }

    if (lstat(spool->path_wal, &st) == 0) {
        stat->size += st.st_size;
    }
}


/* targets are ordered by route */

static uint64_t
ngx_trove_sqlite_stat_pending(ngx_trove_spool_stat_t *stat)
{
    uint64_t                  pending, most, n;
    ngx_str_t                *route;
    ngx_uint_t                i;
    ngx_trove_spool_gauge_t  *gauge;

    pending = 0;
    most = 0;
    route = NULL;

    for (i = 0; i < stat->ntargets; i++) {
        gauge = &stat->targets[i];

        if (route == NULL || gauge->target.route.len != route->len
            || ngx_memcmp(gauge->target.route.data, route->data, route->len)
               != 0)
        {
            route = &gauge->target.route;
            pending += most;
            most = 0;
        }

        n = gauge->states[NGX_TROVE_SPOOL_NEW]
            + gauge->states[NGX_TROVE_SPOOL_RETRY]
            + gauge->states[NGX_TROVE_SPOOL_LEASED];

        most = ngx_max(most, n);
    }

    return ngx_min(pending + most, stat->events);
}
