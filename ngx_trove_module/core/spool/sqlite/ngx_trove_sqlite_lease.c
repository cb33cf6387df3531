
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_lease.h"
#include "ngx_trove_sqlite_subscription.h"


/* milliseconds until it is checked whether an attempt elsewhere has ended */
#define NGX_TROVE_SQLITE_HELD  1000


static ngx_int_t ngx_trove_sqlite_lease_some(ngx_trove_sqlite_taking_t *taking);
static ngx_int_t ngx_trove_sqlite_lease_end(ngx_trove_sqlite_taking_t *taking);
static ngx_int_t ngx_trove_sqlite_lease_target(
    ngx_trove_sqlite_taking_t *taking, ngx_trove_sqlite_due_t *due,
    ngx_uint_t n);
static ngx_int_t ngx_trove_sqlite_lease_state(ngx_trove_sqlite_taking_t *taking,
    ngx_trove_sqlite_due_t *due, ngx_trove_spool_state_e state, ngx_uint_t n,
    ngx_uint_t *got);
static ngx_int_t ngx_trove_sqlite_lease_row(ngx_trove_sqlite_taking_t *taking,
    ngx_trove_sqlite_due_t *due, ngx_trove_sqlite_row_t *row);
static ngx_int_t ngx_trove_sqlite_lease_held(ngx_trove_sqlite_taking_t *taking,
    ngx_trove_sqlite_due_t *due, int64_t *next);


