
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "spool.h"


/* A spool that has reached max_size, used by several workers. */


#define WORKERS  3
#define EVENTS   300             /* of a worker */
#define BODY     10000
#define SIZE     (4 * 1024 * 1024)


static void rests(void);
static void workers(void);
static void worker(ngx_uint_t w);
static ngx_uint_t examined(ngx_trove_spool_t *spool);
static ngx_uint_t maintain(ngx_trove_spool_t *spool);
static ngx_int_t accept_large(ngx_trove_spool_t *spool, uint64_t n,
    ngx_trove_spool_ref_t *ref);
static ngx_trove_spool_t *handle(void);


static ngx_trove_spool_maintained_t  maintained;


int
main(void)
{
    alarm(300);

    spool_mkdir();

    rests();
    workers();

    return tap_done();
}


static ngx_trove_spool_t *
handle(void)
{
    ngx_trove_spool_t  *spool;

    spool = spool_new(SIZE, WAIT);

    if (ngx_trove_spool_open(spool, &error) != NGX_OK) {
        die("open");
    }

    return spool;
}


/* accepts event n, whose delivery is leased; NGX_BUSY: there is no space */

static ngx_int_t
accept_large(ngx_trove_spool_t *spool, uint64_t n, ngx_trove_spool_ref_t *ref)
{
    accept_t  a;

    static u_char  body[BODY];

    accept_op(&a, n, "a", 1);
    a.op.u.accept.event.body.data = body;
    a.op.u.accept.event.body.len = sizeof(body);

    spool_write(spool, &a.op);

    *ref = a.targets[0].ref;

    if (a.op.result == NGX_TROVE_SPOOL_NO_SPACE) {
        return NGX_BUSY;
    }

    if (a.op.result != NGX_TROVE_SPOOL_DONE) {
        die("accept: result %d", (int) a.op.result);
    }

    return NGX_OK;
}


/* all there is to do; the number of events pruned before their time */

static ngx_uint_t
maintain(ngx_trove_spool_t *spool)
{
    ngx_uint_t  n;

    n = 0;

    do {
        if (ngx_trove_spool_maintain(spool, &maintained, &error) != NGX_OK) {
            die("maintain");
        }

        n += maintained.early;

    } while (maintained.more);

    return n;
}


/* how often maintenance has looked for events to prune */

static ngx_uint_t
examined(ngx_trove_spool_t *spool)
{
    sqlite3_stmt  *stmt;

    stmt = sqlite(spool)->maintenance.stmts[NGX_TROVE_SQLITE_SQL_EVENT_FROM];

    return stmt ? sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_RUN, 0) : 0;
}


/* if nothing can be pruned, one worker looks for it, and then all rest */

static void
rests(void)
{
    uint64_t                n;
    ngx_uint_t              before, i;
    ngx_trove_spool_t      *spools[WORKERS];
    ngx_trove_spool_ref_t   ref, last;

    for (i = 0; i < WORKERS; i++) {
        spools[i] = handle();
        (void) maintain(spools[i]);
    }

    memset(&last, 0, sizeof(last));

    for (n = 0; accept_large(spools[0], n, &ref) == NGX_OK; n++) {
        last = ref;
    }

    tap_ok(n > 200, "%d events that wait", (int) n);

    before = examined(spools[0]);
    tap_is(maintain(spools[0]), 0, "none of them is pruned");
    tap_ok(examined(spools[0]) > before, "they were examined");

    before = examined(spools[0]);
    tap_is(maintain(spools[0]), 0, "nor again");
    tap_is(examined(spools[0]), before, "but not examined again");

    for (i = 1; i < WORKERS; i++) {
        before = examined(spools[i]);
        tap_is(maintain(spools[i]), 0, "nor by worker %d", (int) i);
        tap_is(examined(spools[i]), before, "nor examined");
    }

    /* after a pause, by one of them */

    spool_outcome(spools[0], last, NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0);

    for (i = 0; i < WORKERS; i++) {
        sqlite(spools[i])->skew_mono += 60000;
        sqlite(spools[i])->skew_wall += 60000;
    }

    tap_is(maintain(spools[2]), 1, "what has ended is pruned");
    tap_is(maintain(spools[1]), 0, "by one of them");
    tap_is(sql_int("SELECT count(*) FROM event"), n - 1, "the others are kept");
    tap_is(accept_large(spools[0], n, &ref), NGX_OK, "there is space again");

    for (i = 0; i < WORKERS; i++) {
        ngx_trove_spool_destroy(spools[i]);
    }
}


/* accepts events, of which one in ten waits */

static void
worker(ngx_uint_t w)
{
    uint64_t                i;
    ngx_int_t               rc;
    ngx_uint_t              n;
    ngx_trove_spool_t      *spool;
    ngx_trove_spool_ref_t   ref;

    spool = handle();

    for (i = 0; i < EVENTS; i++) {

        for (n = 0; n < 10000; n++) {

            rc = accept_large(spool, 100000 * (w + 1) + i, &ref);

            if (rc == NGX_OK) {
                break;
            }

            /* others may be at it, or it rests */

            (void) maintain(spool);

            sqlite(spool)->skew_mono += 10;
            ngx_msleep(1);
        }

        if (n == 10000) {
            die("worker %d: event %d is rejected", (int) w, (int) i);
        }

        if (i % 10
            && spool_outcome(spool, ref, NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0)
               != NGX_TROVE_SPOOL_DONE)
        {
            die("worker %d: an outcome of event %d", (int) w, (int) i);
        }

        if (i % 20 == 0) {
            (void) maintain(spool);
        }
    }

    ngx_trove_spool_destroy(spool);
}


static void
workers(void)
{
    int          status;
    char         cmd[400];
    pid_t        pids[WORKERS];
    ngx_uint_t   i, failed;

    snprintf(cmd, sizeof(cmd), "rm -f '%s'*", spool_path);

    if (system(cmd) != 0) {
        die("rm");
    }

    fflush(stdout);

    for (i = 0; i < WORKERS; i++) {
        pids[i] = fork();

        if (pids[i] == 0) {
            worker(i);
            _exit(0);
        }
    }

    failed = 0;

    for (i = 0; i < WORKERS; i++) {
        failed += (waitpid(pids[i], &status, 0) != pids[i] || status != 0);
    }

    tap_is(failed, 0, "workers go on while history gives way");
    tap_is(sql_int("SELECT count(*) FROM delivery WHERE state < 3"),
           WORKERS * EVENTS / 10, "what waits is kept");
    tap_is(sql_int("SELECT last FROM spool"), WORKERS * EVENTS,
           "all were accepted");
    tap_ok(sql_int("SELECT count(*) FROM event") < WORKERS * EVENTS,
           "some were pruned");
    tap_ok(sql_int("PRAGMA page_count") * 4096 < SIZE + SIZE / 8,
           "within the size");
    tap_ok(spool_sound(), "all is sound");
}
