
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_db.h"


/* columns of an event row: from this one on they are strings */
#define NGX_TROVE_SQLITE_EVENT_STRINGS  2
#define NGX_TROVE_SQLITE_EVENT_BODY    11


static ngx_str_t *ngx_trove_sqlite_event_string(
    ngx_trove_spool_event_t *event, ngx_uint_t n);


/* returns the strings in the order of the columns, NULL after the last one */

static ngx_str_t *
ngx_trove_sqlite_event_string(ngx_trove_spool_event_t *event, ngx_uint_t n)
{
    switch (n) {

    case 0:
        return &event->id;
    case 1:
        return &event->type;
    case 2:
        return &event->namespace;
    case 3:
        return &event->workspace;
    case 4:
        return &event->created_at;
    case 5:
        return &event->route;
    case 6:
        return &event->host;
    case 7:
        return &event->uri;
    case 8:
        return &event->content_type;
    case 9:
        return &event->body;
    default:
        return NULL;
    }
}


void
ngx_trove_sqlite_event_row(sqlite3_stmt *stmt, ngx_uint_t body,
    ngx_trove_spool_event_t *event)
{
    ngx_str_t   *s;
    ngx_uint_t   i;

    ngx_memzero(event, sizeof(ngx_trove_spool_event_t));

    event->number = sqlite3_column_int64(stmt, 0);
    event->received = sqlite3_column_int64(stmt, 1);

    for (i = 0; /* void */ ; i++) {

        s = ngx_trove_sqlite_event_string(event, i);

        if (s == NULL || (s == &event->body && !body)) {
            return;
        }

        ngx_trove_sqlite_column(stmt, NGX_TROVE_SQLITE_EVENT_STRINGS + (int) i,
                                s);
    }
}


ngx_int_t
ngx_trove_sqlite_event_add(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_event_t *event, u_char *key)
{
    ngx_str_t     *s;
    ngx_uint_t     i;
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_EVENT_ADD);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, event->number);
    (void) sqlite3_bind_int64(stmt, 2, event->received);

    for (i = 0; /* void */ ; i++) {

        s = ngx_trove_sqlite_event_string(event, i);

        if (s == &event->body) {
            break;
        }

        ngx_trove_sqlite_bind(stmt, NGX_TROVE_SQLITE_EVENT_STRINGS + 1 + i, s);
    }

    (void) sqlite3_bind_blob64(stmt, NGX_TROVE_SQLITE_EVENT_BODY + 1,
                               s->len ? (void *) s->data : "", s->len,
                               SQLITE_STATIC);

    if (key != NULL) {
        (void) sqlite3_bind_blob(stmt, NGX_TROVE_SQLITE_EVENT_BODY + 2, key,
                                 NGX_TROVE_SPOOL_KEY_LEN, SQLITE_STATIC);

    } else {
        (void) sqlite3_bind_null(stmt, NGX_TROVE_SQLITE_EVENT_BODY + 2);
    }

    return ngx_trove_sqlite_run(db, stmt);
}


size_t
ngx_trove_sqlite_event_size(ngx_trove_spool_event_t *event)
{
    size_t       size;
    ngx_str_t   *s;
    ngx_uint_t   i;

    size = 0;

    for (i = 0; (s = ngx_trove_sqlite_event_string(event, i)) != NULL; i++) {
        size += s->len;
    }

    return size;
}


u_char *
ngx_trove_sqlite_event_copy(ngx_trove_spool_event_t *event, u_char *p)
{
    u_char      *last;
    ngx_str_t   *s;
    ngx_uint_t   i;

    for (i = 0; (s = ngx_trove_sqlite_event_string(event, i)) != NULL; i++) {

        if (s->data == NULL) {
            continue;
        }

        last = ngx_cpymem(p, s->data, s->len);
        s->data = p;
        p = last;
    }

    return p;
}


ngx_int_t
ngx_trove_sqlite_event_load(ngx_trove_sqlite_db_t *db, int64_t number,
    ngx_trove_spool_event_t **event)
{
    ngx_int_t                        rc;
    sqlite3_stmt                    *stmt;
    ngx_trove_spool_event_t          row;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_EVENT);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, number);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc == NGX_DONE) {
        return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_CORRUPT, 0,
                                    "a delivery has no row in \"event\"");
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_trove_sqlite_event_row(stmt, 1, &row);

    *event = ngx_trove_spool_event_alloc(ngx_trove_sqlite_event_size(&row));

    if (*event == NULL) {
        (void) sqlite3_reset(stmt);
        return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_MEMORY, 0,
                                    "out of memory");
    }

    /* the strings follow the event */

    **event = row;

    (void) ngx_trove_sqlite_event_copy(*event, (u_char *) (*event + 1));

    (void) sqlite3_reset(stmt);

    return NGX_OK;
}


ngx_int_t
ngx_trove_sqlite_event_removed(ngx_trove_sqlite_db_t *db, int64_t event)
{
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_IDENT_IS);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, NGX_TROVE_SQLITE_IDENT_REMOVED);
    (void) sqlite3_bind_int64(stmt, 2, event);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc == NGX_OK) {
        (void) sqlite3_reset(stmt);
    }

    return (rc == NGX_DONE) ? NGX_DECLINED : rc;
}
