
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_DEDUP_STORE_H_INCLUDED_
#define _NGX_HTTP_TROVE_DEDUP_STORE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_trove_ctx.h"
#include "ngx_trove_zone.h"


/*
 * A deduplication store.  It keeps the claims and the completed keys of a
 * "trove_dedup_zone".  The zone in shared memory is one store; another one may
 * keep them on another machine.
 *
 * The caller owns an operation.  It must keep the operation from the claim
 * until the claim is completed or released, and may change only lease and ttl.
 * Its states:
 *
 *   claim --NGX_OK: result is NEW-------> held --complete, release--> ended
 *     |  \--NGX_OK: any other result, or NGX_ERROR -----------------> ended
 *     |
 *     +-----NGX_AGAIN--> asked --handler: result is NEW--> held
 *                          |  \--handler: any other -----> ended
 *                          +-----cancel------------------> ended
 *
 * Only a claim may have to wait.  The handler is called once, from the event
 * loop, never from within a function of the store.  It is not called after
 * cancel(); the store then releases a claim that is granted later.
 */


/* bytes of an operation for use by the store, from the claim on */
#define NGX_HTTP_TROVE_DEDUP_STATE  48


typedef struct ngx_http_trove_dedup_op_s  ngx_http_trove_dedup_op_t;

typedef void (*ngx_http_trove_dedup_op_pt)(ngx_http_trove_dedup_op_t *op);


typedef struct {
    ngx_str_t     name;

    /*
     * Computes the key that identifies an event from len bytes at p.  The same
     * bytes must give the same key wherever the store is shared.  data is that
     * of the store, as in the functions below.
     */
    void        (*key)(void *data, u_char *p, size_t len,
                       ngx_http_trove_key_t *key);

    /*
     * May be called about a microsecond before the key is claimed.  It may do
     * nothing.
     */
    void        (*prefetch)(void *data, ngx_http_trove_key_t *key);

    /*
     * Claims op->key for op->lease.
     *
     * NGX_OK     op->result is set
     * NGX_AGAIN  op->handler will be called when op->result is set
     * NGX_ERROR  out of memory
     */
    ngx_int_t   (*claim)(ngx_http_trove_dedup_op_t *op);

    /* Ends an operation whose claim() has returned NGX_AGAIN. */
    void        (*cancel)(ngx_http_trove_dedup_op_t *op);

    /*
     * Functions for a claim that is held.  renew() extends it by op->lease.
     * complete() completes it for op->ttl.  release() removes it, as if it had
     * never been made.
     *
     * NGX_OK        done or requested; the caller does not wait for the result
     * NGX_DECLINED  the lease had expired
     */
    ngx_int_t   (*renew)(ngx_http_trove_dedup_op_t *op);
    ngx_int_t   (*complete)(ngx_http_trove_dedup_op_t *op);
    ngx_int_t   (*release)(ngx_http_trove_dedup_op_t *op);

    /*
     * Functions for a claim that is held.  ack() records for op->ttl that a
     * target of the event has received it.  acked() returns 1 if that was
     * recorded before the claim, 0 otherwise; it is known when the result of
     * the claim is.  A name has at most NGX_HTTP_TROVE_DEDUP_ACK_NAME bytes.
     */
    void        (*ack)(ngx_http_trove_dedup_op_t *op, ngx_str_t *name);
    ngx_uint_t  (*acked)(ngx_http_trove_dedup_op_t *op, ngx_str_t *name);

    /*
     * Removes a completed key, so that it can be claimed again.
     *
     * NGX_OK
     * NGX_DECLINED  the key is not known here
     */
    ngx_int_t   (*forget)(void *data, ngx_http_trove_key_t *key);
} ngx_http_trove_dedup_actions_t;


/* the store of a zone */
typedef struct {
    const ngx_http_trove_dedup_actions_t  *actions;
    void                                  *data;
} ngx_http_trove_dedup_store_t;


#define NGX_HTTP_TROVE_DEDUP_ACK_NAME  255


struct ngx_http_trove_dedup_op_s {
    ngx_http_trove_dedup_store_t  *store;
    ngx_http_trove_key_t           key;
    ngx_uint_t                     lease;            /* seconds */
    ngx_uint_t                     ttl;              /* seconds */

    ngx_trove_zone_claim_e         result;

    ngx_http_trove_dedup_op_pt     handler;
    void                          *data;             /* of the handler */

    union {
        u_char                     bytes[NGX_HTTP_TROVE_DEDUP_STATE];
        uint64_t                   align;
        uint32_t                   owner;            /* of the zone */
    } state;
};


/* The actions of the zone in shared memory.  data is its ngx_trove_table_t. */
extern const ngx_http_trove_dedup_actions_t  ngx_http_trove_dedup_zone_actions;


#endif /* _NGX_HTTP_TROVE_DEDUP_STORE_H_INCLUDED_ */
