
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_SPOOL_H_INCLUDED_
#define _NGX_TROVE_SPOOL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The spool: events and their deliveries, kept by an engine and used by any
 * number of processes at a time.  Knows nothing of HTTP, pools, logs, or the
 * event loop: everything here may block and is meant to be called by threads.
 *
 *
 * An event has one delivery for each of its targets.  The states of a delivery:
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
 * NEW has had no attempt, RETRY at least one.  Both wait until they are due.
 * Those three are called pending, the other three final; a replay makes RETRY
 * of a final one.  A delivery is leased by the spool handle of a process.  If
 * that process dies, its deliveries wait again when the lease has run out; or
 * at once, if no other process has the spool open.
 *
 * Leases and due times run on a clock of the spool's own: the monotonic clock
 * of the machine, set by the wall clock when the first process opens the spool.
 * So a step of the wall clock, in either direction, neither ends a lease nor
 * delays a retry.  If the clock was set back while no process had the spool
 * open, what is due too far in the future is made due at once.  What goes in is
 * relative: "in so many milliseconds".  What comes out is converted to the wall
 * clock as it is at that moment.
 *
 *
 * Threads: a handle has a writing, a reading and a maintaining connection, each
 * with a mutex.  The functions say which of them they use.  Calls on different
 * connections run at the same time; calls on the same one wait for each other.
 *
 * Fork: a handle must be made and used after the fork.
 *
 * Errors: a function that takes *error fills it in whenever it returns
 * NGX_ERROR, and then has changed nothing on the disk.  Nothing has to be
 * closed or restarted after an error: each call opens what is not open, so that
 * the spool is back as soon as the cause is gone.
 *
 * Strings need not be followed by a NUL.  Those given may hold any bytes and
 * need to live until the call returns.  Those in results live as long as the
 * result.  A string with data == NULL is absent, which is not the same as
 * empty.  Times that are int64_t are milliseconds.
 */

typedef struct ngx_trove_spool_s  ngx_trove_spool_t;


/* what kind of error: what somebody has to do about it */
typedef enum {
    NGX_TROVE_SPOOL_BUSY = 1,        /* locked by somebody else; it may pass */
    NGX_TROVE_SPOOL_FULL,            /* no space is left */
    NGX_TROVE_SPOOL_READONLY,        /* not writable by this user, or at all */
    NGX_TROVE_SPOOL_GONE,            /* removed or replaced while in use */
    NGX_TROVE_SPOOL_ACCESS,          /* cannot be opened or made */
    NGX_TROVE_SPOOL_CORRUPT,         /* damaged */
    NGX_TROVE_SPOOL_FOREIGN,         /* another program's; not touched */
    NGX_TROVE_SPOOL_NEWER,           /* a later version's; not touched */
    NGX_TROVE_SPOOL_MEMORY,          /* out of memory */
    NGX_TROVE_SPOOL_IO               /* anything else: see the text */
} ngx_trove_spool_error_e;


/* of a text: there is room for the name of a file in it */
#define NGX_TROVE_SPOOL_TEXT_LEN     512


typedef struct {
    ngx_trove_spool_error_e          kind;
    ngx_err_t                        err;        /* of the system, or 0 */
    int                              code;       /* the engine's, or 0 */

    /*
     * One line for a log, ended by a NUL: what was done, and what is wrong.
     * Quotes nothing that came in with an event.
     */
    u_char                           text[NGX_TROVE_SPOOL_TEXT_LEN];
} ngx_trove_spool_error_t;


typedef struct {
    ngx_str_t                        uri;        /* followed by a NUL */

    /*
     * Bytes that may be in use before events are refused; 0: no limit.
     * Outcomes and the like are recorded beyond it.
     */
    uint64_t                         max_size;

    /* how long final deliveries are kept, and events without any */
    int64_t                          retention;

    /*
     * The longest that a call waits for others that write, 1 or more.  A
     * stranger who keeps the file locked makes it NGX_TROVE_SPOOL_BUSY.
     */
    int64_t                          wait;
} ngx_trove_spool_conf_t;


/* a user of the system, and the groups that the system has for its name */
typedef struct {
    const char                      *name;       /* NULL: no such groups */
    uid_t                            uid;
    gid_t                            gid;
} ngx_trove_spool_user_t;


/* The key of an event's uniqueness: a digest of whatever it is unique by. */
#define NGX_TROVE_SPOOL_KEY_LEN      16

/* the longest lease, and the longest time until a retry */
#define NGX_TROVE_SPOOL_LEASE_MAX    ((int64_t) 86400 * 1000)
#define NGX_TROVE_SPOOL_DELAY_MAX    ((int64_t) 366 * 86400 * 1000)

