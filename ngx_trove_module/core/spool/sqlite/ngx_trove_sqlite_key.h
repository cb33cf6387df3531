
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_SQLITE_KEY_H_INCLUDED_
#define _NGX_TROVE_SQLITE_KEY_H_INCLUDED_


/* a part of ngx_trove_sqlite_db.h, which includes it: deduplication keys */


/* ngx_trove_sqlite_key.c */

/* returns the hash of a key of NGX_TROVE_SPOOL_KEY_LEN bytes */
uint64_t ngx_trove_sqlite_hash(u_char *key);

/* adapts the table of recent keys to the file, at the start of a transaction */
ngx_int_t ngx_trove_sqlite_key_sync(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);

/*
 * Finds the number of the event with a key; NGX_DECLINED: there is none.  Must
 * be called in a write transaction, or in none.
 */
ngx_int_t ngx_trove_sqlite_key_find(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, u_char *key, int64_t *event);

/* adds a new key, which a rollback removes with undo */
ngx_int_t ngx_trove_sqlite_key_add(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, u_char *key, int64_t event);
void ngx_trove_sqlite_key_undo(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);

/*
 * Begins to fill the other half, which must be empty.  The right to write must
 * be held, with no event in the transaction.  last is the last event.
 */
void ngx_trove_sqlite_key_seal(ngx_trove_sqlite_shared_t *shared, int64_t last);

/* writes a key to the table in the file */
ngx_int_t ngx_trove_sqlite_key_write(ngx_trove_sqlite_db_t *db, uint64_t hash,
    int64_t event);


/* ngx_trove_sqlite_key_merge.c */

/* performs a part of the maintenance of keys; NGX_AGAIN: there is more */
ngx_int_t ngx_trove_sqlite_key_maintain(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);

/*
 * Orders slots by hash, for qsort().  Of equal hashes, the later event is last:
 * it overwrites the others in the table of keys.
 */
int ngx_libc_cdecl ngx_trove_sqlite_slot_compare(const void *one,
    const void *two);

/* frees the memory of unfinished maintenance */
void ngx_trove_sqlite_key_drop(ngx_trove_sqlite_work_t *work);


#endif /* _NGX_TROVE_SQLITE_KEY_H_INCLUDED_ */
