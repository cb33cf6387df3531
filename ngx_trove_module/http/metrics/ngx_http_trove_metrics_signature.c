
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics.h"
#include "ngx_http_trove_metrics_text.h"


/*
 * A part of a histogram, "le" of Prometheus: what is as old as that belongs to
 * it.  There are two: an age is not negative, as a sum that goes down would
 * look like a counter that began anew.  What is signed ahead of our clock is in
 * the other one.
 */

typedef struct {
    int64_t       seconds;
    const char   *label;
} ngx_http_trove_metrics_part_t;


static void ngx_http_trove_metrics_observe(ngx_http_trove_metrics_loc_t *loc,
    ngx_http_trove_metrics_part_t *part, ngx_uint_t first, ngx_uint_t sum,
    int64_t seconds);
static void ngx_http_trove_metrics_histogram(
    ngx_http_trove_metrics_text_t *text, const char *name,
    ngx_http_trove_metrics_part_t *parts, ngx_uint_t first, ngx_uint_t sum);


static ngx_http_trove_metrics_part_t  ngx_http_trove_metrics_age[] = {
    { 1, "1" },
    { 2, "2" },
    { 5, "5" },
    { 10, "10" },
    { 30, "30" },
    { 60, "60" },
    { 300, "300" },
    { 900, "900" },
    { 3600, "3600" },
    { INT64_MAX, "+Inf" }
};


static ngx_http_trove_metrics_part_t  ngx_http_trove_metrics_ahead[] = {
    { 1, "1" },
    { 5, "5" },
    { 30, "30" },
    { 60, "60" },
    { 300, "300" },
    { INT64_MAX, "+Inf" }
};


void
ngx_http_trove_metrics_verdict(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx)
{
    int64_t                        age;
    ngx_http_trove_metrics_loc_t  *loc;

    loc = ngx_http_trove_metrics_loc(r);

    if (loc == NULL) {
        return;
    }

    ngx_http_trove_metrics_loc_add(loc, NGX_HTTP_TROVE_METRIC_VERDICT
                                        + ctx->verdict, 1);

    if (ctx->verdict != NGX_HTTP_TROVE_VERDICT_OK) {
        return;
    }

    ngx_http_trove_metrics_loc_add(loc, NGX_HTTP_TROVE_METRIC_SECRET
                                        + ctx->secret, 1);

    age = ctx->received - ctx->timestamp;

    if (age >= 0) {
        ngx_http_trove_metrics_observe(loc, ngx_http_trove_metrics_age,
                                       NGX_HTTP_TROVE_METRIC_AGE,
                                       NGX_HTTP_TROVE_METRIC_AGE_SUM, age);
    } else {
        ngx_http_trove_metrics_observe(loc, ngx_http_trove_metrics_ahead,
                                       NGX_HTTP_TROVE_METRIC_AHEAD,
                                       NGX_HTTP_TROVE_METRIC_AHEAD_SUM, -age);
    }
}


static void
ngx_http_trove_metrics_observe(ngx_http_trove_metrics_loc_t *loc,
    ngx_http_trove_metrics_part_t *part, ngx_uint_t first, ngx_uint_t sum,
    int64_t seconds)
{
    ngx_uint_t  i;

    for (i = 0; seconds > part[i].seconds; i++) { /* void */ }

    ngx_http_trove_metrics_loc_add(loc, first + i, 1);

    /* most are of this second */

    if (seconds) {
        ngx_http_trove_metrics_loc_add(loc, sum, seconds);
    }
}


void
ngx_http_trove_metrics_signatures(ngx_http_trove_metrics_text_t *text)
{
    ngx_uint_t                     i, n;
    ngx_http_trove_metrics_loc_t  *loc;

    ngx_http_trove_metrics_head(text, "trove_secret_matches_total", "counter",
                                "Verified events by the secret that matched, "
                                "numbered as configured.");

    for (i = 0; i < text->nlocs; i++) {
        loc = &text->locs[i];

        if (loc->sets[0] == NULL || loc->repeated) {
            continue;
        }

        for (n = 1; n <= loc->nsecrets; n++) {
            text->p = ngx_slprintf(text->p, text->last,
                              "trove_secret_matches_total{%V,secret=\"%ui\"} "
                              "%uL\n", &loc->labels, n,
                              ngx_http_trove_metrics_loc_sum(loc,
                                      NGX_HTTP_TROVE_METRIC_SECRET + n));
        }
    }

    ngx_http_trove_metrics_head(text, "trove_signature_age_seconds",
                                "histogram",
                                "Age of the signatures of verified events.");
    ngx_http_trove_metrics_histogram(text, "trove_signature_age_seconds",
                                     ngx_http_trove_metrics_age,
                                     NGX_HTTP_TROVE_METRIC_AGE,
                                     NGX_HTTP_TROVE_METRIC_AGE_SUM);

    ngx_http_trove_metrics_head(text, "trove_signature_ahead_seconds",
                                "histogram",
                                "How far the signatures of verified events "
                                "were ahead of the clock, if they were.");
    ngx_http_trove_metrics_histogram(text, "trove_signature_ahead_seconds",
                                     ngx_http_trove_metrics_ahead,
                                     NGX_HTTP_TROVE_METRIC_AHEAD,
                                     NGX_HTTP_TROVE_METRIC_AHEAD_SUM);
}


/* each part includes those before; the last is what the count has to be */

static void
ngx_http_trove_metrics_histogram(ngx_http_trove_metrics_text_t *text,
    const char *name, ngx_http_trove_metrics_part_t *parts, ngx_uint_t first,
    ngx_uint_t sum)
{
    uint64_t                        n;
    ngx_uint_t                      i;
    ngx_http_trove_metrics_loc_t   *loc;
    ngx_http_trove_metrics_part_t  *part;

    for (i = 0; i < text->nlocs; i++) {
        loc = &text->locs[i];

        if (loc->sets[0] == NULL || loc->repeated || loc->nsecrets == 0) {
            continue;
        }

        n = 0;
        part = parts;

        for ( ;; ) {
            n += ngx_http_trove_metrics_loc_sum(loc, first + (part - parts));

            text->p = ngx_slprintf(text->p, text->last,
                                   "%s_bucket{%V,le=\"%s\"} %uL\n",
                                   name, &loc->labels, part->label, n);

            if (part->seconds == INT64_MAX) {
                break;
            }

            part++;
        }

        text->p = ngx_slprintf(text->p, text->last,
                               "%s_sum{%V} %uL\n%s_count{%V} %uL\n",
                               name, &loc->labels,
                               ngx_http_trove_metrics_loc_sum(loc, sum),
                               name, &loc->labels, n);
    }
}
