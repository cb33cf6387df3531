
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_query.h"


/* up to this number, all pending deliveries of a target are read */
#define NGX_TROVE_SQLITE_STAT_FEW    100

/* deliveries read by a call in search of the oldest ones */
#define NGX_TROVE_SQLITE_STAT_ROWS   20000

/* pause after reading all pending deliveries, as a multiple of its time */
#define NGX_TROVE_SQLITE_STAT_PAUSE  100


static ngx_int_t ngx_trove_sqlite_stat_targets(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_stat_t *stat, int64_t **ids);
static ngx_int_t ngx_trove_sqlite_stat_oldest(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_stat_t *stat, int64_t *ids,
    uint64_t reopened);
static ngx_trove_sqlite_mark_t *ngx_trove_sqlite_stat_mark(
    ngx_trove_sqlite_t *spool, int64_t target);
static int ngx_libc_cdecl ngx_trove_sqlite_stat_compare(const void *one,
    const void *two);
static ngx_int_t ngx_trove_sqlite_stat_target(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_gauge_t *gauge,
    ngx_trove_sqlite_mark_t *mark, ngx_uint_t read, ngx_uint_t *rows);
static ngx_uint_t ngx_trove_sqlite_stat_all(ngx_trove_spool_gauge_t *gauge);
static ngx_int_t ngx_trove_sqlite_stat_min(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_gauge_t *gauge, ngx_trove_sqlite_mark_t *mark);
static ngx_int_t ngx_trove_sqlite_stat_next(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_gauge_t *gauge, ngx_trove_sqlite_mark_t *mark,
    ngx_uint_t *rows);
static int64_t ngx_trove_sqlite_stat_received(ngx_trove_sqlite_db_t *db,
    int64_t number);
static void ngx_trove_sqlite_stat_sizes(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_stat_t *stat);
static uint64_t ngx_trove_sqlite_stat_pending(ngx_trove_spool_stat_t *stat);


ngx_trove_spool_stat_t *
ngx_trove_sqlite_stat(ngx_trove_spool_t *base, ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    int64_t                 *ids;
    uint64_t                 reopened;
    ngx_int_t                rc;
    ngx_trove_sqlite_db_t   *db;
    ngx_trove_spool_stat_t  *stat;

    /* the marks belong to one call at a time, whatever its connection is */

    (void) pthread_mutex_lock(&spool->marking);

    db = ngx_trove_sqlite_read(spool, error);
    if (db == NULL) {
        (void) pthread_mutex_unlock(&spool->marking);
        return NULL;
    }

    /* before the snapshot, which may lack the last replay otherwise */

    reopened = __atomic_load_n(&spool->shared->reopened, __ATOMIC_ACQUIRE);

    rc = NGX_ERROR;

    stat = ngx_trove_sqlite_read_alloc(db, NULL,
                                       sizeof(ngx_trove_spool_stat_t));

    if (stat != NULL
        && ngx_trove_sqlite_stat_targets(db, stat, &ids) == NGX_OK)
    {
        rc = ngx_trove_sqlite_stat_oldest(spool, db, stat, ids, reopened);
    }

    if (rc == NGX_OK) {
        ngx_trove_sqlite_stat_sizes(spool, db, stat);
    }

    ngx_trove_sqlite_read_end(spool, db, rc);

    (void) pthread_mutex_unlock(&spool->marking);

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

    stmt = ngx_trove_sqlite_sql(db,
                                NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_COUNT);
    if (stmt == NULL || ngx_trove_sqlite_step(db, stmt) == NGX_ERROR) {
        return NGX_ERROR;
    }

    stat->subscriptions = sqlite3_column_int64(stmt, 0);
    stat->disabled = sqlite3_column_int64(stmt, 1);

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


/*
 * The oldest pending delivery of a target is that with the lowest id.  It is
 * found without reading all that are pending, except if they are few: from the
 * last known one, the table is read up to the next one that is pending.  So
 * each delivery is passed once.  Only a replay can make a delivery before that
 * one pending; then the target's pending deliveries are read once, for a small
 * part of the time.
 */

static ngx_int_t
ngx_trove_sqlite_stat_oldest(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_stat_t *stat, int64_t *ids,
    uint64_t reopened)
{
    int64_t                   age, received;
    ngx_uint_t                i, k, read, rows;
    ngx_trove_sqlite_mark_t  *marks, *mark;

    marks = calloc(stat->ntargets + 1, sizeof(ngx_trove_sqlite_mark_t));

    if (marks == NULL) {
        return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_MEMORY, 0,
                                    "out of memory");
    }

    for (i = 0; i < stat->ntargets; i++) {

        mark = (spool->marks_file == spool->file)
               ? ngx_trove_sqlite_stat_mark(spool, ids[i]) : NULL;

        marks[i].target = ids[i];
        marks[i].id = mark ? mark->id : 0;
        marks[i].known = (mark != NULL && mark->known
                          && reopened == spool->reopened);
    }

    free(spool->marks);

    spool->marks = marks;
    spool->nmarks = stat->ntargets;
    spool->marks_file = spool->file;
    spool->reopened = reopened;

    read = (ngx_trove_sqlite_elapsed() >= spool->marks_pause);
    rows = NGX_TROVE_SQLITE_STAT_ROWS;
    spool->marks_turn++;

    for (k = 0; k < stat->ntargets; k++) {

        i = (spool->marks_turn + k) % stat->ntargets;

        if (ngx_trove_sqlite_stat_target(spool, db, &stat->targets[i],
                                         &marks[i], read, &rows)
            != NGX_OK)
        {
            goto failed;
        }

        if (marks[i].id == 0) {
            continue;
        }

        received = ngx_trove_sqlite_stat_received(db,
                                     ngx_trove_spool_event_of(marks[i].id));

        if (received == -1) {
            goto failed;
        }

        age = ngx_max(ngx_trove_sqlite_wall(spool) - received, 0);

        stat->targets[i].oldest = age;
        stat->oldest = ngx_max(stat->oldest, age);
    }

    qsort(marks, spool->nmarks, sizeof(ngx_trove_sqlite_mark_t),
          ngx_trove_sqlite_stat_compare);

    return NGX_OK;

failed:

    spool->nmarks = 0;

    return NGX_ERROR;
}


