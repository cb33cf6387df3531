
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "spool.h"
#include "powercut.h"


/*
 * Power cuts, see powercut.h.  The spool is used by two handles, as by two
 * workers, with everything that it does: batches, checkpoints with writes of
 * others in between, keys in bulk, pruning, vacuum.  At a random moment the
 * power is cut, and the spool is opened again, from several images of what the
 * disk may have kept.  In each of them, all that was reported as done is done.
 * From the last one it goes on, until the next cut.
 *
 * TROVE_SEED=n repeats one seed, TROVE_ROUNDS=n runs n of them.
 */

#define ROUNDS     60
#define CONTROLS   60            /* rounds with a fault that must be found */
#define LIVES      3
#define CALLS      60            /* of a life */
#define IMAGES     3
#define EVENTS     1000          /* of a round */
#define HELD       400
#define RETENTION  ((int64_t) 3600 * 1000)


/*
 * The states in which a delivery may be.  More than one if the power was cut
 * during a call: all that it does, or nothing of it, may have been kept.
 */

#define PENDING    1
#define DELIVERED  2
#define FAILED     4
#define CANCELLED  8


typedef struct {
    int64_t          number;
    uint64_t         key;
    unsigned         ntargets;
    unsigned         states[3];

    unsigned         used:1;
    unsigned         maybe:1;            /* it may have been accepted */
    unsigned         old:1;              /* it may have been pruned */
    unsigned         forgotten:1;
    unsigned         maybe_forgotten:1;
} event_t;


typedef struct {
    ngx_trove_spool_ref_t  ref;
    ngx_uint_t             handle;
} held_t;


static ngx_uint_t round_of(uint64_t seed, unsigned faults);
static void life(void);
static void create(const char *suffix);
static ngx_uint_t images(void);
static void keep(void);
static ngx_uint_t look(void);
static ngx_uint_t look_events(sqlite3 *db);
static ngx_uint_t look_deliveries(sqlite3 *db);
static ngx_uint_t look_keys(void);
static void call(ngx_uint_t h);
static void accepts(ngx_uint_t h);
static void outcomes(ngx_uint_t h);
static void leases(ngx_uint_t h);
static void controls(ngx_uint_t h);
static void forgets(ngx_uint_t h);
static void maintains(ngx_uint_t h);
static void nested(void);


static const char  *names[] = { "", "a", "a b", "a b c" };

static event_t             events[EVENTS];
static ngx_uint_t          nevents;
static uint64_t            keys;
static held_t              held[HELD];
static ngx_uint_t          nheld;
static ngx_trove_spool_t  *handles[2];
static int64_t             skew;
static ngx_uint_t          using;
static ngx_uint_t          quiet;
static ngx_uint_t          accepted;
static ngx_uint_t          cuts;


int
main(void)
{
    char        dir[300];
    uint64_t    seed;
    ngx_uint_t  i, n, bad, found;

    alarm(1200);

    spool_mkdir();

    snprintf(dir, sizeof(dir), "%s/", spool_dir);
    powercut_init(dir);

    seed = (uint64_t) time(NULL) << 16;
    n = ROUNDS;

    if (getenv("TROVE_SEED")) {
        seed = strtoull(getenv("TROVE_SEED"), NULL, 10);
        n = 1;
    }

    if (getenv("TROVE_ROUNDS")) {
        n = strtoul(getenv("TROVE_ROUNDS"), NULL, 10);
    }

    bad = 0;

    for (i = 0; i < n && bad < 5; i++) {

        if (round_of(seed + i, POWERCUT_NONE)) {
            tap_diag("  repeat it with TROVE_SEED=%llu",
                     (unsigned long long) (seed + i));
            bad++;
        }
    }

    tap_is(bad, 0, "nothing is lost by %d power cuts", (int) cuts);
    tap_diag("%d events were accepted", (int) accepted);

    quiet = 1;

    static const struct {
        unsigned     faults;
        const char  *name;
    } controls[] = {
        { POWERCUT_NO_WAL_SYNC, "syncs of the \"-wal\" file" },
        { POWERCUT_NO_DB_SYNC, "syncs of the file" },
        { POWERCUT_NO_DIR_SYNC, "syncs of the directory" }
    };

    for (i = 0; i < sizeof(controls) / sizeof(controls[0]); i++) {

        found = 0;

        for (n = 0; n < CONTROLS && found == 0; n++) {
            found = round_of(n, controls[i].faults);
        }

        tap_ok(found, "a loss is found without %s, after %d rounds",
               controls[i].name, (int) n);
    }

    powercut_reset(0, 0);

    return tap_done();
}


