
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _POWERCUT_H_INCLUDED_
#define _POWERCUT_H_INCLUDED_


#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>


/*
 * A VFS of SQLite that knows what a power cut may leave of the files of one
 * directory.  The files are real ones, used by the VFS of the system.  Beside
 * them, this VFS keeps in memory what is on the disk for sure, and what was
 * written since the last sync:
 *
 *   a file: its content when it was synced last, and all later writes and
 *   truncations in their order;
 *
 *   the directory: the files that it had when it was synced last, and all
 *   later creations and deletions in their order.
 *
 * powercut_arm() sets the moment of the cut: before the n-th write, truncation,
 * sync, creation or deletion takes effect.  After it everything fails.
 * powercut_image() then replaces the files by what a disk may have kept.
 * Calling it again makes another image of the same moment.
 *
 * A disk writes sectors of 512 or of 4096 bytes, and in any order.  So each
 * sector has one of the contents that it had since the last sync, or bytes
 * that were about to be written are garbage.  (Bytes of the same sector that
 * were not written do not change: SQLite relies on this by default.)  A
 * truncation discards all sectors or none: file systems have a journal for it,
 * and SQLite relies on this when it truncates the -wal file.  The size
 * of a file is one of those that it had, independently of its content, and
 * each name denotes one of the files that it denoted, or none.
 *
 * Functions of the system are replaced for the whole test: fsync() and
 * fdatasync() sync nothing, which would take most of its time, and the clock
 * depends on calls only, so that a seed repeats a cut.
 */

typedef enum {
    POWERCUT_NONE = 0,

    /* faults that a test has to find: syncs that do nothing */
    POWERCUT_NO_WAL_SYNC = 1,
    POWERCUT_NO_DB_SYNC = 2,
    POWERCUT_NO_DIR_SYNC = 4
} powercut_fault_e;


/* a write of len bytes at offset, or, if data is NULL, a truncation to it */
typedef struct powercut_write_s  powercut_write_t;

struct powercut_write_s {
    powercut_write_t   *next;
    size_t              offset;
    size_t              len;
    unsigned char      *data;
};


typedef struct powercut_inode_s  powercut_inode_t;

struct powercut_inode_s {
    powercut_inode_t   *next;

    unsigned char      *disk;            /* as of the last sync */
    size_t              size;

    powercut_write_t   *writes;          /* after it */
    powercut_write_t  **last;
    unsigned            nwrites;
};


#define POWERCUT_NAMES    16
#define POWERCUT_CHANGES  64

/* a name in the directory, and what it denoted since the last sync */
typedef struct {
    char                name[64];
    powercut_inode_t   *versions[POWERCUT_CHANGES];     /* [0]: on disk */
    unsigned            n;
} powercut_name_t;


typedef struct {
    powercut_name_t     names[POWERCUT_NAMES];
    unsigned            nnames;
    powercut_inode_t   *inodes;
} powercut_disk_t;


typedef struct {
    sqlite3_file        base;
    sqlite3_file       *real;
    powercut_inode_t   *inode;           /* NULL: not in the directory */
    unsigned            wal;
} powercut_file_t;


static struct {
    sqlite3_vfs         vfs;
    sqlite3_vfs        *real;
    sqlite3_io_methods  methods;

    char                dir[300];        /* with a slash at its end */
    dev_t               dev;
    ino_t               ino;

    powercut_disk_t     now;
    powercut_disk_t     cut;             /* at the moment of the cut */

    unsigned            faults;
    unsigned            left;            /* until the cut; 0: none is set */
    unsigned            off;
    unsigned            busy;            /* in hook */
    uint64_t            random;
    uint64_t            clock;           /* microseconds */

    /* called before a write to a file other than the -wal file */
    void              (*hook)(void);
} powercut;


static uint64_t
powercut_random(uint64_t n)
{
    uint64_t  x;

    /* splitmix64 */

    x = (powercut.random += 0x9e3779b97f4a7c15ULL);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;

    return (x ^ (x >> 31)) % n;
}


static void *
powercut_alloc(size_t size)
{
    void  *p;

    p = calloc(1, size + 1);

    if (p == NULL) {
        abort();
    }

    return p;
}


