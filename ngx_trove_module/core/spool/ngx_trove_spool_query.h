
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_SPOOL_QUERY_H_INCLUDED_
#define _NGX_TROVE_SPOOL_QUERY_H_INCLUDED_


#include "ngx_trove_spool.h"


/*
 * Queries and management of the spool: metrics, lists, replays.  The rules of
 * ngx_trove_spool.h for threads, errors, strings and times apply here as well.
 * Functions that only read do not block writers.
 */

/* rows examined by a call */
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
    uint64_t                         history;    /* of used, estimated */
    uint64_t                         size;       /* PATH and PATH-wal */

    /*
     * By route and name.  The subscriptions with a route have one gauge, with
     * the name NGX_TROVE_SPOOL_SUBSCRIBERS.
     */
    ngx_trove_spool_gauge_t         *targets;
    ngx_uint_t                       ntargets;

    uint64_t                         subscriptions;
    uint64_t                         disabled;   /* of these, by the spool */
} ngx_trove_spool_stat_t;


/*
 * Returns the counters of the spool.  All but the ages are counters stored in
 * the file; the ages are read from an index of pending deliveries.
 *
 * history estimates the bytes used by events without a pending delivery, from
 * their number and mean size.  The number of events with a pending delivery is
 * not counted.  It is estimated for each route as that of the target with the
 * most pending deliveries, which is the least it can be.
 *
 * Uses the reading connection.  The result is freed by ngx_trove_spool_free().
 *
 * NULL  *error is filled in
 */
ngx_trove_spool_stat_t *ngx_trove_spool_stat(ngx_trove_spool_t *spool,
    ngx_trove_spool_error_t *error);


/* Filter of a list.  An absent or zero member does not restrict the list. */
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

/*
 * Returns 1 if an event, whose body is not needed, matches the filter, apart
 * from states and target; 0 otherwise.
 */
ngx_uint_t ngx_trove_spool_match(ngx_trove_spool_filter_t *filter,
    ngx_trove_spool_event_t *event);

/* Returns 1 if wanted is absent or equal to s, 0 otherwise. */
ngx_uint_t ngx_trove_spool_match_one(ngx_str_t *wanted, ngx_str_t *s);


typedef struct {
    ngx_uint_t                       n;          /* the attempt: 1, .. */
    int64_t                          started;    /* wall clock */
    int64_t                          took;
    ngx_uint_t                       status;     /* 0: no response */
    ngx_str_t                        reason;
    ngx_str_t                        response;
} ngx_trove_spool_attempt_t;


typedef struct {
    int64_t                          id;
    ngx_trove_spool_target_t         target;
    ngx_trove_spool_state_e          state;
    ngx_uint_t                       attempts;   /* ever made */

    /*
     * Wall clock.  NEW, RETRY: when it is due; LEASED: when the lease expires;
     * final: when it became final.
     */
    int64_t                          due;

    /* start of the current window of attempts: accept or replay */
    int64_t                          opened;

    /* in a list: the last one, if any; of a single delivery: all, in order */
    ngx_trove_spool_attempt_t       *history;
    ngx_uint_t                       nhistory;

    unsigned                         paused:1;   /* of its target */

    /* without the body; shared */
    ngx_trove_spool_event_t         *event;
} ngx_trove_spool_delivery_t;


/*
 * Pages of a list, newest first.  A call examines at most NGX_TROVE_SPOOL_SCAN
 * rows.  So a page may have fewer elements than requested, even none, although
 * there are more: check next.
 *
 * The cursor is 0 for the first page, and next of the previous page for the
 * others.  It remains valid when rows are added or removed.
 */

typedef struct {
    ngx_trove_spool_event_t         *events;
    ngx_uint_t                       n;
    int64_t                          next;       /* 0: no more */
} ngx_trove_spool_events_t;


typedef struct {
    ngx_trove_spool_delivery_t      *deliveries;
    ngx_uint_t                       n;
    int64_t                          next;       /* 0: no more */
} ngx_trove_spool_deliveries_t;


/*
 * Returns a page of events with their bodies: at most limit events and
 * max_bytes bytes of bodies, but at least one event.
 *
 * Uses the reading connection.  The result is freed by ngx_trove_spool_free().
 *
 * NULL  *error is filled in
 */
ngx_trove_spool_events_t *ngx_trove_spool_events(ngx_trove_spool_t *spool,
    ngx_trove_spool_filter_t *filter, int64_t cursor, ngx_uint_t limit,
    size_t max_bytes, ngx_trove_spool_error_t *error);

/* nanoseconds since the epoch: the time that an event is sorted by in a feed */
int64_t ngx_trove_spool_created(ngx_trove_spool_event_t *event);


/*
 * A place in a feed, from which the next page continues.  All members are 0 for
 * the first page.  The events between from and reach have been examined.  Of
 * these, the events up to the last one of the page have been returned.
 */
