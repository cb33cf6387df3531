
/*
 * Copyright (C) the ngx_trove_module authors
 */


/* Which targets a lease looks at: those with due deliveries, and no others. */


#include "spool.h"


#define TARGETS  300


static ngx_uint_t find(void *data, ngx_trove_spool_target_t *target);
static ngx_uint_t lease(ngx_trove_spool_t *spool, ngx_uint_t max);
static void deliver(ngx_trove_spool_t *spool, ngx_uint_t n);
static int64_t steps(ngx_trove_spool_t *spool);


static char                     names[TARGETS][8];
static ngx_trove_spool_want_t   wants[TARGETS];
static ngx_trove_spool_limit_t  limits[TARGETS];
static ngx_uint_t               nwants = TARGETS;
static ngx_uint_t               nlimits;
static ngx_uint_t               found;


int
main(void)
{
    int64_t                   few;
    ngx_uint_t                i, k, n, rounds, served[TARGETS];
    ngx_trove_spool_t        *spool;
    ngx_trove_spool_target_t  target;

    alarm(120);

    spool_mkdir();

    spool = spool_open();

    for (i = 0; i < TARGETS; i++) {
        snprintf(names[i], sizeof(names[i]), "t%03d", (int) i);

        wants[i].target.route = str("example.com/events");
        wants[i].target.name = str(names[i]);
        wants[i].limit = 10;
        wants[i].retries = 5;
        wants[i].delay_max = 3600 * 1000;
    }

    /* ten targets */

    for (i = 0; i < 10; i++) {
        (void) spool_accept(spool, i, names[i], 0, NULL);
    }

    n = lease(spool, LEASED);
    tap_is(n, 10, "ten are due");
    tap_is(found, 10, "ten targets were looked at");
    deliver(spool, n);

    tap_is(lease(spool, LEASED), 0, "nothing is due");
    few = steps(spool);

    /* all the others have had something, and have nothing now */

    for (i = 10; i < TARGETS; i++) {
        (void) spool_accept(spool, i, names[i], 0, NULL);
    }

    memset(served, 0, sizeof(served));

    for (rounds = 0; rounds < 10; rounds++) {
        n = lease(spool, 64);

        if (n == 0) {
            break;
        }

        for (i = 0; i < n; i++) {
            served[leased[i].want]++;
        }

        deliver(spool, n);
    }

    tap_is(rounds, 5, "290 targets in five leases of 64");

    for (i = 10, n = 0; i < TARGETS; i++) {
        n += (served[i] == 1);
    }

    tap_is(n, TARGETS - 10, "each got its turn");
    tap_is(lease(spool, LEASED), 0, "nothing is due again");
    tap_is(steps(spool), few, "and 300 targets cost as much as ten");

    /* once more when the leases would have expired */

    sqlite(spool)->skew_mono += 61000;
    tap_is(lease(spool, LEASED), 0, "nothing is due later");
    tap_is(sql_int("SELECT count(*) FROM target WHERE earliest IS NOT NULL"), 0,
           "they are not in the index");

    /* more targets than can be served, each with a backlog: turns */

    for (k = 0; k < 5; k++) {
        for (i = 0; i < 100; i++) {
            (void) spool_accept(spool, 1000 + k * 100 + i, names[i], 0, NULL);
        }
    }

    memset(served, 0, sizeof(served));

    for (rounds = 0; rounds < 10; rounds++) {
        n = lease(spool, 10);

        for (i = 0; i < n; i++) {
            served[leased[i].want]++;
        }

        deliver(spool, n);
    }

    for (i = 0, n = 0; i < 100; i++) {
        n += (served[i] == 1);
    }

    tap_is(n, 100, "each got one before one got two");

    /* a target that is full, one that is unknown, and one that is paused */

    nlimits = 2;
    limits[0].want = 7;
    limits[0].limit = 0;
    limits[1].want = 3;
    limits[1].limit = 2;
    limits[1].retries = 0;

    nwants = 99;

    target.route = str("example.com/events");
    target.name = str(names[5]);

    if (ngx_trove_spool_pause(spool, &target, 1, &error) != NGX_OK) {
        die("pause");
    }

    n = lease(spool, LEASED);

    memset(served, 0, sizeof(served));

    for (i = 0; i < n; i++) {
        served[leased[i].want]++;

        if (leased[i].want == 3 && served[3] == 2) {
            tap_is(leased[i].more, 1, "there is more than the limit");
        }

        if (leased[i].want == 4 && served[4] == 4) {
            tap_is(leased[i].more, 0, "there is not");
        }
    }

    tap_is(served[7], 0, "nothing for the one that is full");
    tap_is(served[99], 0, "nor for the unknown one");
    tap_is(served[5], 0, "nor for the paused one");
    tap_is(served[3], 2, "no more than the limit");
    tap_is(served[4], 4, "all for another");

    deliver(spool, n);

    limits[0].limit = 0;
    limits[1].limit = 0;

    tap_is(lease(spool, LEASED), 0, "nothing for the others");
    tap_ok(lease_next > 1000, "and no reason to ask soon");

    if (ngx_trove_spool_pause(spool, &target, 0, &error) != NGX_OK) {
        die("resume");
    }

    n = lease(spool, LEASED);
    tap_is(n, 4, "resumed");
    deliver(spool, n);

    tap_ok(spool_sound(), "the spool is sound");

    ngx_trove_spool_destroy(spool);

    return tap_done();
}


static ngx_uint_t
find(void *data, ngx_trove_spool_target_t *target)
{
    size_t      i;
    ngx_uint_t  n;

    found++;

    /* the name is not terminated */

    for (n = 0, i = 1; i < target->name.len; i++) {
        n = 10 * n + target->name.data[i] - '0';
    }

    return n;
}


static ngx_uint_t
lease(ngx_trove_spool_t *spool, ngx_uint_t max)
{
    ngx_trove_spool_op_t  op;

    memset(&op, 0, sizeof(op));

    op.type = NGX_TROVE_SPOOL_OP_LEASE;
    op.u.lease.wants = wants;
    op.u.lease.nwants = nwants;
    op.u.lease.find = find;
    op.u.lease.limits = limits;
    op.u.lease.nlimits = nlimits;
    op.u.lease.max = max;
    op.u.lease.max_bytes = 1024 * 1024;
    op.u.lease.lease = 60000;
    op.u.lease.leased = leased;

    spool_write(spool, &op);

    lease_next = op.u.lease.next;

    return op.u.lease.n;
}


static void
deliver(ngx_trove_spool_t *spool, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        spool_outcome(spool, leased[i].ref, NGX_TROVE_SPOOL_TO_DELIVERED, 200,
                      0);
    }

    spool_leased_free(n);
}


/* of the virtual machine of SQLite, to find what is due once more */

static int64_t
steps(ngx_trove_spool_t *spool)
{
    ngx_uint_t      i, sum;
    sqlite3_stmt  **stmts;

    static const ngx_uint_t  used[] = {
        NGX_TROVE_SQLITE_SQL_TARGET_DUE, NGX_TROVE_SQLITE_SQL_TARGET_NEXT
    };

    stmts = sqlite(spool)->writer.stmts;
    sum = 0;

    for (i = 0; i < 2; i++) {
        (void) sqlite3_stmt_status(stmts[used[i]], SQLITE_STMTSTATUS_VM_STEP,
                                   1);
    }

    if (lease(spool, LEASED) != 0) {
        die("something is due");
    }

    for (i = 0; i < 2; i++) {
        sum += sqlite3_stmt_status(stmts[used[i]], SQLITE_STMTSTATUS_VM_STEP,
                                   1);
    }

    return sum;
}
