
/*
 * Copyright (C) the ngx_trove_module authors
 */


#define _GNU_SOURCE
#include <unistd.h>

#include <ngx_config.h>
#include <ngx_core.h>

#include <sqlite3.h>

#include "spool.h"


/*
 * A process is killed while it makes the file of a spool: once before each call
 * that changes a file.  Whatever it leaves, the next one makes a spool of it,
 * and who looks at the file at this moment does not take it for another
 * program's.
 */


static int                  calls;            /* to go */
static sqlite3_syscall_ptr  write_call, pwrite_call, pwrite64_call;
static sqlite3_syscall_ptr  truncate_call, unlink_call;


static void
count(void)
{
    if (--calls == 0) {
        _exit(9);
    }
}


static ssize_t
count_write(int fd, const void *buf, size_t n)
{
    count();
    return ((ssize_t (*)(int, const void *, size_t)) write_call)(fd, buf, n);
}


static ssize_t
count_pwrite(int fd, const void *buf, size_t n, off_t offset)
{
    count();
    return ((ssize_t (*)(int, const void *, size_t, off_t)) pwrite_call)
           (fd, buf, n, offset);
}


static ssize_t
count_pwrite64(int fd, const void *buf, size_t n, off64_t offset)
{
    count();
    return ((ssize_t (*)(int, const void *, size_t, off64_t)) pwrite64_call)
           (fd, buf, n, offset);
}


static int
count_truncate(int fd, off_t len)
{
    count();
    return ((int (*)(int, off_t)) truncate_call)(fd, len);
}


static int
count_unlink(const char *name)
{
    count();
    return ((int (*)(const char *)) unlink_call)(name);
}


static sqlite3_syscall_ptr
replace(const char *name, sqlite3_syscall_ptr call)
{
    sqlite3_vfs          *vfs;
    sqlite3_syscall_ptr   old;

    vfs = sqlite3_vfs_find(NULL);
    old = vfs->xGetSystemCall(vfs, name);

    if (old) {
        (void) vfs->xSetSystemCall(vfs, name, call);
    }

    return old;
}


/* 9: killed before call n; 0: it was done before that; else it failed */

static int
make(int n)
{
    int                 status;
    pid_t               pid;
    ngx_trove_spool_t  *spool;

    fflush(stdout);

    pid = fork();

    if (pid == -1) {
        die("fork");
    }

    if (pid == 0) {
        (void) sqlite3_initialize();

        write_call = replace("write", (sqlite3_syscall_ptr) count_write);
        pwrite_call = replace("pwrite", (sqlite3_syscall_ptr) count_pwrite);
        pwrite64_call = replace("pwrite64",
                                (sqlite3_syscall_ptr) count_pwrite64);
        truncate_call = replace("ftruncate",
                                (sqlite3_syscall_ptr) count_truncate);
        unlink_call = replace("unlink", (sqlite3_syscall_ptr) count_unlink);

        calls = n;
        spool = spool_new(0, WAIT);

        _exit(ngx_trove_spool_open(spool, &error) == NGX_OK ? 0 : 1);
    }

    if (waitpid(pid, &status, 0) == -1 || !WIFEXITED(status)) {
        die("waitpid");
    }

    return WEXITSTATUS(status);
}


int
main(void)
{
    int                 n, rc;
    char                cmd[400];
    ngx_str_t           path;
    ngx_trove_spool_t  *spool;

    alarm(300);
    spool_mkdir();

    path = str(spool_path);

    for (n = 1; (rc = make(n)) == 9; n++) {

        tap_ok(ngx_trove_spool_check(&path, &error) != NGX_ERROR,
               "killed before call %d: the check likes it", n);

        spool = spool_new(0, WAIT);

        if (tap_is(ngx_trove_spool_open(spool, &error), NGX_OK,
                   "it becomes a spool"))
        {
            tap_is(sql_int("PRAGMA application_id"),
                   NGX_TROVE_SQLITE_APPLICATION, "with its application id");
            tap_is(sql_int("PRAGMA auto_vacuum"), 2, "that gives pages back");

        } else {
            tap_diag("  %s", error.text);
        }

        ngx_trove_spool_destroy(spool);

        snprintf(cmd, sizeof(cmd), "rm -f '%s'*", spool_path);

        if (system(cmd) != 0) {
            die("%s", cmd);
        }
    }

    tap_is(rc, 0, "until it is not killed any more");
    tap_ok(n > 10, "which was after %d calls", n - 1);

    return tap_done();
}
