
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_db.h"


/*
 * Targets as cached by a connection.  A transaction accumulates the changes of
 * their counters and writes them at its end, once for each target.
 */

/* maximum number of targets cached by a connection */
#define NGX_TROVE_SQLITE_CACHED_MAX  20000


static ngx_uint_t ngx_trove_sqlite_cache_hash(ngx_trove_spool_target_t *target);
static ngx_int_t ngx_trove_sqlite_cache_lookup(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_target_t *target, ngx_uint_t add, int64_t subscription,
    ngx_uint_t paused, ngx_trove_sqlite_cached_t **cached);
static ngx_trove_sqlite_cached_t *ngx_trove_sqlite_cache_add(
    ngx_trove_sqlite_db_t *db, int64_t id, ngx_trove_spool_target_t *target,
    int64_t subscription);
static ngx_int_t ngx_trove_sqlite_cache_refresh(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_cached_t *cached);
static ngx_int_t ngx_trove_sqlite_cache_total(ngx_trove_sqlite_db_t *db);


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
    return ngx_trove_sqlite_cache_lookup(db, target, add, 0, 0, cached);
}


ngx_int_t
ngx_trove_sqlite_cache_subscription(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_target_t *target, int64_t subscription, ngx_uint_t paused,
    ngx_trove_sqlite_cached_t **cached)
{
    return ngx_trove_sqlite_cache_lookup(db, target, 1, subscription, paused,
                                         cached);
}


static ngx_int_t
ngx_trove_sqlite_cache_lookup(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_target_t *target, ngx_uint_t add, int64_t subscription,
    ngx_uint_t paused, ngx_trove_sqlite_cached_t **cached)
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
        subscription = sqlite3_column_int64(stmt, 1);
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
        ngx_trove_sqlite_bind_int(stmt, 3, subscription);

        (void) sqlite3_bind_int(stmt, 4, (int) paused);

        if (ngx_trove_sqlite_run(db, stmt) != NGX_OK) {
            return NGX_ERROR;
        }

        id = sqlite3_last_insert_rowid(db->db);
    }

    c = ngx_trove_sqlite_cache_add(db, id, target, subscription);
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

    c = ngx_trove_sqlite_cache_add(db, id, &target,
                                   sqlite3_column_int64(stmt, 5));

    (void) sqlite3_reset(stmt);

    if (c == NULL) {
        return NGX_ERROR;
    }

    *cached = c;

    return NGX_OK;
}


static ngx_trove_sqlite_cached_t *
ngx_trove_sqlite_cache_add(ngx_trove_sqlite_db_t *db, int64_t id,
    ngx_trove_spool_target_t *target, int64_t subscription)
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
    c->subscription = subscription;
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

    if (ngx_trove_sqlite_cache_total(db) != NGX_OK) {
        return NGX_ERROR;
    }

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


/*
 * The subscriptions with a route have a row for all of them: otherwise all of
 * their rows would be read for the metrics.
 */

static ngx_int_t
ngx_trove_sqlite_cache_total(ngx_trove_sqlite_db_t *db)
{
    ngx_uint_t                  i;
    ngx_trove_spool_target_t    target;
    ngx_trove_sqlite_cached_t  *c, *total;

    for (c = db->changed; c; c = c->changed) {

        if (c->subscription == 0) {
            continue;
        }

        target.route = c->target.route;
        ngx_str_set(&target.name, NGX_TROVE_SPOOL_SUBSCRIBERS);

        if (ngx_trove_sqlite_cache_get(db, &target, 1, &total) != NGX_OK) {
            return NGX_ERROR;
        }

        for (i = 0; i < NGX_TROVE_SPOOL_STATES; i++) {
            total->delta[i] += c->delta[i];
        }

        ngx_trove_sqlite_cache_changed(db, total);
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


void
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
