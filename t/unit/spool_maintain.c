
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "spool.h"


/* Maintenance: keys in bulk, retention, size. */


static void keys(void);
static void stale_keys(void);
static void prunes(void);
static void prunes_by_clock(void);
static void rests(void);
static void quiet_keys(void);
static void shrinks(void);
static void limits(void);
static void gives_way(void);
static void checkpoints(void);
static void checkpoints_read(void);
static void write_always(void);
static void read_always(void);
static ngx_uint_t restarts(ngx_uint_t max);


static ngx_trove_spool_t             *spool;
static ngx_trove_spool_maintained_t   maintained;


int
main(void)
{
    spool_mkdir();

    keys();
    stale_keys();
    prunes();
    prunes_by_clock();
    rests();
    quiet_keys();
    shrinks();
    limits();
    gives_way();
    checkpoints();
    checkpoints_read();

    return tap_done();
}


static void
restart(ngx_uint_t anew)
{
    char  cmd[400];

    ngx_trove_spool_destroy(spool);

    if (anew) {
        snprintf(cmd, sizeof(cmd), "rm -f '%s'*", spool_path);

        if (system(cmd) != 0) {
            die("rm");
        }
    }

    spool = spool_open();
}


/* all there is to do; the number of events pruned */

static ngx_uint_t
maintain(void)
{
    ngx_uint_t  n;

    n = 0;

    do {
        if (ngx_trove_spool_maintain(spool, &maintained, &error) != NGX_OK) {
            die("maintain");
        }

        n += maintained.events;

    } while (maintained.more);

    return n;
}


/* events from .. to - 1, many in a transaction; how many were new */

