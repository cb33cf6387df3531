
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <pthread.h>

#include "spool.h"


/*
 * Events with many deliveries, which are removed in steps: no transaction
 * changes too many rows, nobody sees a part of them, and what a killed process
 * has left is removed by another one.
 */


#define MANY  NGX_TROVE_SPOOL_TARGETS

/* rows that a transaction may change: a step takes 2 ms */
#define ROWS  4000


static void purges(void);
static void killed(void);
static void prunes(void);
static void waits(void);
static void clock_back(void);
static void attempts(void);
static void readers(void);
static int64_t many(uint64_t n, ngx_uint_t ntargets);
static void ended(int64_t number, const char *set);
static void change(const char *sql);
static ngx_uint_t purge(int64_t number, ngx_uint_t states);
static ngx_uint_t maintain(void);
static void watch(ngx_trove_sqlite_db_t *db);
static void row(void *data, int op, const char *db, const char *table,
    sqlite3_int64 rowid);
static int committed(void *data);
static ngx_uint_t listed(ngx_trove_spool_filter_t *filter);
static ngx_uint_t deliveries_of(int64_t number);
static void *reader(void *data);


static ngx_trove_spool_t             *spool;
static ngx_trove_spool_maintained_t   maintained;

static ngx_uint_t                     rows, most, sum;
static ngx_uint_t                     done, seen_all, seen_none, seen_part;


int
main(void)
{
    alarm(300);

    spool_mkdir();

    spool = spool_open();

    purges();
    killed();
    prunes();
    waits();
    clock_back();
    attempts();
    readers();

    ngx_trove_spool_destroy(spool);

    return tap_done();
}


/* accepts event n with many deliveries, which wait */

static int64_t
many(uint64_t n, ngx_uint_t ntargets)
{
    accept_t                  a;
    ngx_uint_t                i;
    ngx_trove_spool_start_t  *targets;

    static char  names[MANY][8];

    (void) accept_op(&a, n, "", 0);

    targets = calloc(ntargets, sizeof(ngx_trove_spool_start_t));

    if (targets == NULL) {
        die("calloc");
    }

    for (i = 0; i < ntargets; i++) {
        snprintf(names[i], sizeof(names[i]), "t%d", (int) i);
        targets[i].name = str(names[i]);
    }

    a.op.u.accept.targets = targets;
    a.op.u.accept.ntargets = ntargets;

    spool_write(spool, &a.op);

    free(targets);

    if (a.op.result != NGX_TROVE_SPOOL_DONE) {
        die("accept: %d", (int) a.op.result);
    }

    return a.op.u.accept.event.number;
}


static void
change(const char *sql)
{
    char     *text;
    sqlite3  *db;

    text = NULL;

    if (sqlite3_open_v2(spool_path, &db, SQLITE_OPEN_READWRITE, NULL)
        != SQLITE_OK
        || sqlite3_busy_timeout(db, WAIT) != SQLITE_OK
        || sqlite3_exec(db, sql, NULL, NULL, &text) != SQLITE_OK)
    {
        die("%s: %s", sql, text ? text : "cannot be opened");
    }

    sqlite3_close(db);
}


/* all deliveries of an event are delivered now, or as in set */

static void
ended(int64_t number, const char *set)
{
    char  sql[1024];

    snprintf(sql, sizeof(sql),
             "BEGIN IMMEDIATE;"
             "UPDATE target SET delivered = delivered + 1, new = new - 1 "
                 "WHERE id IN (SELECT target FROM delivery "
                     "WHERE id >> 16 = %lld);"
             "UPDATE delivery SET state = 3, due = NULL, ended = opened, %s "
                 "WHERE id BETWEEN %lld << 16 AND (%lld << 16) + 65535;"
             "COMMIT",
             (long long) number, set ? set : "took = NULL",
             (long long) number, (long long) number);

    change(sql);
}


/* the number of events that an operation for one of them has removed */

static ngx_uint_t
purge(int64_t number, ngx_uint_t states)
{
    int64_t               id;
    ngx_trove_spool_op_t  op;

    memset(&op, 0, sizeof(ngx_trove_spool_op_t));

    id = number << 16;

    op.type = NGX_TROVE_SPOOL_OP_CONTROL;
    op.u.control.action = NGX_TROVE_SPOOL_PURGE;
    op.u.control.ids = &id;
    op.u.control.nids = 1;
    op.u.control.states = states;

    spool_write(spool, &op);

    return op.u.control.changed;
}


