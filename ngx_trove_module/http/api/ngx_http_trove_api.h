
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_API_H_INCLUDED_
#define _NGX_HTTP_TROVE_API_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_thread_pool.h>

#include "ngx_http_trove_api_token.h"
#include "ngx_http_trove_json.h"
#include "ngx_http_trove_spool_writer.h"
#include "ngx_http_trove_suspend.h"
#include "ngx_trove_spool_query.h"


/* The management API, private to its folder. */

/* in a decoded path: an encoded slash, which is part of a segment */
#define NGX_HTTP_TROVE_API_SLASH  '\0'


/* a member of a body has a value that it may not have */
#define NGX_HTTP_TROVE_API_INVALID  422

/* what GET /v1/me says before there is an event */
#define NGX_HTTP_TROVE_API_NO_WORKSPACE  "ws-gateway"

#define NGX_HTTP_TROVE_API_BODY_TOO_LARGE  "the body is larger than 64 KB"


typedef struct ngx_http_trove_api_s  ngx_http_trove_api_t;
typedef struct ngx_http_trove_api_webhook_s  ngx_http_trove_api_webhook_t;


/*
 * A call: work() in a thread, if there is one, in one or several steps; then
 * render() in the event loop.  Between two steps, the call waits for its turn
 * again.
 *
 *   parsed --> waiting --> in a thread --> rendered, sent
 *                 ^  |         |  |
 *                 |  |         |  +-- the client closes: no more steps; the
 *                 |  |         |      request, suspended, stays until then
 *                 |  |         |
 *                 +--|-- again +
 *                    |
 *                    +-- the client closes: removed
 *
 * A call that acts on many deliveries or events finds some of them in a thread,
 * and leaves them to the writer, before it waits for its next turn.
 */

struct ngx_http_trove_api_s {
    ngx_http_request_t           *request;
    ngx_http_trove_suspend_t     *suspend;
    ngx_trove_spool_t            *spool;
    ngx_http_trove_api_token_t   *token;       /* of the client */

    /* the arguments */
    ngx_trove_spool_filter_t      filter;
    ngx_trove_spool_action_e      action;
    int64_t                       id;
    int64_t                       cursor;
    ngx_trove_spool_place_t       place;       /* the cursor of a feed */
    int64_t                       since;       /* ns; filter.since is rounded */
    int64_t                       until;
    ngx_uint_t                    has_since;
    ngx_trove_spool_feed_t       *feed;
    ngx_uint_t                    limit;
    ngx_uint_t                    paused;
    ngx_uint_t                    dry_run;
    uint64_t                      most;        /* the limit, if given; or 0 */
    ngx_uint_t                    paged;       /* has a limit or cursor */
    ngx_str_t                     name;        /* the id of an event */
    u_char                       *keys;        /* of events to be forgotten */
    ngx_uint_t                    nkeys;
    ngx_trove_spool_target_t     *targets;     /* configured, that match */
    ngx_uint_t                    ntargets;

    ngx_http_trove_api_webhook_t *webhook;

    /* the body, if parse() is set, which checks it before work() */
    ngx_str_t                     body;
    size_t                        body_size;
    ngx_int_t                   (*parse)(ngx_http_trove_api_t *api);
    ngx_int_t                   (*ready)(ngx_http_trove_api_t *api);

    /* why the call is rejected; or NULL */
    const char                   *reject;

    /* the methods of the path, after NGX_HTTP_NOT_ALLOWED */
    ngx_str_t                     allow;

    /* the result */
    void                         *result;      /* ngx_trove_spool_free() */
    void                         *more;        /* the same */
    ngx_int_t                     rc;
    uint64_t                      count;
    ngx_trove_spool_error_t       error;

    void                        (*work)(ngx_http_trove_api_t *api);
    ngx_int_t                   (*render)(ngx_http_trove_api_t *api);

    /* set by work(): it has to be called again; read by the event loop */
    ngx_uint_t                    again;

    /* of ..._api_bulk.c: what was found, and examined by the writer */
    void                        (*bulk)(ngx_http_trove_api_t *api);
    ngx_http_trove_write_t        write;
    int64_t                      *ids;
    ngx_uint_t                    nids;
    ngx_uint_t                    done;

    /* private to the queue */
    ngx_queue_t                   queue;
    ngx_thread_task_t            *task;
    ngx_event_t                   event;       /* posted to resume */
    uint64_t                      round;

    unsigned                      waiting:1;
    unsigned                      started:1;
    unsigned                      closed:1;    /* by the client */
    unsigned                      full:1;      /* too many calls wait */

    /* the result may be incomplete: an exiting worker makes no more steps */
    unsigned                      partial:1;

    unsigned                      wake:1;      /* the dispatcher, afterwards */
};


extern ngx_module_t  ngx_http_trove_api_module;


/*
 * Reads the body of the request into api->body, and calls ready(), which
 * returns the code to finalize the request with.  Returns the code that the
 * content handler must return.
 */
ngx_int_t ngx_http_trove_api_body(ngx_http_trove_api_t *api,
    ngx_int_t (*ready)(ngx_http_trove_api_t *api));

