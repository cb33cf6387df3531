
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_SPOOL_H_INCLUDED_
#define _NGX_TROVE_SPOOL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The spool: events and their deliveries, stored by an engine and used by any
 * number of processes at the same time.  Independent of HTTP, pools, logs, and
 * the event loop: all functions may block and are intended for threads.
 *
 * An event has one delivery for each of its targets.  The states of a
 * delivery:
 *
 *                        lease           delivered
 *   accept ---> NEW -------------> LEASED --------> DELIVERED
 *          \     ^                 ^  | |  failed
 *           \    |  release, or    |  | +---------> FAILED
 *            \   |  lease ran out  |  |
 *             \  +-----------------|--+ retry
 *              \                   |  v
 *               \                  RETRY
 *                `--> LEASED         cancel, from any but DELIVERED
 *                   at once        -----------------> CANCELLED
 *
 * A NEW delivery has had no attempt, one in RETRY at least one.  Both wait
 * until they are due.  NEW, RETRY and LEASED are called pending, the others
 * final.  A replay changes a final delivery to RETRY.  A delivery is leased by
 * the spool handle of a process.  If that process dies, its deliveries wait
 * again when the lease expires, or at once if no other process has the spool
 * open.
 *
 * Leases and due times use a clock of the spool: the monotonic clock of the
 * machine, set from the wall clock when the first process opens the spool.  So
 * a step of the wall clock, in either direction, neither ends a lease nor
 * delays a retry.  If the clock was set back while no process had the spool
 * open, deliveries that are due too far in the future become due earlier: new
 * ones at once, others after their longest delay at most.
 * Times passed to the spool are relative, in milliseconds from now.  Returned
 * times are converted to the wall clock as it is at that moment.
 *
 * Threads: a handle has a writing, a reading and a maintaining connection,
 * each with a mutex.  Each function below names the connection that it uses.
 * Calls on different connections run in parallel; calls on the same connection
 * wait for each other.
 *
 * Fork: a handle must be created and used after the fork.
 *
 * Errors: a function that takes *error fills it in whenever it returns
 * NGX_ERROR, and has then changed nothing on disk.  Nothing has to be closed
 * or restarted after an error: each call opens a closed connection, so that
 * the spool works again as soon as the cause is removed.
 *
 * Strings need not be null-terminated.  Strings passed to a function may
 * contain any bytes and must exist until it returns.  Strings in a result
 * exist as long as the result.  A string with data == NULL is absent, which
 * differs from an empty one.  Times of type int64_t are in milliseconds.
 */

typedef struct ngx_trove_spool_s  ngx_trove_spool_t;


/* kinds of errors, by the action they require */
typedef enum {
    NGX_TROVE_SPOOL_BUSY = 1,        /* locked by another; may pass */
    NGX_TROVE_SPOOL_FULL,            /* no space left */
    NGX_TROVE_SPOOL_READONLY,        /* read-only, or for this user */
    NGX_TROVE_SPOOL_GONE,            /* removed or replaced while in use */
    NGX_TROVE_SPOOL_ACCESS,          /* cannot be opened or created */
    NGX_TROVE_SPOOL_CORRUPT,         /* damaged */
    NGX_TROVE_SPOOL_FOREIGN,         /* another program's; unchanged */
    NGX_TROVE_SPOOL_NEWER,           /* a later version's; unchanged */
    NGX_TROVE_SPOOL_MEMORY,          /* out of memory */
    NGX_TROVE_SPOOL_IO               /* any other: see the text */
} ngx_trove_spool_error_e;


/* size of a text, sufficient for the name of a file in it */
#define NGX_TROVE_SPOOL_TEXT_LEN     512


typedef struct {
    ngx_trove_spool_error_e          kind;
    ngx_err_t                        err;        /* of the system, or 0 */
    int                              code;       /* of the engine, or 0 */

    /*
     * One null-terminated line for a log: the operation and the error.
     * Contains no data from events.
     */
    u_char                           text[NGX_TROVE_SPOOL_TEXT_LEN];
} ngx_trove_spool_error_t;


typedef struct {
    ngx_str_t                        uri;        /* null-terminated */

    /*
     * Limit of the bytes in use; above it events are rejected.  0: no limit.
     * Outcomes and the like are still recorded.
     */
    uint64_t                         max_size;

    /*
     * How long final deliveries, and events without any, are kept, unless
     * their space is needed.
     */
    int64_t                          retention;

    /*
     * Maximum time of waiting for other writers, 1 or more.  If another
     * program keeps the file locked, the error is NGX_TROVE_SPOOL_BUSY.
     */
    int64_t                          wait;
} ngx_trove_spool_conf_t;


/* a system user, with the groups that the system defines for its name */
typedef struct {
    const char                      *name;       /* NULL: no such groups */
    uid_t                            uid;
    gid_t                            gid;
} ngx_trove_spool_user_t;


/* deduplication key of an event: a digest of the values that identify it */
#define NGX_TROVE_SPOOL_KEY_LEN      16

/* maximum time of a lease, and until a retry */
#define NGX_TROVE_SPOOL_LEASE_MAX    ((int64_t) 86400 * 1000)
#define NGX_TROVE_SPOOL_DELAY_MAX    ((int64_t) 366 * 86400 * 1000)

/* maximum time until a delivery without an attempt is due again */
#define NGX_TROVE_SPOOL_RELEASE_MAX  ((int64_t) 1000)

/* maximum stored length of an error text, and of the response on failure */
#define NGX_TROVE_SPOOL_REASON_LEN    256
#define NGX_TROVE_SPOOL_RESPONSE_LEN  4096

/* maximum number of deliveries of an event */
#define NGX_TROVE_SPOOL_TARGETS      65535

/* number of attempts recorded per delivery: the last ones */
#define NGX_TROVE_SPOOL_ATTEMPTS     100


/* the values are those stored in the file */
typedef enum {
    NGX_TROVE_SPOOL_NEW = 0,
    NGX_TROVE_SPOOL_RETRY,
    NGX_TROVE_SPOOL_LEASED,
    NGX_TROVE_SPOOL_DELIVERED,
    NGX_TROVE_SPOOL_FAILED,
    NGX_TROVE_SPOOL_CANCELLED
} ngx_trove_spool_state_e;

#define NGX_TROVE_SPOOL_STATES       6

/* masks of states, for filters */
#define ngx_trove_spool_mask(state)  (1u << (state))
#define NGX_TROVE_SPOOL_PENDING      (ngx_trove_spool_mask(                   \
                                          NGX_TROVE_SPOOL_NEW)                \
                                      |ngx_trove_spool_mask(                  \
                                          NGX_TROVE_SPOOL_RETRY)              \
                                      |ngx_trove_spool_mask(                  \
                                          NGX_TROVE_SPOOL_LEASED))


/*
 * A delivery as referred to by a process.  id is that in the file.  file
 * identifies the file, since the file may be replaced meanwhile: a reference
 * to a delivery of the old file is not valid for the new one.  generation is
 * that of the spool when the delivery was leased or confirmed.  opened
 * identifies the window of attempts: a replay begins another one.
 */
typedef struct {
    int64_t                          id;
    uint64_t                         generation;
    int64_t                          opened;
    uint64_t                         version;    /* of the subscriber, or 0 */
    uint32_t                         file;
} ngx_trove_spool_ref_t;


/* the number of the event of a delivery */
#define ngx_trove_spool_event_of(delivery)  ((int64_t) (delivery) >> 16)


/*
 * The name of a target that stands for all subscriptions with its route.  It
 * has a blank, and so is not the name of any other target.
 */
#define NGX_TROVE_SPOOL_SUBSCRIBERS  "all subscriptions"

/*
 * A target is identified by its name and its route.  The route is any string
 * by which the caller finds its configuration, such as the server and the
 * location.
 */
typedef struct {
    ngx_str_t                        route;
    ngx_str_t                        name;
} ngx_trove_spool_target_t;


/* a stored event */
typedef struct {
    int64_t                          number;     /* in order of acceptance */
    int64_t                          received;   /* wall clock */
    ngx_str_t                        id;
    ngx_str_t                        type;
    ngx_str_t                        namespace;
    ngx_str_t                        workspace;
    ngx_str_t                        created_at;
    ngx_str_t                        route;
    ngx_str_t                        host;
    ngx_str_t                        uri;
    ngx_str_t                        content_type;
    ngx_str_t                        body;
} ngx_trove_spool_event_t;


/* of a delivery to a subscription: see ngx_trove_spool_subscription.h */
typedef struct ngx_trove_spool_subscriber_s  ngx_trove_spool_subscriber_t;


/*
 * Operations of a batch.  An operation and all data it refers to belong to the
 * caller, which links operations into a list for ngx_trove_spool_write().
 */

typedef enum {
    NGX_TROVE_SPOOL_OP_ACCEPT,
    NGX_TROVE_SPOOL_OP_OUTCOME,
    NGX_TROVE_SPOOL_OP_LEASE,
    NGX_TROVE_SPOOL_OP_RENEW,
    NGX_TROVE_SPOOL_OP_CONTROL,
    NGX_TROVE_SPOOL_OP_CONFIRM
} ngx_trove_spool_op_e;


typedef enum {
    NGX_TROVE_SPOOL_DONE = 0,
    NGX_TROVE_SPOOL_DUPLICATE,       /* accept: the key exists already */
    NGX_TROVE_SPOOL_NO_SPACE,        /* accept: max_size or device full */
    NGX_TROVE_SPOOL_TOO_LARGE,       /* accept: exceeds a limit */
    NGX_TROVE_SPOOL_LOST,            /* the lease is no longer ours */
    NGX_TROVE_SPOOL_UNKNOWN,         /* there is no such delivery */
    NGX_TROVE_SPOOL_PAUSED,          /* confirm: its target is paused */
    NGX_TROVE_SPOOL_CHANGED,         /* confirm: its URL or secret changed */
    NGX_TROVE_SPOOL_ROLLED_BACK      /* the whole batch failed */
} ngx_trove_spool_result_e;


typedef struct {
    ngx_str_t                        name;       /* of the target */

    /* requests a lease: the caller starts this delivery after the commit */
    unsigned                         lease:1;

    /*
     * Results: leased is 0 if the target is paused; the delivery then waits
     * and is due at once.
     */
    unsigned                         leased:1;
    unsigned                         paused:1;
    ngx_trove_spool_ref_t            ref;
} ngx_trove_spool_start_t;


/*
 * Stores an event and its deliveries.  If its key is in the spool already,
 * even from the same batch, nothing is stored, and number is set to that of
 * the existing event.
 */
typedef struct {
    /* number: a result; body: see below; received: 0 means now */
    ngx_trove_spool_event_t          event;

    u_char                          *key;        /* ..._KEY_LEN, or NULL */

    /* a file with the body: event.body.len bytes from offset */
    ngx_fd_t                         fd;         /* or NGX_INVALID_FILE */
    off_t                            offset;

    ngx_trove_spool_start_t         *targets;    /* names are unique */
    ngx_uint_t                       ntargets;
    int64_t                          lease;      /* 1 .. ..._LEASE_MAX */

    /*
     * Adds a delivery for each subscription that matches.  These wait, and are
     * due at once.  nsubscribed is a result: their number.
     */
    ngx_uint_t                       subscribed;
    ngx_uint_t                       nsubscribed;
} ngx_trove_spool_accept_t;


typedef enum {
    NGX_TROVE_SPOOL_TO_DELIVERED,
    NGX_TROVE_SPOOL_TO_FAILED,
    NGX_TROVE_SPOOL_TO_RETRY,        /* due when delay has passed */
    NGX_TROVE_SPOOL_RELEASED         /* no attempt was made: it waits again */
} ngx_trove_spool_verdict_e;


/*
 * Records the outcome of a leased delivery, and the attempt, in any case.  If
 * the caller no longer has the lease, the result is NGX_TROVE_SPOOL_LOST, and
 * the state is not changed.  As an exception, a successful attempt ends the
 * delivery, as the target has the event, unless a replay requests another one.
 */
typedef struct {
    ngx_trove_spool_ref_t            ref;
    ngx_trove_spool_verdict_e        verdict;

    /* 0 .. ..._DELAY_MAX, or ..._RELEASE_MAX if RELEASED */
    int64_t                          delay;

    /* the attempt, unless RELEASED; strings are truncated to ..._LEN */
    int64_t                          started;    /* wall clock */
    int64_t                          took;
    ngx_uint_t                       status;
    ngx_uint_t                       answered;   /* it is of a response */
    ngx_str_t                        reason;     /* of a failure, or absent */
    ngx_str_t                        response;   /* first bytes, or absent */

    /*
     * Of a subscription.  A failed attempt disables it if gone is set, or if
     * all attempts have failed for disable_after milliseconds, unless that is
     * 0.  Then the event of notice, if any, is accepted in the same
     * transaction, and the result disabled is set.
     */
    ngx_uint_t                       gone;
    int64_t                          disable_after;
    ngx_trove_spool_accept_t        *notice;
    ngx_uint_t                       disabled;
} ngx_trove_spool_outcome_t;


/* a delivery leased to the caller */
typedef struct {
    ngx_trove_spool_ref_t            ref;
    ngx_uint_t                       want;       /* index of its target */
    ngx_uint_t                       attempt;    /* the next one: 1, .. */
    ngx_uint_t                       nth;        /* since accept or replay */
    int64_t                          age;        /* since accept or replay */

    /*
     * Shared by the deliveries of an event: each of them must free it once
     * with ngx_trove_spool_event_free().
     */
    ngx_trove_spool_event_t         *event;

    /*
     * NULL if the target is no subscription.  Otherwise likewise shared, and
     * freed once with ngx_trove_spool_subscriber_free().
     */
    ngx_trove_spool_subscriber_t    *subscriber;

    /* 1 on the last one of a target for which more may be due */
    unsigned                         more:1;
} ngx_trove_spool_leased_t;


/*
 * A target of the caller.  The name NGX_TROVE_SPOOL_SUBSCRIBERS stands for all
 * subscriptions with the route: limit and retries are those of each of them.
 */
typedef struct {
    ngx_trove_spool_target_t         target;
    ngx_uint_t                       limit;      /* maximum deliveries */
    ngx_uint_t                       retries;    /* maximum retries of these */

    /*
     * The longest possible time until a retry for this target.  A delivery
     * that is due later than this becomes due at some time up to it, which
     * depends on the id of the delivery only.
     */
    int64_t                          delay_max;
} ngx_trove_spool_want_t;


/*
 * A target for which the caller has less capacity than usually, or, with a
 * name, one of the subscriptions that the target stands for.  Without a name,
 * the limit of such a target is that of each subscription without a limit.
 */
typedef struct {
    ngx_uint_t                       want;       /* index of the target */
    ngx_str_t                        name;       /* or absent */
    ngx_uint_t                       limit;
    ngx_uint_t                       retries;
} ngx_trove_spool_limit_t;


/*
 * Leases deliveries that are due: at most max in all, and at most limit of each
 * target.  Targets that are not listed, or are paused, get nothing, and their
 * backlog costs nothing.  The cost depends on the number of targets with due
 * deliveries only.  Every target gets its share of max before one gets more. If
 * there are more targets than max, they take turns.  Within a target, first
 * attempts and retries get half each while there are both.  Deliveries are
 * leased in the order of their due times.
 *
 * If nothing is due, a batch that consists only of leases takes no lock and
 * writes nothing.
 */
typedef struct {
    ngx_trove_spool_want_t          *wants;
    ngx_uint_t                       nwants;

    /*
     * Returns the index of a target, or nwants if there is none.  Called by the
     * thread that performs the operation.  NULL: the targets are searched.  If
     * set, wants must not change as long as the handle is used.
     */
    ngx_uint_t                     (*find)(void *data,
                                       ngx_trove_spool_target_t *target);
    void                            *data;

    /* exceptions from the limits in wants; sorted by the operation */
    ngx_trove_spool_limit_t         *limits;
    ngx_uint_t                       nlimits;

    ngx_uint_t                       max;
    size_t                           max_bytes;  /* of bodies; at least one */
    int64_t                          lease;      /* 1 .. ..._LEASE_MAX */

    /*
     * The results: n elements of an array of max that the caller owns.  next
     * is the time in milliseconds from now when the next delivery may be due;
     * 0 if there were more than could be leased; -1 if there is none.  It may
     * be too early, but not too late.  Leases count as due when they expire.
     */
    ngx_trove_spool_leased_t        *leased;
    ngx_uint_t                       n;
    int64_t                          next;
} ngx_trove_spool_lease_t;


/* Extends leases to lease milliseconds from now. */
typedef struct {
    ngx_trove_spool_ref_t           *refs;
    ngx_uint_t                       nrefs;
    int64_t                          lease;      /* 1 .. ..._LEASE_MAX */

    /* array of nrefs, owned by the caller: set to DONE or LOST */
    ngx_trove_spool_result_e        *results;
} ngx_trove_spool_renew_t;


typedef enum {
    NGX_TROVE_SPOOL_REPLAY,

    /* dry run: checks, but changes nothing */
    NGX_TROVE_SPOOL_REPLAY_COUNT,

    NGX_TROVE_SPOOL_CANCEL,
    NGX_TROVE_SPOOL_CANCEL_COUNT,

    /* of events; not for ngx_trove_spool_control() */
    NGX_TROVE_SPOOL_PURGE,
    NGX_TROVE_SPOOL_PURGE_COUNT
} ngx_trove_spool_action_e;


/*
 * Replays or cancels deliveries, as ngx_trove_spool_control() does.  Those to
 * which the action cannot be applied any more, or whose state is no longer one
 * of states, are skipped.  It takes a few milliseconds, since other operations
 * and other processes wait meanwhile, and then leaves the rest to the caller.
 *
 * A purge removes the events of the deliveries, in the same way as they are
 * removed at the end of the retention.  An event with a pending delivery is
 * skipped.
 */
typedef struct {
    ngx_trove_spool_action_e         action;
    int64_t                         *ids;
    ngx_uint_t                       nids;
    ngx_uint_t                       states;     /* a mask; 0: any */

    /* results: the first done of the ids were examined, changed of them set */
    ngx_uint_t                       done;
    ngx_uint_t                       changed;
} ngx_trove_spool_control_t;


/*
 * Checks leased deliveries whose attempts have not begun.  An attempt may begin
 * if the result is DONE and the generation has not changed again.  Otherwise
 * the delivery must be released: it is LOST, for example cancelled, or its
 * target is PAUSED, or it is UNKNOWN.
 *
 * Takes no lock, and writes nothing.
 */
typedef struct {
    ngx_trove_spool_ref_t           *refs;
    ngx_uint_t                       nrefs;

    /*
     * The results: an array of nrefs, owned by the caller, and the generation
     * for which they are valid.
     */
    ngx_trove_spool_result_e        *results;
    uint64_t                         generation;
} ngx_trove_spool_confirm_t;


typedef struct ngx_trove_spool_op_s  ngx_trove_spool_op_t;

struct ngx_trove_spool_op_s {
    ngx_trove_spool_op_t            *next;
    ngx_trove_spool_op_e             type;
    ngx_trove_spool_result_e         result;

    union {
        ngx_trove_spool_accept_t     accept;
        ngx_trove_spool_outcome_t    outcome;
        ngx_trove_spool_lease_t      lease;
        ngx_trove_spool_renew_t      renew;
        ngx_trove_spool_control_t    control;
        ngx_trove_spool_confirm_t    confirm;
    } u;
};


/* cost of a batch, in microseconds */
typedef struct {
    ngx_uint_t                       ops;
    uint64_t                         wait;       /* for other writers */
    uint64_t                         work;
    uint64_t                         commit;     /* mostly the disk */

    unsigned                         maintain_due:1;
} ngx_trove_spool_cost_t;


/*
 * Returns the length of SCHEME in a URI that begins with "SCHEME://", or 0 if
 * the URI has no scheme: it is the path of a file.
 */
size_t ngx_trove_spool_scheme(ngx_str_t *uri);

/*
 * Checks, without changing anything, that there can be a spool at uri.  Used
 * to check a configuration, possibly as another user.  A missing spool is not
 * an error.
 *
 * NGX_OK
 * NGX_DECLINED  possible but not advisable: see the text of *error
 * NGX_ERROR     no engine for it, not accessible, foreign, or newer
 */
ngx_int_t ngx_trove_spool_check(ngx_str_t *uri,
    ngx_trove_spool_error_t *error);

/*
 * Reserves the spool for this process and for the processes that inherit *fd:
 * other instances of nginx are rejected until all of these have closed it.
 * first is 1 if this process has not reserved the spool before: an inherited
 * descriptor is then taken over, and otherwise duplicated.  The caller closes
 * *fd.  It is set to NGX_INVALID_FILE, also with NGX_OK, if there is nothing
 * to close.
 *
 * NGX_OK
 * NGX_DECLINED  not possible here
 * NGX_ERROR     reserved by another instance, or out of memory
 */
ngx_int_t ngx_trove_spool_own(ngx_str_t *uri, ngx_uint_t first, ngx_fd_t *fd,
    ngx_trove_spool_error_t *error);

/*
 * Creates the spool if it does not exist, opens it once, and closes it.  The
 * spool will belong to *user, the user of the processes that use it.  A root
 * process does nothing with its own privileges where that user could redirect
 * it.  If user is NULL, the spool belongs to the user of this process.
 *
 * NGX_OK
 * NGX_ERROR  the spool cannot be used, or not yet
 * NGX_ABORT  the process must exit: out of memory, or it has lost root
 *            privileges
 */
ngx_int_t ngx_trove_spool_prepare(ngx_trove_spool_conf_t *conf,
    ngx_trove_spool_user_t *user, ngx_trove_spool_error_t *error);

/*
 * Creates a handle.  *conf is copied.  Opens nothing.  The handle is freed by
 * ngx_trove_spool_destroy().
 *
 * NULL  out of memory, or no engine for the URI
 */
ngx_trove_spool_t *ngx_trove_spool_create(ngx_trove_spool_conf_t *conf);

/*
 * Opens the spool.  Creates it if it does not exist, and migrates one of an
 * older version.  Must be called once before the functions below, since they
 * create nothing: a spool that disappears later is an error until it is back
 * or this function is called again.
 *
 * NGX_OK  also if it is open already
 * NGX_ERROR
 */
ngx_int_t ngx_trove_spool_open(ngx_trove_spool_t *spool,
    ngx_trove_spool_error_t *error);

/*
 * Closes the connections and frees the handle.  NULL is allowed.  No other
 * thread may be using the handle.  Leased deliveries remain leased: release
 * them first.
 */
void ngx_trove_spool_destroy(ngx_trove_spool_t *spool);


/*
 * Performs a list of operations in order, as one transaction.  The transaction
 * is on disk when the function returns, except if the batch consists only of
 * leases, renewals and confirmations: these do not wait for the disk.  If there
 * is no space for the events, the other operations are tried without them.
 *
 * Uses the writing connection.  *cost is filled in if cost is not NULL.
 *
 * NGX_OK     committed: each op->result is set.  error->kind is 0, or
 *            NGX_TROVE_SPOOL_FULL if events were rejected for lack of space
 * NGX_ERROR  nothing was written, each op->result is ..._SPOOL_ROLLED_BACK
 */
ngx_int_t ngx_trove_spool_write(ngx_trove_spool_t *spool,
    ngx_trove_spool_op_t *ops, ngx_trove_spool_cost_t *cost,
    ngx_trove_spool_error_t *error);

/*
 * Returns the generation of the spool.  It changes whenever a leased delivery
 * may no longer be attempted: when a delivery is cancelled, when a target is
 * paused, when a lease is taken over, or when an attempt without a lease has
 * succeeded, by any process.  The change is visible to all processes before the
 * call that caused it returns.  An attempt may
 * begin only while the generation is that of the reference to the delivery.
 * Otherwise the delivery has to be confirmed first.
 *
 * 0 is the generation of no reference.  It is returned while the spool is not
 * open.
 *
 * Does not block.  May be called by any thread.
 */
uint64_t ngx_trove_spool_generation(ngx_trove_spool_t *spool);

/*
 * Drops a reference to the event of a leased delivery.  Must be called once
 * for each delivery, and not by two threads at once for the same event.
 */
void ngx_trove_spool_event_free(ngx_trove_spool_event_t *event);

/* The same for the subscription of a leased delivery.  NULL is allowed. */
void ngx_trove_spool_subscriber_free(ngx_trove_spool_subscriber_t *subscriber);


/* results of ngx_trove_spool_maintain() */
typedef struct {
    ngx_uint_t                       events;     /* pruned */
    ngx_uint_t                       early;      /* of these, for space */
    ngx_uint_t                       deliveries; /* pruned */
    ngx_uint_t                       pages;      /* returned to the system */
    unsigned                         more:1;     /* call it again at once */
} ngx_trove_spool_maintained_t;


/*
 * Performs a limited piece of maintenance: removes deliveries that have been
 * final for longer than the retention, or for any time if max_size is almost
 * reached, returns space to the system, and does other work of the engine.
 * Must be called about once a second, and whenever cost->maintain_due is set.
 * Takes up to some 100 ms, but blocks other writers only for a few.  Returns at
 * once if another process is doing maintenance.
 *
 * Uses the maintaining connection.  *maintained is filled in.
 *
 * NGX_OK
 * NGX_ERROR
 */
ngx_int_t ngx_trove_spool_maintain(ngx_trove_spool_t *spool,
    ngx_trove_spool_maintained_t *maintained, ngx_trove_spool_error_t *error);


/*
 * Returns one line for a log, which tells the operator how to resolve an
 * error: a constant string.
 */
const char *ngx_trove_spool_remedy(ngx_trove_spool_t *spool,
    ngx_trove_spool_error_e kind);


#endif /* _NGX_TROVE_SPOOL_H_INCLUDED_ */