/* all there is to do; the number of deliveries removed */

static ngx_uint_t
maintain(void)
{
    ngx_uint_t  n;

    n = 0;

    do {
        if (ngx_trove_spool_maintain(spool, &maintained, &error) != NGX_OK) {
            die("maintain");
        }

        n += maintained.deliveries;

    } while (maintained.more);

    return n;
}


/* counts rows of "delivery" that a connection removes or changes */

static void
row(void *data, int op, const char *db, const char *table, sqlite3_int64 rowid)
{
    (void) data;
    (void) op;
    (void) db;
    (void) rowid;

    if (strcmp(table, "delivery") == 0) {
        rows++;
        sum++;
    }
}


static int
committed(void *data)
{
    (void) data;

    most = ngx_max(most, rows);
    rows = 0;

    return 0;
}


static void
watch(ngx_trove_sqlite_db_t *db)
{
    rows = 0;
    most = 0;
    sum = 0;

    (void) sqlite3_update_hook(db->db, row, NULL);
    (void) sqlite3_commit_hook(db->db, committed, NULL);
}


static ngx_uint_t
listed(ngx_trove_spool_filter_t *filter)
{
    int64_t                        cursor;
    ngx_uint_t                     n;
    ngx_trove_spool_deliveries_t  *list;

    cursor = 0;
    n = 0;

    do {
        list = ngx_trove_spool_deliveries(spool, filter, cursor, 1000, &error);

        if (list == NULL) {
            die("deliveries");
        }

        n += list->n;
        cursor = list->next;

        ngx_trove_spool_free(list);

    } while (cursor);

    return n;
}


static ngx_uint_t
deliveries_of(int64_t number)
{
    ngx_uint_t                     n;
    ngx_trove_spool_deliveries_t  *list;

    list = ngx_trove_spool_event_deliveries(spool, number, &error);

    if (list == NULL) {
        die("deliveries of an event");
    }

    n = list->n;

    ngx_trove_spool_free(list);

    return n;
}


/* from the operation on nobody finds it, and maintenance removes the rest */

static void
purges(void)
{
    int64_t                    number, cursor, ids[10];
    ngx_uint_t                 n;
    ngx_trove_spool_op_t       op;
    ngx_trove_spool_stat_t    *stat;
    ngx_trove_spool_filter_t   filter;

    spool_accept(spool, 1, "t0 t1", 0, NULL);
    number = many(2, MANY);
    ended(number, NULL);

    memset(&filter, 0, sizeof(filter));

    tap_is(deliveries_of(number), MANY, "an event with many deliveries");
    tap_is(listed(&filter), MANY + 2, "listed");

    watch(&sqlite(spool)->writer);

    tap_is(purge(number, 1 << NGX_TROVE_SPOOL_FAILED), 0,
           "in another state it is kept");
    tap_is(purge(number, 1 << NGX_TROVE_SPOOL_DELIVERED), 1, "it is purged");
    tap_ok(most < ROWS, "not all in one transaction: %d", (int) most);

    tap_is(deliveries_of(number), 0, "its deliveries are not found by it");
    tap_is(spool_state(spool, (number << 16) + 65534), -1, "nor by their ids");
    tap_is(listed(&filter), 2, "nor listed");

    filter.id = str("evt-2");
    tap_is(listed(&filter), 0, "nor by the id of the event");
    filter.id.data = NULL;

    filter.states = 1 << NGX_TROVE_SPOOL_DELIVERED;
    tap_is(listed(&filter), 0, "nor by the state");

    cursor = 0;
    n = 10;

    do {
        if (ngx_trove_spool_select(spool, NGX_TROVE_SPOOL_REPLAY, &filter,
                                   &cursor, ids, &n, &error)
            != NGX_OK)
        {
            die("select");
        }

    } while (n == 0 && cursor);

    tap_is(n, 0, "nor for a replay");

    tap_is(ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_REPLAY,
                                   (number << 16) + 65534, &error),
           NGX_DECLINED, "which is not possible");
    tap_is(ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_CANCEL,
                                   (number << 16) + 65534, &error),
           NGX_DECLINED, "nor to cancel one");

    memset(&op, 0, sizeof(ngx_trove_spool_op_t));

    ids[0] = (number << 16) + 65534;

    op.type = NGX_TROVE_SPOOL_OP_CONTROL;
    op.u.control.action = NGX_TROVE_SPOOL_REPLAY;
    op.u.control.ids = ids;
    op.u.control.nids = 1;

    spool_write(spool, &op);
    tap_is(op.u.control.changed, 0, "nor to replay many");

    tap_is(purge(number, 0), 0, "nor to purge it again");

    stat = ngx_trove_spool_stat(spool, &error);

    if (stat == NULL) {
        die("stat");
    }

    tap_is(stat->events, 1, "the other event is counted");
    tap_is(stat->states[NGX_TROVE_SPOOL_NEW], 2, "and what waits");
    ngx_trove_spool_free(stat);

    tap_ok(spool_sound(), "what is left is sound");

    watch(&sqlite(spool)->maintenance);

    n = maintain();
    tap_is(n, MANY, "the deliveries are removed");
    tap_ok(most < ROWS, "some in a transaction: %d", (int) most);
    tap_is(sql_int("SELECT count(*) FROM delivery"), 2, "no more");
    tap_is(sql_int("SELECT count(*) FROM ident WHERE hash = -2"), 0,
           "it is done");
    tap_ok(spool_sound(), "all is sound");
}


