
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


/*
 * What the files of the engine share.  Private to its folder.
 *
 *   ngx_trove_sqlite_engine.c     the table of functions
 *   ngx_trove_sqlite_check.c      whether the file can be used, and is free
 *   ngx_trove_sqlite_prepare.c    making the files as root
 *   ngx_trove_sqlite.c            the handle: opening, closing
 *   ngx_trove_sqlite_schema.c     the tables, versions, whose file it is
 *   ngx_trove_sqlite_sql.c        the statements
 *   ngx_trove_sqlite_lock.c       PATH-lock: taking turns, the clock
 *   ngx_trove_sqlite_db.c         running them, errors
 *   ngx_trove_sqlite_txn.c        transactions
 *   ngx_trove_sqlite_key.c        which keys there are
 *   ngx_trove_sqlite_key_merge.c  maintenance of the keys
 *   ngx_trove_sqlite_row.c        targets and deliveries, with their counters
 *   ngx_trove_sqlite_write.c      batches, and accept
 *   ngx_trove_sqlite_outcome.c    outcomes
 *   ngx_trove_sqlite_due.c        what is due
 *   ngx_trove_sqlite_lease.c      leases
 *   ngx_trove_sqlite_event.c      events, from rows to memory
 *   ngx_trove_sqlite_maintain.c   checkpoints, pruning
 *   ngx_trove_sqlite_scan.c       filters, and scans by them
 *   ngx_trove_sqlite_stat.c       counters
 *   ngx_trove_sqlite_read.c       lists of events
 *   ngx_trove_sqlite_list.c       lists of deliveries
 *   ngx_trove_sqlite_control.c    what is changed by hand
 */

/*
 * Next to the file PATH are PATH-wal and PATH-shm, which are SQLite's, and
 * PATH-lock, by which the processes take turns.  None of them may be removed
 * or copied while the spool is in use.
 */

#define NGX_TROVE_SQLITE_APPLICATION    0x74727370     /* "trsp" */
#define NGX_TROVE_SQLITE_VERSION        2

#define NGX_TROVE_SQLITE_PAGE_SIZE      4096

/* pages in PATH-wal at which it is to be written back */
#define NGX_TROVE_SQLITE_WAL_PAGES      4000

#define ngx_trove_sqlite_pending(state)                                       \
    ((state) < NGX_TROVE_SPOOL_DELIVERED)


/*
 * PATH-lock, mapped by all that use the spool.  The first of them makes it
 * anew: nothing in it has to survive, or is believed after, a restart of the
 * machine.  What is in the spool does not hang on it, SQLite has its own locks;
 * but those are waited for by trying again after a while, which takes long when
 * there is much to write.
 */

#define NGX_TROVE_SQLITE_SHARED_MAGIC   0x6c6f6f7065766f72ULL  /* "rovepool" */
#define NGX_TROVE_SQLITE_SHARED_VERSION  2

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

    pthread_mutex_t              turn;           /* to be the next for write */
    pthread_mutex_t              write;
    pthread_mutex_t              maintain;

    /* milliseconds that the spool's clock is ahead of the monotonic one */
    int64_t                      clock;

    /* the rest is for the holder of write: see ngx_trove_sqlite_key.c */

    int64_t                      identity;       /* the file it is about */
    uint64_t                     salt;
    int64_t                      last;
    int64_t                      sealed;
    uint32_t                     current;        /* half */
    uint32_t                     used[2];        /* slots */

    ngx_trove_sqlite_slot_t      slots[2][NGX_TROVE_SQLITE_SLOTS];
} ngx_trove_sqlite_shared_t;


