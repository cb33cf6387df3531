
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_delivery_metrics.h"
#include "ngx_http_trove_fanout.h"
#include "ngx_http_trove_metrics.h"
#include "ngx_http_trove_metrics_text.h"


#define NGX_HTTP_TROVE_FANOUT_LINES     3      /* per location */
#define NGX_HTTP_TROVE_FANOUT_FAMILIES  2


static size_t ngx_http_trove_fanout_metrics_size(
    ngx_http_trove_metrics_text_t *text, void *data);
static void ngx_http_trove_fanout_metrics_render(
    ngx_http_trove_metrics_text_t *text, void *data);


static ngx_http_trove_metrics_label_t  ngx_http_trove_fanout_responses[] = {
    { "delivered", NGX_HTTP_TROVE_METRIC_DELIVERED },
    { "partial", NGX_HTTP_TROVE_METRIC_PARTIAL },
    { NULL, 0 }
};


static ngx_http_trove_metrics_label_t  ngx_http_trove_fanout_unmatched[] = {
    { "", NGX_HTTP_TROVE_METRIC_UNMATCHED },
    { NULL, 0 }
};


static ngx_http_trove_metrics_collector_t  ngx_http_trove_fanout_collector = {
    NULL,
    ngx_http_trove_fanout_metrics_size,
    {
        { NGX_HTTP_TROVE_METRICS_FANOUT, ngx_http_trove_fanout_metrics_render },
        { 0, NULL }
    }
};


ngx_int_t
ngx_http_trove_fanout_metrics_init(ngx_conf_t *cf)
{
    if (ngx_http_trove_metrics_collector_add(cf,
                                             &ngx_http_trove_fanout_collector,
                                             NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_trove_delivery_metrics_init(cf);
}


static size_t
ngx_http_trove_fanout_metrics_size(ngx_http_trove_metrics_text_t *text,
    void *data)
{
    return NGX_HTTP_TROVE_FANOUT_FAMILIES * NGX_HTTP_TROVE_METRICS_HEAD
           + ngx_http_trove_metrics_locs_size(text,
                                              NGX_HTTP_TROVE_FANOUT_LINES);
}


static void
ngx_http_trove_fanout_metrics_render(ngx_http_trove_metrics_text_t *text,
    void *data)
{
    ngx_http_trove_metrics_head(text, "trove_fanout_total", "counter",
                                "Events fanned out, by outcome.");
    ngx_http_trove_metrics_locs(text, "trove_fanout_total", "response",
                                ngx_http_trove_fanout_responses, 1);

    ngx_http_trove_metrics_head(text, "trove_fanout_unmatched_total",
                                "counter", "Events that match no target.");
    ngx_http_trove_metrics_locs(text, "trove_fanout_unmatched_total", NULL,
                                ngx_http_trove_fanout_unmatched, 1);
}
