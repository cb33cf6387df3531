
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics.h"
#include "ngx_http_trove_metrics_spool.h"
#include "ngx_http_trove_metrics_text.h"
#include "ngx_http_trove_spool_dispatcher.h"
#include "ngx_http_trove_spool_metrics.h"
#include "ngx_http_trove_spool_route.h"
#include "ngx_http_trove_spool_writer.h"


/* HELP, TYPE and one line without labels, for all families */
#define NGX_HTTP_TROVE_SPOOL_HEADS  9216

/* lines of a target that is in the spool */
#define NGX_HTTP_TROVE_SPOOL_LINES  8


/* a target of the spool with its labels */
typedef struct {
    ngx_str_t                           labels;
    unsigned                            configured:1;
} ngx_http_trove_spool_shown_t;


typedef struct {
    ngx_array_t                        *routes;  /* ngx_http_trove_route_t * */
    ngx_trove_spool_stat_t             *stat;    /* NULL: not known yet */
    ngx_http_trove_spool_shown_t       *shown;   /* stat->targets */
} ngx_http_trove_spool_metrics_t;


static void *ngx_http_trove_spool_metrics_collect(
    ngx_http_trove_metrics_text_t *text, ngx_pool_t *pool, void *conf);
static ngx_int_t ngx_http_trove_spool_metrics_labels(
    ngx_http_trove_spool_metrics_t *metrics, ngx_pool_t *pool,
    ngx_trove_spool_target_t *target, ngx_http_trove_spool_shown_t *shown);
static ngx_http_trove_metrics_loc_t *ngx_http_trove_spool_metrics_loc(
    ngx_http_trove_spool_metrics_t *metrics, ngx_str_t *name);
static size_t ngx_http_trove_spool_metrics_size(
    ngx_http_trove_metrics_text_t *text, void *data);
static void ngx_http_trove_spool_metrics_left(
    ngx_http_trove_metrics_text_t *text, void *data);
static void ngx_http_trove_spool_metrics_render(
    ngx_http_trove_metrics_text_t *text, void *data);
static void ngx_http_trove_spool_metrics_unconfigured(
    ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_spool_metrics_t *metrics);
static void ngx_http_trove_spool_metrics_bytes(
    ngx_http_trove_metrics_text_t *text, const char *name, const char *help,
    uint64_t bytes);
static void ngx_http_trove_spool_metrics_failed(
    ngx_http_trove_metrics_text_t *text);
static void ngx_http_trove_spool_metrics_each(
    ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_spool_metrics_t *metrics);


static ngx_http_trove_metrics_collector_t  ngx_http_trove_spool_collector = {
    ngx_http_trove_spool_metrics_collect,
    ngx_http_trove_spool_metrics_size,
    {
        { NGX_HTTP_TROVE_METRICS_SPOOL_TARGETS,
          ngx_http_trove_spool_metrics_left },
        { NGX_HTTP_TROVE_METRICS_SPOOL, ngx_http_trove_spool_metrics_render }
    }
};


ngx_int_t
ngx_http_trove_spool_metrics_init(ngx_conf_t *cf, ngx_array_t *routes)
{
    return ngx_http_trove_metrics_collector_add(cf,
                                             &ngx_http_trove_spool_collector,
                                             routes);
}


static void *
ngx_http_trove_spool_metrics_collect(ngx_http_trove_metrics_text_t *text,
    ngx_pool_t *pool, void *conf)
{
    ngx_array_t *routes = conf;

    ngx_uint_t                       i;
    ngx_trove_spool_stat_t          *stat;
    ngx_http_trove_spool_metrics_t  *metrics;

    metrics = ngx_pcalloc(pool, sizeof(ngx_http_trove_spool_metrics_t));
    if (metrics == NULL) {
        return NULL;
    }

    stat = ngx_http_trove_writer_ready()
           ? ngx_http_trove_writer_state()->stat : NULL;

    metrics->routes = routes;
    metrics->stat = stat;

    if (stat == NULL) {
        return metrics;
    }

    metrics->shown = ngx_pcalloc(pool, (stat->ntargets + 1)
                                       * sizeof(ngx_http_trove_spool_shown_t));
    if (metrics->shown == NULL) {
        return NULL;
    }

    for (i = 0; i < stat->ntargets; i++) {

        if (ngx_http_trove_spool_metrics_labels(metrics, pool,
                                                &stat->targets[i].target,
                                                &metrics->shown[i])
            != NGX_OK)
        {
            return NULL;
        }
    }

    return metrics;
}


