
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include "zone.h"


/*
 * Tests the state file: a table in an unknown state, or a file that is not a
 * table.  The input:
 *
 *   1 byte    the pages of the table and of the file, and whether the rest is
 *             the contents of the file
 *   1 byte    the state of the clocks
 *   1 byte    the number of keys that are put into the table
 *   the rest  changes of the table, see damage(), or the contents of the file
 *
 * If the file is accepted as a table, it must be usable and consistent: no key
 * is found that was not in it, and no valid key is lost.
 */

#define KEYS         64
#define DAMAGES_MAX  256


static ngx_uint_t make(fuzz_input_t *in, ngx_uint_t mode, ngx_uint_t nkeys);
static void damage(fuzz_input_t *in);
static ngx_uint_t is_table(u_char *addr, size_t len);
static void check_recover(void);
static void check_stat(ngx_trove_zone_stat_t *stat);
static void check_use(uint32_t random);
static ngx_uint_t is_done(ngx_trove_zone_key_t *key);
static void check_key(ngx_trove_zone_key_t *key, ngx_uint_t n);
static void check_copy(ngx_uint_t pages);


static u_char                *regions[2], *image;
static u_char                *file;
static size_t                 size;
static ngx_trove_zone_t      *zone;
static ngx_trove_zone_now_t   now;


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint32_t            random;
    ngx_uint_t          mode, clocks, nkeys, table;
    fuzz_input_t        in;
    ngx_trove_zone_t   *attached;

    static int64_t  walls[] = { 1793000000, 0x7ffffff0, 0xfffffff0,
                                0x100000010LL };

    if (image == NULL) {
        regions[0] = fuzz_region(TABLE_SIZE_MAX);
        regions[1] = fuzz_region(TABLE_SIZE_MAX);
        image = fuzz_region(TABLE_SIZE_MAX);
    }

    in.p = data;
    in.last = data + len;

    mode = fuzz_number(&in, 1);
    clocks = fuzz_number(&in, 1);
    nkeys = fuzz_number(&in, 1);

    now.wall = walls[clocks % 4];
    now.mono = walls[clocks / 4 % 4];
    random = clocks;

    table = make(&in, mode, nkeys);

    ngx_memcpy(image, file, size);

    attached = ngx_trove_zone_attach(file, size);

    fuzz_check(attached == (table ? (void *) file : NULL),
               "attached: %p, the reference: %d", (void *) attached,
               (int) table);
    fuzz_check(ngx_trove_zone_attach(file + 8, size - 8) == NULL,
               "attached, and not aligned");
    fuzz_check(ngx_trove_zone_attach(file, ngx_trove_zone_size_min() - 1)
               == NULL, "attached, and too small");
    fuzz_check(memcmp(image, file, size) == 0, "the file was changed");

    if (!table) {
        (void) ngx_trove_zone_size(file);
        return 0;
    }

    zone = attached;

    fuzz_check(ngx_trove_zone_size(file) == size, "another size");

    check_recover();
    check_copy(2 + random % (TABLE_PAGES_MAX - 1));
    check_use(random);
    check_copy(2 + random / 4 % (TABLE_PAGES_MAX - 1));

    /* and after another restart */

    fuzz_check(ngx_trove_zone_attach(file, size) == zone, "not attached");

    check_recover();

    return 0;
}


/* writes the file; returns whether it is a table */

