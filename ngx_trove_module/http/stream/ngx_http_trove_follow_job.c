
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_trove_follow_job.h"


static ngx_int_t ngx_http_trove_follow_job_read(
    ngx_http_trove_follow_job_t *job);
static ngx_int_t ngx_http_trove_follow_job_events(
    ngx_http_trove_follow_job_t *job, ngx_trove_spool_follow_t *page);


/* of this process: an error has been logged */
static ngx_uint_t  ngx_http_trove_follow_job_logged;


void
ngx_http_trove_follow_job_thread(void *data, ngx_log_t *log)
{
    ngx_http_trove_follow_job_t *job = data;

    job->rc = ngx_http_trove_follow_job_read(job);

    if (job->rc != NGX_OK) {
        ngx_http_trove_stream_event_free_list(job->events);
        job->events = NULL;
    }
}


static ngx_int_t
ngx_http_trove_follow_job_read(ngx_http_trove_follow_job_t *job)
{
    ngx_int_t                  rc;
    ngx_trove_spool_follow_t  *page;

    if (job->seek) {
        job->after = ngx_trove_spool_seek(job->spool, job->received,
                                          &job->error);
        if (job->after == -1) {
            return NGX_ERROR;
        }
    }

    if (job->after == -1) {
        job->last = ngx_trove_spool_last(job->spool, &job->error);
        job->next = job->last;

        return (job->last == -1) ? NGX_ERROR : NGX_OK;
    }

    page = ngx_trove_spool_follow(job->spool, job->filter, job->after,
                                  job->limit, job->bytes, &job->error);
    if (page == NULL) {
        return NGX_ERROR;
    }

    job->next = page->next;
    job->last = page->last;

    rc = ngx_http_trove_follow_job_events(job, page);

    ngx_trove_spool_free(page);

    return rc;
}


static ngx_int_t
ngx_http_trove_follow_job_events(ngx_http_trove_follow_job_t *job,
    ngx_trove_spool_follow_t *page)
{
    ngx_int_t                        rc;
    ngx_uint_t                       i;
    ngx_http_trove_stream_event_t  **last;

    last = &job->events;

    for (i = 0; i < page->n; i++) {

        rc = ngx_http_trove_stream_event_create(&page->events[i], last);

        if (rc == NGX_DECLINED) {
            job->broken = page->events[i].number;
            continue;
        }

        if (rc != NGX_OK) {
            job->error.kind = NGX_TROVE_SPOOL_MEMORY;
            (void) ngx_cpystrn(job->error.text, (u_char *) "out of memory",
                               NGX_TROVE_SPOOL_TEXT_LEN);
            return NGX_ERROR;
        }

        last = &(*last)->next;
    }

    return NGX_OK;
}


void
ngx_http_trove_follow_job_log(ngx_http_trove_follow_job_t *job)
{
    if (job->rc != NGX_OK) {

        if (!ngx_http_trove_follow_job_logged) {
            ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, job->error.err,
                          "trove: streams cannot read the spool: %s",
                          job->error.text);
        }

        ngx_http_trove_follow_job_logged = 1;
        return;
    }

    ngx_http_trove_follow_job_logged = 0;

    if (job->broken) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "trove: event number %L is not sent to streams: it is "
                      "not a JSON object", job->broken);
    }
}
