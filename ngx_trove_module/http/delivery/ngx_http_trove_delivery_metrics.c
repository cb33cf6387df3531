
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_delivery_metrics.h"
#include "ngx_http_trove_metrics.h"
#include "ngx_http_trove_metrics_text.h"


/* the longest line without its labels: name, one extra label, and value */
#define NGX_HTTP_TROVE_DELIVERY_LINE                                          \
    (sizeof("trove_delivery_seconds_bucket{,outcome=\"max_queue\"} .123\n")   \
     + NGX_INT64_LEN)

/* lines of a target: histogram with its sum and count; configured or not */
#define NGX_HTTP_TROVE_DELIVERY_LINES                                         \
    (NGX_HTTP_TROVE_OUTCOMES + NGX_HTTP_TROVE_TARGET_GAUGES                   \
     + NGX_HTTP_TROVE_TARGET_SECONDS + 3)


/* families common to all targets */
#define NGX_HTTP_TROVE_DELIVERY_FAMILIES  5


/* the gauges of all targets, as sums over all processes */
typedef struct {
    uint64_t  *gauges;             /* NULL: none */
} ngx_http_trove_delivery_metrics_t;


/* writes the lines of one target */
typedef void (*ngx_http_trove_delivery_lines_pt)(
    ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target, uint64_t *gauges);


static void *ngx_http_trove_delivery_metrics_collect(
    ngx_http_trove_metrics_text_t *text, ngx_pool_t *pool, void *conf);
static size_t ngx_http_trove_delivery_metrics_size(
    ngx_http_trove_metrics_text_t *text, void *data);
static void ngx_http_trove_delivery_metrics_targets(
    ngx_http_trove_metrics_text_t *text, void *data);
static void ngx_http_trove_delivery_metrics_render(
    ngx_http_trove_metrics_text_t *text, void *data);
static void ngx_http_trove_delivery_each(ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_delivery_lines_pt handler, void *data);
static void ngx_http_trove_delivery_configured(
    ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target, uint64_t *gauges);
static void ngx_http_trove_delivery_outcomes(
    ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target, uint64_t *gauges);
static void ngx_http_trove_delivery_inflight(
    ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target, uint64_t *gauges);
static void ngx_http_trove_delivery_waiting(
    ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target, uint64_t *gauges);
static void ngx_http_trove_delivery_seconds(
    ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target, uint64_t *gauges);


static ngx_http_trove_metrics_collector_t  ngx_http_trove_delivery_collector = {
    ngx_http_trove_delivery_metrics_collect,
    ngx_http_trove_delivery_metrics_size,
    {
        { NGX_HTTP_TROVE_METRICS_TARGETS,
          ngx_http_trove_delivery_metrics_targets },
        { NGX_HTTP_TROVE_METRICS_DELIVERIES,
          ngx_http_trove_delivery_metrics_render }
    }
};


ngx_int_t
ngx_http_trove_delivery_metrics_init(ngx_conf_t *cf)
{
    return ngx_http_trove_metrics_collector_add(cf,
                                          &ngx_http_trove_delivery_collector,
                                          NULL);
}


static void *
ngx_http_trove_delivery_metrics_collect(ngx_http_trove_metrics_text_t *text,
    ngx_pool_t *pool, void *conf)
{
    ngx_uint_t                          i, n;
    ngx_trove_gauges_t                 *gauges;
    ngx_http_trove_delivery_metrics_t  *metrics;

    metrics = ngx_pcalloc(pool, sizeof(ngx_http_trove_delivery_metrics_t));
    if (metrics == NULL) {
        return NULL;
    }

    for (i = 0; i < text->nlocs; i++) {

        for (n = 0; n < text->locs[i].ntargets; n++) {
            gauges = text->locs[i].targets[n].gauges;

            if (gauges == NULL) {
                continue;
            }

            /* all targets have the same gauges */

            metrics->gauges = ngx_palloc(pool, ngx_trove_gauges_count(gauges)
                                               * sizeof(uint64_t));
            if (metrics->gauges == NULL) {
                return NULL;
            }

            ngx_trove_gauges_sum(gauges, metrics->gauges);

            return metrics;
        }
    }

    return metrics;
}