static ngx_uint_t
make(fuzz_input_t *in, ngx_uint_t mode, ngx_uint_t nkeys)
{
    size_t                len;
    uint32_t              owner;
    ngx_uint_t            i, pages, n;
    ngx_trove_zone_now_t  t;
    ngx_trove_zone_key_t  key;

    pages = 2 + mode % (TABLE_PAGES_MAX - 1);
    n = mode / 4 % 8;
    n = (n < TABLE_PAGES_MAX && n > 0) ? n : pages;

    if (mode & 0x80) {

        /* the unchanged input, padded with zeroes to a whole page */

        len = ngx_min((size_t) (in->last - in->p), TABLE_SIZE_MAX);
        n = ngx_max(1, (len + NGX_TROVE_ZONE_PAGE - 1) / NGX_TROVE_ZONE_PAGE);

        size = n * NGX_TROVE_ZONE_PAGE;
        file = table_memory(regions[0], n);

        ngx_memzero(file, size);
        ngx_memcpy(file, in->p, len);

        return is_table(file, size);
    }

    size = pages * NGX_TROVE_ZONE_PAGE;
    zone = ngx_trove_zone_create(table_memory(regions[0], pages), size);
    fuzz_check(zone != NULL, "no table");

    memset(zone->key, 7, sizeof(zone->key));
    ngx_trove_zone_seal(zone);

    /* of different ages, some INFLIGHT */

    t = now;

    for (i = 0; i < nkeys; i++) {
        ngx_trove_zone_key(zone, (u_char *) &i, sizeof(i), &key);
        t.wall = now.wall - (int64_t) i * 60 + 120;

        if (ngx_trove_zone_claim(zone, &key, &t, 60, &owner)
            == NGX_TROVE_ZONE_NEW && i % 8)
        {
            (void) ngx_trove_zone_complete(zone, &key, &t, 86400 >> i % 16,
                                           owner);
        }
    }

    for (i = 0; i < DAMAGES_MAX && in->p < in->last; i++) {
        damage(in);
    }

    /* a shorter or longer file */

    file = table_memory(regions[0], n);
    memmove(file, zone, ngx_min(size, n * NGX_TROVE_ZONE_PAGE));

    if (n > pages) {
        ngx_memzero(file + size, (n - pages) * NGX_TROVE_ZONE_PAGE);
    }

    size = n * NGX_TROVE_ZONE_PAGE;

    return is_table(file, size);
}


/*
 * Changes as by a crash of the machine, a damaged disk, or an editor.  The
 * geometry in the first page may already be wrong, so it is not used.
 */

