
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "mapcut.h"
#include "tap.h"

#include "ngx_http_trove_dedup_state.c"
#include "ngx_trove_table_map.h"
#include "ngx_trove_zone_layout.h"


/*
 * Power cuts, see mapcut.h.  The state file of a zone is created, used, synced
 * and resized.  At a random moment the power is cut, and NGINX opens the file
 * again, from several images of what the disk may have kept.  Each of them is a
 * sound file, in which
 *
 *   a key that was completed at the last sync, and whose slot was not needed
 *   for another key since, is completed;
 *
 *   a key that was not completed at any moment since the last sync is absent;
 *
 *   no key is claimed.
 *
 * From one of the images it goes on, until the next cut.  Keys and acks are
 * treated alike.
 *
 * TROVE_SEED=n repeats one seed, TROVE_ROUNDS=n runs n of them.
 */

#define ROUNDS    90
#define CONTROLS  90             /* rounds with a fault that must be found */
#define LIVES     4
#define CALLS     120            /* of a life */
#define IMAGES    4
#define KEYS      600            /* at most */
#define RESIZES   4              /* of a life */
#define PAGES     3              /* of the smallest table */


typedef struct {
    uint32_t                   owner;      /* of a claim, or 0 */
    unsigned                   ack:1;      /* not claimed, but acknowledged */
    unsigned                   brief:1;    /* expires soon */
    unsigned                   must:1;     /* by what the last image had */
    unsigned                   may:1;      /* completed since the last sync */
    unsigned                   all:1;      /* in all moments since then */
    unsigned                   now:1;      /* completed in the image */
    unsigned                   page:1;     /* always in that of the sync */
    unsigned                   buckets:2;  /* which always had it */
} entry_t;


static ngx_uint_t round_of(uint64_t seed, unsigned faults);
static void life(size_t size);
static void calls(void);
static void call(void);
static void change(ngx_uint_t k);
static void resize(void);
static void tables(void (*handler)(ngx_trove_zone_t *zone, ngx_uint_t n));
static void last_table(ngx_trove_zone_t *zone, ngx_uint_t n);
static void synced(ngx_uint_t resized);
static void seen(void);
static ngx_uint_t images(size_t size, mapcut_image_t *image);
static void hold_locks(mapcut_image_t *image);
static ngx_uint_t look(size_t size, mapcut_manner_e manner);
static ngx_uint_t look_key(ngx_uint_t k, mapcut_manner_e manner);
static ngx_uint_t look_unused(void);
static ngx_uint_t must(entry_t *key, mapcut_manner_e manner);
static ngx_uint_t has(ngx_uint_t k, ngx_trove_zone_t *zone,
    ngx_uint_t bucket);
static ngx_uint_t is_completed(ngx_uint_t k);
static ngx_trove_zone_key_t key_of(ngx_uint_t k);


volatile ngx_cycle_t        *ngx_cycle;
volatile ngx_time_t         *ngx_cached_time;

static ngx_log_t             quiet_log;
static ngx_cycle_t           cycle;
static ngx_time_t            cached_time = { 1793000000, 0, 0 };
static ngx_trove_zone_now_t  now;
static char                  path[400];
static entry_t               keys[KEYS];
static ngx_uint_t            nkeys;
static ngx_uint_t            resizes;
static uint64_t              unused;
static ngx_trove_table_t    *table;
static ngx_trove_zone_t     *last;           /* table in use */
static ngx_trove_zone_t     *base;           /* likewise, at the last sync */
static ngx_uint_t            complaints;     /* log lines about damage */
static ngx_uint_t            copied;         /* the file was recreated */
static ngx_uint_t            left;           /* keys that did not fit then */
static ngx_uint_t            quiet;

static struct {
    ngx_uint_t               cuts;
    ngx_uint_t               kept;           /* keys that had to be there */
    ngx_uint_t               opening;        /* cuts while it was opened */
    ngx_uint_t               resizing;
    ngx_uint_t               moved;          /* lost: see seen() */
} stats;


