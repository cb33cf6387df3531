
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_trove_spool_log.h"


/* the minimum intervals between lines of the same kind, milliseconds */
#define NGX_HTTP_TROVE_SPOOL_LOG        10000
#define NGX_HTTP_TROVE_SPOOL_LOG_EARLY  60000


static ngx_uint_t ngx_http_trove_spool_log_recently(ngx_msec_t logged,
    ngx_msec_t interval);
static ngx_msec_t ngx_http_trove_spool_log_now(void);


void
ngx_http_trove_spool_log_error(ngx_http_trove_spool_log_t *l,
    ngx_trove_spool_error_t *error, ngx_trove_spool_stat_t *stat)
{
    uint64_t  *states;

    if (l->error == error->kind
        && ngx_http_trove_spool_log_recently(l->failed,
                                             NGX_HTTP_TROVE_SPOOL_LOG))
    {
        l->repeated++;
        return;
    }

    ngx_log_error(NGX_LOG_CRIT, l->log, error->err,
                  "trove: spool \"%V\" failed: %s; %s", &l->uri, error->text,
                  ngx_trove_spool_remedy(l->spool, error->kind));

    if (error->kind == NGX_TROVE_SPOOL_FULL && stat) {
        states = stat->states;

        ngx_log_error(NGX_LOG_CRIT, l->log, 0,
                      "trove: the full spool contains %uL pending deliveries, "
                      "and %uL that have ended",
                      states[NGX_TROVE_SPOOL_NEW]
                      + states[NGX_TROVE_SPOOL_RETRY]
                      + states[NGX_TROVE_SPOOL_LEASED],
                      states[NGX_TROVE_SPOOL_DELIVERED]
                      + states[NGX_TROVE_SPOOL_FAILED]
                      + states[NGX_TROVE_SPOOL_CANCELLED]);
    }

    if (l->repeated) {
        ngx_log_error(NGX_LOG_CRIT, l->log, 0,
                      "trove: the spool failed %ui more times since last "
                      "logged", l->repeated);
    }

    l->error = error->kind;
    l->failed = ngx_http_trove_spool_log_now();
    l->repeated = 0;
}


void
ngx_http_trove_spool_log_recovered(ngx_http_trove_spool_log_t *l)
{
    ngx_log_error(NGX_LOG_ERR, l->log, 0,
                  "trove: spool \"%V\" recovered", &l->uri);

    l->error = 0;
    l->failed = 0;
}


void
ngx_http_trove_spool_log_refused(ngx_http_trove_spool_log_t *l,
    size_t waiting)
{
    if (ngx_http_trove_spool_log_recently(l->refused,
                                          NGX_HTTP_TROVE_SPOOL_LOG))
    {
        return;
    }

    ngx_log_error(NGX_LOG_CRIT, l->log, 0,
                  "trove: events are refused while %uz bytes of events are "
                  "waiting for spool \"%V\"", waiting, &l->uri);

    l->refused = ngx_http_trove_spool_log_now();
}


void
ngx_http_trove_spool_log_early(ngx_http_trove_spool_log_t *l, ngx_uint_t n)
{
    l->early += n;

    if (ngx_http_trove_spool_log_recently(l->removed,
                                          NGX_HTTP_TROVE_SPOOL_LOG_EARLY))
    {
        return;
    }

    ngx_log_error(NGX_LOG_WARN, l->log, 0,
                  "trove: spool \"%V\" has almost reached its \"max_size\", "
                  "%ui events that had ended were removed before the end of "
                  "\"retention\" since last logged", &l->uri, l->early);

    l->removed = ngx_http_trove_spool_log_now();
    l->early = 0;
}


static ngx_uint_t
ngx_http_trove_spool_log_recently(ngx_msec_t logged, ngx_msec_t interval)
{
    return logged && ngx_current_msec - logged < interval;
}


/* 0 stands for "never" */

static ngx_msec_t
ngx_http_trove_spool_log_now(void)
{
    return ngx_current_msec ? ngx_current_msec : 1;
}