static void
damage(fuzz_input_t *in)
{
    slot_t                 slot, from;
    u_char                *p;
    uint64_t               value;
    ngx_uint_t             op, at, n, nslots;
    ngx_trove_zone_key_t   key;

    /* the offsets of the fields of the first page */

    static ngx_uint_t  head[] = {
        offsetof(ngx_trove_zone_t, magic),
        offsetof(ngx_trove_zone_t, version),
        offsetof(ngx_trove_zone_t, page),
        offsetof(ngx_trove_zone_t, buckets),
        offsetof(ngx_trove_zone_t, slots),
        offsetof(ngx_trove_zone_t, mutex),
        offsetof(ngx_trove_zone_t, groups),
        offsetof(ngx_trove_zone_t, key),
        offsetof(ngx_trove_zone_t, key) + 8,
        offsetof(ngx_trove_zone_t, check),
        offsetof(ngx_trove_zone_t, offset),
        offsetof(ngx_trove_zone_t, size),
        offsetof(ngx_trove_zone_t, where),
        offsetof(ngx_trove_zone_t, migrated),
        offsetof(ngx_trove_zone_t, migrate)
    };

    op = fuzz_number(in, 1);
    at = fuzz_number(in, 2);

    p = (u_char *) zone;
    nslots = (size / NGX_TROVE_ZONE_PAGE - 1) * NGX_TROVE_ZONE_GROUP_SLOTS;
    slot = table_slot(zone, at % nslots);

    switch (op % 10) {

    case 0: /* 8 bytes anywhere */
        value = fuzz_number(in, 8);
        ngx_memcpy(p + at % (size - 7), &value, 8);
        break;

    case 1: /* a bit */
        p[at % size] ^= 1 << fuzz_number(in, 1) % 8;
        break;

    case 2: /* a field of the first page */
        n = head[at % (sizeof(head) / sizeof(head[0]))];
        value = fuzz_number(in, 4);
        ngx_memcpy(p + n, &value, 4);
        break;

    case 3: /* a valid check for the current contents */
        ngx_trove_zone_seal(zone);
        break;

    case 4: /* a word of any state */
        slot_word(&slot) = fuzz_number(in, 8);
        break;

    case 5: /* a DONE or an ACK that is sound, of any key, time and ttl */
    case 6:
        value = fuzz_number(in, 2);
        key.place = (value * 0x9e3779b97f4a7c15ULL) << (op & 0x80 ? 0 : 32);
        key.tag = value;

        /* acks have keys of their own */

        if (op & 0x40) {
            key.place ^= 0x0123456789abcdefULL;
        }

        n = fuzz_number(in, 4);
        value = fuzz_number(in, 2);

        if (op % 10 == 5) {
            n = now.wall + (int32_t) n;
        }

        slot.bucket->place[slot.n] = key.place;
        slot.bucket->tag[slot.n] = (uint16_t) key.tag;
        slot_word(&slot) = ngx_trove_zone_word_dated(&key,
                               (op & 0x40) ? NGX_TROVE_ZONE_ACKED
                                           : NGX_TROVE_ZONE_COMPLETED,
                               n, value);
        break;

    case 7: /* a copy of another slot */
        from = table_slot(zone, fuzz_number(in, 2) % nslots);

        slot.bucket->place[slot.n] = from.bucket->place[from.n];
        slot.bucket->tag[slot.n] = from.bucket->tag[from.n];
        slot_word(&slot) = slot_word(&from);
        break;

    case 8: /* the rest of a page was not written */
        n = size - at % size;
        n = (op & 0x80) ? n : ngx_min(n, 512);
        ngx_memzero(p + at % size, n);
        break;

    case 9: /* a claim, with any owner and lease */
        value = fuzz_number(in, 8);
        slot_word(&slot) = (uint64_t) NGX_TROVE_ZONE_CLAIMED << 62
                           | value >> 2;
        break;
    }
}


/* the expected result of ngx_trove_zone_attach(), from the layout */

static ngx_uint_t
is_table(u_char *addr, size_t len)
{
    size_t                   pages;
    ngx_trove_zone_t        *table;
    static ngx_trove_zone_t  sealed;

    pages = len / NGX_TROVE_ZONE_PAGE;
    table = (ngx_trove_zone_t *) addr;

    if (pages < 2) {
        return 0;
    }

    /* the page with a valid check */

    sealed = *table;
    ngx_trove_zone_seal(&sealed);

    return table->magic == NGX_TROVE_ZONE_MAGIC
           && table->version == NGX_TROVE_ZONE_VERSION
           && table->page == NGX_TROVE_ZONE_PAGE
           && table->buckets == NGX_TROVE_ZONE_BUCKETS
           && table->slots == NGX_TROVE_ZONE_SLOTS
           && table->mutex == sizeof(pthread_mutex_t)
           && table->groups == pages - 1
           && table->check == sealed.check;
}


/* claims are removed; damaged slots are removed and counted; others remain */