u_char *
ngx_sprintf(u_char *buf, const char *fmt, ...)
{
    int       n;
    va_list   args;

    va_start(args, fmt);

    n = strstr(fmt, ".tmp") ? vsprintf((char *) buf, "%s.tmp", args)
                            : vsprintf((char *) buf, "%s.bad-%ld.%lu", args);
    va_end(args);

    return buf + n;
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    va_list  args;

    if (strstr(fmt, "did not fit")) {
        va_start(args, fmt);
        (void) va_arg(args, u_char *);
        left = va_arg(args, ngx_uint_t);
        va_end(args);

        copied = 1;
        return;
    }

    if (level > NGX_LOG_WARN || strstr(fmt, "is empty, the zone starts empty"))
    {
        return;
    }

    complaints++;

    if (!quiet) {
        tap_diag("%s (%s)", fmt, err ? strerror(err) : "-");
    }
}


/* the secret of a table depends on the seed, too */

int
RAND_bytes(unsigned char *buf, int n)
{
    while (n--) {
        buf[n] = (unsigned char) mapcut_random(256);
    }

    return 1;
}


void
ngx_http_trove_clock_zone(ngx_trove_zone_now_t *t)
{
    *t = now;
}


int
main(void)
{
    uint64_t     seed;
    ngx_uint_t   i, n, bad, found;
    const char  *dir;

    alarm(1200);

    ngx_cycle = &cycle;
    ngx_cached_time = &cached_time;
    cycle.conf_ctx = (void *) &cycle;
    quiet_log.log_level = NGX_LOG_DEBUG;

    dir = getenv("TMPDIR");

    snprintf(mapcut.dir, sizeof(mapcut.dir), "%s/trove-powercut-XXXXXX",
             dir ? dir : "/tmp");

    if (mkdtemp(mapcut.dir) == NULL) {
        return 1;
    }

    snprintf(path, sizeof(path), "%s/state", mapcut.dir);

    seed = (uint64_t) time(NULL) << 16;
    n = ROUNDS;

    if (getenv("TROVE_SEED")) {
        seed = strtoull(getenv("TROVE_SEED"), NULL, 10);
        n = 1;
    }

    if (getenv("TROVE_ROUNDS")) {
        n = strtoul(getenv("TROVE_ROUNDS"), NULL, 10);
    }

    bad = 0;

    for (i = 0; i < n && bad < 5; i++) {

        if (round_of(seed + i, MAPCUT_NONE)) {
            tap_diag("  repeat it with TROVE_SEED=%llu",
                     (unsigned long long) (seed + i));
            bad++;
        }
    }

    tap_is(bad, 0, "%d power cuts: what was synced is known, and nothing else",
           (int) stats.cuts);
    tap_diag("%d keys had to be known; %d cuts in opening, %d in resizing",
             (int) stats.kept, (int) stats.opening, (int) stats.resizing);
    tap_diag("%d keys were lost that were moved within a page",
             (int) stats.moved);

    static const struct {
        unsigned     faults;
        const char  *name;
    } controls[] = {
        { MAPCUT_NO_DATA_SYNC, "fdatasync()" },
        { MAPCUT_NO_FILE_SYNC, "fsync() of a file" },
        { MAPCUT_NO_DIR_SYNC, "fsync() of the directory" }
    };

    quiet = 1;

    for (i = 0; i < sizeof(controls) / sizeof(controls[0]); i++) {

        found = 0;

        for (n = 0; n < CONTROLS && found == 0; n++) {
            found = round_of(n, controls[i].faults);
        }

        tap_ok(found, "a loss is found without %s, after %d rounds",
               controls[i].name, (int) n);
    }

    mapcut_put(NULL);
    mapcut_forget();
    rmdir(mapcut.dir);

    return tap_done();
}


static TAP_PRINTF(1, 2) ngx_uint_t
wrong(const char *fmt, ...)
{
    va_list  args;

    if (!quiet) {
        fflush(stdout);
        fputs("#   ", stderr);

        va_start(args, fmt);
        vfprintf(stderr, fmt, args);
        va_end(args);

        fputc('\n', stderr);
    }

    return 1;
}


static size_t
random_size(void)
{
    /* the same size twice in a row is the usual case */

    return (PAGES + (mapcut_random(2) ? 1 : mapcut_random(4)))
           * MAPCUT_PAGE;
}


