
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
 * The deliveries of an event in the wait mode.  One of a request, kept in its
 * ngx_http_trove_ctx_t.
 *
 *   start --> deliveries under way --the last is DONE--> answered
 *                    |
 *                    +-- the request ends before, the worker exits --> ended:
 *                        deliveries that succeeded are acked: the sender
 *                        will retry
 */

typedef struct {
    ngx_http_request_t         *request;
    ngx_http_trove_ctx_t       *ctx;

    ngx_uint_t                  ndeliveries;
    ngx_http_trove_delivery_t  *deliveries;    /* of the targets that match */
    ngx_uint_t                  pending;       /* those that are not DONE */

    ngx_queue_t                 worker;        /* in those of the worker */
    ngx_http_posted_request_t   posted;
    unsigned                    client_closed:1;
    unsigned                    ended:1;
} ngx_http_trove_fanout_t;


/*
 * Starts the deliveries of the event of r to those of an array of targets,
 * ngx_http_trove_target_t *, that match it.  resume(r) is called when all are
 * DONE, as the write handler of r; it may be called more often before.
 *
 * NGX_AGAIN  under way
 * NGX_OK     all are DONE
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_fanout_start(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx, ngx_array_t *targets,
    ngx_http_event_handler_pt resume);

/*
 * Ends the fan-out.  If a delivery to a required target has failed, records acks
 * for the deliveries that have succeeded.
 *
 * Whether all required deliveries have succeeded.
 */
ngx_uint_t ngx_http_trove_fanout_end(ngx_http_trove_fanout_t *fanout);

/* Adds the variables; to be called as "preconfiguration". */
ngx_int_t ngx_http_trove_fanout_add_variables(ngx_conf_t *cf);

/*
 * Registers the families of the fan-out and of its targets; to be called as
 * "postconfiguration".
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_fanout_metrics_init(ngx_conf_t *cf);

/* For a worker that comes and goes. */
void ngx_http_trove_fanout_init(void);
void ngx_http_trove_fanout_exit(void);

/*
 * What came of each target, in the pool of r: as JSON for the answer, or as
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