static void
check_recover(void)
{
    slot_t                 slot, old;
    ngx_uint_t              i, damaged;
    ngx_trove_zone_t       *was;
    ngx_trove_zone_stat_t   before, after;
    ngx_trove_zone_where_t  where;

    ngx_trove_zone_stat(zone, &now, &before);
    (void) ngx_trove_zone_successor(zone, &where);

    ngx_memcpy(image, file, size);
    was = (ngx_trove_zone_t *) image;

    fuzz_check(ngx_trove_zone_recover(zone) == NGX_OK, "not recovered");

    fuzz_check(memcmp(image, file, offsetof(ngx_trove_zone_t, migrate)) == 0,
               "the first page has changed");
    fuzz_check(ngx_trove_zone_successor(zone, &where) == NGX_DECLINED,
               "it has a successor");

    damaged = 0;

    for (i = 0; i < table_slots(zone); i++) {
        slot = table_slot(zone, i);
        old = table_slot(was, i);

        fuzz_check(slot.bucket->place[slot.n] == old.bucket->place[slot.n]
                   && slot.bucket->tag[slot.n] == old.bucket->tag[slot.n],
                   "slot %d has another key", (int) i);

        if (slot_state(&old) >= NGX_TROVE_ZONE_COMPLETED
            && slot_sound(&old))
        {
            fuzz_check(slot_word(&slot) == slot_word(&old),
                       "slot %d was valid", (int) i);
            continue;
        }

        fuzz_check(slot_word(&slot) == 0, "slot %d is invalid, and remains",
                   (int) i);

        damaged += slot_word(&old) != 0
                   && slot_state(&old) != NGX_TROVE_ZONE_CLAIMED;
    }

    check_stat(&after);

    fuzz_check(after.damaged == before.damaged + damaged,
               "%llu damaged, then %llu, but %d were removed",
               (unsigned long long) before.damaged,
               (unsigned long long) after.damaged, (int) damaged);

    fuzz_check(after.evicted == before.evicted
               && after.takeovers == before.takeovers
               && after.full == before.full
               && after.dropped == before.dropped
               && after.recovered == before.recovered, "other counters");

    /* another recovery changes nothing */

    ngx_memcpy(image, file, size);

    fuzz_check(ngx_trove_zone_recover(zone) == NGX_OK, "not recovered");
    fuzz_check(memcmp(image, file, size) == 0, "recovery removed more slots");

    fuzz_check(ngx_trove_zone_migrate_begin(zone) == NGX_OK,
               "the table is being migrated");
    ngx_trove_zone_migrate_end(zone);
}


/* of a table without claims */

static void
check_stat(ngx_trove_zone_stat_t *stat)
{
    slot_t      slot;
    ngx_uint_t  i, done, acked;

    done = 0;
    acked = 0;

    for (i = 0; i < table_slots(zone); i++) {
        slot = table_slot(zone, i);
        done += slot_live(&slot, &now) == NGX_TROVE_ZONE_COMPLETED;
        acked += slot_live(&slot, &now) == NGX_TROVE_ZONE_ACKED;
    }

    ngx_trove_zone_stat(zone, &now, stat);

    fuzz_check(stat->slots == table_slots(zone), "slots");
    fuzz_check(stat->inflight == 0, "%d in flight", (int) stat->inflight);
    fuzz_check(stat->done == done, "%d done, not %d", (int) stat->done,
               (int) done);
    fuzz_check(stat->acked == acked, "%d acked, not %d",
               (int) stat->acked, (int) acked);
}


/* the keys of some slots, and new ones */

static void
check_use(uint32_t random)
{
    slot_t                slot;
    ngx_uint_t            i;
    ngx_trove_zone_key_t  key;

    for (i = 0; i < KEYS; i++) {

        slot = table_slot(zone, fuzz_random(&random) % table_slots(zone));
        key.place = slot.bucket->place[slot.n];
        key.tag = slot.bucket->tag[slot.n];

        if (i % 2 == 0 || slot_state(&slot) != NGX_TROVE_ZONE_COMPLETED) {
            ngx_trove_zone_key(zone, (u_char *) &i, sizeof(i), &key);
        }

        check_key(&key, fuzz_random(&random));
    }
}


/* a key may be in a table more than once: the one that is live is used */

static ngx_uint_t
is_done(ngx_trove_zone_key_t *key)
{
    slot_t                 slot;
    ngx_uint_t             i;
    ngx_trove_zone_pair_t  pair;

    table_pair(zone, key, &pair);

    for (i = 0; i < PAIR_SLOTS; i++) {
        slot = pair_slot(&pair, i);

        if (slot_has(&slot, key)
            && slot_live(&slot, &now) == NGX_TROVE_ZONE_COMPLETED)
        {
            return 1;
        }
    }

    return 0;
}


