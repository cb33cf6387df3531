
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_follow.h"
#include "ngx_http_trove_metrics_spool.h"
#include "ngx_http_trove_metrics_text.h"
#include "ngx_http_trove_spool.h"
#include "ngx_http_trove_spool_writer.h"


#define NGX_HTTP_TROVE_STREAM_FAMILIES  3      /* each has a line */


static ngx_int_t ngx_http_trove_stream_init_process(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_trove_stream_init(ngx_conf_t *cf);
static size_t ngx_http_trove_stream_metrics_size(
    ngx_http_trove_metrics_text_t *text, void *data);
static void ngx_http_trove_stream_metrics_render(
    ngx_http_trove_metrics_text_t *text, void *data);


static ngx_http_trove_metrics_collector_t  ngx_http_trove_stream_collector = {
    NULL,
    ngx_http_trove_stream_metrics_size,
    {
        { NGX_HTTP_TROVE_METRICS_STREAM, ngx_http_trove_stream_metrics_render },
        { 0, NULL }
    }
};


static ngx_http_module_t  ngx_http_trove_stream_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_trove_stream_init,            /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_trove_stream_module = {
    NGX_MODULE_V1,
    &ngx_http_trove_stream_module_ctx,     /* module context */
    NULL,                                  /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_trove_stream_init_process,    /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_trove_stream_init_process(ngx_cycle_t *cycle)
{
    if (ngx_http_trove_follow_init(cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_trove_spool_on_accepted(ngx_http_trove_follow_wake);

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_stream_init(ngx_conf_t *cf)
{
    return ngx_http_trove_metrics_collector_add(cf,
                                             &ngx_http_trove_stream_collector,
                                             NULL);
}


static size_t
ngx_http_trove_stream_metrics_size(ngx_http_trove_metrics_text_t *text,
    void *data)
{
    return NGX_HTTP_TROVE_STREAM_FAMILIES
           * (NGX_HTTP_TROVE_METRICS_HEAD + NGX_HTTP_TROVE_METRICS_LINE);
}


static void
ngx_http_trove_stream_metrics_render(ngx_http_trove_metrics_text_t *text,
    void *data)
{
    if (!ngx_http_trove_writer_ready()) {
        return;
    }

    ngx_http_trove_metrics_head(text, "trove_stream_readers", "gauge",
                                "Streams of events that are open.");
    text->p = ngx_slprintf(text->p, text->last, "trove_stream_readers %uL\n",
                           ngx_http_trove_metrics_spool_readers());

    ngx_http_trove_metrics_head(text, "trove_stream_events_total", "counter",
                                "Events sent, to all readers of streams.");
    text->p = ngx_slprintf(text->p, text->last,
                           "trove_stream_events_total %uL\n",
                           ngx_http_trove_metrics_spool_sum(
                                              NGX_HTTP_TROVE_SPOOL_STREAMED));

    ngx_http_trove_metrics_head(text, "trove_stream_reads_total", "counter",
                                "Reads of the spool for streams.");
    text->p = ngx_slprintf(text->p, text->last,
                           "trove_stream_reads_total %uL\n",
                           ngx_http_trove_metrics_spool_sum(
                                          NGX_HTTP_TROVE_SPOOL_STREAM_READS));
}