static size_t
ngx_http_trove_delivery_metrics_size(ngx_http_trove_metrics_text_t *text,
    void *data)
{
    size_t                            size;
    ngx_uint_t                        i, n;
    ngx_http_trove_metrics_target_t  *target;

    size = NGX_HTTP_TROVE_DELIVERY_FAMILIES * NGX_HTTP_TROVE_METRICS_HEAD;

    for (i = 0; i < text->nlocs; i++) {
        target = text->locs[i].targets;

        for (n = 0; n < text->locs[i].ntargets; n++) {
            size += NGX_HTTP_TROVE_DELIVERY_LINES
                    * (NGX_HTTP_TROVE_DELIVERY_LINE + target[n].labels.len);
        }
    }

    return size;
}


static void
ngx_http_trove_delivery_metrics_targets(ngx_http_trove_metrics_text_t *text,
    void *data)
{
    ngx_http_trove_metrics_head(text, "trove_target_configured", "gauge",
                                "Whether the target is configured; the spool "
                                "may have others.");
    ngx_http_trove_delivery_each(text, ngx_http_trove_delivery_configured,
                                 data);
}


static void
ngx_http_trove_delivery_metrics_render(ngx_http_trove_metrics_text_t *text,
    void *data)
{
    ngx_http_trove_metrics_head(text, "trove_deliveries_total", "counter",
                                "Deliveries to a target, by outcome.");
    ngx_http_trove_delivery_each(text, ngx_http_trove_delivery_outcomes, data);

    ngx_http_trove_metrics_head(text, "trove_deliveries_inflight", "gauge",
                                "Deliveries waiting for the response.");
    ngx_http_trove_delivery_each(text, ngx_http_trove_delivery_inflight, data);

    ngx_http_trove_metrics_head(text, "trove_deliveries_waiting", "gauge",
                                "Deliveries waiting in the queue.");
    ngx_http_trove_delivery_each(text, ngx_http_trove_delivery_waiting, data);

    ngx_http_trove_metrics_head(text, "trove_delivery_seconds", "histogram",
                                "Duration of deliveries.");
    ngx_http_trove_delivery_each(text, ngx_http_trove_delivery_seconds, data);
}


static void
ngx_http_trove_delivery_each(ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_delivery_lines_pt handler, void *data)
{
    ngx_http_trove_delivery_metrics_t *metrics = data;

    ngx_uint_t                        i, n;
    ngx_http_trove_metrics_target_t  *target;

    for (i = 0; i < text->nlocs; i++) {
        target = text->locs[i].targets;

        for (n = 0; n < text->locs[i].ntargets; n++) {
            if (target[n].set && !target[n].repeated) {
                handler(text, &target[n], metrics->gauges);
            }
        }
    }
}


static void
ngx_http_trove_delivery_configured(ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target, uint64_t *gauges)
{
    text->p = ngx_slprintf(text->p, text->last,
                           "trove_target_configured{%V} 1\n",
                           &target->labels);
}


static void
ngx_http_trove_delivery_outcomes(ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target, uint64_t *gauges)
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
ngx_http_trove_delivery_inflight(ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target, uint64_t *gauges)
{
    text->p = ngx_slprintf(text->p, text->last,
                           "trove_deliveries_inflight{%V} %uL\n",
                           &target->labels,
                           gauges[target->gauge
                                  + NGX_HTTP_TROVE_TARGET_INFLIGHT]);
}


static void
ngx_http_trove_delivery_waiting(ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target, uint64_t *gauges)
{
    text->p = ngx_slprintf(text->p, text->last,
                           "trove_deliveries_waiting{%V} %uL\n",
                           &target->labels,
                           gauges[target->gauge
                                  + NGX_HTTP_TROVE_TARGET_WAITING]);
}


/* buckets are cumulative; the last one must be equal to the count */

static void
ngx_http_trove_delivery_seconds(ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_target_t *target, uint64_t *gauges)
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
