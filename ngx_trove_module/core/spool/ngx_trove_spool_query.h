
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_SPOOL_QUERY_H_INCLUDED_
#define _NGX_TROVE_SPOOL_QUERY_H_INCLUDED_


#include "ngx_trove_spool.h"


/*
 * The spool, for those who look into it and manage it: metrics, lists,
 * replays.  All that is said in ngx_trove_spool.h of threads, errors, strings
 * and times holds here, too.  What only reads holds up nobody that writes.
 */

/* rows that a call looks at */
#define NGX_TROVE_SPOOL_SCAN         10000


/* for metrics */

typedef struct {
    ngx_trove_spool_target_t         target;
    uint64_t                         states[NGX_TROVE_SPOOL_STATES];
    int64_t                          oldest;     /* age of the oldest pending */
    unsigned                         paused:1;
} ngx_trove_spool_gauge_t;


typedef struct {
    uint64_t                         events;
    uint64_t                         states[NGX_TROVE_SPOOL_STATES];
    int64_t                          oldest;     /* age, 0 if none is pending */
    uint64_t                         max_size;   /* bytes; 0: no limit */
    uint64_t                         used;       /* bytes, of max_size */
    uint64_t                         history;    /* of used, about */
    uint64_t                         size;       /* PATH and PATH-wal */

    ngx_trove_spool_gauge_t         *targets;    /* by route and name */
    ngx_uint_t                       ntargets;
} ngx_trove_spool_stat_t;


/*
 * Counts what is in the spool.  All but the ages are counters that are kept in
 * the file; the ages read through an index of what is pending.
 *
 * history is what events take of which no delivery is pending, by their number
 * and the mean size.  How many have a pending one is not counted: of those of a
 * route, at least as many as its target with most of them has.
 *
 * The reading connection.  To be freed by ngx_trove_spool_free().
 *
 * NULL  an error
 */
ngx_trove_spool_stat_t *ngx_trove_spool_stat(ngx_trove_spool_t *spool,
    ngx_trove_spool_error_t *error);


/* For lists.  What is absent, or 0, does not restrict. */
typedef struct {
    ngx_uint_t                       states;     /* a mask; deliveries only */
    ngx_str_t                        target;     /* likewise */
    ngx_str_t                        route;
    ngx_str_t                        workspace;
    ngx_str_t                        id;         /* of the event */
    ngx_str_t                       *types;      /* exact, or "prefix*" */
    ngx_uint_t                       ntypes;
    ngx_str_t                       *namespaces; /* likewise */
    ngx_uint_t                       nnamespaces;
    int64_t                          since;      /* received then or later */
    int64_t                          until;      /* received before */
} ngx_trove_spool_filter_t;


typedef struct {
    ngx_uint_t                       n;          /* the attempt: 1, .. */
    int64_t                          started;    /* wall clock */
    int64_t                          took;
    ngx_uint_t                       status;     /* 0: there was no response */
    ngx_str_t                        reason;
    ngx_str_t                        response;
} ngx_trove_spool_attempt_t;


typedef struct {
    int64_t                          id;
    ngx_trove_spool_target_t         target;
    ngx_trove_spool_state_e          state;
    ngx_uint_t                       attempts;   /* that were made, ever */

    /*
     * NEW, RETRY: when it is due; LEASED: when the lease ends; final: since
     * when it is.  Wall clock.
     */
    int64_t                          due;

    /* when the present window of attempts began: accept or replay */
    int64_t                          opened;

    /* in a list: the last one, if any; of a single delivery: all, in order */
    ngx_trove_spool_attempt_t       *history;
    ngx_uint_t                       nhistory;

    unsigned                         paused:1;   /* its target is */

    /* without the body; shared */
    ngx_trove_spool_event_t         *event;
} ngx_trove_spool_delivery_t;


/*
 * Pages of a list, newest first.  A call looks at ..._SCAN rows at most, so a
 * page may have less than was asked for, even nothing, and there be more: what
 * counts is next.
 *
 * The cursor is 0 for the first page, then next of the one before.  It stays
 * good while rows come and go.
 */

typedef struct {
    ngx_trove_spool_event_t         *events;
    ngx_uint_t                       n;
    int64_t                          next;       /* 0: there is no more */
} ngx_trove_spool_events_t;


typedef struct {
    ngx_trove_spool_delivery_t      *deliveries;
    ngx_uint_t                       n;
    int64_t                          next;       /* 0: there is no more */
} ngx_trove_spool_deliveries_t;


/*
 * A page of events, with their bodies: limit events and max_bytes of bodies at
 * most, but one at least.
 *
 * The reading connection.  To be freed by ngx_trove_spool_free().
 *
 * NULL  an error
 */
