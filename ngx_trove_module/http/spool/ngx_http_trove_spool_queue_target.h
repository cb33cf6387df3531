
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SPOOL_QUEUE_TARGET_H_INCLUDED_
#define _NGX_HTTP_TROVE_SPOOL_QUEUE_TARGET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_trove_spool_queue.h"


/* The targets in the queue, private to ngx_http_trove_spool_queue.c. */


/*
 * What the subscriptions share: a number of running deliveries.  Those that
 * have capacity of their own meanwhile wait in turn.
 */
typedef struct {
    ngx_uint_t                     capacity;
    ngx_uint_t                     running;
    ngx_queue_t                    waiting;    /* subscriptions */
} ngx_http_trove_queue_share_t;


/*
 * A target in this worker.
 *
 * A subscription:  none --subscription--> created --add--> held
 *                   ^                                       |
 *                   +------- held == 0, not in run() -------+
 */
struct ngx_http_trove_queue_target_s {
    ngx_uint_t                     capacity;
    ngx_uint_t                     running;

    /* waiting for capacity: first attempts and retries, which alternate */
    ngx_queue_t                    ready[2];
    ngx_uint_t                     turn;
    ngx_event_t                    start;      /* starts them */

    ngx_uint_t                     limit;
    ngx_uint_t                     limit_retries;
    ngx_uint_t                     held;       /* in memory, not done */
    ngx_uint_t                     retries;    /* of those held */
    ngx_queue_t                    busy;       /* if held != 0 */
    unsigned                       more:1;     /* waiting in the file */

    /* of a subscription */
    ngx_http_trove_queue_target_t  *all;       /* its target; NULL: is one */
    ngx_http_trove_queue_share_t  *share;
    ngx_queue_t                    waiting;    /* if waits */
    ngx_str_node_t                 node;       /* by its id */
    unsigned                       subscribers:1;  /* stands for them */
    unsigned                       waits:1;
    unsigned                       runs:1;     /* in ..._queue_run() */
};


#endif /* _NGX_HTTP_TROVE_SPOOL_QUEUE_TARGET_H_INCLUDED_ */
