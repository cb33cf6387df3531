
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_db.h"


/*
 * Maintenance of keys: see ngx_trove_sqlite_key.c.  Only one process does it
 * at a time.  If that process is killed, the next one starts again.
 */

/* the time of a transaction, microseconds; rows examined at a time */
#define NGX_TROVE_SQLITE_KEY_TIME  3000
#define NGX_TROVE_SQLITE_KEY_SWEEP  1000

/*
 * Keys that are written when no event has been accepted for some time: they
 * would have to be collected again when the spool is opened.  Milliseconds.
 */
#define NGX_TROVE_SQLITE_KEY_QUIET  8192
#define NGX_TROVE_SQLITE_KEY_PAUSE  30000

/* stale rows that trigger a sweep: a minimum, and a part of the events */
#define NGX_TROVE_SQLITE_KEY_STALE  10000
#define NGX_TROVE_SQLITE_KEY_PART  4


static ngx_uint_t ngx_trove_sqlite_key_quiet(ngx_trove_sqlite_t *spool);
static ngx_int_t ngx_trove_sqlite_key_collect(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);
static ngx_int_t ngx_trove_sqlite_key_merge(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);
static ngx_uint_t ngx_trove_sqlite_key_same(ngx_trove_sqlite_t *spool);
static ngx_int_t ngx_trove_sqlite_key_merged(ngx_trove_sqlite_t *spool);
static ngx_int_t ngx_trove_sqlite_key_sweep(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);
static ngx_int_t ngx_trove_sqlite_key_stale(ngx_trove_sqlite_work_t *work,
    ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_slot_t *stale, ngx_uint_t *n);
static ngx_int_t ngx_trove_sqlite_key_remove(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_slot_t *stale, ngx_uint_t n,
    ngx_uint_t last);