typedef enum {
    NGX_TROVE_SQLITE_SQL_BEGIN = 0,
    NGX_TROVE_SQLITE_SQL_SNAPSHOT,
    NGX_TROVE_SQLITE_SQL_COMMIT,
    NGX_TROVE_SQLITE_SQL_ROLLBACK,
    NGX_TROVE_SQLITE_SQL_PAGES,
    NGX_TROVE_SQLITE_SQL_FREE_PAGES,
    NGX_TROVE_SQLITE_SQL_STATE,
    NGX_TROVE_SQLITE_SQL_STATE_SET,
    NGX_TROVE_SQLITE_SQL_KEY,
    NGX_TROVE_SQLITE_SQL_KEY_SET,
    NGX_TROVE_SQLITE_SQL_KEY_SCAN,
    NGX_TROVE_SQLITE_SQL_KEY_DELETE,
    NGX_TROVE_SQLITE_SQL_TARGET,
    NGX_TROVE_SQLITE_SQL_TARGET_FIND,
    NGX_TROVE_SQLITE_SQL_TARGET_ADD,
    NGX_TROVE_SQLITE_SQL_TARGET_COUNT,
    NGX_TROVE_SQLITE_SQL_TARGET_PAUSE,
    NGX_TROVE_SQLITE_SQL_TARGETS,
    NGX_TROVE_SQLITE_SQL_EVENT,
    NGX_TROVE_SQLITE_SQL_EVENT_HEAD,
    NGX_TROVE_SQLITE_SQL_EVENT_ADD,
    NGX_TROVE_SQLITE_SQL_EVENT_KEY,
    NGX_TROVE_SQLITE_SQL_EVENT_KEYS,
    NGX_TROVE_SQLITE_SQL_EVENT_FORGET,
    NGX_TROVE_SQLITE_SQL_EVENT_SCAN,
    NGX_TROVE_SQLITE_SQL_EVENT_FROM,
    NGX_TROVE_SQLITE_SQL_EVENT_DELETE,
    NGX_TROVE_SQLITE_SQL_DELIVERY,
    NGX_TROVE_SQLITE_SQL_DELIVERY_ADD,
    NGX_TROVE_SQLITE_SQL_DELIVERY_SET,
    NGX_TROVE_SQLITE_SQL_DELIVERY_RENEW,
    NGX_TROVE_SQLITE_SQL_DELIVERY_DUE,
    NGX_TROVE_SQLITE_SQL_DELIVERY_NEXT,
    NGX_TROVE_SQLITE_SQL_DELIVERY_LATE,
    NGX_TROVE_SQLITE_SQL_DELIVERY_SCAN,
    NGX_TROVE_SQLITE_SQL_DELIVERY_PENDING,
    NGX_TROVE_SQLITE_SQL_DELIVERY_FAILED,
    NGX_TROVE_SQLITE_SQL_DELIVERY_OLDEST,
    NGX_TROVE_SQLITE_SQL_DELIVERY_OF,
    NGX_TROVE_SQLITE_SQL_DELIVERY_DELETE,
    NGX_TROVE_SQLITE_SQL_ATTEMPT,
    NGX_TROVE_SQLITE_SQL_ATTEMPTS,
    NGX_TROVE_SQLITE_SQL_ATTEMPT_ADD,
    NGX_TROVE_SQLITE_SQL_ATTEMPT_TRIM,
    NGX_TROVE_SQLITE_SQL_ATTEMPT_DELETE,
    NGX_TROVE_SQLITE_SQL_MAX
} ngx_trove_sqlite_sql_e;


/* the row of the table spool, read when a transaction begins */
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
    ngx_trove_sqlite_cached_t   *by_name;        /* next of the bucket */
    ngx_trove_sqlite_cached_t   *by_id;          /* likewise */
    ngx_trove_sqlite_cached_t   *changed;        /* next */

    int64_t                      id;
    ngx_trove_spool_target_t     target;

    uint64_t                     txn;            /* that the next two are of */
    ngx_uint_t                   paused;
    int64_t                      pending;

    ngx_uint_t                   dirty;
    int64_t                      delta[NGX_TROVE_SPOOL_STATES];
};

#define NGX_TROVE_SQLITE_BUCKETS        256      /* a power of 2 */


typedef struct {
    sqlite3                     *db;             /* NULL: not open */
    sqlite3_stmt                *stmts[NGX_TROVE_SQLITE_SQL_MAX];
    pthread_mutex_t              mutex;

    ngx_trove_spool_error_t     *error;          /* the caller's */

    int                          wal_pages;
    ngx_uint_t                   sync;           /* is FULL */

    /* the transaction that is going on */

    uint64_t                      txn;            /* counts them */
    ngx_trove_sqlite_row_state_t  state;

    ngx_trove_sqlite_cached_t   *by_name[NGX_TROVE_SQLITE_BUCKETS];
    ngx_trove_sqlite_cached_t   *by_id[NGX_TROVE_SQLITE_BUCKETS];
    ngx_trove_sqlite_cached_t   *changed;
    ngx_uint_t                   ncached;

    /* slots taken for its keys, to be given back by a rollback */
    ngx_trove_sqlite_slot_t    **taken;
    ngx_uint_t                   ntaken;
    ngx_uint_t                   ataken;
} ngx_trove_sqlite_db_t;