static ngx_trove_sqlite_mark_t *
ngx_trove_sqlite_stat_mark(ngx_trove_sqlite_t *spool, int64_t target)
{
    ngx_trove_sqlite_mark_t  key;

    if (spool->nmarks == 0) {
        return NULL;
    }

    ngx_memzero(&key, sizeof(ngx_trove_sqlite_mark_t));

    key.target = target;

    return bsearch(&key, spool->marks, spool->nmarks,
                   sizeof(ngx_trove_sqlite_mark_t),
                   ngx_trove_sqlite_stat_compare);
}


static int ngx_libc_cdecl
ngx_trove_sqlite_stat_compare(const void *one, const void *two)
{
    const ngx_trove_sqlite_mark_t  *a = one;
    const ngx_trove_sqlite_mark_t  *b = two;

    return (a->target > b->target) - (a->target < b->target);
}


/*
 * Sets mark->id to the oldest pending delivery; 0 if none is pending.  If *rows
 * are exhausted, it is one before that.  If it must be searched for and read is
 * 0, it remains as it is.
 */

static ngx_int_t
ngx_trove_sqlite_stat_target(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_gauge_t *gauge,
    ngx_trove_sqlite_mark_t *mark, ngx_uint_t read, ngx_uint_t *rows)
{
    int64_t   start, now;
    uint64_t  pending;

    pending = gauge->states[NGX_TROVE_SPOOL_NEW]
              + gauge->states[NGX_TROVE_SPOOL_RETRY]
              + gauge->states[NGX_TROVE_SPOOL_LEASED];

    if (pending == 0) {
        mark->id = 0;
        mark->known = 0;
        return NGX_OK;
    }

    if (pending <= NGX_TROVE_SQLITE_STAT_FEW) {
        return ngx_trove_sqlite_stat_min(db, gauge, mark);
    }

    if (mark->known) {
        return ngx_trove_sqlite_stat_next(db, gauge, mark, rows);
    }

    if (mark->id != 0 && !read) {
        return NGX_OK;
    }

    start = ngx_trove_sqlite_elapsed();

    if (ngx_trove_sqlite_stat_min(db, gauge, mark) != NGX_OK) {
        return NGX_ERROR;
    }

    now = ngx_trove_sqlite_elapsed();

    spool->marks_pause = ngx_max(spool->marks_pause, now)
                         + NGX_TROVE_SQLITE_STAT_PAUSE * (now - start);

    return NGX_OK;
}


static ngx_uint_t
ngx_trove_sqlite_stat_all(ngx_trove_spool_gauge_t *gauge)
{
    ngx_str_t  *name;

    name = &gauge->target.name;

    return name->len == sizeof(NGX_TROVE_SPOOL_SUBSCRIBERS) - 1
           && ngx_memcmp(name->data, NGX_TROVE_SPOOL_SUBSCRIBERS, name->len)
              == 0;
}


/* reads all that are pending for the target */

static ngx_int_t
ngx_trove_sqlite_stat_min(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_gauge_t *gauge, ngx_trove_sqlite_mark_t *mark)
{
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, ngx_trove_sqlite_stat_all(gauge)
                                    ? NGX_TROVE_SQLITE_SQL_SUBSCRIBED_OLDEST
                                    : NGX_TROVE_SQLITE_SQL_DELIVERY_OLDEST);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, mark->target);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    mark->id = (rc == NGX_OK) ? sqlite3_column_int64(stmt, 0) : 0;
    mark->known = (mark->id != 0);

    (void) sqlite3_reset(stmt);

    return NGX_OK;
}


/* reads from the last known one */

static ngx_int_t
ngx_trove_sqlite_stat_next(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_gauge_t *gauge, ngx_trove_sqlite_mark_t *mark,
    ngx_uint_t *rows)
{
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, ngx_trove_sqlite_stat_all(gauge)
                                    ? NGX_TROVE_SQLITE_SQL_SUBSCRIBED_FROM
                                    : NGX_TROVE_SQLITE_SQL_DELIVERY_FROM);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, mark->target);
    (void) sqlite3_bind_int64(stmt, 2, mark->id);

    while (*rows) {
        rc = ngx_trove_sqlite_step(db, stmt);

        if (rc != NGX_OK) {
            return (rc == NGX_DONE) ? NGX_OK : NGX_ERROR;
        }

        (*rows)--;

        mark->id = sqlite3_column_int64(stmt, 0);

        if (sqlite3_column_int(stmt, 1)) {
            break;
        }
    }

    (void) sqlite3_reset(stmt);

    return NGX_OK;
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
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_stat_t *stat)
{
    int64_t      pages, free_pages;
    uint64_t     ended;
    struct stat  st;

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
