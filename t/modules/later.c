
/*
 * Copyright (C) the ngx_trove_module authors
 */


/*
 * A module for tests: the stores of all zones answer a claim later, as one on
 * another machine does.  The claim itself is made at once, or just before the
 * answer; what a request that is gone by then has got is released.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include "ngx_http_trove_dedup_zone.h"


/* an answer takes up to so many milliseconds */
#define LATER_MAX  30


typedef struct {
    ngx_queue_t                 queue;
    ngx_event_t                 timer;
    ngx_http_trove_dedup_op_t  *op;      /* NULL: cancelled */
    ngx_http_trove_dedup_op_t   inner;
    unsigned                    made:1;
} later_t;


static ngx_int_t later_init_process(ngx_cycle_t *cycle);
static void later_exit_process(ngx_cycle_t *cycle);
static void later_key(void *data, u_char *p, size_t len,
    ngx_http_trove_key_t *key);
static void later_prefetch(void *data, ngx_http_trove_key_t *key);
static ngx_int_t later_claim(ngx_http_trove_dedup_op_t *op);
static void later_cancel(ngx_http_trove_dedup_op_t *op);
static void later_answer(ngx_event_t *ev);
static ngx_int_t later_renew(ngx_http_trove_dedup_op_t *op);
static ngx_int_t later_complete(ngx_http_trove_dedup_op_t *op);
static ngx_int_t later_release(ngx_http_trove_dedup_op_t *op);
static void later_ack(ngx_http_trove_dedup_op_t *op, ngx_str_t *name);
static ngx_uint_t later_acked(ngx_http_trove_dedup_op_t *op, ngx_str_t *name);
static ngx_int_t later_forget(void *data, ngx_http_trove_key_t *key);


static const ngx_http_trove_dedup_actions_t  later_actions = {
    ngx_string("later"),
    later_key,
    later_prefetch,
    later_claim,
    later_cancel,
    later_renew,
    later_complete,
    later_release,
    later_ack,
    later_acked,
    later_forget
};


static ngx_queue_t  later_waiting;


static ngx_http_module_t  later_module_ctx = {
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
};


ngx_module_t  ngx_http_trove_later_module = {
    NGX_MODULE_V1,
    &later_module_ctx,
    NULL,
    NGX_HTTP_MODULE,
    NULL,
    NULL,
    later_init_process,
    NULL,
    NULL,
    later_exit_process,
    NULL,
    NGX_MODULE_V1_PADDING
};


/* what configure makes for a dynamic module */

ngx_module_t  *ngx_modules[] = { &ngx_http_trove_later_module, NULL };
char          *ngx_module_names[] = { "ngx_http_trove_later_module", NULL };
char          *ngx_module_order[] = { NULL };


static ngx_int_t
later_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                      i;
    ngx_array_t                    *zones;
    ngx_shm_zone_t                **zone;
    ngx_http_trove_dedup_store_t   *store, *inner;

    ngx_queue_init(&later_waiting);

    zones = ngx_http_trove_dedup_zones(cycle->pool);
    if (zones == NULL) {
        return NGX_ERROR;
    }

    zone = zones->elts;

    for (i = 0; i < zones->nelts; i++) {
        store = ngx_http_trove_dedup_zone_store(zone[i]);

        inner = ngx_palloc(cycle->pool, sizeof(ngx_http_trove_dedup_store_t));
        if (inner == NULL) {
            return NGX_ERROR;
        }

        *inner = *store;

        store->actions = &later_actions;
        store->data = inner;
    }

    ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0, "stores answer later");

    return NGX_OK;
}


static void
later_exit_process(ngx_cycle_t *cycle)
{
    later_t  *later;

    while (!ngx_queue_empty(&later_waiting)) {
        later = ngx_queue_data(ngx_queue_head(&later_waiting), later_t, queue);

        later->op = NULL;
        later_answer(&later->timer);
    }
}


static void
later_key(void *data, u_char *p, size_t len, ngx_http_trove_key_t *key)
{
    ngx_http_trove_dedup_store_t *inner = data;

    inner->actions->key(inner->data, p, len, key);
}


static void
later_prefetch(void *data, ngx_http_trove_key_t *key)
{
}


static ngx_int_t
later_claim(ngx_http_trove_dedup_op_t *op)
{
    later_t  *later;

    later = ngx_calloc(sizeof(later_t), ngx_cycle->log);
    if (later == NULL) {
        return NGX_ERROR;
    }

    later->op = op;
    later->inner = *op;
    later->inner.store = op->store->data;

    if (ngx_random() % 2) {
        later->made = 1;
        (void) later->inner.store->actions->claim(&later->inner);
    }

    later->timer.handler = later_answer;
    later->timer.data = later;
    later->timer.log = ngx_cycle->log;

    ngx_add_timer(&later->timer, 1 + ngx_random() % LATER_MAX);
    ngx_queue_insert_tail(&later_waiting, &later->queue);

    return NGX_AGAIN;
}


static void
later_cancel(ngx_http_trove_dedup_op_t *op)
{
    later_t      *later;
    ngx_queue_t  *q;

    for (q = ngx_queue_head(&later_waiting);
         q != ngx_queue_sentinel(&later_waiting);
         q = ngx_queue_next(q))
    {
        later = ngx_queue_data(q, later_t, queue);

        if (later->op == op) {
            later->op = NULL;

            ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                          "a claim is cancelled");
            return;
        }
    }

    ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                  "a claim is cancelled that nobody has made");
}


static void
later_answer(ngx_event_t *ev)
{
    later_t                    *later;
    ngx_http_trove_dedup_op_t  *op;

    later = ev->data;

    ngx_queue_remove(&later->queue);

    if (later->timer.timer_set) {
        ngx_del_timer(&later->timer);
    }

    op = later->op;

    if (!later->made && op) {
        later->made = 1;
        (void) later->inner.store->actions->claim(&later->inner);
    }

    if (op == NULL) {

        if (later->made && later->inner.result == NGX_TROVE_ZONE_NEW) {
            (void) later->inner.store->actions->release(&later->inner);
        }

        ngx_free(later);
        return;
    }

    op->result = later->inner.result;
    op->state = later->inner.state;

    ngx_free(later);

    op->handler(op);
}


static ngx_int_t
later_renew(ngx_http_trove_dedup_op_t *op)
{
    ngx_http_trove_dedup_op_t  inner = *op;

    inner.store = op->store->data;

    return inner.store->actions->renew(&inner);
}


static ngx_int_t
later_complete(ngx_http_trove_dedup_op_t *op)
{
    ngx_http_trove_dedup_op_t  inner = *op;

    inner.store = op->store->data;

    return inner.store->actions->complete(&inner);
}


static ngx_int_t
later_release(ngx_http_trove_dedup_op_t *op)
{
    ngx_http_trove_dedup_op_t  inner = *op;

    inner.store = op->store->data;

    return inner.store->actions->release(&inner);
}


static void
later_ack(ngx_http_trove_dedup_op_t *op, ngx_str_t *name)
{
    ngx_http_trove_dedup_op_t  inner = *op;

    inner.store = op->store->data;
    inner.store->actions->ack(&inner, name);
}


static ngx_uint_t
later_acked(ngx_http_trove_dedup_op_t *op, ngx_str_t *name)
{
    ngx_http_trove_dedup_op_t  inner = *op;

    inner.store = op->store->data;

    return inner.store->actions->acked(&inner, name);
}


static ngx_int_t
later_forget(void *data, ngx_http_trove_key_t *key)
{
    ngx_http_trove_dedup_store_t *inner = data;

    return inner->actions->forget(inner->data, key);
}
