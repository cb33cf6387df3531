
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "spool.h"


/* Files that are removed, and locks that are lost, while the spool is used. */


static void removed(const char *names);
static void removed_for_two(void);
static void removed_beside_reader(void);
static void removed_at_exit(void);
static void replaced(void);
static void lost_locks(void);
static void complete_at_exit(void);


static ngx_trove_spool_t  *spool;


int
main(void)
{
    alarm(300);

    spool_mkdir();

    removed("wal");
    removed("shm");
    removed("wal shm");
    removed_for_two();
    removed_beside_reader();
    removed_at_exit();
    replaced();
    lost_locks();
    complete_at_exit();

    return tap_done();
}


static void
fresh(void)
{
    char  cmd[400];

    ngx_trove_spool_destroy(spool);

    snprintf(cmd, sizeof(cmd), "rm -rf '%s'*", spool_path);

    if (system(cmd) != 0) {
        die("rm");
    }

    spool = spool_open();
}


static void
reopen(void)
{
    ngx_trove_spool_destroy(spool);
    spool = spool_open();
}


static void
remove_beside(const char *names)
{
    char    name[400];
    size_t  len;

    while (*names) {
        len = strcspn(names, " ");

        snprintf(name, sizeof(name), "%s-%.*s", spool_path, (int) len, names);

        if (unlink(name) != 0) {
            die("unlink %s", name);
        }

        names += len + strspn(names + len, " ");
    }
}


static ngx_int_t
try(ngx_trove_spool_t *s, uint64_t n)
{
    accept_t  a;

    return ngx_trove_spool_write(s, accept_op(&a, n, "a", 0), NULL, &error);
}


/* the number of events that the spool knows of */

static int64_t
events(ngx_trove_spool_t *s)
{
    int64_t                  n;
    ngx_trove_spool_stat_t  *stat;

    stat = ngx_trove_spool_stat(s, &error);

    if (stat == NULL) {
        return -1;
    }

    n = (int64_t) stat->events;
    ngx_trove_spool_free(stat);

    return n;
}


static void
removed(const char *names)
{
    ngx_uint_t              i;
    ngx_trove_spool_ref_t   ref;

    fresh();

    for (i = 0; i < 20; i++) {
        spool_accept(spool, i, "a", 1, &ref);
    }

    remove_beside(names);

    tap_is(try(spool, 20), NGX_ERROR, "%s removed", names);
    tap_is(error.kind, NGX_TROVE_SPOOL_GONE, "an error");
    tap_ok(strstr((char *) error.text, "was removed or replaced while in use")
           != NULL, "as is said: %s", error.text);
    tap_is(try(spool, 20), NGX_OK, "and then no more");
    tap_is(events(spool), 21, "with all events");

    (void) spool_outcome(spool, ref, NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0);
    tap_is(spool_state(spool, ref.id), NGX_TROVE_SPOOL_DELIVERED,
           "and their deliveries");

    tap_is(try(spool, 0), NGX_OK, "one of them again");
    tap_is(events(spool), 21, "is a duplicate");

    reopen();
    tap_is(events(spool), 21, "likewise after a restart");
    tap_ok(spool_sound(), "all is sound");
}


/* each has written, and it is not the same one that notices it first */

static void
removed_for_two(void)
{
    ngx_uint_t          i;
    ngx_trove_spool_t  *two;

    fresh();
    two = spool_open();

    for (i = 0; i < 20; i++) {
        spool_accept(i % 2 ? spool : two, i, "a", 0, NULL);
    }

    remove_beside("wal");

    tap_is(events(two), -1, "a reader notices it");
    tap_is(events(two), 20, "once, and reads all");
    tap_is(try(two, 20), NGX_OK, "and writes");
    tap_is(try(spool, 21), NGX_ERROR, "so does the other one");
    tap_is(error.kind, NGX_TROVE_SPOOL_GONE, "as an error");
    tap_is(events(spool), 21, "and reads all");
    tap_is(try(spool, 21), NGX_OK, "and writes");
    tap_is(events(two), 22, "which the first one reads");

    ngx_trove_spool_destroy(two);
    reopen();
    tap_is(events(spool), 22, "all of it is there after a restart");
    tap_ok(spool_sound(), "all is sound");
}


/* holds a snapshot from when it writes to fd */

static pid_t
reader(int fd)
{
    pid_t     pid;
    sqlite3  *db;

    fflush(stdout);

    pid = fork();

    if (pid != 0) {
        return pid;
    }

    if (sqlite3_open(spool_path, &db) != SQLITE_OK
        || sqlite3_exec(db, "BEGIN; SELECT count(*) FROM event", NULL, NULL,
                        NULL)
           != SQLITE_OK
        || write(fd, "", 1) != 1)
    {
        _exit(1);
    }

    for ( ;; ) {
        (void) pause();
    }
}


/*
 * A reader has the newest snapshot while PATH-wal is saved and the next event
 * is accepted; then all processes are killed.
 */

