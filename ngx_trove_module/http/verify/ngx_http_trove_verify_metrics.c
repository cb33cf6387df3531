
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_ctx.h"
#include "ngx_http_trove_metrics.h"
#include "ngx_http_trove_metrics_text.h"
#include "ngx_http_trove_verify_metrics.h"


/* of a location, at most: with 16 secrets */
#define NGX_HTTP_TROVE_VERIFY_LINES     64
#define NGX_HTTP_TROVE_VERIFY_FAMILIES  6


/*
 * A part of a histogram, "le" of Prometheus: what is as old as that belongs to
 * it.  There are two: an age is not negative, as a sum that goes down would
 * look like a counter that began anew.  What is signed ahead of our clock is in
 * the other one.
 */

typedef struct {
    int64_t       seconds;
    const char   *label;
} ngx_http_trove_verify_part_t;


static void ngx_http_trove_verify_observe(ngx_http_trove_metrics_loc_t *loc,
    ngx_http_trove_verify_part_t *part, ngx_uint_t first, ngx_uint_t sum,
    int64_t seconds);
static size_t ngx_http_trove_verify_metrics_size(
    ngx_http_trove_metrics_text_t *text, void *data);
static void ngx_http_trove_verify_metrics_render(
    ngx_http_trove_metrics_text_t *text, void *data);
static void ngx_http_trove_verify_signatures(
    ngx_http_trove_metrics_text_t *text);
static void ngx_http_trove_verify_seconds(
    ngx_http_trove_metrics_text_t *text, const char *name,
    ngx_uint_t counter);
static void ngx_http_trove_verify_histogram(
    ngx_http_trove_metrics_text_t *text, const char *name,
    ngx_http_trove_verify_part_t *parts, ngx_uint_t first, ngx_uint_t sum);


static ngx_http_trove_verify_part_t  ngx_http_trove_verify_age[] = {
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


static ngx_http_trove_verify_part_t  ngx_http_trove_verify_ahead[] = {
    { 1, "1" },
    { 5, "5" },
    { 30, "30" },
    { 60, "60" },
    { 300, "300" },
    { INT64_MAX, "+Inf" }
};


static ngx_http_trove_metrics_label_t  ngx_http_trove_verify_verdicts[] = {
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


static ngx_http_trove_metrics_label_t  ngx_http_trove_verify_unverified[] = {
    { "", NGX_HTTP_TROVE_METRIC_UNVERIFIED },
    { NULL, 0 }
};


static ngx_http_trove_metrics_collector_t  ngx_http_trove_verify_collector = {
    NULL,
    ngx_http_trove_verify_metrics_size,
    {
        { NGX_HTTP_TROVE_METRICS_VERIFY, ngx_http_trove_verify_metrics_render },
        { 0, NULL }
    }
};


ngx_int_t
ngx_http_trove_verify_metrics_init(ngx_conf_t *cf)
{
    return ngx_http_trove_metrics_collector_add(cf,
                                            &ngx_http_trove_verify_collector,
                                            NULL);
}


void
ngx_http_trove_verify_count(ngx_http_request_t *r,
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
        ngx_http_trove_verify_observe(loc, ngx_http_trove_verify_age,
                                      NGX_HTTP_TROVE_METRIC_AGE,
                                      NGX_HTTP_TROVE_METRIC_AGE_SUM, age);
    } else {
        ngx_http_trove_verify_observe(loc, ngx_http_trove_verify_ahead,
                                      NGX_HTTP_TROVE_METRIC_AHEAD,
                                      NGX_HTTP_TROVE_METRIC_AHEAD_SUM, -age);
    }
}


static void
ngx_http_trove_verify_observe(ngx_http_trove_metrics_loc_t *loc,
    ngx_http_trove_verify_part_t *part, ngx_uint_t first, ngx_uint_t sum,
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


static size_t
ngx_http_trove_verify_metrics_size(ngx_http_trove_metrics_text_t *text,
    void *data)
{
    return NGX_HTTP_TROVE_VERIFY_FAMILIES * NGX_HTTP_TROVE_METRICS_HEAD
           + ngx_http_trove_metrics_locs_size(text,
                                              NGX_HTTP_TROVE_VERIFY_LINES);
}


static void
ngx_http_trove_verify_metrics_render(ngx_http_trove_metrics_text_t *text,
    void *data)
{
    ngx_http_trove_metrics_head(text, "trove_verify_total", "counter",
                                "Requests by verdict of the verification.");
    ngx_http_trove_metrics_locs(text, "trove_verify_total", "verdict",
                                ngx_http_trove_verify_verdicts, 0);

    ngx_http_trove_metrics_head(text, "trove_verify_seconds_total", "counter",
                                "Time spent verifying signatures and parsing "
                                "JSON.");
    ngx_http_trove_verify_seconds(text, "trove_verify_seconds_total",
                                  NGX_HTTP_TROVE_METRIC_VERIFY_NS);

    ngx_http_trove_verify_signatures(text);

    ngx_http_trove_metrics_head(text, "trove_unverified_responses_total",
                                "counter",
                                "Responses 2xx sent without a verification.");
    ngx_http_trove_metrics_locs(text, "trove_unverified_responses_total",
                                NULL, ngx_http_trove_verify_unverified, 0);
}


static void
ngx_http_trove_verify_seconds(ngx_http_trove_metrics_text_t *text,
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
ngx_http_trove_verify_signatures(ngx_http_trove_metrics_text_t *text)
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
    ngx_http_trove_verify_histogram(text, "trove_signature_age_seconds",
                                    ngx_http_trove_verify_age,
                                    NGX_HTTP_TROVE_METRIC_AGE,
                                    NGX_HTTP_TROVE_METRIC_AGE_SUM);

    ngx_http_trove_metrics_head(text, "trove_signature_ahead_seconds",
                                "histogram",
                                "How far in the future the signatures of "
                                "verified events were.");
    ngx_http_trove_verify_histogram(text, "trove_signature_ahead_seconds",
                                    ngx_http_trove_verify_ahead,
                                    NGX_HTTP_TROVE_METRIC_AHEAD,
                                    NGX_HTTP_TROVE_METRIC_AHEAD_SUM);
}


/* each part includes those before; the last is what the count has to be */

static void
ngx_http_trove_verify_histogram(ngx_http_trove_metrics_text_t *text,
    const char *name, ngx_http_trove_verify_part_t *parts, ngx_uint_t first,
    ngx_uint_t sum)
{
    uint64_t                       n;
    ngx_uint_t                     i;
    ngx_http_trove_metrics_loc_t  *loc;
    ngx_http_trove_verify_part_t  *part;

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