static ngx_uint_t
accept_many(uint64_t from, uint64_t to, const char *names, ngx_uint_t lease)
{
    ngx_uint_t             i, n, new;
    ngx_trove_spool_op_t  *ops;

    static accept_t  a[500];

    new = 0;

    while (from < to) {
        ops = NULL;

        for (n = 0; n < 500 && from < to; n++) {
            accept_op(&a[n], from++, names, lease);
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


/* keys go from the memory to the file, and none is lost on the way */

static void
keys(void)
{
    ngx_trove_sqlite_shared_t  *shared;

    restart(1);
    sqlite(spool)->keys = 4096;

    tap_is(accept_many(0, 3000, "", 0), 3000, "some events");
    maintain();
    tap_is(sql_int("SELECT count(*) FROM key"), 0,
           "few keys stay in memory");
    tap_is(accept_many(0, 3000, "", 0), 0, "where they are found");

    tap_is(accept_many(3000, 4500, "", 0), 1500, "some more");
    tap_ok(sqlite(spool)->shared->sealed != 0, "fill a half");
    tap_is(accept_many(0, 4500, "", 0), 0, "where they are found");

    maintain();
    tap_is(sqlite(spool)->shared->sealed, 0, "which is emptied");
    tap_ok(sql_int("SELECT count(*) FROM key") >= 3500, "into the file");
    tap_is(sql_int("SELECT indexed FROM spool"),
           sql_int("SELECT max(event) FROM key"), "up to this event");
    tap_is(accept_many(0, 4500, "", 0), 0, "where they are found");

    /* both halves full, and more */

    tap_is(accept_many(4500, 20000, "", 0), 15500, "too many at once");
    shared = sqlite(spool)->shared;

    tap_ok(shared->sealed != 0
           && shared->used[shared->current] >= 4096,
           "fill both");
    tap_is(accept_many(0, 20000, "", 0), 0, "and all are found");

    restart(0);
    sqlite(spool)->keys = 4096;
    tap_is(accept_many(0, 20000, "", 0), 0, "after a restart as well");

    maintain();
    tap_is(accept_many(0, 20000, "", 0), 0, "and after maintenance");
    tap_is(accept_many(20000, 21000, "", 0), 1000, "while others are new");
    tap_ok(spool_sound(), "all is sound");
}


static void
stale_keys(void)
{
    int64_t  before;

    restart(1);
    sqlite(spool)->keys = 2048;

    accept_many(0, 12000, "", 0);
    maintain();
    before = sql_int("SELECT count(*) FROM key");
    tap_ok(before > 9000, "%d keys in the file", (int) before);

    sqlite(spool)->skew_wall += 8 * DAY;
    sqlite(spool)->skew_mono += 8 * DAY;

    tap_is(maintain(), 12000, "their events are pruned");
    tap_ok(sql_int("SELECT stale FROM spool") < 10000, "most are swept away");
    tap_ok(sql_int("SELECT count(*) FROM key") < 4000, "out of the file");

    tap_is(accept_many(0, 12000, "", 0), 12000, "the events may come again");
    tap_is(accept_many(0, 12000, "", 0), 0, "once");
    maintain();
    tap_is(accept_many(0, 12000, "", 0), 0, "whatever is done");
    tap_ok(spool_sound(), "all is sound");
}


static void
prunes(void)
{
    ngx_uint_t             i;
    ngx_trove_spool_ref_t  refs[10][2];

    restart(1);

    for (i = 1; i < 10; i++) {
        spool_accept(spool, i, "a b", 1, refs[i]);
    }

    /* 1: b is pending; 2: b failed; 3 to 9: delivered */

    for (i = 1; i < 10; i++) {
        spool_outcome(spool, refs[i][0], NGX_TROVE_SPOOL_TO_RETRY, 500, 0);
    }

    tap_is(spool_lease(spool, "a", 20, 20), 9, "again");

    for (i = 0; i < 9; i++) {
        spool_outcome(spool, leased[i].ref, NGX_TROVE_SPOOL_TO_DELIVERED, 200,
                      0);
    }

    spool_leased_free(9);

    spool_outcome(spool, refs[2][1], NGX_TROVE_SPOOL_TO_FAILED, 410, 0);

    for (i = 3; i < 10; i++) {
        spool_outcome(spool, refs[i][1], NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0);
    }

    tap_is(maintain(), 0, "nothing is pruned at once");

    sqlite(spool)->skew_wall += 7 * DAY - 60000;
    sqlite(spool)->skew_mono += 7 * DAY - 60000;
    tap_is(maintain(), 0, "nor before the retention is over");

    /* one is looked at again */

    tap_is(ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_REPLAY, refs[5][1].id,
                                   &error),
           NGX_OK, "a replay");

    sqlite(spool)->skew_wall += 120000;
    sqlite(spool)->skew_mono += 120000;
    tap_is(maintain(), 7, "then, what is final for so long");
    tap_is(maintained.deliveries, 14, "with its deliveries");
    tap_is(sql_int("SELECT count(*) FROM event WHERE number IN (1, 5)"), 2,
           "but not what is pending, or so again");
    tap_is(sql_int("SELECT count(*) FROM attempt"), 3,
           "attempts go, too");

    tap_is(spool_lease(spool, "b", 20, 20), 2, "those two");
    spool_outcome(spool, leased[0].ref, NGX_TROVE_SPOOL_TO_FAILED, 500, 0);
    spool_outcome(spool, leased[1].ref, NGX_TROVE_SPOOL_TO_FAILED, 500, 0);
    spool_leased_free(2);

    tap_is(maintain(), 0, "have their own time");
    sqlite(spool)->skew_wall += 7 * DAY + 1000;
    sqlite(spool)->skew_mono += 7 * DAY + 1000;
    tap_is(maintain(), 2, "which comes");
    tap_is(sql_int("SELECT count(*) FROM event"), 0, "nothing is left");
    tap_is(sql_int("SELECT events FROM spool"), 0, "nor counted");

    tap_is(spool_accept(spool, 100, "a", 0, NULL), 10,
           "numbers are not given out again");

    tap_is(spool_outcome(spool, refs[3][0], NGX_TROVE_SPOOL_TO_DELIVERED, 200,
                         0),
           NGX_TROVE_SPOOL_UNKNOWN, "an outcome that comes too late");
    tap_ok(spool_sound(), "all is sound");
}


static void
prunes_by_clock(void)
{
    ngx_trove_spool_ref_t  ref;

    restart(1);

    /* a clock that was wrong by years, for a while */

    sqlite(spool)->skew_wall = 1000 * DAY;
    restart(0);
    ngx_trove_spool_destroy(spool);
    spool = spool_new(0, WAIT);
    sqlite(spool)->skew_wall = 1000 * DAY;

    if (ngx_trove_spool_open(spool, &error) != NGX_OK) {
        die("open");
    }

    spool_accept(spool, 1, "a", 1, &ref);
    spool_outcome(spool, ref, NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0);
    restart(0);

    accept_many(10, 20, "", 0);

    tap_is(maintain(), 0, "what is of the future is not old");
    sqlite(spool)->skew_wall += 8 * DAY;
    sqlite(spool)->skew_mono += 8 * DAY;
    tap_is(maintain(), 11, "but does not stay for ever, nor what follows it");
}


/* old events that are not final are not looked at all the time */

static void
rests(void)
{
    uint64_t    before;
    ngx_uint_t  i;

    restart(1);
    accept_many(0, 1000, "a", 0);

    sqlite(spool)->skew_wall += 8 * DAY;
    sqlite(spool)->skew_mono += 8 * DAY;

    tap_is(maintain(), 0, "old, and not delivered");
    before = sqlite(spool)->maintenance.txn;

    for (i = 0; i < 5; i++) {
        tap_is(maintain(), 0, "nothing is pruned");
    }

    tap_is(sqlite(spool)->maintenance.txn, before, "and no lock is taken");

    tap_is(ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_CANCEL,
                                   (int64_t) 1 << 16, &error),
           NGX_OK, "one is cancelled");

    sqlite(spool)->skew_wall += 8 * DAY;
    sqlite(spool)->skew_mono += 8 * DAY;
    tap_is(maintain(), 1, "and pruned later");
    tap_ok(spool_sound(), "all is sound");
}


/* keys that would be read again when the spool is opened */

static void
quiet_keys(void)
{
    restart(1);
    accept_many(0, 9000, "", 0);

    maintain();
    tap_is(sql_int("SELECT count(*) FROM key"), 0, "keys stay in memory");

    sqlite(spool)->skew_mono += 60000;
    maintain();
    tap_is(sql_int("SELECT count(*) FROM key"), 9000,
           "until no event has come for some time");
    tap_is(sql_int("SELECT indexed FROM spool"), 9000, "all of them");
    tap_is(accept_many(0, 9000, "", 0), 0, "and are found");

    restart(0);
    tap_is(accept_many(0, 9000, "", 0), 0, "after a restart as well");
    tap_is(sqlite(spool)->shared->used[0], 0, "without being read again");
}


static void
shrinks(void)
{
    int64_t      before, after;
    accept_t     a;
    ngx_uint_t   i;

    static u_char  body[100000];

    restart(1);

    for (i = 0; i < 300; i++) {
        accept_op(&a, i, "", 0);
        a.op.u.accept.event.body.data = body;
        a.op.u.accept.event.body.len = sizeof(body);
        spool_write(spool, &a.op);
    }

    before = sql_int("PRAGMA page_count");
    tap_ok(before > 7000, "%d pages", (int) before);

    sqlite(spool)->skew_wall += 8 * DAY;
    tap_is(maintain(), 300, "pruned");

    /* as far as pages are worth it */

    after = sql_int("PRAGMA page_count");
    tap_ok(after < 2500, "%d pages are left", (int) after);
    tap_ok(spool_sound(), "all is sound");
}


static void
limits(void)
{
    accept_t                 a, b;
    ngx_uint_t               i, n;
    ngx_trove_spool_ref_t    ref;
    ngx_trove_spool_op_t     op;
    ngx_trove_spool_stat_t  *stat;

    static u_char  body[10000];

    restart(1);
    sqlite(spool)->max_size = 2 * 1024 * 1024;

    memset(&ref, 0, sizeof(ref));
    n = 0;

    for (i = 0; i < 400; i++) {
        accept_op(&a, i, "a", 1);
        a.op.u.accept.event.body.data = body;
        a.op.u.accept.event.body.len = sizeof(body);
        spool_write(spool, &a.op);

        if (a.op.result != NGX_TROVE_SPOOL_DONE) {
            break;
        }

        ref = a.targets[0].ref;
        n++;
    }

    tap_is(a.op.result, NGX_TROVE_SPOOL_NO_SPACE, "an end to events");
    tap_is(error.kind, NGX_TROVE_SPOOL_FULL, "as an error says");
    tap_is_str((char *) error.text, "the limit of 2097152 bytes is reached",
               "in words");
    tap_ok(n > 150 && n < 210, "%d events of 10 kB in 2 MB", (int) n);

    stat = ngx_trove_spool_stat(spool, &error);
    tap_ok(stat->used >= 2 * 1024 * 1024 && stat->used < 2200000,
           "as the counters say");
    ngx_trove_spool_free(stat);

    /* whatever else there is to be written is */

    accept_op(&a, 1000, "a", 1);
    accept_op(&b, 1001, "a", 1);
    outcome_op(&op, ref, NGX_TROVE_SPOOL_TO_RETRY, 500, 0);
    a.op.next = &op;
    op.next = &b.op;
    spool_write(spool, &a.op);
    tap_is(a.op.result, NGX_TROVE_SPOOL_NO_SPACE, "no event");
    tap_is(op.result, NGX_TROVE_SPOOL_DONE, "but an outcome");
    tap_is(b.op.result, NGX_TROVE_SPOOL_NO_SPACE, "and no other event");
    tap_is(spool_state(spool, ref.id), NGX_TROVE_SPOOL_RETRY, "is there");

    sqlite(spool)->skew_wall += 8 * DAY;
    sqlite(spool)->skew_mono += 8 * DAY;
    n = spool_lease(spool, "a", 400, 400);

    for (i = 0; i < n; i++) {
        spool_outcome(spool, leased[i].ref, NGX_TROVE_SPOOL_TO_DELIVERED, 200,
                      0);
    }

    spool_leased_free(n);

    sqlite(spool)->skew_wall += 8 * DAY;
    sqlite(spool)->skew_mono += 8 * DAY;
    maintain();

    spool_write(spool, accept_op(&a, 1002, "a", 1));
    tap_is(a.op.result, NGX_TROVE_SPOOL_DONE, "pruning makes room");
    tap_is(error.kind, 0, "and there is no error");
    tap_ok(spool_sound(), "all is sound");
}


/* what has ended gives way to new events, and what waits does not */

static void
gives_way(void)
{
    accept_t               a;
    ngx_uint_t             i, n, early, rejected;
    ngx_trove_spool_ref_t  ref;

    static u_char  body[10000];

    restart(1);
    sqlite(spool)->max_size = 2 * 1024 * 1024;

    early = 0;
    rejected = 0;

    for (i = 0; i < 1000; i++) {
        accept_op(&a, i, "a", 1);
        a.op.u.accept.event.body.data = body;
        a.op.u.accept.event.body.len = sizeof(body);
        spool_write(spool, &a.op);

        if (a.op.result != NGX_TROVE_SPOOL_DONE) {
            rejected++;
            continue;
        }

        /* one in ten waits */

        ref = a.targets[0].ref;

        if (i % 10) {
            spool_outcome(spool, ref, NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0);
        }

        if (i % 10 == 0) {
            (void) ngx_trove_spool_maintain(spool, &maintained, &error);
            early += maintained.early;
            sqlite(spool)->skew_mono += 30000;
        }
    }

    tap_is(rejected, 0, "what has ended gives way to new events");
    tap_ok(early > 500, "%d events before the end of the retention",
           (int) early);
    tap_is(sql_int("SELECT count(*) FROM delivery WHERE state < 3"), 100,
           "what waits is there");
    tap_ok(sql_int("SELECT count(*) FROM event") > 104,
           "and so are the newest that have ended");
    tap_ok(spool_sound(), "all is sound");

    /* until all that is there waits */

    n = 0;

    for (i = 1000; i < 1400; i++) {
        accept_op(&a, i, "a", 0);
        a.op.u.accept.event.body.data = body;
        a.op.u.accept.event.body.len = sizeof(body);
        spool_write(spool, &a.op);

        if (a.op.result == NGX_TROVE_SPOOL_NO_SPACE) {
            sqlite(spool)->skew_mono += 30000;
            maintain();
            n++;

            if (n == 3) {
                break;
            }
        }
    }

    tap_is(n, 3, "no more events if all of them wait");
    tap_is(sql_int("SELECT count(*) FROM delivery WHERE state > 2"), 0,
           "and nothing else is left");
    tap_ok(spool_sound(), "all is sound");
}


/* PATH-wal is restarted, though there is always somebody who writes */

static void
checkpoints(void)
{
    pid_t  pid;

    restart(1);
    fflush(stdout);

    pid = fork();

    if (pid == 0) {
        write_always();
    }

    tap_is(restarts(3), 3, "all of it is written back again and again");

    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);

    tap_ok(spool_sound(), "all is sound");
}


