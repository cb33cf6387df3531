
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SPOOL_WRITER_H_INCLUDED_
#define _NGX_HTTP_TROVE_SPOOL_WRITER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_spool_query.h"


/*
 * The operations that this worker writes to the spool.  One transaction runs
 * at a time, in a thread.  The next one contains all operations that have been
 * queued in the meantime.
 *
 *   idle --post--> queued --the thread is free--> being written --> handler
 */

typedef struct ngx_http_trove_write_s  ngx_http_trove_write_t;

typedef void (*ngx_http_trove_write_pt)(ngx_http_trove_write_t *write);

struct ngx_http_trove_write_s {
    ngx_trove_spool_op_t        op;          /* must be first */
    ngx_http_trove_write_pt     handler;     /* event loop; op.result */
    void                       *data;
};


/* the state of the spool, updated every few seconds */
typedef struct {
    ngx_trove_spool_stat_t     *stat;        /* NULL: not known yet */
    ngx_trove_spool_error_e     error;       /* of the last write; 0: none */
} ngx_http_trove_writer_state_t;


/*
 * Starts the writer of a worker and opens the spool in the thread before the
 * first event is received.
 *
 * NGX_OK
 * NGX_ERROR  logged
 */
ngx_int_t ngx_http_trove_writer_init(ngx_cycle_t *cycle,
    ngx_trove_spool_conf_t *conf);

/*
 * Return 1 if there is a writer, and if the spool works as far as this worker
 * knows; 0 otherwise.
 */
ngx_uint_t ngx_http_trove_writer_ready(void);
ngx_uint_t ngx_http_trove_writer_up(void);

/*
 * Queues write->op.  The caller owns the structure and all data that it refers
 * to.  They must live until the handler is called.  The handler is always
 * called, unless the process ends earlier.  Errors are reported in op.result.
 */
void ngx_http_trove_writer_post(ngx_http_trove_write_t *write);

/*
 * Queues an operation of a long series, such as the replay of many deliveries.
 * A transaction contains at most one of them, after all others.  The time
 * between two such transactions is at least the time that the first one takes.
 * Otherwise the same as ngx_http_trove_writer_post().
 */
void ngx_http_trove_writer_post_bulk(ngx_http_trove_write_t *write);

/*
 * Returns 1 if an event of that size, which is in memory, must be refused since
 * the events that are waiting use too much memory already; logged.  Returns 0
 * otherwise.
 */
ngx_uint_t ngx_http_trove_writer_full(size_t size);

/*
 * Returns the spool itself, which can be read in a thread, or NULL if there is
 * none.  It belongs to the writer.
 */
ngx_trove_spool_t *ngx_http_trove_writer_spool(void);

/* Returns the state of the spool.  It belongs to the writer. */
ngx_http_trove_writer_state_t *ngx_http_trove_writer_state(void);


#endif /* _NGX_HTTP_TROVE_SPOOL_WRITER_H_INCLUDED_ */