/* returns 1 if there is no power any more */

static unsigned
powercut_step(void)
{
    if (!powercut.off && powercut.left && --powercut.left == 0) {
        powercut.off = 1;
    }

    return powercut.off;
}


static void
powercut_forget(powercut_inode_t *inode)
{
    powercut_write_t  *w, *next;

    for (w = inode->writes; w; w = next) {
        next = w->next;
        free(w->data);
        free(w);
    }

    inode->writes = NULL;
    inode->last = &inode->writes;
    inode->nwrites = 0;
}


static powercut_inode_t *
powercut_inode(void)
{
    powercut_inode_t  *inode;

    inode = powercut_alloc(sizeof(powercut_inode_t));

    inode->last = &inode->writes;
    inode->next = powercut.now.inodes;
    powercut.now.inodes = inode;

    return inode;
}


static void
powercut_record(powercut_inode_t *inode, const void *data, size_t len,
    size_t offset)
{
    powercut_write_t  *w;

    w = powercut_alloc(sizeof(powercut_write_t));

    w->offset = offset;
    w->len = len;

    if (data != NULL) {
        w->data = powercut_alloc(len);
        memcpy(w->data, data, len);
    }

    *inode->last = w;
    inode->last = &w->next;
    inode->nwrites++;
}


/* what a file is after a write, in memory */

static void
powercut_apply(powercut_write_t *w, unsigned char **data, size_t *size)
{
    size_t  end;

    end = w->data ? w->offset + w->len : w->offset;

    if (w->data == NULL || end > *size) {

        *data = realloc(*data, end + 1);

        if (*data == NULL) {
            abort();
        }

        if (end > *size) {
            memset(*data + *size, 0, end - *size);
        }

        *size = end;
    }

    if (w->data) {
        memcpy(*data + w->offset, w->data, w->len);
    }
}


static void
powercut_synced(powercut_inode_t *inode)
{
    powercut_write_t  *w;

    for (w = inode->writes; w; w = w->next) {
        powercut_apply(w, &inode->disk, &inode->size);
    }

    powercut_forget(inode);
}


static powercut_name_t *
powercut_name(const char *path)
{
    unsigned          i;
    const char       *name;
    powercut_name_t  *n;

    if (strncmp(path, powercut.dir, strlen(powercut.dir)) != 0) {
        return NULL;
    }

    name = path + strlen(powercut.dir);

    for (i = 0; i < powercut.now.nnames; i++) {
        if (strcmp(powercut.now.names[i].name, name) == 0) {
            return &powercut.now.names[i];
        }
    }

    if (i == POWERCUT_NAMES || strlen(name) >= sizeof(n->name)) {
        abort();
    }

    n = &powercut.now.names[powercut.now.nnames++];

    strcpy(n->name, name);
    n->versions[0] = NULL;
    n->n = 1;

    return n;
}


static void
powercut_denote(powercut_name_t *n, powercut_inode_t *inode)
{
    if (n->n == POWERCUT_CHANGES) {
        abort();
    }

    n->versions[n->n++] = inode;
}


static void
powercut_synced_dir(void)
{
    unsigned          i;
    powercut_name_t  *n;

    for (i = 0; i < powercut.now.nnames; i++) {
        n = &powercut.now.names[i];

        n->versions[0] = n->versions[n->n - 1];
        n->n = 1;
    }
}


/* the caller may be SQLite, or the spool itself */

int
fdatasync(int fd)
{
    struct stat  st;

    if (fstat(fd, &st) == -1) {
        return -1;
    }

    if (S_ISDIR(st.st_mode) && st.st_dev == powercut.dev
        && st.st_ino == powercut.ino)
    {
        if (powercut_step()) {
            errno = EIO;
            return -1;
        }

        if (!(powercut.faults & POWERCUT_NO_DIR_SYNC)) {
            powercut_synced_dir();
        }
    }

    return 0;
}


int
fsync(int fd)
{
    return fdatasync(fd);
}


/* what depends on time is repeated by a seed as well, and nothing sleeps */

