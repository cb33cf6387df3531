
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/mman.h>
#include <sys/wait.h>

#include "ngx_trove_table.h"
#include "tap.h"


/*
 * Tables in files: what can be read of them, and processes that use one while
 * it gets another size, and are killed at that.
 */

#define WORKERS  3
#define ROUNDS   12
#define KILLS    40
#define KEYS     600                           /* that are new in a round */


typedef struct {
    uint64_t                   operations;
    uint64_t                   resizes;
    uint32_t                   again;          /* new, though completed */
    uint32_t                   twice;          /* new for two at once */
    uint32_t                   lost;           /* a claim of one who lives */
    uint32_t                   keys;
    uint32_t                   done[ROUNDS * KEYS];
    uint32_t                   held[ROUNDS * KEYS];
} shared_t;


static void sizes(void);
static void chains(void);
static void failures(void);
static void chaos(void);
static void chaos_round(ngx_trove_table_t *table, shared_t *shared);
static void worker(ngx_trove_table_t *table, shared_t *shared);
static void resizer(ngx_trove_table_t *table, shared_t *shared);
static pid_t start(void (*job)(ngx_trove_table_t *table, shared_t *shared),
    ngx_trove_table_t *table, shared_t *shared);
static void stop(pid_t pid);
static ngx_fd_t file(void);
static ngx_trove_zone_key_t key_of(ngx_trove_table_t *table, uint64_t n);
static void complete(ngx_trove_table_t *table, uint64_t from, uint64_t to);
static ngx_uint_t known(ngx_trove_table_t *table, uint64_t from, uint64_t to);
static off_t length(ngx_fd_t fd);


static ngx_trove_zone_now_t  now = { 1793000000, 1000 };


int
main(void)
{
    /* a wedge ends the test */

    alarm(180);

    sizes();
    chains();
    failures();
    chaos();

    return tap_done();
}


static ngx_fd_t
file(void)
{
    ngx_fd_t     fd;
    char         name[256];
    const char  *dir;

    dir = getenv("TMPDIR");

    snprintf(name, sizeof(name), "%s/trove-table-XXXXXX", dir ? dir : "/tmp");

    fd = mkstemp(name);
    unlink(name);

    return fd;
}


static off_t
length(ngx_fd_t fd)
{
    struct stat  st;

    return fstat(fd, &st) == 0 ? st.st_size : -1;
}


static ngx_trove_zone_key_t
key_of(ngx_trove_table_t *table, uint64_t n)
{
    ngx_trove_zone_key_t  key;

    ngx_trove_table_key(table, (u_char *) &n, sizeof(n), &key);

    return key;
}


static void
complete(ngx_trove_table_t *table, uint64_t from, uint64_t to)
{
    uint64_t              n;
    uint32_t              owner;
    ngx_trove_zone_key_t  key;

    for (n = from; n < to; n++) {
        key = key_of(table, n);
        ngx_trove_table_claim(table, &key, &now, 60, &owner);
        ngx_trove_table_complete(table, &key, &now, 1000, owner);
    }
}


static ngx_uint_t
known(ngx_trove_table_t *table, uint64_t from, uint64_t to)
{
    uint64_t              n;
    uint32_t              owner;
    ngx_uint_t            done;
    ngx_trove_zone_key_t  key;

    for (done = 0, n = from; n < to; n++) {
        key = key_of(table, n);

        if (ngx_trove_table_claim(table, &key, &now, 60, &owner)
            == NGX_TROVE_ZONE_DONE)
        {
            done++;

        } else {
            ngx_trove_table_release(table, &key, owner);
        }
    }

    return done;
}


static void
sizes(void)
{
    ngx_uint_t                i, left;
    ngx_trove_table_t        *table;
    ngx_trove_table_error_t   error;

    static size_t  size[] = { 300000, 65536, 1048576, 65536 };

    table = ngx_trove_table_memory(131072, &error);

    tap_ok(table != NULL, "a table in memory");
    tap_is(ngx_trove_table_size(table), 131072, "of its size");

    complete(table, 0, 100);

    for (i = 0; i < 4; i++) {
        tap_is(ngx_trove_table_resize(table, size[i], &now, &left, &error),
               NGX_OK, "to %d bytes", (int) size[i]);
        tap_is(ngx_trove_table_size(table), size[i] - size[i] % 4096,
               "in whole pages");
        tap_is(left, 0, "with all");
        tap_is(known(table, 0, 100), 100, "that is known");
    }

    tap_is(ngx_trove_table_resize(table, 65536, &now, &left, &error), NGX_OK,
           "the same size once more");

    ngx_trove_table_unref(table);
}


