
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_SQLITE_DB_H_INCLUDED_
#define _NGX_TROVE_SQLITE_DB_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <pthread.h>
#include <sqlite3.h>

#include "ngx_trove_spool_engine.h"
#include "ngx_trove_sqlite_sql.h"


/*
 * Definitions shared by the files of the engine.  Private to its folder.
 * Functions of type ngx_int_t return NGX_OK or NGX_ERROR, if not specified
 * otherwise.  On error, *db->error is filled in.
 *
 *   ngx_trove_sqlite_engine.c       table of functions
 *   ngx_trove_sqlite_check.c        checks that the file is usable and free
 *   ngx_trove_sqlite_prepare.c      creation of the files as root
 *   ngx_trove_sqlite.c              the handle: opening, closing
 *   ngx_trove_sqlite_enter.c        use of a connection by one thread at a time
 *   ngx_trove_sqlite_schema.c       tables, versions, identification of a file
 *   ngx_trove_sqlite_sql.c          statements
 *   ngx_trove_sqlite_lock.c         PATH-lock: turns of writers, the clock
 *   ngx_trove_sqlite_guard.c        files that others remove or close
 *   ngx_trove_sqlite_db.c           execution of statements, errors
 *   ngx_trove_sqlite_txn.c          transactions
 *   ngx_trove_sqlite_key.c          lookup of keys
 *   ngx_trove_sqlite_key_merge.c    maintenance of keys
 *   ngx_trove_sqlite_ident.c        index of the ids of events
 *   ngx_trove_sqlite_cache.c        targets, and their counters
 *   ngx_trove_sqlite_row.c          deliveries
 *   ngx_trove_sqlite_write.c        batches
 *   ngx_trove_sqlite_accept.c       events and their deliveries
 *   ngx_trove_sqlite_call.c         calls that are a transaction
 *   ngx_trove_sqlite_outcome.c      outcomes
 *   ngx_trove_sqlite_confirm.c      the generation, and confirmations by it
 *   ngx_trove_sqlite_due.c          due deliveries
 *   ngx_trove_sqlite_late.c         deliveries with impossible due times
 *   ngx_trove_sqlite_lease.c        leases
 *   ngx_trove_sqlite_event.c        events, from rows to memory
 *   ngx_trove_sqlite_checkpoint.c   checkpoints
 *   ngx_trove_sqlite_maintain.c     pruning, and maintenance as a whole
 *   ngx_trove_sqlite_remove.c       removal of an event
 *   ngx_trove_sqlite_purge.c        purging of events by a filter
 *   ngx_trove_sqlite_scan.c         filters, and scans by them
 *   ngx_trove_sqlite_stat.c         counters
 *   ngx_trove_sqlite_read.c         lists of events
 *   ngx_trove_sqlite_feed.c         lists of events by the time of creation
 *   ngx_trove_sqlite_follow.c       events that follow a number
 *   ngx_trove_sqlite_list.c         lists of deliveries
 *   ngx_trove_sqlite_control.c      replay, cancel, pause, forget
 *   ngx_trove_sqlite_subscription.c   changes of subscriptions
 *   ngx_trove_sqlite_subscriptions.c  lists of subscriptions
 *   ngx_trove_sqlite_audit.c        the audit log
 *   ngx_trove_sqlite_pattern.c      subscriptions that match an event
 *   ngx_trove_sqlite_subscriber.c   subscriptions of leases
 *   ngx_trove_sqlite_health.c       health of subscriptions
 *   ngx_trove_sqlite_removed.c      deliveries of removed subscriptions
 */

/*
 * Beside the file PATH there are PATH-wal and PATH-shm of SQLite, and
 * PATH-lock, which serializes the writers.  None of them may be removed or
 * copied while the spool is in use.
 */

#define NGX_TROVE_SQLITE_APPLICATION    0x74727370     /* "trsp" */
#define NGX_TROVE_SQLITE_VERSION        5

#define NGX_TROVE_SQLITE_PAGE_SIZE      4096

/*
 * Connections for reading, one for each thread that reads at the same time:
 * those of the API, that of the streams, and maintenance.
 */
#define NGX_TROVE_SQLITE_READERS        4

