
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _MAPCUT_H_INCLUDED_
#define _MAPCUT_H_INCLUDED_


#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>


/*
 * What a power cut may leave of the mapped files of one directory.  The files
 * are real ones.  Beside them, this file keeps in memory what is on the disk
 * for sure, and what the kernel may have written since the last sync:
 *
 *   a file: for each page, the contents that it had since the file was synced
 *   last, and likewise the sizes of the file;
 *
 *   the directory: the states that it had since it was synced last.
 *
 * Pages are compared by mapcut_observe(), which the test calls after each
 * operation, and before each call that syncs a file or changes the directory.
 * Such a call is also a moment at which mapcut_arm() can cut the power.  The
 * processes go on afterwards, but nothing of it is recorded.
 *
 * mapcut_image() makes files that a disk may have kept.  A disk writes pages of
 * 4096 bytes, or sectors of 512 bytes, in any order.  The directory is in one
 * of its states: file systems keep it in a journal.
 */

#define MAPCUT_PAGE    4096
#define MAPCUT_SECTOR  512
#define MAPCUT_PAGES   160           /* of a file */
#define MAPCUT_NAMES   6
#define MAPCUT_STATES  16


typedef enum {
    MAPCUT_NONE = 0,

    /* faults that a test has to find: syncs that do nothing */
    MAPCUT_NO_DATA_SYNC = 1,         /* fdatasync() */
    MAPCUT_NO_FILE_SYNC = 2,         /* fsync() of a file */
    MAPCUT_NO_DIR_SYNC = 4           /* fsync() of the directory */
} mapcut_fault_e;


typedef struct mapcut_version_s  mapcut_version_t;

struct mapcut_version_s {
    mapcut_version_t   *next;
    unsigned char       data[MAPCUT_PAGE];
};


typedef struct {
    mapcut_version_t   *first;       /* on the disk; NULL: zeroes */
    mapcut_version_t   *last;
    unsigned            n;
} mapcut_page_t;


typedef struct mapcut_file_s  mapcut_file_t;

struct mapcut_file_s {
    mapcut_file_t      *next;
    ino_t               ino;
    int                 fd;
    unsigned char      *map;

    size_t              size;
    size_t              size_min;    /* since the last sync */
    size_t              size_max;
    mapcut_page_t       pages[MAPCUT_PAGES];
};


typedef struct {
    unsigned            n;
    char                names[MAPCUT_NAMES][64];
    mapcut_file_t      *files[MAPCUT_NAMES];
} mapcut_dir_t;


typedef struct {
    unsigned            n;
    char                names[MAPCUT_NAMES][64];
    unsigned            same[MAPCUT_NAMES];      /* as this one, if less */
    size_t              size[MAPCUT_NAMES];
    unsigned char      *data[MAPCUT_NAMES];
} mapcut_image_t;


typedef enum {
    MAPCUT_LOST = 0,                 /* all that was not synced */
    MAPCUT_KEPT,                     /* nothing */
    MAPCUT_BY_PAGES,                 /* any pages */
    MAPCUT_BY_SECTORS                /* any sectors */
} mapcut_manner_e;


static struct {
    char                dir[300];
    dev_t               dev;
    ino_t               ino;

    mapcut_file_t      *files;
    mapcut_dir_t        states[MAPCUT_STATES];   /* [0]: on the disk */
    unsigned            nstates;

    unsigned            faults;
    unsigned            recording;
    unsigned            left;        /* until the cut; 0: none is set */
    uint64_t            random;

    /* called with each moment that is recorded */
    void              (*observer)(void);
} mapcut;


static uint64_t
mapcut_random(uint64_t n)
{
    uint64_t  x;

    /* splitmix64 */

    x = (mapcut.random += 0x9e3779b97f4a7c15ULL);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;

    return (x ^ (x >> 31)) % n;
}


static void *
mapcut_alloc(size_t size)
{
    void  *p;

    p = calloc(1, size + 1);

    if (p == NULL) {
        abort();
    }

    return p;
}


