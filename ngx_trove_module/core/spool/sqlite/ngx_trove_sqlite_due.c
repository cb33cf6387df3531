
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_lease.h"
#include "ngx_trove_sqlite_subscription.h"


/*
 * Lookup of due deliveries.  The index of targets is by due time.  It contains
 * for each target a time before which none of its deliveries is due.  So
 * targets with due deliveries are found immediately, however many others there
 * are.  The index of pending deliveries is by target, state and due time.  So
 * due deliveries of a target, separately for first attempts and retries, are
 * found immediately, however large the backlog of this or any other target is.
 */

/* rows per transaction that voids leases */
#define NGX_TROVE_SQLITE_VOID  4096


static ngx_int_t ngx_trove_sqlite_lease_add(ngx_trove_sqlite_taking_t *taking,
    int64_t target);
static ngx_int_t ngx_trove_sqlite_lease_subscription(
    ngx_trove_sqlite_taking_t *taking, ngx_trove_sqlite_due_t *due,
    int64_t subscription);
static int ngx_trove_sqlite_lease_cmp_limits(const void *one, const void *two);
static int ngx_trove_sqlite_lease_cmp_due(const void *one, const void *two);
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

    taking->lease->n = 0;
    taking->lease->next = -1;
}


void
ngx_trove_sqlite_lease_done(ngx_trove_sqlite_taking_t *taking)
{
    ngx_uint_t  i;

    for (i = 0; i < taking->ndue; i++) {
        ngx_trove_spool_subscriber_free(taking->due[i].subscriber);
    }

    free(taking->due);
}


ngx_int_t
ngx_trove_sqlite_lease_targets(ngx_trove_sqlite_taking_t *taking)
{
    ngx_int_t                 rc;
    sqlite3_stmt             *stmt;
    ngx_trove_spool_lease_t  *lease;

    lease = taking->lease;

    if (lease->nwants == 0 || lease->max == 0) {
        return NGX_OK;
    }

    if (lease->nlimits) {
        qsort(lease->limits, lease->nlimits, sizeof(ngx_trove_spool_limit_t),
              ngx_trove_sqlite_lease_cmp_limits);
    }

    stmt = ngx_trove_sqlite_sql(taking->db, NGX_TROVE_SQLITE_SQL_TARGET_DUE);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, taking->now);

    for ( ;; ) {
        rc = ngx_trove_sqlite_step(taking->db, stmt);

        if (rc != NGX_OK) {
            break;
        }

        if (ngx_trove_sqlite_lease_add(taking, sqlite3_column_int64(stmt, 0))
            != NGX_OK)
        {
            (void) sqlite3_reset(stmt);
            return NGX_ERROR;
        }

        /* those that have been due for longest: the others follow */

        if (taking->ndue >= NGX_TROVE_SQLITE_DUE * lease->max) {
            (void) sqlite3_reset(stmt);
            taking->left = 1;
            break;
        }
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (taking->ndue) {
        qsort(taking->due, taking->ndue, sizeof(ngx_trove_sqlite_due_t),
              ngx_trove_sqlite_lease_cmp_due);
    }

    stmt = ngx_trove_sqlite_sql(taking->db, NGX_TROVE_SQLITE_SQL_TARGET_NEXT);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, taking->now);

    rc = ngx_trove_sqlite_step(taking->db, stmt);

    if (rc == NGX_OK) {
        lease->next = sqlite3_column_int64(stmt, 0) - taking->now;
        (void) sqlite3_reset(stmt);
    }

    return (rc == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_lease_add(ngx_trove_sqlite_taking_t *taking, int64_t target)
{
    ngx_int_t                   rc;
    ngx_uint_t                  want, n;
    ngx_trove_spool_lease_t    *lease;
    ngx_trove_sqlite_due_t     *due;
    ngx_trove_spool_limit_t     key, *limit;
    ngx_trove_sqlite_cached_t  *cached;

    lease = taking->lease;

    rc = ngx_trove_sqlite_lease_want(taking, target, &want);

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_OK : NGX_ERROR;
    }

    if (ngx_trove_sqlite_cache_find_id(taking->db, target, &cached) != NGX_OK) {
        return NGX_ERROR;
    }

    key.want = want;
    ngx_str_null(&key.name);

    if (cached->subscription) {
        key.name = cached->target.name;
    }

    limit = NULL;

    if (lease->nlimits) {
        limit = bsearch(&key, lease->limits, lease->nlimits,
                        sizeof(ngx_trove_spool_limit_t),
                        ngx_trove_sqlite_lease_cmp_limits);

        if (limit == NULL && key.name.len) {
            ngx_str_null(&key.name);

            limit = bsearch(&key, lease->limits, lease->nlimits,
                            sizeof(ngx_trove_spool_limit_t),
                            ngx_trove_sqlite_lease_cmp_limits);
        }
    }

    if ((limit ? limit->limit : lease->wants[want].limit) == 0) {
        return NGX_OK;
    }

    if (taking->ndue == taking->adue) {

        n = taking->adue ? 2 * taking->adue : 64;
        due = realloc(taking->due, n * sizeof(ngx_trove_sqlite_due_t));

        if (due == NULL) {
            return ngx_trove_spool_fail(taking->db->error,
                                        NGX_TROVE_SPOOL_MEMORY, 0,
                                        "out of memory");
        }

        taking->due = due;
        taking->adue = n;
    }

    due = &taking->due[taking->ndue++];

    ngx_memzero(due, sizeof(ngx_trove_sqlite_due_t));

    due->id = target;
    due->want = want;
    due->limit = limit ? limit->limit : lease->wants[want].limit;
    due->retries = limit ? limit->retries : lease->wants[want].retries;

    if (cached->subscription == 0) {
        return NGX_OK;
    }

    return ngx_trove_sqlite_lease_subscription(taking, due,
                                               cached->subscription);
}