/* pages in PATH-wal that trigger a checkpoint */
#define NGX_TROVE_SQLITE_WAL_PAGES      4000

/* the hash of rows in "ident" that are events being removed */
#define NGX_TROVE_SQLITE_IDENT_REMOVED  (-2)

#define ngx_trove_sqlite_pending(state)                                       \
    ((state) < NGX_TROVE_SPOOL_DELIVERED)


/*
 * PATH-lock, mapped by all processes that use the spool.  The first process
 * recreates it: nothing in it has to survive a reboot, or is trusted after
 * one.  The consistency of the spool does not depend on it, since SQLite has
 * its own locks.  But SQLite waits for these by polling, which takes long when
 * there is much to write.
 */

#define NGX_TROVE_SQLITE_SHARED_MAGIC   0x6c6f6f7065766f72ULL  /* "rovepool" */
#define NGX_TROVE_SQLITE_SHARED_VERSION  4

/* recent keys in a half, and slots for them: a power of 2 */
#define NGX_TROVE_SQLITE_KEYS           131072
#define NGX_TROVE_SQLITE_SLOTS          (2 * NGX_TROVE_SQLITE_KEYS)


typedef struct {
    uint64_t                     hash;
    int64_t                      event;          /* 0: the slot is empty */
} ngx_trove_sqlite_slot_t;


typedef struct {
    uint64_t                     magic;
    uint32_t                     version;
    uint32_t                     mutex;          /* sizeof(pthread_mutex_t) */

    pthread_mutex_t              turn;           /* held to wait for write */
    pthread_mutex_t              write;
    pthread_mutex_t              maintain;

    /* offset of the spool's clock from the monotonic clock, milliseconds */
    int64_t                      clock;

    /*
     * protected by maintain: time of the next pruning, and its retention; time
     * of the next one without a retention
     */
    int64_t                      prune;
    int64_t                      prune_retention;
    int64_t                      prune_early;
    uint64_t                     generation;     /* atomic; never 0 */

    /* the rest is protected by write: see ngx_trove_sqlite_key.c */

    int64_t                      identity;       /* of the file described */
    uint64_t                     salt;
    int64_t                      last;
    int64_t                      sealed;
    uint32_t                     current;        /* half */
    uint32_t                     used[2];        /* slots */

    /* atomic: pages in use of PATH-wal; earliest time of a checkpoint */
    uint32_t                     wal_pages;
    int64_t                      checkpoint;     /* ..._elapsed() */

    /* a removed PATH-wal whose contents have been saved */
    uint64_t                     saved_dev;
    uint64_t                     saved_ino;

    uint64_t                     reopened;       /* transactions with replays */

    ngx_trove_sqlite_slot_t      slots[2][NGX_TROVE_SQLITE_SLOTS];
} ngx_trove_sqlite_shared_t;


/* the row of the table spool, read at the start of a transaction */
typedef struct {
    int64_t                      identity;
    int64_t                      last;           /* number of an event */
    int64_t                      events;
    int64_t                      indexed;        /* see ..._key.c */
    int64_t                      stale;
    ngx_uint_t                   dirty;
} ngx_trove_sqlite_row_state_t;


typedef struct ngx_trove_sqlite_cached_s  ngx_trove_sqlite_cached_t;

/* a target in the cache of a connection */
struct ngx_trove_sqlite_cached_s {
    ngx_trove_sqlite_cached_t   *by_name;        /* next in the bucket */
    ngx_trove_sqlite_cached_t   *by_id;          /* likewise */
    ngx_trove_sqlite_cached_t   *changed;        /* next */

    int64_t                      id;
    ngx_trove_spool_target_t     target;
    int64_t                      subscription;   /* its number, or 0 */

    /* index of a want in the table of this process, if found */
    ngx_trove_spool_want_t      *wants;
    ngx_uint_t                   want;

    uint64_t                     txn;            /* of the next three members */
    ngx_uint_t                   paused;
    int64_t                      pending;
    int64_t                      due;            /* ..._NEVER: NULL */

    ngx_uint_t                   dirty;
    ngx_uint_t                   due_dirty;
    int64_t                      delta[NGX_TROVE_SPOOL_STATES];
};