static TAP_PRINTF(1, 2) ngx_uint_t
wrong(const char *fmt, ...)
{
    va_list  args;

    if (!quiet) {
        fflush(stdout);
        fputs("#   ", stderr);

        va_start(args, fmt);
        vfprintf(stderr, fmt, args);
        va_end(args);

        fputc('\n', stderr);
    }

    return 1;
}


/* random numbers of the test, apart from those of the disk */

static uint64_t
dice(uint64_t n)
{
    return powercut_random(n);
}


static ngx_trove_spool_t *
handle(void)
{
    ngx_trove_spool_t       *spool;
    ngx_trove_spool_conf_t   conf;

    memset(&conf, 0, sizeof(conf));

    conf.uri = str(spool_path);
    conf.retention = RETENTION;
    conf.wait = 1000;

    spool = ngx_trove_spool_create(&conf);

    if (spool == NULL) {
        die("create");
    }

    sqlite(spool)->keys = 40;
    sqlite(spool)->wal_pages = 30;
    sqlite(spool)->skew_wall = skew;
    sqlite(spool)->skew_mono = skew;

    return spool;
}


static ngx_uint_t
round_of(uint64_t seed, unsigned faults)
{
    ngx_uint_t  i, bad;

    powercut_reset(seed, faults);

    memset(events, 0, sizeof(events));
    nevents = 0;
    keys = 0;
    skew = 0;
    bad = 0;

    for (i = dice(LIVES); i < LIVES && bad == 0; i++) {

        powercut_arm(1 + dice(1 << (3 + dice(10))));

        life();

        powercut_freeze();
        cuts++;

        bad = images();
    }

    return bad;
}


static void
create(const char *suffix)
{
    int   fd;
    char  name[400];

    snprintf(name, sizeof(name), "%s%s", spool_path, suffix);

    fd = open(name, O_WRONLY|O_CREAT, 0600);

    if (fd == -1) {
        die("open");
    }

    close(fd);
}


static void
life(void)
{
    ngx_uint_t  h, n;

    nheld = 0;

    /* the master creates empty files for its workers, see ..._prepare.c */

    if (dice(2)) {
        create("");
        create("-wal");
    }

    /* it opens the spool once, and closes it */

    if (dice(2)) {
        handles[0] = handle();
        (void) ngx_trove_spool_open(handles[0], &error);
        ngx_trove_spool_destroy(handles[0]);
    }

    for (h = 0; h < 2; h++) {
        handles[h] = handle();
        (void) ngx_trove_spool_open(handles[h], &error);
    }

    for (n = dice(CALLS); n < CALLS && !powercut.off; n++) {

        h = dice(2);

        if (dice(40) == 0) {
            ngx_trove_spool_destroy(handles[h]);
            handles[h] = handle();
            (void) ngx_trove_spool_open(handles[h], &error);
            nheld = 0;
        }

        using = h;
        call(h);
    }

    powercut.off = 1;

    for (h = 0; h < 2; h++) {
        ngx_trove_spool_destroy(handles[h]);
    }
}


static void
call(ngx_uint_t h)
{
    switch (dice(12)) {

    case 0:
        leases(h);
        break;

    case 1:
    case 2:
    case 3:
        outcomes(h);
        break;

    case 4:
        controls(h);
        break;

    case 5:
        forgets(h);
        break;

    case 6:
    case 7:
        maintains(h);
        break;

    default:
        accepts(h);
    }
}


/* another worker writes while a checkpoint is under way */

static void
nested(void)
{
    ngx_uint_t                  h;
    ngx_trove_sqlite_shared_t  *shared;

    h = !using;
    shared = sqlite(handles[using])->shared;

    if (shared == NULL || dice(4) != 0) {
        return;
    }

    if (pthread_mutex_trylock(&shared->write) != 0) {
        return;
    }

    (void) pthread_mutex_unlock(&shared->write);

    accepts(h);
}


#define BATCH  12