typedef struct {
    int64_t                          from;       /* numbers of events */
    int64_t                          reach;
    int64_t                          created;    /* the last one returned */
    int64_t                          number;
} ngx_trove_spool_place_t;


/* maximum number of events on a page of a feed */
#define NGX_TROVE_SPOOL_FEED         500


typedef struct {
    int64_t                          created;
    int64_t                          number;
} ngx_trove_spool_feed_item_t;


/*
 * A feed: pages of events sorted by created_at, or by the time of receipt for
 * events without a valid created_at; events with the same time by their
 * numbers.
 *
 * Without since, the pages go from the newest event to the oldest.  With
 * since, they go in the other direction, from the first event created after
 * since: a reader that requests the events after the last one it has got
 * misses none, however many there are.  For such a reader, a page does not end
 * between events with the same time, unless they alone exceed it.
 *
 * There is no index of created_at.  A feed examines events in the order of
 * their numbers until it has found more than a page, and then some more.  So an
 * event that was received more than NGX_TROVE_SPOOL_DISORDER events later than
 * an event created after it may be on a later page than it should.  With since,
 * a feed begins with the events received NGX_TROVE_SPOOL_SKEW before since,
 * because the clock of the sender may be ahead, or with the first event if
 * since is in the future.
 */

#define NGX_TROVE_SPOOL_DISORDER     5000
#define NGX_TROVE_SPOOL_SKEW         ((int64_t) 300000)    /* milliseconds */

typedef struct {
    /* to be set, before the first call; the rest must be zeroed */
    ngx_trove_spool_filter_t        *filter;     /* without since and until */
    int64_t                          since;      /* ns, exclusive */
    int64_t                          until;      /* ns, exclusive; 0: none */
    ngx_uint_t                       forward;    /* there is a since */
    ngx_uint_t                       limit;      /* 1 .. ..._FEED */
    size_t                           max_bytes;  /* of bodies */
    ngx_trove_spool_place_t          place;      /* where it begins */

    /* the result: newest first; page is freed by ngx_trove_spool_free() */
    ngx_trove_spool_events_t        *page;
    ngx_trove_spool_place_t          next;
    ngx_uint_t                       more;       /* next is valid */

    /* private to the engine */
    ngx_trove_spool_feed_item_t      items[NGX_TROVE_SPOOL_FEED + 1];
    ngx_uint_t                       nitems;
    ngx_uint_t                       started;
    ngx_uint_t                       further;    /* examined since then */
    int64_t                          position;
    int64_t                          left;       /* the first one not kept */
} ngx_trove_spool_feed_t;


/*
 * Finds a page of a feed.  A call examines at most NGX_TROVE_SPOOL_SCAN events.
 * There are fewer events than limit on the page only at the end, because of
 * max_bytes, or because of events with the same time.
 *
 * Uses the reading connection.
 *
 * NGX_OK     feed->page is set
 * NGX_AGAIN  the call must be repeated; feed->page is NULL
 * NGX_ERROR  *error is filled in; feed->page is NULL
 */
ngx_int_t ngx_trove_spool_feed(ngx_trove_spool_t *spool,
    ngx_trove_spool_feed_t *feed, ngx_trove_spool_error_t *error);


/* events that follow a number, the first one first */
typedef struct {
    ngx_trove_spool_event_t         *events;
    ngx_uint_t                       n;

    /* all events up to this one have been examined: where to continue */
    int64_t                          next;

    /* the newest event ever accepted; next is the same at the end */
    int64_t                          last;
} ngx_trove_spool_follow_t;

/*
 * Returns the events with numbers above after that match the filter, with their
 * bodies: at most limit events and max_bytes bytes of bodies, but at least one
 * event, if there is one.  A call examines at most NGX_TROVE_SPOOL_SCAN events.
 * The members id, since and until of the filter are tested, but no index is
 * used.
 *
 * The numbers are in the order of acceptance, by any process: an event that is
 * accepted after the call has a number above last.  Events may have been
 * removed, so that there are gaps between the numbers.  If after is above last,
 * the file has been replaced, and next is last.
 *
 * Uses the reading connection.  The result is freed by ngx_trove_spool_free().
 *
 * NULL  *error is filled in
 */
ngx_trove_spool_follow_t *ngx_trove_spool_follow(ngx_trove_spool_t *spool,
    ngx_trove_spool_filter_t *filter, int64_t after, ngx_uint_t limit,
    size_t max_bytes, ngx_trove_spool_error_t *error);

/*
 * Return the number of the newest event ever accepted, and a number such that
 * the events received at that time or later have numbers above it; 0 if there
 * is no event.
 *
 * Use the reading connection.
 *
 * -1  *error is filled in
 */
int64_t ngx_trove_spool_last(ngx_trove_spool_t *spool,
    ngx_trove_spool_error_t *error);
int64_t ngx_trove_spool_seek(ngx_trove_spool_t *spool, int64_t received,
    ngx_trove_spool_error_t *error);


