
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "spool.h"


/* What may go wrong with a file, and that it passes without a restart. */


static void locked(void);
static void hung(void);
static void foreign(void);
static void newer(void);
static void corrupt(void);
static void gone(void);
static void gone_lock(void);
static void unwritable(void);
static void full_by_limit(void);
static void full_by_device(void);
static void full(const char *how, void (*fill)(void), void (*empty)(void));


static ngx_trove_spool_t  *spool;


int
main(void)
{
    /* a wait without an end is a failure, too */

    alarm(300);

    spool_mkdir();

    locked();
    hung();
    foreign();
    newer();
    corrupt();
    gone();
    gone_lock();
    unwritable();
    full_by_limit();
    full_by_device();

    return tap_done();
}


static void
shell(const char *fmt, ...)
{
    char     cmd[1024];
    va_list  args;

    va_start(args, fmt);
    vsnprintf(cmd, sizeof(cmd), fmt, args);
    va_end(args);

    if (system(cmd) != 0) {
        die("%s", cmd);
    }
}


static void
fresh(void)
{
    ngx_trove_spool_destroy(spool);
    shell("rm -rf '%s'*", spool_path);
    spool = spool_open();
}


/* what comes of an event; in *ms, how long it took */

static ngx_int_t
try(uint64_t n, accept_t *a, int64_t *ms)
{
    int64_t    start;
    ngx_int_t  rc;

    start = ngx_trove_sqlite_elapsed();
    rc = ngx_trove_spool_write(spool, accept_op(a, n, "a", 1), NULL, &error);

    if (ms != NULL) {
        *ms = (ngx_trove_sqlite_elapsed() - start) / 1000;
    }

    return rc;
}


/* a person with a shell, who begins a transaction and goes to lunch */

static void
locked(void)
{
    int64_t                  ms;
    sqlite3                 *db;
    accept_t                 a;
    ngx_trove_spool_stat_t  *stat;

    fresh();
    sqlite(spool)->wait = 300;
    spool_accept(spool, 1, "a", 0, NULL);

    if (sqlite3_open(spool_path, &db) != SQLITE_OK
        || sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL) != SQLITE_OK)
    {
        die("BEGIN EXCLUSIVE");
    }

    tap_is(try(2, &a, &ms), NGX_ERROR, "locked by another program");
    tap_is(error.kind, NGX_TROVE_SPOOL_BUSY, "which may pass");
    tap_is_str((char *) error.text,
               "the spool has been locked by another program for 300 ms",
               "as is said");
    tap_is(a.op.result, NGX_TROVE_SPOOL_ROLLED_BACK, "nothing is accepted");
    tap_ok(ms >= 290 && ms < 30000, "after %d ms", (int) ms);

    stat = ngx_trove_spool_stat(spool, &error);
    tap_ok(stat != NULL && stat->events == 1, "reads go on");
    ngx_trove_spool_free(stat);

    tap_is(spool_lease(spool, "b", 1, 1), 0, "so does a lease of nothing");

    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_close(db);

    tap_is(try(2, &a, NULL), NGX_OK, "and all does afterwards");
    tap_is(a.op.result, NGX_TROVE_SPOOL_DONE, "as if nothing had been");
    tap_ok(spool_sound(), "all is sound");
}


/* another worker that hangs, then dies, with the lock */

static void
hung(void)
{
    int        status;
    pid_t      pid;
    int64_t    ms;
    accept_t   a;

    fresh();
    sqlite(spool)->wait = 300;
    fflush(stdout);

    pid = fork();

    if (pid == 0) {
        pthread_mutex_lock(&sqlite(spool)->shared->write);
        raise(SIGSTOP);
        _exit(0);
    }

    waitpid(pid, &status, WUNTRACED);

    tap_is(try(1, &a, &ms), NGX_ERROR, "another worker hangs");
    tap_is(error.kind, NGX_TROVE_SPOOL_BUSY, "which may pass");
    tap_is_str((char *) error.text,
               "the spool has been locked by other nginx processes for 300 ms",
               "as is said");
    tap_ok(ms >= 290 && ms < 30000, "after %d ms", (int) ms);

    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);

    sqlite(spool)->wait = WAIT;

    tap_is(try(1, &a, &ms), NGX_OK, "it is killed");
    tap_ok(ms < WAIT / 2, "and nobody waits for it");
}