static void
accepts(ngx_uint_t h)
{
    size_t                 len;
    event_t               *e[BATCH];
    accept_t              *a;
    ngx_int_t              rc;
    ngx_uint_t             i, j, n, k;
    ngx_trove_spool_op_t  *ops, **last;

    n = 1 + dice(BATCH);

    if (nevents + n > EVENTS) {
        return;
    }

    a = calloc(n, sizeof(accept_t));

    if (a == NULL) {
        abort();
    }

    last = &ops;

    for (i = 0; i < n; i++) {
        e[i] = &events[nevents++];

        e[i]->used = 1;
        e[i]->maybe = 1;
        e[i]->key = ++keys;
        e[i]->ntargets = dice(4);

        accept_op(&a[i], e[i]->key, names[e[i]->ntargets], dice(2));

        if (dice(4) == 0) {

            /* pages of its own; the same body for the same key */

            len = 1 + dice(20000);
            a[i].op.u.accept.event.body.data = powercut_alloc(len);
            a[i].op.u.accept.event.body.len = len;
            memset(a[i].op.u.accept.event.body.data, 'a' + e[i]->key % 26, len);
        }

        for (j = 0; j < e[i]->ntargets; j++) {
            e[i]->states[j] = PENDING;
        }

        *last = &a[i].op;
        last = &a[i].op.next;
    }

    *last = NULL;

    rc = ngx_trove_spool_write(handles[h], ops, NULL, &error);

    for (i = 0; i < n; i++) {

        if (a[i].op.u.accept.event.body.data != (u_char *) a[i].body) {
            free(a[i].op.u.accept.event.body.data);
        }

        if (rc != NGX_OK || powercut.off) {

            /* without a cut it has failed as a whole, and is not kept */

            if (!powercut.off) {
                e[i]->used = 0;
            }

            continue;
        }

        if (a[i].op.result != NGX_TROVE_SPOOL_DONE) {
            die("result %d", (int) a[i].op.result);
        }

        accepted++;

        e[i]->maybe = 0;
        e[i]->number = a[i].op.u.accept.event.number;

        for (j = 0; j < e[i]->ntargets && nheld < HELD; j++) {

            if (a[i].targets[j].leased) {
                k = nheld++;
                held[k].handle = h;
                held[k].ref = a[i].targets[j].ref;
            }
        }
    }

    free(a);
}


static unsigned *
states_of(int64_t id)
{
    ngx_uint_t  i;

    /* numbers of lost events are used again: from the newest */

    for (i = nevents; i > 0; i--) {

        if (events[i - 1].used && !events[i - 1].maybe
            && events[i - 1].number == ngx_trove_spool_event_of(id))
        {
            return &events[i - 1].states[id & 0xffff];
        }
    }

    die("no event of delivery %d", (int) id);

    return NULL;
}


static void
outcomes(ngx_uint_t h)
{
    ngx_int_t                   rc;
    ngx_uint_t                  i, n, m;
    unsigned                   *states[BATCH], to[BATCH];
    ngx_trove_spool_op_t        ops[BATCH];
    ngx_trove_spool_verdict_e   verdict;

    m = 1 + dice(BATCH);
    n = 0;

    for (i = 0; i < nheld && n < m; /* void */ ) {

        if (held[i].handle != h || dice(3) == 0) {
            i++;
            continue;
        }

        switch (dice(5)) {

        case 0:
            verdict = NGX_TROVE_SPOOL_TO_FAILED;
            to[n] = FAILED;
            break;

        case 1:
            verdict = NGX_TROVE_SPOOL_TO_RETRY;
            to[n] = PENDING;
            break;

        case 2:
            verdict = NGX_TROVE_SPOOL_RELEASED;
            to[n] = PENDING;
            break;

        default:
            verdict = NGX_TROVE_SPOOL_TO_DELIVERED;
            to[n] = DELIVERED;
        }

        states[n] = states_of(held[i].ref.id);

        outcome_op(&ops[n], held[i].ref, verdict, 200, dice(1000));

        if (n) {
            ops[n - 1].next = &ops[n];
        }

        n++;
        held[i] = held[--nheld];
    }

    if (n == 0) {
        return;
    }

    rc = ngx_trove_spool_write(handles[h], ops, NULL, &error);

    for (i = 0; i < n; i++) {

        if (powercut.off) {
            *states[i] |= to[i];

        } else if (rc == NGX_OK && ops[i].result == NGX_TROVE_SPOOL_DONE) {
            *states[i] = to[i];

        } else if (rc == NGX_OK && ops[i].result == NGX_TROVE_SPOOL_LOST
                   && to[i] == DELIVERED)
        {
            /* it counts, if the attempt began after a replay */

            *states[i] |= DELIVERED;
        }
    }
}