ngx_int_t
ngx_trove_sqlite_key_maintain(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db)
{
    ngx_int_t  rc;

    if (spool->work.keys == NULL
        && (__atomic_load_n(&spool->shared->sealed, __ATOMIC_RELAXED) != 0
            || ngx_trove_sqlite_key_quiet(spool))
        && ngx_trove_sqlite_key_collect(spool, db) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (spool->work.keys != NULL) {
        rc = ngx_trove_sqlite_key_merge(spool, db);

        if (rc == NGX_ERROR) {
            ngx_trove_sqlite_key_drop(&spool->work);
        }

        return rc;
    }

    return ngx_trove_sqlite_key_sweep(spool, db);
}


static ngx_uint_t
ngx_trove_sqlite_key_quiet(ngx_trove_sqlite_t *spool)
{
    int64_t                     now, last;
    ngx_trove_sqlite_work_t    *work;
    ngx_trove_sqlite_shared_t  *shared;

    work = &spool->work;
    shared = spool->shared;

    now = ngx_trove_sqlite_mono(spool);
    last = __atomic_load_n(&shared->last, __ATOMIC_RELAXED);

    if (last != work->last) {
        work->last = last;
        work->quiet = now;
    }

    return now - work->quiet >= NGX_TROVE_SQLITE_KEY_PAUSE
           && shared->used[shared->current & 1] >= NGX_TROVE_SQLITE_KEY_QUIET;
}


static ngx_int_t
ngx_trove_sqlite_key_collect(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db)
{
    ngx_uint_t                  i, n;
    ngx_trove_sqlite_slot_t    *slots;
    ngx_trove_sqlite_work_t    *work;
    ngx_trove_sqlite_shared_t  *shared;

    shared = spool->shared;
    work = &spool->work;

    if (ngx_trove_sqlite_begin(spool, db, 0, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    if (shared->sealed == 0 && ngx_trove_sqlite_key_quiet(spool)) {
        ngx_trove_sqlite_key_seal(shared, db->state.last);
    }

    if (shared->sealed == 0) {
        ngx_trove_sqlite_rollback(spool, db);
        return NGX_OK;
    }

    slots = shared->slots[shared->current ^ 1];
    n = 0;

    work->keys = malloc(NGX_TROVE_SQLITE_SLOTS
                        * sizeof(ngx_trove_sqlite_slot_t));
    if (work->keys == NULL) {
        (void) ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_MEMORY, 0,
                                    "out of memory");
        ngx_trove_sqlite_rollback(spool, db);
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_TROVE_SQLITE_SLOTS; i++) {
        if (slots[i].event != 0) {
            work->keys[n++] = slots[i];
        }
    }

    work->nkeys = n;
    work->done = 0;
    work->sealed = shared->sealed;
    work->identity = shared->identity;

    ngx_trove_sqlite_rollback(spool, db);

    qsort(work->keys, n, sizeof(ngx_trove_sqlite_slot_t),
          ngx_trove_sqlite_slot_compare);

    return NGX_OK;
}


int ngx_libc_cdecl
ngx_trove_sqlite_slot_compare(const void *one, const void *two)
{
    const ngx_trove_sqlite_slot_t  *a = one;
    const ngx_trove_sqlite_slot_t  *b = two;

    if (a->hash != b->hash) {
        return (a->hash < b->hash) ? -1 : 1;
    }

    return (a->event > b->event) - (a->event < b->event);
}


static ngx_int_t
ngx_trove_sqlite_key_merge(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db)
{
    int64_t                   start;
    ngx_uint_t                n;
    ngx_trove_sqlite_work_t  *work;

    work = &spool->work;

    if (ngx_trove_sqlite_begin(spool, db, 0, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!ngx_trove_sqlite_key_same(spool)) {

        /* the file has been replaced */

        ngx_trove_sqlite_rollback(spool, db);
        ngx_trove_sqlite_key_drop(work);

        return NGX_OK;
    }

    start = ngx_trove_sqlite_elapsed();

    for (n = work->done; n < work->nkeys; n++) {

        if (ngx_trove_sqlite_elapsed() - start > NGX_TROVE_SQLITE_KEY_TIME) {
            break;
        }

        if (ngx_trove_sqlite_key_write(db, work->keys[n].hash,
                                       work->keys[n].event)
            != NGX_OK)
        {
            ngx_trove_sqlite_rollback(spool, db);
            return NGX_ERROR;
        }
    }

    if (n == work->nkeys) {
        db->state.indexed = work->sealed;
        db->state.dirty = 1;
    }

    if (ngx_trove_sqlite_commit(spool, db) != NGX_OK) {
        return NGX_ERROR;
    }

    work->done = n;

    if (n < work->nkeys) {
        return NGX_AGAIN;
    }

    return ngx_trove_sqlite_key_merged(spool);
}


static ngx_uint_t
ngx_trove_sqlite_key_same(ngx_trove_sqlite_t *spool)
{
    return spool->shared->sealed == spool->work.sealed
           && spool->shared->identity == spool->work.identity;
}


/* if this fails, all of it is repeated: nothing is lost */

static ngx_int_t
ngx_trove_sqlite_key_merged(ngx_trove_sqlite_t *spool)
{
    int64_t                     deadline;
    ngx_uint_t                  half;
    ngx_trove_sqlite_work_t    *work;
    ngx_trove_sqlite_shared_t  *shared;

    work = &spool->work;
    shared = spool->shared;
    deadline = ngx_trove_sqlite_elapsed() + spool->wait * 1000;

    if (ngx_trove_sqlite_lock(spool, deadline) == NGX_OK) {

        if (ngx_trove_sqlite_key_same(spool)) {
            half = shared->current ^ 1;

            ngx_memzero(shared->slots[half], sizeof(shared->slots[half]));
            shared->used[half] = 0;

            __atomic_store_n(&shared->sealed, 0, __ATOMIC_RELEASE);
        }

        ngx_trove_sqlite_unlock(spool);
    }

    ngx_trove_sqlite_key_drop(work);

    return NGX_OK;
}


void
ngx_trove_sqlite_key_drop(ngx_trove_sqlite_work_t *work)
{
    free(work->keys);
    work->keys = NULL;
}


/* removes entries of deleted events from the table */

static ngx_int_t
ngx_trove_sqlite_key_sweep(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db)
{
    ngx_int_t                 rc;
    ngx_uint_t                n;
    ngx_trove_sqlite_slot_t   stale[NGX_TROVE_SQLITE_KEY_SWEEP];
    ngx_trove_sqlite_work_t  *work;

    work = &spool->work;

    if (!work->sweeping) {

        if (db->state.stale < NGX_TROVE_SQLITE_KEY_STALE
            || db->state.stale
               < db->state.events / NGX_TROVE_SQLITE_KEY_PART)
        {
            return NGX_OK;
        }

        work->sweeping = 1;
        work->swept = 0;
    }

    /* without the lock: a row of "event" is read for each of them */

    rc = ngx_trove_sqlite_key_stale(work, db, stale, &n);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (n == 0 && rc == NGX_OK) {
        return NGX_AGAIN;
    }

    return ngx_trove_sqlite_key_remove(spool, db, stale, n, rc == NGX_DONE);
}


/* NGX_OK; NGX_DONE: these are the last ones; NGX_ERROR */

static ngx_int_t
ngx_trove_sqlite_key_stale(ngx_trove_sqlite_work_t *work,
    ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_slot_t *stale, ngx_uint_t *n)
{
    ngx_int_t      rc;
    ngx_uint_t     rows;
    sqlite3_stmt  *stmt;

    *n = 0;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_KEY_SCAN);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, (int64_t) work->swept);
    (void) sqlite3_bind_int(stmt, 2, NGX_TROVE_SQLITE_KEY_SWEEP);

    for (rows = 0; /* void */ ; rows++) {
        rc = ngx_trove_sqlite_step(db, stmt);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DONE) {
            break;
        }

        work->swept = (uint64_t) sqlite3_column_int64(stmt, 0) + 1;

        if (!sqlite3_column_int(stmt, 2)) {
            stale[*n].hash = work->swept - 1;
            stale[*n].event = sqlite3_column_int64(stmt, 1);
            (*n)++;
        }
    }

    return (rows < NGX_TROVE_SQLITE_KEY_SWEEP) ? NGX_DONE : NGX_OK;
}


