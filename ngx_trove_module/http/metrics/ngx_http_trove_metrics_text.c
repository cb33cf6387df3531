
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics.h"
#include "ngx_http_trove_metrics_conf.h"
#include "ngx_http_trove_metrics_format.h"
#include "ngx_http_trove_metrics_text.h"
#include "ngx_http_trove_module.h"


/* the families of this file */
#define NGX_HTTP_TROVE_METRICS_FAMILIES  3


static size_t ngx_http_trove_metrics_own_size(
    ngx_http_trove_metrics_text_t *text);
static void ngx_http_trove_metrics_own(ngx_http_trove_metrics_text_t *text,
    time_t loaded);
static void ngx_http_trove_metrics_info(ngx_http_trove_metrics_text_t *text);


ngx_int_t
ngx_http_trove_metrics_collector_add(ngx_conf_t *cf,
    ngx_http_trove_metrics_collector_t *collector, void *conf)
{
    ngx_http_trove_metrics_main_conf_t   *mmcf;
    ngx_http_trove_metrics_registered_t  *registered;

    mmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_trove_metrics_module);

    registered = ngx_array_push(&mmcf->collectors);
    if (registered == NULL) {
        return NGX_ERROR;
    }

    registered->collector = collector;
    registered->conf = conf;

    return NGX_OK;
}


ngx_buf_t *
ngx_http_trove_metrics_text(ngx_http_request_t *r)
{
    void                                **data;
    size_t                                size;
    ngx_buf_t                            *b;
    ngx_uint_t                            i, n, k, section;
    ngx_http_trove_metrics_text_t         text;
    ngx_http_trove_metrics_collector_t   *collector;
    ngx_http_trove_metrics_main_conf_t   *mmcf;
    ngx_http_trove_metrics_registered_t  *registered;

    mmcf = ngx_http_get_module_main_conf(r, ngx_http_trove_metrics_module);

    ngx_memzero(&text, sizeof(ngx_http_trove_metrics_text_t));

    text.locs = mmcf->locs.elts;
    text.nlocs = mmcf->locs.nelts;

    registered = mmcf->collectors.elts;
    n = mmcf->collectors.nelts;

    data = ngx_palloc(r->pool, n * sizeof(void *));
    if (data == NULL) {
        return NULL;
    }

    size = ngx_http_trove_metrics_own_size(&text);

    for (i = 0; i < n; i++) {
        collector = registered[i].collector;
        data[i] = registered[i].conf;

        if (collector->collect) {
            data[i] = collector->collect(&text, r->pool, registered[i].conf);
            if (data[i] == NULL) {
                return NULL;
            }
        }

        size += collector->size(&text, data[i]);
    }

    b = ngx_create_temp_buf(r->pool, size);
    if (b == NULL) {
        return NULL;
    }

    text.p = b->pos;
    text.last = b->pos + size;

    ngx_http_trove_metrics_own(&text, mmcf->loaded);

    for (section = 0; section < NGX_HTTP_TROVE_METRICS_SECTIONS; section++) {

        for (i = 0; i < n; i++) {
            collector = registered[i].collector;

            for (k = 0; k < NGX_HTTP_TROVE_METRICS_PARTS; k++) {

                if (collector->parts[k].render
                    && collector->parts[k].section == section)
                {
                    collector->parts[k].render(&text, data[i]);
                }
            }
        }
    }

    b->last = text.p;

    return b;
}


static size_t
ngx_http_trove_metrics_own_size(ngx_http_trove_metrics_text_t *text)
{
    return NGX_HTTP_TROVE_METRICS_FAMILIES
           * (NGX_HTTP_TROVE_METRICS_HEAD + NGX_HTTP_TROVE_METRICS_LINE)
           + ngx_http_trove_metrics_locs_size(text, 1);
}


static void
ngx_http_trove_metrics_own(ngx_http_trove_metrics_text_t *text, time_t loaded)
{
    ngx_http_trove_metrics_head(text, "trove_build_info", "gauge",
                                "The versions of the module and of NGINX.");

    text->p = ngx_slprintf(text->p, text->last,
                           "trove_build_info{version=\"%s\",nginx=\"%s\"} 1\n",
                           NGX_TROVE_VERSION, NGINX_VERSION);

    ngx_http_trove_metrics_head(text,
                                "trove_config_last_reload_timestamp_seconds",
                                "gauge",
                                "Time when the current configuration was "
                                "loaded.");

    text->p = ngx_slprintf(text->p, text->last,
                           "trove_config_last_reload_timestamp_seconds %T\n",
                           loaded);

    ngx_http_trove_metrics_info(text);
}


static void
ngx_http_trove_metrics_info(ngx_http_trove_metrics_text_t *text)
{
    ngx_uint_t                     i;
    ngx_http_trove_metrics_loc_t  *loc;

    static const char  *modes[] = { "off", "on", "log" };

    ngx_http_trove_metrics_head(text, "trove_location_info", "gauge",
                                "Settings in force in a location.");

    for (i = 0; i < text->nlocs; i++) {
        loc = &text->locs[i];

        if (loc->repeated) {
            continue;
        }

        text->p = ngx_slprintf(text->p, text->last,
                               "trove_location_info{%V,verify=\"%s\","
                               "dedup=\"%s\",fanout=\"%s\"} 1\n",
                               &loc->labels, modes[loc->mode],
                               loc->conf->dedup ? "on" : "off",
                               loc->ntargets == 0 ? "off"
                               : loc->spooled ? "spool" : "wait");
    }
}
