
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "spool.h"
#include "powercut.h"


/*
 * Power cuts while a file of an older version is brought up to date, see
 * powercut.h.  Each version is cut at each of its writes and syncs, and several
 * images of the disk are opened again: the file has this version then, and each
 * row is as it was.  Once with all in the file, and once with all in its "-wal"
 * file, as NGINX leaves it if it is killed.
 *
 * TROVE_SEED=n repeats the images of a run.
 */

#define EVENTS  60
#define IMAGES  4

/* rounds with a fault that must be found */
#define CONTROLS  20


static ngx_uint_t migrate(ngx_uint_t version, ngx_uint_t wal, unsigned faults);
static void old(ngx_uint_t version, ngx_uint_t wal);
static void restore(void);
static void fill(void);
static ngx_trove_spool_t *handle(void);
static uint64_t digest(void);
static ngx_uint_t look(void);


/* what each version has added, from the first one on */

static const char  *without[] = {

    "ALTER TABLE delivery DROP COLUMN earlier;",

    "DROP TABLE ident;",

    "DROP INDEX target_due; ALTER TABLE target DROP COLUMN earliest;",

    NO_SUBSCRIPTIONS
};


static uint64_t         seed;
static uint64_t         rows;
static ngx_uint_t       cuts;
static ngx_uint_t       quiet;

static powercut_disk_t  file;
static uint64_t         clock_then;


int
main(void)
{
    char        dir[300];
    ngx_uint_t  version, wal, found;

    alarm(600);

    spool_mkdir();

    snprintf(dir, sizeof(dir), "%s/", spool_dir);
    powercut_init(dir);

    seed = (uint64_t) time(NULL) << 16;

    if (getenv("TROVE_SEED")) {
        seed = strtoull(getenv("TROVE_SEED"), NULL, 10);
    }

    tap_diag("TROVE_SEED=%llu", (unsigned long long) seed);

    for (version = 1; version < NGX_TROVE_SQLITE_VERSION; version++) {

        for (wal = 0; wal < 2; wal++) {

            /* those between pass through the same as the first one */

            if (wal && version > 1 && version < NGX_TROVE_SQLITE_VERSION - 1) {
                continue;
            }

            cuts = 0;

            tap_is(migrate(version, wal, POWERCUT_NONE), 0,
                   "nothing is lost of version %d%s", (int) version,
                   wal ? " in a \"-wal\" file" : "");
            tap_ok(cuts > 20, "by %d cuts", (int) cuts);
        }
    }

    /* a fault must be found: by some images, but not by those of each seed */

    quiet = 1;
    found = 0;

    for (seed = 1; seed <= CONTROLS && found == 0; seed++) {
        found = migrate(1, 1, POWERCUT_NO_DB_SYNC|POWERCUT_NO_WAL_SYNC);
    }

    tap_ok(found, "a loss is found without syncs, after %d rounds",
           (int) seed - 1);

    powercut_reset(0, 0);

    return tap_done();
}


/* the number of images that are not what they should be */

static ngx_uint_t
migrate(ngx_uint_t version, ngx_uint_t wal, unsigned faults)
{
    ngx_uint_t          n, i, bad, off;
    ngx_trove_spool_t  *spool;

    static const powercut_manner_e  manners[] = {
        POWERCUT_LOST, POWERCUT_ORDERED, POWERCUT_RANDOM, POWERCUT_RANDOM
    };

    bad = 0;

    old(version, wal);

    for (n = 1; bad < 3; n++) {

        restore();

        powercut.faults = faults;
        powercut_arm(n);

        spool = handle();
        (void) ngx_trove_spool_open(spool, &error);

        off = powercut.off;

        ngx_trove_spool_destroy(spool);

        off |= powercut.off;
        cuts++;

        powercut_freeze();
        powercut.random = seed + n;

        for (i = 0; i < IMAGES; i++) {

            powercut_image(manners[i]);

            if (look()) {
                bad++;

                if (!quiet) {
                    tap_diag("  after cut %d, image %d", (int) n, (int) i);
                }
            }
        }

        if (!off) {
            break;
        }
    }

    powercut_free(&file);

    return bad;
}


static ngx_trove_spool_t *
handle(void)
{
    return spool_new(0, 1000);
}


/* a file of a version */

