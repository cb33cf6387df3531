
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_clock.h"
#include "ngx_http_trove_dedup_store.h"
#include "ngx_trove_table.h"


static void ngx_http_trove_dedup_zone_key(void *data, u_char *p, size_t len,
    ngx_http_trove_key_t *key);
static void ngx_http_trove_dedup_zone_prefetch(void *data,
    ngx_http_trove_key_t *key);
static ngx_int_t ngx_http_trove_dedup_zone_claim(ngx_http_trove_dedup_op_t *op);
static void ngx_http_trove_dedup_zone_cancel(ngx_http_trove_dedup_op_t *op);
static ngx_int_t ngx_http_trove_dedup_zone_renew(ngx_http_trove_dedup_op_t *op);
static ngx_int_t ngx_http_trove_dedup_zone_complete(
    ngx_http_trove_dedup_op_t *op);
static ngx_int_t ngx_http_trove_dedup_zone_release(
    ngx_http_trove_dedup_op_t *op);
static void ngx_http_trove_dedup_zone_ack(ngx_http_trove_dedup_op_t *op,
    ngx_str_t *name);
static ngx_uint_t ngx_http_trove_dedup_zone_acked(
    ngx_http_trove_dedup_op_t *op, ngx_str_t *name);
static void ngx_http_trove_dedup_zone_ack_key(ngx_http_trove_dedup_op_t *op,
    ngx_str_t *name, ngx_trove_zone_key_t *key);
static ngx_int_t ngx_http_trove_dedup_zone_forget(void *data,
    ngx_http_trove_key_t *key);


const ngx_http_trove_dedup_actions_t  ngx_http_trove_dedup_zone_actions = {
    ngx_string("zone"),
    ngx_http_trove_dedup_zone_key,
    ngx_http_trove_dedup_zone_prefetch,
    ngx_http_trove_dedup_zone_claim,
    ngx_http_trove_dedup_zone_cancel,
    ngx_http_trove_dedup_zone_renew,
    ngx_http_trove_dedup_zone_complete,
    ngx_http_trove_dedup_zone_release,
    ngx_http_trove_dedup_zone_ack,
    ngx_http_trove_dedup_zone_acked,
    ngx_http_trove_dedup_zone_forget
};


static void
ngx_http_trove_dedup_zone_key(void *data, u_char *p, size_t len,
    ngx_http_trove_key_t *key)
{
    ngx_memzero(key, sizeof(ngx_http_trove_key_t));
    ngx_trove_table_key(data, p, len, &key->zone);
}


static void
ngx_http_trove_dedup_zone_prefetch(void *data, ngx_http_trove_key_t *key)
{
    ngx_trove_table_prefetch(data, &key->zone);
}


static ngx_int_t
ngx_http_trove_dedup_zone_claim(ngx_http_trove_dedup_op_t *op)
{
    ngx_trove_zone_now_t  now;

    ngx_http_trove_clock_zone(&now);

    op->result = ngx_trove_table_claim(op->store->data, &op->key.zone, &now,
                                       op->lease, &op->state.owner);

    return NGX_OK;
}


static void
ngx_http_trove_dedup_zone_cancel(ngx_http_trove_dedup_op_t *op)
{
    /* claims of a zone never wait */
}


static ngx_int_t
ngx_http_trove_dedup_zone_renew(ngx_http_trove_dedup_op_t *op)
{
    ngx_trove_zone_now_t  now;

    ngx_http_trove_clock_zone(&now);

    return ngx_trove_table_renew(op->store->data, &op->key.zone, &now,
                                 op->lease, op->state.owner);
}


static ngx_int_t
ngx_http_trove_dedup_zone_complete(ngx_http_trove_dedup_op_t *op)
{
    ngx_trove_zone_now_t  now;

    ngx_http_trove_clock_zone(&now);

    return ngx_trove_table_complete(op->store->data, &op->key.zone, &now,
                                    op->ttl, op->state.owner);
}


static ngx_int_t
ngx_http_trove_dedup_zone_release(ngx_http_trove_dedup_op_t *op)
{
    return ngx_trove_table_release(op->store->data, &op->key.zone,
                                   op->state.owner);
}


static void
ngx_http_trove_dedup_zone_ack(ngx_http_trove_dedup_op_t *op, ngx_str_t *name)
{
    ngx_trove_zone_key_t  key;
    ngx_trove_zone_now_t  now;

    ngx_http_trove_dedup_zone_ack_key(op, name, &key);
    ngx_http_trove_clock_zone(&now);

    /* a lost ack is counted, and causes a repeated delivery */

    (void) ngx_trove_table_ack(op->store->data, &key, &now, op->ttl);
}


static ngx_uint_t
ngx_http_trove_dedup_zone_acked(ngx_http_trove_dedup_op_t *op,
    ngx_str_t *name)
{
    ngx_trove_zone_key_t  key;
    ngx_trove_zone_now_t  now;

    ngx_http_trove_dedup_zone_ack_key(op, name, &key);
    ngx_http_trove_clock_zone(&now);

    return ngx_trove_table_acked(op->store->data, &key, &now);
}


/* all claims of an event give this key, even in a table of another size */

static void
ngx_http_trove_dedup_zone_ack_key(ngx_http_trove_dedup_op_t *op,
    ngx_str_t *name, ngx_trove_zone_key_t *key)
{
    u_char  *p, buf[sizeof(ngx_trove_zone_key_t)
                    + NGX_HTTP_TROVE_DEDUP_ACK_NAME];

    p = ngx_cpymem(buf, &op->key.zone, sizeof(ngx_trove_zone_key_t));
    p = ngx_cpymem(p, name->data, name->len);

    ngx_memzero(key, sizeof(ngx_trove_zone_key_t));
    ngx_trove_table_key(op->store->data, buf, p - buf, key);
}


static ngx_int_t
ngx_http_trove_dedup_zone_forget(void *data, ngx_http_trove_key_t *key)
{
    ngx_trove_zone_now_t  now;

    ngx_http_trove_clock_zone(&now);

    return ngx_trove_table_forget(data, &key->zone, &now);
}
