
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _SPOOL_H_INCLUDED_
#define _SPOOL_H_INCLUDED_


#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "ngx_trove_sqlite.h"
#include "ngx_trove_sqlite_db.h"
#include "tap.h"


/*
 * What the tests of the spool have in common: a directory of their own, and
 * short ways to write what they write all the time.  Each function ends the
 * test where it cannot do what is asked for; what may fail is called directly.
 */

#define DAY  ((int64_t) 86400 * 1000)

/* the handle of the engine, to look inside */
/* removes what version 5 has added to a file */

#define NO_SUBSCRIPTIONS                                                      \
    "DROP TABLE subscription; DROP TABLE pattern; DROP TABLE matching; "      \
    "DROP TABLE audit; DROP INDEX target_subscription; "                      \
    "DROP INDEX target_waiting; DROP INDEX target_configured; "               \
    "ALTER TABLE target DROP COLUMN subscription; "


#define sqlite(spool)  ((ngx_trove_sqlite_t *) (spool))

/* milliseconds for the lock: a disk may stall, and alarm() ends what hangs */
#define WAIT  60000


static char                      spool_dir[256];
static char                      spool_path[300];
static ngx_trove_spool_error_t   error;


static TAP_PRINTF(1, 2) void
die(const char *fmt, ...)
{
    va_list  args;

    fflush(stdout);

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);

    fprintf(stderr, ": kind %d, %s\n", (int) error.kind, error.text);

    abort();
}


static TAP_UNUSED void
spool_rmdir(void)
{
    char  cmd[300];

    snprintf(cmd, sizeof(cmd), "rm -rf '%s'", spool_dir);

    if (spool_dir[0] && system(cmd) != 0) {
        fprintf(stderr, "# %s is left behind\n", spool_dir);
    }
}


/* a new directory, removed when the process that made it exits */

static TAP_UNUSED void
spool_mkdir(void)
{
    const char  *tmp;

    tmp = getenv("TMPDIR");

    snprintf(spool_dir, sizeof(spool_dir), "%s/spool-XXXXXX",
             tmp ? tmp : "/tmp");

    if (mkdtemp(spool_dir) == NULL) {
        perror("mkdtemp");
        exit(1);
    }

    snprintf(spool_path, sizeof(spool_path), "%s/spool.db", spool_dir);

    atexit(spool_rmdir);

    (void) ngx_trove_spool_register(&ngx_trove_sqlite_engine);
}


static TAP_UNUSED ngx_str_t
str(const char *s)
{
    ngx_str_t  v;

    v.data = (u_char *) s;
    v.len = s ? strlen(s) : 0;

    return v;
}


static TAP_UNUSED ngx_trove_spool_t *
spool_new(uint64_t max_size, int64_t wait)
{
    ngx_trove_spool_t       *spool;
    ngx_trove_spool_conf_t   conf;

    memset(&conf, 0, sizeof(conf));

    conf.uri = str(spool_path);
    conf.max_size = max_size;
    conf.retention = 7 * DAY;
    conf.wait = wait;

    spool = ngx_trove_spool_create(&conf);

    if (spool == NULL) {
        die("create");
    }

    return spool;
}


static TAP_UNUSED ngx_trove_spool_t *
spool_open(void)
{
    ngx_trove_spool_t  *spool;

    spool = spool_new(0, WAIT);

    if (ngx_trove_spool_open(spool, &error) != NGX_OK) {
        die("open");
    }

    return spool;
}


/* the key of a number */

static TAP_UNUSED u_char *
key_of(uint64_t n, u_char *key)
{
    uint64_t    x;
    ngx_uint_t  i;

    for (i = 0; i < 2; i++) {
        x = n * 2 + i + 0x9e3779b97f4a7c15ULL;
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
        x ^= x >> 31;

        memcpy(key + i * 8, &x, 8);
    }

    return key;
}


/* an operation with all that it points to */
typedef struct {
    ngx_trove_spool_op_t             op;
    ngx_trove_spool_start_t          targets[8];
    u_char                           key[NGX_TROVE_SPOOL_KEY_LEN];
    char                             id[32];
    char                             body[512];
} accept_t;


/* event n, for the targets in names, which are separated by blanks */

static TAP_UNUSED ngx_trove_spool_op_t *
accept_op(accept_t *a, uint64_t n, const char *names, ngx_uint_t lease)
{
    size_t                      len;
    ngx_trove_spool_accept_t   *accept;

    memset(a, 0, sizeof(accept_t));

    a->op.type = NGX_TROVE_SPOOL_OP_ACCEPT;
    accept = &a->op.u.accept;

    snprintf(a->id, sizeof(a->id), "evt-%llu", (unsigned long long) n);
    snprintf(a->body, sizeof(a->body), "{\"id\":\"%s\",\"n\":%llu}", a->id,
             (unsigned long long) n);

    accept->event.id = str(a->id);
    accept->event.type = str("file.written");
    accept->event.namespace = str("acme");
    accept->event.workspace = str("ws-1");
    accept->event.created_at = str("2026-11-25T18:00:00Z");
    accept->event.route = str("example.com/events");
    accept->event.host = str("example.com");
    accept->event.uri = str("/events");
    accept->event.content_type = str("application/json");
    accept->event.body = str(a->body);

    accept->key = key_of(n, a->key);
    accept->fd = NGX_INVALID_FILE;
    accept->targets = a->targets;
    accept->lease = 60000;

    while (*names) {
        len = strcspn(names, " ");

        a->targets[accept->ntargets].name.data = (u_char *) names;
        a->targets[accept->ntargets].name.len = len;
        a->targets[accept->ntargets].lease = lease;
        accept->ntargets++;

        names += len + strspn(names + len, " ");
    }

    return &a->op;
}


