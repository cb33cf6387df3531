
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics_spool.h"
#include "ngx_http_trove_writer.h"


#define NGX_HTTP_TROVE_METRICS_SPOOL_HEADS  8192
#define NGX_HTTP_TROVE_METRICS_SPOOL_LINE   160
#define NGX_HTTP_TROVE_METRICS_SPOOL_LINES  8      /* of a target */


static void ngx_http_trove_metrics_spool_labels(
    ngx_http_trove_metrics_text_t *text, const char *name,
    ngx_trove_spool_target_t *target);


size_t
ngx_http_trove_metrics_spool_size(void)
{
    size_t                          size;
    ngx_uint_t                      i;
    ngx_trove_spool_stat_t         *stat;

    if (!ngx_http_trove_writer_ready()) {
        return 0;
    }

    size = NGX_HTTP_TROVE_METRICS_SPOOL_HEADS;
    stat = ngx_http_trove_writer_state()->stat;

    for (i = 0; stat && i < stat->ntargets; i++) {
        size += NGX_HTTP_TROVE_METRICS_SPOOL_LINES
                * (NGX_HTTP_TROVE_METRICS_SPOOL_LINE
                   + 2 * stat->targets[i].target.name.len
                   + 2 * stat->targets[i].target.route.len);
    }

    return size;
}


void
ngx_http_trove_metrics_spool(ngx_http_trove_metrics_text_t *text)
{
    ngx_uint_t                i, n;
    const char               *name;
    ngx_trove_spool_stat_t   *stat;
    ngx_trove_spool_gauge_t  *t;

    static struct {
        const char  *name;
        const char  *help;
        ngx_uint_t   counter;
    } counters[] = {
        { "trove_spool_commits_total", "Transactions written to the spool.",
          NGX_HTTP_TROVE_SPOOL_COMMITS },
        { "trove_spool_operations_total", "Operations in all transactions.",
          NGX_HTTP_TROVE_SPOOL_OPS },
        { "trove_spool_accepted_total", "Events accepted.",
          NGX_HTTP_TROVE_SPOOL_ACCEPTED },
        { "trove_spool_duplicates_total", "Events that it had already.",
          NGX_HTTP_TROVE_SPOOL_DUPLICATE },
        { "trove_spool_refused_total", "Events refused with 503 or 413.",
          NGX_HTTP_TROVE_SPOOL_REFUSED },
        { "trove_spool_errors_total", "Transactions that failed.",
          NGX_HTTP_TROVE_SPOOL_ERRORS },
        { NULL, NULL, 0 }
    };

    static struct {
        const char  *name;
        ngx_uint_t   first;
        ngx_uint_t   last;
    } states[] = {
        { "pending", NGX_TROVE_SPOOL_NEW, NGX_TROVE_SPOOL_RETRY },
        { "inflight", NGX_TROVE_SPOOL_LEASED, NGX_TROVE_SPOOL_LEASED },
        { "delivered", NGX_TROVE_SPOOL_DELIVERED, NGX_TROVE_SPOOL_DELIVERED },
        { "failed", NGX_TROVE_SPOOL_FAILED, NGX_TROVE_SPOOL_FAILED },
        { "cancelled", NGX_TROVE_SPOOL_CANCELLED, NGX_TROVE_SPOOL_CANCELLED },
        { NULL, 0, 0 }
    };

    if (!ngx_http_trove_writer_ready()) {
        return;
    }

    for (i = 0; counters[i].name; i++) {
        ngx_http_trove_metrics_head(text, counters[i].name, "counter",
                                    counters[i].help);
        text->p = ngx_slprintf(text->p, text->last, "%s %uL\n",
                       counters[i].name,
                       ngx_http_trove_metrics_spool_sum(counters[i].counter));
    }

    n = ngx_http_trove_metrics_spool_sum(NGX_HTTP_TROVE_SPOOL_COMMIT_US);

    ngx_http_trove_metrics_head(text, "trove_spool_commit_seconds_total",
                                "counter",
                                "Time that commits took, mostly the disk.");
    text->p = ngx_slprintf(text->p, text->last,
                           "trove_spool_commit_seconds_total %ui.%06ui\n",
                           n / 1000000, n % 1000000);

    stat = ngx_http_trove_writer_state()->stat;

    if (stat == NULL) {
        return;
    }

    ngx_http_trove_metrics_head(text, "trove_spool_events", "gauge",
                                "Events in the spool.");
    text->p = ngx_slprintf(text->p, text->last, "trove_spool_events %uL\n",
                           stat->events);

    ngx_http_trove_metrics_head(text, "trove_spool_used_bytes", "gauge",
                                "Bytes in use, of max_size.");
    text->p = ngx_slprintf(text->p, text->last, "trove_spool_used_bytes %uL\n",
                           stat->used);

    ngx_http_trove_metrics_head(text, "trove_spool_size_bytes", "gauge",
                                "Bytes of the files on the disk.");
    text->p = ngx_slprintf(text->p, text->last, "trove_spool_size_bytes %uL\n",
                           stat->size);

    name = "trove_spool_deliveries";

    ngx_http_trove_metrics_head(text, name, "gauge",
                                "Deliveries in the spool, by state.");

    for (i = 0; i < stat->ntargets; i++) {
        t = &stat->targets[i];

        for (n = 0; states[n].name; n++) {
            ngx_http_trove_metrics_spool_labels(text, name, &t->target);

            text->p = ngx_slprintf(text->p, text->last,
                           ",state=\"%s\"} %uL\n", states[n].name,
                           (states[n].first == states[n].last)
                           ? t->states[states[n].first]
                           : t->states[states[n].first]
                             + t->states[states[n].last]);
        }
    }

    name = "trove_spool_oldest_pending_seconds";

    ngx_http_trove_metrics_head(text, name, "gauge",
                                "Age of the oldest delivery that is pending.");

    for (i = 0; i < stat->ntargets; i++) {
        t = &stat->targets[i];

        ngx_http_trove_metrics_spool_labels(text, name, &t->target);
        text->p = ngx_slprintf(text->p, text->last, "} %L.%03L\n",
                               t->oldest / 1000, t->oldest % 1000);
    }

    name = "trove_spool_paused";

    ngx_http_trove_metrics_head(text, name, "gauge",
                                "Whether the target is paused.");

    for (i = 0; i < stat->ntargets; i++) {
        t = &stat->targets[i];

        ngx_http_trove_metrics_spool_labels(text, name, &t->target);
        text->p = ngx_slprintf(text->p, text->last, "} %d\n", t->paused);
    }
}


/* the names are those of a configuration, if not of the present one */

static void
ngx_http_trove_metrics_spool_labels(ngx_http_trove_metrics_text_t *text,
    const char *name, ngx_trove_spool_target_t *target)
{
    text->p = ngx_slprintf(text->p, text->last, "%s{location=\"", name);
    text->p = ngx_http_trove_metrics_escape(text->p, &target->route);

    text->p = ngx_slprintf(text->p, text->last, "\",target=\"");
    text->p = ngx_http_trove_metrics_escape(text->p, &target->name);

    text->p = ngx_slprintf(text->p, text->last, "\"");
}
