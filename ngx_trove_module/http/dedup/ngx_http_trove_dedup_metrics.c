
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_clock.h"
#include "ngx_http_trove_ctx.h"
#include "ngx_http_trove_dedup_metrics.h"
#include "ngx_http_trove_dedup_zone.h"
#include "ngx_http_trove_metrics.h"
#include "ngx_http_trove_metrics_text.h"


#define NGX_HTTP_TROVE_DEDUP_LINES  6      /* of a location */


/* the zones, and what is in each of them */
typedef struct {
    ngx_array_t                   *zones;      /* ngx_shm_zone_t * */
    ngx_trove_zone_stat_t         *stats;
} ngx_http_trove_dedup_metrics_t;


/* a line of each zone; families without "help" are that of the line before */
typedef struct {
    const char                    *name;
    const char                    *type;
    const char                    *help;
    const char                    *state;      /* a label; or NULL */
    size_t                         offset;     /* in ngx_trove_zone_stat_t */
} ngx_http_trove_dedup_line_t;


static void *ngx_http_trove_dedup_metrics_collect(
    ngx_http_trove_metrics_text_t *text, ngx_pool_t *pool, void *conf);
static size_t ngx_http_trove_dedup_metrics_size(
    ngx_http_trove_metrics_text_t *text, void *data);
static void ngx_http_trove_dedup_metrics_locs(
    ngx_http_trove_metrics_text_t *text, void *data);
static void ngx_http_trove_dedup_metrics_zones(
    ngx_http_trove_metrics_text_t *text, void *data);


static ngx_http_trove_metrics_label_t  ngx_http_trove_dedup_outcomes[] = {
    { "new", NGX_HTTP_TROVE_METRIC_DEDUP
             + NGX_HTTP_TROVE_DEDUP_NEW },
    { "duplicate", NGX_HTTP_TROVE_METRIC_DEDUP
                   + NGX_HTTP_TROVE_DEDUP_DUPLICATE },
    { "inflight", NGX_HTTP_TROVE_METRIC_DEDUP
                  + NGX_HTTP_TROVE_DEDUP_INFLIGHT },
    { "zone_full", NGX_HTTP_TROVE_METRIC_DEDUP
                   + NGX_HTTP_TROVE_DEDUP_FULL },
    { "completed", NGX_HTTP_TROVE_METRIC_COMPLETED },
    { "released", NGX_HTTP_TROVE_METRIC_RELEASED },
    { NULL, 0 }
};


static ngx_http_trove_dedup_line_t  ngx_http_trove_dedup_lines[] = {

    { "trove_zone_slots", "gauge", "Capacity of the zone in events.",
      NULL, offsetof(ngx_trove_zone_stat_t, slots) },

    { "trove_zone_used", "gauge", "Events in the zone, by state.",
      "inflight", offsetof(ngx_trove_zone_stat_t, inflight) },

    { "trove_zone_used", NULL, NULL,
      "done", offsetof(ngx_trove_zone_stat_t, done) },

    { "trove_zone_acks", "gauge",
      "Acks of targets for events that other targets are still missing.",
      NULL, offsetof(ngx_trove_zone_stat_t, acked) },

    { "trove_zone_acks_dropped_total", "counter",
      "Acknowledgements dropped for want of room.",
      NULL, offsetof(ngx_trove_zone_stat_t, dropped) },

    { "trove_zone_evictions_total", "counter",
      "Events evicted before their ttl: the zone is too small.",
      NULL, offsetof(ngx_trove_zone_stat_t, evicted) },

    { "trove_zone_full_total", "counter", "Claims refused because the zone was "
                                          "full.",
      NULL, offsetof(ngx_trove_zone_stat_t, full) },

    { "trove_zone_takeovers_total", "counter",
      "Claims whose lease expired: a worker died.",
      NULL, offsetof(ngx_trove_zone_stat_t, takeovers) },

    { "trove_zone_recovered_locks_total", "counter",
      "Locks left by killed workers.",
      NULL, offsetof(ngx_trove_zone_stat_t, recovered) }
};


#define NGX_HTTP_TROVE_DEDUP_ZONE_LINES                                       \
    (sizeof(ngx_http_trove_dedup_lines) / sizeof(ngx_http_trove_dedup_line_t))


