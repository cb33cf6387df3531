
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
 * A store of deduplication: it keeps the claims and the completed keys of a
 * "trove_dedup_zone".  The zone in shared memory is one; another may keep them
 * on another machine.
 *
 * An operation belongs to the caller, who keeps it, unchanged but for lease and
 * ttl, from the claim until the claim is completed or released.  Its states:
 *
 *   claim --NGX_OK: result is NEW-------> held --complete, release--> ended
 *     |  \--NGX_OK: any other result, or NGX_ERROR -----------------> ended
 *     |
 *     +-----NGX_AGAIN--> asked --handler: result is NEW--> held
 *                          |  \--handler: any other -----> ended
 *                          +-----cancel------------------> ended
 *
 * Only a claim may have to wait.  The handler is called once, from the event
 * loop, never from within a function of the store.  After cancel() it is not
 * called, and the store releases by itself what the claim may still get.
 */


/* of an operation, for the store, from the claim on */
#define NGX_HTTP_TROVE_DEDUP_STATE  48


typedef struct ngx_http_trove_dedup_op_s  ngx_http_trove_dedup_op_t;

typedef void (*ngx_http_trove_dedup_op_pt)(ngx_http_trove_dedup_op_t *op);


typedef struct {
    ngx_str_t     name;

    /*
     * Makes the key of len bytes at p, by which an event is unique: the same
     * for the same bytes wherever the store is shared.  data is the store's, as
     * in the functions below.
     */
    void        (*key)(void *data, u_char *p, size_t len,
                       ngx_http_trove_key_t *key);

    /* A claim of the key follows in about a microsecond; may do nothing. */
    void        (*prefetch)(void *data, ngx_http_trove_key_t *key);

    /*
     * Claims op->key for op->lease.
     *
     * NGX_OK     op->result says what came of it
     * NGX_AGAIN  op->handler is called when op->result says it
     * NGX_ERROR  out of memory
     */
    ngx_int_t   (*claim)(ngx_http_trove_dedup_op_t *op);

    /* Ends an operation whose claim is NGX_AGAIN. */
    void        (*cancel)(ngx_http_trove_dedup_op_t *op);

    /*
     * Of a claim that is held: extends it by op->lease, ends it as completed
     * for op->ttl, or ends it as if it had never been.
     *
     * NGX_OK        done, or asked for: the caller does not wait for it
     * NGX_DECLINED  the lease had run out
     */
    ngx_int_t   (*renew)(ngx_http_trove_dedup_op_t *op);
    ngx_int_t   (*complete)(ngx_http_trove_dedup_op_t *op);
    ngx_int_t   (*release)(ngx_http_trove_dedup_op_t *op);

    /*
     * Of a claim that is held: records that one of the event's targets has it,
     * for op->ttl; and whether it was recorded before the claim, which is known
     * with the claim's result.  A name has up to
     * NGX_HTTP_TROVE_DEDUP_ACK_NAME bytes.
     */
    void        (*ack)(ngx_http_trove_dedup_op_t *op, ngx_str_t *name);
    ngx_uint_t  (*acked)(ngx_http_trove_dedup_op_t *op, ngx_str_t *name);

    /*
     * Forgets a completed key, so that it can be claimed again.
     *
     * NGX_OK
     * NGX_DECLINED  it was not known here
     */
    ngx_int_t   (*forget)(void *data, ngx_http_trove_key_t *key);
} ngx_http_trove_dedup_actions_t;


/* that of a zone */
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
    void                          *data;             /* the handler's */

    union {
        u_char                     bytes[NGX_HTTP_TROVE_DEDUP_STATE];
        uint64_t                   align;
        uint32_t                   owner;            /* the zone's */
    } state;
};


/* Those of the zone in shared memory: data is its ngx_trove_table_t. */
extern const ngx_http_trove_dedup_actions_t  ngx_http_trove_dedup_zone_actions;


#endif /* _NGX_HTTP_TROVE_DEDUP_STORE_H_INCLUDED_ */
