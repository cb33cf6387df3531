
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "spool.h"


/* What is due again, when, and what a process that reopens the file may do. */


static void lowered(void);
static void released(void);
static void reopened(void);
static void merged(void);
static ngx_uint_t due(ngx_trove_spool_t *spool, int64_t delay_max);


int
main(void)
{
    spool_mkdir();

    lowered();
    released();
    reopened();
    merged();

    return tap_done();
}


/* leases all that is due, with the given longest delay */

static ngx_uint_t
due(ngx_trove_spool_t *spool, int64_t delay_max)
{
    ngx_trove_spool_op_t    op;
    ngx_trove_spool_want_t  want;

    memset(&op, 0, sizeof(op));
    memset(&want, 0, sizeof(want));

    want.target.route = str("example.com/events");
    want.target.name = str("a");
    want.limit = LEASED;
    want.retries = LEASED;
    want.delay_max = delay_max;

    op.type = NGX_TROVE_SPOOL_OP_LEASE;
    op.u.lease.wants = &want;
    op.u.lease.nwants = 1;
    op.u.lease.max = LEASED;
    op.u.lease.max_bytes = 1024 * 1024;
    op.u.lease.lease = 60000;
    op.u.lease.leased = leased;

    /* it is repeated until nothing is left to be repaired */

    sqlite(spool)->skew_mono += 1000;
    sqlite(spool)->skew_wall += 1000;

    spool_write(spool, &op);
    spool_leased_free(op.u.lease.n);

    return op.u.lease.n;
}


static void
lowered(void)
{
    ngx_uint_t              i, n, k, all;
    ngx_trove_spool_t      *spool;
    ngx_trove_spool_ref_t   ref;

    spool = spool_open();

    for (i = 1; i <= 400; i++) {
        spool_accept(spool, i, "a", 1, &ref);
        spool_outcome(spool, ref, NGX_TROVE_SPOOL_TO_RETRY, 500, 3600 * 1000);
    }

    all = 0;
    n = 0;

    for (k = 0; k < 8; k++) {
        n = due(spool, 100000);
        all += n;
    }

    tap_ok(all < 100, "few are due after 8 of 100 seconds: %d", (int) all);
    tap_is(sql_int("SELECT count(*) FROM delivery WHERE state = 1 AND due > "
                   "(SELECT min(due) FROM delivery WHERE state = 1) + 101000"),
           0, "and none later than that");

    tap_ok(sql_int("SELECT count(DISTINCT due) FROM delivery WHERE state = 1")
           > 200, "at different times");

    sqlite(spool)->skew_mono += 45000;
    sqlite(spool)->skew_wall += 45000;
    n = due(spool, 100000);
    all += n;

    tap_ok(n > 100 && all < 350, "half after half the time: %d", (int) all);

    sqlite(spool)->skew_mono += 60000;
    sqlite(spool)->skew_wall += 60000;

    /* some leases expire meanwhile */

    (void) due(spool, 100000);

    tap_is(sql_int("SELECT count(*) FROM delivery WHERE state = 1 "
                   "AND owner IS NULL"), 0, "all after all of it");

    tap_ok(spool_sound(), "all is sound");

    ngx_trove_spool_destroy(spool);

    spool_rmdir();
    spool_mkdir();
}


static void
released(void)
{
    ngx_trove_spool_t      *spool;
    ngx_trove_spool_ref_t   refs[2];

    spool = spool_open();

    spool_accept(spool, 1, "a", 1, &refs[0]);
    spool_accept(spool, 2, "a", 1, &refs[1]);

    spool_outcome(spool, refs[0], NGX_TROVE_SPOOL_RELEASED, 0, 0);
    spool_outcome(spool, refs[1], NGX_TROVE_SPOOL_RELEASED, 0, 1000);

    tap_is(sql_int("SELECT due > (SELECT due FROM delivery WHERE id >> 16 = 1) "
                   "+ 900 FROM delivery WHERE id >> 16 = 2"),
           1, "a released delivery waits");
    tap_is(sql_int("SELECT sum(attempts) FROM delivery"), 0,
           "and has had no attempt");

    tap_is(due(spool, 100000) + due(spool, 100000), 2, "it is due after that");

    ngx_trove_spool_destroy(spool);

    spool_rmdir();
    spool_mkdir();
}


static void
reopened(void)
{
    ngx_trove_spool_t      *spool;
    ngx_trove_spool_ref_t   refs[3];

    spool = spool_open();

    spool_accept(spool, 1, "a", 1, &refs[0]);
    spool_accept(spool, 2, "a", 1, &refs[1]);

    /* of a process that has died */

    (void) sql_int("UPDATE delivery SET owner = owner + 1 WHERE id >> 16 = 2");

    /* as after an error of the disk */

    sqlite(spool)->stale = 1;

    spool_accept(spool, 3, "b", 1, &refs[2]);

    tap_is(spool_state(spool, refs[0].id), NGX_TROVE_SPOOL_LEASED,
           "a process that reopens the file keeps its leases");
    tap_is(spool_state(spool, refs[1].id), NGX_TROVE_SPOOL_NEW,
           "those of others are void");
    tap_is(spool_lease(spool, "a", 10, 10), 1, "they alone are made again");
    spool_leased_free(1);

    tap_is(spool_outcome(spool, refs[0], NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0),
           NGX_TROVE_SPOOL_DONE, "the outcome is that of a lease");

    ngx_trove_spool_destroy(spool);

    /* a new process has none */

    spool = spool_open();
    tap_is(spool_state(spool, refs[2].id), NGX_TROVE_SPOOL_NEW,
           "a new process voids all leases");
    tap_ok(spool_sound(), "all is sound");

    ngx_trove_spool_destroy(spool);

    spool_rmdir();
    spool_mkdir();
}


/* of two events of one key, the later one counts, whatever is written last */

static void
merged(void)
{
    u_char                   key[NGX_TROVE_SPOOL_KEY_LEN];
    accept_t                 a;
    ngx_uint_t               i;
    ngx_trove_spool_t       *spool;
    ngx_trove_sqlite_db_t   *db;

    spool = spool_open();

    spool_accept(spool, 1, "a", 0, NULL);

    if (ngx_trove_spool_forget(spool, key_of(1, key), &error) != NGX_OK) {
        die("forget");
    }

    /* both halves are full: the key of the second copy goes to the table */

    for (i = 0; i < 2; i++) {
        sqlite(spool)->keys = 0;
        spool_accept(spool, 2 + i, "a", 0, NULL);
    }

    spool_accept(spool, 1, "a", 0, NULL);

    /* the half with the key of the first copy is merged after that */

    db = &sqlite(spool)->writer;
    db->error = &error;

    if (ngx_trove_sqlite_key_write(db, ngx_trove_sqlite_hash(key), 1)
        != NGX_OK)
    {
        die("merge");
    }

    db->error = NULL;

    /* memory is new, and knows no keys */

    sqlite(spool)->shared->salt = 0;
    (void) sql_int("UPDATE spool SET indexed = last");

    spool_write(spool, accept_op(&a, 1, "a", 0));
    tap_is(a.op.result, NGX_TROVE_SPOOL_DUPLICATE,
           "an event forgotten and accepted again is a duplicate");
    tap_is(a.op.u.accept.event.number, 4, "of the second copy");

    ngx_trove_spool_destroy(spool);
}