static void
leases(ngx_uint_t h)
{
    ngx_int_t               rc;
    ngx_uint_t              i, k;
    ngx_trove_spool_op_t    op;
    ngx_trove_spool_want_t  wants[3];

    memset(&op, 0, sizeof(op));
    memset(wants, 0, sizeof(wants));

    op.type = NGX_TROVE_SPOOL_OP_LEASE;
    op.u.lease.wants = wants;
    op.u.lease.nwants = 3;
    op.u.lease.max = 20;
    op.u.lease.max_bytes = 1024 * 1024;
    op.u.lease.lease = 60000;
    op.u.lease.leased = leased;

    for (i = 0; i < 3; i++) {
        wants[i].target.route = str("example.com/events");
        wants[i].target.name = str(i == 0 ? "a" : i == 1 ? "b" : "c");
        wants[i].limit = 10;
        wants[i].retries = 10;
        wants[i].delay_max = 3600 * 1000;
    }

    rc = ngx_trove_spool_write(handles[h], &op, NULL, &error);

    if (rc != NGX_OK) {
        return;
    }

    for (i = 0; i < op.u.lease.n; i++) {

        if (nheld < HELD) {
            k = nheld++;
            held[k].handle = h;
            held[k].ref = leased[i].ref;
        }

        ngx_trove_spool_event_free(leased[i].event);
    }
}


/* replays or cancels all deliveries of a target */

static void
controls(ngx_uint_t h)
{
    int64_t                    cursor, ids[100];
    unsigned                   to, *s;
    ngx_int_t                  rc;
    ngx_uint_t                 i, t, n;
    ngx_trove_spool_op_t       op;
    ngx_trove_spool_action_e   action;
    ngx_trove_spool_filter_t   filter;

    memset(&filter, 0, sizeof(filter));

    t = dice(3);
    filter.target = str(t == 0 ? "a" : t == 1 ? "b" : "c");

    action = dice(2) ? NGX_TROVE_SPOOL_REPLAY : NGX_TROVE_SPOOL_CANCEL;

    cursor = 0;

    do {
        n = 100;
        rc = ngx_trove_spool_select(handles[h], action, &filter, &cursor, ids,
                                    &n, &error);

        memset(&op, 0, sizeof(op));

        op.type = NGX_TROVE_SPOOL_OP_CONTROL;
        op.u.control.action = action;
        op.u.control.ids = ids;
        op.u.control.nids = n;

        while (rc == NGX_OK && op.u.control.nids && !powercut.off) {
            rc = ngx_trove_spool_write(handles[h], &op, NULL, &error);

            op.u.control.ids += op.u.control.done;
            op.u.control.nids -= op.u.control.done;
        }

    } while (rc == NGX_OK && cursor && !powercut.off);

    if (rc != NGX_OK && !powercut.off) {
        return;
    }

    for (i = 0; i < nevents; i++) {

        if (!events[i].used || events[i].ntargets <= t) {
            continue;
        }

        s = &events[i].states[t];

        to = (action == NGX_TROVE_SPOOL_REPLAY)
             ? PENDING
             : (*s & ~PENDING) | ((*s & PENDING) ? CANCELLED : 0);

        *s = powercut.off ? *s | to : to;
    }
}


static void
forgets(ngx_uint_t h)
{
    u_char      key[NGX_TROVE_SPOOL_KEY_LEN];
    event_t    *e;
    ngx_int_t   rc;

    if (nevents == 0) {
        return;
    }

    e = &events[dice(nevents)];

    if (!e->used || e->maybe) {
        return;
    }

    rc = ngx_trove_spool_forget(handles[h], key_of(e->key, key), &error);

    if (powercut.off) {
        e->maybe_forgotten = 1;

    } else if (rc == NGX_OK) {
        e->forgotten = 1;
    }
}


