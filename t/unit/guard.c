
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "ngx_trove_guard.h"
#include "ngx_trove_table.h"
#include "tap.h"


/* Mapped files that are truncated, and faults that are somebody else's. */

#define SIZE      (64 * 4096)
#define SURVIVED  55


static int make(u_char **addr, int flags);
static void truncated(void);
static void not_shared(void);
static void no_room(void);
static void foreign(void);
static void before(void);
static void earlier(int signo);
static void tables(void);
static void lost(void *data, ngx_trove_table_lost_t *lost);


static ngx_uint_t  told;


int
main(void)
{
    before();
    truncated();
    not_shared();
    no_room();
    foreign();
    tables();

    return tap_done();
}


static int
make(u_char **addr, int flags)
{
    int   fd;
    char  name[] = "/tmp/trove-guard-XXXXXX";

    fd = mkstemp(name);
    (void) unlink(name);

    if (fd == -1 || posix_fallocate(fd, 0, SIZE) != 0) {
        exit(1);
    }

    *addr = mmap(NULL, SIZE, PROT_READ|PROT_WRITE, flags, fd, 0);
    memset(*addr, 'x', SIZE);

    return fd;
}


/* a handler that was there is called, once ours does not know the address */

static void
before(void)
{
    int      status;
    pid_t    pid;
    u_char  *addr, *other;

    pid = fork();

    if (pid == 0) {
        struct sigaction  sa;

        ngx_memzero(&sa, sizeof(sa));
        sa.sa_handler = earlier;
        (void) sigaction(SIGBUS, &sa, NULL);

        (void) make(&other, MAP_SHARED);
        (void) ngx_trove_guard_add(other, SIZE, -1, SIZE, 1);

        status = make(&addr, MAP_SHARED);
        (void) ftruncate(status, 0);

        addr[0] = 1;
        _exit(1);
    }

    (void) waitpid(pid, &status, 0);
    tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 77,
           "a handler from before gets what is not guarded");
}


static void
earlier(int signo)
{
    _exit(77);
}


static void
truncated(void)
{
    int                 fd;
    u_char             *addr;
    struct stat         st;
    ngx_trove_guard_t  *guard;

    fd = make(&addr, MAP_SHARED);
    guard = ngx_trove_guard_add(addr, SIZE, fd, SIZE, 1);
    tap_ok(guard != NULL, "guarded");

    (void) ftruncate(fd, 4096);

    tap_is(addr[4095], 'x', "what is left is as it was");
    tap_is(addr[SIZE - 1], 0, "what was cut off is zero");
    tap_is(guard->faults, 1, "that was found out");
    tap_is(guard->replaced, 0, "in the file itself");

    addr[SIZE - 1] = 'y';

    (void) fstat(fd, &st);
    tap_is(st.st_size, SIZE, "which has its size again");
    tap_is(pread(fd, &addr[1], 1, SIZE - 1), 1, "can be read");
    tap_is(addr[1], 'y', "and has what is written to it");

    ngx_trove_guard_remove(guard);
    (void) munmap(addr, SIZE);
    (void) close(fd);
}


static void
not_shared(void)
{
    int                 fd;
    u_char             *addr;
    struct stat         st;
    ngx_trove_guard_t  *guard;

    fd = make(&addr, MAP_PRIVATE);
    guard = ngx_trove_guard_add(addr, SIZE, fd, SIZE, 0);

    (void) ftruncate(fd, 0);
    (void) madvise(addr, SIZE, MADV_DONTNEED);

    tap_is(addr[SIZE - 1], 0, "a private map reads as zero");
    tap_is(guard->replaced, 1, "which is the process's own");

    (void) fstat(fd, &st);
    tap_is(st.st_size, 0, "and the file is left alone");

    ngx_trove_guard_remove(guard);
    (void) munmap(addr, SIZE);
    (void) close(fd);
}