static int64_t
checksum(const char *path)
{
    int       c;
    FILE     *f;
    uint64_t  sum;

    f = fopen(path, "r");
    if (f == NULL) {
        return -1;
    }

    sum = 0;

    while ((c = getc(f)) != EOF) {
        sum = sum * 31 + (uint64_t) c;
    }

    fclose(f);

    return (int64_t) (sum & INT64_MAX);
}


static void
foreign(void)
{
    int64_t       sum;
    ngx_str_t     path;
    ngx_uint_t    i;
    struct stat   st;

    static const struct {
        const char  *what;
        const char  *make;
    } files[] = {
        { "a text", "echo 'hello, world' > '%s'" },
        { "a long text", "seq 10000 > '%s'" },
        { "a directory", "mkdir '%s'" },
        { "a database", "perl -e 'print \"SQLite format 3\\0\", \"\\x10\\0"
                        "\\x1\\x1\" x 1000' > '%s'" }
    };

    path = str(spool_path);

    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {

        ngx_trove_spool_destroy(spool);
        shell("rm -rf '%s'*", spool_path);
        shell(files[i].make, spool_path);

        sum = checksum(spool_path);
        spool = spool_new(0, 300);

        tap_is(ngx_trove_spool_check(&path, &error), NGX_ERROR,
               "%s: the check", files[i].what);
        tap_is(error.kind, NGX_TROVE_SPOOL_FOREIGN, "is for that");
        tap_is(ngx_trove_spool_open(spool, &error), NGX_ERROR,
               "it is not opened");
        tap_is(error.kind, NGX_TROVE_SPOOL_FOREIGN, "for the same reason");
        tap_is(checksum(spool_path), sum, "it stays as it is");
        tap_is(stat(sqlite(spool)->path_lock, &st), -1, "and gets no company");

        shell("rm -rf '%s'", spool_path);
        tap_is(ngx_trove_spool_open(spool, &error), NGX_OK,
               "without it, a new one is made");
    }

    /* a database whose tables are another program's, as SQLite makes it */

    ngx_trove_spool_destroy(spool);
    shell("rm -rf '%s'*", spool_path);
    shell("touch '%s'", spool_path);
    (void) sql_int("CREATE TABLE t (x)");

    spool = spool_new(0, 300);
    tap_is(ngx_trove_spool_open(spool, &error), NGX_ERROR,
           "a real database of another program");
    tap_is(error.kind, NGX_TROVE_SPOOL_FOREIGN, "is not opened");
    tap_is_str((char *) error.text,
               "the spool file is a database of another program", "as is said");

    ngx_trove_spool_destroy(spool);
    shell(": > '%s'", spool_path);
    spool = spool_open();
    tap_is(sql_int("SELECT count(*) FROM spool"), 1, "an empty file is taken");
}


/* what a later version left in PATH-wal only */

static void
newer(void)
{
    int        status;
    int64_t    sums[2];
    sqlite3   *db;
    ngx_str_t  path;

    fresh();
    ngx_trove_spool_destroy(spool);
    spool = NULL;
    path = str(spool_path);
    fflush(stdout);

    if (fork() == 0) {
        if (sqlite3_open(spool_path, &db) != SQLITE_OK
            || sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL)
               != SQLITE_OK)
        {
            _exit(1);
        }

        _exit(0);
    }

    wait(&status);

    spool = spool_new(0, 300);
    sums[0] = checksum(spool_path);
    sums[1] = checksum(sqlite(spool)->path_wal);

    tap_is(status, 0, "a file of a later version");
    tap_is(ngx_trove_spool_open(spool, &error), NGX_ERROR, "is not opened");
    tap_is(error.kind, NGX_TROVE_SPOOL_NEWER, "for that");
    tap_is_str((char *) error.text,
               "the spool file has version 99, this module supports versions "
               "up to 5", "as is said");
    tap_is(checksum(spool_path), sums[0], "it stays as it is");
    tap_is(checksum(sqlite(spool)->path_wal), sums[1], "and so does PATH-wal");

    (void) sql_int("SELECT count(*) FROM spool");
    tap_is(ngx_trove_spool_check(&path, &error), NGX_ERROR, "the check");
    tap_is(error.kind, NGX_TROVE_SPOOL_NEWER, "sees it, too, now");

    (void) sql_int("PRAGMA user_version = 5");
    tap_is(ngx_trove_spool_open(spool, &error), NGX_OK,
           "by that version, it is");
}


