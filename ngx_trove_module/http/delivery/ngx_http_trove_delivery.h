
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_DELIVERY_H_INCLUDED_
#define _NGX_HTTP_TROVE_DELIVERY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_limit.h"
#include "ngx_http_trove_origin.h"
#include "ngx_http_trove_target.h"
#include "ngx_trove_spool_subscription.h"


/*
 * One attempt to deliver one event to one target.  It has a request of its own,
 * of which a background subrequest to the location of the target is made.  The
 * response is discarded as it is received.
 *
 *   NEW --start--> WAITING --turn--> RUNNING --the subrequest ends---> DONE
 *     |               |                 |
 *     |               |                 +-- an error in it, or in a subrequest
 *     |               |                 |   of a script: aborted ----> DONE
 *     |               |                 |
 *     |               |                 +-- it does not end: timeout -> DONE
 *     |               +-- max_wait -----------------------------------> DONE
 *     +-- queue full, out of memory ----------------------------------> DONE
 *
 * The handler is called once, when the state becomes DONE.  The request exists
 * from RUNNING until nothing counts on it any more.  That is usually when the
 * state becomes DONE, but a script may have started a detached subrequest that
 * still runs.  The origin tells the owner of the delivery when all requests
 * have been freed.
 */

typedef struct ngx_http_trove_delivery_s  ngx_http_trove_delivery_t;

typedef void (*ngx_http_trove_delivery_pt)(ngx_http_trove_delivery_t *d);

struct ngx_http_trove_delivery_s {
    enum {
        NGX_HTTP_TROVE_DELIVERY_NEW = 0,
        NGX_HTTP_TROVE_DELIVERY_WAITING,
        NGX_HTTP_TROVE_DELIVERY_RUNNING,
        NGX_HTTP_TROVE_DELIVERY_DONE
    } state;

    /* set by the caller; the rest is zeroed */
    ngx_http_trove_origin_t    *origin;        /* the event */
    ngx_http_trove_target_t    *target;
    ngx_log_t                  *log;
    ngx_uint_t                  attempt;       /* 1 .. */
    ngx_http_trove_delivery_pt  handler;
    void                       *data;
    size_t                      keep;          /* bytes of a failure to keep */

    /* NULL: the target is no subscription; must live as long as the origin */
    ngx_trove_spool_subscriber_t  *subscriber;

    /*
     * Set in a phase of the subrequest, if it must not be sent: the failure.
     * With held, it does not count as an attempt.
     */
    const char                 *refused;
    unsigned                    held:1;

    /* valid in the state DONE */
    ngx_uint_t                  status;        /* of the response, or NGINX's */
    const char                 *error;         /* NULL, or the failure */
    ngx_msec_t                  duration;
    ngx_str_t                   retry_after;   /* the header, as received */
    ngx_str_t                   response;      /* its first bytes, or NULL */

    /* an earlier attempt has delivered the event to the target */
    unsigned                    already_delivered:1;

    /* the event has been passed to the location of the target, and to it */
    unsigned                    sent:1;

    /* the status is that of the target, and not one that NGINX has set */
    unsigned                    answered:1;

    /* private */
    unsigned                    ended:1;           /* by the timer */
    unsigned                    last:1;            /* last buffer received */
    unsigned                    no_response:1;     /* from the upstream */
    unsigned                    unterminated:1;    /* past lingering_time */
    off_t                       received;      /* bytes of the body */
    ngx_uint_t                  failure;       /* status before an error_page */
    ngx_http_upstream_t        *failed;        /* and its upstream, or NULL */
    ngx_msec_t                  started;
    ngx_msec_t                  running;       /* start of RUNNING */
    ngx_msec_t                  responded;     /* header received at */
    ngx_msec_t                  expires;       /* it has to end by then */
    ngx_queue_t                 worker;        /* of those with a request */
    ngx_http_request_t         *request;       /* its own; NULL: none */
    ngx_http_request_t         *subrequest;    /* valid while RUNNING */
    ngx_http_post_subrequest_t  post;
    ngx_http_trove_waiter_t     waiter;
    ngx_str_t                   signature;
    void                       *signer;        /* that made the signature */
};