/*
 * The spool stores "SERVER LOCATION" from the configuration that accepted the
 * event.  If the current configuration does not have that name, it is split.
 */

static ngx_int_t
ngx_http_trove_spool_metrics_labels(ngx_http_trove_spool_metrics_t *metrics,
    ngx_pool_t *pool, ngx_trove_spool_target_t *target,
    ngx_http_trove_spool_shown_t *shown)
{
    u_char                           *p;
    ngx_str_t                         server, location;
    ngx_uint_t                        i;
    ngx_http_trove_metrics_loc_t     *loc;
    ngx_http_trove_metrics_target_t  *t;

    loc = ngx_http_trove_spool_metrics_loc(metrics, &target->route);

    for (i = 0; loc && i < loc->ntargets; i++) {
        t = &loc->targets[i];

        if (t->name.len == target->name.len
            && ngx_strncmp(t->name.data, target->name.data, t->name.len) == 0)
        {
            shown->labels = t->labels;
            shown->configured = 1;

            return NGX_OK;
        }
    }

    p = ngx_pnalloc(pool, sizeof("server=\"\",location=\"\",target=\"\"") - 1
                          + 2 * (target->route.len + target->name.len)
                          + (loc ? loc->labels.len : 0));
    if (p == NULL) {
        return NGX_ERROR;
    }

    shown->labels.data = p;

    if (loc) {
        p = ngx_cpymem(p, loc->labels.data, loc->labels.len);

    } else {
        server = target->route;
        ngx_str_null(&location);

        for (i = 0; i < server.len; i++) {

            if (server.data[i] == ' ') {
                location.data = server.data + i + 1;
                location.len = server.len - i - 1;
                server.len = i;
                break;
            }
        }

        p = ngx_http_trove_metrics_label_add(p, "server", &server, 0);
        p = ngx_http_trove_metrics_label_add(p, "location", &location, 1);
    }

    p = ngx_http_trove_metrics_label_add(p, "target", &target->name, 1);

    shown->labels.len = p - shown->labels.data;

    return NGX_OK;
}


static ngx_http_trove_metrics_loc_t *
ngx_http_trove_spool_metrics_loc(ngx_http_trove_spool_metrics_t *metrics,
    ngx_str_t *name)
{
    ngx_uint_t                i;
    ngx_http_trove_route_t  **route;

    route = metrics->routes->elts;

    for (i = 0; i < metrics->routes->nelts; i++) {

        if (route[i]->name.len == name->len
            && ngx_strncmp(route[i]->name.data, name->data, name->len) == 0)
        {
            return route[i]->metrics;
        }
    }

    return NULL;
}


static size_t
ngx_http_trove_spool_metrics_size(ngx_http_trove_metrics_text_t *text,
    void *data)
{
    ngx_http_trove_spool_metrics_t *metrics = data;

    size_t                         size;
    ngx_uint_t                     i, n;
    ngx_http_trove_metrics_loc_t  *loc;

    if (!ngx_http_trove_writer_ready()) {
        return 0;
    }

    size = NGX_HTTP_TROVE_SPOOL_HEADS;

    /* configured targets: permanent failures */

    for (i = 0; i < text->nlocs; i++) {
        loc = &text->locs[i];

        for (n = 0; loc->spooled && n < loc->ntargets; n++) {
            size += NGX_HTTP_TROVE_METRICS_LINE + loc->targets[n].labels.len;
        }
    }

    for (i = 0; metrics->stat && i < metrics->stat->ntargets; i++) {
        size += NGX_HTTP_TROVE_SPOOL_LINES
                * (NGX_HTTP_TROVE_METRICS_LINE + metrics->shown[i].labels.len);
    }

    return size;
}