static void
maintains(ngx_uint_t h)
{
    ngx_uint_t                     i, j, pending;
    ngx_trove_sqlite_t            *spool;
    ngx_trove_sqlite_db_t         *db;
    ngx_trove_spool_maintained_t   maintained;

    spool = sqlite(handles[h]);

    if (dice(4) == 0) {

        /* what has ended will be pruned; leases end */

        skew += 2 * RETENTION;

        for (i = 0; i < 2; i++) {
            sqlite(handles[i])->skew_wall = skew;
            sqlite(handles[i])->skew_mono = skew;
        }

        for (i = 0; i < nevents; i++) {

            pending = 0;

            for (j = 0; j < events[i].ntargets; j++) {
                pending |= events[i].states[j] == PENDING;
            }

            events[i].old |= !pending;
        }
    }

    powercut.hook = nested;

    (void) ngx_trove_spool_maintain(handles[h], &maintained, &error);

    powercut.hook = NULL;

    if (dice(3) != 0) {
        return;
    }

    /* vacuums, which is done from some thousands of free pages only */

    db = &spool->maintenance;

    if (ngx_trove_sqlite_enter(spool, db, &error) != NGX_OK) {
        return;
    }

    if (ngx_trove_sqlite_begin(spool, db, 0, NULL) != NGX_OK) {
        ngx_trove_sqlite_leave(spool, db, NGX_ERROR);
        return;
    }

    if (ngx_trove_sqlite_exec(db, "PRAGMA incremental_vacuum(16)") != NGX_OK) {
        ngx_trove_sqlite_rollback(spool, db);
        ngx_trove_sqlite_leave(spool, db, NGX_ERROR);
        return;
    }

    ngx_trove_sqlite_leave(spool, db, ngx_trove_sqlite_commit(spool, db));
}


/* several images of one cut; the spool goes on with the last of them */

static ngx_uint_t
images(void)
{
    ngx_uint_t          i, n, bad;
    powercut_manner_e   manner;

    static event_t      before[EVENTS];

    memcpy(before, events, sizeof(events));
    n = nevents;

    for (i = 0; i < IMAGES; i++) {

        memcpy(events, before, sizeof(events));
        nevents = n;

        manner = dice(6);
        manner = ngx_min(manner, POWERCUT_RANDOM);

        powercut_image(manner);
        keep();

        bad = look();

        if (bad) {
            return wrong("in image %d, of manner %d", (int) i, (int) manner);
        }
    }

    return 0;
}


/* with TROVE_LEAVE=1, the last image stays */

static void
keep(void)
{
    char  cmd[1000];

    snprintf(cmd, sizeof(cmd), "rm -rf '%s.image' && cp -a '%s' '%s.image'",
             spool_dir, spool_dir, spool_dir);

    if (getenv("TROVE_LEAVE") && !quiet && system(cmd) == 0) {
        tap_diag("%s.image", spool_dir);
    }
}


static ngx_uint_t
look(void)
{
    sqlite3     *db;
    ngx_int_t    rc;
    ngx_uint_t   bad;

    handles[0] = handle();

    rc = ngx_trove_spool_open(handles[0], &error);

    if (rc != NGX_OK) {
        ngx_trove_spool_destroy(handles[0]);
        return wrong("the spool cannot be opened: %s", error.text);
    }

    if (sqlite3_open_v2(spool_path, &db, SQLITE_OPEN_READWRITE, NULL)
        != SQLITE_OK)
    {
        die("open");
    }

    bad = look_events(db);
    bad += look_deliveries(db);

    sqlite3_close(db);

    if (bad == 0) {
        bad = look_keys();
    }

    if (bad == 0 && !quiet && !spool_sound()) {
        bad = wrong("the file is damaged");
    }

    ngx_trove_spool_destroy(handles[0]);

    return bad;
}


static sqlite3_stmt *
query(sqlite3 *db, const char *sql)
{
    sqlite3_stmt  *stmt;

    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK) {
        (void) wrong("%s: %s", sql, sqlite3_errmsg(db));
        return NULL;
    }

    return stmt;
}


/* all that were accepted are there, and others only if they may be */

