
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/wait.h>

#include "ngx_trove_metrics.h"
#include "ngx_trove_slots.h"
#include "tap.h"


/* Named slots that are kept, or held by processes and given back. */


#define SLOTS  64
#define HELD   (SLOTS / NGX_TROVE_SLOTS_HELD)


typedef struct {
    ngx_trove_slot_t  slot;
    uint64_t          data;
} entry_t;


typedef entry_t *(*find_pt)(ngx_trove_slots_t *slots, ngx_str_t *name);


static void *
shared(size_t size)
{
    void  *p;

    p = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_ANON|MAP_SHARED, -1, 0);

    if (p == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }

    /* the memory need not be zeroed */

    memset(p, 0xa5, size);

    return p;
}


static ngx_trove_slots_t *
table_of(void)
{
    return ngx_trove_slots_create(shared(ngx_trove_slots_size(SLOTS,
                                                          sizeof(entry_t))),
                                  SLOTS, sizeof(entry_t));
}


static entry_t *
keep(ngx_trove_slots_t *slots, ngx_str_t *name)
{
    return (entry_t *) ngx_trove_slots_keep(slots, name);
}


static entry_t *
acquire(ngx_trove_slots_t *slots, ngx_str_t *name)
{
    return (entry_t *) ngx_trove_slots_acquire(slots, name, getpid());
}


static entry_t *
get(ngx_trove_slots_t *slots, find_pt find, int i)
{
    u_char     buf[64];
    ngx_str_t  name;

    name.data = buf;
    name.len = sprintf((char *) buf, "name %d", i);

    return find(slots, &name);
}


static void
release(ngx_trove_slots_t *slots, entry_t *entry)
{
    ngx_trove_slots_release(slots, &entry->slot, getpid());
}


static int
used(ngx_trove_slots_t *slots)
{
    int         n;
    ngx_uint_t  i;

    for (i = 0, n = 0; i < ngx_trove_slots_count(slots); i++) {
        n += ngx_trove_slots_get(slots, i) != NULL;
    }

    return n;
}


static void
one(void)
{
    entry_t            *a, *b, *kept;
    ngx_trove_slots_t  *slots;

    slots = table_of();

    a = get(slots, acquire, 1);
    tap_ok(a && a->data == 0, "a slot with zeroed data");
    a->data = 17;

    b = get(slots, acquire, 1);
    tap_ok(b == a && b->data == 17, "the same name has the same slot");
    tap_is(used(slots), 1, "which is one");

    release(slots, a);
    tap_ok(get(slots, acquire, 1) == a && a->data == 17,
           "it stays while it is held once");

    release(slots, a);
    release(slots, a);
    tap_is(used(slots), 0, "it is free after the last release");

    b = get(slots, acquire, 1);
    tap_ok(b && b->data == 0, "the next one has zeroed data");

    b->data = 4;
    kept = get(slots, keep, 1);
    tap_ok(kept == b && kept->data == 4, "what is held can be kept");

    release(slots, b);
    tap_ok(get(slots, keep, 1) == b && b->data == 4,
           "then a release does not free it");

    a = get(slots, acquire, 1);
    release(slots, a);
    release(slots, a);
    tap_is(used(slots), 1, "nor do any number of them");
}


static void
limits(void)
{
    int                 i, n;
    entry_t            *entries[SLOTS];
    ngx_trove_slots_t  *slots;

    slots = table_of();

    for (n = 0; n < SLOTS; n++) {
        entries[n] = get(slots, acquire, n);

        if (entries[n] == NULL) {
            break;
        }
    }

    tap_is(n, HELD, "processes hold at most one slot in four");

    release(slots, entries[3]);
    entries[3] = get(slots, acquire, 1000);
    tap_ok(entries[3] != NULL, "one that is given back can be had again");
    tap_ok(get(slots, acquire, 1001) == NULL, "but not two");

    for (i = SLOTS; i < 2 * SLOTS; i++) {
        if (get(slots, keep, i) == NULL) {
            break;
        }
    }

    tap_is(i - SLOTS, SLOTS - HELD, "the others are for those that are kept");

    for (i = 0; i < HELD; i++) {
        release(slots, entries[i]);
    }

    tap_is(used(slots), SLOTS - HELD, "kept ones stay");
    tap_ok(get(slots, keep, 2000) != NULL, "and find the space of the others");
}


/* whatever comes and goes, each name finds its own data */

