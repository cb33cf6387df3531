
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics_format.h"
#include "ngx_http_trove_metrics_target.h"


static void ngx_http_trove_metrics_target_add(
    ngx_http_trove_metrics_target_t *target, ngx_uint_t counter, uint64_t n);
static ngx_trove_gauges_slot_t *ngx_http_trove_metrics_target_slot(
    ngx_trove_gauges_t *gauges);


/* from TRUNCATED on, these are the errors of a delivery */

static const char  *ngx_http_trove_metrics_target_outcomes[] = {
    "delivered", "3xx", "4xx", "5xx", "timeout", "no_response", "skipped",
    "truncated", "max_queue", "max_wait", "no_memory", "aborted"
};


/* "le" of Prometheus: the bounds are inclusive */

static struct {
    ngx_msec_t    ms;
    const char   *label;
} ngx_http_trove_metrics_target_parts[] = {
    { 5, "0.005" },
    { 25, "0.025" },
    { 100, "0.1" },
    { 250, "0.25" },
    { 1000, "1" },
    { 2500, "2.5" },
    { 10000, "10" },
    { 30000, "30" },
    { 60000, "60" },
    { NGX_MAX_UINT32_VALUE, "+Inf" }
};


/* of this process: the last gauges used, and its slot in them */
static ngx_trove_gauges_t       *ngx_http_trove_metrics_target_gauges;
static ngx_trove_gauges_slot_t  *ngx_http_trove_metrics_target_mine;


ngx_int_t
ngx_http_trove_metrics_target_labels(ngx_http_trove_metrics_target_t *target,
    ngx_str_t *labels, ngx_pool_t *pool)
{
    u_char  *p;

    p = ngx_pnalloc(pool, labels->len + sizeof(",target=\"\"") - 1
                          + 2 * target->name.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    target->labels.data = p;

    p = ngx_cpymem(p, labels->data, labels->len);
    p = ngx_http_trove_metrics_label_add(p, "target", &target->name, 1);

    target->labels.len = p - target->labels.data;
    target->prefix = labels->len;

    return NGX_OK;
}


void
ngx_http_trove_metrics_target_find(ngx_http_trove_metrics_target_t *target,
    ngx_trove_metrics_t *table, ngx_trove_gauges_t *gauges,
    ngx_slab_pool_t *shpool, u_char *seen, ngx_log_t *log)
{
    ngx_uint_t  index;

    target->table = table;
    target->shpool = shpool;

    target->set = ngx_trove_metrics_set(table, &target->labels);

    if (target->set == NULL) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "trove: no room for the metrics of target {%V}, too many "
                      "others were added by reloads; restart nginx to have it "
                      "counted", &target->labels);
        return;
    }

    index = ngx_trove_metrics_index(table, target->set);

    target->gauges = gauges;
    target->gauge = index * NGX_HTTP_TROVE_TARGET_GAUGES;

    target->repeated = seen[index];
    seen[index] = 1;
}


ngx_http_trove_metrics_target_t *
ngx_http_trove_metrics_target_create(ngx_http_trove_metrics_target_t *like,
    ngx_str_t *name, ngx_log_t *log)
{
    u_char                           *p;
    ngx_http_trove_metrics_target_t  *target;

    target = ngx_calloc(sizeof(ngx_http_trove_metrics_target_t)
                        + like->prefix + sizeof(",target=\"\"") - 1
                        + 2 * name->len, log);
    if (target == NULL) {
        return NULL;
    }

    p = (u_char *) (target + 1);

    target->labels.data = p;
    target->prefix = like->prefix;

    p = ngx_cpymem(p, like->labels.data, like->prefix);
    p = ngx_http_trove_metrics_label_add(p, "target", name, 1);

    target->labels.len = p - target->labels.data;

    if (like->set == NULL) {
        return target;
    }

    target->table = like->table;
    target->shpool = like->shpool;

    ngx_shmtx_lock(&target->shpool->mutex);

    target->set = ngx_trove_metrics_acquire(target->table, &target->labels,
                                            ngx_pid);

    ngx_shmtx_unlock(&target->shpool->mutex);

    if (target->set) {
        target->gauges = like->gauges;
        target->gauge = ngx_trove_metrics_index(target->table, target->set)
                        * NGX_HTTP_TROVE_TARGET_GAUGES;
    }

    return target;
}


void
ngx_http_trove_metrics_target_destroy(ngx_http_trove_metrics_target_t *target)
{
    if (target->set) {
        ngx_shmtx_lock(&target->shpool->mutex);

        ngx_trove_metrics_release(target->table, target->set, ngx_pid);

        ngx_shmtx_unlock(&target->shpool->mutex);
    }

    ngx_free(target);
}