#define NGX_TROVE_SQLITE_NEVER          INT64_MAX

#define NGX_TROVE_SQLITE_BUCKETS        4096     /* a power of 2 */


typedef struct {
    sqlite3                     *db;             /* NULL: not open */
    sqlite3_stmt                *stmts[NGX_TROVE_SQLITE_SQL_MAX];
    pthread_mutex_t              mutex;

    ngx_trove_spool_error_t     *error;          /* of the caller */

    int                          wal_pages;      /* after the last commit */
    ngx_uint_t                   sync;           /* is FULL */
    ngx_uint_t                   reopened;       /* a delivery was replayed */

    /* the transaction in progress */

    uint64_t                      txn;            /* its sequence number */
    uint64_t                      generation;     /* at its start */
    ngx_uint_t                    raise;          /* when it is committed */
    ngx_trove_sqlite_row_state_t  state;

    ngx_trove_sqlite_cached_t   *by_name[NGX_TROVE_SQLITE_BUCKETS];
    ngx_trove_sqlite_cached_t   *by_id[NGX_TROVE_SQLITE_BUCKETS];
    ngx_trove_sqlite_cached_t   *changed;
    ngx_uint_t                   ncached;

    /* slots used for its keys, to be freed by a rollback */
    ngx_trove_sqlite_slot_t    **taken;
    ngx_uint_t                   ntaken;
    ngx_uint_t                   ataken;
} ngx_trove_sqlite_db_t;


typedef struct {
    dev_t                        dev;
    ino_t                        ino;
} ngx_trove_sqlite_inode_t;


/* the oldest pending delivery of a target: see ngx_trove_sqlite_stat.c */
typedef struct {
    int64_t                      target;
    int64_t                      id;
    ngx_uint_t                   known;          /* none before it is pending */
} ngx_trove_sqlite_mark_t;


/* state of ngx_trove_sqlite_maintain() between calls */
typedef struct {
    ngx_trove_sqlite_slot_t     *keys;           /* sorted, to be written */
    ngx_uint_t                   nkeys;
    ngx_uint_t                   done;
    int64_t                      sealed;
    int64_t                      identity;

    int64_t                      last;           /* event seen before */
    int64_t                      quiet;          /* since when, monotonic */

    uint64_t                     swept;          /* hash */
    ngx_uint_t                   sweeping;
    int64_t                      pruned;         /* examined in this round */

    /* the round does not observe the retention: see ..._prune_early() */
    ngx_uint_t                   early;
    int64_t                      early_start;
    int64_t                      prune;          /* until the next one */

    /* see ngx_trove_sqlite_ident.c */
    ngx_trove_sqlite_slot_t     *idents;         /* sorted, to be written */
    ngx_uint_t                   nidents;
    ngx_uint_t                   ident_done;
    int64_t                      ident_last;
    int64_t                      ident_identity;
    ngx_uint_t                   ident_sweeping;
    ngx_trove_sqlite_slot_t      ident_swept;
    int64_t                      ident_removed;  /* events, at the last one */
} ngx_trove_sqlite_work_t;