static void
churn(void)
{
    int                 i, k, wrong, lost;
    char                seed[32];
    unsigned            random;
    uint64_t            data[SLOTS];
    entry_t            *entries[SLOTS], *kept[8];
    ngx_trove_slots_t  *slots;

    random = getenv("TROVE_SEED") ? strtoul(getenv("TROVE_SEED"), NULL, 10)
                                  : (unsigned) time(NULL);
    sprintf(seed, "TROVE_SEED=%u", random);

    slots = table_of();

    memset(entries, 0, sizeof(entries));
    wrong = 0;
    lost = 0;

    for (i = 0; i < 8; i++) {
        kept[i] = get(slots, keep, 100 + i);
        kept[i]->data = 100 + i;
    }

    for (k = 0; k < 200000; k++) {
        i = rand_r(&random) % SLOTS;

        if (entries[i]) {
            wrong += entries[i]->data != data[i];
            release(slots, entries[i]);
            entries[i] = NULL;
            continue;
        }

        entries[i] = get(slots, acquire, i);

        if (entries[i]) {
            wrong += entries[i]->data != 0;
            data[i] = ((uint64_t) k << 8) + 1;
            entries[i]->data = data[i];
        }
    }

    for (i = 0; i < SLOTS; i++) {
        if (entries[i]) {
            wrong += entries[i]->data != data[i];
            lost += get(slots, acquire, i) != entries[i];
            release(slots, entries[i]);
            release(slots, entries[i]);
        }
    }

    for (i = 0; i < 8; i++) {
        lost += get(slots, keep, 100 + i) != kept[i]
                || kept[i]->data != (uint64_t) 100 + i;
    }

    tap_is(wrong, 0, "200000 changes, each name has its own data (%s)", seed);
    tap_is(lost, 0, "and is found again");
    tap_is(used(slots), 8, "in the end only what is kept is left");
}


/* a process that holds so many slots from a name on, until it is killed */

static pid_t
holder(ngx_trove_slots_t *slots, int first, int n)
{
    int    i, ready[2];
    char   c;
    pid_t  pid;

    if (pipe(ready) != 0 || (pid = fork()) == -1) {
        perror("fork");
        exit(1);
    }

    if (pid == 0) {
        c = '+';

        for (i = first; i < first + n; i++) {
            if (get(slots, acquire, i) == NULL) {
                c = '-';
            }
        }

        (void) !write(ready[1], &c, 1);

        /* ends with its parent, too */

        close(ready[1]);

        for (i = 0; i < 600 && getppid() != 1; i++) {
            usleep(100000);
        }

        _exit(0);
    }

    close(ready[1]);

    tap_ok(read(ready[0], &c, 1) == 1 && c == '+', "a process holds %d", n);

    close(ready[0]);

    return pid;
}


static void
processes(void)
{
    int                 i, n;
    pid_t               pid;
    entry_t            *entry;
    ngx_trove_slots_t  *slots;

    slots = table_of();

    pid = holder(slots, 0, HELD);

    entry = get(slots, acquire, 0);
    tap_ok(entry != NULL, "two processes hold the same slot");
    entry->data = 5;

    release(slots, entry);
    tap_ok(get(slots, acquire, 0) == entry && entry->data == 5,
           "which stays for the other one");

    tap_ok(get(slots, acquire, 500) == NULL, "there is no room for another");

    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);

    for (i = 0, n = 0; i < HELD; i++) {
        n += get(slots, acquire, 500 + i) != NULL;
    }

    tap_is(n, HELD - 1, "until the process is killed");
    tap_ok(entry->data == 5, "what others hold stays");

    ngx_trove_slots_forget(slots, getpid());

    for (i = 0, n = 0; i < HELD; i++) {
        n += get(slots, acquire, 700 + i) != NULL;
    }

    tap_is(n, HELD, "a process can give back everything");
}


/* a process is killed while it adds: counted, but without its name */

static void
torn(void)
{
    int                 i;
    entry_t            *entry;
    ngx_trove_slots_t  *slots;

    slots = table_of();

    for (i = 0; i < HELD; i++) {
        entry = get(slots, acquire, i);
        entry->slot.name[0] = 0;
    }

    ngx_trove_slots_forget(slots, getpid());

    for (i = 0; i < HELD; i++) {
        if (get(slots, acquire, i) == NULL) {
            break;
        }
    }

    tap_is(i, HELD, "what was begun by a killed process is found free");
}


static void
copies(void)
{
    ngx_str_t                 kept, held;
    ngx_trove_metrics_t      *from, *to;
    ngx_trove_metrics_set_t  *set;

    ngx_str_set(&kept, "kept");
    ngx_str_set(&held, "held");

    from = ngx_trove_metrics_create(shared(ngx_trove_metrics_size(SLOTS)),
                                    SLOTS);
    to = ngx_trove_metrics_create(shared(ngx_trove_metrics_size(2 * SLOTS)),
                                  2 * SLOTS);

    set = ngx_trove_metrics_set(from, &kept);
    ngx_trove_metrics_add(set, 1, 2, 3);

    set = ngx_trove_metrics_acquire(from, &held, getpid());
    ngx_trove_metrics_add(set, 1, 2, 4);

    ngx_trove_metrics_copy(to, from);

    set = ngx_trove_metrics_acquire(to, &held, getpid());
    tap_is(ngx_trove_metrics_sum(set, 2), 4, "a set that is held is copied");

    ngx_trove_metrics_release(to, set, getpid());

    set = ngx_trove_metrics_acquire(to, &held, getpid());
    tap_is(ngx_trove_metrics_sum(set, 2), 0, "and given back in the copy");

    set = ngx_trove_metrics_set(to, &kept);
    tap_is(ngx_trove_metrics_sum(set, 2), 3, "the other one is untouched");
}


int
main(void)
{
    one();
    limits();
    churn();
    processes();
    torn();
    copies();

    return tap_done();
}