ngx_trove_spool_events_t *ngx_trove_spool_events(ngx_trove_spool_t *spool,
    ngx_trove_spool_filter_t *filter, int64_t cursor, ngx_uint_t limit,
    size_t max_bytes, ngx_trove_spool_error_t *error);

/*
 * A page of deliveries.
 *
 * The reading connection.  To be freed by ngx_trove_spool_free().
 *
 * NULL  an error
 */
ngx_trove_spool_deliveries_t *ngx_trove_spool_deliveries(
    ngx_trove_spool_t *spool, ngx_trove_spool_filter_t *filter, int64_t cursor,
    ngx_uint_t limit, ngx_trove_spool_error_t *error);

/*
 * One delivery; or, by the number of an event, all of that event.  With all
 * their attempts.  n is 0 if there is none.
 *
 * The reading connection.  To be freed by ngx_trove_spool_free().
 *
 * NULL  an error
 */
ngx_trove_spool_deliveries_t *ngx_trove_spool_delivery(
    ngx_trove_spool_t *spool, int64_t id, ngx_trove_spool_error_t *error);
ngx_trove_spool_deliveries_t *ngx_trove_spool_event_deliveries(
    ngx_trove_spool_t *spool, int64_t number, ngx_trove_spool_error_t *error);

/*
 * One event, with its body: by its number, or, if key is not NULL, by its key.
 * n is 0 if there is none.
 *
 * The reading connection.  To be freed by ngx_trove_spool_free().
 *
 * NULL  an error
 */
ngx_trove_spool_events_t *ngx_trove_spool_event(ngx_trove_spool_t *spool,
    int64_t number, u_char *key, ngx_trove_spool_error_t *error);

/* Frees what the functions above returned; NULL is allowed. */
void ngx_trove_spool_free(void *result);


typedef enum {
    NGX_TROVE_SPOOL_REPLAY,

    /* the same, but nothing is done: for a dry run */
    NGX_TROVE_SPOOL_REPLAY_COUNT,

    NGX_TROVE_SPOOL_CANCEL,
    NGX_TROVE_SPOOL_CANCEL_COUNT
} ngx_trove_spool_action_e;


/*
 * Replays or cancels one delivery.
 *
 * Replay: makes it RETRY, due at once, with a new window.  One that waits is
 * likewise due at once.  Cancel: makes it CANCELLED; if it is leased, the
 * attempt that is under way goes on, and is recorded.
 *
 * The writing connection.
 *
 * NGX_OK
 * NGX_DECLINED  there is no such delivery
 * NGX_BUSY      replay: it is leased, an attempt is under way; cancel: it is
 *               final already
 * NGX_ERROR
 */
ngx_int_t ngx_trove_spool_control(ngx_trove_spool_t *spool,
    ngx_trove_spool_action_e action, int64_t id,
    ngx_trove_spool_error_t *error);

/*
 * Replays or cancels those that match the filter, newest first, a bounded
 * number in one transaction; those for which the function above would return
 * NGX_BUSY are passed over.  Adds their number to *count, and puts into
 * *cursor, 0 for the first call, what the next call is to be given; 0 if it is
 * through.  No delivery is acted upon twice, whatever happens to it meanwhile.
 *
 * The writing connection; the reading one for ..._COUNT.
 *
 * NGX_OK
 * NGX_ERROR
 */
ngx_int_t ngx_trove_spool_control_all(ngx_trove_spool_t *spool,
    ngx_trove_spool_action_e action, ngx_trove_spool_filter_t *filter,
    int64_t *cursor, uint64_t *count, ngx_trove_spool_error_t *error);

/*
 * Pauses a target, or lets it go on.  Nothing is leased for a paused one; what
 * is leased already stays so.  With target->route absent, all of that name; if
 * it is given, the target need not have had an event yet.
 *
 * The writing connection.
 *
 * NGX_OK
 * NGX_DECLINED  there is no target of that name
 * NGX_ERROR
 */
ngx_int_t ngx_trove_spool_pause(ngx_trove_spool_t *spool,
    ngx_trove_spool_target_t *target, ngx_uint_t paused,
    ngx_trove_spool_error_t *error);

/*
 * Forgets the key of an event, which stays, so that it is accepted again.
 *
 * The writing connection.
 *
 * NGX_OK
 * NGX_DECLINED  there is no such key
 * NGX_ERROR
 */
ngx_int_t ngx_trove_spool_forget(ngx_trove_spool_t *spool, u_char *key,
    ngx_trove_spool_error_t *error);


#endif /* _NGX_TROVE_SPOOL_QUERY_H_INCLUDED_ */