static void
chains(void)
{
    ngx_fd_t                    fd, other;
    uint64_t                    damaged;
    ngx_uint_t                  left;
    ngx_trove_table_t          *table, *joined, *copy;
    ngx_trove_zone_key_t        key;
    ngx_trove_zone_stat_t       stat;
    ngx_trove_table_error_t     error;
    ngx_trove_table_carried_t   carried;

    fd = file();
    table = ngx_trove_table_create(fd, 65536, &error);
    tap_ok(table != NULL, "a table in a file");
    tap_is(length(fd), 65536, "of its size");

    complete(table, 0, 100);

    joined = ngx_trove_table_join(dup(fd), &error);
    tap_is(known(joined, 0, 100), 100, "another has joined in");

    ngx_trove_table_resize(table, 131072, &now, &left, &error);
    complete(table, 100, 200);
    ngx_trove_table_resize(table, 262144, &now, &left, &error);
    complete(table, 200, 300);

    tap_is(length(fd), 65536 + 131072 + 262144, "one behind the other");
    tap_is(known(joined, 0, 300), 300, "who joined in sees all");
    tap_is(ngx_trove_table_size(joined), 262144, "and the size");
    complete(joined, 300, 400);
    tap_is(known(table, 0, 400), 400, "and is seen");

    tap_is(ngx_trove_table_resize(joined, 65536, &now, &left, &error), NGX_OK,
           "it resizes as well");
    tap_is(known(table, 0, 400), 400, "the first one follows");

    key = key_of(table, 50);
    tap_is(ngx_trove_table_forget(table, &key, &now), NGX_OK, "one is erased");
    tap_is(known(table, 0, 400), 399, "and not found in the tables before");
    tap_is(ngx_trove_table_size(table), 65536, "to the end");

    ngx_trove_table_unref(joined);

    joined = ngx_trove_table_join(dup(fd), &error);
    tap_is(known(joined, 0, 400), 399, "who joins in now sees all");
    ngx_trove_table_unref(joined);

    /* nobody has it any more */

    other = dup(fd);
    ngx_trove_table_unref(table);

    tap_ok(ngx_trove_table_take(other, 65536, &damaged, &error) == NULL
           && error.call == NULL, "a chain is not taken as it is");

    fd = file();
    copy = ngx_trove_table_create(fd, 131072, &error);
    tap_is(ngx_trove_table_carry(copy, other, &now, &carried, &error), NGX_OK,
           "but carried over");
    tap_is(carried.tables, 4, "all of it");
    tap_is(carried.left, 0, "with all keys");
    tap_is(carried.damaged, 0, "without damage");
    tap_is(known(copy, 0, 400), 399, "which are known, without the erased one");
    ngx_trove_table_stat(copy, &now, &stat);
    tap_is(stat.done, 399, "once each");

    ngx_trove_table_unref(copy);

    /* the third one is damaged */

    if (pwrite(other, "x", 1, 65536 + 131072 + 8) != 1) {
        tap_diag("pwrite() failed");
    }

    copy = ngx_trove_table_create(file(), 131072, &error);
    tap_is(ngx_trove_table_carry(copy, other, &now, &carried, &error),
           NGX_DECLINED, "a damaged chain is told");
    tap_is(carried.tables, 2, "two of it are read");
    tap_is(known(copy, 0, 200), 200, "with all that they had");
    ngx_trove_table_unref(copy);

    /* cut off */

    if (ftruncate(other, 65536 + 4096) == -1) {
        tap_diag("ftruncate() failed");
    }

    copy = ngx_trove_table_create(file(), 131072, &error);
    tap_is(ngx_trove_table_carry(copy, other, &now, &carried, &error),
           NGX_DECLINED, "so is one that was cut off");
    tap_is(known(copy, 0, 100), 100, "the first table is read");
    ngx_trove_table_unref(copy);

    close(other);
}


