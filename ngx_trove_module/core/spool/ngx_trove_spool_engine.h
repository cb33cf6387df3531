
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_SPOOL_ENGINE_H_INCLUDED_
#define _NGX_TROVE_SPOOL_ENGINE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_spool.h"
#include "ngx_trove_spool_query.h"
#include "ngx_trove_spool_subscription.h"


/*
 * An engine: a table of functions that implement the functions of the same
 * names in ngx_trove_spool.h and ngx_trove_spool_query.h, and helpers for
 * engines.  Included only by engines and by the code that registers them.
 */

typedef struct {
    /*
     * Scheme of the URIs that the engine handles, "SCHEME://".  An empty
     * string stands for URIs without a scheme.
     */
    ngx_str_t                       scheme;

    ngx_int_t                     (*check)(ngx_str_t *uri,
                                      ngx_trove_spool_error_t *error);
    ngx_int_t                     (*own)(ngx_str_t *uri, ngx_uint_t first,
                                      ngx_fd_t *fd,
                                      ngx_trove_spool_error_t *error);
    ngx_int_t                     (*prepare)(ngx_trove_spool_conf_t *conf,
                                      ngx_trove_spool_user_t *user,
                                      ngx_trove_spool_error_t *error);

    ngx_trove_spool_t            *(*create)(ngx_trove_spool_conf_t *conf);
    ngx_int_t                     (*open)(ngx_trove_spool_t *spool,
                                      ngx_trove_spool_error_t *error);
    void                          (*destroy)(ngx_trove_spool_t *spool);

    ngx_int_t                     (*write)(ngx_trove_spool_t *spool,
                                      ngx_trove_spool_op_t *ops,
                                      ngx_trove_spool_cost_t *cost,
                                      ngx_trove_spool_error_t *error);
    uint64_t                      (*generation)(ngx_trove_spool_t *spool);
    ngx_int_t                     (*maintain)(ngx_trove_spool_t *spool,
                                      ngx_trove_spool_maintained_t *maintained,
                                      ngx_trove_spool_error_t *error);

    ngx_trove_spool_stat_t       *(*stat)(ngx_trove_spool_t *spool,
                                      ngx_trove_spool_error_t *error);
    ngx_trove_spool_events_t     *(*events)(ngx_trove_spool_t *spool,
                                      ngx_trove_spool_filter_t *filter,
                                      int64_t cursor, ngx_uint_t limit,
                                      size_t max_bytes,
                                      ngx_trove_spool_error_t *error);
    ngx_int_t                     (*feed)(ngx_trove_spool_t *spool,
                                      ngx_trove_spool_feed_t *feed,
                                      ngx_trove_spool_error_t *error);
    ngx_trove_spool_follow_t     *(*follow)(ngx_trove_spool_t *spool,
                                      ngx_trove_spool_filter_t *filter,
                                      int64_t after, ngx_uint_t limit,
                                      size_t max_bytes,
                                      ngx_trove_spool_error_t *error);
    int64_t                       (*last)(ngx_trove_spool_t *spool,
                                      ngx_trove_spool_error_t *error);
    int64_t                       (*seek)(ngx_trove_spool_t *spool,
                                      int64_t received,
                                      ngx_trove_spool_error_t *error);
    ngx_trove_spool_events_t     *(*event)(ngx_trove_spool_t *spool,
                                      int64_t number, u_char *key,
                                      ngx_trove_spool_error_t *error);
    ngx_trove_spool_deliveries_t *(*deliveries)(ngx_trove_spool_t *spool,
                                      ngx_trove_spool_filter_t *filter,
                                      int64_t cursor, ngx_uint_t limit,
                                      ngx_trove_spool_error_t *error);
    ngx_trove_spool_deliveries_t *(*delivery)(ngx_trove_spool_t *spool,
                                      int64_t id,
                                      ngx_trove_spool_error_t *error);
    ngx_trove_spool_deliveries_t *(*event_deliveries)(ngx_trove_spool_t *spool,
                                      int64_t number,
                                      ngx_trove_spool_error_t *error);

    ngx_int_t                     (*control)(ngx_trove_spool_t *spool,
                                      ngx_trove_spool_action_e action,
                                      int64_t id,
                                      ngx_trove_spool_error_t *error);
    ngx_int_t                     (*select)(ngx_trove_spool_t *spool,
                                      ngx_trove_spool_action_e action,
                                      ngx_trove_spool_filter_t *filter,
                                      int64_t *cursor, int64_t *ids,
                                      ngx_uint_t *n,
                                      ngx_trove_spool_error_t *error);
    ngx_int_t                     (*pause)(ngx_trove_spool_t *spool,
                                      ngx_trove_spool_target_t *target,
                                      ngx_uint_t paused,
                                      ngx_trove_spool_error_t *error);
    ngx_int_t                     (*forget)(ngx_trove_spool_t *spool,
                                      u_char *key,
                                      ngx_trove_spool_error_t *error);

    ngx_int_t                     (*subscribe)(ngx_trove_spool_t *spool,
                                      ngx_trove_spool_subscription_t *sub,
                                      ngx_trove_spool_actor_t *actor,
                                      ngx_trove_spool_error_t *error);
    ngx_int_t                     (*change)(ngx_trove_spool_t *spool,
                                      ngx_trove_spool_scope_t *scope,
                                      ngx_str_t *id,
                                      ngx_trove_spool_change_t *change,
                                      ngx_trove_spool_actor_t *actor,
                                      ngx_trove_spool_error_t *error);
    ngx_int_t                     (*unsubscribe)(ngx_trove_spool_t *spool,
                                      ngx_trove_spool_scope_t *scope,
                                      ngx_str_t *id,
                                      ngx_trove_spool_actor_t *actor,
                                      ngx_trove_spool_error_t *error);
    ngx_trove_spool_subscriptions_t *(*subscriptions)(ngx_trove_spool_t *spool,
                                      ngx_trove_spool_scope_t *scope,
                                      ngx_str_t *id, int64_t cursor,
                                      ngx_uint_t limit,
                                      ngx_trove_spool_error_t *error);
    ngx_trove_spool_audits_t     *(*audit)(ngx_trove_spool_t *spool,
                                      ngx_trove_spool_scope_t *scope,
                                      int64_t cursor, ngx_uint_t limit,
                                      ngx_trove_spool_error_t *error);

    const char                   *(*remedy)(ngx_trove_spool_error_e kind);
} ngx_trove_spool_engine_t;