typedef struct {
    ngx_trove_spool_t            base;           /* must be first */

    uint64_t                     max_size;
    int64_t                      retention;
    int64_t                      wait;

    char                        *path;
    char                        *path_lock;
    char                        *path_wal;
    char                        *path_shm;

    ngx_trove_sqlite_db_t        writer;
    ngx_trove_sqlite_db_t        readers[NGX_TROVE_SQLITE_READERS];
    ngx_trove_sqlite_db_t        maintenance;

    /* of the maintaining connection, and protected by its mutex */
    ngx_trove_sqlite_db_t        snapshot;

    /* changed only with the mutexes of all connections held */

    int                          fd;             /* of PATH-lock, or -1 */
    ngx_trove_sqlite_shared_t   *shared;         /* NULL: nothing is open */
    int64_t                      identity;
    uint32_t                     file;
    ngx_uint_t                   made;           /* has been open once */
    ngx_uint_t                   prepare;        /* keys are not needed */

    ngx_trove_sqlite_inode_t     wal;            /* as opened */
    ngx_trove_sqlite_inode_t     shm;
    int                          guards[2];      /* descriptors, or -1 */
    ngx_uint_t                   guarded;        /* these four are set */
    int                          instance;       /* another one, or -1 */

    /* for the event loop: that in *shared, or NULL; protected by the mutex */
    pthread_mutex_t              generation_mutex;
    uint64_t                    *generation;

    /* atomic: the connections must be closed; the file was replaced */
    ngx_uint_t                   stale;
    ngx_uint_t                   moved;

    /* atomic: threads that wait for the readers to close the connections */
    ngx_uint_t                   closing;

    int64_t                      owner;
    uint32_t                     owned;          /* file of our leases, or 0 */
    int64_t                      turn;           /* target of a lease */
    int64_t                      clamped;        /* when, monotonic */
    int64_t                      late;           /* target checked then */
    ngx_trove_sqlite_work_t      work;
    int64_t                      removed;        /* subscription examined */

    /* of ngx_trove_sqlite_stat(), protected by the first of them */

    pthread_mutex_t              marking;
    ngx_trove_sqlite_mark_t     *marks;          /* sorted */
    ngx_uint_t                   nmarks;
    ngx_uint_t                   marks_turn;
    uint32_t                     marks_file;
    int64_t                      marks_pause;    /* ..._elapsed() */
    uint64_t                     reopened;

    /*
     * For tests: a lower number of pages that trigger a checkpoint, and of
     * keys in a half; offsets of the clocks.
     */
    uint32_t                     wal_pages;
    ngx_uint_t                   keys;
    ngx_uint_t                   idents;         /* ids in a round */
    int64_t                      skew_wall;
    int64_t                      skew_mono;
} ngx_trove_sqlite_t;


/* a row of the table delivery */
typedef struct {
    int64_t                      id;
    int64_t                      target;
    ngx_trove_spool_state_e      state;
    int64_t                      due;            /* pending */
    int64_t                      ended;          /* final */
    int64_t                      opened;
    int64_t                      attempts;
    int64_t                      owner;          /* 0: NULL */
    int64_t                      started;
    int64_t                      took;
    int64_t                      status;
    int64_t                      earlier;        /* attempts before opened */
} ngx_trove_sqlite_row_t;


/* functions of the engine: see ngx_trove_spool.h and .._query.h */

ngx_int_t ngx_trove_sqlite_check(ngx_str_t *path,
    ngx_trove_spool_error_t *error);
ngx_int_t ngx_trove_sqlite_own(ngx_str_t *path, ngx_uint_t first, ngx_fd_t *fd,
    ngx_trove_spool_error_t *error);
ngx_int_t ngx_trove_sqlite_prepare(ngx_trove_spool_conf_t *conf,
    ngx_trove_spool_user_t *user, ngx_trove_spool_error_t *error);
ngx_trove_spool_t *ngx_trove_sqlite_create(ngx_trove_spool_conf_t *conf);
ngx_int_t ngx_trove_sqlite_open(ngx_trove_spool_t *base,
    ngx_trove_spool_error_t *error);
void ngx_trove_sqlite_destroy(ngx_trove_spool_t *base);
ngx_int_t ngx_trove_sqlite_write(ngx_trove_spool_t *base,
    ngx_trove_spool_op_t *ops, ngx_trove_spool_cost_t *cost,
    ngx_trove_spool_error_t *error);
uint64_t ngx_trove_sqlite_generation(ngx_trove_spool_t *base);
ngx_int_t ngx_trove_sqlite_maintain(ngx_trove_spool_t *base,
    ngx_trove_spool_maintained_t *maintained, ngx_trove_spool_error_t *error);
ngx_trove_spool_stat_t *ngx_trove_sqlite_stat(ngx_trove_spool_t *base,
    ngx_trove_spool_error_t *error);
ngx_trove_spool_events_t *ngx_trove_sqlite_events(ngx_trove_spool_t *base,
    ngx_trove_spool_filter_t *filter, int64_t cursor, ngx_uint_t limit,
    size_t max_bytes, ngx_trove_spool_error_t *error);
