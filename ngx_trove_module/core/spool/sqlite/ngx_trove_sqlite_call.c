
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_db.h"


/* Calls that are a transaction of the writing connection. */


ngx_int_t
ngx_trove_sqlite_enter_txn(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_db_t  *db;

    ngx_memzero(error, sizeof(ngx_trove_spool_error_t));

    db = &spool->writer;

    if (ngx_trove_sqlite_enter(spool, db, error) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_trove_sqlite_begin(spool, db, 1, NULL) != NGX_OK) {
        ngx_trove_sqlite_leave(spool, db, NGX_ERROR);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_trove_sqlite_leave_txn(ngx_trove_sqlite_t *spool, ngx_int_t rc)
{
    ngx_trove_sqlite_db_t  *db;

    db = &spool->writer;

    if (rc != NGX_OK) {
        ngx_trove_sqlite_rollback(spool, db);

    } else if (ngx_trove_sqlite_commit(spool, db) != NGX_OK) {
        rc = NGX_ERROR;
    }

    ngx_trove_sqlite_leave(spool, db, rc);

    return rc;
}