int
clock_gettime(clockid_t id, struct timespec *ts)
{
    powercut.clock++;

    ts->tv_sec = (id == CLOCK_REALTIME ? 1700000000 : 100000)
                 + powercut.clock / 1000000;
    ts->tv_nsec = powercut.clock % 1000000 * 1000;

    return 0;
}


int
usleep(useconds_t usec)
{
    powercut.clock += usec;

    return 0;
}


#define powercut_real(file)   (((powercut_file_t *) (file))->real)
#define powercut_call(file)   powercut_real(file)->pMethods


static int
powercut_close(sqlite3_file *file)
{
    return powercut_call(file)->xClose(powercut_real(file));
}


static int
powercut_read(sqlite3_file *file, void *data, int len, sqlite3_int64 offset)
{
    return powercut_call(file)->xRead(powercut_real(file), data, len, offset);
}


static int
powercut_write(sqlite3_file *file, const void *data, int len,
    sqlite3_int64 offset)
{
    powercut_file_t  *f = (powercut_file_t *) file;

    if (f->inode) {

        if (powercut.hook && !powercut.busy && !powercut.off && !f->wal) {
            powercut.busy = 1;
            powercut.hook();
            powercut.busy = 0;
        }

        if (powercut.off) {
            return SQLITE_IOERR_WRITE;
        }

        /* the write during which the power is cut may be there in part */

        powercut_record(f->inode, data, len, offset);

        if (powercut_step()) {
            return SQLITE_IOERR_WRITE;
        }
    }

    return powercut_call(file)->xWrite(f->real, data, len, offset);
}


static int
powercut_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    powercut_file_t  *f = (powercut_file_t *) file;

    if (f->inode) {

        if (powercut.off) {
            return SQLITE_IOERR_TRUNCATE;
        }

        powercut_record(f->inode, NULL, 0, size);

        if (powercut_step()) {
            return SQLITE_IOERR_TRUNCATE;
        }
    }

    return powercut_call(file)->xTruncate(f->real, size);
}


static int
powercut_sync(sqlite3_file *file, int flags)
{
    int               rc;
    powercut_file_t  *f = (powercut_file_t *) file;

    if (f->inode && powercut_step()) {
        return SQLITE_IOERR_FSYNC;
    }

    /* which may sync the directory as well */

    rc = powercut_call(file)->xSync(f->real, flags);

    if (f->inode
        && !(powercut.faults & (f->wal ? POWERCUT_NO_WAL_SYNC
                                       : POWERCUT_NO_DB_SYNC)))
    {
        powercut_synced(f->inode);
    }

    return rc;
}


static int
powercut_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return powercut_call(file)->xFileSize(powercut_real(file), size);
}


static int
powercut_lock(sqlite3_file *file, int lock)
{
    return powercut_call(file)->xLock(powercut_real(file), lock);
}


static int
powercut_unlock(sqlite3_file *file, int lock)
{
    return powercut_call(file)->xUnlock(powercut_real(file), lock);
}


static int
powercut_reserved(sqlite3_file *file, int *out)
{
    return powercut_call(file)->xCheckReservedLock(powercut_real(file), out);
}


static int
powercut_control(sqlite3_file *file, int op, void *arg)
{
    /* these change the size of the file, and are only hints */

    if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE) {
        return SQLITE_OK;
    }

    return powercut_call(file)->xFileControl(powercut_real(file), op, arg);
}


static int
powercut_sector(sqlite3_file *file)
{
    return powercut_call(file)->xSectorSize(powercut_real(file));
}


static int
powercut_device(sqlite3_file *file)
{
    return powercut_call(file)->xDeviceCharacteristics(powercut_real(file));
}


static int
powercut_shm_map(sqlite3_file *file, int n, int size, int extend,
    void volatile **p)
{
    return powercut_call(file)->xShmMap(powercut_real(file), n, size, extend,
                                        p);
}


static int
powercut_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return powercut_call(file)->xShmLock(powercut_real(file), offset, n, flags);
}


static void
powercut_shm_barrier(sqlite3_file *file)
{
    powercut_call(file)->xShmBarrier(powercut_real(file));
}