static ngx_uint_t
round_of(uint64_t seed, unsigned faults)
{
    size_t          size;
    ngx_uint_t      i, bad;
    mapcut_image_t  image;

    mapcut.recording = 0;
    mapcut.random = seed;
    mapcut.faults = faults;
    mapcut_put(NULL);

    memset(keys, 0, sizeof(keys));
    memset(&image, 0, sizeof(image));

    now.wall = 1793000000;
    now.mono = 1000;
    unused = KEYS;
    bad = 0;

    /* few, or so many that keys are moved and evicted */

    nkeys = mapcut_random(3) ? KEYS / 5 : KEYS;

    for (i = 0; i < nkeys; i++) {
        keys[i].ack = mapcut_random(8) == 0;
        keys[i].brief = mapcut_random(8) == 0;
    }

    size = random_size();

    for (i = 0; i < LIVES && bad == 0; i++) {
        life(size);

        size = random_size();
        bad = images(size, &image);

        stats.cuts++;
    }

    mapcut_image_free(&image);

    return bad;
}


/* until the power is cut, or somewhat longer */

static void
life(size_t size)
{
    ngx_str_t   name;
    ngx_uint_t  opened;

    name.data = (u_char *) path;
    name.len = strlen(path);

    mapcut.observer = NULL;
    mapcut_start();

    opened = 0;
    resizes = 0;
    left = 0;

    if (mapcut_random(3) == 0) {
        mapcut_arm(1 + mapcut_random(16));
    }

    table = ngx_http_trove_state_open(&name, size, &quiet_log);

    if (mapcut.recording) {
        opened = 1;
        mapcut.left = 0;

        /* it was opened as it is on the disk, or is a new one that is synced */

        synced(0);

        mapcut.observer = seen;
        calls();
    }

    mapcut.recording = 0;

    stats.opening += !opened;

    ngx_trove_table_unref(table);
    table = NULL;
}


static void
calls(void)
{
    ngx_uint_t  n;

    for (n = 1 + mapcut_random(CALLS); n && mapcut.recording; n--) {

        switch (mapcut_random(30)) {

        case 0:
            if (resizes < RESIZES) {
                resize();
                continue;
            }

            /* fall through */

        case 1:
        case 2:
            (void) fdatasync(ngx_trove_table_fd(table));
            synced(0);
            break;

        case 3:
            now.wall += mapcut_random(10);
            now.mono += mapcut_random(10);
            break;

        default:
            call();
        }

        mapcut_observe();
    }
}


static void
call(void)
{
    ngx_uint_t  n;

    /* in a dense table by many, which are observed as one */

    for (n = 1 + mapcut_random(nkeys / 20); n; n--) {
        change(mapcut_random(nkeys));
    }
}


static void
change(ngx_uint_t k)
{
    entry_t               *key;
    ngx_uint_t             ttl;
    ngx_trove_zone_key_t   hash;

    key = &keys[k];
    hash = key_of(k);
    ttl = key->brief ? 20 : 100000;

    if (key->ack) {
        ngx_trove_table_ack(table, &hash, &now, ttl);
        return;
    }

    if (key->owner) {

        switch (mapcut_random(5)) {

        case 0:
            ngx_trove_table_release(table, &hash, key->owner);
            break;

        case 1:
            ngx_trove_table_renew(table, &hash, &now, 60, key->owner);
            return;

        default:
            ngx_trove_table_complete(table, &hash, &now, ttl, key->owner);
        }

        key->owner = 0;
        return;
    }

    /* keys that are never completed are claimed and released only */

    switch (ngx_trove_table_claim(table, &hash, &now, 60, &key->owner)) {

    case NGX_TROVE_ZONE_NEW:

        if (k % 5 == 0) {

            if (mapcut_random(2)) {
                ngx_trove_table_release(table, &hash, key->owner);
            }

            key->owner = 0;

        } else if (mapcut_random(4)) {
            ngx_trove_table_complete(table, &hash, &now, ttl, key->owner);
            key->owner = 0;
        }

        break;

    case NGX_TROVE_ZONE_DONE:

        if (mapcut_random(8) == 0) {
            ngx_trove_table_forget(table, &hash, &now);
        }

        break;

    default:
        break;
    }
}


static void
resize(void)
{
    size_t                    size;
    ngx_uint_t                some;
    ngx_trove_table_error_t   error;

    do {
        size = random_size();
    } while (size == ngx_trove_table_size(table));

    if (mapcut_random(4) == 0) {
        mapcut_arm(1 + mapcut_random(4));
    }

    ngx_trove_table_resize(table, size, &now, &some, &error);

    if (mapcut.recording == 0) {
        stats.resizing++;
    }

    mapcut.left = 0;
    resizes++;

    synced(1);
}


