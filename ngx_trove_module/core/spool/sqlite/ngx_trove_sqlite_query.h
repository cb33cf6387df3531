
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_SQLITE_QUERY_H_INCLUDED_
#define _NGX_TROVE_SQLITE_QUERY_H_INCLUDED_


#include "ngx_trove_sqlite_db.h"


/*
 * Scans, lists, control, removal, and ids.  The rules of ngx_trove_sqlite_db.h
 * apply.
 */


/* ngx_trove_sqlite_scan.c */

/* a scan for matching deliveries or events, newest first */
typedef struct {
    ngx_trove_sqlite_db_t       *db;
    ngx_trove_spool_filter_t    *filter;
    sqlite3_stmt                *stmt;
    ngx_uint_t                   heads;          /* events without bodies */
    ngx_uint_t                   scanned;
    int64_t                      cursor;         /* where to continue; 0: end */

    /* by an id: what to continue with after the events not in the index */
    ngx_trove_sqlite_sql_e       then;           /* 0: nothing */
    int64_t                      low;
    int64_t                      high;
    int64_t                      hash;

    /* current result; a scan for events sets only event */
    ngx_trove_sqlite_row_t       row;
    ngx_trove_sqlite_cached_t   *cached;
    ngx_trove_spool_event_t      event;          /* no body for a delivery */
    int64_t                      removed;        /* event */
} ngx_trove_sqlite_scan_t;


/* start a scan at a cursor, 0 for the newest */
ngx_int_t ngx_trove_sqlite_scan(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_filter_t *filter, int64_t cursor,
    ngx_trove_sqlite_scan_t *scan);
ngx_int_t ngx_trove_sqlite_scan_events(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_filter_t *filter, int64_t cursor,
    ngx_trove_sqlite_scan_t *scan);

/* find the next match; NGX_DONE: none within reach, see scan->cursor */
ngx_int_t ngx_trove_sqlite_scan_next(ngx_trove_sqlite_scan_t *scan);
ngx_int_t ngx_trove_sqlite_scan_next_event(ngx_trove_sqlite_scan_t *scan);

/* ends a scan, whatever its state */
void ngx_trove_sqlite_scan_end(ngx_trove_sqlite_scan_t *scan);

/* returns the first event received at that time or later; -1 on error */
int64_t ngx_trove_sqlite_scan_seek(ngx_trove_sqlite_db_t *db,
    int64_t received);

/*
 * loads the event of a row, without the body, to scan->event; NGX_DECLINED: it
 * has been removed, see ngx_trove_sqlite_remove.c
 */
ngx_int_t ngx_trove_sqlite_scan_head(ngx_trove_sqlite_scan_t *scan);


/* ngx_trove_sqlite_read.c */

/*
 * Begin and end a reading call; rc is its result.  The connection is one of
 * the readers; NULL: *error is filled in.
 */
ngx_trove_sqlite_db_t *ngx_trove_sqlite_read(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_error_t *error);
void ngx_trove_sqlite_read_end(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_int_t rc);

/*
 * Allocate memory for a result, or a new result if result is NULL, and copy a
 * string or an event to it.  On error the result is not freed.
 */
void *ngx_trove_sqlite_read_alloc(ngx_trove_sqlite_db_t *db, void *result,
    size_t size);
ngx_int_t ngx_trove_sqlite_read_string(ngx_trove_sqlite_db_t *db, void *result,
    ngx_str_t *to, ngx_str_t *from);

/* the same for a column of a statement */
ngx_int_t ngx_trove_sqlite_read_column(ngx_trove_sqlite_db_t *db, void *result,
    sqlite3_stmt *stmt, int column, ngx_str_t *to);
ngx_int_t ngx_trove_sqlite_read_event(ngx_trove_sqlite_db_t *db, void *result,
    ngx_trove_spool_event_t *to, ngx_trove_spool_event_t *from);


/* ngx_trove_sqlite_control.c */

/* performs a control operation in a transaction; sets op->result */
ngx_int_t ngx_trove_sqlite_control_op(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_op_t *op);


/* ngx_trove_sqlite_remove.c */

/* deliveries that are removed at once */
#define NGX_TROVE_SQLITE_REMOVE  100

/* the first deliveries of an event */
typedef struct {
    ngx_trove_sqlite_row_t       rows[NGX_TROVE_SQLITE_REMOVE];
    ngx_uint_t                   n;
    ngx_uint_t                   more;           /* these are not all */
} ngx_trove_sqlite_rows_t;


/* reads the deliveries of an event, up to a number that is removed at once */
ngx_int_t ngx_trove_sqlite_remove_rows(ngx_trove_sqlite_db_t *db, int64_t event,
    ngx_trove_sqlite_rows_t *rows);

/*
 * Examines all deliveries of an event.  *ended is when the last one ended.
 *
 * NGX_OK
 * NGX_DECLINED  one is pending
 * NGX_ERROR
 */
ngx_int_t ngx_trove_sqlite_remove_ended(ngx_trove_sqlite_db_t *db,
    int64_t event, int64_t *ended);

/*
 * Removes an event and its deliveries, all of which are final, and which have
 * been read into *rows in the same transaction.  key is 1 if the event has a
 * key.  If there are more deliveries, none is found any more, and maintenance
 * removes them.
 */
ngx_int_t ngx_trove_sqlite_remove(ngx_trove_sqlite_db_t *db, int64_t event,
    ngx_uint_t key, ngx_trove_sqlite_rows_t *rows);

/*
 * Removes some of the deliveries that are left, in a transaction of its own.
 * Adds their number to *deliveries.
 *
 * NGX_OK     none are left
 * NGX_AGAIN  there may be more
 * NGX_ERROR
 */
ngx_int_t ngx_trove_sqlite_remove_rest(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_uint_t *deliveries);


/* ngx_trove_sqlite_purge.c */

/*
 * Finds events that match the filter and have no pending delivery, at most max,
 * as ngx_trove_spool_select() does.  Sets *n.
 *
 * NGX_OK
 * NGX_DONE   none within reach, see *cursor
 * NGX_ERROR
 */
ngx_int_t ngx_trove_sqlite_purge_select(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_filter_t *filter, int64_t *cursor, int64_t *ids,
    ngx_uint_t *n, ngx_uint_t max);

/*
 * Removes the event of an id that was found, in a transaction.  *rows is
 * working memory.
 *
 * NGX_OK
 * NGX_DECLINED  it has a pending delivery, or the state of the delivery is not
 *               one of states, or it does not exist
 * NGX_ERROR
 */
ngx_int_t ngx_trove_sqlite_purge(ngx_trove_sqlite_db_t *db, int64_t id,
    ngx_uint_t states, ngx_trove_sqlite_rows_t *rows);


/* ngx_trove_sqlite_ident.c */

/*
 * Sets *hash to the hash of an id in the index, and *last to the last event
 * whose id is there.  Later events must be examined one by one.
 */
ngx_int_t ngx_trove_sqlite_ident_hash(ngx_trove_sqlite_db_t *db, ngx_str_t *id,
    int64_t *hash, int64_t *last);

/* performs a part of the maintenance of the index; NGX_AGAIN: there is more */
ngx_int_t ngx_trove_sqlite_ident_maintain(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);

/* frees the memory of unfinished maintenance */
void ngx_trove_sqlite_ident_drop(ngx_trove_sqlite_work_t *work);


#endif /* _NGX_TROVE_SQLITE_QUERY_H_INCLUDED_ */