static ngx_int_t
ngx_trove_sqlite_lease_subscription(ngx_trove_sqlite_taking_t *taking,
    ngx_trove_sqlite_due_t *due, int64_t subscription)
{
    ngx_int_t                      rc;
    ngx_trove_sqlite_subscriber_t  sub;

    due->subscription = subscription;

    rc = ngx_trove_sqlite_subscriber_get(taking->db, subscription, 0, &sub);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED || sub.removed) {

        /* not to be leased: it should have been paused */

        taking->ndue--;
        return NGX_OK;
    }

    if (sub.failures >= NGX_TROVE_SPOOL_FAILURES) {
        due->half_open = 1;
        due->probe = sub.probe;

        due->limit = (sub.probe > taking->now) ? 0 : 1;
        due->retries = ngx_min(due->retries, due->limit);
    }

    return NGX_OK;
}


ngx_int_t
ngx_trove_sqlite_lease_want(ngx_trove_sqlite_taking_t *taking, int64_t target,
    ngx_uint_t *want)
{
    ngx_uint_t                  i;
    ngx_trove_spool_lease_t    *lease;
    ngx_trove_spool_target_t    key, *t;
    ngx_trove_sqlite_cached_t  *cached;

    lease = taking->lease;

    if (ngx_trove_sqlite_cache_find_id(taking->db, target, &cached) != NGX_OK) {
        return NGX_ERROR;
    }

    /* the subscriptions with a route are those of one target */

    key = cached->target;

    if (cached->subscription) {
        ngx_str_set(&key.name, NGX_TROVE_SPOOL_SUBSCRIBERS);
    }

    if (lease->find) {

        if (cached->wants != lease->wants) {
            cached->want = lease->find(lease->data, &key);
            cached->wants = lease->wants;
        }

        *want = cached->want;

        return (*want < lease->nwants) ? NGX_OK : NGX_DECLINED;
    }

    for (i = 0; i < lease->nwants; i++) {
        t = &lease->wants[i].target;

        if (t->name.len == key.name.len
            && t->route.len == key.route.len
            && ngx_memcmp(t->name.data, key.name.data, t->name.len) == 0
            && ngx_memcmp(t->route.data, key.route.data, t->route.len) == 0)
        {
            *want = i;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


static int
ngx_trove_sqlite_lease_cmp_limits(const void *one, const void *two)
{
    const ngx_trove_spool_limit_t  *first = one, *second = two;

    if (first->want != second->want) {
        return (first->want > second->want) ? 1 : -1;
    }

    if (first->name.len != second->name.len) {
        return (first->name.len > second->name.len) ? 1 : -1;
    }

    return first->name.len ? ngx_memcmp(first->name.data, second->name.data,
                                        first->name.len)
                           : 0;
}


static int
ngx_trove_sqlite_lease_cmp_due(const void *one, const void *two)
{
    const ngx_trove_sqlite_due_t  *first = one, *second = two;

    return (first->id > second->id) - (first->id < second->id);
}


ngx_int_t
ngx_trove_sqlite_lease_next(ngx_trove_sqlite_db_t *db, int64_t target,
    int64_t *next)
{
    ngx_int_t      rc;
    ngx_uint_t     state;
    sqlite3_stmt  *stmt;

    *next = NGX_TROVE_SQLITE_NEVER;

    for (state = NGX_TROVE_SPOOL_NEW;
         state <= NGX_TROVE_SPOOL_LEASED;
         state++)
    {
        stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_DELIVERY_NEXT);
        if (stmt == NULL) {
            return NGX_ERROR;
        }

        (void) sqlite3_bind_int64(stmt, 1, target);
        (void) sqlite3_bind_int(stmt, 2, state);

        rc = ngx_trove_sqlite_step(db, stmt);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DONE) {
            continue;
        }

        *next = ngx_min(*next, sqlite3_column_int64(stmt, 0));

        (void) sqlite3_reset(stmt);
    }

    return NGX_OK;
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


ngx_int_t
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


ngx_int_t
ngx_trove_sqlite_lease_repair(ngx_trove_sqlite_taking_t *taking,
    int64_t target)
{
    ngx_uint_t              i, n;
    sqlite3_stmt           *stmt;
    ngx_trove_sqlite_db_t  *db;
    ngx_trove_sqlite_row_t  rows[NGX_TROVE_SQLITE_ROWS];

    db = taking->db;

    for (i = 0; i < NGX_TROVE_SQLITE_REPAIRS; i++) {

        stmt = ngx_trove_sqlite_lease_due(db, target, NGX_TROVE_SPOOL_LEASED,
                                          taking->now, NGX_TROVE_SQLITE_ROWS);

        if (ngx_trove_sqlite_lease_rows(db, stmt, rows, &n) != NGX_OK
            || ngx_trove_sqlite_lease_wait(db, rows, n, taking->now) != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (n < NGX_TROVE_SQLITE_ROWS) {
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

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_TARGETS_LEASED);
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
    int64_t                 now, owner;
    ngx_uint_t              n, total;
    sqlite3_stmt           *stmt;
    ngx_trove_sqlite_row_t  rows[NGX_TROVE_SQLITE_ROWS];

    now = ngx_trove_sqlite_now(spool);

    /*
     * After an error a process opens the file again, and may be the only one.
     * It is still making the deliveries that it has leased.
     */

    owner = (spool->owned == spool->file) ? spool->owner : 0;

    do {
        if (ngx_trove_sqlite_begin(spool, db, 0, NULL) != NGX_OK) {
            return NGX_ERROR;
        }

        total = 0;

        do {
            stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_DELIVERY_VOID);

            if (stmt != NULL) {
                (void) sqlite3_bind_int64(stmt, 1, target);
                (void) sqlite3_bind_int64(stmt, 2, owner);
                (void) sqlite3_bind_int(stmt, 3, NGX_TROVE_SQLITE_ROWS);
            }

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