static void
corrupt(void)
{
    char        copy[400];
    accept_t    a;
    ngx_uint_t  i;

    fresh();

    for (i = 0; i < 200; i++) {
        spool_accept(spool, i, "a", 0, NULL);
    }

    ngx_trove_spool_destroy(spool);
    snprintf(copy, sizeof(copy), "%s/copy", spool_dir);
    shell("cp '%s' '%s'", spool_path, copy);

    /* the pages of the tables, not the first one */

    shell("dd if=/dev/urandom of='%s' bs=4096 seek=1 count=200 conv=notrunc "
          "2>/dev/null", spool_path);

    spool = spool_new(0, 300);
    tap_is(ngx_trove_spool_open(spool, &error), NGX_ERROR, "a damaged file");
    tap_is(error.kind, NGX_TROVE_SPOOL_CORRUPT, "is so");
    tap_ok(error.text[0] != '\0', "with a reason: %s", error.text);
    tap_is(try(1000, &a, NULL), NGX_ERROR, "nothing can be written");
    tap_is(a.op.result, NGX_TROVE_SPOOL_ROLLED_BACK, "nothing is accepted");
    tap_ok(ngx_trove_spool_stat(spool, &error) == NULL, "nor read");

    /* in place, as a restore may do it */

    shell("cat '%s' > '%s'", copy, spool_path);
    tap_is(try(1000, &a, NULL), NGX_OK, "until it is restored");
    tap_is(a.op.result, NGX_TROVE_SPOOL_DONE, "an event is accepted");

    /* while it is open, and by another file */

    shell("cp '%s' '%s.new' && mv '%s.new' '%s'", copy, copy, copy,
          spool_path);
    shell("rm -f '%s-wal' '%s-shm'", spool_path, spool_path);
    tap_is(try(1001, &a, NULL), NGX_ERROR, "another file in its place");
    tap_is(error.kind, NGX_TROVE_SPOOL_GONE, "is noticed");
    tap_is(try(1001, &a, NULL), NGX_OK, "and used");
    tap_is(a.op.u.accept.event.number, 201, "as it is");
    tap_ok(spool_sound(), "all is sound");
}


static void
gone(void)
{
    accept_t                a;
    ngx_trove_spool_ref_t   ref;

    fresh();
    spool_accept(spool, 1, "a", 1, &ref);

    shell("mv '%s' '%s.away'", spool_path, spool_path);

    tap_is(try(2, &a, NULL), NGX_ERROR, "the file is taken away");
    tap_is(error.kind, NGX_TROVE_SPOOL_GONE, "which is an error");
    tap_is(try(2, &a, NULL), NGX_ERROR, "and stays so");
    tap_is(error.kind, NGX_TROVE_SPOOL_GONE, "no new one is made");
    tap_ok(ngx_trove_spool_stat(spool, &error) == NULL, "nothing is read");
    tap_is(error.kind, NGX_TROVE_SPOOL_GONE, "for the same reason");

    shell("mv '%s.away' '%s'", spool_path, spool_path);

    tap_is(try(2, &a, NULL), NGX_OK, "it is put back");
    tap_is(a.op.result, NGX_TROVE_SPOOL_DONE, "and all goes on");
    tap_is(try(1, &a, NULL), NGX_OK, "with what was there");
    tap_is(a.op.result, NGX_TROVE_SPOOL_DUPLICATE, "before");

    shell("rm '%s' '%s-wal' '%s-shm'", spool_path, spool_path, spool_path);

    tap_is(try(3, &a, NULL), NGX_ERROR, "it is removed");
    tap_is(ngx_trove_spool_open(spool, &error), NGX_OK,
           "by a reload, a new one is made");
    tap_is(try(1, &a, NULL), NGX_OK, "which is empty");
    tap_is(a.op.result, NGX_TROVE_SPOOL_DONE, "so that all is new");
    tap_is(a.targets[0].ref.id, ref.id, "and has the same ids");
    tap_is(spool_outcome(spool, ref, NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0),
           NGX_TROVE_SPOOL_UNKNOWN, "but is not what was in flight");
    tap_is(spool_state(spool, ref.id), NGX_TROVE_SPOOL_LEASED,
           "which changes nothing of it");
    tap_ok(spool_sound(), "all is sound");
}


