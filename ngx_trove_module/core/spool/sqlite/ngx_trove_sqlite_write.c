
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_lease.h"
#include "ngx_trove_sqlite_query.h"


/*
 * Batches.  Bodies are read before the transaction starts: while other writers
 * wait, only the database is accessed.
 */


/* kinds of operations in a batch */
typedef struct {
    ngx_uint_t                   n;
    ngx_uint_t                   accepts;
    ngx_uint_t                   notices;        /* outcomes that have one */
    unsigned                     durable:1;
    unsigned                     confirms:1;
    unsigned                     leases:1;       /* and no other writes */
} ngx_trove_sqlite_batch_t;


/* a body read from a file */
typedef struct ngx_trove_sqlite_body_s  ngx_trove_sqlite_body_t;

struct ngx_trove_sqlite_body_s {
    ngx_trove_sqlite_body_t     *next;
};


static void ngx_trove_sqlite_write_look(ngx_trove_spool_op_t *ops,
    ngx_trove_sqlite_batch_t *batch);
static void ngx_trove_sqlite_write_bodies(ngx_trove_spool_op_t *ops,
    ngx_trove_sqlite_body_t **bodies, ngx_trove_spool_error_t *error);
static ngx_int_t ngx_trove_sqlite_write_body(ngx_trove_spool_accept_t *accept,
    ngx_trove_sqlite_body_t **bodies, ngx_trove_spool_error_t *error);
static ngx_int_t ngx_trove_sqlite_write_idle(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_op_t *ops, ngx_trove_sqlite_batch_t *batch);
static ngx_int_t ngx_trove_sqlite_write_all(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_op_t *ops, ngx_trove_sqlite_batch_t *batch,
    ngx_uint_t accept, ngx_trove_spool_cost_t *cost);
static ngx_int_t ngx_trove_sqlite_write_op(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_op_t *op, ngx_uint_t accept, ngx_uint_t notice);
static void ngx_trove_sqlite_write_undo(ngx_trove_spool_op_t *ops);
static ngx_int_t ngx_trove_sqlite_write_capacity(ngx_trove_sqlite_t *spool);


ngx_int_t
ngx_trove_sqlite_write(ngx_trove_spool_t *base, ngx_trove_spool_op_t *ops,
    ngx_trove_spool_cost_t *cost, ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    ngx_int_t                 rc;
    ngx_trove_sqlite_db_t    *db;
    ngx_trove_spool_cost_t    unwanted;
    ngx_trove_sqlite_body_t  *bodies, *next;
    ngx_trove_sqlite_batch_t  batch;

    if (cost == NULL) {
        cost = &unwanted;
    }

    ngx_memzero(cost, sizeof(ngx_trove_spool_cost_t));
    ngx_memzero(error, sizeof(ngx_trove_spool_error_t));

    db = &spool->writer;
    bodies = NULL;

    ngx_trove_sqlite_write_bodies(ops, &bodies, error);
    ngx_trove_sqlite_write_look(ops, &batch);

    cost->ops = batch.n;

    rc = ngx_trove_sqlite_enter(spool, db, error);

    if (rc == NGX_OK) {

        if (batch.confirms) {
            rc = ngx_trove_sqlite_confirm(spool, db, ops);
        }

        if (rc == NGX_OK) {
            rc = batch.leases ? ngx_trove_sqlite_write_idle(spool, ops, &batch)
                              : NGX_AGAIN;
        }

        if (rc == NGX_AGAIN) {
            rc = ngx_trove_sqlite_write_all(spool, ops, &batch, 1, cost);
        }

        if (rc == NGX_ERROR
            && error->kind == NGX_TROVE_SPOOL_FULL
            && (batch.notices != 0
                || (batch.accepts != 0 && batch.accepts < batch.n)))
        {
            /* outcomes need less space: they may still succeed */

            if (ngx_trove_sqlite_write_all(spool, ops, &batch, 0, cost)
                == NGX_OK)
            {
                rc = NGX_OK;
            }
        }

        /* events that have ended may give their space */

        cost->maintain_due = (rc == NGX_OK
                              && (error->kind == NGX_TROVE_SPOOL_FULL
                                  || ngx_trove_sqlite_checkpoint_due(spool)));

        ngx_trove_sqlite_leave(spool, db, rc);
    }

    if (rc == NGX_ERROR) {
        ngx_trove_sqlite_write_undo(ops);
    }

    for ( /* void */ ; bodies; bodies = next) {
        next = bodies->next;
        free(bodies);
    }

    return rc;
}