static void
removed_beside_reader(void)
{
    int         status, ready[2];
    char        c;
    pid_t       pid, writer;
    ngx_uint_t  i;

    fresh();
    ngx_trove_spool_destroy(spool);
    spool = NULL;

    if (pipe(ready) != 0) {
        die("pipe");
    }

    fflush(stdout);
    writer = fork();

    if (writer == 0) {
        spool = spool_new(0, 300);

        if (ngx_trove_spool_open(spool, &error) != NGX_OK) {
            _exit(5);
        }

        for (i = 0; i < 20; i++) {
            spool_accept(spool, i, "a", 0, NULL);
        }

        pid = reader(ready[1]);

        if (read(ready[0], &c, 1) != 1) {
            _exit(1);
        }

        remove_beside("wal");

        if (try(spool, 20) != NGX_ERROR
            || error.kind != NGX_TROVE_SPOOL_GONE)
        {
            _exit(2);
        }

        if (try(spool, 20) != NGX_OK) {

            if (error.kind != NGX_TROVE_SPOOL_BUSY) {
                _exit(3);
            }

            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);

            if (try(spool, 20) != NGX_OK) {
                _exit(4);
            }
        }

        kill(pid, SIGKILL);
        kill(getpid(), SIGKILL);
    }

    waitpid(writer, &status, 0);

    (void) close(ready[0]);
    (void) close(ready[1]);

    tap_ok(WIFSIGNALED(status), "an event is accepted beside a reader: %d",
           status);

    spool = spool_open();

    tap_is(events(spool), 21, "and is there after a kill");
    tap_ok(spool_sound(), "all is sound");
}


static void
removed_at_exit(void)
{
    fresh();

    spool_accept(spool, 1, "a", 0, NULL);
    remove_beside("wal shm");

    reopen();
    tap_is(events(spool), 1, "removed before the exit");
    tap_ok(spool_sound(), "all is sound");
}


/* by a program that has written to the new one: nothing can be saved */

static void
replaced(void)
{
    char   name[400];
    FILE  *f;

    fresh();

    spool_accept(spool, 1, "a", 0, NULL);
    remove_beside("wal shm");

    snprintf(name, sizeof(name), "%s-wal", spool_path);

    f = fopen(name, "w");

    if (f == NULL || fputs("something", f) == EOF || fclose(f) != 0) {
        die("fopen");
    }

    tap_is(try(spool, 2), NGX_ERROR, "replaced");
    tap_is(error.kind, NGX_TROVE_SPOOL_GONE, "an error");
    tap_is(try(spool, 2), NGX_ERROR, "another one");
    tap_ok(strstr((char *) error.text, "recent events may be lost") != NULL,
           "as is said: %s", error.text);
    tap_is(try(spool, 2), NGX_OK, "and then no more");
    tap_ok(spool_sound(), "all is sound");
}


/*
 * Something in the process reads the files as any others, and a shell comes and
 * goes.
 */

static void
lost_locks(void)
{
    int          fd, status;
    char         name[400];
    pid_t        pid;
    ngx_uint_t   i;
    struct stat  before, after;

    static const char  *suffixes[] = { "", "-wal", "-shm" };

    fresh();

    for (i = 0; i < 20; i++) {
        spool_accept(spool, i, "a", 0, NULL);
    }

    if (stat(sqlite(spool)->path_wal, &before) != 0) {
        die("stat");
    }

    for (i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "%s%s", spool_path, suffixes[i]);

        fd = open(name, O_RDONLY);

        if (fd == -1 || close(fd) != 0) {
            die("open");
        }
    }

    fflush(stdout);

    pid = fork();

    if (pid == 0) {
        execlp("sqlite3", "sqlite3", spool_path,
               "SELECT count(*) FROM event WHERE number > 1000", NULL);
        _exit(127);
    }

    waitpid(pid, &status, 0);

    tap_is(status, 0, "a shell has read the file");
    tap_is(stat(sqlite(spool)->path_wal, &after), 0, "PATH-wal is there");
    tap_ok(before.st_ino == after.st_ino && after.st_size > 0,
           "and as it was");

    tap_is(try(spool, 20), NGX_OK, "an event is accepted");
    reopen();
    tap_is(events(spool), 21, "all are there after a restart");
    tap_ok(spool_sound(), "all is sound");
}


/* when the last of several processes has closed the file, PATH has it all */

static void
complete_at_exit(void)
{
    pid_t       pids[4];
    ngx_uint_t  i, n, bad;

    bad = 0;

    for (n = 0; n < 10; n++) {
        fresh();

        /* a process must not inherit the handle of another one */

        ngx_trove_spool_destroy(spool);
        spool = NULL;

        fflush(stdout);

        for (i = 0; i < 4; i++) {
            pids[i] = fork();

            if (pids[i] == 0) {
                spool = spool_open();
                spool_accept(spool, i, "a", 0, NULL);
                ngx_trove_spool_destroy(spool);
                _exit(0);
            }
        }

        for (i = 0; i < 4; i++) {
            waitpid(pids[i], NULL, 0);
        }

        remove_beside("wal shm");

        bad += (sql_int("SELECT count(*) FROM event") != 4);
    }

    tap_is(bad, 0, "PATH has it all when nobody uses it");
    tap_ok(spool_sound(), "all is sound");
}