static void
gone_lock(void)
{
    accept_t            a;
    ngx_trove_spool_t  *other;

    fresh();
    other = spool_open();
    spool_accept(spool, 1, "a", 1, NULL);

    shell("rm '%s-lock'", spool_path);

    tap_is(try(2, &a, NULL), NGX_ERROR, "the lock file is removed");
    tap_is(error.kind, NGX_TROVE_SPOOL_GONE, "which is an error");
    tap_is(try(2, &a, NULL), NGX_OK, "once");

    spool_write(spool, accept_op(&a, 1, "a", 1));
    tap_is(a.op.result, NGX_TROVE_SPOOL_DUPLICATE, "nothing is forgotten");

    tap_is(ngx_trove_spool_write(other, accept_op(&a, 2, "a", 1), NULL,
                                 &error),
           NGX_ERROR, "the other one has it");
    spool_write(other, accept_op(&a, 2, "a", 1));
    tap_is(a.op.result, NGX_TROVE_SPOOL_DUPLICATE, "forgets nothing either");
    tap_ok(spool_sound(), "all is sound");

    ngx_trove_spool_destroy(other);
}


/* by a user who is nobody */

static void
unwritable(void)
{
    int         i, status;
    accept_t    a;
    ngx_uint_t  n;

    fresh();
    spool_accept(spool, 1, "a", 1, NULL);
    ngx_trove_spool_destroy(spool);
    spool = NULL;

    if (geteuid() == 0) {
        shell("chown -R 65534 '%s'", spool_dir);
    }

    fflush(stdout);

    if (fork() == 0) {

        if (geteuid() == 0 && setuid(65534) == -1) {
            _exit(100);
        }

        n = 0;
        spool = spool_new(0, 300);

        /* the file */

        shell("chmod 0400 '%s'", spool_path);
        n += ngx_trove_spool_open(spool, &error) == NGX_ERROR;
        n += error.kind == NGX_TROVE_SPOOL_READONLY;
        n += try(2, &a, NULL) == NGX_ERROR;
        n += a.op.result == NGX_TROVE_SPOOL_ROLLED_BACK;

        shell("chmod 0000 '%s'", spool_path);
        n += try(2, &a, NULL) == NGX_ERROR;
        n += error.kind == NGX_TROVE_SPOOL_ACCESS;

        shell("chmod 0600 '%s'", spool_path);
        n += try(2, &a, NULL) == NGX_OK;
        n += a.op.result == NGX_TROVE_SPOOL_DONE;

        /* the directory, in which nothing can be made */

        ngx_trove_spool_destroy(spool);
        shell("rm '%s-lock'", spool_path);
        shell("chmod 0500 '%s'", spool_dir);
        spool = spool_new(0, 300);
        n += try(3, &a, NULL) == NGX_ERROR;
        n += error.kind == NGX_TROVE_SPOOL_ACCESS;
        n += error.err == EACCES;

        shell("chmod 0700 '%s'", spool_dir);
        n += try(3, &a, NULL) == NGX_OK;

        _exit((int) n);
    }

    wait(&status);
    i = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

    tap_is(i, 12, "what may not be written is an error until it may");

    if (geteuid() == 0) {
        shell("chown -R 0 '%s'", spool_dir);
    }
}


static void
limit(rlim_t size)
{
    struct rlimit  rl;

    getrlimit(RLIMIT_FSIZE, &rl);
    rl.rlim_cur = size;

    if (setrlimit(RLIMIT_FSIZE, &rl) == -1) {
        die("setrlimit");
    }
}


static void
limit_low(void)
{
    limit(10 * 1024 * 1024);
}


static void
limit_none(void)
{
    limit(RLIM_INFINITY);
}


/* a limit of this process, which is like a disk without space */

