
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_db.h"


static ngx_int_t ngx_trove_sqlite_lease_target(
    ngx_trove_sqlite_taking_t *taking, ngx_uint_t want,
    ngx_trove_sqlite_cached_t *cached, ngx_uint_t n, ngx_uint_t *got,
    ngx_uint_t *retries);
static ngx_int_t ngx_trove_sqlite_lease_state(ngx_trove_sqlite_taking_t *taking,
    ngx_uint_t want, ngx_trove_sqlite_cached_t *cached,
    ngx_trove_spool_state_e state, ngx_uint_t n, ngx_uint_t *got);
static ngx_int_t ngx_trove_sqlite_lease_row(ngx_trove_sqlite_taking_t *taking,
    ngx_uint_t want, ngx_trove_sqlite_row_t *row);


ngx_int_t
ngx_trove_sqlite_lease(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_op_t *op)
{
    ngx_int_t                    rc;
    ngx_uint_t                   i, n, w, active, share, pass, *got, *retries;
    ngx_trove_spool_lease_t     *lease;
    ngx_trove_sqlite_taking_t    taking;
    ngx_trove_sqlite_cached_t  **cached;

    ngx_trove_sqlite_lease_init(spool, db, op, &taking);

    lease = taking.lease;
    op->result = NGX_TROVE_SPOOL_DONE;

    if (lease->nwants == 0 || lease->max == 0) {
        return NGX_OK;
    }

    cached = calloc(lease->nwants, sizeof(ngx_trove_sqlite_cached_t *));
    got = calloc(2 * lease->nwants, sizeof(ngx_uint_t));

    if (cached == NULL || got == NULL) {
        rc = ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_MEMORY, 0,
                                  "out of memory");
        goto done;
    }

    retries = got + lease->nwants;
    active = 0;

    for (i = 0; i < lease->nwants; i++) {

        rc = ngx_trove_sqlite_lease_cached(&taking, i, &cached[i]);

        if (rc == NGX_DECLINED) {
            cached[i] = NULL;
            continue;
        }

        if (rc != NGX_OK
            || ngx_trove_sqlite_lease_repair(&taking, i, cached[i]) != NGX_OK)
        {
            rc = NGX_ERROR;
            goto done;
        }

        active++;
    }

    if (taking.clamp) {
        spool->clamped = ngx_trove_sqlite_mono(spool);
    }

    /* first a share for each target, then the rest for those that have more */

    share = (active == 0) ? 0 : ngx_max(1, lease->max / active);

    for (pass = 0; pass < 2; pass++) {

        for (i = 0; i < lease->nwants && !taking.full; i++) {

            w = (spool->turn + i) % lease->nwants;

            if (cached[w] == NULL) {
                continue;
            }

            n = lease->wants[w].limit - got[w];

            if (pass == 0) {
                n = ngx_min(n, share);
            }

            if (ngx_trove_sqlite_lease_target(&taking, w, cached[w], n, &got[w],
                                              &retries[w])
                != NGX_OK)
            {
                rc = NGX_ERROR;
                goto done;
            }
        }
    }

    spool->turn++;

    for (i = 0; i < lease->nwants; i++) {

        lease->wants[i].more = (got[i] == lease->wants[i].limit
                                || retries[i] >= lease->wants[i].retries);

        if (cached[i] != NULL
            && !lease->wants[i].more
            && ngx_trove_sqlite_lease_next(&taking, cached[i]) != NGX_OK)
        {
            rc = NGX_ERROR;
            goto done;
        }
    }

    rc = NGX_OK;

done:

    free(cached);
    free(got);

    return rc;
}


static ngx_int_t
ngx_trove_sqlite_lease_target(ngx_trove_sqlite_taking_t *taking,
    ngx_uint_t want, ngx_trove_sqlite_cached_t *cached, ngx_uint_t n,
    ngx_uint_t *got, ngx_uint_t *retries)
{
    ngx_uint_t  before, tried, max;

    n = ngx_min(n, taking->lease->max - taking->lease->n);
    max = taking->lease->wants[want].retries - *retries;
    before = *got;
    tried = *retries;

    /* one half, the other half, and then the remainder of either */

    if (ngx_trove_sqlite_lease_state(taking, want, cached, NGX_TROVE_SPOOL_NEW,
                                     (n + 1) / 2, got)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_trove_sqlite_lease_state(taking, want, cached,
                                     NGX_TROVE_SPOOL_RETRY,
                                     ngx_min(n - (*got - before), max),
                                     retries)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    *got += *retries - tried;

    return ngx_trove_sqlite_lease_state(taking, want, cached,
                                        NGX_TROVE_SPOOL_NEW,
                                        n - (*got - before), got);
}


static ngx_int_t
ngx_trove_sqlite_lease_state(ngx_trove_sqlite_taking_t *taking, ngx_uint_t want,
    ngx_trove_sqlite_cached_t *cached, ngx_trove_spool_state_e state,
    ngx_uint_t n, ngx_uint_t *got)
{
    ngx_int_t               rc;
    ngx_uint_t              i, rows_n;
    sqlite3_stmt           *stmt;
    ngx_trove_sqlite_row_t  rows[NGX_TROVE_SQLITE_ROWS];

    while (n && !taking->full) {

        stmt = ngx_trove_sqlite_lease_due(taking->db, cached->id, state,
                                          taking->now,
                                          ngx_min(n, NGX_TROVE_SQLITE_ROWS));

        if (ngx_trove_sqlite_lease_rows(taking->db, stmt, rows, &rows_n)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        for (i = 0; i < rows_n; i++) {

            rc = ngx_trove_sqlite_lease_row(taking, want, &rows[i]);

            if (rc == NGX_DECLINED) {
                return NGX_OK;
            }

            if (rc != NGX_OK) {
                return NGX_ERROR;
            }

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
ngx_trove_sqlite_lease_row(ngx_trove_sqlite_taking_t *taking, ngx_uint_t want,
    ngx_trove_sqlite_row_t *row)
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
    leased->ref.file = spool->file;
    leased->want = want;
    leased->attempt = row->attempts + 1;
    leased->nth = leased->attempt - row->earlier;
    leased->age = ngx_max(taking->now - row->opened, 0);
    leased->event = event;

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
