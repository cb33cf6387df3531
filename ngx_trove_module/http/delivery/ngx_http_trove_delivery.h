
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_DELIVERY_H_INCLUDED_
#define _NGX_HTTP_TROVE_DELIVERY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_limit.h"
#include "ngx_http_trove_target.h"


/*
 * One event on its way to one target: a background subrequest to the location
 * of the target, whose answer is thrown away as it comes in.
 *
 *   NEW --start--> WAITING --turn--> RUNNING --the subrequest ends--> DONE
 *     |               |                 |
 *     |               |                 +-- abort: the main request is gone,
 *     |               |                     nobody knows what the target did
 *     |               +-- max_wait, abort ---------------------------> DONE
 *     +-- queue full, out of memory ---------------------------------> DONE
 *
 * The handler is called once, when it is DONE, but not after an abort.
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

    /* by the caller, who has zeroed the rest */
    ngx_http_request_t         *request;       /* the main request */
    ngx_http_trove_target_t    *target;
    ngx_uint_t                  attempt;       /* 1 .. */
    ngx_http_trove_delivery_pt  handler;
    void                       *data;
    size_t                      keep;          /* bytes of a failed answer */

    /* once it is DONE */
    ngx_uint_t                  status;        /* of the answer, or NGINX's */
    const char                 *error;         /* NULL, or what went wrong */
    ngx_msec_t                  duration;
    ngx_str_t                   retry_after;   /* as the target said */
    ngx_str_t                   answer;        /* the first bytes, or NULL */

    /* the target has the event from an earlier attempt */
    unsigned                    already_delivered:1;

    /* the location of the target has been given the event */
    unsigned                    sent:1;

    /* the client has closed its connection meanwhile */
    unsigned                    client_closed:1;

    /* private */
    unsigned                    last:1;            /* of the response came */
    unsigned                    no_response:1;     /* of the upstream */
    unsigned                    unterminated:1;    /* and so it was closed */
    off_t                       received;      /* bytes of it */
    ngx_msec_t                  started;
    ngx_msec_t                  running;       /* since */
    ngx_msec_t                  answered;      /* the header came */
    ngx_http_post_subrequest_t  post;
    ngx_http_trove_waiter_t     waiter;
    ngx_str_t                   signature;
    void                       *signer;        /* whose signature that is */
};


/*
 * Starts a delivery, whose memory must live as long as its main request.  The
 * event of the main request has been parsed, and its body read.  The handler
 * may be called before this returns.
 */
void ngx_http_trove_delivery_start(ngx_http_trove_delivery_t *d);

/*
 * Ends what is not DONE, from a cleanup of the main request: takes it out of
 * its queue, and calls no handler.
 */
void ngx_http_trove_delivery_abort(ngx_http_trove_delivery_t *d);

/*
 * Ends a delivery that has not been started, because the target has the event
 * from an earlier attempt.  No handler is called.
 */
void ngx_http_trove_delivery_skip(ngx_http_trove_delivery_t *d);

/*
 * The signature that was made for a delivery by a signer, whatever that is, or
 * NULL; keeps the one that was made last.  Its memory is that of the request.
 */
ngx_str_t *ngx_http_trove_delivery_signature(ngx_http_trove_delivery_t *d,
    void *signer);
void ngx_http_trove_delivery_signed(ngx_http_trove_delivery_t *d,
    void *signer, ngx_str_t *signature);

/* Whether a delivery has succeeded: the response was 2xx, and complete. */
ngx_uint_t ngx_http_trove_delivery_succeeded(ngx_http_trove_delivery_t *d);

/*
 * Tells a subrequest that is a delivery how long its body is; to be called in
 * a phase after that which finds the location, and before the content.
 */
void ngx_http_trove_delivery_length(ngx_http_request_t *r);

/* The delivery that a request, or one that it was made for, is; or NULL. */
ngx_http_trove_delivery_t *ngx_http_trove_delivery_find(
    ngx_http_request_t *r);

/* Adds the filters; to be called as "postconfiguration". */
void ngx_http_trove_delivery_init(ngx_conf_t *cf);


#endif /* _NGX_HTTP_TROVE_DELIVERY_H_INCLUDED_ */