/*
 * An entry is removed only if it is the same as before, and still stale: its
 * key may have been accepted again in the meantime.
 */

static ngx_int_t
ngx_trove_sqlite_key_remove(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_slot_t *stale, ngx_uint_t n,
    ngx_uint_t last)
{
    int64_t                   start;
    ngx_uint_t                i;
    sqlite3_stmt             *stmt;
    ngx_trove_sqlite_work_t  *work;

    work = &spool->work;

    if (ngx_trove_sqlite_begin(spool, db, 0, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    start = ngx_trove_sqlite_elapsed();

    for (i = 0; i < n; i++) {

        if (ngx_trove_sqlite_elapsed() - start > NGX_TROVE_SQLITE_KEY_TIME) {

            /* the others are examined again */

            work->swept = stale[i].hash;
            last = 0;
            break;
        }

        stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_KEY_DELETE);
        if (stmt == NULL) {
            goto failed;
        }

        (void) sqlite3_bind_int64(stmt, 1, (int64_t) stale[i].hash);
        (void) sqlite3_bind_int64(stmt, 2, stale[i].event);

        if (ngx_trove_sqlite_run(db, stmt) != NGX_OK) {
            goto failed;
        }
    }

    if (last) {
        db->state.stale = 0;
        db->state.dirty = 1;
    }

    if (ngx_trove_sqlite_commit(spool, db) != NGX_OK) {
        goto again;
    }

    work->sweeping = !last;

    return last ? NGX_OK : NGX_AGAIN;

failed:

    ngx_trove_sqlite_rollback(spool, db);

again:

    work->swept = n ? stale[0].hash : work->swept;

    return NGX_ERROR;
}