static ngx_http_trove_metrics_collector_t  ngx_http_trove_dedup_collector = {
    ngx_http_trove_dedup_metrics_collect,
    ngx_http_trove_dedup_metrics_size,
    {
        { NGX_HTTP_TROVE_METRICS_DEDUP, ngx_http_trove_dedup_metrics_locs },
        { NGX_HTTP_TROVE_METRICS_ZONES, ngx_http_trove_dedup_metrics_zones }
    }
};


ngx_int_t
ngx_http_trove_dedup_metrics_init(ngx_conf_t *cf)
{
    return ngx_http_trove_metrics_collector_add(cf,
                                             &ngx_http_trove_dedup_collector,
                                             NULL);
}


static void *
ngx_http_trove_dedup_metrics_collect(ngx_http_trove_metrics_text_t *text,
    ngx_pool_t *pool, void *conf)
{
    ngx_uint_t                       i;
    ngx_shm_zone_t                 **zone;
    ngx_trove_zone_now_t             now;
    ngx_http_trove_dedup_metrics_t  *metrics;

    metrics = ngx_palloc(pool, sizeof(ngx_http_trove_dedup_metrics_t));
    if (metrics == NULL) {
        return NULL;
    }

    metrics->zones = ngx_http_trove_dedup_zones(pool);
    if (metrics->zones == NULL) {
        return NULL;
    }

    metrics->stats = ngx_palloc(pool, (metrics->zones->nelts + 1)
                                      * sizeof(ngx_trove_zone_stat_t));
    if (metrics->stats == NULL) {
        return NULL;
    }

    ngx_http_trove_clock_zone(&now);

    zone = metrics->zones->elts;

    for (i = 0; i < metrics->zones->nelts; i++) {
        ngx_trove_table_stat(ngx_http_trove_dedup_zone_table(zone[i]), &now,
                             &metrics->stats[i]);
    }

    return metrics;
}


static size_t
ngx_http_trove_dedup_metrics_size(ngx_http_trove_metrics_text_t *text,
    void *data)
{
    ngx_http_trove_dedup_metrics_t *metrics = data;

    size_t            size;
    ngx_uint_t        i;
    ngx_shm_zone_t  **zone;

    size = (1 + NGX_HTTP_TROVE_DEDUP_ZONE_LINES) * NGX_HTTP_TROVE_METRICS_HEAD
           + ngx_http_trove_metrics_locs_size(text, NGX_HTTP_TROVE_DEDUP_LINES);

    zone = metrics->zones->elts;

    /* escaping at most doubles a value */

    for (i = 0; i < metrics->zones->nelts; i++) {
        size += NGX_HTTP_TROVE_DEDUP_ZONE_LINES
                * (NGX_HTTP_TROVE_METRICS_LINE + 2 * zone[i]->shm.name.len);
    }

    return size;
}


static void
ngx_http_trove_dedup_metrics_locs(ngx_http_trove_metrics_text_t *text,
    void *data)
{
    ngx_http_trove_metrics_head(text, "trove_dedup_total", "counter",
                                "Events by outcome of the deduplication.");
    ngx_http_trove_metrics_locs(text, "trove_dedup_total", "outcome",
                                ngx_http_trove_dedup_outcomes, 0);
}


static void
ngx_http_trove_dedup_metrics_zones(ngx_http_trove_metrics_text_t *text,
    void *data)
{
    ngx_http_trove_dedup_metrics_t *metrics = data;

    ngx_uint_t                     i, n;
    ngx_shm_zone_t               **zone;
    ngx_http_trove_dedup_line_t   *line;

    zone = metrics->zones->elts;

    for (n = 0; n < NGX_HTTP_TROVE_DEDUP_ZONE_LINES; n++) {
        line = &ngx_http_trove_dedup_lines[n];

        if (line->help) {
            ngx_http_trove_metrics_head(text, line->name, line->type,
                                        line->help);
        }

        for (i = 0; i < metrics->zones->nelts; i++) {
            text->p = ngx_slprintf(text->p, text->last, "%s{", line->name);
            text->p = ngx_http_trove_metrics_label_add(text->p, "zone",
                                                       &zone[i]->shm.name, 0);

            if (line->state) {
                text->p = ngx_slprintf(text->p, text->last, ",state=\"%s\"",
                                       line->state);
            }

            text->p = ngx_slprintf(text->p, text->last, "} %uL\n",
                                   *(uint64_t *) ((u_char *) &metrics->stats[i]
                                                  + line->offset));
        }
    }
}