/* what ngx_trove_sqlite_maintain() is in the middle of */
typedef struct {
    ngx_trove_sqlite_slot_t     *keys;           /* sorted, to be written */
    ngx_uint_t                   nkeys;
    ngx_uint_t                   done;
    int64_t                      sealed;
    int64_t                      identity;

    uint64_t                     swept;          /* hash */
    ngx_uint_t                   sweeping;
    int64_t                      pruned;         /* looked at, in this round */
} ngx_trove_sqlite_work_t;


typedef struct {
    ngx_trove_spool_t            base;           /* the first member */

    uint64_t                     max_size;
    int64_t                      retention;
    int64_t                      wait;

    char                        *path;
    char                        *path_lock;
    char                        *path_wal;

    ngx_trove_sqlite_db_t        writer;
    ngx_trove_sqlite_db_t        reader;
    ngx_trove_sqlite_db_t        maintenance;

    /* these change only while all three mutexes are held */

    int                          fd;             /* of PATH-lock, or -1 */
    ngx_trove_sqlite_shared_t   *shared;         /* NULL: nothing is open */
    int64_t                      identity;
    uint32_t                     file;
    ngx_uint_t                   made;           /* has been open once */

    /* what is open is to be closed; and it is not what it was; atomic */
    ngx_uint_t                   stale;
    ngx_uint_t                   moved;

    int64_t                      owner;
    ngx_uint_t                   turn;           /* whose lease comes first */
    int64_t                      clamped;        /* when, monotonic */
    ngx_trove_sqlite_work_t      work;

    /* for tests: a lower number of keys in a half; added to the clocks */
    ngx_uint_t                   keys;
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
    int64_t                      earlier;        /* attempts of before opened */
} ngx_trove_sqlite_row_t;


/* the functions of the engine: see ngx_trove_spool.h and .._query.h */

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
ngx_int_t ngx_trove_sqlite_maintain(ngx_trove_spool_t *base,
    ngx_trove_spool_maintained_t *maintained, ngx_trove_spool_error_t *error);
ngx_trove_spool_stat_t *ngx_trove_sqlite_stat(ngx_trove_spool_t *base,
    ngx_trove_spool_error_t *error);
ngx_trove_spool_events_t *ngx_trove_sqlite_events(ngx_trove_spool_t *base,
    ngx_trove_spool_filter_t *filter, int64_t cursor, ngx_uint_t limit,
    size_t max_bytes, ngx_trove_spool_error_t *error);
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
ngx_int_t ngx_trove_sqlite_control_all(ngx_trove_spool_t *base,
    ngx_trove_spool_action_e action, ngx_trove_spool_filter_t *filter,
    int64_t *cursor, uint64_t *count, ngx_trove_spool_error_t *error);
ngx_int_t ngx_trove_sqlite_pause(ngx_trove_spool_t *base,
    ngx_trove_spool_target_t *target, ngx_uint_t paused,
    ngx_trove_spool_error_t *error);
ngx_int_t ngx_trove_sqlite_forget(ngx_trove_spool_t *base, u_char *key,
    ngx_trove_spool_error_t *error);


/* ngx_trove_sqlite.c */

/*
 * PATH and a suffix, followed by a NUL, to be given to free().
 *
 * NULL  out of memory
 */
char *ngx_trove_sqlite_name(ngx_str_t *path, const char *suffix);

/*
 * Takes a connection for a call, and opens what is not open; and gives it back.
 * If rc is NGX_ERROR, and the error asks for it, all is closed.
 */
ngx_int_t ngx_trove_sqlite_enter(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_error_t *error);
void ngx_trove_sqlite_leave(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_int_t rc);


/* ngx_trove_sqlite_schema.c */

/*
 * Looks whose file it is.
 *
 * NGX_OK        a spool, of this version or an older one
 * NGX_DECLINED  there is no file
 * NGX_AGAIN     it is empty
 * NGX_ERROR
 */
ngx_int_t ngx_trove_sqlite_whose(const char *path,
    ngx_trove_spool_error_t *error);

/* brings the tables to this version, beginning from none */
ngx_int_t ngx_trove_sqlite_migrate(ngx_trove_sqlite_db_t *db);


/* ngx_trove_sqlite_sql.c */

extern const char  *ngx_trove_sqlite_sqls[];


/* ngx_trove_sqlite_lock.c */

