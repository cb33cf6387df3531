
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics.h"
#include "ngx_http_trove_metrics_format.h"


static u_char *ngx_http_trove_metrics_escape(u_char *p, ngx_str_t *value);


void
ngx_http_trove_metrics_head(ngx_http_trove_metrics_text_t *text,
    const char *name, const char *type, const char *help)
{
    text->p = ngx_slprintf(text->p, text->last,
                           "# HELP %s %s\n# TYPE %s %s\n",
                           name, help, name, type);
}


void
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


size_t
ngx_http_trove_metrics_locs_size(ngx_http_trove_metrics_text_t *text,
    ngx_uint_t lines)
{
    size_t      size;
    ngx_uint_t  i;

    size = 0;

    for (i = 0; i < text->nlocs; i++) {
        size += lines * (NGX_HTTP_TROVE_METRICS_LINE
                         + text->locs[i].labels.len);
    }

    return size;
}


u_char *
ngx_http_trove_metrics_label_add(u_char *p, const char *name, ngx_str_t *value,
    ngx_uint_t comma)
{
    if (comma) {
        *p++ = ',';
    }

    p = ngx_cpymem(p, name, ngx_strlen(name));
    *p++ = '=';
    *p++ = '"';

    p = ngx_http_trove_metrics_escape(p, value);
    *p++ = '"';

    return p;
}


/* the result is at most twice as long */

static u_char *
ngx_http_trove_metrics_escape(u_char *p, ngx_str_t *value)
{
    size_t  i;

    for (i = 0; i < value->len; i++) {

        switch (value->data[i]) {

        case '\\':
        case '"':
            *p++ = '\\';
            *p++ = value->data[i];
            break;

        case LF:
            *p++ = '\\';
            *p++ = 'n';
            break;

        default:
            *p++ = value->data[i];
        }
    }

    return p;
}
