
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_query.h"
#include "ngx_trove_sqlite_subscription.h"


/* the patterns as lines: they contain no control characters */
#define NGX_TROVE_SQLITE_LINES                                                \
    (NGX_TROVE_SPOOL_PATTERNS * (NGX_TROVE_SPOOL_NAME_LEN + 1))


static ngx_int_t ngx_trove_sqlite_subscription_check(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_subscriber_t *sub, ngx_str_t *description);
static ngx_int_t ngx_trove_sqlite_subscription_lines(ngx_trove_sqlite_db_t *db,
    ngx_str_t *events, ngx_uint_t n, u_char *buf, ngx_str_t *lines);
static ngx_int_t ngx_trove_sqlite_subscription_find(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_scope_t *scope, ngx_str_t *id,
    ngx_trove_sqlite_subscriber_t *sub);
static ngx_int_t ngx_trove_sqlite_subscription_add(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_subscriber_t *sub, ngx_str_t *description,
    int64_t created, ngx_trove_spool_actor_t *actor);
static ngx_int_t ngx_trove_sqlite_subscription_change(
    ngx_trove_sqlite_t *spool, ngx_trove_sqlite_subscriber_t *sub,
    ngx_trove_spool_change_t *change, u_char *buf,
    ngx_trove_spool_actor_t *actor);
static ngx_int_t ngx_trove_sqlite_subscription_set(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_subscriber_t *sub, ngx_str_t *description,
    ngx_uint_t keep_description);
static ngx_int_t ngx_trove_sqlite_subscription_remove(
    ngx_trove_sqlite_t *spool, ngx_trove_sqlite_subscriber_t *sub,
    ngx_trove_spool_actor_t *actor);
static ngx_int_t ngx_trove_sqlite_subscription_run(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_sql_e n, int64_t number);


ngx_int_t
ngx_trove_sqlite_subscribe(ngx_trove_spool_t *base,
    ngx_trove_spool_subscription_t *subscription,
    ngx_trove_spool_actor_t *actor, ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    u_char                         *buf;
    ngx_int_t                       rc;
    ngx_trove_sqlite_db_t          *db;
    ngx_trove_sqlite_subscriber_t   sub;

    if (ngx_trove_sqlite_enter_txn(spool, error) != NGX_OK) {
        return NGX_ERROR;
    }

    db = &spool->writer;

    subscription->created = ngx_trove_sqlite_wall(spool);

    ngx_memzero(&sub, sizeof(ngx_trove_sqlite_subscriber_t));

    sub.id = subscription->id;
    sub.workspace = subscription->workspace;
    sub.namespace = subscription->namespace;
    sub.url = subscription->url;
    sub.secret = subscription->secret;
    sub.previous = subscription->previous;
    sub.until = subscription->until;
    sub.enabled = subscription->enabled;

    buf = malloc(NGX_TROVE_SQLITE_LINES);

    if (buf == NULL) {
        rc = ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_MEMORY, 0,
                                  "out of memory");

    } else {
        rc = ngx_trove_sqlite_subscription_lines(db, subscription->events,
                                                 subscription->nevents, buf,
                                                 &sub.events);
    }

    if (rc == NGX_OK) {
        rc = ngx_trove_sqlite_subscription_add(spool, &sub,
                                               &subscription->description,
                                               subscription->created, actor);
    }

    free(buf);

    return ngx_trove_sqlite_leave_txn(spool, rc);
}


static ngx_int_t
ngx_trove_sqlite_subscription_lines(ngx_trove_sqlite_db_t *db,
    ngx_str_t *events, ngx_uint_t n, u_char *buf, ngx_str_t *lines)
{
    u_char      *p;
    ngx_uint_t   i;

    if (n == 0 || n > NGX_TROVE_SPOOL_PATTERNS) {
        goto failed;
    }

    p = buf;

    for (i = 0; i < n; i++) {

        if (events[i].len == 0 || events[i].len > NGX_TROVE_SPOOL_NAME_LEN
            || ngx_strlchr(events[i].data, events[i].data + events[i].len, LF))
        {
            goto failed;
        }

        if (i) {
            *p++ = LF;
        }

        p = ngx_cpymem(p, events[i].data, events[i].len);
    }

    lines->data = buf;
    lines->len = p - buf;

    return NGX_OK;

failed:

    return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_IO, 0,
                                "the patterns of a subscription are invalid");
}


