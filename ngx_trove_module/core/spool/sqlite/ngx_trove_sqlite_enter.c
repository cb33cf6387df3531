
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_db.h"


static ngx_int_t ngx_trove_sqlite_entered(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_error_t *error);


ngx_int_t
ngx_trove_sqlite_enter(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_error_t *error)
{
    (void) pthread_mutex_lock(&db->mutex);

    return ngx_trove_sqlite_entered(spool, db, error);
}


ngx_trove_sqlite_db_t *
ngx_trove_sqlite_enter_reader(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_error_t *error)
{
    ngx_uint_t              i;
    ngx_trove_sqlite_db_t  *db;

    for (i = 0; i < NGX_TROVE_SQLITE_READERS; i++) {
        db = &spool->readers[i];

        if (pthread_mutex_trylock(&db->mutex) == 0) {
            goto found;
        }
    }

    /* more threads than expected, or the connections are being opened */

    db = &spool->readers[0];

    (void) pthread_mutex_lock(&db->mutex);

found:

    return (ngx_trove_sqlite_entered(spool, db, error) == NGX_OK) ? db : NULL;
}


/* the mutex of db is locked; it is unlocked on error */

static ngx_int_t
ngx_trove_sqlite_entered(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_error_t *error)
{
    ngx_int_t  rc;

    if (spool->shared == NULL
        || __atomic_load_n(&spool->stale, __ATOMIC_ACQUIRE))
    {
        (void) pthread_mutex_unlock(&db->mutex);

        ngx_trove_sqlite_lock_all(spool);

        rc = ngx_trove_sqlite_open_all(spool, !spool->made, error);

        if (rc != NGX_OK) {
            ngx_trove_sqlite_unlock_all(spool, NULL);
            return NGX_ERROR;
        }

        ngx_trove_sqlite_unlock_all(spool, db);
    }

    db->error = error;

    return NGX_OK;
}


void
ngx_trove_sqlite_leave(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db,
    ngx_int_t rc)
{
    ngx_uint_t  i;

    if (rc == NGX_ERROR) {

        for (i = 0; i < NGX_TROVE_SQLITE_SQL_MAX; i++) {
            if (db->stmts[i] != NULL) {
                (void) sqlite3_reset(db->stmts[i]);
            }
        }

        switch (db->error->kind) {

        case NGX_TROVE_SPOOL_BUSY:
        case NGX_TROVE_SPOOL_FULL:
        case NGX_TROVE_SPOOL_MEMORY:
            break;

        case NGX_TROVE_SPOOL_GONE:
            __atomic_store_n(&spool->moved, 1, __ATOMIC_RELAXED);

            /* fall through */

        default:
            __atomic_store_n(&spool->stale, 1, __ATOMIC_RELEASE);
        }
    }

    db->error = NULL;

    (void) pthread_mutex_unlock(&db->mutex);
}
