
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_METRICS_FORMAT_H_INCLUDED_
#define _NGX_HTTP_TROVE_METRICS_FORMAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics.h"


/* at most: HELP and TYPE of a family; a line without the values of labels */
#define NGX_HTTP_TROVE_METRICS_HEAD  320
#define NGX_HTTP_TROVE_METRICS_LINE  192


/* the text of all metrics, as it is rendered */
typedef struct {
    u_char                        *p;
    u_char                        *last;
    ngx_http_trove_metrics_loc_t  *locs;
    ngx_uint_t                     nlocs;
} ngx_http_trove_metrics_text_t;


/* the value of a label, and the counter that it stands for */
typedef struct {
    const char                    *value;
    ngx_uint_t                     counter;
} ngx_http_trove_metrics_label_t;


/* Begins a family of metrics. */
void ngx_http_trove_metrics_head(ngx_http_trove_metrics_text_t *text,
    const char *name, const char *type, const char *help);

/*
 * Adds a line for each location and each of labels, which end with a value that
 * is NULL.  label is the name of the label; NULL: the lines have none.  fanout
 * is 1 for those locations only that have targets.
 */
void ngx_http_trove_metrics_locs(ngx_http_trove_metrics_text_t *text,
    const char *name, const char *label,
    ngx_http_trove_metrics_label_t *labels, ngx_uint_t fanout);

/* How many bytes so many lines of each location need at most. */
size_t ngx_http_trove_metrics_locs_size(ngx_http_trove_metrics_text_t *text,
    ngx_uint_t lines);

/*
 * Adds a label with its value, escaped, at p, where there is room for twice the
 * value: the new end.  comma is 1 unless it is the first.
 */
u_char *ngx_http_trove_metrics_label_add(u_char *p, const char *name,
    ngx_str_t *value, ngx_uint_t comma);


#endif /* _NGX_HTTP_TROVE_METRICS_FORMAT_H_INCLUDED_ */
