
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SPOOL_CONFIRM_H_INCLUDED_
#define _NGX_HTTP_TROVE_SPOOL_CONFIRM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_spool.h"


/*
 * Deliveries in the memory of this worker whose attempts have not begun.  When
 * a delivery is cancelled or a target is paused, in whatever worker, the
 * generation of the spool changes before the call is answered.  All deliveries
 * in memory are then stale.  They are confirmed with the spool, in one
 * operation, before they begin.
 *
 *   current --the generation changes--> stale --ask--> being confirmed
 *      ^                                  ^                  |   |
 *      |                                  +---not possible---+   |
 *      +-------------------------wanted--------------------------+
 *                                                                |
 *                                            not wanted: released
 *
 * The attempts of all workers that begin after a change have been confirmed
 * after it.  An attempt begins in the moment at which its generation is
 * compared: its connection may be opened some microseconds later.
 */

typedef struct {
    ngx_queue_t              queue;            /* of all that are added */
    ngx_trove_spool_ref_t   *ref;
    void                   **slot;             /* being confirmed, or NULL */
} ngx_http_trove_confirm_t;

/*
 * Called when a delivery has been confirmed, or is not wanted any more.  In the
 * latter case it has to be removed.
 */
typedef void (*ngx_http_trove_confirm_pt)(ngx_http_trove_confirm_t *confirm,
    ngx_uint_t wanted);


/* Must be called when a worker process starts. */
void ngx_http_trove_confirm_init(ngx_cycle_t *cycle,
    ngx_http_trove_confirm_pt handler);

/*
 * Returns 0 if an attempt of the delivery may begin, which must happen at once.
 * Returns 1 if the delivery has to be confirmed first.
 */
ngx_uint_t ngx_http_trove_confirm_stale(ngx_http_trove_confirm_t *confirm);

/*
 * Add and remove a delivery that waits in memory.  The caller owns the
 * structure, and must set confirm->ref.
 */
void ngx_http_trove_confirm_add(ngx_http_trove_confirm_t *confirm);
void ngx_http_trove_confirm_remove(ngx_http_trove_confirm_t *confirm);

/*
 * Confirms all stale deliveries that have been added, and calls the handler for
 * each of them, later.
 */
void ngx_http_trove_confirm_ask(void);


#endif /* _NGX_HTTP_TROVE_SPOOL_CONFIRM_H_INCLUDED_ */
