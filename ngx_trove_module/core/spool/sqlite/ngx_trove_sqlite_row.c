
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_db.h"


/*
 * Rows of deliveries, and the targets that count them.  All state changes are
 * made here.  A transaction accumulates the changes of the counters and writes
 * them at its end, once for each target.
 */

/* maximum number of targets cached by a connection */
#define NGX_TROVE_SQLITE_CACHED_MAX  20000


static ngx_uint_t ngx_trove_sqlite_cache_hash(ngx_trove_spool_target_t *target);
static void ngx_trove_sqlite_cache_changed(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_cached_t *cached);
static void ngx_trove_sqlite_row_due(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_cached_t *cached, ngx_trove_sqlite_row_t *row);
static ngx_trove_sqlite_cached_t *ngx_trove_sqlite_cache_add(
    ngx_trove_sqlite_db_t *db, int64_t id, ngx_trove_spool_target_t *target);
static ngx_int_t ngx_trove_sqlite_cache_refresh(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_cached_t *cached);
static ngx_int_t ngx_trove_sqlite_row_count(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_cached_t *cached, ngx_trove_spool_state_e state, int by);
static sqlite3_stmt *ngx_trove_sqlite_row_bind(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_sql_e n, ngx_trove_sqlite_row_t *row);


static ngx_uint_t
ngx_trove_sqlite_cache_hash(ngx_trove_spool_target_t *target)
{
    size_t      i;
    ngx_uint_t  hash;

    hash = 0;

    for (i = 0; i < target->name.len; i++) {
        hash = ngx_hash(hash, target->name.data[i]);
    }

    for (i = 0; i < target->route.len; i++) {
        hash = ngx_hash(hash, target->route.data[i]);
    }

    return hash % NGX_TROVE_SQLITE_BUCKETS;
}


ngx_int_t
ngx_trove_sqlite_cache_get(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_target_t *target, ngx_uint_t add,
    ngx_trove_sqlite_cached_t **cached)
{
    int64_t                     id;
    ngx_int_t                   rc;
    sqlite3_stmt               *stmt;
    ngx_trove_sqlite_cached_t  *c;

    for (c = db->by_name[ngx_trove_sqlite_cache_hash(target)];
         c != NULL;
         c = c->by_name)
    {
        if (c->target.name.len == target->name.len
            && c->target.route.len == target->route.len
            && ngx_memcmp(c->target.name.data, target->name.data,
                          target->name.len) == 0
            && ngx_memcmp(c->target.route.data, target->route.data,
                          target->route.len) == 0)
        {
            *cached = c;
            return ngx_trove_sqlite_cache_refresh(db, c);
        }
    }

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_TARGET_FIND);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    ngx_trove_sqlite_bind(stmt, 1, &target->route);
    ngx_trove_sqlite_bind(stmt, 2, &target->name);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_OK) {
        id = sqlite3_column_int64(stmt, 0);
        (void) sqlite3_reset(stmt);

    } else {

        if (!add) {
            return NGX_DECLINED;
        }

        stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_TARGET_ADD);
        if (stmt == NULL) {
            return NGX_ERROR;
        }

        ngx_trove_sqlite_bind(stmt, 1, &target->route);
        ngx_trove_sqlite_bind(stmt, 2, &target->name);

        if (ngx_trove_sqlite_run(db, stmt) != NGX_OK) {
            return NGX_ERROR;
        }

        id = sqlite3_last_insert_rowid(db->db);
    }

    c = ngx_trove_sqlite_cache_add(db, id, target);
    if (c == NULL) {
        return NGX_ERROR;
    }

    *cached = c;

    return ngx_trove_sqlite_cache_refresh(db, c);
}


ngx_int_t
ngx_trove_sqlite_cache_get_id(ngx_trove_sqlite_db_t *db, int64_t id,
    ngx_trove_sqlite_cached_t **cached)
{
    if (ngx_trove_sqlite_cache_find_id(db, id, cached) != NGX_OK
        || *cached == NULL)
    {
        return NGX_ERROR;
    }

    return ngx_trove_sqlite_cache_refresh(db, *cached);
}