static TAP_UNUSED void
spool_write(ngx_trove_spool_t *spool, ngx_trove_spool_op_t *ops)
{
    if (ngx_trove_spool_write(spool, ops, NULL, &error) != NGX_OK) {
        die("write");
    }
}


/* accepts one event: its number; refs of its deliveries, if wanted */

static TAP_UNUSED int64_t
spool_accept(ngx_trove_spool_t *spool, uint64_t n, const char *names,
    ngx_uint_t lease, ngx_trove_spool_ref_t *refs)
{
    accept_t    a;
    ngx_uint_t  i;

    spool_write(spool, accept_op(&a, n, names, lease));

    if (a.op.result != NGX_TROVE_SPOOL_DONE) {
        die("accept of %d: result %d", (int) n, (int) a.op.result);
    }

    for (i = 0; refs != NULL && i < a.op.u.accept.ntargets; i++) {
        refs[i] = a.targets[i].ref;
    }

    return a.op.u.accept.event.number;
}


static TAP_UNUSED ngx_trove_spool_op_t *
outcome_op(ngx_trove_spool_op_t *op, ngx_trove_spool_ref_t ref,
    ngx_trove_spool_verdict_e verdict, ngx_uint_t status, int64_t delay)
{
    ngx_trove_spool_outcome_t  *outcome;

    memset(op, 0, sizeof(ngx_trove_spool_op_t));

    op->type = NGX_TROVE_SPOOL_OP_OUTCOME;
    outcome = &op->u.outcome;

    outcome->ref = ref;
    outcome->verdict = verdict;
    outcome->status = status;
    outcome->answered = (status != 0);
    outcome->delay = delay;
    outcome->started = (int64_t) time(NULL) * 1000 - 5000;
    outcome->took = 12;

    return op;
}


static TAP_UNUSED ngx_trove_spool_result_e
spool_outcome(ngx_trove_spool_t *spool, ngx_trove_spool_ref_t ref,
    ngx_trove_spool_verdict_e verdict, ngx_uint_t status, int64_t delay)
{
    ngx_trove_spool_op_t  op;

    spool_write(spool, outcome_op(&op, ref, verdict, status, delay));

    return op.result;
}


/* leases for the targets in names, with this limit each */

#define LEASED  512

static ngx_trove_spool_leased_t  leased[LEASED];
static int64_t                   lease_next;


static TAP_UNUSED ngx_uint_t
spool_lease(ngx_trove_spool_t *spool, const char *names, ngx_uint_t limit,
    ngx_uint_t max)
{
    size_t                  len;
    ngx_trove_spool_op_t    op;
    ngx_trove_spool_want_t  wants[64];

    memset(&op, 0, sizeof(op));
    memset(wants, 0, sizeof(wants));

    op.type = NGX_TROVE_SPOOL_OP_LEASE;
    op.u.lease.wants = wants;
    op.u.lease.max = max;
    op.u.lease.max_bytes = 1024 * 1024;
    op.u.lease.lease = 60000;
    op.u.lease.leased = leased;

    while (*names) {
        len = strcspn(names, " ");

        wants[op.u.lease.nwants].target.route = str("example.com/events");
        wants[op.u.lease.nwants].target.name.data = (u_char *) names;
        wants[op.u.lease.nwants].target.name.len = len;
        wants[op.u.lease.nwants].limit = limit;
        wants[op.u.lease.nwants].retries = limit;
        wants[op.u.lease.nwants].delay_max = 3600 * 1000;
        op.u.lease.nwants++;

        names += len + strspn(names + len, " ");
    }

    spool_write(spool, &op);

    lease_next = op.u.lease.next;

    return op.u.lease.n;
}


static TAP_UNUSED void
spool_leased_free(ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        ngx_trove_spool_event_free(leased[i].event);
    }
}


/* the state of a delivery; -1 if there is none */

static TAP_UNUSED int
spool_state(ngx_trove_spool_t *spool, int64_t id)
{
    int                            state;
    ngx_trove_spool_deliveries_t  *list;

    list = ngx_trove_spool_delivery(spool, id, &error);

    if (list == NULL) {
        die("delivery");
    }

    state = list->n ? (int) list->deliveries[0].state : -1;

    ngx_trove_spool_free(list);

    return state;
}


/* the integer that a statement gives, by a connection of a stranger */