static int
powercut_shm_unmap(sqlite3_file *file, int delete)
{
    return powercut_call(file)->xShmUnmap(powercut_real(file), delete);
}


static int
powercut_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file,
    int flags, int *out)
{
    int               rc, existed;
    powercut_file_t  *f = (powercut_file_t *) file;
    powercut_name_t  *n;

    memset(f, 0, sizeof(powercut_file_t));

    n = path ? powercut_name(path) : NULL;
    existed = path && access(path, F_OK) == 0;

    if (n != NULL && !existed && powercut_step()) {
        return SQLITE_CANTOPEN;
    }

    f->real = (sqlite3_file *) (f + 1);

    rc = powercut.real->xOpen(powercut.real, path, f->real, flags, out);

    if (f->real->pMethods == NULL) {
        return rc;
    }

    f->base.pMethods = &powercut.methods;

    if (n == NULL || rc != SQLITE_OK) {
        return rc;
    }

    f->wal = (flags & SQLITE_OPEN_WAL) != 0;
    f->inode = n->versions[n->n - 1];

    if (!existed || f->inode == NULL) {

        /* if it existed, it was created without SQLite */

        f->inode = powercut_inode();
        powercut_denote(n, f->inode);
    }

    return rc;
}


static int
powercut_delete(sqlite3_vfs *vfs, const char *path, int sync)
{
    int               rc;
    powercut_name_t  *n;

    n = powercut_name(path);

    if (n == NULL) {
        return powercut.real->xDelete(powercut.real, path, sync);
    }

    if (powercut_step()) {
        return SQLITE_IOERR_DELETE;
    }

    rc = powercut.real->xDelete(powercut.real, path, 0);

    if (n->versions[n->n - 1] != NULL) {
        powercut_denote(n, NULL);
    }

    if (rc == SQLITE_OK && sync) {

        if (powercut_step()) {
            return SQLITE_IOERR_DIR_FSYNC;
        }

        if (!(powercut.faults & POWERCUT_NO_DIR_SYNC)) {
            powercut_synced_dir();
        }
    }

    return rc;
}


/* random numbers of SQLite depend on the seed only */

static int
powercut_randomness(sqlite3_vfs *vfs, int n, char *p)
{
    int  i;

    for (i = 0; i < n; i++) {
        p[i] = (char) powercut_random(256);
    }

    return n;
}


/* begins with an empty directory; dir has a slash at its end */

static void
powercut_init(const char *dir)
{
    sqlite3     *db;
    struct stat  st;

    if (powercut.real == NULL) {

        if (sqlite3_initialize() != SQLITE_OK) {
            abort();
        }

        powercut.real = sqlite3_vfs_find(NULL);

        powercut.vfs = *powercut.real;
        powercut.vfs.zName = "powercut";
        powercut.vfs.pNext = NULL;
        powercut.vfs.szOsFile = (int) sizeof(powercut_file_t)
                                + powercut.real->szOsFile;
        powercut.vfs.xOpen = powercut_open;
        powercut.vfs.xDelete = powercut_delete;
        powercut.vfs.xRandomness = powercut_randomness;

        powercut.methods.iVersion = 2;
        powercut.methods.xClose = powercut_close;
        powercut.methods.xRead = powercut_read;
        powercut.methods.xWrite = powercut_write;
        powercut.methods.xTruncate = powercut_truncate;
        powercut.methods.xSync = powercut_sync;
        powercut.methods.xFileSize = powercut_size;
        powercut.methods.xLock = powercut_lock;
        powercut.methods.xUnlock = powercut_unlock;
        powercut.methods.xCheckReservedLock = powercut_reserved;
        powercut.methods.xFileControl = powercut_control;
        powercut.methods.xSectorSize = powercut_sector;
        powercut.methods.xDeviceCharacteristics = powercut_device;
        powercut.methods.xShmMap = powercut_shm_map;
        powercut.methods.xShmLock = powercut_shm_lock;
        powercut.methods.xShmBarrier = powercut_shm_barrier;
        powercut.methods.xShmUnmap = powercut_shm_unmap;

        if (sqlite3_vfs_register(&powercut.vfs, 1) != SQLITE_OK) {
            abort();
        }
    }

    snprintf(powercut.dir, sizeof(powercut.dir), "%s", dir);

    if (stat(dir, &st) == -1) {
        abort();
    }

    powercut.dev = st.st_dev;
    powercut.ino = st.st_ino;

    /* the first file that a process opens resets random numbers */

    if (sqlite3_open_v2("", &db, SQLITE_OPEN_READWRITE|SQLITE_OPEN_CREATE,
                        powercut.real->zName)
        != SQLITE_OK
        || sqlite3_exec(db, "PRAGMA cache_size = 1; CREATE TABLE t (b);"
                        "INSERT INTO t VALUES (zeroblob(100000))",
                        NULL, NULL, NULL)
           != SQLITE_OK)
    {
        abort();
    }

    sqlite3_close(db);
}