ngx_int_t
ngx_trove_sqlite_cache_find_id(ngx_trove_sqlite_db_t *db, int64_t id,
    ngx_trove_sqlite_cached_t **cached)
{
    ngx_int_t                   rc;
    sqlite3_stmt               *stmt;
    ngx_trove_spool_target_t    target;
    ngx_trove_sqlite_cached_t  *c;

    for (c = db->by_id[id % NGX_TROVE_SQLITE_BUCKETS]; c; c = c->by_id) {

        if (c->id == id) {
            *cached = c;
            return NGX_OK;
        }
    }

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_TARGET);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, id);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DONE) {
        return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_CORRUPT, 0,
                                    "a delivery has no row in \"target\"");
    }

    ngx_trove_sqlite_column(stmt, 0, &target.route);
    ngx_trove_sqlite_column(stmt, 1, &target.name);

    c = ngx_trove_sqlite_cache_add(db, id, &target);

    (void) sqlite3_reset(stmt);

    if (c == NULL) {
        return NGX_ERROR;
    }

    *cached = c;

    return NGX_OK;
}


static ngx_trove_sqlite_cached_t *
ngx_trove_sqlite_cache_add(ngx_trove_sqlite_db_t *db, int64_t id,
    ngx_trove_spool_target_t *target)
{
    u_char                     *p;
    ngx_uint_t                  n;
    ngx_trove_sqlite_cached_t  *c;

    c = malloc(sizeof(ngx_trove_sqlite_cached_t) + target->route.len
               + target->name.len);

    if (c == NULL) {
        (void) ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_MEMORY, 0,
                                    "out of memory");
        return NULL;
    }

    ngx_memzero(c, sizeof(ngx_trove_sqlite_cached_t));

    p = (u_char *) (c + 1);

    c->id = id;
    c->target.route.len = target->route.len;
    c->target.route.data = p;

    p = ngx_cpymem(p, target->route.data, target->route.len);

    c->target.name.len = target->name.len;
    c->target.name.data = p;

    ngx_memcpy(p, target->name.data, target->name.len);

    n = ngx_trove_sqlite_cache_hash(&c->target);
    c->by_name = db->by_name[n];
    db->by_name[n] = c;

    n = id % NGX_TROVE_SQLITE_BUCKETS;
    c->by_id = db->by_id[n];
    db->by_id[n] = c;

    db->ncached++;

    return c;
}


/* the row may have been changed since the last transaction */

static ngx_int_t
ngx_trove_sqlite_cache_refresh(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_cached_t *cached)
{
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    if (cached->txn == db->txn) {
        return NGX_OK;
    }

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_TARGET);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, cached->id);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DONE) {
        return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_CORRUPT, 0,
                                    "a row of \"target\" has been removed");
    }

    cached->paused = sqlite3_column_int(stmt, 2);
    cached->pending = sqlite3_column_int64(stmt, 3);
    cached->due = (sqlite3_column_type(stmt, 4) == SQLITE_NULL)
                  ? NGX_TROVE_SQLITE_NEVER : sqlite3_column_int64(stmt, 4);
    cached->txn = db->txn;

    (void) sqlite3_reset(stmt);

    return NGX_OK;
}


ngx_int_t
ngx_trove_sqlite_cache_flush(ngx_trove_sqlite_db_t *db)
{
    ngx_uint_t                  i;
    sqlite3_stmt               *stmt;
    ngx_trove_sqlite_cached_t  *c;

    for (c = db->changed; c; c = c->changed) {

        stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_TARGET_COUNT);
        if (stmt == NULL) {
            return NGX_ERROR;
        }

        (void) sqlite3_bind_int64(stmt, 1, c->id);

        for (i = 0; i < NGX_TROVE_SPOOL_STATES; i++) {
            (void) sqlite3_bind_int64(stmt, i + 2, c->delta[i]);
        }

        if (ngx_trove_sqlite_run(db, stmt) != NGX_OK) {
            return NGX_ERROR;
        }

        ngx_memzero(c->delta, sizeof(c->delta));
        c->dirty = 0;

        if (!c->due_dirty) {
            continue;
        }

        stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_TARGET_SET_DUE);
        if (stmt == NULL) {
            return NGX_ERROR;
        }

        (void) sqlite3_bind_int64(stmt, 1, c->id);

        if (c->due == NGX_TROVE_SQLITE_NEVER) {
            (void) sqlite3_bind_null(stmt, 2);

        } else {
            (void) sqlite3_bind_int64(stmt, 2, c->due);
        }

        if (ngx_trove_sqlite_run(db, stmt) != NGX_OK) {
            return NGX_ERROR;
        }

        c->due_dirty = 0;
    }

    db->changed = NULL;

    if (db->ncached > NGX_TROVE_SQLITE_CACHED_MAX) {
        ngx_trove_sqlite_cache_clear(db);
    }

    return NGX_OK;
}


