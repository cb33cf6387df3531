
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_SPOOL_ENGINE_H_INCLUDED_
#define _NGX_TROVE_SPOOL_ENGINE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_spool.h"
#include "ngx_trove_spool_query.h"


/*
 * An engine keeps the spool somewhere: a table of functions, each of which does
 * what that of its name does in ngx_trove_spool.h or ngx_trove_spool_query.h;
 * and what engines share.  Included only by engines, and by those who register
 * them.
 */

typedef struct {
    /*
     * The URIs that the engine is for: those that begin with "SCHEME://".  An
     * empty one is for those that have no scheme.
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
    ngx_int_t                     (*control_all)(ngx_trove_spool_t *spool,
                                      ngx_trove_spool_action_e action,
                                      ngx_trove_spool_filter_t *filter,
                                      int64_t *cursor, uint64_t *count,
                                      ngx_trove_spool_error_t *error);
    ngx_int_t                     (*pause)(ngx_trove_spool_t *spool,
                                      ngx_trove_spool_target_t *target,
                                      ngx_uint_t paused,
                                      ngx_trove_spool_error_t *error);
    ngx_int_t                     (*forget)(ngx_trove_spool_t *spool,
                                      u_char *key,
                                      ngx_trove_spool_error_t *error);

    const char                   *(*remedy)(ngx_trove_spool_error_e kind);
} ngx_trove_spool_engine_t;


/* the first member of the handle of each engine */
struct ngx_trove_spool_s {
    const ngx_trove_spool_engine_t  *engine;
};


#define NGX_TROVE_SPOOL_ENGINES  4


/*
 * Adds an engine, which must live as long as the process.  Adding it again does
 * nothing.  To be called before any thread is started.
 *
 * NGX_OK
 * NGX_ERROR  more than NGX_TROVE_SPOOL_ENGINES
 */
ngx_int_t ngx_trove_spool_register(const ngx_trove_spool_engine_t *engine);


/*
 * Fills in *error.  err is of the system, or 0; fmt is that of printf().
 *
 * NGX_ERROR  always
 */
ngx_int_t ngx_trove_spool_fail(ngx_trove_spool_error_t *error,
    ngx_trove_spool_error_e kind, ngx_err_t err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The kind of an error of the system. */
ngx_trove_spool_error_e ngx_trove_spool_kind(ngx_err_t err);


/*
 * Makes an event for ngx_trove_spool_event_free(), with one reference, and with
 * size bytes behind it for its strings; adds a reference.
 *
 * NULL  out of memory
 */
ngx_trove_spool_event_t *ngx_trove_spool_event_alloc(size_t size);
void ngx_trove_spool_event_ref(ngx_trove_spool_event_t *event);

/*
 * Makes a result, which begins with size bytes, and gets more memory for it,
 * both zeroed.  All of it is freed by ngx_trove_spool_free(result).
 *
 * NULL  out of memory
 */
void *ngx_trove_spool_result(size_t size);
void *ngx_trove_spool_alloc(void *result, size_t size);


#endif /* _NGX_TROVE_SPOOL_ENGINE_H_INCLUDED_ */
