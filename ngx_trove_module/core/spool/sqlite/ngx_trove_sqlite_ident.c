
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_siphash.h"
#include "ngx_trove_sqlite_query.h"


/*
 * The index of the ids of events: the table "ident" with 63 bits of a hash of
 * an id, and the number of the event.  Ids are as random as keys, see
 * ngx_trove_sqlite_key.c: so they are added in bulk, sorted, by maintenance.
 * The row with the hash -1 has the number of the last event that was added.
 * Later events, fewer than twice spool->idents, are found by reading them.
 *
 * What the index finds is checked against the row of the event.  Rows of events
 * that were removed are harmless, and are removed from time to time.
 */

#define NGX_TROVE_SQLITE_IDENT_LAST   (-1)

/* the time of a transaction, microseconds; rows examined at a time */
#define NGX_TROVE_SQLITE_IDENT_TIME   3000
#define NGX_TROVE_SQLITE_IDENT_SWEEP  1000

/* removed events that trigger a sweep: a minimum, and a part of the events */
#define NGX_TROVE_SQLITE_IDENT_STALE  10000
#define NGX_TROVE_SQLITE_IDENT_PART   4


static ngx_int_t ngx_trove_sqlite_ident_state(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_row_state_t *state);
static int64_t ngx_trove_sqlite_ident_of(int64_t identity, ngx_str_t *id);
static ngx_int_t ngx_trove_sqlite_ident_collect(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_row_state_t *state);
static ngx_int_t ngx_trove_sqlite_ident_merge(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);
static ngx_int_t ngx_trove_sqlite_ident_write(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_sql_e sql, int64_t hash, int64_t event);
static ngx_int_t ngx_trove_sqlite_ident_sweep(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_row_state_t *state);
static ngx_int_t ngx_trove_sqlite_ident_stale(ngx_trove_sqlite_work_t *work,
    ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_slot_t *stale, ngx_uint_t *n);


ngx_int_t
ngx_trove_sqlite_ident_hash(ngx_trove_sqlite_db_t *db, ngx_str_t *id,
    int64_t *hash, int64_t *last)
{
    ngx_trove_sqlite_row_state_t  state;

    *last = ngx_trove_sqlite_get(db, NGX_TROVE_SQLITE_SQL_IDENT_LAST);

    if (*last == -1 || ngx_trove_sqlite_ident_state(db, &state) != NGX_OK) {
        return NGX_ERROR;
    }

    *hash = ngx_trove_sqlite_ident_of(state.identity, id);

    return NGX_OK;
}


/* not db->state, which belongs to a transaction */

static ngx_int_t
ngx_trove_sqlite_ident_state(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_row_state_t *state)
{
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_STATE);

    if (stmt == NULL || ngx_trove_sqlite_step(db, stmt) != NGX_OK) {
        return NGX_ERROR;
    }

    state->last = sqlite3_column_int64(stmt, 0);
    state->events = sqlite3_column_int64(stmt, 1);
    state->identity = sqlite3_column_int64(stmt, 4);

    (void) sqlite3_reset(stmt);

    return NGX_OK;
}


/* keyed, so that senders cannot choose ids with the same hash */

static int64_t
ngx_trove_sqlite_ident_of(int64_t identity, ngx_str_t *id)
{
    u_char    key[NGX_TROVE_SIPHASH_KEY_LEN];
    uint64_t  hash[2];

    ngx_memzero(key, NGX_TROVE_SIPHASH_KEY_LEN);
    ngx_memcpy(key, &identity, sizeof(int64_t));

    ngx_trove_siphash(key, id->data, id->len, hash);

    return (int64_t) (hash[0] >> 1);
}


