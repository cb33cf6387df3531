
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_clock.h"
#include "ngx_http_trove_dedup_zone.h"
#include "ngx_http_trove_metrics.h"
#include "ngx_http_trove_metrics_label.h"
#include "ngx_http_trove_metrics_text.h"
#include "ngx_http_trove_module.h"
#include "ngx_http_trove_spool.h"
#include "ngx_http_trove_spool_metrics.h"


/* a line without the values of its labels: name, labels, number */
#define NGX_HTTP_TROVE_METRICS_LINE   192

/* lines of a location, or of a zone, at most */
#define NGX_HTTP_TROVE_METRICS_LINES  64

/* HELP and TYPE of all families, and the lines without labels */
#define NGX_HTTP_TROVE_METRICS_HEADS  8192


/* a value of a label, and the number of the counter that it stands for */
typedef struct {
    const char                    *value;
    ngx_uint_t                     counter;
} ngx_http_trove_metrics_label_t;


static size_t ngx_http_trove_metrics_text_size(
    ngx_http_trove_metrics_text_t *text);
static void ngx_http_trove_metrics_locs(ngx_http_trove_metrics_text_t *text,
    const char *name, const char *label,
    ngx_http_trove_metrics_label_t *labels, ngx_uint_t fanout);
static void ngx_http_trove_metrics_seconds(
    ngx_http_trove_metrics_text_t *text, const char *name,
    ngx_uint_t counter);
static void ngx_http_trove_metrics_info(ngx_http_trove_metrics_text_t *text);
static const char *ngx_http_trove_metrics_mode(
    ngx_http_trove_metrics_text_t *text, ngx_http_trove_metrics_loc_t *loc);
static void ngx_http_trove_metrics_zones(ngx_http_trove_metrics_text_t *text,
    ngx_trove_zone_stat_t *stats);
static void ngx_http_trove_metrics_zone(ngx_http_trove_metrics_text_t *text,
    const char *name, const char *label, size_t offset,
    ngx_trove_zone_stat_t *stats);


static ngx_http_trove_metrics_label_t  ngx_http_trove_metrics_verdicts[] = {
    { "ok", NGX_HTTP_TROVE_METRIC_VERDICT
            + NGX_HTTP_TROVE_VERDICT_OK },
    { "missing", NGX_HTTP_TROVE_METRIC_VERDICT
                 + NGX_HTTP_TROVE_VERDICT_MISSING },
    { "malformed", NGX_HTTP_TROVE_METRIC_VERDICT
                   + NGX_HTTP_TROVE_VERDICT_MALFORMED },
    { "stale", NGX_HTTP_TROVE_METRIC_VERDICT
               + NGX_HTTP_TROVE_VERDICT_STALE },
    { "no_secret", NGX_HTTP_TROVE_METRIC_VERDICT
                   + NGX_HTTP_TROVE_VERDICT_NO_SECRET },
    { "mismatch", NGX_HTTP_TROVE_METRIC_VERDICT
                  + NGX_HTTP_TROVE_VERDICT_MISMATCH },
    { "bad_json", NGX_HTTP_TROVE_METRIC_VERDICT
                  + NGX_HTTP_TROVE_VERDICT_BAD_JSON },
    { "bad_event", NGX_HTTP_TROVE_METRIC_VERDICT
                   + NGX_HTTP_TROVE_VERDICT_BAD_EVENT },
    { "method", NGX_HTTP_TROVE_METRIC_VERDICT
                + NGX_HTTP_TROVE_VERDICT_METHOD },
    { NULL, 0 }
};