static void
check_key(ngx_trove_zone_key_t *key, ngx_uint_t what)
{
    uint32_t                owner, other;
    ngx_trove_zone_claim_e  rc;

    owner = 0;

    if (is_done(key)) {
        rc = ngx_trove_zone_claim(zone, key, &now, 60, &owner);

        fuzz_check(rc == NGX_TROVE_ZONE_DONE && owner == 0,
                   "it is DONE, and the claim: %d", rc);
        return;
    }

    rc = ngx_trove_zone_claim(zone, key, &now, 60, &owner);

    fuzz_check(rc == NGX_TROVE_ZONE_NEW && owner != 0,
               "it is absent, and the claim: %d", rc);

    rc = ngx_trove_zone_claim(zone, key, &now, 60, &other);

    fuzz_check(rc == NGX_TROVE_ZONE_INFLIGHT, "it is claimed, the next: %d",
               rc);
    fuzz_check(ngx_trove_zone_renew(zone, key, &now, 60, owner) == NGX_OK,
               "not renewed");

    if (what % 4 == 0) {
        fuzz_check(ngx_trove_zone_release(zone, key, owner) == NGX_OK,
                   "not released");
        return;
    }

    fuzz_check(ngx_trove_zone_complete(zone, key, &now, 600, owner) == NGX_OK,
               "not completed");

    rc = ngx_trove_zone_claim(zone, key, &now, 60, &other);

    fuzz_check(rc == NGX_TROVE_ZONE_DONE, "it is completed, the next: %d", rc);
}


/*
 * Each live DONE is copied, except for the number reported as left out, and
 * nothing else.  Each key is in a place where it is searched for.
 */

static void
check_copy(ngx_uint_t pages)
{
    slot_t                 slot, found;
    ngx_uint_t             i, k, n, keys, lost, copied;
    ngx_trove_zone_t      *copy;
    ngx_trove_zone_key_t   key;

    copy = ngx_trove_zone_create(table_memory(regions[1], pages),
                                 pages * NGX_TROVE_ZONE_PAGE);
    fuzz_check(copy != NULL, "no table");

    n = ngx_trove_zone_copy(copy, zone, &now);

    fuzz_check(ngx_trove_zone_attach(copy, pages * NGX_TROVE_ZONE_PAGE)
               == copy, "not attached");

    keys = 0;
    lost = 0;
    copied = 0;

    for (i = 0; i < table_slots(zone); i++) {
        slot = table_slot(zone, i);

        if (slot_live(&slot, &now) != NGX_TROVE_ZONE_COMPLETED) {
            continue;
        }

        key.place = slot.bucket->place[slot.n];
        key.tag = slot.bucket->tag[slot.n];

        keys++;

        if (table_find(copy, &key, &found)) {
            continue;
        }

        /* a key that occurs more than once is counted once */

        for (k = 0; k < i; k++) {
            found = table_slot(zone, k);

            if (slot_has(&found, &key)
                && slot_live(&found, &now) == NGX_TROVE_ZONE_COMPLETED)
            {
                break;
            }
        }

        lost += (k == i);
    }

    for (i = 0; i < table_slots(copy); i++) {
        slot = table_slot(copy, i);

        if (slot_word(&slot) == 0) {
            continue;
        }

        key.place = slot.bucket->place[slot.n];
        key.tag = slot.bucket->tag[slot.n];

        fuzz_check(table_find(copy, &key, &found)
                   && found.bucket == slot.bucket && found.n == slot.n,
                   "a key is not found, or found twice");

        copied += slot_state(&slot) == NGX_TROVE_ZONE_COMPLETED;
    }

    /* duplicates of keys are not copied */

    fuzz_check(lost <= n && copied + n <= keys,
               "%d keys, %d left out, %d of them missing, %d copied",
               (int) keys, (int) n, (int) lost, (int) copied);
}