static ngx_int_t
ngx_trove_sqlite_subscription_check(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_subscriber_t *sub, ngx_str_t *description)
{
    if (sub->id.len == 0 || sub->id.len > NGX_TROVE_SPOOL_NAME_LEN
        || sub->workspace.len == 0
        || sub->workspace.len > NGX_TROVE_SPOOL_NAME_LEN
        || sub->namespace.len > NGX_TROVE_SPOOL_NAME_LEN
        || sub->url.len == 0 || sub->url.len > NGX_TROVE_SPOOL_URL_LEN
        || sub->secret.len == 0
        || sub->secret.len > NGX_TROVE_SPOOL_SEALED_LEN
        || sub->previous.len > NGX_TROVE_SPOOL_SEALED_LEN
        || description->len > NGX_TROVE_SPOOL_DESCRIPTION_LEN)
    {
        return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_IO, 0,
                                    "a member of a subscription is missing or "
                                    "too long");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_subscription_add(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_subscriber_t *sub, ngx_str_t *description,
    int64_t created, ngx_trove_spool_actor_t *actor)
{
    ngx_int_t               rc;
    sqlite3_stmt           *stmt;
    ngx_trove_sqlite_db_t  *db;

    db = &spool->writer;

    if (ngx_trove_sqlite_subscription_check(db, sub, description) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_trove_sqlite_pattern_member(db, sub, 1);

    if (rc != NGX_OK) {
        return rc;
    }

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_ADD);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    ngx_trove_sqlite_bind(stmt, 1, &sub->id);
    ngx_trove_sqlite_bind(stmt, 2, &sub->workspace);
    ngx_trove_sqlite_bind(stmt, 3, &sub->namespace);
    ngx_trove_sqlite_bind(stmt, 4, &sub->events);
    ngx_trove_sqlite_bind(stmt, 5, &sub->url);
    ngx_trove_sqlite_bind(stmt, 6, description);
    ngx_trove_sqlite_bind_blob(stmt, 7, &sub->secret);
    ngx_trove_sqlite_bind_blob(stmt, 8, &sub->previous);
    ngx_trove_sqlite_bind_int(stmt, 9, sub->previous.data ? sub->until : 0);
    (void) sqlite3_bind_int(stmt, 10, sub->enabled);
    (void) sqlite3_bind_int64(stmt, 11, created);
    (void) sqlite3_bind_int64(stmt, 12, created);

    if (ngx_trove_sqlite_run(db, stmt) != NGX_OK) {
        return NGX_ERROR;
    }

    if (sqlite3_changes(db->db) == 0) {
        return NGX_BUSY;
    }

    sub->number = sqlite3_last_insert_rowid(db->db);

    if (ngx_trove_sqlite_pattern_set(db, sub, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_trove_sqlite_audit_add(spool, db, sub, "create", actor);
}


static ngx_int_t
ngx_trove_sqlite_subscription_run(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_sql_e n, int64_t number)
{
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, n);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, number);

    return ngx_trove_sqlite_run(db, stmt);
}


static ngx_int_t
ngx_trove_sqlite_subscription_find(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_scope_t *scope, ngx_str_t *id,
    ngx_trove_sqlite_subscriber_t *sub)
{
    int64_t        number;
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    ngx_memzero(sub, sizeof(ngx_trove_sqlite_subscriber_t));

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_SUBSCRIPTION);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    ngx_trove_sqlite_bind(stmt, 1, &scope->workspace);
    ngx_trove_sqlite_bind(stmt, 2, &scope->namespace);
    ngx_trove_sqlite_bind(stmt, 3, id);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc != NGX_OK) {
        return (rc == NGX_DONE) ? NGX_DECLINED : NGX_ERROR;
    }

    number = sqlite3_column_int64(stmt, 0);

    (void) sqlite3_reset(stmt);

    return ngx_trove_sqlite_subscriber_get(db, number, 1, sub);
}


