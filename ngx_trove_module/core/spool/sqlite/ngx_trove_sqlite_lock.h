
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_SQLITE_LOCK_H_INCLUDED_
#define _NGX_TROVE_SQLITE_LOCK_H_INCLUDED_


/* a part of ngx_trove_sqlite_db.h, which includes it: locks, transactions */


/* ngx_trove_sqlite_lock.c */

/*
 * ngx_trove_sqlite_attach() maps PATH-lock, and sets *first to 1 if no other
 * process has it mapped.  It returns NGX_OK, or NGX_ERROR with *error filled
 * in.  Other processes wait in it until ngx_trove_sqlite_attached() is called.
 * ngx_trove_sqlite_detach() removes the mapping, if any.
 */
ngx_int_t ngx_trove_sqlite_attach(ngx_trove_sqlite_t *spool, ngx_uint_t *first,
    ngx_trove_spool_error_t *error);
void ngx_trove_sqlite_attached(ngx_trove_sqlite_t *spool);
void ngx_trove_sqlite_detach(ngx_trove_sqlite_t *spool);

/*
 * Called before the connections are closed, by one process at a time: others
 * wait until it has detached.  Returns 1 if no other process is attached.
 */
ngx_uint_t ngx_trove_sqlite_lock_alone(ngx_trove_sqlite_t *spool);

/* returns 1 if PATH-lock is not the mapped file any more, 0 otherwise */
ngx_uint_t ngx_trove_sqlite_lock_moved(ngx_trove_sqlite_t *spool);

/*
 * Acquires the right to write to the file.  deadline is a time of
 * ngx_trove_sqlite_elapsed().  A process that has just released it does not
 * overtake those that are waiting.  NGX_BUSY: the deadline has passed.
 * NGX_ERROR: a mutex is unusable, *db->error is not filled in.
 */
ngx_int_t ngx_trove_sqlite_lock(ngx_trove_sqlite_t *spool, int64_t deadline);
void ngx_trove_sqlite_unlock(ngx_trove_sqlite_t *spool);

/* microseconds of the monotonic clock, without skew */
int64_t ngx_trove_sqlite_elapsed(void);

/*
 * Milliseconds of the wall clock, of the clock of the spool, and of the
 * monotonic clock, each with skew.
 */
int64_t ngx_trove_sqlite_wall(ngx_trove_sqlite_t *spool);
int64_t ngx_trove_sqlite_now(ngx_trove_sqlite_t *spool);
int64_t ngx_trove_sqlite_mono(ngx_trove_sqlite_t *spool);

/* sets the generation as seen by the event loop: NULL while not attached */
void ngx_trove_sqlite_generation_set(ngx_trove_sqlite_t *spool,
    uint64_t *generation);


/* ngx_trove_sqlite_guard.c */

/*
 * ngx_trove_sqlite_guard() must be called when all connections are open, and
 * ngx_trove_sqlite_unguard() after they have been closed.  The last process
 * calls ngx_trove_sqlite_guard_end() before that, since SQLite then needs an
 * exclusive lock.
 */
ngx_int_t ngx_trove_sqlite_guard(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_error_t *error);
void ngx_trove_sqlite_guard_end(ngx_trove_sqlite_t *spool);
void ngx_trove_sqlite_unguard(ngx_trove_sqlite_t *spool);

/*
 * Returns 1 if an NGINX uses the spool, 0 if none does, or if it cannot be
 * known.  name is that of PATH in the directory dir.  The caller must not have
 * it open.
 */
ngx_uint_t ngx_trove_sqlite_guard_used(int dir, const char *name);

/* writes the pages of PATH that the system has in memory to the disk */
void ngx_trove_sqlite_guard_sync(ngx_trove_sqlite_t *spool);

/* returns 1 if path is not the file that was opened, 0 otherwise */
ngx_uint_t ngx_trove_sqlite_guard_moved(const char *path,
    ngx_trove_sqlite_inode_t *inode);

/* returns NGX_ERROR if a file was moved or removed, NGX_OK otherwise */
ngx_int_t ngx_trove_sqlite_moved(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);

/*
 * Copies the contents of PATH-wal to PATH if PATH-wal was removed.  Must be
 * called before the connections are closed, while none of them is in use.
 *
 * NGX_OK        also if there is nothing to be done
 * NGX_DECLINED  not possible: recent transactions may be lost
 * NGX_ERROR     not possible now; *error is filled in
 */
ngx_int_t ngx_trove_sqlite_save(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_error_t *error);


/* ngx_trove_sqlite_txn.c */

/*
 * A write transaction.  If durable is 1, the commit waits for the disk.
 * *wait, if wait is not NULL, is set to the time spent waiting for other
 * writers, in microseconds.  NGX_ERROR: there is no transaction (any more).
 */
ngx_int_t ngx_trove_sqlite_begin(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_uint_t durable, uint64_t *wait);
ngx_int_t ngx_trove_sqlite_commit(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);
void ngx_trove_sqlite_rollback(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);


/* ngx_trove_sqlite_checkpoint.c */

/* returns 1 if a checkpoint is due */
ngx_uint_t ngx_trove_sqlite_checkpoint_due(ngx_trove_sqlite_t *spool);

/*
 * Performs a checkpoint if one is due, using the maintaining connection.  The
 * mutex "maintain" must be held.
 */
ngx_int_t ngx_trove_sqlite_checkpoint(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);


#endif /* _NGX_TROVE_SQLITE_LOCK_H_INCLUDED_ */
