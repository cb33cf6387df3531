
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SPOOL_LOG_H_INCLUDED_
#define _NGX_HTTP_TROVE_SPOOL_LOG_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_spool_query.h"


/*
 * The log lines of a spool in a worker.  A line that could be repeated by each
 * operation is logged at intervals only.
 */

typedef struct {
    ngx_log_t                *log;
    ngx_str_t                 uri;
    ngx_trove_spool_t        *spool;

    ngx_trove_spool_error_e   error;         /* the last one; 0: none */
    ngx_msec_t                failed;        /* when it was logged; 0: never */
    ngx_uint_t                repeated;      /* errors not logged since */

    ngx_msec_t                refused;       /* when that was logged */

    ngx_msec_t                removed;       /* likewise */
    ngx_uint_t                early;         /* events removed since */
} ngx_http_trove_spool_log_t;


/* Logs an error.  stat is the state of the spool, or NULL if not known. */
void ngx_http_trove_spool_log_error(ngx_http_trove_spool_log_t *l,
    ngx_trove_spool_error_t *error, ngx_trove_spool_stat_t *stat);

/* Logs that the error has ended. */
void ngx_http_trove_spool_log_recovered(ngx_http_trove_spool_log_t *l);

/* Logs that an event is refused, because so many bytes are waiting. */
void ngx_http_trove_spool_log_refused(ngx_http_trove_spool_log_t *l,
    size_t waiting);

/*
 * Logs that n events that had ended were removed before the end of the
 * retention.
 */
void ngx_http_trove_spool_log_early(ngx_http_trove_spool_log_t *l,
    ngx_uint_t n);


#endif /* _NGX_HTTP_TROVE_SPOOL_LOG_H_INCLUDED_ */