/*
 * Returns a page of at most limit deliveries.
 *
 * Uses the reading connection.  The result is freed by ngx_trove_spool_free().
 *
 * NULL  *error is filled in
 */
ngx_trove_spool_deliveries_t *ngx_trove_spool_deliveries(
    ngx_trove_spool_t *spool, ngx_trove_spool_filter_t *filter, int64_t cursor,
    ngx_uint_t limit, ngx_trove_spool_error_t *error);

/*
 * Return one delivery, or all deliveries of the event with the given number,
 * with all recorded attempts.  n is 0 if there is none.
 *
 * Use the reading connection.  The result is freed by ngx_trove_spool_free().
 *
 * NULL  *error is filled in
 */
ngx_trove_spool_deliveries_t *ngx_trove_spool_delivery(
    ngx_trove_spool_t *spool, int64_t id, ngx_trove_spool_error_t *error);
ngx_trove_spool_deliveries_t *ngx_trove_spool_event_deliveries(
    ngx_trove_spool_t *spool, int64_t number, ngx_trove_spool_error_t *error);

/*
 * Returns one event with its body: that with the key, NGX_TROVE_SPOOL_KEY_LEN
 * bytes, or, if key is NULL, that with the number.  n is 0 if there is none.
 *
 * Uses the reading connection.  The result is freed by ngx_trove_spool_free().
 *
 * NULL  *error is filled in
 */
ngx_trove_spool_events_t *ngx_trove_spool_event(ngx_trove_spool_t *spool,
    int64_t number, u_char *key, ngx_trove_spool_error_t *error);

/* Frees a result of the functions above.  NULL is allowed. */
void ngx_trove_spool_free(void *result);


/*
 * Replays or cancels one delivery.
 *
 * A replay changes the delivery to RETRY, due at once, with a new window of
 * attempts.  A waiting delivery becomes due at once in the same way.  A
 * cancellation changes it to CANCELLED.  No attempt begins after the function
 * has returned, in any process.  An attempt that has begun before is finished
 * and recorded; if it succeeds, the delivery becomes DELIVERED.
 *
 * Uses the writing connection.
 *
 * NGX_OK
 * NGX_DECLINED  there is no such delivery
 * NGX_BUSY      replay: it is leased, an attempt is in progress; cancel: it is
 *               already final
 * NGX_ERROR     *error is filled in
 */
ngx_int_t ngx_trove_spool_control(ngx_trove_spool_t *spool,
    ngx_trove_spool_action_e action, int64_t id,
    ngx_trove_spool_error_t *error);

/*
 * Finds deliveries that match the filter, newest first, and to which the action
 * can be applied.  Stores at most *n ids and sets *n to their number; with ids
 * == NULL it only counts them.  A call examines at most NGX_TROVE_SPOOL_SCAN
 * rows.  *cursor must be 0 for the first call, and is set to the value for the
 * next call, or to 0 at the end.
 *
 * The ids are for NGX_TROVE_SPOOL_OP_CONTROL.  So deliveries are found without
 * blocking writers.
 *
 * A purge applies to events.  It finds each event once that has no pending
 * delivery, and matches the filter.  If the filter has states or a target, one
 * delivery of the event must match both.  Then the id is that of this delivery.
 * Otherwise the event need not have a delivery.
 *
 * Uses a reading connection.
 *
 * NGX_OK
 * NGX_ERROR  *error is filled in
 */
ngx_int_t ngx_trove_spool_select(ngx_trove_spool_t *spool,
    ngx_trove_spool_action_e action, ngx_trove_spool_filter_t *filter,
    int64_t *cursor, int64_t *ids, ngx_uint_t *n,
    ngx_trove_spool_error_t *error);

/*
 * Pauses or resumes a target.  No deliveries are leased for a paused target,
 * and no attempt begins after the function has returned, in any process.
 * Attempts that have begun before continue.  If target->route is absent, all
 * targets with the name are changed; otherwise the target need not have had an
 * event yet.
 *
 * Uses the writing connection.
 *
 * NGX_OK
 * NGX_DECLINED  there is no target with that name
 * NGX_ERROR     *error is filled in
 */
ngx_int_t ngx_trove_spool_pause(ngx_trove_spool_t *spool,
    ngx_trove_spool_target_t *target, ngx_uint_t paused,
    ngx_trove_spool_error_t *error);

/*
 * Removes the key of an event, NGX_TROVE_SPOOL_KEY_LEN bytes, so that the
 * event will be accepted again.  The stored event is kept.
 *
 * Uses the writing connection.
 *
 * NGX_OK
 * NGX_DECLINED  there is no such key
 * NGX_ERROR     *error is filled in
 */
ngx_int_t ngx_trove_spool_forget(ngx_trove_spool_t *spool, u_char *key,
    ngx_trove_spool_error_t *error);


#endif /* _NGX_TROVE_SPOOL_QUERY_H_INCLUDED_ */