static ngx_http_trove_metrics_label_t  ngx_http_trove_metrics_outcomes[] = {
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


static ngx_http_trove_metrics_label_t  ngx_http_trove_metrics_unverified[] = {
    { "", NGX_HTTP_TROVE_METRIC_UNVERIFIED },
    { NULL, 0 }
};


static ngx_http_trove_metrics_label_t  ngx_http_trove_metrics_answers[] = {
    { "delivered", NGX_HTTP_TROVE_METRIC_DELIVERED },
    { "partial", NGX_HTTP_TROVE_METRIC_PARTIAL },
    { NULL, 0 }
};


static ngx_http_trove_metrics_label_t  ngx_http_trove_metrics_unmatched[] = {
    { "", NGX_HTTP_TROVE_METRIC_UNMATCHED },
    { NULL, 0 }
};


ngx_buf_t *
ngx_http_trove_metrics_text(ngx_http_request_t *r,
    ngx_http_trove_metrics_loc_t *locs, ngx_uint_t n, time_t loaded)
{
    size_t                          size;
    ngx_buf_t                      *b;
    ngx_uint_t                      i;
    ngx_pool_t                     *pool;
    ngx_shm_zone_t                **zone;
    ngx_trove_zone_now_t            now;
    ngx_trove_zone_stat_t          *stats;
    ngx_http_trove_metrics_text_t   text;

    pool = r->pool;

    text.locs = locs;
    text.nlocs = n;
    text.routes = ngx_http_trove_spool_routes(r);

    text.zones = ngx_http_trove_dedup_zones(pool);
    if (text.zones == NULL) {
        return NULL;
    }

    stats = ngx_palloc(pool, (text.zones->nelts + 1)
                             * sizeof(ngx_trove_zone_stat_t));
    if (stats == NULL) {
        return NULL;
    }

    ngx_http_trove_clock_zone(&now);

    zone = text.zones->elts;

    for (i = 0; i < text.zones->nelts; i++) {
        ngx_trove_table_stat(ngx_http_trove_dedup_zone_table(zone[i]), &now,
                             &stats[i]);
    }

    if (ngx_http_trove_metrics_targets_sum(&text, pool) != NGX_OK
        || ngx_http_trove_metrics_spool_targets(&text, pool) != NGX_OK)
    {
        return NULL;
    }

    size = ngx_http_trove_metrics_text_size(&text);

    b = ngx_create_temp_buf(pool, size);
    if (b == NULL) {
        return NULL;
    }

    text.p = b->pos;
    text.last = b->pos + size;

    ngx_http_trove_metrics_head(&text, "trove_build_info", "gauge",
                                "The versions of the module and of NGINX.");

    text.p = ngx_slprintf(text.p, text.last,
                          "trove_build_info{version=\"%s\",nginx=\"%s\"} 1\n",
                          NGX_TROVE_VERSION, NGINX_VERSION);

    ngx_http_trove_metrics_head(&text,
                                "trove_config_last_reload_timestamp_seconds",
                                "gauge",
                                "When the configuration in use was read.");

    text.p = ngx_slprintf(text.p, text.last,
                          "trove_config_last_reload_timestamp_seconds %T\n",
                          loaded);

    ngx_http_trove_metrics_info(&text);

    ngx_http_trove_metrics_head(&text, "trove_verify_total", "counter",
                                "Requests by the verdict of the verification.");
    ngx_http_trove_metrics_locs(&text, "trove_verify_total", "verdict",
                                ngx_http_trove_metrics_verdicts, 0);

    ngx_http_trove_metrics_head(&text, "trove_verify_seconds_total", "counter",
                                "Time spent on signatures and JSON.");
    ngx_http_trove_metrics_seconds(&text, "trove_verify_seconds_total",
                                   NGX_HTTP_TROVE_METRIC_VERIFY_NS);

    ngx_http_trove_metrics_signatures(&text);

    ngx_http_trove_metrics_head(&text, "trove_unverified_responses_total",
                                "counter",
                                "Responses 2xx that left without a verdict.");
    ngx_http_trove_metrics_locs(&text, "trove_unverified_responses_total",
                                NULL, ngx_http_trove_metrics_unverified, 0);

    ngx_http_trove_metrics_head(&text, "trove_dedup_total", "counter",
                                "Events by the outcome of deduplication.");
    ngx_http_trove_metrics_locs(&text, "trove_dedup_total", "outcome",
                                ngx_http_trove_metrics_outcomes, 0);

    ngx_http_trove_metrics_head(&text, "trove_fanout_total", "counter",
                                "Events fanned out, by what came of it.");
    ngx_http_trove_metrics_locs(&text, "trove_fanout_total", "answer",
                                ngx_http_trove_metrics_answers, 1);

    ngx_http_trove_metrics_head(&text, "trove_fanout_unmatched_total",
                                "counter", "Events that match no target.");
    ngx_http_trove_metrics_locs(&text, "trove_fanout_unmatched_total", NULL,
                                ngx_http_trove_metrics_unmatched, 1);

    ngx_http_trove_metrics_targets(&text);

    ngx_http_trove_metrics_spool(&text);

    ngx_http_trove_metrics_zones(&text, stats);

    b->last = text.p;

    return b;
}


static size_t
ngx_http_trove_metrics_text_size(ngx_http_trove_metrics_text_t *text)
{
    size_t            size;
    ngx_uint_t        i;
    ngx_shm_zone_t  **zone;

    size = NGX_HTTP_TROVE_METRICS_HEADS
           + ngx_http_trove_metrics_targets_size(text)
           + ngx_http_trove_metrics_spool_size(text);

    for (i = 0; i < text->nlocs; i++) {
        size += NGX_HTTP_TROVE_METRICS_LINES
                * (NGX_HTTP_TROVE_METRICS_LINE + text->locs[i].labels.len);
    }

    zone = text->zones->elts;

    /* escaping at most doubles a value */

    for (i = 0; i < text->zones->nelts; i++) {
        size += NGX_HTTP_TROVE_METRICS_LINES
                * (NGX_HTTP_TROVE_METRICS_LINE + 2 * zone[i]->shm.name.len);
    }

    return size;
}


void
ngx_http_trove_metrics_head(ngx_http_trove_metrics_text_t *text,
    const char *name, const char *type, const char *help)
{
    text->p = ngx_slprintf(text->p, text->last,
                           "# HELP %s %s\n# TYPE %s %s\n",
                           name, help, name, type);
}


/* fanout: those locations only that have one */

static void
ngx_http_trove_metrics_locs(ngx_http_trove_metrics_text_t *text,
    const char *name, const char *label,
    ngx_http_trove_metrics_label_t *labels, ngx_uint_t fanout)
{
    ngx_uint_t                       i;
    ngx_http_trove_metrics_loc_t    *loc;
    ngx_http_trove_metrics_label_t  *l;

    for (i = 0; i < text->nlocs; i++) {
        loc = &text->locs[i];

        if (loc->sets[0] == NULL || (fanout ? !loc->fanout : loc->repeated)) {
            continue;
        }

        for (l = labels; l->value; l++) {
            text->p = ngx_slprintf(text->p, text->last, "%s{%V", name,
                                   &loc->labels);

            if (label) {
                text->p = ngx_slprintf(text->p, text->last, ",%s=\"%s\"",
                                       label, l->value);
            }

            text->p = ngx_slprintf(text->p, text->last, "} %uL\n",
                                   ngx_http_trove_metrics_loc_sum(loc,
                                                              l->counter));
        }
    }
}


static void
ngx_http_trove_metrics_seconds(ngx_http_trove_metrics_text_t *text,
    const char *name, ngx_uint_t counter)
{
    uint64_t                       ns;
    ngx_uint_t                     i;
    ngx_http_trove_metrics_loc_t  *loc;

    for (i = 0; i < text->nlocs; i++) {
        loc = &text->locs[i];

        if (loc->sets[0] == NULL || loc->repeated) {
            continue;
        }

        ns = ngx_http_trove_metrics_loc_sum(loc, counter);

        text->p = ngx_slprintf(text->p, text->last, "%s{%V} %uL.%09uL\n",
                               name, &loc->labels, ns / 1000000000,
                               ns % 1000000000);
    }
}


static void
ngx_http_trove_metrics_info(ngx_http_trove_metrics_text_t *text)
{
    ngx_uint_t                     i;
    ngx_http_trove_loc_conf_t     *tlcf;
    ngx_http_trove_metrics_loc_t  *loc;

    static const char  *modes[] = { "off", "on", "log" };

    ngx_http_trove_metrics_head(text, "trove_location_info", "gauge",
                                "What is in force in a location.");

    for (i = 0; i < text->nlocs; i++) {
        loc = &text->locs[i];

        if (loc->repeated) {
            continue;
        }

        tlcf = loc->loc_conf[ngx_http_trove_module.ctx_index];

        text->p = ngx_slprintf(text->p, text->last,
                               "trove_location_info{%V,verify=\"%s\","
                               "dedup=\"%s\",fanout=\"%s\"} 1\n",
                               &loc->labels, modes[loc->mode],
                               tlcf->dedup ? "on" : "off",
                               ngx_http_trove_metrics_mode(text, loc));
    }
}


static const char *
ngx_http_trove_metrics_mode(ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_metrics_loc_t *loc)
{
    if (loc->ntargets == 0) {
        return "off";
    }

    return ngx_http_trove_metrics_spool_route(text, loc) ? "spool" : "wait";
}


static void
ngx_http_trove_metrics_zones(ngx_http_trove_metrics_text_t *text,
    ngx_trove_zone_stat_t *stats)
{
    ngx_http_trove_metrics_head(text, "trove_zone_slots", "gauge",
                                "Events that there is room for.");
    ngx_http_trove_metrics_zone(text, "trove_zone_slots", NULL,
                                offsetof(ngx_trove_zone_stat_t, slots), stats);

    ngx_http_trove_metrics_head(text, "trove_zone_used", "gauge",
                                "Events that are remembered, by state.");
    ngx_http_trove_metrics_zone(text, "trove_zone_used", "inflight",
                                offsetof(ngx_trove_zone_stat_t, inflight),
                                stats);
    ngx_http_trove_metrics_zone(text, "trove_zone_used", "done",
                                offsetof(ngx_trove_zone_stat_t, done), stats);

    ngx_http_trove_metrics_head(text, "trove_zone_marks", "gauge",
                                "Targets that have got an event which others "
                                "miss.");
    ngx_http_trove_metrics_zone(text, "trove_zone_marks", NULL,
                                offsetof(ngx_trove_zone_stat_t, marked), stats);

    ngx_http_trove_metrics_head(text, "trove_zone_marks_dropped_total",
                                "counter",
                                "Marks given up for want of room.");
    ngx_http_trove_metrics_zone(text, "trove_zone_marks_dropped_total", NULL,
                                offsetof(ngx_trove_zone_stat_t, dropped),
                                stats);

    ngx_http_trove_metrics_head(text, "trove_zone_evictions_total", "counter",
                                "Events forgotten before their ttl: the zone "
                                "is too small.");
    ngx_http_trove_metrics_zone(text, "trove_zone_evictions_total", NULL,
                                offsetof(ngx_trove_zone_stat_t, evicted),
                                stats);

    ngx_http_trove_metrics_head(text, "trove_zone_full_total", "counter",
                                "Claims refused for want of room.");
    ngx_http_trove_metrics_zone(text, "trove_zone_full_total", NULL,
                                offsetof(ngx_trove_zone_stat_t, full), stats);

    ngx_http_trove_metrics_head(text, "trove_zone_takeovers_total", "counter",
                                "Claims whose lease ran out: a worker died.");
    ngx_http_trove_metrics_zone(text, "trove_zone_takeovers_total", NULL,
                                offsetof(ngx_trove_zone_stat_t, takeovers),
                                stats);

    ngx_http_trove_metrics_head(text, "trove_zone_recovered_locks_total",
                                "counter",
                                "Locks left behind by a killed worker.");
    ngx_http_trove_metrics_zone(text, "trove_zone_recovered_locks_total", NULL,
                                offsetof(ngx_trove_zone_stat_t, recovered),
                                stats);
}


static void
ngx_http_trove_metrics_zone(ngx_http_trove_metrics_text_t *text,
    const char *name, const char *label, size_t offset,
    ngx_trove_zone_stat_t *stats)
{
    ngx_uint_t        i;
    ngx_shm_zone_t  **zone;

    zone = text->zones->elts;

    for (i = 0; i < text->zones->nelts; i++) {
        text->p = ngx_slprintf(text->p, text->last, "%s{", name);
        text->p = ngx_http_trove_metrics_label_add(text->p, "zone",
                                                   &zone[i]->shm.name, 0);

        if (label) {
            text->p = ngx_slprintf(text->p, text->last, ",state=\"%s\"",
                                   label);
        }

        text->p = ngx_slprintf(text->p, text->last, "} %uL\n",
                               *(uint64_t *) ((u_char *) &stats[i] + offset));
    }
}