/*
 * Calls handler for each table of the file, in order.  Reads the file only: the
 * table may be in the middle of something.
 */

static void
tables(void (*handler)(ngx_trove_zone_t *zone, ngx_uint_t n))
{
    ngx_uint_t               n;
    struct stat              st;
    mapcut_file_t           *file;
    ngx_trove_zone_t        *zone;
    ngx_trove_zone_where_t   where;

    if (fstat(ngx_trove_table_fd(table), &st) == -1) {
        abort();
    }

    for (file = mapcut.files; file->ino != st.st_ino; file = file->next) {
        /* void */
    }

    where.offset = 0;

    for (n = 0; /* void */ ; n++) {
        zone = (ngx_trove_zone_t *) (file->map + where.offset);

        handler(zone, n);

        if (ngx_trove_zone_successor(zone, &where) == NGX_DECLINED) {
            break;
        }
    }
}


/* that of all keys, unless a migration is under way */

static void
last_table(ngx_trove_zone_t *zone, ngx_uint_t n)
{
    ngx_trove_zone_where_t  where;

    if (n == 0 || ngx_trove_zone_successor(last, &where) == NGX_OK) {
        last = zone;
    }
}


/*
 * All is on the disk: from now on by what is seen in each moment.  A resize
 * ends with this as well, but a key that had no space may be found again.
 */

static void
synced(ngx_uint_t resized)
{
    entry_t     *key;
    ngx_uint_t   k;

    if (!mapcut.recording) {
        return;
    }

    tables(last_table);

    base = last;

    for (k = 0; k < nkeys; k++) {
        key = &keys[k];

        key->must = 0;
        key->all = is_completed(k);
        key->may = key->all || (resized && key->may);
        key->buckets = has(k, base, 0) | has(k, base, 1) << 1;
        key->page = key->buckets != 0;
    }
}


static void
seen(void)
{
    entry_t     *key;
    unsigned     buckets;
    ngx_uint_t   k;

    tables(last_table);

    for (k = 0; k < nkeys; k++) {
        key = &keys[k];
        buckets = has(k, base, 0) | has(k, base, 1) << 1;

        key->may |= is_completed(k);
        key->all &= is_completed(k);
        key->buckets &= buckets;
        key->page &= buckets != 0;
    }
}


static ngx_uint_t
images(size_t size, mapcut_image_t *image)
{
    ngx_uint_t       i, k, bad;
    mapcut_manner_e  manner;

    mapcut_image_free(image);

    for (i = 0; /* void */ ; i++) {
        manner = mapcut_random(6);
        manner = ngx_min(manner, MAPCUT_BY_SECTORS);

        mapcut_image(image, manner);
        hold_locks(image);
        mapcut_put(image);

        bad = look(size, manner);

        if (bad) {
            return wrong("in image %d, of manner %d", (int) i, (int) manner);
        }

        if (i == IMAGES - 1) {
            break;
        }

        mapcut_image_free(image);
    }

    /* goes on with the last one, as it was */

    mapcut_put(image);

    for (k = 0; k < nkeys; k++) {
        keys[k].page = 0;
        keys[k].buckets = 0;
        keys[k].must = keys[k].now;
        keys[k].may = keys[k].now || (copied && keys[k].may);
        keys[k].owner = 0;
    }

    return 0;
}


/* other processes may have been at work, and none of them is there any more */

static void
hold_locks(mapcut_image_t *image)
{
    size_t                   offset;
    ngx_uint_t               i;
    ngx_trove_zone_group_t  *group;

    for (i = 0; i < image->n; i++) {

        for (offset = 0; offset < image->size[i]; offset += MAPCUT_PAGE) {
            group = (void *) (image->data[i] + offset);

            if (!ngx_trove_zone_has_magic(group)
                && ngx_trove_zone_lock_there(&group->u.head.mutex)
                && mapcut_random(4) == 0)
            {
                *(uint32_t *) group = 1 + mapcut_random(100000);
            }
        }
    }
}


