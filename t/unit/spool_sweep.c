
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "spool.h"


/*
 * The sweep of keys whose events were removed: it examines them without the
 * lock, and does not remove a key that was accepted again meanwhile.
 */


#define KEYS  12000


static ngx_uint_t accept_many(uint64_t from, uint64_t to);
static void maintain(void);
static int traced(unsigned type, void *data, void *p, void *x);
static void again(void);


static ngx_trove_spool_t  *spool;
static ngx_uint_t          scans, locked, changed;


int
main(void)
{
    alarm(300);

    spool_mkdir();

    spool = spool_open();
    sqlite(spool)->keys = 2048;

    tap_is(accept_many(0, KEYS), KEYS, "some events");
    maintain();
    tap_ok(sql_int("SELECT count(*) FROM key") > 9000, "keys in the file");

    /* this one is not pruned */

    (void) spool_accept(spool, KEYS, "a", 0, NULL);

    sqlite(spool)->skew_wall += 8 * DAY;
    sqlite(spool)->skew_mono += 8 * DAY;

    (void) sqlite3_trace_v2(sqlite(spool)->maintenance.db,
                            SQLITE_TRACE_PROFILE, traced, NULL);

    maintain();

    tap_is(sql_int("SELECT count(*) FROM event"), 1, "events are pruned");
    tap_ok(scans > 5, "keys are examined, in %d pieces", (int) scans);
    tap_is(locked, 0, "none of which keeps others waiting");
    tap_is(changed, 1, "one of them is accepted again meanwhile");
    tap_is(sql_int("SELECT count(*) FROM key WHERE event = 12001"), 1,
           "and is not removed");
    tap_ok(sql_int("SELECT count(*) FROM key") < 4000, "but most others");
    tap_ok(sql_int("SELECT stale FROM spool") < 10000, "none are left to do");

    tap_is(accept_many(0, KEYS), KEYS, "the events may come again");
    tap_is(accept_many(0, KEYS + 1), 0, "once");
    tap_ok(spool_sound(), "all is sound");

    ngx_trove_spool_destroy(spool);

    return tap_done();
}


static ngx_uint_t
accept_many(uint64_t from, uint64_t to)
{
    ngx_uint_t             i, n, new;
    ngx_trove_spool_op_t  *ops;

    static accept_t  a[500];

    new = 0;

    while (from < to) {
        ops = NULL;

        for (n = 0; n < 500 && from < to; n++) {
            accept_op(&a[n], from++, "", 0);
            a[n].op.next = ops;
            ops = &a[n].op;
        }

        spool_write(spool, ops);

        for (i = 0; i < n; i++) {
            new += a[i].op.result == NGX_TROVE_SPOOL_DONE;
        }
    }

    return new;
}


static void
maintain(void)
{
    ngx_trove_spool_maintained_t  maintained;

    do {
        if (ngx_trove_spool_maintain(spool, &maintained, &error) != NGX_OK) {
            die("maintain");
        }

    } while (maintained.more);
}


/* called when a statement of maintenance has ended */

static int
traced(unsigned type, void *data, void *p, void *x)
{
    sqlite3_stmt  *stmt = p;

    (void) type;
    (void) data;
    (void) x;

    if (stmt
        != sqlite(spool)->maintenance.stmts[NGX_TROVE_SQLITE_SQL_KEY_SCAN])
    {
        return 0;
    }

    if (sqlite3_get_autocommit(sqlite3_db_handle(stmt))) {

        if (scans == 0) {
            again();
        }

    } else {
        locked++;
    }

    scans++;

    return 0;
}


/* the first key of the table is that of another event now */

static void
again(void)
{
    sqlite3  *db;

    if (sqlite3_open_v2(spool_path, &db, SQLITE_OPEN_READWRITE, NULL)
        != SQLITE_OK
        || sqlite3_busy_timeout(db, WAIT) != SQLITE_OK
        || sqlite3_exec(db, "UPDATE key SET event = 12001 "
                            "WHERE hash = (SELECT min(hash) FROM key)",
                        NULL, NULL, NULL)
           != SQLITE_OK)
    {
        die("update: %s", sqlite3_errmsg(db));
    }

    changed = sqlite3_changes(db);

    sqlite3_close(db);
}
