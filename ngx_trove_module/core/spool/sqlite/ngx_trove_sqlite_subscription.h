
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_SQLITE_SUBSCRIPTION_H_INCLUDED_
#define _NGX_TROVE_SQLITE_SUBSCRIPTION_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_db.h"


/*
 * Subscriptions.  The functions with a first argument base implement those of
 * ngx_trove_spool_subscription.h.
 */


/* milliseconds until the next attempt after a failure without a delay */
#define NGX_TROVE_SQLITE_PROBE  60000


/*
 * A row of the table subscription.  The strings are a copy, which is wiped and
 * freed by ngx_trove_sqlite_subscriber_done().
 */
typedef struct {
    int64_t                      number;
    int64_t                      version;
    int64_t                      failures;
    int64_t                      failing;
    int64_t                      probe;          /* no attempt before */
    int64_t                      until;
    unsigned                     enabled:1;
    unsigned                     removed:1;

    ngx_str_t                    reason;
    ngx_str_t                    id;
    ngx_str_t                    workspace;
    ngx_str_t                    namespace;
    ngx_str_t                    url;
    ngx_str_t                    secret;
    ngx_str_t                    previous;
    ngx_str_t                    events;         /* lines */

    u_char                      *data;
    size_t                       size;
} ngx_trove_sqlite_subscriber_t;


/* ngx_trove_sqlite_subscriber.c */

/*
 * Reads a row; the strings are absent unless strings is 1.  NGX_DECLINED: there
 * is none.
 */
ngx_int_t ngx_trove_sqlite_subscriber_get(ngx_trove_sqlite_db_t *db,
    int64_t number, ngx_uint_t strings, ngx_trove_sqlite_subscriber_t *sub);
void ngx_trove_sqlite_subscriber_done(ngx_trove_sqlite_subscriber_t *sub);

/* creates the subscriber of a lease, with one reference; NGX_DECLINED: none */
ngx_int_t ngx_trove_sqlite_subscriber_load(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, int64_t number,
    ngx_trove_spool_subscriber_t **subscriber);

/* sets *busy to 1 if a delivery has a lease that expires after now */
ngx_int_t ngx_trove_sqlite_subscriber_busy(ngx_trove_sqlite_db_t *db,
    int64_t number, int64_t now, ngx_uint_t *busy);


/* ngx_trove_sqlite_health.c */

/*
 * Records the outcome of an attempt in the row of the subscription, which is
 * disabled if necessary.  If notice is 0, there is no space for its event.
 */
ngx_int_t ngx_trove_sqlite_health(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_op_t *op, int64_t target,
    int64_t number, ngx_uint_t notice);


/* ngx_trove_sqlite_pattern.c */

/* adds (by is 1) or removes (-1) the patterns of a subscription */
ngx_int_t ngx_trove_sqlite_pattern_set(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_subscriber_t *sub, int by);

/* counts a subscription; NGX_DECLINED: there are too many */
ngx_int_t ngx_trove_sqlite_pattern_member(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_subscriber_t *sub, int by);

/*
 * Finds the subscriptions that match an event: their numbers, in ascending
 * order, to be freed with free().
 */
ngx_int_t ngx_trove_sqlite_pattern_match(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_event_t *event, int64_t **numbers, ngx_uint_t *n);


/*
 * Disables a subscription: removes its patterns, and pauses its targets.  Its
 * row is not changed.
 */
ngx_int_t ngx_trove_sqlite_pattern_disable(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_subscriber_t *sub);


/* ngx_trove_sqlite_audit.c: adds a line of the audit log */

ngx_int_t ngx_trove_sqlite_audit_add(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_sqlite_subscriber_t *sub,
    const char *action, ngx_trove_spool_actor_t *actor);


/* ngx_trove_sqlite_removed.c */

/*
 * NGX_OK        the target is none of a removed subscription
 * NGX_DECLINED  it is
 */
ngx_int_t ngx_trove_sqlite_removed_is(ngx_trove_sqlite_db_t *db,
    int64_t target);

/* removes the rows of a removed subscription without deliveries */
ngx_int_t ngx_trove_sqlite_removed_rows(ngx_trove_sqlite_db_t *db,
    int64_t number);

/*
 * A piece of the work for removed subscriptions, and for replaced secrets.
 *
 * NGX_OK     there is nothing to do
 * NGX_AGAIN  there may be more
 * NGX_ERROR
 */
ngx_int_t ngx_trove_sqlite_removed(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);

/*
 * Cancels pending deliveries of a subscription in a transaction, for a few
 * milliseconds.  NGX_AGAIN: there are more.
 */
ngx_int_t ngx_trove_sqlite_removed_cancel(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, int64_t number);


ngx_int_t ngx_trove_sqlite_subscribe(ngx_trove_spool_t *base,
    ngx_trove_spool_subscription_t *subscription,
    ngx_trove_spool_actor_t *actor, ngx_trove_spool_error_t *error);
ngx_int_t ngx_trove_sqlite_change(ngx_trove_spool_t *base,
    ngx_trove_spool_scope_t *scope, ngx_str_t *id,
    ngx_trove_spool_change_t *change, ngx_trove_spool_actor_t *actor,
    ngx_trove_spool_error_t *error);
ngx_int_t ngx_trove_sqlite_unsubscribe(ngx_trove_spool_t *base,
    ngx_trove_spool_scope_t *scope, ngx_str_t *id,
    ngx_trove_spool_actor_t *actor, ngx_trove_spool_error_t *error);
ngx_trove_spool_subscriptions_t *ngx_trove_sqlite_subscriptions(
    ngx_trove_spool_t *base, ngx_trove_spool_scope_t *scope, ngx_str_t *id,
    int64_t cursor, ngx_uint_t limit, ngx_trove_spool_error_t *error);
ngx_trove_spool_audits_t *ngx_trove_sqlite_audit(ngx_trove_spool_t *base,
    ngx_trove_spool_scope_t *scope, int64_t cursor, ngx_uint_t limit,
    ngx_trove_spool_error_t *error);


#endif /* _NGX_TROVE_SQLITE_SUBSCRIPTION_H_INCLUDED_ */