ngx_int_t
ngx_trove_sqlite_ident_maintain(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db)
{
    ngx_int_t                     rc;
    ngx_trove_sqlite_row_state_t  state;

    if (ngx_trove_sqlite_ident_state(db, &state) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = (spool->work.idents == NULL)
         ? ngx_trove_sqlite_ident_collect(spool, db, &state) : NGX_OK;

    if (rc == NGX_DECLINED) {
        return ngx_trove_sqlite_ident_sweep(spool, db, &state);
    }

    if (rc == NGX_OK) {
        rc = ngx_trove_sqlite_ident_merge(spool, db);
    }

    if (rc == NGX_ERROR) {
        ngx_trove_sqlite_ident_drop(&spool->work);
    }

    return rc;
}


/* NGX_OK; NGX_DECLINED: there are not enough events; NGX_ERROR */

static ngx_int_t
ngx_trove_sqlite_ident_collect(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_row_state_t *state)
{
    int64_t                   last;
    ngx_int_t                 rc;
    ngx_str_t                 id;
    ngx_uint_t                rows;
    sqlite3_stmt             *stmt;
    ngx_trove_sqlite_slot_t  *ident;
    ngx_trove_sqlite_work_t  *work;

    work = &spool->work;

    last = ngx_trove_sqlite_get(db, NGX_TROVE_SQLITE_SQL_IDENT_LAST);

    if (last == -1) {
        return NGX_ERROR;
    }

    if (state->last - last < (int64_t) spool->idents) {
        return NGX_DECLINED;
    }

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_EVENT_IDS);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    work->idents = malloc(spool->idents * sizeof(ngx_trove_sqlite_slot_t));
    if (work->idents == NULL) {
        return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_MEMORY, 0,
                                    "out of memory");
    }

    work->nidents = 0;
    work->ident_done = 0;
    work->ident_identity = state->identity;

    (void) sqlite3_bind_int64(stmt, 1, last);
    (void) sqlite3_bind_int64(stmt, 2, (sqlite3_int64) spool->idents);

    for (rows = 0; /* void */ ; rows++) {
        rc = ngx_trove_sqlite_step(db, stmt);

        if (rc != NGX_OK) {
            break;
        }

        last = sqlite3_column_int64(stmt, 0);

        ngx_trove_sqlite_column(stmt, 1, &id);

        if (id.data == NULL) {
            continue;
        }

        ident = &work->idents[work->nidents++];

        ident->hash = ngx_trove_sqlite_ident_of(state->identity, &id);
        ident->event = last;
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    /* numbers up to that of the state have been committed, or removed */

    work->ident_last = (rows < spool->idents) ? ngx_max(last, state->last)
                                              : last;

    qsort(work->idents, work->nidents, sizeof(ngx_trove_sqlite_slot_t),
          ngx_trove_sqlite_slot_compare);

    return NGX_OK;
}


/* if it is interrupted, all of it is repeated */

static ngx_int_t
ngx_trove_sqlite_ident_merge(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db)
{
    int64_t                   start, last;
    ngx_uint_t                n;
    ngx_trove_sqlite_work_t  *work;

    work = &spool->work;

    if (ngx_trove_sqlite_begin(spool, db, 0, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    if (db->state.identity != work->ident_identity) {

        /* the file has been replaced */

        ngx_trove_sqlite_rollback(spool, db);
        ngx_trove_sqlite_ident_drop(work);

        return NGX_OK;
    }

    start = ngx_trove_sqlite_elapsed();

    for (n = work->ident_done; n < work->nidents; n++) {

        if (ngx_trove_sqlite_elapsed() - start > NGX_TROVE_SQLITE_IDENT_TIME) {
            break;
        }

        if (ngx_trove_sqlite_ident_write(db, NGX_TROVE_SQLITE_SQL_IDENT_ADD,
                                         (int64_t) work->idents[n].hash,
                                         work->idents[n].event)
            != NGX_OK)
        {
            goto failed;
        }
    }

    if (n == work->nidents) {

        last = ngx_trove_sqlite_get(db, NGX_TROVE_SQLITE_SQL_IDENT_LAST);

        if (last == -1) {
            goto failed;
        }

        /* another process may have done the same, and more */

        if (last < work->ident_last
            && (ngx_trove_sqlite_ident_write(db,
                                             NGX_TROVE_SQLITE_SQL_IDENT_DELETE,
                                             NGX_TROVE_SQLITE_IDENT_LAST, last)
                != NGX_OK
                || ngx_trove_sqlite_ident_write(db,
                                                NGX_TROVE_SQLITE_SQL_IDENT_ADD,
                                                NGX_TROVE_SQLITE_IDENT_LAST,
                                                work->ident_last)
                   != NGX_OK))
        {
            goto failed;
        }
    }

    if (ngx_trove_sqlite_commit(spool, db) != NGX_OK) {
        return NGX_ERROR;
    }

    work->ident_done = n;

    if (n == work->nidents) {
        ngx_trove_sqlite_ident_drop(work);
    }

    return NGX_AGAIN;

failed:

    ngx_trove_sqlite_rollback(spool, db);

    return NGX_ERROR;
}


static ngx_int_t
ngx_trove_sqlite_ident_write(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_sql_e sql, int64_t hash, int64_t event)
{
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, sql);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, hash);
    (void) sqlite3_bind_int64(stmt, 2, event);

    return ngx_trove_sqlite_run(db, stmt);
}


