
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_API_H_INCLUDED_
#define _NGX_HTTP_TROVE_API_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_thread_pool.h>

#include "ngx_http_trove_json.h"
#include "ngx_http_trove_suspend.h"
#include "ngx_trove_spool_query.h"


/* The management API, among its files. */

typedef struct ngx_http_trove_api_s  ngx_http_trove_api_t;


/*
 * A call: work() in a thread, if there is one, then render() in the event loop.
 *
 *   parsed --> in a thread --> rendered, sent
 *                 |
 *                 +-- the client closes: the request, suspended, stays
 */

struct ngx_http_trove_api_s {
    ngx_http_request_t           *request;
    ngx_http_trove_suspend_t     *suspend;
    ngx_trove_spool_t            *spool;

    /* what was asked for */
    ngx_trove_spool_filter_t      filter;
    ngx_trove_spool_action_e      action;
    int64_t                       id;
    int64_t                       cursor;
    ngx_uint_t                    limit;
    ngx_uint_t                    paused;
    ngx_uint_t                    dry_run;
    ngx_uint_t                    paged;       /* by a limit or a cursor */
    ngx_str_t                     name;        /* an event's id, a target */
    u_char                       *keys;        /* of events to be forgotten */
    ngx_uint_t                    nkeys;

    /* why it is rejected, or NULL */
    const char                   *reject;

    /* what came of it */
    void                         *result;      /* ngx_trove_spool_free() */
    void                         *more;        /* the same */
    ngx_int_t                     rc;
    uint64_t                      count;
    ngx_trove_spool_error_t       error;

    void                        (*work)(ngx_http_trove_api_t *api);
    ngx_int_t                   (*render)(ngx_http_trove_api_t *api);

    ngx_event_t                   exit_guard;  /* keeps an exiting worker */
    unsigned                      wake:1;      /* the dispatcher, afterwards */
};


/*
 * Reads the arguments of the request into the filter and the like.
 *
 * NULL, or why they are rejected
 */
const char *ngx_http_trove_api_args(ngx_http_trove_api_t *api);

/*
 * Finds the call that is asked for by a method and a path, from "/v1/" on, and
 * sets work, render and what is in the path.
 *
 * NGX_OK
 * NGX_DECLINED      there is no such path
 * NGX_HTTP_...      405, or 400; with 400, api->reject says why
 */
ngx_int_t ngx_http_trove_api_route(ngx_http_trove_api_t *api,
    ngx_str_t *path);

/* Renders what the API can answer with. */
ngx_int_t ngx_http_trove_api_render_events(ngx_http_trove_api_t *api);
ngx_int_t ngx_http_trove_api_render_event(ngx_http_trove_api_t *api);
ngx_int_t ngx_http_trove_api_render_deliveries(ngx_http_trove_api_t *api);
ngx_int_t ngx_http_trove_api_render_delivery(ngx_http_trove_api_t *api);
ngx_int_t ngx_http_trove_api_render_targets(ngx_http_trove_api_t *api);
ngx_int_t ngx_http_trove_api_render_action(ngx_http_trove_api_t *api);
ngx_int_t ngx_http_trove_api_render_count(ngx_http_trove_api_t *api);
ngx_int_t ngx_http_trove_api_render_pause(ngx_http_trove_api_t *api);
ngx_int_t ngx_http_trove_api_render_forget(ngx_http_trove_api_t *api);

/*
 * Sends {"detail":"..."} and a status.
 *
 * What the request is to be finalized with.
 */
ngx_int_t ngx_http_trove_api_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *detail);

/*
 * Sends a synthetic event "webhook.test" to the targets of a name, or to all,
 * and answers with what they said.
 *
 * What the content handler is to return.
 */
ngx_int_t ngx_http_trove_api_test(ngx_http_trove_api_t *api);


#endif /* _NGX_HTTP_TROVE_API_H_INCLUDED_ */
