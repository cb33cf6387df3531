
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics_text.h"
#include "ngx_http_trove_spool_metrics.h"


/* the longest line without its labels: name, one more label, number */
#define NGX_HTTP_TROVE_METRICS_TARGET_LINE                                    \
    (sizeof("trove_delivery_seconds_bucket{,outcome=\"max_queue\"} .123\n")   \
     + NGX_INT64_LEN)

/*
 * lines of a target: the histogram has a sum and a count as well; whether it is
 * configured, and what failed for good
 */
#define NGX_HTTP_TROVE_METRICS_TARGET_LINES                                   \
    (NGX_HTTP_TROVE_OUTCOMES + NGX_HTTP_TROVE_TARGET_GAUGES                   \
     + NGX_HTTP_TROVE_TARGET_SECONDS + 4)


/* writes the lines of one target */
typedef void (*ngx_http_trove_metrics_target_pt)(
    ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target);


static void ngx_http_trove_metrics_targets_each(
    ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_pt handler);
static void ngx_http_trove_metrics_target_configured(
    ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target);
static void ngx_http_trove_metrics_target_deliveries(
    ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target);
static void ngx_http_trove_metrics_target_inflight(
    ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target);
static void ngx_http_trove_metrics_target_waiting(
    ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target);
static void ngx_http_trove_metrics_target_gauge(
    ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target, const char *name,
    ngx_uint_t gauge);
static void ngx_http_trove_metrics_target_histogram(
    ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target);


ngx_int_t
ngx_http_trove_metrics_targets_sum(ngx_http_trove_metrics_text_t *text,
    ngx_pool_t *pool)
{
    ngx_uint_t           i, n;
    ngx_trove_gauges_t  *gauges;

    text->gauges = NULL;

    for (i = 0; i < text->nlocs; i++) {

        for (n = 0; n < text->locs[i].ntargets; n++) {
            gauges = text->locs[i].targets[n].gauges;

            if (gauges == NULL) {
                continue;
            }

            /* all have the same */

            text->gauges = ngx_palloc(pool, ngx_trove_gauges_count(gauges)
                                            * sizeof(uint64_t));
            if (text->gauges == NULL) {
                return NGX_ERROR;
            }

            ngx_trove_gauges_sum(gauges, text->gauges);

            return NGX_OK;
        }
    }

    return NGX_OK;
}


size_t
ngx_http_trove_metrics_targets_size(ngx_http_trove_metrics_text_t *text)
{
    size_t                            size;
    ngx_uint_t                        i, n;
    ngx_http_trove_metrics_target_t  *target;

    size = 0;

    for (i = 0; i < text->nlocs; i++) {
        target = text->locs[i].targets;

        for (n = 0; n < text->locs[i].ntargets; n++) {
            size += NGX_HTTP_TROVE_METRICS_TARGET_LINES
                    * (NGX_HTTP_TROVE_METRICS_TARGET_LINE
                       + target[n].labels.len);
        }
    }

    return size;
}


void
ngx_http_trove_metrics_targets(ngx_http_trove_metrics_text_t *text)
{
    ngx_http_trove_metrics_head(text, "trove_target_configured", "gauge",
                                "Whether the configuration has the target; "
                                "the spool may have others.");
    ngx_http_trove_metrics_targets_each(text,
                                     ngx_http_trove_metrics_target_configured);
    ngx_http_trove_metrics_spool_left(text, "trove_target_configured");

    ngx_http_trove_metrics_head(text, "trove_deliveries_total", "counter",
                                "Deliveries to a target, by outcome.");
    ngx_http_trove_metrics_targets_each(text,
                                     ngx_http_trove_metrics_target_deliveries);

    ngx_http_trove_metrics_head(text, "trove_deliveries_inflight", "gauge",
                                "Deliveries that wait for the answer.");
    ngx_http_trove_metrics_targets_each(text,
                                       ngx_http_trove_metrics_target_inflight);

    ngx_http_trove_metrics_head(text, "trove_deliveries_waiting", "gauge",
                                "Deliveries that wait for their turn.");
    ngx_http_trove_metrics_targets_each(text,
                                        ngx_http_trove_metrics_target_waiting);

    ngx_http_trove_metrics_head(text, "trove_delivery_seconds", "histogram",
                                "How long deliveries were in flight.");
    ngx_http_trove_metrics_targets_each(text,
                                      ngx_http_trove_metrics_target_histogram);
}


static void
ngx_http_trove_metrics_targets_each(ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_pt handler)
{
    ngx_uint_t                        i, n;
    ngx_http_trove_metrics_target_t  *target;

    for (i = 0; i < text->nlocs; i++) {
        target = text->locs[i].targets;

        for (n = 0; n < text->locs[i].ntargets; n++) {
            if (target[n].set && !target[n].repeated) {
                handler(text, &target[n]);
            }
        }
    }
}


static void
ngx_http_trove_metrics_target_configured(ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target)
{
    text->p = ngx_slprintf(text->p, text->last,
                           "trove_target_configured{%V} 1\n",
                           &target->labels);
}


static void
ngx_http_trove_metrics_target_deliveries(ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_TROVE_OUTCOMES; i++) {
        text->p = ngx_slprintf(text->p, text->last,
                           "trove_deliveries_total{%V,outcome=\"%s\"} %uL\n",
                           &target->labels,
                           ngx_http_trove_metrics_target_outcome(i),
                           ngx_trove_metrics_sum(target->set,
                               NGX_HTTP_TROVE_TARGET_METRIC_OUTCOME + i));
    }
}


static void
ngx_http_trove_metrics_target_inflight(ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target)
{
    ngx_http_trove_metrics_target_gauge(text, target,
                                        "trove_deliveries_inflight",
                                        NGX_HTTP_TROVE_TARGET_INFLIGHT);
}


static void
ngx_http_trove_metrics_target_waiting(ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target)
{
    ngx_http_trove_metrics_target_gauge(text, target,
                                        "trove_deliveries_waiting",
                                        NGX_HTTP_TROVE_TARGET_WAITING);
}


static void
ngx_http_trove_metrics_target_gauge(ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target, const char *name,
    ngx_uint_t gauge)
{
    text->p = ngx_slprintf(text->p, text->last, "%s{%V} %uL\n", name,
                           &target->labels,
                           text->gauges[target->gauge + gauge]);
}


/* each part includes those before; the last is what the count has to be */

static void
ngx_http_trove_metrics_target_histogram(ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target)
{
    uint64_t    n, ms;
    ngx_uint_t  i;

    n = 0;
    ms = ngx_trove_metrics_sum(target->set, NGX_HTTP_TROVE_TARGET_METRIC_SUM);

    for (i = 0; i < NGX_HTTP_TROVE_TARGET_SECONDS; i++) {
        n += ngx_trove_metrics_sum(target->set,
                                   NGX_HTTP_TROVE_TARGET_METRIC_SECONDS + i);

        text->p = ngx_slprintf(text->p, text->last,
                               "trove_delivery_seconds_bucket{%V,le=\"%s\"} "
                               "%uL\n", &target->labels,
                               ngx_http_trove_metrics_target_seconds(i), n);
    }

    text->p = ngx_slprintf(text->p, text->last,
                           "trove_delivery_seconds_sum{%V} %uL.%03uL\n"
                           "trove_delivery_seconds_count{%V} %uL\n",
                           &target->labels, ms / 1000, ms % 1000,
                           &target->labels, n);
}