static void
old(ngx_uint_t version, ngx_uint_t wal)
{
    char        sql[100];
    sqlite3    *db;
    ngx_uint_t  v;

    powercut_reset(seed, POWERCUT_NONE);

    fill();

    if (sqlite3_open(spool_path, &db) != SQLITE_OK) {
        die("open");
    }

    if (wal) {
        (void) sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    }

    for (v = NGX_TROVE_SQLITE_VERSION - 1; v >= version; v--) {

        snprintf(sql, sizeof(sql), "PRAGMA user_version = %d; COMMIT", (int) v);

        if (sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK
            || sqlite3_exec(db, without[v - 1], NULL, NULL, NULL) != SQLITE_OK
            || sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        {
            die("version %d: %s", (int) v, sqlite3_errmsg(db));
        }
    }

    sqlite3_close(db);

    powercut_freeze();

    file = powercut.cut;
    clock_then = powercut.clock;
    memset(&powercut.cut, 0, sizeof(powercut_disk_t));

    restore();

    rows = digest();
}


/* all of it is on the disk, as it was left */

static void
restore(void)
{
    powercut_reset(seed, POWERCUT_NONE);

    powercut.clock = clock_then;

    powercut.cut = file;
    powercut_image(POWERCUT_KEPT);
    memset(&powercut.cut, 0, sizeof(powercut_disk_t));
}


/* deliveries in all states, except that of a lease, which does not last */

static void
fill(void)
{
    accept_t                a;
    ngx_uint_t              n;
    ngx_trove_spool_t      *spool;
    ngx_trove_spool_ref_t   refs[2];

    spool = handle();

    if (ngx_trove_spool_open(spool, &error) != NGX_OK) {
        die("open");
    }

    for (n = 0; n < EVENTS; n++) {

        (void) accept_op(&a, n, n % 7 ? "a b" : "a b c", 1);
        memset(a.body, 'a' + n % 26, sizeof(a.body) - 1);
        a.op.u.accept.event.body.len = sizeof(a.body) - 1;
        a.targets[2].lease = 0;

        spool_write(spool, &a.op);

        refs[0] = a.targets[0].ref;
        refs[1] = a.targets[1].ref;

        spool_outcome(spool, refs[0], n % 3 ? NGX_TROVE_SPOOL_TO_DELIVERED
                                            : NGX_TROVE_SPOOL_TO_RETRY,
                      200, 1000);
        spool_outcome(spool, refs[1], n % 5 ? NGX_TROVE_SPOOL_RELEASED
                                            : NGX_TROVE_SPOOL_TO_FAILED,
                      500, 0);

        if (n % 11 == 0
            && ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_CANCEL,
                                       refs[0].id, &error)
               == NGX_ERROR)
        {
            die("cancel");
        }
    }

    ngx_trove_spool_destroy(spool);
}


/* a digest of all that each version has */

static uint64_t
digest(void)
{
    int             n, i;
    uint64_t        hash;
    sqlite3        *db;
    const char     *text;
    ngx_uint_t      q;
    sqlite3_stmt   *stmt;

    static const char  *queries[] = {

        "SELECT number, received, id, type, namespace, workspace, created_at, "
            "route, host, uri, content_type, hex(key), body FROM event "
            "ORDER BY number",

        "SELECT id, target, state, due, ended, opened, attempts, owner, "
            "started, took, status FROM delivery ORDER BY id",

        "SELECT * FROM attempt ORDER BY delivery, n",

        "SELECT id, route, name, paused, new, retry, leased, delivered, "
            "failed, cancelled FROM target ORDER BY id",

        "SELECT last, events FROM spool"
    };

    hash = 14695981039346656037ULL;

    if (sqlite3_open_v2(spool_path, &db, SQLITE_OPEN_READWRITE, NULL)
        != SQLITE_OK)
    {
        die("open");
    }

    (void) sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);

    for (q = 0; q < sizeof(queries) / sizeof(queries[0]); q++) {

        if (sqlite3_prepare_v2(db, queries[q], -1, &stmt, NULL) != SQLITE_OK) {
            hash = 0;
            break;
        }

        while (sqlite3_step(stmt) == SQLITE_ROW) {

            for (n = 0; n < sqlite3_column_count(stmt); n++) {
                text = (const char *) sqlite3_column_text(stmt, n);

                for (i = 0; text && text[i]; i++) {
                    hash = (hash ^ (u_char) text[i]) * 1099511628211ULL;
                }

                hash = (hash ^ (text ? 257 : 258)) * 1099511628211ULL;
            }
        }

        sqlite3_finalize(stmt);
    }

    sqlite3_close(db);

    return hash;
}


static ngx_uint_t
look(void)
{
    accept_t            a;
    ngx_uint_t          n, bad;
    ngx_trove_spool_t  *spool;

    spool = handle();

    if (ngx_trove_spool_open(spool, &error) != NGX_OK) {

        if (!quiet) {
            tap_diag("the spool cannot be opened: %s", error.text);
        }

        ngx_trove_spool_destroy(spool);
        return 1;
    }

    bad = 0;

    if (sql_int("PRAGMA user_version") != NGX_TROVE_SQLITE_VERSION) {
        bad++;
    }

    if (digest() != rows) {

        if (!quiet) {
            tap_diag("some rows are others, of %d events",
                     (int) sql_int("SELECT count(*) FROM event"));
        }

        bad++;
    }

    if (bad == 0 && !quiet) {
        bad += !spool_sound();
    }

    /* keys are known, and what is due is found */

    for (n = 0; n < EVENTS && bad == 0; n += EVENTS - 1) {

        if (ngx_trove_spool_write(spool, accept_op(&a, n, "a", 0), NULL, &error)
            != NGX_OK
            || a.op.result != NGX_TROVE_SPOOL_DUPLICATE)
        {
            bad++;
        }
    }

    if (bad == 0 && !quiet) {
        n = spool_lease(spool, "b c", 500, 500);

        if (n != 57) {
            tap_diag("%d are due", (int) n);
            bad++;
        }

        spool_leased_free(n);
    }

    ngx_trove_spool_destroy(spool);

    return bad;
}
