
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/wait.h>

#include "ngx_trove_health.h"
#include "tap.h"


/* What is said of a thing that fails and works, and that once. */


#define ENTRIES  64
#define START    1000000
#define QUIET    NGX_TROVE_HEALTH_QUIET


static ngx_trove_slots_t *
table_of(void)
{
    void    *p;
    size_t   size;

    size = ngx_trove_health_size(ENTRIES);

    p = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_ANON|MAP_SHARED, -1, 0);

    if (p == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }

    /* nobody promises zeroes */

    memset(p, 0xa5, size);

    return ngx_trove_health_create(p, ENTRIES);
}


static ngx_trove_health_t *
entry_of(ngx_trove_slots_t *table, int i)
{
    u_char     buf[64];
    ngx_str_t  name;

    name.data = buf;
    name.len = sprintf((char *) buf, "name %d", i);

    return ngx_trove_health_find(table, &name);
}


static void
names(void)
{
    int                  i, same, twice;
    ngx_trove_slots_t   *table;
    ngx_trove_health_t  *entries[ENTRIES];

    table = table_of();

    for (i = 0, twice = 0; i < ENTRIES; i++) {
        entries[i] = entry_of(table, i);
        twice += (i && entries[i] == entries[i - 1]);
    }

    for (i = 0, same = 0; i < ENTRIES; i++) {
        same += (entries[i] && entry_of(table, i) == entries[i]);
    }

    tap_ok(same == ENTRIES, "each name has an entry");
    tap_ok(twice == 0, "of its own");
    tap_ok(entry_of(table, ENTRIES) == NULL, "until there is no room");
}


static void
changes(void)
{
    uint64_t             time, failures;
    ngx_trove_slots_t   *table;
    ngx_trove_health_t  *h;

    table = table_of();
    h = entry_of(table, 0);
    time = 0;
    failures = 0;

    tap_ok(!ngx_trove_health_works(h, START, &time, &failures),
           "that it works at first is not said");
    tap_ok(ngx_trove_health_failed(h, START), "that it fails is");
    tap_ok(!ngx_trove_health_failed(h, START + 1), "once");
    tap_ok(!ngx_trove_health_failed(h, START + 10 * QUIET), "for good");

    tap_ok(ngx_trove_health_works(h, START + 10 * QUIET + 5, &time, &failures),
           "that it works again is said");
    tap_ok(time == 10 * QUIET + 5, "with the time");
    tap_ok(failures == 3, "and the failures");
    tap_ok(!ngx_trove_health_works(h, START + 10 * QUIET + 6, &time, &failures),
       "once");
    tap_ok(ngx_trove_health_failed(h, START + 11 * QUIET), "and so on");

    tap_ok(ngx_trove_health_works(h, START + 11 * QUIET - 1, &time, &failures)
           && time == 0, "a clock that is behind is no long time");
    tap_ok(failures == 1, "failures are counted anew");

    tap_ok(!ngx_trove_health_failed(h, START + 12 * QUIET - 1),
           "what fails again at once is not said");
    tap_ok(!ngx_trove_health_works(h, START + 12 * QUIET - 1, &time, &failures),
           "nor that it works");
    tap_ok(ngx_trove_health_failed(h, START + 12 * QUIET),
           "but after a minute");
}


static void
happens(void)
{
    ngx_trove_health_t  *h;

    h = entry_of(table_of(), 0);

    tap_ok(ngx_trove_health_happened(h, START) == 1, "the first is said");
    tap_ok(ngx_trove_health_happened(h, START + 1) == 0, "the second is not");
    tap_ok(ngx_trove_health_happened(h, START + QUIET - 1) == 0,
           "nor the third");
    tap_ok(ngx_trove_health_happened(h, START + QUIET) == 3,
           "then all since are");
    tap_ok(ngx_trove_health_happened(h, START + QUIET + 1) == 0, "and so on");
}


/* of many processes at the same time, one says it */

static void
race(void)
{
    int                  i, k, status, said, rounds;
    pid_t                pids[4];
    uint64_t             time, failures, now;
    ngx_trove_slots_t   *table;
    ngx_trove_health_t  *h, *often;

    /* only one process at a time may look for an entry */

    table = table_of();
    h = entry_of(table, 0);
    often = entry_of(table, 1);
    rounds = 20;
    said = 0;

    for (k = 0; k < rounds; k++) {
        now = START + (uint64_t) k * QUIET;

        for (i = 0; i < 4; i++) {
            pids[i] = fork();

            if (pids[i] == 0) {
                _exit(ngx_trove_health_failed(h, now)
                      + (ngx_trove_health_happened(often, now) ? 2 : 0));
            }
        }

        for (i = 0; i < 4; i++) {
            if (waitpid(pids[i], &status, 0) == pids[i]
                && WIFEXITED(status))
            {
                said += (WEXITSTATUS(status) & 1)
                        + 100 * (WEXITSTATUS(status) >> 1);
            }
        }

        (void) ngx_trove_health_works(h, now, &time, &failures);
    }

    tap_ok(said % 100 == rounds, "one of four processes says it");
    tap_ok(said / 100 == rounds, "whatever it is");
}


int
main(void)
{
    names();
    changes();
    happens();
    race();

    return tap_done();
}