static ngx_uint_t
look_events(sqlite3 *db)
{
    int             rc;
    event_t        *e;
    uint64_t        key;
    ngx_uint_t      i, bad;
    sqlite3_stmt   *stmt;

    static u_char  there[EVENTS];

    stmt = query(db, "SELECT number, substr(id, 5), key IS NULL FROM event");

    if (stmt == NULL) {
        return 1;
    }

    memset(there, 0, sizeof(there));
    bad = 0;

    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {

        key = sqlite3_column_int64(stmt, 1);

        for (i = 0; i < nevents; i++) {
            if (events[i].used && events[i].key == key) {
                break;
            }
        }

        if (i == nevents) {
            bad += wrong("evt-%d was not accepted", (int) key);
            continue;
        }

        e = &events[i];
        there[i] = 1;

        if (e->maybe) {
            e->maybe = 0;
            e->number = sqlite3_column_int64(stmt, 0);
        }

        if (e->number != sqlite3_column_int64(stmt, 0)) {
            bad += wrong("evt-%d is not number %d", (int) key,
                         (int) e->number);
        }

        if (e->maybe_forgotten) {
            e->forgotten |= sqlite3_column_int(stmt, 2);
            e->maybe_forgotten = 0;
        }

        if ((int) e->forgotten != sqlite3_column_int(stmt, 2)) {
            bad += wrong("the key of evt-%d is %s", (int) key,
                         e->forgotten ? "known again" : "lost");
        }
    }

    if (rc != SQLITE_DONE) {
        bad += wrong("events cannot be read: %s", sqlite3_errmsg(db));
    }

    sqlite3_finalize(stmt);

    for (i = 0; i < nevents; i++) {
        e = &events[i];

        if (!e->used || there[i]) {
            continue;
        }

        if (!e->maybe && !e->old) {
            bad += wrong("evt-%d is lost", (int) e->key);
        }

        e->used = 0;
    }

    return bad;
}


static ngx_uint_t
look_deliveries(sqlite3 *db)
{
    int            rc;
    int64_t        id;
    unsigned       state;
    ngx_uint_t     i, n, bad;
    sqlite3_stmt  *stmt;

    static const unsigned  masks[] = { PENDING, PENDING, PENDING, DELIVERED,
                                       FAILED, CANCELLED };

    stmt = query(db, "SELECT id, state FROM delivery");

    if (stmt == NULL) {
        return 1;
    }

    bad = 0;
    n = 0;

    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {

        id = sqlite3_column_int64(stmt, 0);
        state = masks[sqlite3_column_int(stmt, 1)];

        for (i = 0; i < nevents; i++) {
            if (events[i].used
                && events[i].number == ngx_trove_spool_event_of(id))
            {
                break;
            }
        }

        if (i == nevents || (id & 0xffff) >= events[i].ntargets) {
            bad += wrong("a delivery of event %d is unknown",
                         (int) ngx_trove_spool_event_of(id));
            continue;
        }

        n++;

        if (!(events[i].states[id & 0xffff] & state)) {
            bad += wrong("a delivery of evt-%d is in state %u, not in %u",
                         (int) events[i].key, state,
                         events[i].states[id & 0xffff]);
        }

        events[i].states[id & 0xffff] = state;
    }

    if (rc != SQLITE_DONE) {
        bad += wrong("deliveries cannot be read: %s", sqlite3_errmsg(db));
    }

    sqlite3_finalize(stmt);

    for (i = 0; i < nevents; i++) {
        if (events[i].used) {
            n -= events[i].ntargets;
        }
    }

    if (n != 0 && bad == 0) {
        bad += wrong("%d deliveries are lost", (int) -n);
    }

    return bad;
}


/* an event that is there is a duplicate when it comes again */

static ngx_uint_t
look_keys(void)
{
    accept_t    a;
    event_t    *e;
    ngx_uint_t  i, bad;

    bad = 0;

    for (i = 0; i < nevents; i++) {
        e = &events[i];

        if (!e->used || e->forgotten) {
            continue;
        }

        if (ngx_trove_spool_write(handles[0],
                                  accept_op(&a, e->key, "a", 0), NULL, &error)
            != NGX_OK)
        {
            return wrong("it cannot be written: %s", error.text);
        }

        if (a.op.result != NGX_TROVE_SPOOL_DUPLICATE
            || a.op.u.accept.event.number != e->number)
        {
            bad += wrong("evt-%d is accepted again", (int) e->key);
        }
    }

    return bad;
}