static void
powercut_free(powercut_disk_t *disk)
{
    powercut_inode_t  *inode, *next;

    for (inode = disk->inodes; inode; inode = next) {
        next = inode->next;
        powercut_forget(inode);
        free(inode->disk);
        free(inode);
    }

    memset(disk, 0, sizeof(powercut_disk_t));
}


/* removes all files, those that are not opened by the VFS as well */

static void
powercut_clear(void)
{
    DIR            *dir;
    char            path[600];
    struct dirent  *entry;

    powercut_free(&powercut.now);

    dir = opendir(powercut.dir);

    if (dir == NULL) {
        abort();
    }

    while ((entry = readdir(dir)) != NULL) {

        if (entry->d_name[0] == '.') {
            continue;
        }

        snprintf(path, sizeof(path), "%s%s", powercut.dir, entry->d_name);

        if (unlink(path) == -1) {
            abort();
        }
    }

    closedir(dir);
}


/* an empty directory, with power; random numbers begin with seed */

static void
powercut_reset(uint64_t seed, unsigned faults)
{
    powercut_free(&powercut.cut);
    powercut_clear();

    powercut.faults = faults;
    powercut.random = seed;
    powercut.clock = 0;
    powercut.left = 0;
    powercut.off = 0;

    sqlite3_randomness(0, NULL);
}


/* a cut before the n-th step from now; 0: none */

static void
powercut_arm(unsigned n)
{
    powercut.left = n;
}


/* there is no power, and no process any more: all files must be closed */

static void
powercut_freeze(void)
{
    powercut_free(&powercut.cut);

    powercut.cut = powercut.now;
    powercut.off = 0;
    powercut.left = 0;

    memset(&powercut.now, 0, sizeof(powercut_disk_t));
}


typedef enum {
    POWERCUT_LOST = 0,           /* all that was not synced */
    POWERCUT_KEPT,               /* nothing: as if the process was killed */
    POWERCUT_ORDERED,            /* all after some write to each file */
    POWERCUT_RANDOM              /* any sectors */
} powercut_manner_e;


/* the first writes to a file in their order, and a part of the next one */

static void
powercut_ordered(powercut_inode_t *inode, unsigned char **data, size_t *size)
{
    size_t             sector, len;
    unsigned           n;
    powercut_write_t  *w, part;

    sector = powercut_random(2) ? 512 : 4096;
    n = powercut_random(inode->nwrites + 1);

    for (w = inode->writes; w && n; w = w->next) {
        powercut_apply(w, data, size);
        n--;
    }

    if (w != NULL && w->data != NULL) {
        len = powercut_random(w->len / sector + 1) * sector;

        if (len) {
            part = *w;
            part.len = len;
            powercut_apply(&part, data, size);
        }
    }
}


/*
 * Each sector is as it was after some of the writes to it.  The rest of such a
 * write may have been under way, and garbage is left of it.
 */