/* what is kept of an error's text, and of the response to a failed attempt */
#define NGX_TROVE_SPOOL_REASON_LEN    256
#define NGX_TROVE_SPOOL_RESPONSE_LEN  4096

/* deliveries that an event can have */
#define NGX_TROVE_SPOOL_TARGETS      65535

/* attempts of a delivery of which a record is kept: the last ones */
#define NGX_TROVE_SPOOL_ATTEMPTS     100


/* the numbers are those in the file */
typedef enum {
    NGX_TROVE_SPOOL_NEW = 0,
    NGX_TROVE_SPOOL_RETRY,
    NGX_TROVE_SPOOL_LEASED,
    NGX_TROVE_SPOOL_DELIVERED,
    NGX_TROVE_SPOOL_FAILED,
    NGX_TROVE_SPOOL_CANCELLED
} ngx_trove_spool_state_e;

#define NGX_TROVE_SPOOL_STATES       6

/* masks of states, for a filter */
#define ngx_trove_spool_mask(state)  (1u << (state))
#define NGX_TROVE_SPOOL_PENDING      (ngx_trove_spool_mask(                   \
                                          NGX_TROVE_SPOOL_NEW)                \
                                      |ngx_trove_spool_mask(                  \
                                          NGX_TROVE_SPOOL_RETRY)              \
                                      |ngx_trove_spool_mask(                  \
                                          NGX_TROVE_SPOOL_LEASED))


/*
 * A delivery as a process holds it in memory.  id is that in the file.  file
 * tells one file from another that was put in its place meanwhile: a reference
 * made for the former is not good for the latter.
 */
typedef struct {
    int64_t                          id;
    uint32_t                         file;
} ngx_trove_spool_ref_t;


/* the number of the event that a delivery belongs to */
#define ngx_trove_spool_event_of(delivery)  ((int64_t) (delivery) >> 16)


/*
 * A target is known by its name and by the route it belongs to: whatever the
 * caller finds its configuration by, such as the server and the location.
 */
typedef struct {
    ngx_str_t                        route;
    ngx_str_t                        name;
} ngx_trove_spool_target_t;


/* an event as it is kept */
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


/*
 * Operations of a batch.  An operation, and all it points to, belongs to the
 * caller, who makes a list of them for ngx_trove_spool_write().
 */

typedef enum {
    NGX_TROVE_SPOOL_OP_ACCEPT,
    NGX_TROVE_SPOOL_OP_OUTCOME,
    NGX_TROVE_SPOOL_OP_LEASE,
    NGX_TROVE_SPOOL_OP_RENEW
} ngx_trove_spool_op_e;


typedef enum {
    NGX_TROVE_SPOOL_DONE = 0,
    NGX_TROVE_SPOOL_DUPLICATE,       /* accept: the key is there already */
    NGX_TROVE_SPOOL_NO_SPACE,        /* accept: refused, max_size or device */
    NGX_TROVE_SPOOL_TOO_LARGE,       /* accept: more than can be kept */
    NGX_TROVE_SPOOL_LOST,            /* the lease is not ours any more */
    NGX_TROVE_SPOOL_UNKNOWN,         /* there is no such delivery */
    NGX_TROVE_SPOOL_ROLLED_BACK      /* the whole batch failed */
} ngx_trove_spool_result_e;


typedef struct {
    ngx_str_t                        name;       /* of the target */

    /* asks for a lease: the caller starts this delivery after the commit */
    unsigned                         lease:1;

    /*
     * Results: whether it is leased, which it is not if the target is paused;
     * if not, it waits, due at once.
     */
    unsigned                         leased:1;
    unsigned                         paused:1;
    ngx_trove_spool_ref_t            ref;
} ngx_trove_spool_start_t;


/*
 * Puts an event and its deliveries into the spool.  If its key is in the spool
 * already, be it by the same batch, nothing is put there, and number is that of
 * the event that has it.
 */
typedef struct {
    /* number: a result; body: as below; received: 0 is now */
    ngx_trove_spool_event_t          event;

    u_char                          *key;        /* ..._KEY_LEN, or NULL */

    /* where event.body is not in memory: event.body.len bytes from offset */
    ngx_fd_t                         fd;         /* NGX_INVALID_FILE: it is */
    off_t                            offset;

    ngx_trove_spool_start_t         *targets;    /* no name twice */
    ngx_uint_t                       ntargets;
    int64_t                          lease;      /* 1 .. ..._LEASE_MAX */
} ngx_trove_spool_accept_t;