/*
 * Maps PATH-lock.  NGX_OK or NGX_ERROR; *first if nobody else has it.  Nobody
 * else gets it before ngx_trove_sqlite_attached().
 */
ngx_int_t ngx_trove_sqlite_attach(ngx_trove_sqlite_t *spool, ngx_uint_t *first,
    ngx_trove_spool_error_t *error);
void ngx_trove_sqlite_attached(ngx_trove_sqlite_t *spool);
void ngx_trove_sqlite_detach(ngx_trove_sqlite_t *spool);

/* whether PATH-lock is another file than that which is mapped */
ngx_uint_t ngx_trove_sqlite_lock_moved(ngx_trove_sqlite_t *spool);

/*
 * Waits until a deadline, of ngx_trove_sqlite_elapsed(), to be the one who may
 * write to the file.  Who has just been that does not get ahead of who waits.
 *
 * NGX_OK
 * NGX_BUSY   the deadline has passed
 * NGX_ERROR  a mutex is beyond use
 */
ngx_int_t ngx_trove_sqlite_lock(ngx_trove_sqlite_t *spool, int64_t deadline);
void ngx_trove_sqlite_unlock(ngx_trove_sqlite_t *spool);

/* microseconds of the monotonic clock, without skew */
int64_t ngx_trove_sqlite_elapsed(void);

/* milliseconds: the wall clock; the spool's own; what is added to the latter */
int64_t ngx_trove_sqlite_wall(ngx_trove_sqlite_t *spool);
int64_t ngx_trove_sqlite_now(ngx_trove_sqlite_t *spool);
int64_t ngx_trove_sqlite_mono(ngx_trove_sqlite_t *spool);


/* ngx_trove_sqlite_db.c */

/* fills in db->error from what SQLite says, and returns NGX_ERROR */
ngx_int_t ngx_trove_sqlite_db_fail(ngx_trove_sqlite_db_t *db, int rc,
    const char *what);

/* a statement, ready to be bound; NULL on error */
sqlite3_stmt *ngx_trove_sqlite_sql(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_sql_e n);

/* NULL where s->data is NULL; not copied */
void ngx_trove_sqlite_bind(sqlite3_stmt *stmt, int n, ngx_str_t *s);
/* NULL where value is 0 */
void ngx_trove_sqlite_bind_int(sqlite3_stmt *stmt, int n, int64_t value);

/* a string of a row, absent if it is NULL; good until the next step */
void ngx_trove_sqlite_column(sqlite3_stmt *stmt, int n, ngx_str_t *s);

/* NGX_OK: there is a row; NGX_DONE: no more, and it is reset; NGX_ERROR */
ngx_int_t ngx_trove_sqlite_step(ngx_trove_sqlite_db_t *db, sqlite3_stmt *stmt);

/* steps through to the end: NGX_OK or NGX_ERROR */
ngx_int_t ngx_trove_sqlite_run(ngx_trove_sqlite_db_t *db, sqlite3_stmt *stmt);

ngx_int_t ngx_trove_sqlite_exec(ngx_trove_sqlite_db_t *db, const char *sql);

/* the integer that a statement without parameters gives; -1 on error */
int64_t ngx_trove_sqlite_get(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_sql_e n);


/* ngx_trove_sqlite_txn.c */

/*
 * A transaction that writes.  durable: its commit waits for the disk.  *wait,
 * if not NULL, is what it took to get one's turn, in microseconds.
 *
 * NGX_OK
 * NGX_ERROR  there is no transaction (any more)
 */
ngx_int_t ngx_trove_sqlite_begin(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_uint_t durable, uint64_t *wait);
ngx_int_t ngx_trove_sqlite_commit(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);
void ngx_trove_sqlite_rollback(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);

/* whether the file is not at its place any more: NGX_OK, or NGX_ERROR */
ngx_int_t ngx_trove_sqlite_moved(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);


/* ngx_trove_sqlite_key.c */

uint64_t ngx_trove_sqlite_hash(u_char *key);

/* makes the table of recent keys fit the file: when a transaction begins */
ngx_int_t ngx_trove_sqlite_key_sync(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);

/*
 * Finds the event that has a key: in a transaction that writes, or in none.
 *
 * NGX_OK        *event
 * NGX_DECLINED  there is none
 * NGX_ERROR
 */
ngx_int_t ngx_trove_sqlite_key_find(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, u_char *key, int64_t *event);

/* adds a key that is not there; undone by a rollback */
ngx_int_t ngx_trove_sqlite_key_add(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, u_char *key, int64_t event);
void ngx_trove_sqlite_key_undo(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);

