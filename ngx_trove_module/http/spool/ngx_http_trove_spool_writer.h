
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SPOOL_WRITER_H_INCLUDED_
#define _NGX_HTTP_TROVE_SPOOL_WRITER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_spool_query.h"


/*
 * What this worker writes into the spool: one transaction at a time, in a
 * thread, and in the next one all that has come meanwhile.
 *
 *   idle --post--> queued --the thread is free--> being written --> handler
 */

typedef struct ngx_http_trove_write_s  ngx_http_trove_write_t;

typedef void (*ngx_http_trove_write_pt)(ngx_http_trove_write_t *write);

struct ngx_http_trove_write_s {
    ngx_trove_spool_op_t        op;          /* the first member */
    ngx_http_trove_write_pt     handler;     /* in the event loop; op.result */
    void                       *data;
};


/* what is known of the spool, as of a few seconds ago */
typedef struct {
    ngx_trove_spool_stat_t     *stat;        /* NULL: nothing yet */
    ngx_trove_spool_error_e     error;       /* of the last write; 0: none */
} ngx_http_trove_writer_state_t;


/*
 * Starts the writer of a worker: makes the file, if it is not there, before the
 * first event comes.
 *
 * NGX_OK
 * NGX_ERROR  logged
 */
ngx_int_t ngx_http_trove_writer_init(ngx_cycle_t *cycle,
    ngx_trove_spool_conf_t *conf);

/* Whether there is one, and whether it works, as far as this worker knows. */
ngx_uint_t ngx_http_trove_writer_ready(void);
ngx_uint_t ngx_http_trove_writer_up(void);

/*
 * Queues what write->op says.  It, and all it points to, must live until the
 * handler is called, which always happens, but for the end of the process.
 */
void ngx_http_trove_writer_post(ngx_http_trove_write_t *write);

/* The spool itself, for who reads it in a thread; NULL: there is none. */
ngx_trove_spool_t *ngx_http_trove_writer_spool(void);

ngx_http_trove_writer_state_t *ngx_http_trove_writer_state(void);


#endif /* _NGX_HTTP_TROVE_SPOOL_WRITER_H_INCLUDED_ */
