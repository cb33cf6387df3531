
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/crypto.h>

#include "ngx_trove_sqlite_lease.h"
#include "ngx_trove_sqlite_query.h"
#include "ngx_trove_sqlite_subscription.h"


/* the columns of SUBSCRIBER from which the strings begin */
#define NGX_TROVE_SQLITE_SUBSCRIBER_REASON   7
#define NGX_TROVE_SQLITE_SUBSCRIBER_UNTIL    14


static ngx_int_t ngx_trove_sqlite_subscriber_strings(ngx_trove_sqlite_db_t *db,
    sqlite3_stmt *stmt, ngx_trove_sqlite_subscriber_t *sub);
static u_char *ngx_trove_sqlite_subscriber_copy(u_char *p, ngx_str_t *to,
    ngx_str_t *from);


ngx_int_t
ngx_trove_sqlite_subscriber_get(ngx_trove_sqlite_db_t *db, int64_t number,
    ngx_uint_t strings, ngx_trove_sqlite_subscriber_t *sub)
{
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    ngx_memzero(sub, sizeof(ngx_trove_sqlite_subscriber_t));

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_SUBSCRIBER);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, number);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc != NGX_OK) {
        return (rc == NGX_DONE) ? NGX_DECLINED : NGX_ERROR;
    }

    sub->number = sqlite3_column_int64(stmt, 0);
    sub->enabled = sqlite3_column_int(stmt, 1) ? 1 : 0;
    sub->removed = sqlite3_column_int(stmt, 2) ? 1 : 0;
    sub->version = sqlite3_column_int64(stmt, 3);
    sub->failures = sqlite3_column_int64(stmt, 4);
    sub->failing = sqlite3_column_int64(stmt, 5);
    sub->probe = sqlite3_column_int64(stmt, 6);
    sub->until = sqlite3_column_int64(stmt, NGX_TROVE_SQLITE_SUBSCRIBER_UNTIL);

    if (strings) {
        rc = ngx_trove_sqlite_subscriber_strings(db, stmt, sub);
    }

    (void) sqlite3_reset(stmt);

    return rc;
}


static ngx_int_t
ngx_trove_sqlite_subscriber_strings(ngx_trove_sqlite_db_t *db,
    sqlite3_stmt *stmt, ngx_trove_sqlite_subscriber_t *sub)
{
    int         column;
    u_char     *p;
    ngx_str_t  *to[8], from[8];
    ngx_uint_t  i;

    to[0] = &sub->reason;
    to[1] = &sub->id;
    to[2] = &sub->workspace;
    to[3] = &sub->namespace;
    to[4] = &sub->url;
    to[5] = &sub->secret;
    to[6] = &sub->previous;
    to[7] = &sub->events;

    for (i = 0; i < 8; i++) {
        column = NGX_TROVE_SQLITE_SUBSCRIBER_REASON + (int) i;
        column += (column >= NGX_TROVE_SQLITE_SUBSCRIBER_UNTIL);

        ngx_trove_sqlite_column(stmt, column, &from[i]);
        sub->size += from[i].len;
    }

    sub->data = malloc(sub->size + 1);

    if (sub->data == NULL) {
        return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_MEMORY, 0,
                                    "out of memory");
    }

    p = sub->data;

    for (i = 0; i < 8; i++) {
        p = ngx_trove_sqlite_subscriber_copy(p, to[i], &from[i]);
    }

    return NGX_OK;
}


/* an absent string remains absent */

static u_char *
ngx_trove_sqlite_subscriber_copy(u_char *p, ngx_str_t *to, ngx_str_t *from)
{
    ngx_str_null(to);

    if (from->data == NULL) {
        return p;
    }

    to->len = from->len;
    to->data = p;

    return ngx_cpymem(p, from->data, from->len);
}


void
ngx_trove_sqlite_subscriber_done(ngx_trove_sqlite_subscriber_t *sub)
{
    if (sub->data != NULL) {
        OPENSSL_cleanse(sub->data, sub->size);
        free(sub->data);
        sub->data = NULL;
    }
}


ngx_int_t
ngx_trove_sqlite_subscriber_load(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, int64_t number,
    ngx_trove_spool_subscriber_t **subscriber)
{
    u_char                         *p;
    ngx_int_t                       rc;
    ngx_trove_spool_subscriber_t   *s;
    ngx_trove_sqlite_subscriber_t   sub;

    rc = ngx_trove_sqlite_subscriber_get(db, number, 1, &sub);

    if (rc == NGX_OK && sub.removed) {
        rc = NGX_DECLINED;
    }

    if (rc != NGX_OK) {
        goto done;
    }

    s = ngx_trove_spool_subscriber_alloc(sub.size);

    if (s == NULL) {
        rc = ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_MEMORY, 0,
                                  "out of memory");
        goto done;
    }

    p = (u_char *) (s + 1);

    p = ngx_trove_sqlite_subscriber_copy(p, &s->id, &sub.id);
    p = ngx_trove_sqlite_subscriber_copy(p, &s->workspace, &sub.workspace);
    p = ngx_trove_sqlite_subscriber_copy(p, &s->namespace, &sub.namespace);
    p = ngx_trove_sqlite_subscriber_copy(p, &s->url, &sub.url);
    p = ngx_trove_sqlite_subscriber_copy(p, &s->secret, &sub.secret);

    if (sub.until > ngx_trove_sqlite_wall(spool)) {
        (void) ngx_trove_sqlite_subscriber_copy(p, &s->previous, &sub.previous);
        s->until = sub.until;
    }

    s->version = sub.version;
    s->failures = sub.failures;

    *subscriber = s;

done:

    ngx_trove_sqlite_subscriber_done(&sub);

    return rc;
}


ngx_int_t
ngx_trove_sqlite_subscriber_busy(ngx_trove_sqlite_db_t *db, int64_t number,
    int64_t now, ngx_uint_t *busy)
{
    int64_t        target;
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    *busy = 0;
    target = 0;

    /* usually one target: there is one for each route */

    for ( ;; ) {

        stmt = ngx_trove_sqlite_sql(db,
                                    NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_TARGETS);
        if (stmt == NULL) {
            return NGX_ERROR;
        }

        (void) sqlite3_bind_int64(stmt, 1, number);
        (void) sqlite3_bind_int64(stmt, 2, target);

        rc = ngx_trove_sqlite_step(db, stmt);

        if (rc != NGX_OK) {
            return (rc == NGX_DONE) ? NGX_OK : NGX_ERROR;
        }

        target = sqlite3_column_int64(stmt, 0);
        (void) sqlite3_reset(stmt);

        /*
         * An expired lease does not count: if the route is no longer
         * configured, nothing repairs it.
         */

        stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_DELIVERY_LATE);
        if (stmt == NULL) {
            return NGX_ERROR;
        }

        (void) sqlite3_bind_int64(stmt, 1, target);
        (void) sqlite3_bind_int(stmt, 2, NGX_TROVE_SPOOL_LEASED);
        (void) sqlite3_bind_int64(stmt, 3, now);
        (void) sqlite3_bind_int(stmt, 4, 1);

        rc = ngx_trove_sqlite_step(db, stmt);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_OK) {
            (void) sqlite3_reset(stmt);
            *busy = 1;
            return NGX_OK;
        }
    }
}
