
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_db.h"


/*
 * Lookup of deduplication keys.
 *
 * A unique index on the table "event" would suffice, but keys are random: each
 * event would modify a different page of the index, and the page is written as
 * a whole, first to PATH-wal and then to the file.  That took three times as
 * long as all the rest.  So keys are written to the file in bulk, and in
 * order:
 *
 *   - Keys of recent events are in hash tables in shared memory, in two
 *     halves.  One half is being filled.  When it is full, and the other one
 *     is empty, they are swapped.
 *   - The keys of the full half are written to the table "key", sorted, a few
 *     at a time: see ..._key_merge.c.  Then spool.indexed is set to the last
 *     event whose key is in the table, and the half is emptied.
 *   - If both halves are full, a key is written to the table directly.
 *
 * Both store 63 bits of a key and the number of the event; the row of the
 * event tells whether it has the key.  So entries of events that were deleted
 * or never committed do no harm.  Of two keys that are equal in these bits,
 * the table contains only one: the event of the other one would be accepted a
 * second time.  An event cannot be lost.
 *
 * A missing entry would be harmful.  All events from spool.indexed to
 * spool.last must be in the halves, and those up to shared->last are.  Each
 * transaction starts by adding the events from shared->last to spool.last.
 * There are none, unless a process was killed after its commit, or the memory
 * is new.
 */

/* keys that make a half full: the rest is left for the current transaction */
#define ngx_trove_sqlite_keys_full(spool)                                     \
    ((spool)->keys - (spool)->keys / 8)


static ngx_int_t ngx_trove_sqlite_key_catch_up(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);
static void ngx_trove_sqlite_key_reset(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db);
static ngx_trove_sqlite_slot_t *ngx_trove_sqlite_key_slot(
    ngx_trove_sqlite_shared_t *shared, ngx_uint_t half, uint64_t hash);
static ngx_trove_sqlite_slot_t *ngx_trove_sqlite_key_next(
    ngx_trove_sqlite_shared_t *shared, ngx_uint_t half,
    ngx_trove_sqlite_slot_t *slot);
static ngx_trove_sqlite_slot_t *ngx_trove_sqlite_key_put(
    ngx_trove_sqlite_shared_t *shared, uint64_t hash, int64_t event);
static ngx_int_t ngx_trove_sqlite_key_of(ngx_trove_sqlite_db_t *db,
    int64_t event, u_char *key);


/* the key is a digest, so that any of its bits can be used */

uint64_t
ngx_trove_sqlite_hash(u_char *key)
{
    uint64_t  hash;

    ngx_memcpy(&hash, key, sizeof(uint64_t));

    return hash >> 1;
}


ngx_int_t
ngx_trove_sqlite_key_sync(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db)
{
    ngx_trove_sqlite_shared_t  *shared;

    shared = spool->shared;

    if (shared->salt == 0
        || shared->identity != db->state.identity
        || shared->last > db->state.last)
    {
        ngx_trove_sqlite_key_reset(spool, db);
    }

    if (shared->last < db->state.last
        && ngx_trove_sqlite_key_catch_up(spool, db) != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* not in a transaction, whose events may be rolled back */

    if (shared->used[shared->current] >= ngx_trove_sqlite_keys_full(spool)
        && shared->sealed == 0)
    {
        ngx_trove_sqlite_key_seal(shared, db->state.last);
    }

    return NGX_OK;
}


static void
ngx_trove_sqlite_key_reset(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db)
{
    ngx_trove_sqlite_shared_t  *shared;

    shared = spool->shared;

    /* pages of a new file remain untouched */

    if (shared->salt != 0) {
        ngx_memzero(shared->slots, sizeof(shared->slots));
    }

    shared->last = db->state.indexed;
    shared->sealed = 0;
    shared->current = 0;
    shared->used[0] = 0;
    shared->used[1] = 0;
    shared->identity = db->state.identity;

    sqlite3_randomness(sizeof(uint64_t), &shared->salt);

    shared->salt |= 1;
}


static ngx_int_t
ngx_trove_sqlite_key_catch_up(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db)
{
    int64_t                     event;
    uint64_t                    hash;
    ngx_int_t                   rc;
    sqlite3_stmt               *stmt;
    ngx_trove_sqlite_shared_t  *shared;

    shared = spool->shared;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_EVENT_KEYS);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, shared->last);

    for ( ;; ) {
        rc = ngx_trove_sqlite_step(db, stmt);

        if (rc != NGX_OK) {
            break;
        }

        if (sqlite3_column_bytes(stmt, 1) != NGX_TROVE_SPOOL_KEY_LEN) {
            continue;
        }

        event = sqlite3_column_int64(stmt, 0);
        hash = ngx_trove_sqlite_hash((u_char *) sqlite3_column_blob(stmt, 1));

        if (shared->used[shared->current] >= spool->keys) {

            if (shared->sealed == 0) {
                ngx_trove_sqlite_key_seal(shared, event - 1);

            } else {
                if (ngx_trove_sqlite_key_write(db, hash, event) != NGX_OK) {
                    (void) sqlite3_reset(stmt);
                    return NGX_ERROR;
                }

                continue;
            }
        }

        (void) ngx_trove_sqlite_key_put(shared, hash, event);
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    shared->last = db->state.last;

    return NGX_OK;
}


void
ngx_trove_sqlite_key_seal(ngx_trove_sqlite_shared_t *shared, int64_t last)
{
    shared->sealed = last;
    shared->current ^= 1;
}


/* salted, so that senders cannot choose the slots by choosing keys */