/* what a killed process has left is removed by the next one */

static void
killed(void)
{
    int      status;
    pid_t    pid;
    int64_t  number;

    number = many(10, 20000);
    ended(number, NULL);

    ngx_trove_spool_destroy(spool);

    pid = fork();

    if (pid == 0) {
        spool = spool_open();

        if (purge(number, 0) != 1
            || ngx_trove_spool_maintain(spool, &maintained, &error) != NGX_OK)
        {
            _exit(1);
        }

        (void) kill(getpid(), SIGKILL);
    }

    (void) waitpid(pid, &status, 0);

    spool = spool_open();

    tap_ok(WIFSIGNALED(status), "a process is killed after the first step");
    tap_is(deliveries_of(number), 0, "nothing of it is seen");
    tap_ok(spool_sound(), "what is left is sound");

    (void) maintain();
    tap_is(sql_int("SELECT count(*) FROM delivery"), 2, "the rest is removed");
    tap_is(sql_int("SELECT count(*) FROM ident WHERE hash = -2"), 0,
           "all of it");
    tap_ok(spool_sound(), "all is sound");
}


/* the same at the end of the retention */

static void
prunes(void)
{
    int64_t  number;

    number = many(20, MANY);
    ended(number, NULL);

    (void) maintain();
    tap_is(deliveries_of(number), MANY, "not pruned at once");

    sqlite(spool)->skew_wall += 7 * DAY - 60000;
    sqlite(spool)->skew_mono += 7 * DAY - 60000;
    (void) maintain();
    tap_is(deliveries_of(number), MANY, "nor before the retention is over");

    sqlite(spool)->skew_wall += 120000;
    sqlite(spool)->skew_mono += 120000;

    watch(&sqlite(spool)->maintenance);
    tap_is(maintain(), MANY, "then it is");
    tap_ok(most < ROWS, "some in a transaction: %d", (int) most);
    tap_is(sql_int("SELECT count(*) FROM delivery"), 2, "what waits is kept");
    tap_ok(spool_sound(), "all is sound");
}


/* an event of which only the last delivery waits */

static void
waits(void)
{
    int64_t  number;

    number = many(30, 1000);
    ended(number, NULL);

    if (ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_REPLAY,
                                (number << 16) + 999, &error)
        != NGX_OK)
    {
        die("replay");
    }

    sqlite(spool)->skew_wall += 8 * DAY;
    sqlite(spool)->skew_mono += 8 * DAY;

    tap_is(maintain(), 0, "an event with one delivery that waits is kept");
    tap_is(purge(number, 0), 0, "not purged, too");
    tap_is(deliveries_of(number), 1000, "with all of them");

    if (ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_CANCEL,
                                (number << 16) + 999, &error)
        != NGX_OK)
    {
        die("cancel");
    }

    tap_is(maintain(), 0, "that has its own time");

    sqlite(spool)->skew_wall += 8 * DAY;
    sqlite(spool)->skew_mono += 8 * DAY;

    tap_is(maintain(), 1000, "which comes");
    tap_ok(spool_sound(), "all is sound");
}