void
ngx_trove_sqlite_cache_clear(ngx_trove_sqlite_db_t *db)
{
    ngx_uint_t                  i;
    ngx_trove_sqlite_cached_t  *c, *next;

    for (i = 0; i < NGX_TROVE_SQLITE_BUCKETS; i++) {

        for (c = db->by_id[i]; c; c = next) {
            next = c->by_id;
            free(c);
        }

        db->by_id[i] = NULL;
        db->by_name[i] = NULL;
    }

    db->changed = NULL;
    db->ncached = 0;
}


static ngx_int_t
ngx_trove_sqlite_row_count(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_cached_t *cached, ngx_trove_spool_state_e state, int by)
{
    if (cached == NULL || (ngx_uint_t) state >= NGX_TROVE_SPOOL_STATES) {
        return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_CORRUPT, 0,
                                    "a delivery has the invalid state %d",
                                    (int) state);
    }

    cached->delta[state] += by;

    if (ngx_trove_sqlite_pending(state)) {
        cached->pending += by;
    }

    ngx_trove_sqlite_cache_changed(db, cached);

    return NGX_OK;
}


static void
ngx_trove_sqlite_cache_changed(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_cached_t *cached)
{
    if (!cached->dirty) {
        cached->dirty = 1;
        cached->changed = db->changed;
        db->changed = cached;
    }
}


void
ngx_trove_sqlite_cache_due(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_cached_t *cached, int64_t due)
{
    if (cached->due != due) {
        cached->due = due;
        cached->due_dirty = 1;
        ngx_trove_sqlite_cache_changed(db, cached);
    }
}


/*
 * The time of a target only decreases here.  It is corrected when the target is
 * found by it: otherwise it would be written with each outcome.
 */

static void
ngx_trove_sqlite_row_due(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_cached_t *cached, ngx_trove_sqlite_row_t *row)
{
    if (ngx_trove_sqlite_pending(row->state) && row->due < cached->due) {
        ngx_trove_sqlite_cache_due(db, cached, row->due);
    }
}


void
ngx_trove_sqlite_row_read(sqlite3_stmt *stmt, ngx_trove_sqlite_row_t *row)
{
    row->id = sqlite3_column_int64(stmt, 0);
    row->target = sqlite3_column_int64(stmt, 1);
    row->state = sqlite3_column_int(stmt, 2);
    row->due = sqlite3_column_int64(stmt, 3);
    row->ended = sqlite3_column_int64(stmt, 4);
    row->opened = sqlite3_column_int64(stmt, 5);
    row->attempts = sqlite3_column_int64(stmt, 6);
    row->owner = sqlite3_column_int64(stmt, 7);
    row->started = sqlite3_column_int64(stmt, 8);
    row->took = sqlite3_column_int64(stmt, 9);
    row->status = sqlite3_column_int64(stmt, 10);
    row->earlier = sqlite3_column_int64(stmt, 11);
}


ngx_int_t
ngx_trove_sqlite_row_get(ngx_trove_sqlite_db_t *db, int64_t id,
    ngx_trove_sqlite_row_t *row)
{
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_DELIVERY);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, id);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc == NGX_DONE) {
        return NGX_DECLINED;
    }

    if (rc == NGX_OK) {
        ngx_trove_sqlite_row_read(stmt, row);
        (void) sqlite3_reset(stmt);
    }

    return rc;
}


/*
 * An outcome that fits in the space of the row is written in place.  If rows
 * of a page grew one after another, the page would be split again and again.
 * So a leased row has from the start the bytes needed by its outcome: those of
 * the owner, which is a large number, are used for the status and the
 * duration, and those of "started" exist already.
 */

