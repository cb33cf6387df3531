
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_subscription.h"


/*
 * Subscriptions that match an event.  The table "pattern" has a row for each
 * pattern of a subscription, by workspace, namespace, and pattern.  So the
 * patterns that match a type are found by the type and by its prefixes.  Only
 * prefixes of the lengths that some pattern has are looked up: "matching" has
 * the number of patterns of each length, of the workspace or of a namespace.
 *
 * own is 1 in rows of a namespace, and 0 in rows of the whole workspace.  The
 * length of a pattern that is not a prefix is -1.  Two more rows of "matching"
 * count subscriptions: the length -2 those of the namespace, or those of no
 * namespace, and own 2 those of the workspace.
 */

#define NGX_TROVE_SQLITE_EXACT    -1
#define NGX_TROVE_SQLITE_MEMBERS  -2
#define NGX_TROVE_SQLITE_ALL      2


/* what is found */
typedef struct {
    int64_t                    *numbers;
    ngx_uint_t                  n;
    ngx_uint_t                  alloc;
} ngx_trove_sqlite_matched_t;


static void ngx_trove_sqlite_pattern_scope(sqlite3_stmt *stmt,
    ngx_str_t *workspace, ngx_uint_t own, ngx_str_t *namespace);
static ngx_int_t ngx_trove_sqlite_pattern_count(ngx_trove_sqlite_db_t *db,
    ngx_str_t *workspace, ngx_uint_t own, ngx_str_t *namespace, int length,
    int by);
static ngx_int_t ngx_trove_sqlite_pattern_members(ngx_trove_sqlite_db_t *db,
    ngx_str_t *workspace, ngx_uint_t own, ngx_str_t *namespace, int64_t *n);
static ngx_int_t ngx_trove_sqlite_pattern_scan(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_event_t *event, ngx_uint_t own,
    ngx_trove_sqlite_matched_t *matched);
static ngx_int_t ngx_trove_sqlite_pattern_find(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_event_t *event, ngx_uint_t own, int length,
    ngx_trove_sqlite_matched_t *matched);
static int ngx_libc_cdecl ngx_trove_sqlite_pattern_compare(const void *one,
    const void *two);


static ngx_str_t  ngx_trove_sqlite_no_namespace = ngx_string("");


static void
ngx_trove_sqlite_pattern_scope(sqlite3_stmt *stmt, ngx_str_t *workspace,
    ngx_uint_t own, ngx_str_t *namespace)
{
    ngx_trove_sqlite_bind(stmt, 1, workspace);
    (void) sqlite3_bind_int(stmt, 2, (int) own);
    ngx_trove_sqlite_bind(stmt, 3, own == 1 ? namespace
                                            : &ngx_trove_sqlite_no_namespace);
}


static ngx_int_t
ngx_trove_sqlite_pattern_count(ngx_trove_sqlite_db_t *db, ngx_str_t *workspace,
    ngx_uint_t own, ngx_str_t *namespace, int length, int by)
{
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_MATCHING_ADD);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    ngx_trove_sqlite_pattern_scope(stmt, workspace, own, namespace);

    (void) sqlite3_bind_int(stmt, 4, length);
    (void) sqlite3_bind_int(stmt, 5, by);

    if (ngx_trove_sqlite_run(db, stmt) != NGX_OK) {
        return NGX_ERROR;
    }

    if (by > 0) {
        return NGX_OK;
    }

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_MATCHING_TRIM);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    ngx_trove_sqlite_pattern_scope(stmt, workspace, own, namespace);

    (void) sqlite3_bind_int(stmt, 4, length);

    return ngx_trove_sqlite_run(db, stmt);
}