ngx_int_t ngx_trove_sqlite_feed(ngx_trove_spool_t *base,
    ngx_trove_spool_feed_t *feed, ngx_trove_spool_error_t *error);
ngx_trove_spool_follow_t *ngx_trove_sqlite_follow(ngx_trove_spool_t *base,
    ngx_trove_spool_filter_t *filter, int64_t after, ngx_uint_t limit,
    size_t max_bytes, ngx_trove_spool_error_t *error);
int64_t ngx_trove_sqlite_last(ngx_trove_spool_t *base,
    ngx_trove_spool_error_t *error);
int64_t ngx_trove_sqlite_seek(ngx_trove_spool_t *base, int64_t received,
    ngx_trove_spool_error_t *error);
ngx_trove_spool_events_t *ngx_trove_sqlite_event(ngx_trove_spool_t *base,
    int64_t number, u_char *key, ngx_trove_spool_error_t *error);
ngx_trove_spool_deliveries_t *ngx_trove_sqlite_deliveries(
    ngx_trove_spool_t *base, ngx_trove_spool_filter_t *filter, int64_t cursor,
    ngx_uint_t limit, ngx_trove_spool_error_t *error);
ngx_trove_spool_deliveries_t *ngx_trove_sqlite_delivery(
    ngx_trove_spool_t *base, int64_t id, ngx_trove_spool_error_t *error);
ngx_trove_spool_deliveries_t *ngx_trove_sqlite_event_deliveries(
    ngx_trove_spool_t *base, int64_t number, ngx_trove_spool_error_t *error);
ngx_int_t ngx_trove_sqlite_control(ngx_trove_spool_t *base,
    ngx_trove_spool_action_e action, int64_t id,
    ngx_trove_spool_error_t *error);
ngx_int_t ngx_trove_sqlite_select(ngx_trove_spool_t *base,
    ngx_trove_spool_action_e action, ngx_trove_spool_filter_t *filter,
    int64_t *cursor, int64_t *ids, ngx_uint_t *n,
    ngx_trove_spool_error_t *error);
ngx_int_t ngx_trove_sqlite_pause(ngx_trove_spool_t *base,
    ngx_trove_spool_target_t *target, ngx_uint_t paused,
    ngx_trove_spool_error_t *error);
ngx_int_t ngx_trove_sqlite_forget(ngx_trove_spool_t *base, u_char *key,
    ngx_trove_spool_error_t *error);


/* ngx_trove_sqlite.c */

/* returns PATH with a suffix, to be freed with free(); NULL: out of memory */
char *ngx_trove_sqlite_name(ngx_str_t *path, const char *suffix);

/* opens all connections; their mutexes must be held */
ngx_int_t ngx_trove_sqlite_open_all(ngx_trove_sqlite_t *spool, ngx_uint_t make,
    ngx_trove_spool_error_t *error);


/* ngx_trove_sqlite_enter.c */

/*
 * ngx_trove_sqlite_enter() locks a connection for a call, and opens the spool
 * if it is not open.  It returns NGX_OK, or NGX_ERROR with *error filled in;
 * the connection is then not locked.  ngx_trove_sqlite_leave() unlocks the
 * connection.  rc is the result of the call: after some errors, all
 * connections are closed.  ngx_trove_sqlite_enter_reader() does the same with
 * a reader that is not in use, and waits for one only if there is none.  It
 * returns NULL on error.
 */
ngx_int_t ngx_trove_sqlite_enter(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_error_t *error);
ngx_trove_sqlite_db_t *ngx_trove_sqlite_enter_reader(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_error_t *error);
void ngx_trove_sqlite_leave(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_int_t rc);

/*
 * Lock and unlock all connections, except one that remains locked.  Readers are
 * interrupted.
 */
void ngx_trove_sqlite_lock_all(ngx_trove_sqlite_t *spool);
void ngx_trove_sqlite_unlock_all(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *except);

/* lets lock_all() interrupt the statements of a connection that only reads */
void ngx_trove_sqlite_interruptible(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);


/* ngx_trove_sqlite_schema.c */

