
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_trove_stream_event.h"
#include "ngx_trove_event_line.h"


static u_char *ngx_http_trove_stream_event_string(u_char *p, ngx_str_t *to,
    ngx_str_t *from);


/* of this process, bytes */
static size_t  ngx_http_trove_stream_event_bytes;


ngx_int_t
ngx_http_trove_stream_event_create(ngx_trove_spool_event_t *from,
    ngx_http_trove_stream_event_t **event)
{
    u_char                         *p;
    size_t                          size, len;
    ngx_http_trove_stream_event_t  *e;

    if (ngx_trove_event_line(NULL, from->body.data, from->body.len, &size)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    len = sizeof("id: \ndata: \n\n") - 1 + NGX_INT64_LEN + size;

    /* not ngx_alloc(), which logs errors: this may be a thread */

    e = calloc(1, sizeof(ngx_http_trove_stream_event_t)
                  + from->type.len + from->namespace.len + from->workspace.len
                  + len);
    if (e == NULL) {
        return NGX_ERROR;
    }

    e->refs = 1;
    e->created = ngx_trove_spool_created(from);
    e->event.number = from->number;

    p = (u_char *) (e + 1);

    p = ngx_http_trove_stream_event_string(p, &e->event.type, &from->type);
    p = ngx_http_trove_stream_event_string(p, &e->event.namespace,
                                           &from->namespace);
    p = ngx_http_trove_stream_event_string(p, &e->event.workspace,
                                           &from->workspace);

    e->text.data = p;

    p = ngx_sprintf(p, "id: %L\ndata: ", from->number);

    (void) ngx_trove_event_line(p, from->body.data, from->body.len, &size);

    p += size;

    *p++ = LF;
    *p++ = LF;

    e->text.len = p - e->text.data;

    *event = e;

    return NGX_OK;
}


static u_char *
ngx_http_trove_stream_event_string(u_char *p, ngx_str_t *to, ngx_str_t *from)
{
    if (from->data == NULL) {
        return p;
    }

    to->data = p;
    to->len = from->len;

    return ngx_cpymem(p, from->data, from->len);
}


void
ngx_http_trove_stream_event_hold(ngx_http_trove_stream_event_t *event)
{
    event->held = 1;
    ngx_http_trove_stream_event_bytes += event->text.len;
}


size_t
ngx_http_trove_stream_event_held(void)
{
    return ngx_http_trove_stream_event_bytes;
}


void
ngx_http_trove_stream_event_free(ngx_http_trove_stream_event_t *event)
{
    if (--event->refs) {
        return;
    }

    /* not an event of a thread */

    if (event->held) {
        ngx_http_trove_stream_event_bytes -= event->text.len;
    }

    free(event);
}


void
ngx_http_trove_stream_event_free_list(ngx_http_trove_stream_event_t *event)
{
    ngx_http_trove_stream_event_t  *next;

    for ( /* void */ ; event; event = next) {
        next = event->next;
        ngx_http_trove_stream_event_free(event);
    }
}