static void
ngx_trove_sqlite_write_look(ngx_trove_spool_op_t *ops,
    ngx_trove_sqlite_batch_t *batch)
{
    ngx_trove_spool_op_t  *op;

    ngx_memzero(batch, sizeof(ngx_trove_sqlite_batch_t));

    batch->leases = 1;

    for (op = ops; op; op = op->next) {

        batch->n++;

        switch (op->type) {

        case NGX_TROVE_SPOOL_OP_ACCEPT:
            batch->accepts++;
            batch->durable = 1;
            batch->leases = 0;
            break;

        case NGX_TROVE_SPOOL_OP_OUTCOME:
            batch->notices += (op->u.outcome.notice != NULL);

            /* fall through */

        case NGX_TROVE_SPOOL_OP_CONTROL:
            batch->durable = 1;
            batch->leases = 0;
            break;

        case NGX_TROVE_SPOOL_OP_RENEW:
            batch->leases = 0;
            break;

        case NGX_TROVE_SPOOL_OP_CONFIRM:
            batch->confirms = 1;
            break;

        default:
            op->u.lease.n = 0;
            op->u.lease.next = -1;
        }
    }
}


static void
ngx_trove_sqlite_write_bodies(ngx_trove_spool_op_t *ops,
    ngx_trove_sqlite_body_t **bodies, ngx_trove_spool_error_t *error)
{
    ngx_trove_spool_op_t      *op;
    ngx_trove_spool_accept_t  *accept;

    for (op = ops; op; op = op->next) {

        op->result = NGX_TROVE_SPOOL_DONE;

        if (op->type != NGX_TROVE_SPOOL_OP_ACCEPT) {
            continue;
        }

        accept = &op->u.accept;

        if (accept->fd != NGX_INVALID_FILE
            && ngx_trove_sqlite_write_body(accept, bodies, error) != NGX_OK)
        {
            op->result = NGX_TROVE_SPOOL_ROLLED_BACK;
        }
    }
}


static ngx_int_t
ngx_trove_sqlite_write_body(ngx_trove_spool_accept_t *accept,
    ngx_trove_sqlite_body_t **bodies, ngx_trove_spool_error_t *error)
{
    off_t                     offset;
    u_char                   *p;
    size_t                    left;
    ssize_t                   n;
    ngx_trove_sqlite_body_t  *body;

    left = accept->event.body.len;
    offset = accept->offset;

    body = malloc(sizeof(ngx_trove_sqlite_body_t) + left);
    if (body == NULL) {
        return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_MEMORY, 0,
                                    "out of memory");
    }

    body->next = *bodies;
    *bodies = body;

    p = (u_char *) (body + 1);
    accept->event.body.data = p;

    while (left) {

        n = pread(accept->fd, p, left, offset);

        if (n == -1 && ngx_errno == NGX_EINTR) {
            continue;
        }

        if (n <= 0) {
            return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_IO,
                                        n ? ngx_errno : 0,
                                        "an event body cannot be read from its "
                                        "temporary file");
        }

        p += n;
        offset += n;
        left -= n;
    }

    return NGX_OK;
}


/* NGX_OK: there is nothing to lease; NGX_AGAIN: there is */