/*
 * Identifies a file.
 *
 * NGX_OK        a spool of this version or an older one
 * NGX_DECLINED  there is no file
 * NGX_AGAIN     the file is empty
 * NGX_ERROR     *error is filled in
 */
ngx_int_t ngx_trove_sqlite_identify(const char *path,
    ngx_trove_spool_error_t *error);

/* upgrades the tables to this version, from none as well */
ngx_int_t ngx_trove_sqlite_migrate(ngx_trove_sqlite_db_t *db);

/* ngx_trove_sqlite_tables.c: what version 5 adds */
extern const char  ngx_trove_sqlite_tables_5[];


/* ngx_trove_sqlite_db.c */

/* fills in *db->error from an error of SQLite, and returns NGX_ERROR */
ngx_int_t ngx_trove_sqlite_db_fail(ngx_trove_sqlite_db_t *db, int rc,
    const char *what);

/* returns a statement ready for binding, owned by db; NULL on error */
sqlite3_stmt *ngx_trove_sqlite_sql(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_sql_e n);

/* bind a string, which is not copied; NULL if s->data is NULL */
void ngx_trove_sqlite_bind(sqlite3_stmt *stmt, int n, ngx_str_t *s);
void ngx_trove_sqlite_bind_blob(sqlite3_stmt *stmt, int n, ngx_str_t *s);

/* binds an integer; NULL if value is 0 */
void ngx_trove_sqlite_bind_int(sqlite3_stmt *stmt, int n, int64_t value);

/* sets *s to a string of a row, absent if NULL; valid until the next step */
void ngx_trove_sqlite_column(sqlite3_stmt *stmt, int n, ngx_str_t *s);

/* NGX_OK: there is a row; NGX_DONE: no more rows, stmt was reset; NGX_ERROR */
ngx_int_t ngx_trove_sqlite_step(ngx_trove_sqlite_db_t *db, sqlite3_stmt *stmt);

/* steps to the end */
ngx_int_t ngx_trove_sqlite_run(ngx_trove_sqlite_db_t *db, sqlite3_stmt *stmt);

/* executes SQL text */
ngx_int_t ngx_trove_sqlite_exec(ngx_trove_sqlite_db_t *db, const char *sql);

/* returns the integer result of a statement without parameters; -1 on error */
int64_t ngx_trove_sqlite_get(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_sql_e n);


/* ngx_trove_sqlite_cache.c */

/*
 * Find a target by route and name, or by id, for this transaction or snapshot.
 * paused and pending are current as of its start.  The cache of db owns
 * *cached.  NGX_DECLINED: there is none, and add is 0.
 */
ngx_int_t ngx_trove_sqlite_cache_get(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_target_t *target, ngx_uint_t add,
    ngx_trove_sqlite_cached_t **cached);

/* the same for a subscription: finds or adds its target */
ngx_int_t ngx_trove_sqlite_cache_subscription(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_target_t *target, int64_t subscription, ngx_uint_t paused,
    ngx_trove_sqlite_cached_t **cached);
ngx_int_t ngx_trove_sqlite_cache_get_id(ngx_trove_sqlite_db_t *db, int64_t id,
    ngx_trove_sqlite_cached_t **cached);

/* finds a target by id without reading its row again, if it is cached */
ngx_int_t ngx_trove_sqlite_cache_find_id(ngx_trove_sqlite_db_t *db, int64_t id,
    ngx_trove_sqlite_cached_t **cached);

/* sets the time before which no delivery of a target is due */
void ngx_trove_sqlite_cache_due(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_cached_t *cached, int64_t due);

/* must be called when a counter or the due time has been changed */
void ngx_trove_sqlite_cache_changed(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_cached_t *cached);

/* writes changed counters and due times */
ngx_int_t ngx_trove_sqlite_cache_flush(ngx_trove_sqlite_db_t *db);

/* removes all targets from the cache, unwritten counters included */
void ngx_trove_sqlite_cache_clear(ngx_trove_sqlite_db_t *db);


/* ngx_trove_sqlite_row.c */

/* reads a delivery; NGX_DECLINED: there is none, or its event is removed */
ngx_int_t ngx_trove_sqlite_row_get(ngx_trove_sqlite_db_t *db, int64_t id,
    ngx_trove_sqlite_row_t *row);