void
ngx_http_trove_metrics_target_done(ngx_http_trove_metrics_target_t *target,
    ngx_uint_t status, const char *error, ngx_uint_t no_response)
{
    ngx_uint_t  n;

    if (error) {

        for (n = NGX_HTTP_TROVE_OUTCOME_TRUNCATED;
             n < NGX_HTTP_TROVE_OUTCOME_ABORTED;
             n++)
        {
            if (ngx_strcmp(error, ngx_http_trove_metrics_target_outcomes[n])
                == 0)
            {
                break;
            }
        }

    } else if (no_response && status == NGX_HTTP_BAD_GATEWAY) {
        n = NGX_HTTP_TROVE_OUTCOME_NO_RESPONSE;

    } else if (status == NGX_HTTP_GATEWAY_TIME_OUT) {
        n = NGX_HTTP_TROVE_OUTCOME_TIMEOUT;

    } else if (status >= NGX_HTTP_INTERNAL_SERVER_ERROR) {
        n = NGX_HTTP_TROVE_OUTCOME_5XX;

    } else if (status >= NGX_HTTP_BAD_REQUEST) {
        n = NGX_HTTP_TROVE_OUTCOME_4XX;

    } else if (status >= NGX_HTTP_SPECIAL_RESPONSE) {
        n = NGX_HTTP_TROVE_OUTCOME_3XX;

    } else if (status >= NGX_HTTP_OK) {
        n = NGX_HTTP_TROVE_OUTCOME_DELIVERED;

    } else {
        n = NGX_HTTP_TROVE_OUTCOME_ABORTED;
    }

    ngx_http_trove_metrics_target_add(target,
                                 NGX_HTTP_TROVE_TARGET_METRIC_OUTCOME + n, 1);
}


void
ngx_http_trove_metrics_target_skip(ngx_http_trove_metrics_target_t *target)
{
    ngx_http_trove_metrics_target_add(target,
                                      NGX_HTTP_TROVE_TARGET_METRIC_OUTCOME
                                      + NGX_HTTP_TROVE_OUTCOME_SKIPPED, 1);
}


void
ngx_http_trove_metrics_target_took(ngx_http_trove_metrics_target_t *target,
    ngx_msec_t ms)
{
    ngx_uint_t  n;

    for (n = 0; n < NGX_HTTP_TROVE_TARGET_SECONDS - 1; n++) {
        if (ms <= ngx_http_trove_metrics_target_parts[n].ms) {
            break;
        }
    }

    ngx_http_trove_metrics_target_add(target,
                                 NGX_HTTP_TROVE_TARGET_METRIC_SECONDS + n, 1);
    ngx_http_trove_metrics_target_add(target,
                                      NGX_HTTP_TROVE_TARGET_METRIC_SUM, ms);
}


void
ngx_http_trove_metrics_target_fail(ngx_http_trove_metrics_target_t *target)
{
    ngx_http_trove_metrics_target_add(target,
                                      NGX_HTTP_TROVE_TARGET_METRIC_FAILED, 1);
}


static void
ngx_http_trove_metrics_target_add(ngx_http_trove_metrics_target_t *target,
    ngx_uint_t counter, uint64_t n)
{
    if (target && target->set) {
        ngx_trove_metrics_add(target->set, ngx_worker, counter, n);
    }
}


void
ngx_http_trove_metrics_target_move(ngx_http_trove_metrics_target_t *target,
    ngx_uint_t from, ngx_uint_t to)
{
    ngx_trove_gauges_slot_t  *slot;

    if (target == NULL || target->gauges == NULL) {
        return;
    }

    slot = ngx_http_trove_metrics_target_slot(target->gauges);

    if (slot == NULL) {
        return;
    }

    if (from != NGX_HTTP_TROVE_TARGET_NO_GAUGE) {
        ngx_trove_gauges_down(slot, target->gauge + from);
    }

    if (to != NGX_HTTP_TROVE_TARGET_NO_GAUGE) {
        ngx_trove_gauges_up(slot, target->gauge + to);
    }
}


/*
 * The slot is claimed at the first delivery, because not every process has
 * one.  If all slots are in use, it is not claimed again.
 */

static ngx_trove_gauges_slot_t *
ngx_http_trove_metrics_target_slot(ngx_trove_gauges_t *gauges)
{
    ngx_trove_gauges_slot_t  *slot;

    slot = ngx_http_trove_metrics_target_mine;

    if (gauges != ngx_http_trove_metrics_target_gauges
        || (slot && !ngx_trove_gauges_owned(slot, ngx_pid)))
    {
        slot = ngx_trove_gauges_claim(gauges, ngx_pid);

        ngx_http_trove_metrics_target_gauges = gauges;
        ngx_http_trove_metrics_target_mine = slot;
    }

    return slot;
}


const char *
ngx_http_trove_metrics_target_outcome(ngx_uint_t outcome)
{
    return ngx_http_trove_metrics_target_outcomes[outcome];
}


const char *
ngx_http_trove_metrics_target_seconds(ngx_uint_t part)
{
    return ngx_http_trove_metrics_target_parts[part].label;
}
