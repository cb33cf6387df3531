
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_query.h"
#include "ngx_trove_sqlite_subscription.h"


/* The audit log: changes of subscriptions, and who has made them. */


static ngx_int_t ngx_trove_sqlite_audit_row(ngx_trove_sqlite_db_t *db,
    void *result, sqlite3_stmt *stmt, ngx_trove_spool_audit_t *line);


ngx_int_t
ngx_trove_sqlite_audit_add(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_subscriber_t *sub,
    const char *action, ngx_trove_spool_actor_t *actor)
{
    int64_t        number;
    ngx_str_t      detail, name;
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_AUDIT_ADD);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    name.data = (u_char *) action;
    name.len = ngx_strlen(action);

    detail = actor->detail;
    detail.len = ngx_min(detail.len, NGX_TROVE_SPOOL_DETAIL_LEN);

    (void) sqlite3_bind_int64(stmt, 1, ngx_trove_sqlite_wall(spool));
    ngx_trove_sqlite_bind(stmt, 2, &sub->workspace);
    ngx_trove_sqlite_bind(stmt, 3, &sub->namespace);
    ngx_trove_sqlite_bind(stmt, 4, &sub->id);
    ngx_trove_sqlite_bind(stmt, 5, &actor->actor);
    ngx_trove_sqlite_bind(stmt, 6, &name);
    ngx_trove_sqlite_bind(stmt, 7, &detail);

    if (ngx_trove_sqlite_run(db, stmt) != NGX_OK) {
        return NGX_ERROR;
    }

    number = sqlite3_last_insert_rowid(db->db);

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_AUDIT_TRIM);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, number - NGX_TROVE_SPOOL_AUDIT);

    return ngx_trove_sqlite_run(db, stmt);
}


ngx_trove_spool_audits_t *
ngx_trove_sqlite_audit(ngx_trove_spool_t *base, ngx_trove_spool_scope_t *scope,
    int64_t cursor, ngx_uint_t limit, ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    ngx_int_t                  rc;
    sqlite3_stmt              *stmt;
    ngx_trove_sqlite_db_t     *db;
    ngx_trove_spool_audits_t  *list;

    db = ngx_trove_sqlite_read(spool, error);
    if (db == NULL) {
        return NULL;
    }

    rc = NGX_ERROR;

    list = ngx_trove_sqlite_read_alloc(db, NULL,
                                       sizeof(ngx_trove_spool_audits_t));
    if (list == NULL) {
        goto done;
    }

    list->lines = ngx_trove_sqlite_read_alloc(db, list,
                               (limit + 1) * sizeof(ngx_trove_spool_audit_t));
    if (list->lines == NULL) {
        goto done;
    }

    stmt = ngx_trove_sqlite_sql(db, scope->namespace.data
                                        ? NGX_TROVE_SQLITE_SQL_AUDIT_LIST_OWN
                                        : NGX_TROVE_SQLITE_SQL_AUDIT_LIST);
    if (stmt == NULL) {
        goto done;
    }

    cursor = cursor ? cursor : INT64_MAX;

    ngx_trove_sqlite_bind(stmt, 1, &scope->workspace);
    ngx_trove_sqlite_bind(stmt, 2, &scope->namespace);
    (void) sqlite3_bind_int64(stmt, 3, cursor);
    (void) sqlite3_bind_int64(stmt, 4, (int64_t) limit + 1);

    for ( ;; ) {
        rc = ngx_trove_sqlite_step(db, stmt);

        if (rc != NGX_OK) {
            break;
        }

        if (list->n == limit) {
            (void) sqlite3_reset(stmt);
            list->next = cursor;
            rc = NGX_DONE;
            break;
        }

        cursor = sqlite3_column_int64(stmt, 0);

        if (ngx_trove_sqlite_audit_row(db, list, stmt, &list->lines[list->n])
            != NGX_OK)
        {
            (void) sqlite3_reset(stmt);
            rc = NGX_ERROR;
            break;
        }

        list->n++;
    }

    rc = (rc == NGX_DONE) ? NGX_OK : NGX_ERROR;

done:

    ngx_trove_sqlite_read_end(spool, db, rc);

    if (rc != NGX_OK) {
        ngx_trove_spool_free(list);
        return NULL;
    }

    return list;
}


static ngx_int_t
ngx_trove_sqlite_audit_row(ngx_trove_sqlite_db_t *db, void *result,
    sqlite3_stmt *stmt, ngx_trove_spool_audit_t *line)
{
    line->at = sqlite3_column_int64(stmt, 1);

    if (ngx_trove_sqlite_read_column(db, result, stmt, 2,
                                              &line->namespace)
        != NGX_OK
        || ngx_trove_sqlite_read_column(db, result, stmt, 3,
                                                 &line->id)
           != NGX_OK
        || ngx_trove_sqlite_read_column(db, result, stmt, 4,
                                                 &line->actor)
           != NGX_OK
        || ngx_trove_sqlite_read_column(db, result, stmt, 5,
                                                 &line->action)
           != NGX_OK
        || ngx_trove_sqlite_read_column(db, result, stmt, 6,
                                                 &line->detail)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}
