
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_query.h"
#include "ngx_trove_sqlite_subscription.h"


/* Lists of subscriptions. */


static ngx_int_t ngx_trove_sqlite_subscriptions_row(ngx_trove_sqlite_db_t *db,
    void *result, sqlite3_stmt *stmt, ngx_trove_spool_subscription_t *sub);
static ngx_int_t ngx_trove_sqlite_subscriptions_events(
    ngx_trove_sqlite_db_t *db, void *result, sqlite3_stmt *stmt,
    ngx_trove_spool_subscription_t *sub);
static ngx_int_t ngx_trove_sqlite_subscriptions_states(
    ngx_trove_sqlite_db_t *db, int64_t number,
    ngx_trove_spool_subscription_t *sub);


ngx_trove_spool_subscriptions_t *
ngx_trove_sqlite_subscriptions(ngx_trove_spool_t *base,
    ngx_trove_spool_scope_t *scope, ngx_str_t *id, int64_t cursor,
    ngx_uint_t limit, ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    ngx_int_t                         rc;
    sqlite3_stmt                     *stmt;
    ngx_trove_sqlite_db_t            *db;
    ngx_trove_spool_subscription_t   *sub;
    ngx_trove_spool_subscriptions_t  *list;

    db = ngx_trove_sqlite_read(spool, error);
    if (db == NULL) {
        return NULL;
    }

    rc = NGX_ERROR;
    limit = id ? 1 : limit;

    list = ngx_trove_sqlite_read_alloc(db, NULL,
                                       sizeof(ngx_trove_spool_subscriptions_t));
    if (list == NULL) {
        goto done;
    }

    list->subscriptions = ngx_trove_sqlite_read_alloc(db, list,
                        (limit + 1) * sizeof(ngx_trove_spool_subscription_t));
    if (list->subscriptions == NULL) {
        goto done;
    }

    stmt = ngx_trove_sqlite_sql(db,
                             id ? NGX_TROVE_SQLITE_SQL_SUBSCRIPTION
                             : scope->namespace.data
                             ? NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_LIST_OWN
                             : NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_LIST);
    if (stmt == NULL) {
        goto done;
    }

    ngx_trove_sqlite_bind(stmt, 1, &scope->workspace);
    ngx_trove_sqlite_bind(stmt, 2, &scope->namespace);

    if (id) {
        ngx_trove_sqlite_bind(stmt, 3, id);

    } else {
        (void) sqlite3_bind_int64(stmt, 3, cursor);
        (void) sqlite3_bind_int64(stmt, 4, (int64_t) limit + 1);
    }

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
        sub = &list->subscriptions[list->n];

        if (ngx_trove_sqlite_subscriptions_row(db, list, stmt, sub) != NGX_OK
            || ngx_trove_sqlite_subscriptions_states(db, cursor, sub)
               != NGX_OK
            || (id
                && (ngx_trove_sqlite_read_column(db, list, stmt, 19,
                                                          &sub->secret)
                    != NGX_OK
                    || ngx_trove_sqlite_read_column(db, list, stmt, 20,
                                                             &sub->previous)
                       != NGX_OK)))
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
ngx_trove_sqlite_subscriptions_row(ngx_trove_sqlite_db_t *db, void *result,
    sqlite3_stmt *stmt, ngx_trove_spool_subscription_t *sub)
{
    if (ngx_trove_sqlite_read_column(db, result, stmt, 1, &sub->id)
        != NGX_OK
        || ngx_trove_sqlite_read_column(db, result, stmt, 2,
                                                 &sub->workspace)
           != NGX_OK
        || ngx_trove_sqlite_read_column(db, result, stmt, 3,
                                                 &sub->namespace)
           != NGX_OK
        || ngx_trove_sqlite_subscriptions_events(db, result, stmt, sub)
           != NGX_OK
        || ngx_trove_sqlite_read_column(db, result, stmt, 5,
                                                 &sub->url)
           != NGX_OK
        || ngx_trove_sqlite_read_column(db, result, stmt, 6,
                                                 &sub->description)
           != NGX_OK
        || ngx_trove_sqlite_read_column(db, result, stmt, 9,
                                                 &sub->reason)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    sub->until = sqlite3_column_int64(stmt, 7);
    sub->enabled = sqlite3_column_int(stmt, 8) ? 1 : 0;
    sub->created = sqlite3_column_int64(stmt, 10);
    sub->changed = sqlite3_column_int64(stmt, 11);
    sub->disabled = sqlite3_column_int64(stmt, 12);
    sub->version = sqlite3_column_int64(stmt, 13);
    sub->failures = sqlite3_column_int64(stmt, 14);
    sub->failing = sqlite3_column_int64(stmt, 15);
    sub->last = sqlite3_column_int64(stmt, 16);
    sub->last_status = sqlite3_column_int64(stmt, 17);
    sub->last_ok = sqlite3_column_int(stmt, 18) ? 1 : 0;

    return NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_subscriptions_events(ngx_trove_sqlite_db_t *db, void *result,
    sqlite3_stmt *stmt, ngx_trove_spool_subscription_t *sub)
{
    u_char      *p, *end, *last;
    ngx_str_t    lines;
    ngx_uint_t   n;

    if (ngx_trove_sqlite_read_column(db, result, stmt, 4, &lines)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    end = lines.data + lines.len;

    for (p = lines.data, n = 1; p < end; p++) {
        n += (*p == LF);
    }

    sub->events = ngx_trove_sqlite_read_alloc(db, result,
                                              n * sizeof(ngx_str_t));
    if (sub->events == NULL) {
        return NGX_ERROR;
    }

    for (p = lines.data; p < end; p = last + 1) {
        last = ngx_strlchr(p, end, LF);
        last = last ? last : end;

        sub->events[sub->nevents].data = p;
        sub->events[sub->nevents++].len = last - p;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_subscriptions_states(ngx_trove_sqlite_db_t *db,
    int64_t number, ngx_trove_spool_subscription_t *sub)
{
    ngx_int_t      rc;
    ngx_uint_t     i;
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_STATES);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, number);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc != NGX_OK) {
        return (rc == NGX_DONE) ? NGX_OK : NGX_ERROR;
    }

    for (i = 0; i < NGX_TROVE_SPOOL_STATES; i++) {
        sub->states[i] = sqlite3_column_int64(stmt, (int) i);
    }

    (void) sqlite3_reset(stmt);

    return NGX_OK;
}
