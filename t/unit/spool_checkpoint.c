
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "spool.h"


/*
 * Checkpoints and commits at the same time.
 *
 * Before 3.51.3, SQLite loses transactions if a commit begins PATH-wal anew
 * between two moments of a checkpoint: it has read the header of PATH-shm, and
 * it compares it with what has been written back.  There are no calls of
 * functions of the file system between these moments but one, xUnfetch(), and
 * a VFS on top of the system's stops there.
 */

#define BATCH    100
#define BODY     8000
#define ROUNDS   3
#define SEEDS    6
#define WRITERS  2


/* a file of the system's VFS follows it */
typedef struct {
    sqlite3_file              base;
    ngx_uint_t                main;
} slow_file_t;

#define slow_real(file)  ((sqlite3_file *) ((slow_file_t *) (file) + 1))


static void between(void);
static void random_delays(void);


static sqlite3_vfs        slow_vfs;
static sqlite3_vfs       *real_vfs;

/* called in the middle of a checkpoint, and by how many microseconds */
static void             (*in_between)(void);
static ngx_uint_t         delay;
static uint64_t           seed;

static ngx_trove_spool_t  *one, *two;
static ngx_uint_t          next;
static ngx_uint_t          called;


static void
slow(ngx_uint_t part)
{
    if (delay) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;

        if ((seed >> 33) % part == 0) {
            usleep((seed >> 40) % delay);
        }
    }
}


static int
slow_close(sqlite3_file *file)
{
    return slow_real(file)->pMethods->xClose(slow_real(file));
}


static int
slow_read(sqlite3_file *file, void *buf, int n, sqlite3_int64 offset)
{
    return slow_real(file)->pMethods->xRead(slow_real(file), buf, n, offset);
}


static int
slow_write(sqlite3_file *file, const void *buf, int n, sqlite3_int64 offset)
{
    return slow_real(file)->pMethods->xWrite(slow_real(file), buf, n, offset);
}


static int
slow_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return slow_real(file)->pMethods->xTruncate(slow_real(file), size);
}


static int
slow_sync(sqlite3_file *file, int flags)
{
    slow(4);

    return SQLITE_OK;
}


static int
slow_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return slow_real(file)->pMethods->xFileSize(slow_real(file), size);
}


static int
slow_lock(sqlite3_file *file, int lock)
{
    return slow_real(file)->pMethods->xLock(slow_real(file), lock);
}


static int
slow_unlock(sqlite3_file *file, int lock)
{
    return slow_real(file)->pMethods->xUnlock(slow_real(file), lock);
}


static int
slow_reserved(sqlite3_file *file, int *result)
{
    return slow_real(file)->pMethods->xCheckReservedLock(slow_real(file),
                                                        result);
}


static int
slow_control(sqlite3_file *file, int op, void *arg)
{
    return slow_real(file)->pMethods->xFileControl(slow_real(file), op, arg);
}


static int
slow_sector(sqlite3_file *file)
{
    return slow_real(file)->pMethods->xSectorSize(slow_real(file));
}


static int
slow_device(sqlite3_file *file)
{
    return slow_real(file)->pMethods->xDeviceCharacteristics(slow_real(file));
}


static int
slow_shm_map(sqlite3_file *file, int page, int size, int extend,
    void volatile **addr)
{
    return slow_real(file)->pMethods->xShmMap(slow_real(file), page, size,
                                              extend, addr);
}


static int
slow_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    if (flags & SQLITE_SHM_LOCK) {
        slow(8);
    }

    return slow_real(file)->pMethods->xShmLock(slow_real(file), offset, n,
                                               flags);
}


static void
slow_shm_barrier(sqlite3_file *file)
{
    slow_real(file)->pMethods->xShmBarrier(slow_real(file));
}


static int
slow_shm_unmap(sqlite3_file *file, int delete)
{
    return slow_real(file)->pMethods->xShmUnmap(slow_real(file), delete);
}


static int
slow_fetch(sqlite3_file *file, sqlite3_int64 offset, int n, void **p)
{
    return slow_real(file)->pMethods->xFetch(slow_real(file), offset, n, p);
}


static int
slow_unfetch(sqlite3_file *file, sqlite3_int64 offset, void *p)
{
    void  (*f)(void);

    f = in_between;

    if (f != NULL) {
        in_between = NULL;
        f();
        in_between = f;
    }

    slow(2);

    return slow_real(file)->pMethods->xUnfetch(slow_real(file), offset, p);
}


static const sqlite3_io_methods  slow_methods = {
    3,
    slow_close,
    slow_read,
    slow_write,
    slow_truncate,
    slow_sync,
    slow_size,
    slow_lock,
    slow_unlock,
    slow_reserved,
    slow_control,
    slow_sector,
    slow_device,
    slow_shm_map,
    slow_shm_lock,
    slow_shm_barrier,
    slow_shm_unmap,
    slow_fetch,
    slow_unfetch
};


static int
slow_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
    int *out)
{
    int  rc;

    memset(file, 0, sizeof(slow_file_t));

    rc = real_vfs->xOpen(real_vfs, name, slow_real(file), flags, out);

    if (slow_real(file)->pMethods != NULL) {
        file->pMethods = &slow_methods;
    }

    return rc;
}


