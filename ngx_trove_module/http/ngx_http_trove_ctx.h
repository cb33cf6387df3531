
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_CTX_H_INCLUDED_
#define _NGX_HTTP_TROVE_CTX_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_verdict.h"
#include "ngx_trove_event.h"
#include "ngx_trove_zone.h"


/*
 * The context of a main request and its event.  It is shared with subrequests,
 * and is kept across internal redirects.
 */


typedef enum {
    NGX_HTTP_TROVE_DEDUP_NONE = 0,            /* not evaluated */
    NGX_HTTP_TROVE_DEDUP_NEW,
    NGX_HTTP_TROVE_DEDUP_DUPLICATE,
    NGX_HTTP_TROVE_DEDUP_INFLIGHT,
    NGX_HTTP_TROVE_DEDUP_FULL
} ngx_http_trove_dedup_e;


/*
 * The key that an event is deduplicated by, as the store of its zone makes it;
 * zeroed where nothing is said.
 */
typedef union {
    ngx_trove_zone_key_t       zone;
    u_char                     bytes[32];
} ngx_http_trove_key_t;


typedef struct {
    ngx_pool_t                *pool;          /* that it lives as long as */

    /*
     * The body, by ngx_http_trove_body_read():
     *
     *   NONE --read--> READING --post handler--> READ
     *                     |
     *                     +-- 400, 408, 413, client closed: NGINX ends the
     *                         request, and the phases are not run again
     */
    enum {
        NGX_HTTP_TROVE_BODY_NONE = 0,
        NGX_HTTP_TROVE_BODY_READING,
        NGX_HTTP_TROVE_BODY_READ
    } body;

    time_t                     received;      /* when all of it was received,
                                                 or seen to be; 0: not yet */

    /*
     * The event, by ngx_http_trove_body_parse(): parsed is its result, or
     * NGX_AGAIN until then.  An event is trusted if it was verified, or if no
     * verification is configured.  Variables see no other.
     */
    ngx_trove_event_t          event;
    ngx_int_t                  parsed;
    const char                *reason;        /* why it is not an event */
    unsigned                   trusted:1;

    /* set when an event variable is read, and cleared before */
    unsigned                   identified:1;  /* it is the id */
    unsigned                   absent:1;      /* it has no value */

    /* one was read before the event: a "map" may have cached the empty value */
    unsigned                   early:1;

    /* by the verify module */
    ngx_http_trove_verdict_e   verdict;
    void                      *secrets;       /* used for the verdict */
    ngx_uint_t                 secret;        /* number of the one; 0: none */
    ngx_str_t                  secrets_digest; /* of those of variables */
    int64_t                    timestamp;
    unsigned                   allow:1;       /* "Allow" was added */

    /* by the dedup module */
    ngx_http_trove_dedup_e     dedup;
    ngx_http_trove_key_t       key;           /* if it was prefetched */
    void                      *prefetched;    /* for this configuration */
    ngx_queue_t                claims;        /* ngx_http_trove_claim_t */

    /* by the fanout module: ngx_http_trove_fanout_t */
    void                      *fanout;

    /* by the sign module: the last signature, its secrets and its time */
    void                      *signer;
    time_t                     signed_at;
    ngx_str_t                  signature;
} ngx_http_trove_ctx_t;


/*
 * Both return the context of the main request of r, which is allocated from the
 * pool of that.
 *
 * NULL  ctx_find: there is none; ctx_make: out of memory
 */
ngx_http_trove_ctx_t *ngx_http_trove_ctx_find(ngx_http_request_t *r);
ngx_http_trove_ctx_t *ngx_http_trove_ctx_make(ngx_http_request_t *r);

/*
 * Creates a context of an event that no client is waiting for.
 *
 * NULL  out of memory
 */
ngx_http_trove_ctx_t *ngx_http_trove_ctx_create(ngx_pool_t *pool);

/*
 * Makes a context that of the main request r, which must not be redirected.
 * The context must live longer than r.
 */
void ngx_http_trove_ctx_share(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx);


#endif /* _NGX_HTTP_TROVE_CTX_H_INCLUDED_ */