static ngx_trove_sqlite_slot_t *
ngx_trove_sqlite_key_slot(ngx_trove_sqlite_shared_t *shared, ngx_uint_t half,
    uint64_t hash)
{
    uint64_t  n;

    n = (hash * shared->salt) >> 32;

    return &shared->slots[half][n % NGX_TROVE_SQLITE_SLOTS];
}


static ngx_trove_sqlite_slot_t *
ngx_trove_sqlite_key_next(ngx_trove_sqlite_shared_t *shared, ngx_uint_t half,
    ngx_trove_sqlite_slot_t *slot)
{
    slot++;

    return (slot == &shared->slots[half][NGX_TROVE_SQLITE_SLOTS])
           ? shared->slots[half] : slot;
}


/* NULL if the entry exists */

static ngx_trove_sqlite_slot_t *
ngx_trove_sqlite_key_put(ngx_trove_sqlite_shared_t *shared, uint64_t hash,
    int64_t event)
{
    ngx_uint_t                half;
    ngx_trove_sqlite_slot_t  *slot;

    half = shared->current;
    slot = ngx_trove_sqlite_key_slot(shared, half, hash);

    while (slot->event != 0) {

        if (slot->hash == hash && slot->event == event) {
            return NULL;
        }

        slot = ngx_trove_sqlite_key_next(shared, half, slot);
    }

    /* a process killed here leaves an empty slot */

    slot->hash = hash;
    __atomic_store_n(&slot->event, event, __ATOMIC_RELEASE);

    shared->used[half]++;

    return slot;
}


ngx_int_t
ngx_trove_sqlite_key_find(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db,
    u_char *key, int64_t *event)
{
    int64_t                     n;
    uint64_t                    hash;
    ngx_int_t                   rc;
    ngx_uint_t                  half, i;
    sqlite3_stmt               *stmt;
    ngx_trove_sqlite_slot_t    *slot;
    ngx_trove_sqlite_shared_t  *shared;

    /*
     * Memory is searched before the table: without the lock, a half may be
     * found already emptied, but then its keys are in the table.
     */

    shared = spool->shared;
    hash = ngx_trove_sqlite_hash(key);

    for (half = 0; half < 2; half++) {

        if (shared->used[half] == 0) {
            continue;
        }

        slot = ngx_trove_sqlite_key_slot(shared, half, hash);

        for (i = 0; i < NGX_TROVE_SQLITE_SLOTS; i++) {

            n = __atomic_load_n(&slot->event, __ATOMIC_ACQUIRE);

            if (n == 0) {
                break;
            }

            if (slot->hash == hash) {
                rc = ngx_trove_sqlite_key_of(db, n, key);

                if (rc != NGX_DECLINED) {
                    *event = n;
                    return rc;
                }
            }

            slot = ngx_trove_sqlite_key_next(shared, half, slot);
        }
    }

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_KEY);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, (int64_t) hash);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc == NGX_DONE) {
        return NGX_DECLINED;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    n = sqlite3_column_int64(stmt, 0);
    (void) sqlite3_reset(stmt);

    *event = n;

    return ngx_trove_sqlite_key_of(db, n, key);
}


/* NGX_OK if the event exists and has the key, NGX_DECLINED if not */

static ngx_int_t
ngx_trove_sqlite_key_of(ngx_trove_sqlite_db_t *db, int64_t event, u_char *key)
{
    ngx_int_t      rc;
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_EVENT_KEY);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, event);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc == NGX_DONE) {
        return NGX_DECLINED;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    rc = (sqlite3_column_bytes(stmt, 0) == NGX_TROVE_SPOOL_KEY_LEN
          && ngx_memcmp(sqlite3_column_blob(stmt, 0), key,
                        NGX_TROVE_SPOOL_KEY_LEN)
             == 0)
         ? NGX_OK : NGX_DECLINED;

    (void) sqlite3_reset(stmt);

    return rc;
}


ngx_int_t
ngx_trove_sqlite_key_add(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db,
    u_char *key, int64_t event)
{
    uint64_t                    hash;
    ngx_uint_t                  n;
    ngx_trove_sqlite_slot_t    *slot, **taken;
    ngx_trove_sqlite_shared_t  *shared;

    shared = spool->shared;
    hash = ngx_trove_sqlite_hash(key);

    if (shared->used[shared->current] >= spool->keys) {
        return ngx_trove_sqlite_key_write(db, hash, event);
    }

    if (db->ntaken == db->ataken) {
        n = ngx_max(64, 2 * db->ataken);

        taken = realloc(db->taken, n * sizeof(ngx_trove_sqlite_slot_t *));
        if (taken == NULL) {
            return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_MEMORY, 0,
                                        "out of memory");
        }

        db->taken = taken;
        db->ataken = n;
    }

    slot = ngx_trove_sqlite_key_put(shared, hash, event);

    if (slot != NULL) {
        db->taken[db->ntaken++] = slot;
    }

    return NGX_OK;
}


/*
 * Slots are freed in reverse order, which restores the previous state.  All of
 * them are in the current half, because halves are not swapped in a
 * transaction.
 */

void
ngx_trove_sqlite_key_undo(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db)
{
    ngx_trove_sqlite_shared_t  *shared;

    shared = spool->shared;

    while (db->ntaken) {
        db->taken[--db->ntaken]->event = 0;
        shared->used[shared->current]--;
    }
}


ngx_int_t
ngx_trove_sqlite_key_write(ngx_trove_sqlite_db_t *db, uint64_t hash,
    int64_t event)
{
    sqlite3_stmt  *stmt;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_KEY_SET);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, (int64_t) hash);
    (void) sqlite3_bind_int64(stmt, 2, event);

    return ngx_trove_sqlite_run(db, stmt);
}
