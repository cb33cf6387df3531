
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_trove_spool_confirm.h"
#include "ngx_http_trove_spool_writer.h"
#include "ngx_http_trove_timer.h"


/* delay before a failed confirmation is repeated, milliseconds */
#define NGX_HTTP_TROVE_CONFIRM_AGAIN  1000


/* an operation, followed by its arrays */
typedef struct {
    ngx_http_trove_write_t      write;
    void                      **slots;         /* NULL: removed meanwhile */
} ngx_http_trove_confirm_op_t;


static ngx_http_trove_confirm_op_t *ngx_http_trove_confirm_create(
    ngx_uint_t n);
static void ngx_http_trove_confirm_done(ngx_http_trove_write_t *write);
static void ngx_http_trove_confirm_again(ngx_event_t *ev);


/* of this process */
static ngx_queue_t                ngx_http_trove_confirms;
static ngx_http_trove_confirm_pt  ngx_http_trove_confirm_handler;
static ngx_event_t                ngx_http_trove_confirm_timer;
static ngx_uint_t                 ngx_http_trove_confirm_asking;
static ngx_uint_t                 ngx_http_trove_confirm_asked;


void
ngx_http_trove_confirm_init(ngx_cycle_t *cycle,
    ngx_http_trove_confirm_pt handler)
{
    ngx_queue_init(&ngx_http_trove_confirms);

    ngx_http_trove_confirm_handler = handler;
    ngx_http_trove_confirm_asking = 0;
    ngx_http_trove_confirm_asked = 0;

    ngx_http_trove_timer_init(&ngx_http_trove_confirm_timer,
                              ngx_http_trove_confirm_again, cycle->log, 1);
}


ngx_uint_t
ngx_http_trove_confirm_stale(ngx_http_trove_confirm_t *confirm)
{
    return confirm->ref->generation
           != ngx_trove_spool_generation(ngx_http_trove_writer_spool());
}


void
ngx_http_trove_confirm_add(ngx_http_trove_confirm_t *confirm)
{
    confirm->slot = NULL;

    ngx_queue_insert_tail(&ngx_http_trove_confirms, &confirm->queue);
}


void
ngx_http_trove_confirm_remove(ngx_http_trove_confirm_t *confirm)
{
    if (confirm->slot) {
        *confirm->slot = NULL;
        confirm->slot = NULL;
    }

    ngx_queue_remove(&confirm->queue);
}


void
ngx_http_trove_confirm_ask(void)
{
    uint64_t                      generation;
    ngx_uint_t                    n;
    ngx_queue_t                  *q;
    ngx_http_trove_confirm_t     *confirm;
    ngx_http_trove_confirm_op_t  *op;

    if (ngx_http_trove_confirm_asking
        || ngx_http_trove_confirm_timer.timer_set)
    {
        ngx_http_trove_confirm_asked = 1;
        return;
    }

    ngx_http_trove_confirm_asked = 0;

    generation = ngx_trove_spool_generation(ngx_http_trove_writer_spool());
    n = 0;

    for (q = ngx_queue_head(&ngx_http_trove_confirms);
         q != ngx_queue_sentinel(&ngx_http_trove_confirms);
         q = ngx_queue_next(q))
    {
        confirm = ngx_queue_data(q, ngx_http_trove_confirm_t, queue);

        n += (confirm->ref->generation != generation);
    }

    if (n == 0) {
        return;
    }

    op = ngx_http_trove_confirm_create(n);

    if (op == NULL) {
        ngx_add_timer(&ngx_http_trove_confirm_timer,
                      NGX_HTTP_TROVE_CONFIRM_AGAIN);
        return;
    }

    n = 0;

    for (q = ngx_queue_head(&ngx_http_trove_confirms);
         q != ngx_queue_sentinel(&ngx_http_trove_confirms);
         q = ngx_queue_next(q))
    {
        confirm = ngx_queue_data(q, ngx_http_trove_confirm_t, queue);

        if (confirm->ref->generation == generation) {
            continue;
        }

        confirm->slot = &op->slots[n];
        op->slots[n] = confirm;
        op->write.op.u.confirm.refs[n++] = *confirm->ref;
    }

    ngx_http_trove_confirm_asking = 1;

    ngx_http_trove_writer_post(&op->write);
}


static ngx_http_trove_confirm_op_t *
ngx_http_trove_confirm_create(ngx_uint_t n)
{
    u_char                       *p;
    ngx_trove_spool_confirm_t    *confirm;
    ngx_http_trove_confirm_op_t  *op;

    op = ngx_calloc(sizeof(ngx_http_trove_confirm_op_t)
                    + n * (sizeof(ngx_trove_spool_ref_t) + sizeof(void *)
                           + sizeof(ngx_trove_spool_result_e)),
                    ngx_cycle->log);
    if (op == NULL) {
        return NULL;
    }

    op->write.handler = ngx_http_trove_confirm_done;
    op->write.data = op;
    op->write.op.type = NGX_TROVE_SPOOL_OP_CONFIRM;

    confirm = &op->write.op.u.confirm;

    p = (u_char *) (op + 1);

    confirm->refs = (ngx_trove_spool_ref_t *) p;
    p += n * sizeof(ngx_trove_spool_ref_t);

    op->slots = (void **) p;
    p += n * sizeof(void *);

    confirm->results = (ngx_trove_spool_result_e *) p;
    confirm->nrefs = n;

    return op;
}


static void
ngx_http_trove_confirm_done(ngx_http_trove_write_t *write)
{
    ngx_uint_t                    i, done, wanted;
    ngx_http_trove_confirm_t     *confirm;
    ngx_trove_spool_confirm_t    *result;
    ngx_http_trove_confirm_op_t  *op;

    op = write->data;
    result = &write->op.u.confirm;
    done = (write->op.result == NGX_TROVE_SPOOL_DONE);

    for (i = 0; i < result->nrefs; i++) {

        confirm = op->slots[i];

        if (confirm == NULL) {
            continue;
        }

        confirm->slot = NULL;

        if (!done) {
            continue;
        }

        wanted = (result->results[i] == NGX_TROVE_SPOOL_DONE);

        if (wanted) {
            confirm->ref->generation = result->generation;
        }

        ngx_http_trove_confirm_handler(confirm, wanted);
    }

    ngx_free(op);

    ngx_http_trove_confirm_asking = 0;

    if (!done) {

        /* the spool does not work at present: nothing begins meanwhile */

        ngx_add_timer(&ngx_http_trove_confirm_timer,
                      NGX_HTTP_TROVE_CONFIRM_AGAIN);
        return;
    }

    if (ngx_http_trove_confirm_asked) {
        ngx_http_trove_confirm_ask();
    }
}


static void
ngx_http_trove_confirm_again(ngx_event_t *ev)
{
    ngx_http_trove_confirm_ask();
}
