
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_SQLITE_LEASE_H_INCLUDED_
#define _NGX_TROVE_SQLITE_LEASE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_db.h"


/* Leases: definitions shared by the files below. */


/* ngx_trove_sqlite_due.c */

/* rows read at a time, before they are changed */
#define NGX_TROVE_SQLITE_ROWS     64

/* targets examined per call, as a multiple of the maximum of deliveries */
#define NGX_TROVE_SQLITE_DUE      4

/* groups of ..._ROWS rows repaired for a target per call */
#define NGX_TROVE_SQLITE_REPAIRS  4


/* a target with due deliveries */
typedef struct {
    int64_t                      id;
    ngx_uint_t                   want;
    ngx_uint_t                   limit;
    ngx_uint_t                   retries;
    ngx_uint_t                   got;            /* retries included */
    ngx_uint_t                   got_retries;
    ngx_uint_t                   last;           /* in leased[] */

    int64_t                      subscription;   /* its number, or 0 */
    ngx_uint_t                   half_open;      /* one delivery at a time */
    int64_t                      probe;          /* of these: not before */
    ngx_trove_spool_subscriber_t  *subscriber;   /* freed by lease_done() */
} ngx_trove_sqlite_due_t;


/* a lease operation in progress */
typedef struct {
    ngx_trove_sqlite_t          *spool;
    ngx_trove_sqlite_db_t       *db;
    ngx_trove_spool_lease_t     *lease;
    int64_t                      now;
    size_t                       bytes;
    ngx_trove_sqlite_due_t      *due;            /* freed by lease_done() */
    ngx_uint_t                   ndue;
    ngx_uint_t                   adue;
    unsigned                     full:1;         /* max or bytes reached */
    unsigned                     left:1;         /* not all targets are there */
} ngx_trove_sqlite_taking_t;


/* initializes *taking, and the results of op; ends it */
void ngx_trove_sqlite_lease_init(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_op_t *op,
    ngx_trove_sqlite_taking_t *taking);
void ngx_trove_sqlite_lease_done(ngx_trove_sqlite_taking_t *taking);

/* checks whether there is anything to do; NGX_DECLINED: there is not */
ngx_int_t ngx_trove_sqlite_lease_peek(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_op_t *op);

/* finds the targets with due deliveries for which there is capacity */
ngx_int_t ngx_trove_sqlite_lease_targets(ngx_trove_sqlite_taking_t *taking);

/* finds the time when a delivery of a target is due, or ..._NEVER */
ngx_int_t ngx_trove_sqlite_lease_next(ngx_trove_sqlite_db_t *db, int64_t target,
    int64_t *next);

/*
 * lease_due() returns a statement for up to n due deliveries, n at most
 * NGX_TROVE_SQLITE_ROWS, or NULL on error.  lease_rows() reads its rows, and
 * sets *n to their number.  It fails if stmt is NULL.
 */
sqlite3_stmt *ngx_trove_sqlite_lease_due(ngx_trove_sqlite_db_t *db,
    int64_t target, ngx_trove_spool_state_e state, int64_t due, ngx_uint_t n);
ngx_int_t ngx_trove_sqlite_lease_rows(ngx_trove_sqlite_db_t *db,
    sqlite3_stmt *stmt, ngx_trove_sqlite_row_t *rows, ngx_uint_t *n);

/* makes deliveries of a target with expired leases wait */
ngx_int_t ngx_trove_sqlite_lease_repair(ngx_trove_sqlite_taking_t *taking,
    int64_t target);

/* makes rows wait, due at once */
ngx_int_t ngx_trove_sqlite_lease_wait(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_row_t *rows, ngx_uint_t n, int64_t now);

/* finds the want of a target; NGX_DECLINED: it is not a target of the caller */
ngx_int_t ngx_trove_sqlite_lease_want(ngx_trove_sqlite_taking_t *taking,
    int64_t target, ngx_uint_t *want);


/* ngx_trove_sqlite_late.c */

/*
 * Makes deliveries with impossible times wait.  If peek is 1, changes nothing,
 * and returns NGX_OK if there are some, NGX_DECLINED if there are none.
 */
ngx_int_t ngx_trove_sqlite_lease_clamp(ngx_trove_sqlite_taking_t *taking,
    ngx_uint_t peek);


#endif /* _NGX_TROVE_SQLITE_LEASE_H_INCLUDED_ */