/* ends in the future are set back, some in a transaction */

static void
clock_back(void)
{
    int64_t  number;

    number = many(40, MANY);
    ended(number, "ended = opened + 864000000000");

    sqlite(spool)->skew_wall += 8 * DAY;
    sqlite(spool)->skew_mono += 8 * DAY;

    watch(&sqlite(spool)->maintenance);
    tap_is(maintain(), 0, "what ended in the future ends now");
    tap_is(sum, MANY, "each of them");
    tap_ok(most < ROWS, "some in a transaction: %d", (int) most);

    sqlite(spool)->skew_wall += 8 * DAY;
    sqlite(spool)->skew_mono += 8 * DAY;

    tap_is(maintain(), MANY, "and is pruned in time");
    tap_ok(spool_sound(), "all is sound");
}


/* few deliveries with many attempts each */

static void
attempts(void)
{
    int64_t  number;

    number = many(50, 50);
    ended(number, "attempts = 100, started = 1");

    change("WITH RECURSIVE n (n) AS "
               "(SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 99) "
           "INSERT INTO attempt SELECT id, n, 1, 1, 500, 'no', "
               "zeroblob(4096) FROM delivery, n WHERE state = 3");

    tap_is(sql_int("SELECT count(*) FROM attempt"), 4950, "many attempts");

    watch(&sqlite(spool)->writer);
    tap_is(purge(number, 0), 1, "their event is purged");
    tap_is(most, 0, "they are not removed in this transaction");
    tap_is(deliveries_of(number), 0, "nor found");

    tap_is(maintain(), 50, "but removed");
    tap_is(sql_int("SELECT count(*) FROM attempt"), 0, "with all attempts");
    tap_ok(spool_sound(), "all is sound");
}


static void *
reader(void *data)
{
    int64_t  number = *(int64_t *) data;

    ngx_uint_t                     n, filtered;
    ngx_trove_spool_error_t        err;
    ngx_trove_spool_filter_t       filter;
    ngx_trove_spool_deliveries_t  *list;

    memset(&filter, 0, sizeof(filter));

    filter.target = str("t999");

    while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {

        list = ngx_trove_spool_event_deliveries(spool, number, &err);

        if (list == NULL) {
            abort();
        }

        n = list->n;
        ngx_trove_spool_free(list);

        list = ngx_trove_spool_deliveries(spool, &filter, 0, 10, &err);

        if (list == NULL) {
            abort();
        }

        filtered = list->n;
        ngx_trove_spool_free(list);

        seen_all += (n == 20000);
        seen_none += (n == 0);
        seen_part += (n != 0 && n != 20000) || (n == 0 && filtered != 0);
    }

    return NULL;
}


/* readers see all of it or nothing */

static void
readers(void)
{
    int64_t     number;
    ngx_uint_t  i, wanted;
    pthread_t   thread;

    number = many(60, 20000);
    ended(number, NULL);

    sqlite(spool)->skew_wall += 8 * DAY;
    sqlite(spool)->skew_mono += 8 * DAY;

    if (pthread_create(&thread, NULL, reader, &number) != 0) {
        die("pthread_create");
    }

    for (wanted = 0; wanted < 2; wanted++) {

        while (__atomic_load_n(wanted ? &seen_none : &seen_all,
                               __ATOMIC_ACQUIRE)
               == 0)
        {
            ngx_msleep(1);
        }

        for (i = 0; wanted == 0; i++) {

            if (ngx_trove_spool_maintain(spool, &maintained, &error)
                != NGX_OK)
            {
                die("maintain");
            }

            if (!maintained.more) {
                break;
            }
        }
    }

    __atomic_store_n(&done, 1, __ATOMIC_RELEASE);

    (void) pthread_join(thread, NULL);

    tap_ok(seen_all && seen_none, "a reader has seen it before and after");
    tap_is(seen_part, 0, "and never a part of it");
    tap_ok(spool_sound(), "all is sound");
}
