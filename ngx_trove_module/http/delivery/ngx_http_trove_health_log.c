
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_health_log.h"
#include "ngx_http_trove_module.h"


static uint64_t ngx_http_trove_health_now(void);


/* never 0, which means "not set" */

static uint64_t
ngx_http_trove_health_now(void)
{
    return (uint64_t) ngx_current_msec + 1;
}


void
ngx_http_trove_health_target(ngx_http_trove_delivery_t *d, ngx_str_t *id)
{
    char                     *action;
    uint64_t                  now, time, failures;
    ngx_log_t                *log;
    ngx_http_trove_target_t  *target;

    target = d->target;
    log = d->log;
    now = ngx_http_trove_health_now();

    if (d->error && (ngx_strcmp(d->error, "no_memory") == 0
                     || ngx_strcmp(d->error, "no_connection") == 0))
    {
        /* a delivery that was not created says nothing about the target */

        return;
    }

    if (ngx_http_trove_delivery_succeeded(d)) {

        if (!ngx_trove_health_works(target->health, now, &time, &failures)) {
            return;
        }

        action = ngx_http_trove_health_action(log);

        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "trove: %starget \"%V\" of location \"%V\" recovered "
                      "after %uL s and %uL failures",
                      target->optional ? "optional " : "", &target->name,
                      &target->location, time / 1000, failures);

        log->action = action;
        return;
    }

    if (!ngx_trove_health_failed(target->health, now)) {
        return;
    }

    action = ngx_http_trove_health_action(log);

    ngx_log_error(NGX_LOG_ERR, log, 0,
                  "trove: %starget \"%V\" of location \"%V\" is failing: "
                  "%ui%s%s, first failed event \"%V\"; not logged at this "
                  "level again until it recovers",
                  target->optional ? "optional " : "", &target->name,
                  &target->location, d->status, d->error ? " " : "",
                  d->error ? d->error : "", id);

    log->action = action;
}


void
ngx_http_trove_health_unmatched(ngx_http_request_t *r, ngx_str_t *id)
{
    uint64_t                    n;
    ngx_log_t                  *log;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_trove_loc_conf_t  *tlcf;

    log = r->connection->log;
    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_trove_module);

    n = ngx_trove_health_happened(tlcf->health, ngx_http_trove_health_now());

    if (n == 0) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "trove: event \"%V\" matches no target", id);
        return;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    ngx_log_error(NGX_LOG_ERR, log, 0,
                  "trove: event \"%V\" matches no target of location \"%V\", "
                  "%uL unmatched since last logged",
                  id, &clcf->name, n);
}


char *
ngx_http_trove_health_action(ngx_log_t *log)
{
    char  *action;

    action = log->action;
    log->action = NULL;

    return action;
}