/*
 * Starts a delivery.  The caller owns its memory, which must live as long as
 * the origin, and the log, to which the outcome is logged.  The handler may be
 * called before this function returns.  Failures are reported in d->status and
 * d->error.
 */
void ngx_http_trove_delivery_start(ngx_http_trove_delivery_t *d);

/*
 * Ends a delivery that is not DONE, and calls its handler.  It must be called
 * by an event that does not belong to the delivery.
 */
void ngx_http_trove_delivery_abort(ngx_http_trove_delivery_t *d);

/*
 * Ends a delivery that has not been started because an earlier attempt has
 * delivered the event to the target.  The handler is not called.
 */
void ngx_http_trove_delivery_skip(ngx_http_trove_delivery_t *d);

/*
 * Return and store the last signature of a delivery.  The signer is an opaque
 * pointer that identifies the secrets.  ngx_http_trove_delivery_signature()
 * returns NULL unless the last signature was made by this signer.  The string
 * is stored by value; its bytes must live in the pool of the request.
 */
ngx_str_t *ngx_http_trove_delivery_signature(ngx_http_trove_delivery_t *d,
    void *signer);
void ngx_http_trove_delivery_signed(ngx_http_trove_delivery_t *d,
    void *signer, ngx_str_t *signature);

/* bytes of a response in the log, and the size of a buffer for the text */
#define NGX_HTTP_TROVE_DELIVERY_EXCERPT       200
#define NGX_HTTP_TROVE_DELIVERY_EXCERPT_SIZE  256

/*
 * Replaces the kept response of a delivery that is DONE by a copy from the
 * pool, which is valid UTF-8.  It is absent if the delivery has succeeded.
 *
 * NGX_OK
 * NGX_ERROR  out of memory: it is absent
 */
ngx_int_t ngx_http_trove_delivery_copy_response(ngx_http_trove_delivery_t *d,
    ngx_pool_t *pool);

/*
 * Writes an excerpt of that copy for the log, null-terminated, without control
 * characters and quotes; nothing if it is absent.  p has space for
 * NGX_HTTP_TROVE_DELIVERY_EXCERPT_SIZE bytes.  Returns the end of the text.
 */
u_char *ngx_http_trove_delivery_excerpt(ngx_http_trove_delivery_t *d,
    u_char *p);

/*
 * Returns 1 if a delivery has succeeded: the response has a 2xx status and is
 * complete, or the target already had the event.  Returns 0 otherwise.
 */
#define ngx_http_trove_delivery_succeeded(d)                                  \
    ((d)->state == NGX_HTTP_TROVE_DELIVERY_DONE                               \
     && (d)->error == NULL                                                    \
     && (d)->status >= NGX_HTTP_OK                                            \
     && (d)->status < NGX_HTTP_SPECIAL_RESPONSE)

/*
 * Sets the body length of a subrequest that is a delivery.  It must be called
 * in a phase after the location has been found and before the content phase.
 * It does nothing for other requests.
 */
void ngx_http_trove_delivery_length(ngx_http_request_t *r);

/*
 * Returns 1 if the body of a request of a delivery is that of the event, and 0
 * if a script has changed it.
 */
ngx_uint_t ngx_http_trove_delivery_unchanged(ngx_http_trove_delivery_t *d,
    ngx_http_request_t *r);

/*
 * Returns the delivery that a request belongs to: its own, or that of the
 * nearest parent that is a delivery.  Returns NULL if there is none.
 */
ngx_http_trove_delivery_t *ngx_http_trove_delivery_find(
    ngx_http_request_t *r);

/*
 * Adds the filters and the phase handler.  It must be called at
 * postconfiguration.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_delivery_init(ngx_conf_t *cf);

/* Called when the configuration has been read, and when a worker starts. */
void ngx_http_trove_delivery_init_module(void);
void ngx_http_trove_delivery_init_process(ngx_cycle_t *cycle);


#endif /* _NGX_HTTP_TROVE_DELIVERY_H_INCLUDED_ */