static void
no_room(void)
{
    int                 fd;
    u_char             *addr;
    struct rlimit       limit, old;
    ngx_trove_guard_t  *guard;

    fd = make(&addr, MAP_SHARED);
    guard = ngx_trove_guard_add(addr, SIZE, fd, SIZE, 1);

    (void) getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 4096;
    (void) setrlimit(RLIMIT_FSIZE, &limit);

    (void) ftruncate(fd, 0);

    tap_is(addr[SIZE - 1], 0, "no room: zero all the same");
    tap_is(guard->replaced, 1, "the process's own");
    tap_ok(ngx_trove_guard_extend(fd, SIZE) != 0, "the file stays short");

    (void) setrlimit(RLIMIT_FSIZE, &old);
    tap_is(ngx_trove_guard_extend(fd, SIZE), 0, "until there is room");

    ngx_trove_guard_remove(guard);
    (void) munmap(addr, SIZE);
    (void) close(fd);
}


/* it ends the process as it would without a guard */

static void
foreign(void)
{
    int      fd, status;
    pid_t    pid;
    u_char  *addr;

    pid = fork();

    if (pid == 0) {
        fd = make(&addr, MAP_SHARED);
        (void) ftruncate(fd, 0);
        addr[0] = 1;
        _exit(SURVIVED);
    }

    (void) waitpid(pid, &status, 0);

    if (!WIFSIGNALED(status)) {
        tap_ok(WIFEXITED(status) && WEXITSTATUS(status) != SURVIVED,
               "a sanitizer has it");

    } else {
        tap_is(WTERMSIG(status), SIGBUS, "not guarded: SIGBUS");
    }

    pid = fork();

    if (pid == 0) {
        (void) kill(getpid(), SIGBUS);
        _exit(SURVIVED);
    }

    (void) waitpid(pid, &status, 0);
    tap_ok(WIFSIGNALED(status) || WEXITSTATUS(status) != SURVIVED,
           "one that is sent is none of ours either");
}


/* of several processes, one finds a table lost, and all go on with it */

static void
tables(void)
{
    int                       fd, status;
    char                      name[] = "/tmp/trove-guard-XXXXXX";
    pid_t                     pid;
    uint32_t                  owner;
    ngx_uint_t                i, bad;
    ngx_trove_table_t        *table;
    ngx_trove_zone_now_t      now = { 1793000000, 1000 };
    ngx_trove_zone_key_t      key, keys[200];
    ngx_trove_table_error_t   error;

    fd = mkstemp(name);
    (void) unlink(name);

    table = ngx_trove_table_create(fd, SIZE, &error);
    ngx_trove_table_on_lost(table, lost, NULL);

    ngx_trove_table_key(table, (u_char *) "before", 6, &key);

    for (i = 0; i < 200; i++) {
        ngx_trove_table_key(table, (u_char *) &i, sizeof(i), &keys[i]);
    }

    (void) ngx_trove_table_claim(table, &key, &now, 60, &owner);
    (void) ngx_trove_table_complete(table, &key, &now, 60, owner);

    (void) ftruncate(fd, 0);

    pid = fork();

    if (pid == 0) {
        bad = 0;

        for (i = 0; i < 200; i++) {
            bad += ngx_trove_table_claim(table, &keys[i], &now, 60, &owner)
                   != NGX_TROVE_ZONE_NEW;
            bad += ngx_trove_table_complete(table, &keys[i], &now, 60, owner)
                   != NGX_OK;
        }

        _exit(bad ? 100 : told);
    }

    (void) waitpid(pid, &status, 0);
    tap_is(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 1,
           "another process goes on, and tells once");

    for (i = 0, bad = 0; i < 200; i++) {
        bad += ngx_trove_table_claim(table, &keys[i], &now, 60, &owner)
               != NGX_TROVE_ZONE_DONE;
    }

    tap_is(bad, 0, "what it completed is known here");
    tap_is(told, 0, "and nothing to tell");
    tap_is(ngx_trove_table_claim(table, &key, &now, 60, &owner),
           NGX_TROVE_ZONE_NEW, "what was before is lost");

    /* the first page is there, and half of the others */

    (void) ftruncate(fd, SIZE / 2);
    ngx_trove_table_check(table);
    tap_is(told, 1, "the half of it: told");

    for (i = 0, bad = 0; i < 200; i++) {
        bad += ngx_trove_table_claim(table, &keys[i], &now, 60, &owner)
               == NGX_TROVE_ZONE_DONE;
    }

    tap_ok(bad > 60 && bad < 140, "%d of 200 are known", (int) bad);
    tap_is(told, 1, "once");

    ngx_trove_table_unref(table);
}


static void
lost(void *data, ngx_trove_table_lost_t *what)
{
    told++;
}
