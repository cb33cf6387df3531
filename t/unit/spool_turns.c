
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/mman.h>

#include "spool.h"


/*
 * A process that gives back the right to write, and asks for it again at once,
 * as one does that has much to write: another one that has waited for it comes
 * first, however long it takes to wake up.
 */

#define TURNS  50


/* shared by the two */
typedef struct {
    uint32_t  asked;             /* how often the other one has asked for it */
    uint32_t  got;               /* and got it */
} turns_t;


static ngx_int_t lock(ngx_trove_spool_t *s);
static void other(void);
static ngx_uint_t asleep(pid_t pid);


static turns_t  *turns;


int
main(void)
{
    pid_t               pid;
    uint32_t            asked;
    ngx_int_t           rc;
    ngx_uint_t          i, overtaken;
    ngx_trove_spool_t  *spool;

    alarm(120);

    spool_mkdir();

    turns = mmap(NULL, sizeof(turns_t), PROT_READ|PROT_WRITE,
                 MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    spool = spool_open();
    rc = lock(spool);

    fflush(stdout);

    pid = fork();

    if (pid == 0) {
        alarm(120);
        other();
        _exit(0);
    }

    overtaken = 0;

    for (i = 0; i < TURNS && rc == NGX_OK; i++) {

        /* we have it, so it waits as soon as it sleeps */

        do {
            usleep(100);
            asked = __atomic_load_n(&turns->asked, __ATOMIC_ACQUIRE);
        } while (asked == __atomic_load_n(&turns->got, __ATOMIC_ACQUIRE)
                 || !asleep(pid));

        ngx_trove_sqlite_unlock(sqlite(spool));
        rc = lock(spool);

        overtaken += __atomic_load_n(&turns->got, __ATOMIC_ACQUIRE) < asked;
    }

    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);

    tap_is(rc, NGX_OK, "both get it again and again");
    tap_is(overtaken, 0, "and who waits is not overtaken");

    ngx_trove_sqlite_unlock(sqlite(spool));
    tap_is(lock(spool), NGX_OK, "one dies");
    ngx_trove_sqlite_unlock(sqlite(spool));

    ngx_trove_spool_destroy(spool);

    return tap_done();
}


static ngx_int_t
lock(ngx_trove_spool_t *s)
{
    return ngx_trove_sqlite_lock(sqlite(s), ngx_trove_sqlite_elapsed()
                                    + WAIT * 1000);
}


static void
other(void)
{
    ngx_uint_t          first;
    ngx_trove_spool_t  *own;

    /* without the writing that comes with opening it */

    own = spool_new(0, WAIT);

    if (ngx_trove_sqlite_attach(sqlite(own), &first, &error) != NGX_OK) {
        die("attach");
    }

    ngx_trove_sqlite_attached(sqlite(own));

    for ( ;; ) {
        __atomic_add_fetch(&turns->asked, 1, __ATOMIC_RELEASE);

        if (lock(own) != NGX_OK) {
            die("lock");
        }

        __atomic_add_fetch(&turns->got, 1, __ATOMIC_RELEASE);

        ngx_trove_sqlite_unlock(sqlite(own));
    }
}


/* a process that does nothing but wait for a mutex */

static ngx_uint_t
asleep(pid_t pid)
{
    char   path[64], state;
    FILE  *f;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);

    f = fopen(path, "r");
    if (f == NULL) {
        return 0;
    }

    state = 0;

    if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1) {
        state = 0;
    }

    fclose(f);

    return state == 'S';
}