static void
powercut_sectors(powercut_inode_t *inode, unsigned char **data, size_t *size)
{
    size_t             sector, extent, from, to, s, i, end;
    unsigned           n, *seen;
    unsigned char     *all, *image;
    powercut_write_t  *w;

    sector = powercut_random(2) ? 512 : 4096;
    extent = inode->size;

    for (w = inode->writes; w; w = w->next) {
        end = w->offset + w->len;
        extent = end > extent ? end : extent;
    }

    /* the number of writes to each sector, and then: of those that are kept */

    seen = powercut_alloc((extent / sector + 1) * sizeof(unsigned));
    all = powercut_alloc(extent);

    memcpy(all, inode->disk ? inode->disk : all, inode->size);

    for (w = inode->writes; w; w = w->next) {
        end = w->data ? w->offset + w->len : 0;

        for (s = w->offset / sector; s * sector < end; s++) {
            seen[s]++;
        }
    }

    for (s = 0; s <= extent / sector; s++) {
        seen[s] = powercut_random(seen[s] + 1)
                  + (powercut_random(10) == 0 ? 0x80000000 : 0);
    }

    for (w = inode->writes; w; w = w->next) {

        if (w->data == NULL) {

            if (w->offset < extent && powercut_random(2)) {
                memset(all + w->offset, 0, extent - w->offset);
            }

            continue;
        }

        end = w->offset + w->len;

        for (s = w->offset / sector; s * sector < end; s++) {
            from = s * sector > w->offset ? s * sector : w->offset;
            to = (s + 1) * sector < end ? (s + 1) * sector : end;

            if ((seen[s] & 0x7fffffff) > 0) {
                seen[s]--;

                memcpy(all + from, w->data + (from - w->offset), to - from);

            } else if (seen[s] & 0x80000000) {

                for (i = from; i < to; i++) {
                    all[i] = (unsigned char) powercut_random(256);
                }
            }
        }
    }

    /* the size, independently */

    end = inode->size;
    n = powercut_random(inode->nwrites + 1);

    for (w = inode->writes; w && n; w = w->next) {

        if (w->data == NULL) {
            end = w->offset;

        } else if (w->offset + w->len > end) {
            end = w->offset + w->len;
        }

        n--;
    }

    image = powercut_alloc(end);
    memcpy(image, all, end < extent ? end : extent);

    free(*data);
    free(all);
    free(seen);

    *data = image;
    *size = end;
}


static void
powercut_put(const char *name, unsigned char *data, size_t size)
{
    int     fd;
    char    path[400];
    size_t  done;
    ssize_t n;

    snprintf(path, sizeof(path), "%s%s", powercut.dir, name);

    fd = open(path, O_WRONLY|O_CREAT|O_EXCL, 0600);

    for (done = 0; fd != -1 && done < size; done += n) {
        n = write(fd, data + done, size - done);

        if (n == -1) {
            break;
        }
    }

    if (fd == -1 || done < size) {
        abort();
    }

    close(fd);
}


/* puts what the cut left into the directory: all of it is on the disk */

static void
powercut_image(powercut_manner_e manner)
{
    size_t             size;
    unsigned           i, v;
    unsigned char     *data;
    powercut_name_t   *n, *to;
    powercut_write_t  *w;
    powercut_inode_t  *inode, *copy;

    powercut_clear();

    for (i = 0; i < powercut.cut.nnames; i++) {
        n = &powercut.cut.names[i];

        switch (manner) {

        case POWERCUT_LOST:
            v = 0;
            break;

        case POWERCUT_KEPT:
            v = n->n - 1;
            break;

        default:
            v = powercut_random(n->n);
        }

        inode = n->versions[v];

        if (inode == NULL) {
            continue;
        }

        size = inode->size;
        data = powercut_alloc(size);
        memcpy(data, inode->disk ? inode->disk : data, size);

        switch (manner) {

        case POWERCUT_LOST:
            break;

        case POWERCUT_KEPT:

            for (w = inode->writes; w; w = w->next) {
                powercut_apply(w, &data, &size);
            }

            break;

        case POWERCUT_ORDERED:
            powercut_ordered(inode, &data, &size);
            break;

        default:
            powercut_sectors(inode, &data, &size);
        }

        powercut_put(n->name, data, size);

        copy = powercut_inode();
        copy->disk = data;
        copy->size = size;

        to = &powercut.now.names[powercut.now.nnames++];

        strcpy(to->name, n->name);
        to->versions[0] = copy;
        to->n = 1;
    }
}


#endif /* _POWERCUT_H_INCLUDED_ */