ngx_int_t
ngx_trove_sqlite_change(ngx_trove_spool_t *base, ngx_trove_spool_scope_t *scope,
    ngx_str_t *id, ngx_trove_spool_change_t *change,
    ngx_trove_spool_actor_t *actor, ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    u_char                         *buf;
    ngx_int_t                       rc;
    ngx_trove_sqlite_subscriber_t   sub;

    if (ngx_trove_sqlite_enter_txn(spool, error) != NGX_OK) {
        return NGX_ERROR;
    }

    buf = malloc(NGX_TROVE_SQLITE_LINES);

    rc = ngx_trove_sqlite_subscription_find(&spool->writer, scope, id, &sub);

    if (rc == NGX_OK) {
        rc = buf ? ngx_trove_sqlite_subscription_change(spool, &sub, change,
                                                        buf, actor)
                 : ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_MEMORY, 0,
                                        "out of memory");
    }

    ngx_trove_sqlite_subscriber_done(&sub);

    free(buf);

    return ngx_trove_sqlite_leave_txn(spool, rc);
}


static ngx_int_t
ngx_trove_sqlite_subscription_change(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_subscriber_t *sub, ngx_trove_spool_change_t *change,
    u_char *buf, ngx_trove_spool_actor_t *actor)
{
    ngx_int_t                       rc;
    ngx_str_t                       none, *description;
    ngx_uint_t                      matches, resume;
    ngx_trove_sqlite_db_t          *db;
    ngx_trove_sqlite_subscriber_t   old;

    db = &spool->writer;
    old = *sub;

    if (change->set_events
        && ngx_trove_sqlite_subscription_lines(db, change->events,
                                               change->nevents, buf,
                                               &sub->events)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (change->set_namespace) {
        sub->namespace = change->namespace;
    }

    if (change->set_url) {
        sub->url = change->url;
    }

    if (change->set_secret) {
        sub->previous = sub->secret;
        sub->until = change->until;
        sub->secret = change->secret;
    }

    resume = change->set_enabled && change->enabled;

    if (resume) {
        sub->enabled = 1;
        ngx_str_null(&sub->reason);

    } else if (change->set_enabled) {
        sub->enabled = 0;
    }

    if (resume || change->set_url) {

        /* it is tried again at once */

        sub->failures = 0;
        sub->failing = 0;
        sub->probe = 0;
    }

    if (change->set_url || change->set_secret) {
        sub->version++;
    }

    ngx_str_null(&none);
    description = change->set_description ? &change->description : &none;

    if (ngx_trove_sqlite_subscription_check(db, sub, description) != NGX_OK) {
        return NGX_ERROR;
    }

    if (change->set_namespace) {

        if (ngx_trove_sqlite_pattern_member(db, &old, -1) != NGX_OK) {
            return NGX_ERROR;
        }

        rc = ngx_trove_sqlite_pattern_member(db, sub, 1);

        if (rc != NGX_OK) {
            return (rc == NGX_DECLINED) ? NGX_BUSY : NGX_ERROR;
        }
    }

    /* a subscription with a reason has no patterns */

    matches = (sub->reason.data == NULL);

    if (change->set_events || change->set_namespace
        || matches != (old.reason.data == NULL))
    {
        if (old.reason.data == NULL
            && ngx_trove_sqlite_pattern_set(db, &old, -1) != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (matches && ngx_trove_sqlite_pattern_set(db, sub, 1) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    rc = ngx_trove_sqlite_subscription_set(spool, sub, description,
                                           !change->set_description);

    if (rc == NGX_OK && (resume || change->set_url)) {
        rc = ngx_trove_sqlite_subscription_run(db,
                                    NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_DUE,
                                    sub->number);
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    /* attempts that have not begun are confirmed before they do */

    db->raise = 1;

    return ngx_trove_sqlite_audit_add(spool, db, sub,
                                               change->set_secret ? "rotate"
                                                                  : "change",
                                               actor);
}


static ngx_int_t
ngx_trove_sqlite_subscription_set(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_subscriber_t *sub, ngx_str_t *description,
    ngx_uint_t keep_description)
{
    sqlite3_stmt           *stmt;
    ngx_trove_sqlite_db_t  *db;

    db = &spool->writer;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_SET);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, sub->number);
    ngx_trove_sqlite_bind(stmt, 2, &sub->namespace);
    ngx_trove_sqlite_bind(stmt, 3, &sub->events);
    ngx_trove_sqlite_bind(stmt, 4, &sub->url);
    ngx_trove_sqlite_bind(stmt, 5, description);
    ngx_trove_sqlite_bind_blob(stmt, 6, &sub->secret);
    ngx_trove_sqlite_bind_blob(stmt, 7, &sub->previous);
    ngx_trove_sqlite_bind_int(stmt, 8, sub->previous.data ? sub->until : 0);
    (void) sqlite3_bind_int(stmt, 9, sub->enabled);
    ngx_trove_sqlite_bind(stmt, 10, &sub->reason);
    (void) sqlite3_bind_int64(stmt, 11, ngx_trove_sqlite_wall(spool));
    (void) sqlite3_bind_int64(stmt, 12, sub->version);
    (void) sqlite3_bind_int64(stmt, 13, sub->failures);
    ngx_trove_sqlite_bind_int(stmt, 14, sub->failing);
    ngx_trove_sqlite_bind_int(stmt, 15, sub->probe);
    (void) sqlite3_bind_int(stmt, 16, (int) keep_description);

    if (ngx_trove_sqlite_run(db, stmt) != NGX_OK) {
        return NGX_ERROR;
    }

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_PAUSE);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, sub->number);
    (void) sqlite3_bind_int(stmt, 2, !sub->enabled);

    return ngx_trove_sqlite_run(db, stmt);
}


ngx_int_t
ngx_trove_sqlite_unsubscribe(ngx_trove_spool_t *base,
    ngx_trove_spool_scope_t *scope, ngx_str_t *id,
    ngx_trove_spool_actor_t *actor, ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    ngx_int_t                      rc;
    ngx_trove_sqlite_subscriber_t  sub;

    if (ngx_trove_sqlite_enter_txn(spool, error) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_trove_sqlite_subscription_find(&spool->writer, scope, id, &sub);

    if (rc == NGX_OK) {
        rc = ngx_trove_sqlite_subscription_remove(spool, &sub, actor);
    }

    ngx_trove_sqlite_subscriber_done(&sub);

    return ngx_trove_sqlite_leave_txn(spool, rc);
}


/*
 * The row remains as long as there are deliveries: it tells that these are to
 * be cancelled, and prevents replays.  Its secrets do not remain.
 */

static ngx_int_t
ngx_trove_sqlite_subscription_remove(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_subscriber_t *sub, ngx_trove_spool_actor_t *actor)
{
    ngx_int_t               rc;
    sqlite3_stmt           *stmt;
    ngx_trove_sqlite_db_t  *db;

    db = &spool->writer;

    if ((sub->reason.data == NULL
         && ngx_trove_sqlite_pattern_set(db, sub, -1) != NGX_OK)
        || ngx_trove_sqlite_pattern_member(db, sub, -1) != NGX_OK)
    {
        return NGX_ERROR;
    }

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_REMOVE);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, sub->number);
    (void) sqlite3_bind_int64(stmt, 2, ngx_trove_sqlite_wall(spool));

    if (ngx_trove_sqlite_run(db, stmt) != NGX_OK) {
        return NGX_ERROR;
    }

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_PAUSE);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, sub->number);
    (void) sqlite3_bind_int(stmt, 2, 1);

    if (ngx_trove_sqlite_run(db, stmt) != NGX_OK) {
        return NGX_ERROR;
    }

    db->raise = 1;

    rc = ngx_trove_sqlite_removed_cancel(spool, db, sub->number);

    if (rc == NGX_OK) {
        rc = ngx_trove_sqlite_removed_rows(db, sub->number);
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    return ngx_trove_sqlite_audit_add(spool, db, sub, "delete", actor);
}
