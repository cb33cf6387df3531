
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_FOLLOW_JOB_H_INCLUDED_
#define _NGX_HTTP_TROVE_FOLLOW_JOB_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_trove_follow.h"


/* What the thread of the follower does.  Private to this folder. */

typedef struct {
    ngx_trove_spool_t              *spool;
    ngx_http_trove_follow_t        *follow;    /* its turn; NULL: a round */
    ngx_trove_spool_filter_t       *filter;
    int64_t                         after;     /* -1: no events */
    int64_t                         received;  /* after is to be found */
    ngx_uint_t                      seek;
    ngx_uint_t                      limit;
    size_t                          bytes;

    /* the result */
    ngx_int_t                       rc;
    int64_t                         next;
    int64_t                         last;
    int64_t                         broken;    /* an event; 0: none */
    ngx_http_trove_stream_event_t  *events;
    ngx_trove_spool_error_t         error;
} ngx_http_trove_follow_job_t;


/* Handler of the task, whose ctx is a job.  It uses the job and the spool. */
void ngx_http_trove_follow_job_thread(void *data, ngx_log_t *log);

/* Logs the errors of a job, the first one only until a job has no error. */
void ngx_http_trove_follow_job_log(ngx_http_trove_follow_job_t *job);


#endif /* _NGX_HTTP_TROVE_FOLLOW_JOB_H_INCLUDED_ */