typedef enum {
    NGX_TROVE_SPOOL_TO_DELIVERED,
    NGX_TROVE_SPOOL_TO_FAILED,
    NGX_TROVE_SPOOL_TO_RETRY,        /* due when delay has passed */
    NGX_TROVE_SPOOL_RELEASED         /* no attempt was made: it waits again */
} ngx_trove_spool_verdict_e;


/*
 * Records what became of a leased delivery, with the attempt.  If the lease is
 * not the caller's any more, that is NGX_TROVE_SPOOL_LOST, and the state stays
 * as it is, with one exception: that it was delivered is a fact, and ends the
 * delivery unless a replay asks for one more.  The attempt is recorded anyhow.
 */
typedef struct {
    ngx_trove_spool_ref_t            ref;
    ngx_trove_spool_verdict_e        verdict;
    int64_t                          delay;      /* 0 .. ..._DELAY_MAX */

    /* the attempt, unless RELEASED; strings are cut to ..._LEN */
    int64_t                          started;    /* wall clock */
    int64_t                          took;
    ngx_uint_t                       status;     /* of the response, or 0 */
    ngx_str_t                        reason;     /* why it failed, or absent */
    ngx_str_t                        response;   /* first bytes, or absent */
} ngx_trove_spool_outcome_t;


/* a delivery that is leased to the caller */
typedef struct {
    ngx_trove_spool_ref_t            ref;
    ngx_uint_t                       want;       /* the index of its target */
    ngx_uint_t                       attempt;    /* the one to be made: 1, .. */
    ngx_uint_t                       nth;        /* since accept or replay */
    int64_t                          age;        /* since accept or replay */

    /*
     * Shared by the deliveries of an event: each of them is to be given back
     * by ngx_trove_spool_event_free().
     */
    ngx_trove_spool_event_t         *event;
} ngx_trove_spool_leased_t;


/* a target that the caller has capacity for */
typedef struct {
    ngx_trove_spool_target_t         target;
    ngx_uint_t                       limit;      /* deliveries at most */
    ngx_uint_t                       retries;    /* of these, retries at most */

    /* the result: there may be more than that */
    ngx_uint_t                       more;

    /*
     * The longest that a retry of this target can be away.  What is due later
     * than this is due at once.
     */
    int64_t                          delay_max;
} ngx_trove_spool_want_t;


/*
 * Leases deliveries that are due, up to max in all, and up to the limit of each
 * target.  Targets that are not named, or paused, get nothing, so that it costs
 * nothing how much waits for them.  Every target gets its share of max before
 * one gets more; in a target, first attempts and retries get half each while
 * there are both; what is due first comes first.
 *
 * A batch of nothing but leases takes no lock, and writes nothing, if nothing
 * is due.
 */
typedef struct {
    ngx_trove_spool_want_t          *wants;
    ngx_uint_t                       nwants;
    ngx_uint_t                       max;
    size_t                           max_bytes;  /* of bodies; one at least */
    int64_t                          lease;      /* 1 .. ..._LEASE_MAX */

    /*
     * The results: n of an array of max, which is the caller's.  In next, when
     * the next of these targets' deliveries will be due, in milliseconds from
     * now; 0 if there was more than could be had; -1 if there is none.  Leases
     * of others count as due when they run out.
     */
    ngx_trove_spool_leased_t        *leased;
    ngx_uint_t                       n;
    int64_t                          next;
} ngx_trove_spool_lease_t;


/* Makes leases run for lease milliseconds from now. */
typedef struct {
    ngx_trove_spool_ref_t           *refs;
    ngx_uint_t                       nrefs;
    int64_t                          lease;      /* 1 .. ..._LEASE_MAX */

    /* for each of refs, to be given: DONE or LOST */
    ngx_trove_spool_result_e        *results;
} ngx_trove_spool_renew_t;


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
    } u;
};


/* what a batch took, in microseconds */
typedef struct {
    ngx_uint_t                       ops;
    uint64_t                         wait;       /* for others that write */
    uint64_t                         work;
    uint64_t                         commit;     /* mostly the disk */

    unsigned                         maintain_due:1;
} ngx_trove_spool_cost_t;


/*
 * The length of SCHEME in a URI that begins with "SCHEME://".
 *
 * 0  it has none: it is the path of a file
 */
size_t ngx_trove_spool_scheme(ngx_str_t *uri);

/*
 * Looks whether there can be a spool at uri, without changing anything: for the
 * check of a configuration, by whatever user.  A spool that does not exist yet
 * is no error.
 *
 * NGX_OK
 * NGX_DECLINED  it can be there, but should not: the text of *error says why
 * NGX_ERROR     no engine for it, not accessible, foreign, or newer
 */