static void
failures(void)
{
    ngx_fd_t                    fd, other;
    uint64_t                    damaged;
    ngx_uint_t                  left;
    struct rlimit               old, limit;
    ngx_trove_table_t          *table;
    ngx_trove_table_error_t     error;
    ngx_trove_table_carried_t   carried;

    fd = file();
    table = ngx_trove_table_create(fd, 65536, &error);
    complete(table, 0, 100);

    /* as on a full disk; it is not the end of the process either */

    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 100000;
    setrlimit(RLIMIT_FSIZE, &limit);

    tap_is(ngx_trove_table_resize(table, 1048576, &now, &left, &error),
           NGX_ERROR, "no room for another size");
    tap_is_str(error.call, "posix_fallocate()", "what failed");
    tap_is(error.err, EFBIG, "and why");
    tap_is(length(fd), 65536, "the file is as it was");
    tap_is(ngx_trove_table_size(table), 65536, "the size, too");
    tap_is(known(table, 0, 100), 100, "and what is known");

    other = file();
    tap_ok(ngx_trove_table_create(other, 1048576, &error) == NULL,
           "nor for a new one");
    tap_is_str(error.call, "posix_fallocate()", "what failed");
    tap_is(length(other), 0, "nothing is left of it");

    tap_ok(ngx_trove_table_memory(1048576, &error) == NULL, "nor in memory");

    setrlimit(RLIMIT_FSIZE, &old);

    tap_is(ngx_trove_table_resize(table, 1048576, &now, &left, &error), NGX_OK,
           "with room it works");

    ngx_trove_table_unref(table);

    /* no table */

    tap_ok(ngx_trove_table_join(other, &error) == NULL && error.call == NULL,
           "an empty file");
    tap_ok(ngx_trove_table_take(other, 65536, &damaged, &error) == NULL
           && error.call == NULL, "is no table");

    if (ftruncate(other, 65536) == -1) {
        tap_diag("ftruncate() failed");
    }

    tap_ok(ngx_trove_table_take(other, 65536, &damaged, &error) == NULL
           && error.call == NULL, "zeroes are no table");

    table = ngx_trove_table_memory(65536, &error);
    tap_is(ngx_trove_table_carry(table, other, &now, &carried, &error),
           NGX_DECLINED, "nothing to carry over");
    tap_is(carried.tables, 0, "at all");
    ngx_trove_table_unref(table);

    close(other);
}