void
ngx_trove_sqlite_ident_drop(ngx_trove_sqlite_work_t *work)
{
    free(work->idents);
    work->idents = NULL;
}


/*
 * Removes rows of events that were removed.  Some event may wait for ever, so
 * these are not only the oldest ones.
 */

static ngx_int_t
ngx_trove_sqlite_ident_sweep(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_row_state_t *state)
{
    int64_t                   removed;
    ngx_int_t                 rc;
    ngx_uint_t                i, n;
    ngx_trove_sqlite_slot_t   stale[NGX_TROVE_SQLITE_IDENT_SWEEP];
    ngx_trove_sqlite_work_t  *work;

    work = &spool->work;

    if (!work->ident_sweeping) {

        /* each number was used for one event */

        removed = state->last - state->events;

        if (removed < work->ident_removed) {

            /* the file has been replaced */

            work->ident_removed = 0;
        }

        if (removed - work->ident_removed < NGX_TROVE_SQLITE_IDENT_STALE
            || removed - work->ident_removed
               < state->events / NGX_TROVE_SQLITE_IDENT_PART)
        {
            return NGX_OK;
        }

        work->ident_sweeping = 1;
        work->ident_removed = removed;
        ngx_memzero(&work->ident_swept, sizeof(ngx_trove_sqlite_slot_t));
    }

    /* without the lock: nobody else removes rows */

    rc = ngx_trove_sqlite_ident_stale(work, db, stale, &n);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (n) {
        if (ngx_trove_sqlite_begin(spool, db, 0, NULL) != NGX_OK) {
            return NGX_ERROR;
        }

        for (i = 0; i < n; i++) {

            if (ngx_trove_sqlite_ident_write(db,
                                             NGX_TROVE_SQLITE_SQL_IDENT_DELETE,
                                             (int64_t) stale[i].hash,
                                             stale[i].event)
                != NGX_OK)
            {
                ngx_trove_sqlite_rollback(spool, db);
                return NGX_ERROR;
            }
        }

        if (ngx_trove_sqlite_commit(spool, db) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (rc == NGX_DONE) {
        work->ident_sweeping = 0;
        return NGX_OK;
    }

    return NGX_AGAIN;
}


/* NGX_OK; NGX_DONE: these are the last ones; NGX_ERROR */

static ngx_int_t
ngx_trove_sqlite_ident_stale(ngx_trove_sqlite_work_t *work,
    ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_slot_t *stale, ngx_uint_t *n)
{
    ngx_int_t                 rc;
    ngx_uint_t                rows;
    sqlite3_stmt             *stmt;
    ngx_trove_sqlite_slot_t  *swept;

    *n = 0;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_IDENT_SCAN);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    swept = &work->ident_swept;

    /* from (0, 0) on, which excludes the row of the last event */

    (void) sqlite3_bind_int64(stmt, 1, (int64_t) swept->hash);
    (void) sqlite3_bind_int64(stmt, 2, swept->event);
    (void) sqlite3_bind_int(stmt, 3, NGX_TROVE_SQLITE_IDENT_SWEEP);

    for (rows = 0; /* void */ ; rows++) {
        rc = ngx_trove_sqlite_step(db, stmt);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DONE) {
            break;
        }

        swept->hash = (uint64_t) sqlite3_column_int64(stmt, 0);
        swept->event = sqlite3_column_int64(stmt, 1);

        if (!sqlite3_column_int(stmt, 2)) {
            stale[(*n)++] = *swept;
        }
    }

    return (rows < NGX_TROVE_SQLITE_IDENT_SWEEP) ? NGX_DONE : NGX_OK;
}
