
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_FOLLOW_H_INCLUDED_
#define _NGX_HTTP_TROVE_FOLLOW_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_trove_stream_event.h"


/*
 * The follower of a worker: it reads new events from the spool for all readers
 * of this worker, and keeps the last ones in memory.  Private to this folder.
 *
 * While there are readers, a thread reads the events after the last one: ten
 * times a second, and when this worker has accepted an event.  That is a round;
 * its cost does not depend on the number of readers.  A reader is a position:
 * the number of an event.  A reader whose next event is no longer in memory,
 * because it is slow or has begun with old events, takes a turn instead: the
 * same thread reads a few events for this reader only.  Rounds and turns
 * alternate, and the readers take turns with one another.
 *
 *   started --a round ends--> in memory --ready(), next()--> in memory
 *      |                        ^    |
 *      |                        |    +--next(): its event is not there
 *      |                        |    v
 *      +--it has a position--> waiting --> reading --> ready(), next()
 *
 * A reader that does not call next() costs nothing but its position, and the
 * events that it has not freed yet.  If these need too much memory, the readers
 * that have been blocked for the longest time are dropped.
 */

typedef struct ngx_http_trove_follow_s  ngx_http_trove_follow_t;

struct ngx_http_trove_follow_s {
    /* to be set by the caller, who owns the structure; the rest is zeroed */
    void                            *data;
    ngx_trove_spool_filter_t         filter;
    int64_t                          position;   /* -1: the newest event */
    int64_t                          since;      /* created; nanoseconds */
    ngx_uint_t                       seek;       /* find since */

    /* kept by the caller: events cannot be sent; when some were sent last */
    ngx_uint_t                       blocked;
    ngx_msec_t                       progress;

    /*
     * Called once: next() may be called from now on; or, if error is not NULL,
     * the spool cannot be read, and the reader has to be removed.
     */
    void                           (*started)(ngx_http_trove_follow_t *follow,
                                       ngx_trove_spool_error_t *error);

    /* there may be more events: next() may be called, now or later */
    void                           (*ready)(ngx_http_trove_follow_t *follow);

    /* returns 1 if the reader, while blocked, holds events: see event_held() */
    ngx_uint_t                     (*holds)(ngx_http_trove_follow_t *follow);

    /* the reader is blocked, and has to be removed at once, with its events */
    void                           (*drop)(ngx_http_trove_follow_t *follow);

    /* the worker is exiting: the reader has to be removed */
    void                           (*end)(ngx_http_trove_follow_t *follow);

    /* the structure, after its removal, is no longer used by a thread */
    void                           (*free)(ngx_http_trove_follow_t *follow);

    /* private to the follower */
    ngx_queue_t                      queue;
    ngx_queue_t                      turn;
    int64_t                          backlog;    /* the last event before it */
    ngx_http_trove_stream_event_t   *page;       /* of its last turn */
    unsigned                         waiting:1;  /* for its turn */
    unsigned                         reading:1;  /* it has its turn */
    unsigned                         removed:1;
};


/* events that next() returns at most */
#define NGX_HTTP_TROVE_FOLLOW_MAX    64

/* and their size in bytes, unless it is one event */
#define NGX_HTTP_TROVE_FOLLOW_BYTES  16384


/*
 * Initializes the follower of a worker.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_follow_init(ngx_cycle_t *cycle);

/*
 * Adds a reader.
 *
 * NGX_OK        started() will be called, unless the reader is removed before
 * NGX_BUSY      there are too many
 * NGX_DECLINED  there is no spool
 */
ngx_int_t ngx_http_trove_follow_add(ngx_http_trove_follow_t *follow);

/* Removes a reader.  Its free() is called, now or later. */
void ngx_http_trove_follow_remove(ngx_http_trove_follow_t *follow);

/*
 * Stores the next events of a reader, at most NGX_HTTP_TROVE_FOLLOW_MAX, to
 * events, and returns their number.  Each must be freed by
 * ngx_http_trove_stream_event_free().  If there is none, ready() is called when
 * there may be some.
 */
ngx_uint_t ngx_http_trove_follow_next(ngx_http_trove_follow_t *follow,
    ngx_http_trove_stream_event_t **events);

/* Has new events read soon.  It may be called at any time. */
void ngx_http_trove_follow_wake(void);


#endif /* _NGX_HTTP_TROVE_FOLLOW_H_INCLUDED_ */
