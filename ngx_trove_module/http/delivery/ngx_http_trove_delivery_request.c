
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_delivery_request.h"
#include "ngx_http_trove_module.h"


/*
 * The index of the phase that finds the location.  It has one handler, and
 * precedes the rewrite phase of locations.
 */

#define ngx_http_trove_delivery_phase(cmcf)                                   \
    ((cmcf)->phase_engine.location_rewrite_index - 1)


static ngx_str_t  ngx_http_trove_delivery_method = ngx_string("POST");


ngx_int_t
ngx_http_trove_delivery_request(ngx_http_trove_delivery_t *d,
    ngx_http_trove_fake_owner_t *owner)
{
    ngx_http_request_t         *r, *sr;
    ngx_http_core_main_conf_t  *cmcf;

    r = ngx_http_trove_fake_request_create(d->origin, owner);
    if (r == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_subrequest(r, &d->target->uri, &d->target->args, &sr,
                            &d->post, NGX_HTTP_SUBREQUEST_BACKGROUND)
        != NGX_OK)
    {
        ngx_http_trove_fake_request_free(r);
        return NGX_ERROR;
    }

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    sr->method = NGX_HTTP_POST;
    sr->method_name = ngx_http_trove_delivery_method;

    /* a copy of a list has to point to its own part */

    sr->headers_in.headers.last = &sr->headers_in.headers.part;

    /* unknown until ngx_http_trove_delivery_length() */

    sr->headers_in.content_length_n = -1;

    sr->phase_handler = ngx_http_trove_delivery_phase(cmcf);
    sr->valid_location = 1;
    sr->write_event_handler = ngx_http_core_run_phases;

    /* the active request: its own subrequests may write, and wake it */

    r->connection->data = sr;

    d->request = r;
    d->subrequest = sr;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "trove delivery to \"%V\", attempt %ui",
                   &d->target->name, d->attempt);

    return NGX_OK;
}


ngx_int_t
ngx_http_trove_delivery_rewrite(ngx_http_request_t *r)
{
    ngx_http_core_main_conf_t  *cmcf;

    if (r != r->main && ngx_http_trove_is_delivery(r)) {
        cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

        /* the phase engine adds one */

        r->phase_handler = ngx_http_trove_delivery_phase(cmcf) - 1;
    }

    return NGX_DECLINED;
}