static void
mapcut_observe_file(mapcut_file_t *file)
{
    size_t             i;
    struct stat        st;
    mapcut_page_t     *page;
    mapcut_version_t  *v;

    static const unsigned char  zeroes[MAPCUT_PAGE];

    if (fstat(file->fd, &st) == -1
        || st.st_size > MAPCUT_PAGES * MAPCUT_PAGE)
    {
        abort();
    }

    file->size = st.st_size;
    file->size_min = file->size < file->size_min ? file->size : file->size_min;
    file->size_max = file->size > file->size_max ? file->size : file->size_max;

    /* no file has a part of a page */

    for (i = 0; i < file->size / MAPCUT_PAGE; i++) {
        page = &file->pages[i];

        if (memcmp(page->last ? page->last->data : zeroes,
                   file->map + i * MAPCUT_PAGE, MAPCUT_PAGE)
            == 0)
        {
            continue;
        }

        v = mapcut_alloc(sizeof(mapcut_version_t));
        memcpy(v->data, file->map + i * MAPCUT_PAGE, MAPCUT_PAGE);

        if (page->last == NULL) {
            page->last = mapcut_alloc(sizeof(mapcut_version_t));
            page->first = page->last;
        }

        page->last->next = v;
        page->last = v;
        page->n++;
    }
}


static void
mapcut_synced_file(mapcut_file_t *file)
{
    size_t             i;
    mapcut_page_t     *page;
    mapcut_version_t  *v;

    file->size_min = file->size;
    file->size_max = file->size;

    for (i = 0; i < MAPCUT_PAGES; i++) {
        page = &file->pages[i];

        while (page->first != page->last) {
            v = page->first;
            page->first = v->next;
            free(v);
        }

        page->n = 0;
    }
}


static mapcut_file_t *
mapcut_add_file(const char *name, ino_t ino)
{
    char            path[600];
    mapcut_file_t  *file;

    file = mapcut_alloc(sizeof(mapcut_file_t));

    snprintf(path, sizeof(path), "%s/%s", mapcut.dir, name);

    file->ino = ino;
    file->fd = open(path, O_RDONLY|O_CLOEXEC);
    file->map = mmap(NULL, MAPCUT_PAGES * MAPCUT_PAGE, PROT_READ, MAP_SHARED,
                     file->fd, 0);

    if (file->fd == -1 || file->map == MAP_FAILED) {
        abort();
    }

    file->next = mapcut.files;
    mapcut.files = file;

    return file;
}


static void
mapcut_observe_dir(void)
{
    DIR            *dir;
    unsigned        i;
    mapcut_dir_t    state, *last;
    struct dirent  *entry;

    last = &mapcut.states[mapcut.nstates - 1];
    memset(&state, 0, sizeof(state));

    dir = opendir(mapcut.dir);

    if (dir == NULL) {
        abort();
    }

    while ((entry = readdir(dir)) != NULL) {

        if (entry->d_name[0] == '.') {
            continue;
        }

        if (state.n == MAPCUT_NAMES || strlen(entry->d_name) >= 64) {
            abort();
        }

        strcpy(state.names[state.n], entry->d_name);

        /* the number of a file that has been deleted is used again */

        for (i = 0; i < last->n; i++) {
            if (last->files[i]->ino == entry->d_ino) {
                state.files[state.n] = last->files[i];
            }
        }

        for (i = 0; i < state.n && state.files[state.n] == NULL; i++) {
            if (state.files[i]->ino == entry->d_ino) {
                state.files[state.n] = state.files[i];
            }
        }

        if (state.files[state.n] == NULL) {
            state.files[state.n] = mapcut_add_file(entry->d_name,
                                                   entry->d_ino);
        }

        state.n++;
    }

    closedir(dir);

    if (memcmp(&state, last, sizeof(state)) == 0) {
        return;
    }

    if (mapcut.nstates == MAPCUT_STATES) {
        abort();
    }

    mapcut.states[mapcut.nstates++] = state;
}


