
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "spool.h"


/* The age of the oldest pending delivery, and what it costs to find it. */

#define HOUR  3600000


static void oldest(void);
static void replayed_meanwhile(void);
static void cost(void);


static ngx_trove_spool_t  *spool;


int
main(void)
{
    alarm(300);

    spool_mkdir();
    spool = spool_open();

    oldest();
    replayed_meanwhile();
    cost();

    ngx_trove_spool_destroy(spool);

    return tap_done();
}


/* events from .. to - 1, which were received an hour apart */

static void
accept_aged(uint64_t from, uint64_t to, const char *names)
{
    int64_t   now;
    accept_t  a;

    now = (int64_t) time(NULL) * 1000;

    for ( /* void */ ; from < to; from++) {
        accept_op(&a, from, names, 0);
        a.op.u.accept.event.received = now - (int64_t) (5000 - from) * HOUR;
        spool_write(spool, &a.op);
    }
}


/* the number of the oldest event that is pending for the target; -1: none */

static int64_t
oldest_of(const char *name)
{
    int64_t                  age;
    ngx_uint_t               i;
    ngx_trove_spool_stat_t  *stat;

    stat = ngx_trove_spool_stat(spool, &error);

    if (stat == NULL) {
        die("stat");
    }

    age = 0;

    for (i = 0; i < stat->ntargets; i++) {
        if (stat->targets[i].target.name.len == strlen(name)
            && memcmp(stat->targets[i].target.name.data, name, strlen(name))
               == 0)
        {
            age = stat->targets[i].oldest;
        }
    }

    ngx_trove_spool_free(stat);

    return age ? 5000 - (age + HOUR / 2) / HOUR : -1;
}


static void
deliver(const char *name, ngx_uint_t n)
{
    ngx_uint_t  i, got;

    while (n) {
        got = spool_lease(spool, name, ngx_min(n, 100), ngx_min(n, 100));

        if (got == 0) {
            die("lease");
        }

        for (i = 0; i < got; i++) {
            spool_outcome(spool, leased[i].ref, NGX_TROVE_SPOOL_TO_DELIVERED,
                          200, 0);
        }

        spool_leased_free(got);
        n -= got;
    }
}


static void
oldest(void)
{
    accept_aged(0, 1000, "a b");

    tap_is(oldest_of("a"), 0, "the first one");
    tap_is(oldest_of("b"), 0, "of each target");

    deliver("a", 300);
    tap_is(oldest_of("a"), 300, "some are delivered");
    tap_is(oldest_of("b"), 0, "to one of them");

    deliver("a", 650);
    tap_is(oldest_of("a"), 950, "few are left");

    deliver("a", 50);
    tap_is(oldest_of("a"), -1, "none is left");

    accept_aged(1000, 1500, "a");
    tap_is(oldest_of("a"), 1000, "there are more");

    deliver("a", 100);
    tap_is(oldest_of("a"), 1100, "of which some are delivered");

    tap_is(ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_REPLAY,
                                   (int64_t) 8 << 16, &error),
           NGX_OK, "an older one is replayed");
    sqlite(spool)->marks_pause = 0;
    tap_is(oldest_of("a"), 7, "and is the oldest");

    tap_is(ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_CANCEL,
                                   (int64_t) 8 << 16, &error),
           NGX_OK, "it is cancelled");
    tap_is(oldest_of("a"), 1100, "and is no more");
    tap_is(oldest_of("b"), 0, "the other target has its own");
}


/* steps of the machine of SQLite, for the statements that find the oldest */

static int
steps(void)
{
    int                     n;
    ngx_uint_t              i;
    ngx_trove_sqlite_db_t  *db;

    static const ngx_trove_sqlite_sql_e  sqls[] = {
        NGX_TROVE_SQLITE_SQL_DELIVERY_OLDEST,
        NGX_TROVE_SQLITE_SQL_DELIVERY_FROM
    };

    n = 0;
    db = &sqlite(spool)->readers[0];

    for (i = 0; i < 2; i++) {
        if (db->stmts[sqls[i]] != NULL) {
            n += sqlite3_stmt_status(db->stmts[sqls[i]],
                                     SQLITE_STMTSTATUS_VM_STEP, 1);
        }
    }

    return n;
}


static void
cost(void)
{
    int  few, many;

    sqlite(spool)->marks_pause = 0;
    (void) oldest_of("a");

    accept_aged(1500, 1600, "c");
    (void) oldest_of("c");
    (void) steps();
    (void) oldest_of("c");
    few = steps();

    accept_aged(1600, 4900, "c");
    (void) oldest_of("c");
    (void) steps();
    (void) oldest_of("c");
    many = steps();

    tap_ok(few > 0 && many <= few, "%d steps for 100, %d for 3,400", few, many);
}


/* called by the reader when it has its snapshot */

static int
replay_once(unsigned type, void *data, void *p, void *x)
{
    ngx_trove_spool_t  **other = data;

    ngx_trove_spool_error_t  ignored;

    if (*other != NULL) {

        if (ngx_trove_spool_control(*other, NGX_TROVE_SPOOL_REPLAY,
                                    (int64_t) 9 << 16, &ignored)
            != NGX_OK)
        {
            die("replay");
        }

        *other = NULL;
    }

    return 0;
}


static void
replayed_meanwhile(void)
{
    ngx_uint_t          i;
    ngx_trove_spool_t  *two, *other;

    two = spool_open();
    other = NULL;

    tap_is(oldest_of("a"), 1100, "what is pending is known");

    for (i = 0; i < NGX_TROVE_SQLITE_READERS; i++) {
        sqlite3_trace_v2(sqlite(spool)->readers[i].db, SQLITE_TRACE_ROW,
                         replay_once, &other);
    }

    other = two;
    sqlite(spool)->marks_pause = 0;
    tap_is(oldest_of("a"), 1100, "an older one is replayed meanwhile");
    tap_ok(other == NULL, "as it should");

    for (i = 0; i < NGX_TROVE_SQLITE_READERS; i++) {
        sqlite3_trace_v2(sqlite(spool)->readers[i].db, 0, NULL, NULL);
    }

    sqlite(spool)->marks_pause = 0;
    tap_is(oldest_of("a"), 8, "and is found by the next call");

    tap_is(ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_CANCEL,
                                   (int64_t) 9 << 16, &error),
           NGX_OK, "it is cancelled");

    ngx_trove_spool_destroy(two);
}