static TAP_UNUSED int64_t
sql_int(const char *sql)
{
    int64_t        n;
    sqlite3       *db;
    sqlite3_stmt  *stmt;

    n = -1;

    if (sqlite3_open_v2(spool_path, &db, SQLITE_OPEN_READWRITE, NULL)
        == SQLITE_OK
        && sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK)
    {
        if (sqlite3_step(stmt) == SQLITE_ROW) {
            n = sqlite3_column_int64(stmt, 0);
        }

        sqlite3_finalize(stmt);
    }

    sqlite3_close(db);

    return n;
}


/* whether all counters are what they count, and nothing is half there */

static TAP_UNUSED ngx_uint_t
spool_sound(void)
{
    ngx_uint_t  i, bad;

    static const char  *checks[] = {

        "SELECT count(*) FROM target LEFT JOIN "
            "(SELECT target, sum(state = 0) AS a, sum(state = 1) AS b, "
                "sum(state = 2) AS c, sum(state = 3) AS d, "
                "sum(state = 4) AS e, sum(state = 5) AS f "
            "FROM delivery GROUP BY target) ON target = id "
            "WHERE name <> '" NGX_TROVE_SPOOL_SUBSCRIBERS "' AND ("
            "new != ifnull(a, 0) OR retry != ifnull(b, 0) "
            "OR leased != ifnull(c, 0) OR delivered != ifnull(d, 0) "
            "OR failed != ifnull(e, 0) OR cancelled != ifnull(f, 0))",

        /* the row of all subscriptions has the sums of their rows */

        "SELECT count(*) FROM target AS t "
        "WHERE name = '" NGX_TROVE_SPOOL_SUBSCRIBERS "' AND "
            "(new, retry, leased, delivered, failed, cancelled) IS NOT "
            "(SELECT coalesce(sum(new), 0), coalesce(sum(retry), 0), "
                "coalesce(sum(leased), 0), coalesce(sum(delivered), 0), "
                "coalesce(sum(failed), 0), coalesce(sum(cancelled), 0) "
            "FROM target "
            "WHERE route = t.route AND subscription IS NOT NULL)",

        /* the patterns are those of subscriptions that are not disabled */

        "SELECT count(*) FROM pattern WHERE NOT EXISTS "
            "(SELECT 1 FROM subscription WHERE number = subscription "
                "AND removed IS NULL AND reason IS NULL)",

        "SELECT count(*) FROM matching WHERE length > -2 AND n IS NOT "
            "(SELECT count(*) FROM pattern "
            "WHERE pattern.workspace = matching.workspace "
                "AND pattern.own = matching.own "
                "AND pattern.namespace = matching.namespace "
                "AND CASE WHEN prefix THEN length(CAST(pattern AS BLOB)) "
                    "ELSE -1 END = matching.length)",

        "SELECT (SELECT count(*) FROM subscription WHERE removed IS NULL) "
            "!= (SELECT coalesce(sum(n), 0) FROM matching WHERE own = 2)",

        "SELECT count(*) FROM target WHERE subscription IS NOT NULL "
            "AND subscription NOT IN (SELECT number FROM subscription)",

        "SELECT events != (SELECT count(*) FROM event) FROM spool",

        /* no delivery is due before its target is looked at */

        "SELECT count(*) FROM delivery JOIN target ON target.id = target "
            "WHERE due IS NOT NULL "
            "AND (earliest IS NULL "
                "OR (earliest > due AND subscription IS NULL))",

        /* those of an event that is being removed are left for a while */

        "SELECT count(*) FROM delivery WHERE NOT EXISTS "
            "(SELECT 1 FROM event WHERE number = delivery.id >> 16) "
            "AND (state < 3 OR NOT EXISTS (SELECT 1 FROM ident "
                "WHERE hash = -2 AND event = delivery.id >> 16))",

        "SELECT count(*) FROM ident JOIN event ON number = ident.event "
            "WHERE hash = -2",

        "SELECT count(*) FROM delivery WHERE NOT EXISTS "
            "(SELECT 1 FROM target WHERE target.id = delivery.target)",

        "SELECT count(*) FROM attempt WHERE NOT EXISTS "
            "(SELECT 1 FROM delivery WHERE id = attempt.delivery)",

        "SELECT count(*) FROM (SELECT key FROM event "
            "WHERE key IS NOT NULL GROUP BY key HAVING count(*) > 1)",

        "SELECT count(*) FROM delivery WHERE (state = 2) != "
            "(owner IS NOT NULL)",

        /* each key of the indexed part is in the table */

        "SELECT count(*) FROM event, spool WHERE key IS NOT NULL "
            "AND number <= indexed "
            "AND number NOT IN (SELECT event FROM key)",

        "SELECT integrity_check != 'ok' FROM pragma_integrity_check"
    };

    bad = 0;

    for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {

        if (sql_int(checks[i]) != 0) {
            tap_diag("  not sound: %s", checks[i]);
            bad++;
        }
    }

    return bad == 0;
}


#endif /* _SPOOL_H_INCLUDED_ */
