
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_SPOOL_SUBSCRIPTION_H_INCLUDED_
#define _NGX_TROVE_SPOOL_SUBSCRIPTION_H_INCLUDED_


#include "ngx_trove_spool.h"


/*
 * Subscriptions: targets that are created at run time, and kept in the spool.
 * The rules of ngx_trove_spool.h for threads, errors, strings and times apply
 * here as well.
 *
 * A subscription belongs to a workspace.  It receives the events of the
 * workspace, or of one namespace of it, whose types match one of its patterns.
 * An event accepted with accept->subscribed gets a delivery for each of them,
 * in the same transaction: so a subscription receives the events that are
 * accepted after ngx_trove_spool_subscribe() has returned, in any process, and
 * none that are accepted after ngx_trove_spool_unsubscribe() has returned.
 *
 * Its deliveries are those of a target with the route of the event, and with
 * the id of the subscription as the name.  The target is created with the
 * first event.  All functions that take the name of a target accept it.
 *
 *   subscribe --> ENABLED --change--> PAUSED
 *                  | ^ ^                 |
 *                  | | +-----change------+
 *     410, or all  | |
 *     attempts     | +--change--+
 *     failed       v            |
 *     too long   DISABLED ------+
 *
 *   any of them --unsubscribe--> removed; its pending deliveries are cancelled
 *
 * A paused subscription still gets its events, which wait until it is enabled.
 * A disabled one gets no new events; those that wait are kept.
 *
 * After NGX_TROVE_SPOOL_FAILURES failed attempts in a row, at most one delivery
 * of a subscription is leased at a time, in all processes together, until an
 * attempt succeeds.
 *
 * The spool does not interpret the URL, and does not open the sealed secrets.
 */

#define NGX_TROVE_SPOOL_FAILURES          5

/* limits; a caller checks strings before, the spool rejects longer ones */
#define NGX_TROVE_SPOOL_SUBSCRIPTIONS     100000   /* of a workspace */
#define NGX_TROVE_SPOOL_SAME              30000    /* of a namespace or none */
#define NGX_TROVE_SPOOL_PATTERNS          100
#define NGX_TROVE_SPOOL_NAME_LEN          255      /* id, pattern, namespace */
#define NGX_TROVE_SPOOL_URL_LEN           2048
#define NGX_TROVE_SPOOL_DESCRIPTION_LEN   1000
#define NGX_TROVE_SPOOL_SEALED_LEN        512

/* the number of the last changes that are kept, and their maximum length */
#define NGX_TROVE_SPOOL_AUDIT             100000
#define NGX_TROVE_SPOOL_DETAIL_LEN        500


/*
 * The subscription of a delivery, as it was when the delivery was leased.
 */
struct ngx_trove_spool_subscriber_s {
    ngx_str_t                        id;         /* the name of the target */
    ngx_str_t                        workspace;
    ngx_str_t                        namespace;  /* absent: all */
    ngx_str_t                        url;
    ngx_str_t                        secret;     /* sealed */
    ngx_str_t                        previous;   /* sealed; may be absent */
    int64_t                          until;      /* previous is used so long */
    uint64_t                         version;    /* of url and secrets; not 0 */
    ngx_uint_t                       failures;   /* attempts, in a row */
};


/* who may see a subscription; an absent namespace does not restrict */
typedef struct {
    ngx_str_t                        workspace;
    ngx_str_t                        namespace;
} ngx_trove_spool_scope_t;


/* a line of the audit log, written in the transaction of the change */
typedef struct {
    ngx_str_t                        actor;      /* the name of the token */
    ngx_str_t                        detail;     /* one line, no secrets */
} ngx_trove_spool_actor_t;


typedef struct {
    ngx_str_t                        id;
    ngx_str_t                        workspace;
    ngx_str_t                        namespace;  /* absent: all */
    ngx_str_t                       *events;     /* exact, or "prefix*" */
    ngx_uint_t                       nevents;
    ngx_str_t                        url;
    ngx_str_t                        description;   /* may be absent */

    ngx_str_t                        secret;     /* sealed */
    ngx_str_t                        previous;   /* sealed; may be absent */
    int64_t                          until;      /* previous is used so long */

    /* why the spool has disabled it: "gone", "failing"; or absent */
    ngx_str_t                        reason;
    unsigned                         enabled:1;

    /* results; times are of the wall clock, 0: never */
    int64_t                          created;
    int64_t                          changed;
    int64_t                          disabled;
    uint64_t                         version;    /* of url and secrets */

    ngx_uint_t                       failures;   /* in a row */
    int64_t                          failing;    /* since this time */
    int64_t                          last;       /* start of last attempt */
    ngx_uint_t                       last_status;   /* 0: no response */
    unsigned                         last_ok:1;

    /* deliveries in the spool */
    uint64_t                         states[NGX_TROVE_SPOOL_STATES];
} ngx_trove_spool_subscription_t;