/* fills in *row from the columns of a statement */
void ngx_trove_sqlite_row_read(sqlite3_stmt *stmt, ngx_trove_sqlite_row_t *row);

/* inserts a row and counts it */
ngx_int_t ngx_trove_sqlite_row_add(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_cached_t *cached, ngx_trove_sqlite_row_t *row);

/* writes a row, whose state was from */
ngx_int_t ngx_trove_sqlite_row_set(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_row_t *row, ngx_trove_spool_state_e from);

/* removes a row and its attempts */
ngx_int_t ngx_trove_sqlite_row_delete(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_row_t *row);

/* returns 1 if the lease of a reference is still in force, 0 otherwise */
ngx_uint_t ngx_trove_sqlite_row_ours(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_row_t *row, ngx_trove_spool_ref_t *ref);

/* makes a row wait, due at once, in NEW or RETRY; now is the spool's clock */
void ngx_trove_sqlite_row_wait(ngx_trove_sqlite_row_t *row, int64_t now);


/* ngx_trove_sqlite_accept.c: sets op->result */

ngx_int_t ngx_trove_sqlite_accept(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_op_t *op);


/* ngx_trove_sqlite_call.c */

/*
 * Begin and end a transaction of the writing connection for a call; it is
 * rolled back unless rc is NGX_OK.  leave_txn() returns rc, or NGX_ERROR.
 */
ngx_int_t ngx_trove_sqlite_enter_txn(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_error_t *error);
ngx_int_t ngx_trove_sqlite_leave_txn(ngx_trove_sqlite_t *spool, ngx_int_t rc);


/* ngx_trove_sqlite_outcome.c, ngx_trove_sqlite_lease.c: set op->result */

/* if notice is 0, the event of notice is not accepted */
ngx_int_t ngx_trove_sqlite_outcome(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_op_t *op, ngx_uint_t notice);

/* records the last attempt of a row before it is overwritten */
ngx_int_t ngx_trove_sqlite_attempt_keep(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_row_t *row);

ngx_int_t ngx_trove_sqlite_renew(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_op_t *op);
ngx_int_t ngx_trove_sqlite_lease(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_op_t *op);

/*
 * Performs the confirmations of a batch, in a read transaction of its own, and
 * sets the results.
 */
ngx_int_t ngx_trove_sqlite_confirm(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_op_t *ops);

/* frees the events that were leased by a failed transaction */
void ngx_trove_sqlite_lease_undo(ngx_trove_spool_op_t *op);


/* ngx_trove_sqlite_due.c; see also ngx_trove_sqlite_lease.h */

/* makes all leased deliveries wait, when no process can hold them */
ngx_int_t ngx_trove_sqlite_lease_void(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);


/* ngx_trove_sqlite_event.c */

/*
 * fills in *event from the columns of EVENT, EVENT_HEAD (without the body) or
 * EVENT_SCAN; its strings are valid until the next step
 */
void ngx_trove_sqlite_event_row(sqlite3_stmt *stmt, ngx_uint_t body,
    ngx_trove_spool_event_t *event);

/* NGX_OK: the deliveries of an event are being removed; NGX_DECLINED: not */
ngx_int_t ngx_trove_sqlite_event_removed(ngx_trove_sqlite_db_t *db,
    int64_t event);

/* inserts an event with a key, or NULL */
ngx_int_t ngx_trove_sqlite_event_add(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_event_t *event, u_char *key);

/* length of all strings; moves them to p, and returns the end of the copies */
size_t ngx_trove_sqlite_event_size(ngx_trove_spool_event_t *event);
u_char *ngx_trove_sqlite_event_copy(ngx_trove_spool_event_t *event, u_char *p);

/* loads an event with one reference for ngx_trove_spool_event_free() */
ngx_int_t ngx_trove_sqlite_event_load(ngx_trove_sqlite_db_t *db, int64_t number,
    ngx_trove_spool_event_t **event);


#include "ngx_trove_sqlite_key.h"
#include "ngx_trove_sqlite_lock.h"


#endif /* _NGX_TROVE_SQLITE_DB_H_INCLUDED_ */
