
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_METRICS_FORMAT_H_INCLUDED_
#define _NGX_HTTP_TROVE_METRICS_FORMAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics.h"


/* maximum lengths: HELP and TYPE of a family; a line without label values */
#define NGX_HTTP_TROVE_METRICS_HEAD  320
#define NGX_HTTP_TROVE_METRICS_LINE  192


/* the text of all metrics that is being rendered; p is the next free byte */
typedef struct {
    u_char                        *p;
    u_char                        *last;
    ngx_http_trove_metrics_loc_t  *locs;
    ngx_uint_t                     nlocs;
} ngx_http_trove_metrics_text_t;


/* a label value and its counter */
typedef struct {
    const char                    *value;
    ngx_uint_t                     counter;
} ngx_http_trove_metrics_label_t;


/* Starts a family: adds its HELP and TYPE lines. */
void ngx_http_trove_metrics_head(ngx_http_trove_metrics_text_t *text,
    const char *name, const char *type, const char *help);

/*
 * Adds a line for each location and each element of labels.  The array ends
 * with an element whose value is NULL.  label is the name of the label, or
 * NULL if the lines have no label.  If fanout is 1, only locations with
 * targets are added.
 */
void ngx_http_trove_metrics_locs(ngx_http_trove_metrics_text_t *text,
    const char *name, const char *label,
    ngx_http_trove_metrics_label_t *labels, ngx_uint_t fanout);

/*
 * Returns the maximum length in bytes of the given number of lines for each
 * location.
 */
size_t ngx_http_trove_metrics_locs_size(ngx_http_trove_metrics_text_t *text,
    ngx_uint_t lines);

/*
 * Writes a label and its escaped value at p and returns the new end.  The
 * caller provides enough memory for the name and for twice the length of the
 * value.  comma is 0 for the first label, and 1 for the others.
 */
u_char *ngx_http_trove_metrics_label_add(u_char *p, const char *name,
    ngx_str_t *value, ngx_uint_t comma);


#endif /* _NGX_HTTP_TROVE_METRICS_FORMAT_H_INCLUDED_ */