static ngx_uint_t
look(size_t size, mapcut_manner_e manner)
{
    ngx_str_t              name;
    ngx_uint_t             k, lost, bad;
    ngx_trove_zone_stat_t  stat;

    name.data = (u_char *) path;
    name.len = strlen(path);

    left = 0;
    copied = 0;
    complaints = 0;

    table = ngx_http_trove_state_open(&name, size, &quiet_log);

    if (table == NULL) {
        return wrong("it is refused");
    }

    last = table->current.zone;

    bad = 0;
    lost = 0;

    if (complaints) {
        bad += wrong("it is damaged");
    }

    ngx_trove_table_stat(table, &now, &stat);

    if (stat.inflight || ngx_trove_table_size(table) != size) {
        bad += wrong("claims are left, or the size is wrong");
    }

    for (k = 0; k < nkeys; k++) {
        keys[k].now = is_completed(k);

        if (keys[k].now && !keys[k].may) {
            bad += wrong("key %d was not completed", (int) k);
        }

        /* if keys are copied, acks give way, which is not logged */

        if (!(keys[k].ack && copied && stat.dropped)) {
            lost += look_key(k, manner);
        }
    }

    if (lost > left) {
        bad += wrong("%d keys are lost, and not %d", (int) lost, (int) left);
    }

    bad += look_unused();

    ngx_trove_table_unref(table);
    table = NULL;

    return bad;
}


/* 1: it is lost */

static ngx_uint_t
look_key(ngx_uint_t k, mapcut_manner_e manner)
{
    uint32_t              owner;
    ngx_trove_zone_key_t  hash;

    if (keys[k].now == 0) {

        if (!must(&keys[k], manner)) {
            stats.moved += must(&keys[k], MAPCUT_BY_PAGES);
            return 0;
        }

        return 1;
    }

    stats.kept += must(&keys[k], manner);
    hash = key_of(k);

    if (keys[k].ack) {
        return ngx_trove_table_acked(table, &hash, &now) != 1;
    }

    return ngx_trove_table_claim(table, &hash, &now, 60, &owner)
           != NGX_TROVE_ZONE_DONE;
}


/* the table can be used */

static ngx_uint_t
look_unused(void)
{
    uint32_t              owner;
    ngx_trove_zone_key_t  hash;

    hash = key_of(unused++);

    if (ngx_trove_table_claim(table, &hash, &now, 60, &owner)
        != NGX_TROVE_ZONE_NEW
        || ngx_trove_table_claim(table, &hash, &now, 60, &owner)
           != NGX_TROVE_ZONE_INFLIGHT
        || ngx_trove_table_complete(table, &hash, &now, 1000, owner) != NGX_OK
        || ngx_trove_table_claim(table, &hash, &now, 60, &owner)
           != NGX_TROVE_ZONE_DONE
        || ngx_trove_table_forget(table, &hash, &now) != NGX_OK)
    {
        return wrong("it cannot be used");
    }

    return 0;
}


/* whether a cut may not lose it, if it leaves whole pages, or sectors */

static ngx_uint_t
must(entry_t *key, mapcut_manner_e manner)
{
    /* what was completed again: an earlier completion may have expired */

    if (key->brief) {
        return 0;
    }

    return key->must
           || (key->all && (manner == MAPCUT_BY_SECTORS ? key->buckets != 0
                                                        : key->page));
}


/* 1: the first or the second bucket has the key, completed and not expired */

static ngx_uint_t
has(ngx_uint_t k, ngx_trove_zone_t *zone, ngx_uint_t bucket)
{
    ngx_uint_t             n, state;
    ngx_trove_zone_key_t   hash;
    ngx_trove_zone_pair_t  pair;

    hash = key_of(k);
    state = keys[k].ack ? NGX_TROVE_ZONE_ACKED : NGX_TROVE_ZONE_COMPLETED;

    ngx_trove_zone_pair(zone, &hash, &pair);

    for (n = 0; n < NGX_TROVE_ZONE_SLOTS; n++) {

        if (pair.bucket[bucket]->place[n] == hash.place
            && pair.bucket[bucket]->tag[n] == (uint16_t) hash.tag
            && ngx_trove_zone_slot_state(pair.bucket[bucket], n, &now)
               == state)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
is_completed(ngx_uint_t k)
{
    return has(k, last, 0) | has(k, last, 1);
}


static ngx_trove_zone_key_t
key_of(ngx_uint_t k)
{
    uint64_t              n;
    ngx_trove_zone_key_t  key;

    n = k;

    ngx_trove_table_key(table, (u_char *) &n, sizeof(n), &key);

    return key;
}