ngx_int_t
ngx_trove_sqlite_pattern_set(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_subscriber_t *sub, int by)
{
    int            length;
    u_char        *p, *end, *last;
    ngx_str_t      pattern;
    ngx_uint_t     own, prefix;
    sqlite3_stmt  *stmt;

    own = (sub->namespace.data != NULL);

    p = sub->events.data;
    end = p + sub->events.len;

    for ( /* void */ ; p < end; p = last + 1) {

        last = ngx_strlchr(p, end, LF);
        last = last ? last : end;

        prefix = (last != p && last[-1] == '*');

        pattern.data = p;
        pattern.len = last - p - prefix;

        length = prefix ? (int) pattern.len : NGX_TROVE_SQLITE_EXACT;

        stmt = ngx_trove_sqlite_sql(db, by > 0
                                       ? NGX_TROVE_SQLITE_SQL_PATTERN_ADD
                                       : NGX_TROVE_SQLITE_SQL_PATTERN_DELETE);
        if (stmt == NULL) {
            return NGX_ERROR;
        }

        ngx_trove_sqlite_pattern_scope(stmt, &sub->workspace, own,
                                       &sub->namespace);

        (void) sqlite3_bind_int(stmt, 4, (int) prefix);
        ngx_trove_sqlite_bind(stmt, 5, &pattern);
        (void) sqlite3_bind_int64(stmt, 6, sub->number);

        if (ngx_trove_sqlite_run(db, stmt) != NGX_OK) {
            return NGX_ERROR;
        }

        /* a pattern may be there twice */

        if (sqlite3_changes(db->db) == 1
            && ngx_trove_sqlite_pattern_count(db, &sub->workspace, own,
                                              &sub->namespace, length, by)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_pattern_members(ngx_trove_sqlite_db_t *db,
    ngx_str_t *workspace, ngx_uint_t own, ngx_str_t *namespace, int64_t *n)
{
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    *n = 0;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_MATCHING_GET);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    ngx_trove_sqlite_pattern_scope(stmt, workspace, own, namespace);

    (void) sqlite3_bind_int(stmt, 4, NGX_TROVE_SQLITE_MEMBERS);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc == NGX_OK) {
        *n = sqlite3_column_int64(stmt, 0);
        (void) sqlite3_reset(stmt);
    }

    return (rc == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_trove_sqlite_pattern_member(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_subscriber_t *sub, int by)
{
    int64_t     n, all;
    ngx_uint_t  own;

    own = (sub->namespace.data != NULL);

    if (by > 0) {

        if (ngx_trove_sqlite_pattern_members(db, &sub->workspace, own,
                                             &sub->namespace, &n)
            != NGX_OK
            || ngx_trove_sqlite_pattern_members(db, &sub->workspace,
                                                NGX_TROVE_SQLITE_ALL, NULL,
                                                &all)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (n >= NGX_TROVE_SPOOL_SAME || all >= NGX_TROVE_SPOOL_SUBSCRIPTIONS) {
            return NGX_DECLINED;
        }
    }

    if (ngx_trove_sqlite_pattern_count(db, &sub->workspace, own,
                                       &sub->namespace,
                                       NGX_TROVE_SQLITE_MEMBERS, by)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_trove_sqlite_pattern_count(db, &sub->workspace,
                                          NGX_TROVE_SQLITE_ALL, NULL,
                                          NGX_TROVE_SQLITE_MEMBERS, by);
}


ngx_int_t
ngx_trove_sqlite_pattern_disable(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_subscriber_t *sub)
{
    sqlite3_stmt  *stmt;

    if (ngx_trove_sqlite_pattern_set(db, sub, -1) != NGX_OK) {
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

    return NGX_OK;
}


ngx_int_t
ngx_trove_sqlite_pattern_match(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_event_t *event, int64_t **numbers, ngx_uint_t *n)
{
    ngx_int_t                   rc;
    ngx_uint_t                  i, k;
    ngx_trove_sqlite_matched_t  matched;

    *numbers = NULL;
    *n = 0;

    if (event->workspace.data == NULL || event->type.data == NULL) {
        return NGX_OK;
    }

    ngx_memzero(&matched, sizeof(ngx_trove_sqlite_matched_t));

    rc = ngx_trove_sqlite_pattern_scan(db, event, 0, &matched);

    if (rc == NGX_OK && event->namespace.data != NULL) {
        rc = ngx_trove_sqlite_pattern_scan(db, event, 1, &matched);
    }

    if (rc != NGX_OK) {
        free(matched.numbers);
        return NGX_ERROR;
    }

    if (matched.n == 0) {
        return NGX_OK;
    }

    /* several patterns of a subscription may match */

    qsort(matched.numbers, matched.n, sizeof(int64_t),
          ngx_trove_sqlite_pattern_compare);

    for (i = 1, k = 0; i < matched.n; i++) {
        if (matched.numbers[i] != matched.numbers[k]) {
            matched.numbers[++k] = matched.numbers[i];
        }
    }

    *numbers = matched.numbers;
    *n = k + 1;

    return NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_pattern_scan(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_event_t *event, ngx_uint_t own,
    ngx_trove_sqlite_matched_t *matched)
{
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_MATCHING);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    ngx_trove_sqlite_pattern_scope(stmt, &event->workspace, own,
                                   &event->namespace);

    (void) sqlite3_bind_int64(stmt, 4, (int64_t) event->type.len);

    for ( ;; ) {
        rc = ngx_trove_sqlite_step(db, stmt);

        if (rc != NGX_OK) {
            return (rc == NGX_DONE) ? NGX_OK : NGX_ERROR;
        }

        if (ngx_trove_sqlite_pattern_find(db, event, own,
                                          sqlite3_column_int(stmt, 0), matched)
            != NGX_OK)
        {
            (void) sqlite3_reset(stmt);
            return NGX_ERROR;
        }
    }
}


static ngx_int_t
ngx_trove_sqlite_pattern_find(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_event_t *event, ngx_uint_t own, int length,
    ngx_trove_sqlite_matched_t *matched)
{
    int64_t       *numbers;
    ngx_int_t      rc;
    ngx_str_t      pattern;
    ngx_uint_t     n;
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_PATTERN_MATCH);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    pattern = event->type;

    if (length != NGX_TROVE_SQLITE_EXACT) {
        pattern.len = (size_t) length;
    }

    ngx_trove_sqlite_pattern_scope(stmt, &event->workspace, own,
                                   &event->namespace);

    (void) sqlite3_bind_int(stmt, 4, length != NGX_TROVE_SQLITE_EXACT);
    ngx_trove_sqlite_bind(stmt, 5, &pattern);

    for ( ;; ) {
        rc = ngx_trove_sqlite_step(db, stmt);

        if (rc != NGX_OK) {
            return (rc == NGX_DONE) ? NGX_OK : NGX_ERROR;
        }

        if (matched->n == matched->alloc) {

            n = ngx_max(16, 2 * matched->alloc);
            numbers = realloc(matched->numbers, n * sizeof(int64_t));

            if (numbers == NULL) {
                (void) sqlite3_reset(stmt);
                return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_MEMORY,
                                            0, "out of memory");
            }

            matched->numbers = numbers;
            matched->alloc = n;
        }

        matched->numbers[matched->n++] = sqlite3_column_int64(stmt, 0);
    }
}


static int ngx_libc_cdecl
ngx_trove_sqlite_pattern_compare(const void *one, const void *two)
{
    const int64_t  *a = one, *b = two;

    return (*a > *b) - (*a < *b);
}