static void
mapcut_observe(void)
{
    unsigned       i;
    mapcut_dir_t  *last;

    if (!mapcut.recording) {
        return;
    }

    last = &mapcut.states[mapcut.nstates - 1];

    for (i = 0; i < last->n; i++) {
        mapcut_observe_file(last->files[i]);
    }

    if (mapcut.observer) {
        mapcut.observer();
    }
}


/* a moment at which the power may be cut; 1: there is power */

static unsigned
mapcut_moment(void)
{
    if (!mapcut.recording) {
        return 0;
    }

    mapcut_observe_dir();
    mapcut_observe();

    if (mapcut.left && --mapcut.left == 0) {
        mapcut.recording = 0;
    }

    return mapcut.recording;
}


static void
mapcut_sync(int fd, unsigned fault)
{
    unsigned       i;
    struct stat    st;
    mapcut_dir_t  *last;

    if (!mapcut_moment()) {
        return;
    }

    if (fstat(fd, &st) == -1) {
        abort();
    }

    last = &mapcut.states[mapcut.nstates - 1];

    if (st.st_dev == mapcut.dev && st.st_ino == mapcut.ino) {

        if (!(mapcut.faults & MAPCUT_NO_DIR_SYNC)) {
            mapcut.states[0] = *last;
            mapcut.nstates = 1;
        }

        return;
    }

    for (i = 0; i < last->n && !(mapcut.faults & fault); i++) {
        if (last->files[i]->ino == st.st_ino) {
            mapcut_synced_file(last->files[i]);
        }
    }
}


/* functions of the system, which sync nothing: that would take most time */

int
fsync(int fd)
{
    mapcut_sync(fd, MAPCUT_NO_FILE_SYNC);

    return 0;
}


int
fdatasync(int fd)
{
    mapcut_sync(fd, MAPCUT_NO_DATA_SYNC);

    return 0;
}


int
renameat(int from, const char *name, int to, const char *other)
{
    int  rc;

    (void) mapcut_moment();

    rc = syscall(SYS_renameat2, from, name, to, other, 0);

    (void) mapcut_moment();

    return rc;
}


int
linkat(int from, const char *name, int to, const char *other, int flags)
{
    int  rc;

    (void) mapcut_moment();

    rc = syscall(SYS_linkat, from, name, to, other, flags);

    (void) mapcut_moment();

    return rc;
}


int
unlinkat(int dir, const char *name, int flags)
{
    int  rc;

    (void) mapcut_moment();

    rc = syscall(SYS_unlinkat, dir, name, flags);

    (void) mapcut_moment();

    return rc;
}


/* is called after a file was created */

int
flock(int fd, int operation)
{
    (void) mapcut_moment();

    return syscall(SYS_flock, fd, operation);
}


/* one of the contents of a page, or of its sectors */

static void
mapcut_pick(mapcut_page_t *page, unsigned char *data, size_t sector,
    mapcut_manner_e manner)
{
    size_t             i;
    unsigned           n;
    mapcut_version_t  *v;

    if (page->last == NULL) {
        return;
    }

    for (i = 0; i < MAPCUT_PAGE; i += sector) {

        if (manner == MAPCUT_KEPT) {
            v = page->last;

        } else {
            v = page->first;
            n = (manner == MAPCUT_LOST) ? 0 : mapcut_random(page->n + 1);

            while (n--) {
                v = v->next;
            }
        }

        memcpy(data + i, v->data + i, sector);
    }
}