ngx_int_t
ngx_trove_sqlite_row_add(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_cached_t *cached, ngx_trove_sqlite_row_t *row)
{
    sqlite3_stmt  *stmt;

    if (ngx_trove_sqlite_row_count(db, cached, row->state, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_trove_sqlite_row_due(db, cached, row);

    stmt = ngx_trove_sqlite_row_bind(db, NGX_TROVE_SQLITE_SQL_DELIVERY_ADD,
                                     row);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    return ngx_trove_sqlite_run(db, stmt);
}


ngx_int_t
ngx_trove_sqlite_row_set(ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_row_t *row,
    ngx_trove_spool_state_e from)
{
    sqlite3_stmt               *stmt;
    ngx_trove_sqlite_cached_t  *cached;

    cached = NULL;

    if (ngx_trove_sqlite_pending(row->state)
        && !ngx_trove_sqlite_pending(from))
    {
        db->reopened = 1;
    }

    if (row->state != from || ngx_trove_sqlite_pending(row->state)) {

        if (ngx_trove_sqlite_cache_get_id(db, row->target, &cached) != NGX_OK
            || ngx_trove_sqlite_row_count(db, cached, from, -1) != NGX_OK
            || ngx_trove_sqlite_row_count(db, cached, row->state, 1) != NGX_OK)
        {
            return NGX_ERROR;
        }

        ngx_trove_sqlite_row_due(db, cached, row);
    }

    stmt = ngx_trove_sqlite_row_bind(db, NGX_TROVE_SQLITE_SQL_DELIVERY_SET,
                                     row);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    return ngx_trove_sqlite_run(db, stmt);
}


ngx_int_t
ngx_trove_sqlite_row_delete(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_row_t *row)
{
    sqlite3_stmt               *stmt;
    ngx_trove_sqlite_cached_t  *cached;

    cached = NULL;

    if (ngx_trove_sqlite_cache_get_id(db, row->target, &cached) != NGX_OK
        || ngx_trove_sqlite_row_count(db, cached, row->state, -1) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (row->attempts != 0) {

        stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_ATTEMPT_DELETE);
        if (stmt == NULL) {
            return NGX_ERROR;
        }

        (void) sqlite3_bind_int64(stmt, 1, row->id);

        if (ngx_trove_sqlite_run(db, stmt) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_DELIVERY_DELETE);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, row->id);

    return ngx_trove_sqlite_run(db, stmt);
}


static sqlite3_stmt *
ngx_trove_sqlite_row_bind(ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_sql_e n,
    ngx_trove_sqlite_row_t *row)
{
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, n);
    if (stmt == NULL) {
        return NULL;
    }

    (void) sqlite3_bind_int64(stmt, 1, row->id);

    if (n == NGX_TROVE_SQLITE_SQL_DELIVERY_ADD) {
        (void) sqlite3_bind_int64(stmt, 2, row->target);
    }

    (void) sqlite3_bind_int64(stmt, 3, row->state);

    /* a row without a due time is not in the index of pending deliveries */

    if (ngx_trove_sqlite_pending(row->state)) {
        (void) sqlite3_bind_int64(stmt, 4, row->due);
        (void) sqlite3_bind_null(stmt, 5);

    } else {
        (void) sqlite3_bind_null(stmt, 4);
        (void) sqlite3_bind_int64(stmt, 5, row->ended);
    }

    (void) sqlite3_bind_int64(stmt, 6, row->opened);
    (void) sqlite3_bind_int64(stmt, 7, row->attempts);

    ngx_trove_sqlite_bind_int(stmt, 8, row->owner);
    ngx_trove_sqlite_bind_int(stmt, 9, row->started);

    /* 0 is a valid duration, but without an attempt there is none */

    if (row->attempts != 0) {
        (void) sqlite3_bind_int64(stmt, 10, row->took);

    } else {
        (void) sqlite3_bind_null(stmt, 10);
    }

    ngx_trove_sqlite_bind_int(stmt, 11, row->status);
    ngx_trove_sqlite_bind_int(stmt, 12, row->earlier);

    return stmt;
}


void
ngx_trove_sqlite_row_wait(ngx_trove_sqlite_row_t *row, int64_t now)
{
    row->state = (row->attempts == 0) ? NGX_TROVE_SPOOL_NEW
                                      : NGX_TROVE_SPOOL_RETRY;
    row->due = now;
    row->owner = 0;
}


/*
 * A delivery that was cancelled, replayed, and leased again by this process is
 * leased by another reference.
 */

ngx_uint_t
ngx_trove_sqlite_row_ours(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_row_t *row, ngx_trove_spool_ref_t *ref)
{
    return row->state == NGX_TROVE_SPOOL_LEASED
           && row->owner == spool->owner
           && row->opened == ref->opened;
}