typedef struct {
    ngx_trove_spool_subscription_t  *subscriptions;
    ngx_uint_t                       n;
    int64_t                          next;       /* 0: no more */
} ngx_trove_spool_subscriptions_t;


/* changes of a subscription: what is to be changed, and the new value */
typedef struct {
    ngx_str_t                        url;
    ngx_str_t                       *events;
    ngx_uint_t                       nevents;
    ngx_str_t                        namespace;
    ngx_str_t                        description;
    ngx_str_t                        secret;     /* the old one is previous */
    int64_t                          until;

    unsigned                         enabled:1;

    unsigned                         set_url:1;
    unsigned                         set_events:1;
    unsigned                         set_namespace:1;
    unsigned                         set_description:1;
    unsigned                         set_secret:1;
    unsigned                         set_enabled:1;
} ngx_trove_spool_change_t;


/*
 * Stores a subscription: its members down to enabled; created is set.
 *
 * Uses the writing connection.
 *
 * NGX_OK
 * NGX_BUSY      the id exists
 * NGX_DECLINED  the workspace or the namespace has too many subscriptions
 * NGX_ERROR     *error is filled in
 */
ngx_int_t ngx_trove_spool_subscribe(ngx_trove_spool_t *spool,
    ngx_trove_spool_subscription_t *subscription,
    ngx_trove_spool_actor_t *actor, ngx_trove_spool_error_t *error);

/*
 * Changes a subscription.  A change of events or namespace applies to events
 * accepted after the function has returned.  No attempt with a replaced URL or
 * secret begins after the function has returned, in any process; attempts that
 * have begun before continue.  If enabled is set to 0, no attempt begins
 * either; if it is set to 1, the reason and the failures are cleared.
 *
 * Uses the writing connection.
 *
 * NGX_OK
 * NGX_DECLINED  there is no such subscription in the scope
 * NGX_BUSY      the new namespace has too many subscriptions
 * NGX_ERROR     *error is filled in
 */
ngx_int_t ngx_trove_spool_change(ngx_trove_spool_t *spool,
    ngx_trove_spool_scope_t *scope, ngx_str_t *id,
    ngx_trove_spool_change_t *change, ngx_trove_spool_actor_t *actor,
    ngx_trove_spool_error_t *error);

/*
 * Removes a subscription.  No attempt begins after the function has returned,
 * in any process.  Its pending deliveries become CANCELLED, at once for all
 * readers or, if there are many, in steps of ngx_trove_spool_maintain().
 *
 * Uses the writing connection.
 *
 * NGX_OK
 * NGX_DECLINED  there is no such subscription in the scope
 * NGX_ERROR     *error is filled in
 */
ngx_int_t ngx_trove_spool_unsubscribe(ngx_trove_spool_t *spool,
    ngx_trove_spool_scope_t *scope, ngx_str_t *id,
    ngx_trove_spool_actor_t *actor, ngx_trove_spool_error_t *error);

/*
 * Returns a page of the subscriptions in the scope, oldest first, at most limit
 * of them, or, if id is not NULL, the one with this id.  Only the latter has
 * its sealed secrets.  The cursor is 0 for the first page, and next of the
 * previous page for the others.
 *
 * Uses the reading connection.  The result is freed by ngx_trove_spool_free().
 *
 * NULL  *error is filled in
 */
ngx_trove_spool_subscriptions_t *ngx_trove_spool_subscriptions(
    ngx_trove_spool_t *spool, ngx_trove_spool_scope_t *scope, ngx_str_t *id,
    int64_t cursor, ngx_uint_t limit, ngx_trove_spool_error_t *error);


typedef struct {
    int64_t                          at;         /* wall clock */
    ngx_str_t                        actor;
    ngx_str_t                        action;     /* "create", "change", .. */
    ngx_str_t                        id;         /* of the subscription */
    ngx_str_t                        namespace;
    ngx_str_t                        detail;
} ngx_trove_spool_audit_t;


typedef struct {
    ngx_trove_spool_audit_t         *lines;
    ngx_uint_t                       n;
    int64_t                          next;       /* 0: no more */
} ngx_trove_spool_audits_t;


/*
 * Returns a page of the audit log of a scope, newest first.  Actions are
 * "create", "change", "rotate", "delete", and "disable", whose actor is the
 * spool itself and absent.
 *
 * Uses the reading connection.  The result is freed by ngx_trove_spool_free().
 *
 * NULL  *error is filled in
 */
ngx_trove_spool_audits_t *ngx_trove_spool_audit(ngx_trove_spool_t *spool,
    ngx_trove_spool_scope_t *scope, int64_t cursor, ngx_uint_t limit,
    ngx_trove_spool_error_t *error);


#endif /* _NGX_TROVE_SPOOL_SUBSCRIPTION_H_INCLUDED_ */