/* Initializes the queue of calls of a worker. */
void ngx_http_trove_api_queue_init(ngx_cycle_t *cycle);

/*
 * Queues a call for a thread.  api->work is called there, and the request is
 * resumed afterwards; the caller suspends it.  The number of waiting calls is
 * bounded; those of a client with many calls are refused first, also later: see
 * api->full.
 *
 * NGX_OK
 * NGX_BUSY      too many calls are waiting
 * NGX_DECLINED  there is no spool
 * NGX_ERROR     out of memory
 */
ngx_int_t ngx_http_trove_api_queue_add(ngx_http_trove_api_t *api);

/* Continues a call that the queue has passed to api->bulk(). */
void ngx_http_trove_api_queue_next(ngx_http_trove_api_t *api);

/*
 * Replay or cancel all deliveries that match, or purge all events that match,
 * or count them.  prepare returns NGX_OK or NGX_HTTP_INTERNAL_SERVER_ERROR;
 * work is called in a thread.
 */
ngx_int_t ngx_http_trove_api_bulk_prepare(ngx_http_trove_api_t *api);
void ngx_http_trove_api_bulk_work(ngx_http_trove_api_t *api);


/*
 * Parses the arguments of the request into the members of api.
 *
 * NULL, or why the arguments are rejected
 */
const char *ngx_http_trove_api_args(ngx_http_trove_api_t *api);

/*
 * Sets *path to the path of the request without the name of the location.  It
 * is decoded, segment by segment, from the URI as it was received; "%2F"
 * becomes NGX_HTTP_TROVE_API_SLASH.  The memory belongs to the request.
 *
 * NULL, or why the path is rejected
 */
const char *ngx_http_trove_api_path(ngx_http_request_t *r, ngx_str_t *path);

/* Returns 1 if the path is one of a login, which a gateway does not have. */
ngx_uint_t ngx_http_trove_api_no_login(ngx_str_t *path);

/*
 * Finds the call by the method and the path, and sets work, render and the
 * arguments in the path.  The path of the call begins with the first "/v1/"
 * that is followed by a name of the API or by nothing.  The path is modified.
 *
 * NGX_OK
 * NGX_HTTP_...  404, also if it is out of the scope of the token, 405 with the
 *               methods in api->allow, 500, or 4xx with the reason in
 *               api->reject
 */
ngx_int_t ngx_http_trove_api_route(ngx_http_trove_api_t *api,
    ngx_str_t *path);

/*
 * The scope of the token of a call.  scoped returns 1 if it is restricted to a
 * workspace or namespace; has, if a workspace may belong to it.  filter
 * restricts the filter of the call to it.
 */
ngx_uint_t ngx_http_trove_api_scoped(ngx_http_trove_api_t *api);
ngx_uint_t ngx_http_trove_api_scope_has(ngx_http_trove_api_t *api,
    ngx_str_t *workspace);
void ngx_http_trove_api_scope_filter(ngx_http_trove_api_t *api);

/*
 * Remove the deliveries that do not belong to the scope from a list, or from
 * *n ids of deliveries.  They are called in a thread.
 *
 * NGX_OK
 * NGX_ERROR  api->error is filled in
 */
ngx_int_t ngx_http_trove_api_scope_deliveries(ngx_http_trove_api_t *api,
    ngx_trove_spool_deliveries_t *list);
ngx_int_t ngx_http_trove_api_scope_ids(ngx_http_trove_api_t *api, int64_t *ids,
    ngx_uint_t *n);

/*
 * The calls.  prepare gets the segments of the path that are not fixed, and
 * returns NGX_OK or NGX_HTTP_..., with the reason in api->reject or NULL; work
 * is called in a thread, and uses the call and the spool only; render sends the
 * result, and returns the code to finalize the request with.
 */

ngx_int_t ngx_http_trove_api_feed_prepare(ngx_http_trove_api_t *api,
    ngx_str_t *segments);
void ngx_http_trove_api_feed_work(ngx_http_trove_api_t *api);
ngx_int_t ngx_http_trove_api_feed_render(ngx_http_trove_api_t *api);

ngx_int_t ngx_http_trove_api_prepare_event(ngx_http_trove_api_t *api,
    ngx_str_t *segments);
ngx_int_t ngx_http_trove_api_prepare_forget(ngx_http_trove_api_t *api,
    ngx_str_t *segments);
ngx_int_t ngx_http_trove_api_prepare_purge(ngx_http_trove_api_t *api,
    ngx_str_t *segments);
ngx_int_t ngx_http_trove_api_prepare_delivery(ngx_http_trove_api_t *api,
    ngx_str_t *segments);
ngx_int_t ngx_http_trove_api_prepare_replay(ngx_http_trove_api_t *api,
    ngx_str_t *segments);
ngx_int_t ngx_http_trove_api_prepare_cancel(ngx_http_trove_api_t *api,
    ngx_str_t *segments);
ngx_int_t ngx_http_trove_api_prepare_pause(ngx_http_trove_api_t *api,
    ngx_str_t *segments);