static ngx_int_t
ngx_trove_sqlite_write_idle(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_op_t *ops, ngx_trove_sqlite_batch_t *batch)
{
    ngx_int_t               rc;
    ngx_trove_spool_op_t   *op;
    ngx_trove_sqlite_db_t  *db;

    db = &spool->writer;

    if (ngx_trove_sqlite_moved(spool, db) != NGX_OK) {
        return NGX_ERROR;
    }

    db->txn++;

    for (op = ops; op; op = op->next) {

        if (op->type != NGX_TROVE_SPOOL_OP_LEASE) {
            continue;
        }

        rc = ngx_trove_sqlite_lease_peek(spool, db, op);

        if (rc == NGX_DECLINED) {
            continue;
        }

        return (rc == NGX_OK) ? NGX_AGAIN : NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_write_all(ngx_trove_sqlite_t *spool, ngx_trove_spool_op_t *ops,
    ngx_trove_sqlite_batch_t *batch, ngx_uint_t accept,
    ngx_trove_spool_cost_t *cost)
{
    int64_t                 start, end;
    ngx_int_t               rc;
    ngx_uint_t              notice;
    ngx_trove_spool_op_t   *op;
    ngx_trove_sqlite_db_t  *db;

    db = &spool->writer;

    /* a notice is small, and there is one for each subscription: no max_size */

    notice = accept;

    if (ngx_trove_sqlite_begin(spool, db, batch->durable, &cost->wait)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    start = ngx_trove_sqlite_elapsed();

    if (accept && batch->accepts) {

        rc = ngx_trove_sqlite_write_capacity(spool);

        if (rc == NGX_ERROR) {
            goto failed;
        }

        accept = (rc == NGX_OK);
    }

    for (op = ops; op; op = op->next) {

        if (ngx_trove_sqlite_write_op(spool, op, accept, notice) != NGX_OK) {
            goto failed;
        }
    }

    end = ngx_trove_sqlite_elapsed();
    cost->work = end - start;

    if (ngx_trove_sqlite_commit(spool, db) != NGX_OK) {
        goto undo;
    }

    cost->commit = ngx_trove_sqlite_elapsed() - end;

    return NGX_OK;

failed:

    ngx_trove_sqlite_rollback(spool, db);

undo:

    for (op = ops; op; op = op->next) {
        if (op->type == NGX_TROVE_SPOOL_OP_LEASE) {
            ngx_trove_sqlite_lease_undo(op);
        }
    }

    return NGX_ERROR;
}


static ngx_int_t
ngx_trove_sqlite_write_op(ngx_trove_sqlite_t *spool, ngx_trove_spool_op_t *op,
    ngx_uint_t accept, ngx_uint_t notice)
{
    ngx_trove_sqlite_db_t  *db;

    db = &spool->writer;

    switch (op->type) {

    case NGX_TROVE_SPOOL_OP_ACCEPT:

        if (op->result == NGX_TROVE_SPOOL_ROLLED_BACK) {
            return NGX_OK;
        }

        if (!accept) {
            op->result = NGX_TROVE_SPOOL_NO_SPACE;
            return NGX_OK;
        }

        return ngx_trove_sqlite_accept(spool, op);

    case NGX_TROVE_SPOOL_OP_OUTCOME:
        return ngx_trove_sqlite_outcome(spool, db, op, notice);

    case NGX_TROVE_SPOOL_OP_LEASE:
        return ngx_trove_sqlite_lease(spool, db, op);

    case NGX_TROVE_SPOOL_OP_CONTROL:
        return ngx_trove_sqlite_control_op(spool, op);

    case NGX_TROVE_SPOOL_OP_CONFIRM:
        return NGX_OK;

    default:
        return ngx_trove_sqlite_renew(spool, db, op);
    }
}


static void
ngx_trove_sqlite_write_undo(ngx_trove_spool_op_t *ops)
{
    ngx_uint_t             i;
    ngx_trove_spool_op_t  *op;

    for (op = ops; op; op = op->next) {

        op->result = NGX_TROVE_SPOOL_ROLLED_BACK;

        if (op->type == NGX_TROVE_SPOOL_OP_CONTROL) {
            op->u.control.done = 0;
            op->u.control.changed = 0;
        }

        if (op->type == NGX_TROVE_SPOOL_OP_RENEW) {
            for (i = 0; i < op->u.renew.nrefs; i++) {
                op->u.renew.results[i] = NGX_TROVE_SPOOL_ROLLED_BACK;
            }
        }
    }
}


/* NGX_OK; NGX_DECLINED: max_size is reached; or NGX_ERROR */

static ngx_int_t
ngx_trove_sqlite_write_capacity(ngx_trove_sqlite_t *spool)
{
    int64_t                 pages, free_pages;
    ngx_trove_sqlite_db_t  *db;

    if (spool->max_size == 0) {
        return NGX_OK;
    }

    db = &spool->writer;

    pages = ngx_trove_sqlite_get(db, NGX_TROVE_SQLITE_SQL_PAGES);
    free_pages = ngx_trove_sqlite_get(db, NGX_TROVE_SQLITE_SQL_FREE_PAGES);

    if (pages == -1 || free_pages == -1) {
        return NGX_ERROR;
    }

    if ((uint64_t) (pages - free_pages) * NGX_TROVE_SQLITE_PAGE_SIZE
        < spool->max_size)
    {
        return NGX_OK;
    }

    (void) ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_FULL, 0,
                                "the limit of %llu bytes is reached",
                                (unsigned long long) spool->max_size);

    return NGX_DECLINED;
}