ngx_int_t
ngx_trove_sqlite_lease(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_op_t *op)
{
    ngx_int_t                  rc;
    ngx_trove_sqlite_taking_t  taking;

    ngx_trove_sqlite_lease_init(spool, db, op, &taking);

    op->result = NGX_TROVE_SPOOL_DONE;

    if (op->u.lease.nwants == 0 || op->u.lease.max == 0) {
        return NGX_OK;
    }

    /* targets are found by their rows, so these must be up to date */

    if (ngx_trove_sqlite_lease_clamp(&taking, 0) == NGX_ERROR
        || ngx_trove_sqlite_cache_flush(db) != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = ngx_trove_sqlite_lease_targets(&taking);

    if (rc == NGX_OK) {
        rc = ngx_trove_sqlite_lease_some(&taking);
    }

    if (rc == NGX_OK) {
        rc = ngx_trove_sqlite_lease_end(&taking);
    }

    ngx_trove_sqlite_lease_done(&taking);

    return rc;
}


/* first a share for each target, then the rest for those that have more */

static ngx_int_t
ngx_trove_sqlite_lease_some(ngx_trove_sqlite_taking_t *taking)
{
    ngx_uint_t               i, n, busy, first, share, pass;
    ngx_trove_sqlite_t      *spool;
    ngx_trove_sqlite_due_t  *due;

    spool = taking->spool;

    if (taking->ndue == 0) {
        return NGX_OK;
    }

    /* the target after the one that was the first or the last one before */

    for (first = 0; first < taking->ndue; first++) {
        if (taking->due[first].id > spool->turn) {
            break;
        }
    }

    first %= taking->ndue;
    spool->turn = taking->due[first].id;

    share = ngx_max(1, taking->lease->max / taking->ndue);

    for (pass = 0; pass < 2; pass++) {

        for (i = 0; i < taking->ndue && !taking->full; i++) {

            due = &taking->due[(first + i) % taking->ndue];

            if (pass == 0) {
                if (ngx_trove_sqlite_lease_repair(taking, due->id) != NGX_OK) {
                    return NGX_ERROR;
                }

                if (due->half_open && due->limit) {

                    if (ngx_trove_sqlite_subscriber_busy(taking->db,
                                                         due->subscription,
                                                         taking->now, &busy)
                        != NGX_OK)
                    {
                        return NGX_ERROR;
                    }

                    due->limit = !busy;
                }
            }

            n = due->limit - due->got;

            if (n == 0) {
                continue;
            }

            if (pass == 0) {
                n = ngx_min(n, share);
            }

            if (ngx_trove_sqlite_lease_target(taking, due, n) != NGX_OK) {
                return NGX_ERROR;
            }

            if (pass == 0 && taking->full && i + 1 < taking->ndue) {
                spool->turn = due->id;
            }
        }
    }

    return NGX_OK;
}


/* corrects the due times of the targets */

static ngx_int_t
ngx_trove_sqlite_lease_end(ngx_trove_sqlite_taking_t *taking)
{
    int64_t                     next;
    ngx_uint_t                  i;
    ngx_trove_sqlite_due_t     *due;
    ngx_trove_spool_lease_t    *lease;
    ngx_trove_sqlite_cached_t  *cached;

    lease = taking->lease;

    for (i = 0; i < taking->ndue; i++) {
        due = &taking->due[i];

        if (ngx_trove_sqlite_cache_get_id(taking->db, due->id, &cached)
            != NGX_OK
            || ngx_trove_sqlite_lease_next(taking->db, due->id, &next)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (due->half_open
            && ngx_trove_sqlite_lease_held(taking, due, &next) != NGX_OK)
        {
            return NGX_ERROR;
        }

        ngx_trove_sqlite_cache_due(taking->db, cached, next);

        if (!due->half_open
            && (due->got == due->limit || due->got_retries >= due->retries))
        {

            if (due->got) {
                lease->leased[due->last].more = 1;
            }

            continue;
        }

        if (next != NGX_TROVE_SQLITE_NEVER) {
            next = ngx_max(next - taking->now, 0);

            if (lease->next == -1 || next < lease->next) {
                lease->next = next;
            }
        }
    }

    if (taking->left) {
        lease->next = 0;
    }

    return NGX_OK;
}


/*
 * A subscription whose attempts fail is tried again at a certain time, and
 * while it is being tried, only if the lease of this attempt expires.
 */

static ngx_int_t
ngx_trove_sqlite_lease_held(ngx_trove_sqlite_taking_t *taking,
    ngx_trove_sqlite_due_t *due, int64_t *next)
{
    ngx_int_t               rc;
    ngx_uint_t              busy;
    sqlite3_stmt           *stmt;
    ngx_trove_sqlite_db_t  *db;

    db = taking->db;

    if (*next == NGX_TROVE_SQLITE_NEVER) {
        return NGX_OK;
    }

    if (due->probe > taking->now) {
        *next = ngx_max(*next, due->probe);
        return NGX_OK;
    }

    if (ngx_trove_sqlite_subscriber_busy(db, due->subscription, taking->now,
                                         &busy)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!busy) {
        return NGX_OK;
    }

    /* the attempt may be one of an event from another location */

    *next = ngx_max(*next, taking->now + NGX_TROVE_SQLITE_HELD);

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_DELIVERY_NEXT);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, due->id);
    (void) sqlite3_bind_int(stmt, 2, NGX_TROVE_SPOOL_LEASED);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc == NGX_OK) {
        *next = sqlite3_column_int64(stmt, 0);
        (void) sqlite3_reset(stmt);
    }

    return (rc == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_lease_target(ngx_trove_sqlite_taking_t *taking,
    ngx_trove_sqlite_due_t *due, ngx_uint_t n)
{
    ngx_uint_t  before, tried, max;

    n = ngx_min(n, taking->lease->max - taking->lease->n);
    max = due->retries - due->got_retries;
    before = due->got;
    tried = due->got_retries;

    /* one half, the other half, and then the remainder of either */

    if (ngx_trove_sqlite_lease_state(taking, due, NGX_TROVE_SPOOL_NEW,
                                     (n + 1) / 2, &due->got)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_trove_sqlite_lease_state(taking, due, NGX_TROVE_SPOOL_RETRY,
                                     ngx_min(n - (due->got - before), max),
                                     &due->got_retries)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    due->got += due->got_retries - tried;

    return ngx_trove_sqlite_lease_state(taking, due, NGX_TROVE_SPOOL_NEW,
                                        n - (due->got - before), &due->got);
}


static ngx_int_t
ngx_trove_sqlite_lease_state(ngx_trove_sqlite_taking_t *taking,
    ngx_trove_sqlite_due_t *due, ngx_trove_spool_state_e state, ngx_uint_t n,
    ngx_uint_t *got)
{
    ngx_int_t               rc;
    ngx_uint_t              i, rows_n;
    sqlite3_stmt           *stmt;
    ngx_trove_sqlite_row_t  rows[NGX_TROVE_SQLITE_ROWS];

    while (n && !taking->full) {

        stmt = ngx_trove_sqlite_lease_due(taking->db, due->id, state,
                                          taking->now,
                                          ngx_min(n, NGX_TROVE_SQLITE_ROWS));

        if (ngx_trove_sqlite_lease_rows(taking->db, stmt, rows, &rows_n)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        for (i = 0; i < rows_n; i++) {

            rc = ngx_trove_sqlite_lease_row(taking, due, &rows[i]);

            if (rc == NGX_DECLINED) {
                return NGX_OK;
            }

            if (rc != NGX_OK) {
                return NGX_ERROR;
            }

            due->last = taking->lease->n - 1;

            n--;
            (*got)++;
        }

        if (rows_n < NGX_TROVE_SQLITE_ROWS) {
            break;
        }
    }

    return NGX_OK;
}


/* NGX_DECLINED: there is no capacity for it */

static ngx_int_t
ngx_trove_sqlite_lease_row(ngx_trove_sqlite_taking_t *taking,
    ngx_trove_sqlite_due_t *due, ngx_trove_sqlite_row_t *row)
{
    int64_t                    number;
    ngx_uint_t                 i;
    ngx_trove_sqlite_t        *spool;
    ngx_trove_spool_lease_t   *lease;
    ngx_trove_spool_event_t   *event;
    ngx_trove_spool_state_e    from;
    ngx_trove_spool_leased_t  *leased;

    spool = taking->spool;
    lease = taking->lease;
    number = ngx_trove_spool_event_of(row->id);
    event = NULL;

    if (due->subscription && due->subscriber == NULL
        && ngx_trove_sqlite_subscriber_load(spool, taking->db,
                                            due->subscription,
                                            &due->subscriber)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = lease->n; i-- > 0; /* void */ ) {

        if (lease->leased[i].event->number == number) {
            event = lease->leased[i].event;
            ngx_trove_spool_event_ref(event);
            break;
        }
    }

    if (event == NULL) {

        if (ngx_trove_sqlite_event_load(taking->db, number, &event) != NGX_OK) {
            return NGX_ERROR;
        }

        if (lease->n
            && taking->bytes + event->body.len > lease->max_bytes)
        {
            ngx_trove_spool_event_free(event);
            taking->full = 1;
            return NGX_DECLINED;
        }

        taking->bytes += event->body.len;
    }

    leased = &lease->leased[lease->n++];

    leased->ref.id = row->id;
    leased->ref.generation = taking->db->generation;
    leased->ref.opened = row->opened;
    leased->ref.version = 0;
    leased->ref.file = spool->file;
    leased->want = due->want;
    leased->more = 0;
    leased->attempt = row->attempts + 1;
    leased->nth = leased->attempt - row->earlier;
    leased->age = ngx_max(taking->now - row->opened, 0);
    leased->event = event;
    leased->subscriber = due->subscriber;

    if (due->subscriber) {
        ngx_trove_spool_subscriber_ref(due->subscriber);
        leased->ref.version = due->subscriber->version;
    }

    if (lease->n == lease->max) {
        taking->full = 1;
    }

    from = row->state;

    row->state = NGX_TROVE_SPOOL_LEASED;
    row->due = taking->now + lease->lease;
    row->owner = spool->owner;

    return ngx_trove_sqlite_row_set(taking->db, row, from);
}


void
ngx_trove_sqlite_lease_undo(ngx_trove_spool_op_t *op)
{
    ngx_uint_t                i;
    ngx_trove_spool_lease_t  *lease;

    lease = &op->u.lease;

    for (i = 0; i < lease->n; i++) {
        ngx_trove_spool_event_free(lease->leased[i].event);
        ngx_trove_spool_subscriber_free(lease->leased[i].subscriber);
    }

    lease->n = 0;
    lease->next = -1;
}


ngx_int_t
ngx_trove_sqlite_renew(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_op_t *op)
{
    int64_t                   due;
    ngx_uint_t                i;
    sqlite3_stmt             *stmt;
    ngx_trove_spool_renew_t  *renew;

    renew = &op->u.renew;
    due = ngx_trove_sqlite_now(spool) + renew->lease;

    op->result = NGX_TROVE_SPOOL_DONE;

    for (i = 0; i < renew->nrefs; i++) {

        renew->results[i] = NGX_TROVE_SPOOL_LOST;

        if (renew->refs[i].file != spool->file) {
            continue;
        }

        stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_DELIVERY_RENEW);
        if (stmt == NULL) {
            return NGX_ERROR;
        }

        (void) sqlite3_bind_int64(stmt, 1, due);
        (void) sqlite3_bind_int64(stmt, 2, renew->refs[i].id);
        (void) sqlite3_bind_int64(stmt, 3, spool->owner);

        if (ngx_trove_sqlite_run(db, stmt) != NGX_OK) {
            return NGX_ERROR;
        }

        if (sqlite3_changes(db->db) == 1) {
            renew->results[i] = NGX_TROVE_SPOOL_DONE;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_trove_sqlite_lease_peek(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_op_t *op)
{
    ngx_int_t                  rc;
    ngx_trove_sqlite_taking_t  taking;

    ngx_trove_sqlite_lease_init(spool, db, op, &taking);

    rc = ngx_trove_sqlite_lease_targets(&taking);

    if (rc == NGX_OK && taking.ndue == 0) {
        rc = ngx_trove_sqlite_lease_clamp(&taking, 1);
    }

    ngx_trove_sqlite_lease_done(&taking);

    return rc;
}
