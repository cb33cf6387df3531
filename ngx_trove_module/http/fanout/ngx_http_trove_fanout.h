
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_FANOUT_H_INCLUDED_
#define _NGX_HTTP_TROVE_FANOUT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_ctx.h"
#include "ngx_http_trove_delivery.h"


/*
 * The deliveries of an event in the wait mode.  A request has one fan-out,
 * which is stored in its ngx_http_trove_ctx_t.
 *
 *   start --> deliveries running --the last is DONE--> response is sent
 *                    |                                      |
 *                    |             detached subrequests, if any, have ended
 *                    |                                      |
 *                    |                                      v
 *                    |                                  released
 *                    |
 *                    +-- the worker exits fast: ended, and successful
 *                        deliveries are acked, because the sender will retry
 *
 * The request is blocked until it is released: deliveries use its memory.  If
 * the client closes its connection, NGINX terminates the request, but frees it
 * only then.  The deliveries go on, unless the worker has to exit.
 */

typedef struct ngx_http_trove_fanout_s  ngx_http_trove_fanout_t;

/* sends the response; returns the code to finalize the request with */
typedef ngx_int_t (*ngx_http_trove_fanout_pt)(ngx_http_request_t *r,
    ngx_http_trove_fanout_t *fanout);

struct ngx_http_trove_fanout_s {
    ngx_http_request_t         *request;
    ngx_http_trove_ctx_t       *ctx;
    ngx_http_trove_origin_t     origin;
    ngx_http_trove_fanout_pt    respond;

    ngx_uint_t                  ndeliveries;
    ngx_http_trove_delivery_t  *deliveries;    /* of the matching targets */
    ngx_uint_t                  pending;       /* number not DONE */

    ngx_queue_t                 worker;        /* in the queue of the worker */
    ngx_event_t                 event;         /* DONE, or released */
    unsigned                    suspended:1;   /* the request is blocked */
    unsigned                    terminated:1;  /* by NGINX */
    unsigned                    responded:1;
    unsigned                    ended:1;
};


/*
 * Starts the deliveries of the event of r to the matching targets.  targets is
 * an array of ngx_http_trove_target_t *.  The memory is allocated from the pool
 * of r.
 *
 * NGX_DONE   the request is suspended; respond(r, fanout) is called when all
 *            deliveries are DONE, unless the client has closed the connection
 * NGX_OK     all deliveries are DONE
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_fanout_start(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx, ngx_array_t *targets,
    ngx_http_trove_fanout_pt respond);

/*
 * Ends the fan-out.  If a delivery to a required target has failed, it records
 * acks for the deliveries that have succeeded.
 *
 * Returns 1 if all required deliveries have succeeded, 0 otherwise.
 */
ngx_uint_t ngx_http_trove_fanout_end(ngx_http_trove_fanout_t *fanout);

/*
 * Adds the variables.  It must be called at preconfiguration.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_fanout_add_variables(ngx_conf_t *cf);

/*
 * Registers the metric families of the fan-out and of its targets.  It must be
 * called at postconfiguration.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_fanout_metrics_init(ngx_conf_t *cf);

/* Called when a worker process starts, and when it exits. */
void ngx_http_trove_fanout_init(void);
void ngx_http_trove_fanout_exit(void);

/*
 * Set a string, allocated from the pool of r, to the outcomes of all targets:
 * in JSON for the response, with status as its "status" member; or as
 * "NAME=STATUS,..." for logs.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_fanout_json(ngx_http_trove_fanout_t *fanout,
    const char *status, ngx_str_t *json);
ngx_int_t ngx_http_trove_fanout_text(ngx_http_trove_fanout_t *fanout,
    ngx_str_t *text);


#endif /* _NGX_HTTP_TROVE_FANOUT_H_INCLUDED_ */