/* targets that are in the spool but not in the configuration */

static void
ngx_http_trove_spool_metrics_left(ngx_http_trove_metrics_text_t *text,
    void *data)
{
    ngx_http_trove_spool_metrics_t *metrics = data;

    ngx_uint_t  i;

    for (i = 0; metrics->stat && i < metrics->stat->ntargets; i++) {

        if (!metrics->shown[i].configured) {
            text->p = ngx_slprintf(text->p, text->last,
                                   "trove_target_configured{%V} 0\n",
                                   &metrics->shown[i].labels);
        }
    }
}


static void
ngx_http_trove_spool_metrics_render(ngx_http_trove_metrics_text_t *text,
    void *data)
{
    ngx_http_trove_spool_metrics_t *metrics = data;

    ngx_uint_t               i, n;
    ngx_trove_spool_stat_t  *stat;

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
        { "trove_spool_duplicates_total", "Duplicate events.",
          NGX_HTTP_TROVE_SPOOL_DUPLICATE },
        { "trove_spool_refused_total", "Events refused with 503 or 413.",
          NGX_HTTP_TROVE_SPOOL_REFUSED },
        { "trove_spool_errors_total", "Transactions that failed.",
          NGX_HTTP_TROVE_SPOOL_ERRORS },
        { "trove_subscriptions_disabled_total",
          "Subscriptions disabled, because of 410 or failures.",
          NGX_HTTP_TROVE_SPOOL_DISABLED },
        { NULL, NULL, 0 }
    };

    if (!ngx_http_trove_writer_ready()) {
        return;
    }

    ngx_http_trove_metrics_head(text, "trove_spool_up", "gauge",
                                "Whether the spool can be written.");
    text->p = ngx_slprintf(text->p, text->last, "trove_spool_up %ui\n",
                           ngx_http_trove_writer_up());

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
                                "Time spent in commits, mostly on the disk.");
    text->p = ngx_slprintf(text->p, text->last,
                           "trove_spool_commit_seconds_total %ui.%06ui\n",
                           n / 1000000, n % 1000000);

    ngx_http_trove_spool_metrics_failed(text);

    stat = metrics->stat;

    if (stat == NULL) {
        return;
    }

    ngx_http_trove_metrics_head(text, "trove_subscriptions", "gauge",
                                "Subscriptions in the spool.");
    text->p = ngx_slprintf(text->p, text->last, "trove_subscriptions %uL\n",
                           stat->subscriptions);

    ngx_http_trove_metrics_head(text, "trove_subscriptions_disabled", "gauge",
                                "Subscriptions that are disabled.");
    text->p = ngx_slprintf(text->p, text->last,
                           "trove_subscriptions_disabled %uL\n",
                           stat->disabled);

    ngx_http_trove_metrics_head(text, "trove_spool_events", "gauge",
                                "Events in the spool.");
    text->p = ngx_slprintf(text->p, text->last, "trove_spool_events %uL\n",
                           stat->events);

    ngx_http_trove_spool_metrics_unconfigured(text, metrics);

    ngx_http_trove_metrics_head(text, "trove_spool_max_bytes", "gauge",
                                "The max_size of the spool, +Inf if not set.");

    if (stat->max_size) {
        text->p = ngx_slprintf(text->p, text->last,
                               "trove_spool_max_bytes %uL\n", stat->max_size);

    } else {
        text->p = ngx_slprintf(text->p, text->last,
                               "trove_spool_max_bytes +Inf\n");
    }

    ngx_http_trove_spool_metrics_bytes(text, "trove_spool_used_bytes",
                                       "Bytes in use, limited by max_size.",
                                       stat->used);
    ngx_http_trove_spool_metrics_bytes(text, "trove_spool_history_bytes",
                                       "Bytes in use by events whose "
                                       "deliveries have all ended, an "
                                       "estimate.", stat->history);
    ngx_http_trove_spool_metrics_bytes(text, "trove_spool_size_bytes",
                                       "Size of the files on the disk.",
                                       stat->size);

    ngx_http_trove_spool_metrics_each(text, metrics);
}