ngx_int_t ngx_trove_spool_check(ngx_str_t *uri,
    ngx_trove_spool_error_t *error);

/*
 * Reserves the spool for this process and the processes that inherit *fd from
 * it: other instances of nginx are refused until all of them have closed it.
 * first tells that this process has not reserved the spool before; one that it
 * has inherited is taken over then, and duplicated otherwise.  *fd is
 * NGX_INVALID_FILE, also with NGX_OK, if there is nothing to be closed.
 *
 * NGX_OK
 * NGX_DECLINED  that is not possible here
 * NGX_ERROR     another instance has it, or out of memory
 */
ngx_int_t ngx_trove_spool_own(ngx_str_t *uri, ngx_uint_t first, ngx_fd_t *fd,
    ngx_trove_spool_error_t *error);

/*
 * Makes the spool, if it does not exist, opens it once and closes it again.  It
 * will belong to *user, whom the processes that use it run as; a process of
 * root does nothing with its own rights where that user could redirect it.
 * With user == NULL, it belongs to the user of this process.
 *
 * NGX_OK
 * NGX_ERROR  the spool cannot be used, or not yet
 * NGX_ABORT  the process must end: out of memory, or root's rights are lost
 */
ngx_int_t ngx_trove_spool_prepare(ngx_trove_spool_conf_t *conf,
    ngx_trove_spool_user_t *user, ngx_trove_spool_error_t *error);

/*
 * Makes a handle from *conf, which is copied.  Opens nothing.
 *
 * NULL  out of memory, or no engine for its URI
 */
ngx_trove_spool_t *ngx_trove_spool_create(ngx_trove_spool_conf_t *conf);

/*
 * Opens the spool, makes it if it is not there, and migrates that of an older
 * version.  To be called once before the others, for they make nothing: a spool
 * that disappears later is an error until it is back, or until this is called
 * again.
 *
 * NGX_OK     also if it is open already
 * NGX_ERROR
 */
ngx_int_t ngx_trove_spool_open(ngx_trove_spool_t *spool,
    ngx_trove_spool_error_t *error);

/*
 * Closes the connections and frees the handle; NULL is allowed.  Nobody may be
 * in another function with it.  What is leased stays leased: release it
 * before.
 */
void ngx_trove_spool_destroy(ngx_trove_spool_t *spool);


/*
 * Writes the list of operations as one transaction, which is on the disk when
 * this returns (batches of nothing but leases and renewals excepted: for these
 * it does not wait).  They are done in the order of the list.  If there is no
 * space for the events, the rest is tried without them.
 *
 * The writing connection.  *cost is filled in if it is not NULL.
 *
 * NGX_OK     committed: each op->result tells how it went
 * NGX_ERROR  nothing was written, each op->result is ..._SPOOL_ROLLED_BACK
 *
 * With NGX_OK, error->kind is 0, or NGX_TROVE_SPOOL_FULL if events were refused
 * for that.
 */
ngx_int_t ngx_trove_spool_write(ngx_trove_spool_t *spool,
    ngx_trove_spool_op_t *ops, ngx_trove_spool_cost_t *cost,
    ngx_trove_spool_error_t *error);

/*
 * Gives back the event of a leased delivery: for each delivery once.  Calls for
 * the same event must not be made by two threads at once.
 */
void ngx_trove_spool_event_free(ngx_trove_spool_event_t *event);


/* what ngx_trove_spool_maintain() did */
typedef struct {
    ngx_uint_t                       events;     /* pruned */
    ngx_uint_t                       deliveries; /* pruned */
    ngx_uint_t                       pages;      /* given back to the system */
    unsigned                         more:1;     /* call it again at once */
} ngx_trove_spool_maintained_t;


/*
 * Does a bounded piece of maintenance: removes what was final for longer than
 * the retention, gives back space, and whatever else the engine needs.  To be
 * called once a second or so, and whenever cost->maintain_due is set; takes up
 * to some 100 ms, but holds up others that write for a few only.  Where another
 * process does it already, this returns at once.
 *
 * The maintaining connection.
 *
 * NGX_OK
 * NGX_ERROR
 */
ngx_int_t ngx_trove_spool_maintain(ngx_trove_spool_t *spool,
    ngx_trove_spool_maintained_t *maintained, ngx_trove_spool_error_t *error);


/*
 * One line for a log: what somebody has to do about an error.  A constant.
 */
const char *ngx_trove_spool_remedy(ngx_trove_spool_t *spool,
    ngx_trove_spool_error_e kind);


#endif /* _NGX_TROVE_SPOOL_H_INCLUDED_ */