/* and though two processes always read */

static void
checkpoints_read(void)
{
    int         status;
    pid_t       pids[2];
    ngx_uint_t  i, bad;

    restart(1);
    bad = 0;
    accept_many(0, 2000, "a b", 0);
    fflush(stdout);

    for (i = 0; i < 2; i++) {
        pids[i] = fork();

        if (pids[i] == 0) {
            read_always();
        }
    }

    tap_is(restarts(3), 3, "likewise while two processes read all the time");

    for (i = 0; i < 2; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], &status, 0);

        bad += !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }

    tap_is(bad, 0, "as they did to the end");
    tap_ok(spool_sound(), "all is sound");

    ngx_trove_spool_destroy(spool);
}


static void
write_always(void)
{
    ngx_uint_t  i;

    spool = spool_open();

    for (i = 0; /* void */ ; i++) {
        accept_many(1000000 + i * 300, 1000000 + i * 300 + 300, "a b", 0);
    }
}


static void
read_always(void)
{
    ngx_trove_spool_events_t  *events;
    ngx_trove_spool_filter_t   filter;

    memset(&filter, 0, sizeof(filter));
    spool = spool_open();

    for ( ;; ) {
        events = ngx_trove_spool_events(spool, &filter, 0, 1000, 1000000,
                                        &error);

        if (events == NULL) {
            die("events");
        }

        ngx_trove_spool_free(events);
    }
}


/* writes until PATH-wal was restarted max times: how many times it was */

static ngx_uint_t
restarts(ngx_uint_t max)
{
    int          pages;
    char         wal[320];
    ngx_uint_t   i, n;
    struct stat  st;

    n = 0;
    pages = 0;

    for (i = 0; i < 50000 && n < max; i++) {

        if (ngx_trove_spool_maintain(spool, &maintained, &error) != NGX_OK) {
            die("maintain");
        }

        accept_many(10000 + i * 50, 10000 + i * 50 + 50, "a", 0);

        if (sqlite(spool)->writer.wal_pages < pages) {
            n++;
        }

        pages = sqlite(spool)->writer.wal_pages;
    }

    snprintf(wal, sizeof(wal), "%s-wal", spool_path);

    if (stat(wal, &st) != 0) {
        die("stat");
    }

    tap_diag("  %d kB after %d batches", (int) (st.st_size / 1024), (int) i);

    return n;
}