static void
slow_register(void)
{
    real_vfs = sqlite3_vfs_find(NULL);

    slow_vfs = *real_vfs;
    slow_vfs.zName = "slow";
    slow_vfs.szOsFile = sizeof(slow_file_t) + real_vfs->szOsFile;
    slow_vfs.xOpen = slow_open;
    slow_vfs.pNext = NULL;

    if (sqlite3_vfs_register(&slow_vfs, 1) != SQLITE_OK) {
        die("sqlite3_vfs_register");
    }
}


int
main(void)
{
    /* a wedge ends the test */

    alarm(600);

    sqlite3_initialize();
    slow_register();
    spool_mkdir();

    tap_diag("  SQLite %s", sqlite3_libversion());

    between();
    random_delays();

    return tap_done();
}


/* as many as fill several pages; the number accepted */

static ngx_uint_t
accept_many(ngx_trove_spool_t *spool, uint64_t from, ngx_uint_t n)
{
    ngx_uint_t             i, done;
    ngx_trove_spool_op_t  *ops;

    static accept_t  a[BATCH];
    static u_char    body[BODY];

    ops = NULL;
    done = 0;

    for (i = 0; i < n; i++) {
        accept_op(&a[i], from + i, "a", 0);
        a[i].op.u.accept.event.body.data = body;
        a[i].op.u.accept.event.body.len = BODY;
        a[i].op.next = ops;
        ops = &a[i].op;
    }

    if (ngx_trove_spool_write(spool, ops, NULL, &error) != NGX_OK) {

        if (error.kind == NGX_TROVE_SPOOL_BUSY) {
            return 0;
        }

        die("write");
    }

    for (i = 0; i < n; i++) {
        done += (a[i].op.result == NGX_TROVE_SPOOL_DONE);
    }

    return done;
}


static void
maintain(ngx_trove_spool_t *spool)
{
    ngx_trove_spool_maintained_t  maintained;

    if (ngx_trove_spool_maintain(spool, &maintained, &error) != NGX_OK) {
        die("maintain");
    }
}


static void
remove_all(void)
{
    char  cmd[400];

    snprintf(cmd, sizeof(cmd), "rm -f '%s'*", spool_path);

    if (system(cmd) != 0) {
        die("rm");
    }
}


/* a commit in the middle, unless the lock is held */

static void
commit_in_between(void)
{
    called++;
    next += accept_many(one, next, 1);
}


/*
 * One process writes all of PATH-wal back.  The other, which knows only its
 * own last commit, begins to do the same, and meanwhile the first one commits.
 */

static void
between(void)
{
    ngx_uint_t  i;

    one = spool_new(0, 50);
    two = spool_new(0, 50);

    if (ngx_trove_spool_open(one, &error) != NGX_OK
        || ngx_trove_spool_open(two, &error) != NGX_OK)
    {
        die("open");
    }

    for (i = 0; i < ROUNDS; i++) {

        while (sqlite(two)->writer.wal_pages <= NGX_TROVE_SQLITE_WAL_PAGES) {
            next += accept_many(two, next, BATCH);
        }

        next += accept_many(one, next, 1);
        maintain(one);

        sqlite(two)->wal_pages = 0;
        in_between = commit_in_between;
        maintain(two);
        in_between = NULL;

        /* far enough for what was skipped to matter */

        while (sqlite(one)->writer.wal_pages
               <= 2 * NGX_TROVE_SQLITE_WAL_PAGES)
        {
            next += accept_many(one, next, BATCH);
        }

        maintain(one);
    }

    tap_ok(called >= ROUNDS, "there were commits in checkpoints");
    tap_is(sql_int("SELECT count(*) FROM event"), next,
           "all events are there after a commit in each checkpoint");
    tap_ok(spool_sound(), "and all is sound");

    ngx_trove_spool_destroy(one);
    ngx_trove_spool_destroy(two);

    remove_all();
}


/* a process that writes, and another one that only does maintenance */

static void
random_delays(void)
{
    int         status;
    pid_t       pids[2 * WRITERS];
    ngx_uint_t  i, n, bad;

    bad = 0;

    for (n = 0; n < SEEDS && bad == 0; n++) {

        fflush(stdout);

        for (i = 0; i < 2 * WRITERS; i++) {
            pids[i] = fork();

            if (pids[i] != 0) {
                continue;
            }

            seed = n * 100 + i;
            delay = 20000;
            one = spool_new(0, WAIT);

            if (ngx_trove_spool_open(one, &error) != NGX_OK) {
                die("open");
            }

            for (next = 0; next < 2000; /* void */ ) {

                if (i < WRITERS) {
                    next += accept_many(one, i * 1000000 + next, 20);

                } else {
                    next += 20;
                }

                sqlite(one)->wal_pages = 100;
                maintain(one);
            }

            _exit(0);
        }

        for (i = 0; i < 2 * WRITERS; i++) {
            waitpid(pids[i], &status, 0);
            bad += (status != 0);
        }

        if (bad == 0
            && (sql_int("SELECT count(*) FROM event") != WRITERS * 2000
                || !spool_sound()))
        {
            tap_diag("  seed %d: %d events", (int) n,
                     (int) sql_int("SELECT count(*) FROM event"));
            bad++;
        }

        remove_all();
    }

    tap_is(bad, 0, "all is sound with delays at random, %d times", SEEDS);
}