static void
chaos(void)
{
    ngx_fd_t                    fd;
    shared_t                   *shared;
    ngx_uint_t                  i, n, bad;
    ngx_trove_table_t          *table, *next;
    ngx_trove_zone_now_t        later;
    ngx_trove_zone_stat_t       stat;
    ngx_trove_table_error_t     error;
    ngx_trove_table_carried_t   carried;

    shared = mmap(NULL, sizeof(shared_t), PROT_READ|PROT_WRITE,
                  MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    srandom(3);
    bad = 0;
    n = 0;

    /* in memory: fsync() would take most of the time */

    table = ngx_trove_table_memory(524288, &error);

    for (i = 0; i < ROUNDS; i++) {
        shared->keys += KEYS;

        chaos_round(table, shared);

        /* all have been killed: the next one reads what they have left */

        fd = dup(ngx_trove_table_fd(table));
        next = ngx_trove_table_memory(524288, &error);

        if (ngx_trove_table_carry(next, fd, &now, &carried, &error) != NGX_OK) {
            tap_diag("round %d: not carried over", (int) i);
            bad++;
        }

        close(fd);
        ngx_trove_table_unref(table);
        table = next;

        memset(shared->held, 0, sizeof(shared->held));

        for (n = 0; n < shared->keys; n++) {
            bad += shared->done[n] && known(table, n, n + 1) != 1;
        }
    }

    tap_is(bad, 0, "after SIGKILL of everything: all is known");
    tap_is(shared->again, 0, "nothing was new after it was completed");
    tap_is(shared->twice, 0, "nothing was new for two");
    tap_is(shared->lost, 0, "nobody lost a claim");

    for (n = 0, i = 0; i < ROUNDS * KEYS; i++) {
        n += shared->done[i];
    }

    tap_ok(n > ROUNDS * KEYS / 10 && shared->resizes > ROUNDS,
           "%d keys, %d operations, %d resizes", (int) n,
           (int) shared->operations, (int) shared->resizes);

    /* no leak of room */

    later = now;
    later.wall += 100000;

    ngx_trove_table_stat(table, &later, &stat);
    tap_is(stat.done + stat.inflight, 0, "all of it ends");

    ngx_trove_table_unref(table);
}


static void
chaos_round(ngx_trove_table_t *table, shared_t *shared)
{
    pid_t       pids[WORKERS + 1];
    ngx_uint_t  i, n;

    for (i = 0; i < WORKERS; i++) {
        pids[i] = start(worker, table, shared);
    }

    pids[WORKERS] = start(resizer, table, shared);

    for (n = 0; n < KILLS; n++) {
        usleep(random() % 8000);

        i = random() % 3 ? WORKERS : random() % WORKERS;

        stop(pids[i]);
        pids[i] = start(i == WORKERS ? resizer : worker, table, shared);
    }

    for (i = 0; i <= WORKERS; i++) {
        stop(pids[i]);
    }
}


static pid_t
start(void (*job)(ngx_trove_table_t *table, shared_t *shared),
    ngx_trove_table_t *table, shared_t *shared)
{
    pid_t  pid;

    pid = fork();

    if (pid == 0) {
        alarm(180);
        job(table, shared);
        _exit(0);
    }

    return pid;
}


static void
stop(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}


static void
worker(ngx_trove_table_t *table, shared_t *shared)
{
    uint32_t              done, owner;
    ngx_uint_t            n;
    ngx_trove_zone_key_t  key;

    srandom(getpid());

    for ( ;; ) {
        n = random() % shared->keys;
        key = key_of(table, n);

        done = __atomic_load_n(&shared->done[n], __ATOMIC_SEQ_CST);

        if (ngx_trove_table_claim(table, &key, &now, 60, &owner)
            == NGX_TROVE_ZONE_NEW)
        {
            __atomic_add_fetch(&shared->again, done, __ATOMIC_RELAXED);
            __atomic_add_fetch(&shared->twice,
                               __atomic_exchange_n(&shared->held[n], 1,
                                                   __ATOMIC_SEQ_CST),
                               __ATOMIC_RELAXED);

            if (random() % 4 == 0) {
                __atomic_add_fetch(&shared->lost,
                                   ngx_trove_table_renew(table, &key, &now, 60,
                                                         owner)
                                   != NGX_OK,
                                   __ATOMIC_RELAXED);
            }

            __atomic_store_n(&shared->held[n], 0, __ATOMIC_SEQ_CST);

            if (random() % 30 == 0) {
                if (ngx_trove_table_complete(table, &key, &now, 1000, owner)
                    == NGX_OK)
                {
                    __atomic_store_n(&shared->done[n], 1, __ATOMIC_SEQ_CST);

                } else {
                    __atomic_add_fetch(&shared->lost, 1, __ATOMIC_RELAXED);
                }

            } else if (ngx_trove_table_release(table, &key, owner) != NGX_OK) {
                __atomic_add_fetch(&shared->lost, 1, __ATOMIC_RELAXED);
            }
        }

        if (__atomic_add_fetch(&shared->operations, 1, __ATOMIC_RELAXED) % 64
            == 0)
        {
            /* the others are to have their turn, and be where they may be */

            usleep(100);
        }
    }
}


static void
resizer(ngx_trove_table_t *table, shared_t *shared)
{
    ngx_uint_t                left;
    ngx_trove_table_error_t   error;

    srandom(getpid());

    for ( ;; ) {
        if (ngx_trove_table_resize(table, (64 + random() % 128) * 4096, &now,
                                   &left, &error)
            == NGX_OK && left == 0)
        {
            __atomic_add_fetch(&shared->resizes, 1, __ATOMIC_RELAXED);

        } else {
            __atomic_add_fetch(&shared->lost, 1, __ATOMIC_RELAXED);
        }

        usleep(random() % 1000);
    }
}