/* first member of the handle of each engine */
struct ngx_trove_spool_s {
    const ngx_trove_spool_engine_t  *engine;
};


#define NGX_TROVE_SPOOL_ENGINES  4


/*
 * Registers an engine, which must exist as long as the process.  Registering
 * it again does nothing.  Must be called before any thread is started.
 *
 * NGX_OK
 * NGX_ERROR  more than NGX_TROVE_SPOOL_ENGINES
 */
ngx_int_t ngx_trove_spool_register(const ngx_trove_spool_engine_t *engine);


/*
 * Fills in *error and returns NGX_ERROR.  err is a system error code or 0.
 * fmt and the arguments are those of printf(); the text is truncated if
 * necessary.
 */
ngx_int_t ngx_trove_spool_fail(ngx_trove_spool_error_t *error,
    ngx_trove_spool_error_e kind, ngx_err_t err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Returns the kind of a system error. */
ngx_trove_spool_error_e ngx_trove_spool_kind(ngx_err_t err);


/*
 * ngx_trove_spool_event_alloc() creates an event with one reference, followed
 * by size bytes for its strings.  ngx_trove_spool_event_ref() adds a
 * reference.  Each reference is dropped by ngx_trove_spool_event_free().
 *
 * NULL  out of memory
 */
ngx_trove_spool_event_t *ngx_trove_spool_event_alloc(size_t size);
void ngx_trove_spool_event_ref(ngx_trove_spool_event_t *event);

/* The same for a subscriber, which is wiped before it is freed. */
ngx_trove_spool_subscriber_t *ngx_trove_spool_subscriber_alloc(size_t size);
void ngx_trove_spool_subscriber_ref(ngx_trove_spool_subscriber_t *subscriber);

/*
 * ngx_trove_spool_result() creates a result of size bytes,
 * ngx_trove_spool_alloc() allocates size more bytes for it.  Both are zeroed,
 * and all of it is freed by ngx_trove_spool_free(result).
 *
 * NULL  out of memory
 */
void *ngx_trove_spool_result(size_t size);
void *ngx_trove_spool_alloc(void *result, size_t size);


#endif /* _NGX_TROVE_SPOOL_ENGINE_H_INCLUDED_ */