static void
ngx_http_trove_spool_metrics_unconfigured(ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_spool_metrics_t *metrics)
{
    uint64_t                  pending;
    ngx_uint_t                i;
    const char               *name;
    ngx_trove_spool_gauge_t  *t;

    name = "trove_spool_unconfigured_deliveries";
    pending = 0;

    for (i = 0; i < metrics->stat->ntargets; i++) {

        if (!metrics->shown[i].configured) {
            t = &metrics->stat->targets[i];
            pending += t->states[NGX_TROVE_SPOOL_NEW]
                       + t->states[NGX_TROVE_SPOOL_RETRY];
        }
    }

    ngx_http_trove_metrics_head(text, name, "gauge",
                                "Pending deliveries to targets that are not "
                                "configured.");
    text->p = ngx_slprintf(text->p, text->last, "%s %uL\n", name, pending);
}


static void
ngx_http_trove_spool_metrics_bytes(ngx_http_trove_metrics_text_t *text,
    const char *name, const char *help, uint64_t bytes)
{
    ngx_http_trove_metrics_head(text, name, "gauge", help);

    text->p = ngx_slprintf(text->p, text->last, "%s %uL\n", name, bytes);
}


static void
ngx_http_trove_spool_metrics_failed(ngx_http_trove_metrics_text_t *text)
{
    ngx_uint_t                        i, n;
    ngx_http_trove_metrics_loc_t     *loc;
    ngx_http_trove_metrics_target_t  *t;

    ngx_http_trove_metrics_head(text, "trove_spool_failed_total", "counter",
                                "Deliveries that failed permanently.");

    for (i = 0; i < text->nlocs; i++) {
        loc = &text->locs[i];

        if (!loc->spooled) {
            continue;
        }

        for (n = 0; n < loc->ntargets; n++) {
            t = &loc->targets[n];

            if (t->set && !t->repeated) {
                text->p = ngx_slprintf(text->p, text->last,
                                "trove_spool_failed_total{%V} %uL\n",
                                &t->labels, ngx_trove_metrics_sum(t->set,
                                        NGX_HTTP_TROVE_TARGET_METRIC_FAILED));
            }
        }
    }
}


static void
ngx_http_trove_spool_metrics_each(ngx_http_trove_metrics_text_t *text,
    ngx_http_trove_spool_metrics_t *metrics)
{
    ngx_uint_t                i, n;
    const char               *name;
    ngx_trove_spool_stat_t   *stat;
    ngx_trove_spool_gauge_t  *t;

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

    stat = metrics->stat;
    name = "trove_spool_deliveries";

    ngx_http_trove_metrics_head(text, name, "gauge",
                                "Deliveries in the spool, by state.");

    for (i = 0; i < stat->ntargets; i++) {
        t = &stat->targets[i];

        for (n = 0; states[n].name; n++) {
            text->p = ngx_slprintf(text->p, text->last,
                           "%s{%V,state=\"%s\"} %uL\n", name,
                           &metrics->shown[i].labels, states[n].name,
                           (states[n].first == states[n].last)
                           ? t->states[states[n].first]
                           : t->states[states[n].first]
                             + t->states[states[n].last]);
        }
    }

    name = "trove_spool_oldest_pending_seconds";

    ngx_http_trove_metrics_head(text, name, "gauge",
                                "Age of the oldest pending delivery.");

    for (i = 0; i < stat->ntargets; i++) {
        t = &stat->targets[i];

        text->p = ngx_slprintf(text->p, text->last, "%s{%V} %L.%03L\n", name,
                               &metrics->shown[i].labels, t->oldest / 1000,
                               t->oldest % 1000);
    }

    name = "trove_spool_paused";

    ngx_http_trove_metrics_head(text, name, "gauge",
                                "Whether the target is paused.");

    for (i = 0; i < stat->ntargets; i++) {
        text->p = ngx_slprintf(text->p, text->last, "%s{%V} %d\n", name,
                               &metrics->shown[i].labels,
                               stat->targets[i].paused);
    }
}