static void
full_by_limit(void)
{
    signal(SIGXFSZ, SIG_IGN);

    full("a limit", limit_low, limit_none);
}


static void
ballast(void)
{
    shell("dd if=/dev/zero of='%s/ballast' bs=4096 2>/dev/null; true",
          spool_dir);
}


static void
no_ballast(void)
{
    shell("rm -f '%s/ballast'", spool_dir);
}


/* a real one, where that can be had; the test above is for all */

static void
full_by_device(void)
{
    if (unshare(CLONE_NEWNS) == -1
        || mount("none", "/", NULL, MS_REC|MS_PRIVATE, NULL) == -1
        || mount("tmpfs", spool_dir, "tmpfs", 0, "size=20m") == -1)
    {
        tap_diag("no file system of its own for a full disk: %s",
                 strerror(errno));
        full("a limit", limit_low, limit_none);

        return;
    }

    full("a device", ballast, no_ballast);

    ngx_trove_spool_destroy(spool);
    spool = NULL;

    (void) umount(spool_dir);
}


static void
full(const char *how, void (*fill)(void), void (*empty)(void))
{
    accept_t                       a, b;
    ngx_int_t                      rc;
    ngx_uint_t                     i, n;
    ngx_trove_spool_op_t           op;
    ngx_trove_spool_ref_t          ref;
    ngx_trove_spool_maintained_t   maintained;

    static u_char  body[100000];

    fresh();
    memset(&ref, 0, sizeof(ref));

    fill();

    n = 0;
    rc = NGX_OK;

    for (i = 1; i < 1000; i++) {
        accept_op(&a, i, "a", 1);
        a.op.u.accept.event.body.data = body;
        a.op.u.accept.event.body.len = sizeof(body);

        rc = ngx_trove_spool_write(spool, &a.op, NULL, &error);

        if (rc != NGX_OK) {
            break;
        }

        ref = a.targets[0].ref;
        n++;

        if (n % 10 == 0) {
            (void) ngx_trove_spool_maintain(spool, &maintained, &error);
        }
    }

    tap_is(rc, NGX_ERROR, "%s: no space after %d events", how, (int) n);
    tap_is(error.kind, NGX_TROVE_SPOOL_FULL, "which is said");
    tap_ok(error.text[0] != '\0', "with a reason: %s", error.text);
    tap_is(a.op.result, NGX_TROVE_SPOOL_ROLLED_BACK, "nothing is accepted");

    rc = ngx_trove_spool_write(spool, accept_op(&a, 5000, "a", 1), NULL,
                               &error);

    if (rc == NGX_ERROR) {
        tap_is(error.kind, NGX_TROVE_SPOOL_FULL, "a small one, neither");

    } else {
        tap_is(a.op.result, NGX_TROVE_SPOOL_DONE, "a small one finds some");
    }

    /* an event that finds no space does not take an outcome along */

    outcome_op(&op, ref, NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0);
    accept_op(&b, 5001, "a", 1);
    b.op.u.accept.event.body.data = body;
    b.op.u.accept.event.body.len = sizeof(body);
    b.op.next = &op;

    if (n) {
        rc = ngx_trove_spool_write(spool, &b.op, NULL, &error);

        if (rc == NGX_OK) {
            tap_is(op.result, NGX_TROVE_SPOOL_DONE, "an outcome is recorded");
            tap_is(b.op.result, NGX_TROVE_SPOOL_NO_SPACE,
                   "an event with it is not");
        } else {
            tap_is(op.result, NGX_TROVE_SPOOL_ROLLED_BACK,
                   "an outcome, neither");
            tap_is(b.op.result, NGX_TROVE_SPOOL_ROLLED_BACK, "nor an event");
        }
    }

    tap_is(sql_int("SELECT count(*) FROM event WHERE body IS NOT NULL"),
           n + (a.op.result == NGX_TROVE_SPOOL_DONE),
           "all that was accepted is there, and nothing else");

    empty();

    tap_is(try(6000, &a, NULL), NGX_OK, "there is space again");
    tap_is(a.op.result, NGX_TROVE_SPOOL_DONE, "and all goes on");

    (void) ngx_trove_spool_maintain(spool, &maintained, &error);

    tap_ok(spool_sound(), "all is sound");
}