static void
mapcut_image(mapcut_image_t *image, mapcut_manner_e manner)
{
    size_t          i, size, sector;
    unsigned        j, k;
    mapcut_dir_t   *state;
    mapcut_file_t  *file;

    sector = (manner == MAPCUT_BY_SECTORS) ? MAPCUT_SECTOR : MAPCUT_PAGE;

    state = &mapcut.states[manner == MAPCUT_LOST ? 0
                           : manner == MAPCUT_KEPT ? mapcut.nstates - 1
                           : mapcut_random(mapcut.nstates)];

    image->n = state->n;

    for (j = 0; j < state->n; j++) {
        file = state->files[j];

        strcpy(image->names[j], state->names[j]);

        for (k = 0; k < j && state->files[k] != file; k++) { /* void */ }

        image->same[j] = k;

        if (k < j) {
            continue;
        }

        size = (manner == MAPCUT_LOST) ? file->size_min
               : (manner == MAPCUT_KEPT) ? file->size
               : mapcut_random(2) ? file->size_min : file->size_max;

        image->size[j] = size;
        image->data[j] = mapcut_alloc(size);

        for (i = 0; i < size / MAPCUT_PAGE; i++) {
            mapcut_pick(&file->pages[i], image->data[j] + i * MAPCUT_PAGE,
                        sector, manner);
        }
    }
}


static void
mapcut_image_free(mapcut_image_t *image)
{
    unsigned  i;

    for (i = 0; i < image->n; i++) {
        free(image->data[i]);
    }

    memset(image, 0, sizeof(mapcut_image_t));
}


/* puts an image, or nothing if it is NULL, into the directory */

static void
mapcut_put(mapcut_image_t *image)
{
    int             fd;
    DIR            *dir;
    char            path[600], other[600];
    unsigned        i;
    struct dirent  *entry;

    dir = opendir(mapcut.dir);

    while (dir && (entry = readdir(dir)) != NULL) {
        snprintf(path, sizeof(path), "%s/%s", mapcut.dir, entry->d_name);
        (void) unlink(path);
    }

    closedir(dir);

    for (i = 0; image && i < image->n; i++) {
        snprintf(path, sizeof(path), "%s/%s", mapcut.dir, image->names[i]);

        if (image->same[i] < i) {
            snprintf(other, sizeof(other), "%s/%s", mapcut.dir,
                     image->names[image->same[i]]);

            if (link(other, path) == -1) {
                abort();
            }

            continue;
        }

        fd = open(path, O_WRONLY|O_CREAT|O_EXCL, 0600);

        if (fd == -1
            || write(fd, image->data[i], image->size[i])
               != (ssize_t) image->size[i])
        {
            abort();
        }

        close(fd);
    }
}


static void
mapcut_forget(void)
{
    size_t          i;
    mapcut_file_t  *file;

    while (mapcut.files) {
        file = mapcut.files;
        mapcut.files = file->next;

        mapcut_synced_file(file);

        for (i = 0; i < MAPCUT_PAGES; i++) {
            free(file->pages[i].first);
        }

        munmap(file->map, MAPCUT_PAGES * MAPCUT_PAGE);
        close(file->fd);
        free(file);
    }

    mapcut.nstates = 0;
}


/* begins to record: all that is in the directory is on the disk */

static void
mapcut_start(void)
{
    unsigned     i;
    struct stat  st;

    mapcut_forget();

    if (stat(mapcut.dir, &st) == -1) {
        abort();
    }

    mapcut.dev = st.st_dev;
    mapcut.ino = st.st_ino;

    memset(&mapcut.states[0], 0, sizeof(mapcut_dir_t));
    mapcut.nstates = 1;

    mapcut_observe_dir();

    mapcut.states[0] = mapcut.states[mapcut.nstates - 1];
    mapcut.nstates = 1;

    for (i = 0; i < mapcut.states[0].n; i++) {
        mapcut_observe_file(mapcut.states[0].files[i]);
        mapcut_synced_file(mapcut.states[0].files[i]);
    }

    mapcut.left = 0;
    mapcut.recording = 1;
}


/* a cut at the n-th moment from now; 0: none */

static void
mapcut_arm(unsigned n)
{
    mapcut.left = n;
}


#endif /* _MAPCUT_H_INCLUDED_ */