ngx_int_t ngx_http_trove_api_prepare_resume(ngx_http_trove_api_t *api,
    ngx_str_t *segments);

void ngx_http_trove_api_work_event(ngx_http_trove_api_t *api);
void ngx_http_trove_api_work_forget(ngx_http_trove_api_t *api);
void ngx_http_trove_api_work_deliveries(ngx_http_trove_api_t *api);
void ngx_http_trove_api_work_delivery(ngx_http_trove_api_t *api);
void ngx_http_trove_api_work_action(ngx_http_trove_api_t *api);
void ngx_http_trove_api_work_targets(ngx_http_trove_api_t *api);

/* Pauses or resumes the targets that prepare has found. */
void ngx_http_trove_api_pause(ngx_http_trove_api_t *api);

ngx_int_t ngx_http_trove_api_render_event(ngx_http_trove_api_t *api);
ngx_int_t ngx_http_trove_api_render_deliveries(ngx_http_trove_api_t *api);
ngx_int_t ngx_http_trove_api_render_delivery(ngx_http_trove_api_t *api);
ngx_int_t ngx_http_trove_api_render_targets(ngx_http_trove_api_t *api);
ngx_int_t ngx_http_trove_api_render_action(ngx_http_trove_api_t *api);
ngx_int_t ngx_http_trove_api_render_count(ngx_http_trove_api_t *api);
ngx_int_t ngx_http_trove_api_render_pause(ngx_http_trove_api_t *api);
ngx_int_t ngx_http_trove_api_render_forget(ngx_http_trove_api_t *api);

/* Who the client is.  Without work if no event has to be looked up. */
ngx_int_t ngx_http_trove_api_me_prepare(ngx_http_trove_api_t *api,
    ngx_str_t *segments);
void ngx_http_trove_api_me_work(ngx_http_trove_api_t *api);
ngx_int_t ngx_http_trove_api_me_render(ngx_http_trove_api_t *api);

/*
 * Parses the cursor of a feed.
 *
 * NGX_OK
 * NGX_ERROR  it is not one
 */
ngx_int_t ngx_http_trove_api_feed_cursor(ngx_str_t *value,
    ngx_trove_spool_place_t *place);

/*
 * Subscriptions; see ngx_http_trove_api_webhook.h.  The segments are the
 * workspace and the id.  render sends the one that is changed or found.
 */
ngx_int_t ngx_http_trove_api_webhook_prepare(ngx_http_trove_api_t *api,
    ngx_str_t *segments);
ngx_int_t ngx_http_trove_api_webhook_prepare_create(ngx_http_trove_api_t *api,
    ngx_str_t *segments);
ngx_int_t ngx_http_trove_api_webhook_prepare_change(ngx_http_trove_api_t *api,
    ngx_str_t *segments);
ngx_int_t ngx_http_trove_api_webhook_prepare_rotate(ngx_http_trove_api_t *api,
    ngx_str_t *segments);

void ngx_http_trove_api_webhook_work(ngx_http_trove_api_t *api);
void ngx_http_trove_api_webhook_work_create(ngx_http_trove_api_t *api);
void ngx_http_trove_api_webhook_work_change(ngx_http_trove_api_t *api);
void ngx_http_trove_api_webhook_work_delete(ngx_http_trove_api_t *api);
void ngx_http_trove_api_webhook_work_audit(ngx_http_trove_api_t *api);

ngx_int_t ngx_http_trove_api_webhook_render(ngx_http_trove_api_t *api);
ngx_int_t ngx_http_trove_api_webhook_render_list(ngx_http_trove_api_t *api);
ngx_int_t ngx_http_trove_api_webhook_render_create(ngx_http_trove_api_t *api);
ngx_int_t ngx_http_trove_api_webhook_render_rotate(ngx_http_trove_api_t *api);
ngx_int_t ngx_http_trove_api_webhook_render_delete(ngx_http_trove_api_t *api);
ngx_int_t ngx_http_trove_api_webhook_render_test(ngx_http_trove_api_t *api);
ngx_int_t ngx_http_trove_api_webhook_render_audit(ngx_http_trove_api_t *api);

/*
 * The stream.  It returns the code that the content handler must return.  Its
 * segment is the workspace.
 */
ngx_int_t ngx_http_trove_api_stream_prepare(ngx_http_trove_api_t *api,
    ngx_str_t *segments);
ngx_int_t ngx_http_trove_api_stream(ngx_http_trove_api_t *api);

/* Sends the list of calls.  Returns the code to finalize the request with. */
ngx_int_t ngx_http_trove_api_index(ngx_http_trove_api_t *api);

/*
 * Sends {"detail":"..."} and a status.  Returns the code to finalize the
 * request with.
 */
ngx_int_t ngx_http_trove_api_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *detail);

/*
 * Sends a synthetic event "webhook.test" to the targets with a name, or to all,
 * and responds with their results.  Returns the code that the content handler
 * must return.
 */
ngx_int_t ngx_http_trove_api_test(ngx_http_trove_api_t *api);


#endif /* _NGX_HTTP_TROVE_API_H_INCLUDED_ */