/* puts a key into the table of the file */
ngx_int_t ngx_trove_sqlite_key_write(ngx_trove_sqlite_db_t *db, uint64_t hash,
    int64_t event);


/* ngx_trove_sqlite_key_merge.c */

/*
 * Does a piece of the work on the table of keys: NGX_OK, NGX_AGAIN if there is
 * more, or NGX_ERROR.
 */
ngx_int_t ngx_trove_sqlite_key_maintain(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);

/* frees what is left of such work */
void ngx_trove_sqlite_key_drop(ngx_trove_sqlite_work_t *work);


/* ngx_trove_sqlite_row.c */

/*
 * The target of that route and name, or of that id, for this transaction or
 * snapshot; paused and pending are as of then.
 *
 * NGX_OK
 * NGX_DECLINED  there is none, and it was not to be added
 * NGX_ERROR
 */
ngx_int_t ngx_trove_sqlite_cache_get(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_target_t *target, ngx_uint_t add,
    ngx_trove_sqlite_cached_t **cached);
ngx_int_t ngx_trove_sqlite_cache_get_id(ngx_trove_sqlite_db_t *db, int64_t id,
    ngx_trove_sqlite_cached_t **cached);

/* writes the counters that changed */
ngx_int_t ngx_trove_sqlite_cache_flush(ngx_trove_sqlite_db_t *db);

/* forgets all targets, and what was not written */
void ngx_trove_sqlite_cache_clear(ngx_trove_sqlite_db_t *db);

/* NGX_OK, NGX_DECLINED: there is no such delivery, NGX_ERROR */
ngx_int_t ngx_trove_sqlite_row_get(ngx_trove_sqlite_db_t *db, int64_t id,
    ngx_trove_sqlite_row_t *row);
void ngx_trove_sqlite_row_read(sqlite3_stmt *stmt, ngx_trove_sqlite_row_t *row);
ngx_int_t ngx_trove_sqlite_row_add(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_cached_t *cached, ngx_trove_sqlite_row_t *row);

/* writes a row that was in the state from */
ngx_int_t ngx_trove_sqlite_row_set(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_row_t *row, ngx_trove_spool_state_e from);

/* removes a row and its attempts */
ngx_int_t ngx_trove_sqlite_row_delete(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_row_t *row);

/* makes a row wait, due at once, in the state that it has to be in */
void ngx_trove_sqlite_row_wait(ngx_trove_sqlite_row_t *row, int64_t now);


/* ngx_trove_sqlite_outcome.c, ngx_trove_sqlite_lease.c: operations */

ngx_int_t ngx_trove_sqlite_outcome(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_op_t *op);

/* keeps the last attempt of a row where it is not overwritten */
ngx_int_t ngx_trove_sqlite_attempt_keep(ngx_trove_sqlite_db_t *db,
    ngx_trove_sqlite_row_t *row);

ngx_int_t ngx_trove_sqlite_renew(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_op_t *op);
ngx_int_t ngx_trove_sqlite_lease(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_op_t *op);

/* gives back what was leased by a transaction that failed */
void ngx_trove_sqlite_lease_undo(ngx_trove_spool_op_t *op);


/* ngx_trove_sqlite_due.c */

/* rows that are read before they are changed */
#define NGX_TROVE_SQLITE_ROWS           64


/* a lease that is being done */
typedef struct {
    ngx_trove_sqlite_t          *spool;
    ngx_trove_sqlite_db_t       *db;
    ngx_trove_spool_lease_t     *lease;
    int64_t                      now;
    size_t                       bytes;
    unsigned                     clamp:1;
    unsigned                     full:1;         /* of max, or of bytes */
} ngx_trove_sqlite_taking_t;


void ngx_trove_sqlite_lease_init(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_op_t *op,
    ngx_trove_sqlite_taking_t *taking);

/* whether there is anything to do: NGX_OK, NGX_DECLINED, or NGX_ERROR */
ngx_int_t ngx_trove_sqlite_lease_peek(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_op_t *op);

/* the target of a want; NGX_DECLINED: there is nothing to look for */
ngx_int_t ngx_trove_sqlite_lease_cached(ngx_trove_sqlite_taking_t *taking,
    ngx_uint_t want, ngx_trove_sqlite_cached_t **cached);

/* puts into next when something of this target is due, if that is sooner */
ngx_int_t ngx_trove_sqlite_lease_next(ngx_trove_sqlite_taking_t *taking,
    ngx_trove_sqlite_cached_t *cached);

/* a statement for n, up to ..._ROWS, that are due; and what it finds */
sqlite3_stmt *ngx_trove_sqlite_lease_due(ngx_trove_sqlite_db_t *db,
    int64_t target, ngx_trove_spool_state_e state, int64_t due, ngx_uint_t n);
ngx_int_t ngx_trove_sqlite_lease_rows(ngx_trove_sqlite_db_t *db,
    sqlite3_stmt *stmt, ngx_trove_sqlite_row_t *rows, ngx_uint_t *n);

/* leases that ran out become waiting, and so do impossible times */
ngx_int_t ngx_trove_sqlite_lease_repair(ngx_trove_sqlite_taking_t *taking,
    ngx_uint_t want, ngx_trove_sqlite_cached_t *cached);

/* makes all leased ones wait: nobody is there who could have them */
ngx_int_t ngx_trove_sqlite_lease_void(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);


/* ngx_trove_sqlite_event.c */

/* columns of EVENT, EVENT_HEAD (without the body), EVENT_SCAN */
void ngx_trove_sqlite_event_row(sqlite3_stmt *stmt, ngx_uint_t body,
    ngx_trove_spool_event_t *event);

ngx_int_t ngx_trove_sqlite_event_add(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_event_t *event, u_char *key);

/* the bytes of the strings of an event; copies them to p, to point there */
size_t ngx_trove_sqlite_event_size(ngx_trove_spool_event_t *event);
u_char *ngx_trove_sqlite_event_copy(ngx_trove_spool_event_t *event, u_char *p);

/* an event that ngx_trove_spool_event_free() is for, referred to once */
ngx_int_t ngx_trove_sqlite_event_load(ngx_trove_sqlite_db_t *db, int64_t number,
    ngx_trove_spool_event_t **event);


/* ngx_trove_sqlite_scan.c */

/* a scan over deliveries, or events, newest first, for those that match */
typedef struct {
    ngx_trove_sqlite_db_t       *db;
    ngx_trove_spool_filter_t    *filter;
    sqlite3_stmt                *stmt;
    ngx_uint_t                   scanned;
    int64_t                      cursor;         /* to go on; 0: at the end */

    /* what was found, until the next one; of an event only the latter */
    ngx_trove_sqlite_row_t       row;
    ngx_trove_sqlite_cached_t   *cached;
    ngx_trove_spool_event_t      event;          /* a delivery's: no body */
} ngx_trove_sqlite_scan_t;


ngx_int_t ngx_trove_sqlite_scan(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_filter_t *filter, int64_t cursor,
    ngx_trove_sqlite_scan_t *scan);
ngx_int_t ngx_trove_sqlite_scan_events(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_filter_t *filter, int64_t cursor,
    ngx_trove_sqlite_scan_t *scan);

/*
 * NGX_OK     there is one that matches
 * NGX_DONE   there is none in reach: see scan->cursor
 * NGX_ERROR
 */
ngx_int_t ngx_trove_sqlite_scan_next(ngx_trove_sqlite_scan_t *scan);
ngx_int_t ngx_trove_sqlite_scan_next_event(ngx_trove_sqlite_scan_t *scan);

void ngx_trove_sqlite_scan_end(ngx_trove_sqlite_scan_t *scan);

/* the event of a row, without its body: in scan->event */
ngx_int_t ngx_trove_sqlite_scan_head(ngx_trove_sqlite_scan_t *scan);


/* ngx_trove_sqlite_read.c */

/* begins and ends a call that reads, of which rc is the result */
ngx_int_t ngx_trove_sqlite_read(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_error_t *error);
void ngx_trove_sqlite_read_end(ngx_trove_sqlite_t *spool, ngx_int_t rc);

/* memory of a result, or for a new one if that is NULL; copies to there */
void *ngx_trove_sqlite_read_alloc(ngx_trove_sqlite_db_t *db, void *result,
    size_t size);
ngx_int_t ngx_trove_sqlite_read_string(ngx_trove_sqlite_db_t *db, void *result,
    ngx_str_t *to, ngx_str_t *from);
ngx_int_t ngx_trove_sqlite_read_event(ngx_trove_sqlite_db_t *db, void *result,
    ngx_trove_spool_event_t *to, ngx_trove_spool_event_t *from);


#endif /* _NGX_TROVE_SQLITE_DB_H_INCLUDED_ */
