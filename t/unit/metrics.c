
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/wait.h>

#include "ngx_trove_gauges.h"
#include "ngx_trove_metrics.h"
#include "tap.h"


/* The tables of counters and of gauges: names, room, copies, dead owners. */


#define SETS    1000
#define GAUGES  20


static void *
shared(size_t size)
{
    void  *p;

    p = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_ANON|MAP_SHARED, -1, 0);

    if (p == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }

    /* nobody promises zeroes */

    memset(p, 0xa5, size);

    return p;
}


static ngx_trove_metrics_set_t *
set_of(ngx_trove_metrics_t *table, const char *prefix, int i)
{
    u_char     buf[64];
    ngx_str_t  name;

    name.data = buf;
    name.len = sprintf((char *) buf, "%s%d", prefix, i);

    return ngx_trove_metrics_set(table, &name);
}


static void
counters(void)
{
    int                       i, same, seen, wrong;
    static char               taken[SETS];
    ngx_uint_t                n;
    ngx_trove_metrics_t      *table, *larger, *smaller;
    ngx_trove_metrics_set_t  *set;

    table = ngx_trove_metrics_create(shared(ngx_trove_metrics_size(SETS)),
                                     SETS);
    seen = 0;

    for (i = 0; i < SETS; i++) {
        set = set_of(table, "a", i);

        if (set == NULL) {
            continue;
        }

        n = ngx_trove_metrics_index(table, set);
        seen += n < SETS && !taken[n];
        taken[n] = 1;

        ngx_trove_metrics_add(set, i, 0, 1);
        ngx_trove_metrics_add(set, 1, NGX_TROVE_METRICS_COUNTERS - 1, i);
    }

    tap_is(seen, SETS, "a table takes as many names as it has room for");
    tap_ok(set_of(table, "b", 0) == NULL, "and not one more");

    same = 0;

    for (i = 0; i < SETS; i++) {
        set = set_of(table, "a", i);
        same += set && ngx_trove_metrics_sum(set, 0) == 1
                && ngx_trove_metrics_sum(set, NGX_TROVE_METRICS_COUNTERS - 1)
                   == (uint64_t) i;
    }

    tap_is(same, SETS, "each is found again, with its counters");

    larger = ngx_trove_metrics_create(shared(ngx_trove_metrics_size(2 * SETS)),
                                      2 * SETS);
    (void) set_of(larger, "b", 0);
    ngx_trove_metrics_copy(larger, table);

    wrong = 0;

    for (i = 0; i < SETS; i++) {
        set = set_of(larger, "a", i);
        wrong += !set || ngx_trove_metrics_sum(set, 0) != 1
                 || ngx_trove_metrics_sum(set, NGX_TROVE_METRICS_COUNTERS - 1)
                    != (uint64_t) i;
    }

    tap_is(wrong, 0, "a larger table takes them over");

    /* from one that has free sets between those in use */

    smaller = ngx_trove_metrics_create(shared(ngx_trove_metrics_size(64)), 64);

    for (i = 0; i < 10; i++) {
        ngx_trove_metrics_add(set_of(smaller, "c", i), 0, 3, 7);
    }

    larger = ngx_trove_metrics_create(shared(ngx_trove_metrics_size(128)), 128);
    ngx_trove_metrics_copy(larger, smaller);

    for (i = 0, same = 0; i < 10; i++) {
        same += ngx_trove_metrics_sum(set_of(larger, "c", i), 3) == 7;
    }

    tap_is(same, 10, "wherever they are in it");
}


/* a process that has a slot with so much in a gauge, until it is killed */

static pid_t
holder(ngx_trove_gauges_t *gauges, ngx_uint_t gauge, int n)
{
    int                       ready[2];
    char                      c;
    pid_t                     pid;
    ngx_trove_gauges_slot_t  *slot;

    if (pipe(ready) != 0 || (pid = fork()) == -1) {
        perror("fork");
        exit(1);
    }

    if (pid == 0) {
        slot = ngx_trove_gauges_claim(gauges, getpid());

        while (slot && n--) {
            ngx_trove_gauges_up(slot, gauge);
        }

        (void) !write(ready[1], slot ? "+" : "-", 1);

        /* ends with its parent, too */

        close(ready[1]);

        for (n = 0; n < 600 && getppid() != 1; n++) {
            usleep(100000);
        }

        _exit(0);
    }

    close(ready[1]);

    if (read(ready[0], &c, 1) != 1 || c != '+') {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        pid = 0;
    }

    close(ready[0]);

    return pid;
}


static void
end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}


static uint64_t
sum(ngx_trove_gauges_t *gauges, ngx_uint_t gauge)
{
    uint64_t  sums[GAUGES];

    ngx_trove_gauges_sum(gauges, sums);

    return sums[gauge];
}


static void
gauges(void)
{
    int                       i, n;
    pid_t                     pid, pids[NGX_TROVE_GAUGES_SLOTS];
    ngx_trove_gauges_t       *g;
    ngx_trove_gauges_slot_t  *slot, *again;

    g = ngx_trove_gauges_create(shared(ngx_trove_gauges_size(GAUGES)), GAUGES);

    tap_is(ngx_trove_gauges_count(g), GAUGES, "so many gauges");
    tap_is(sum(g, 0), 0, "0 before anybody came");

    slot = ngx_trove_gauges_claim(g, getpid());
    tap_ok(slot != NULL, "a slot");
    tap_ok(ngx_trove_gauges_owned(slot, getpid()), "is ours");
    tap_ok(!ngx_trove_gauges_owned(slot, getppid()), "and nobody else's");
    tap_is(sum(g, GAUGES - 1), 0, "0 in it");

    ngx_trove_gauges_up(slot, 3);
    ngx_trove_gauges_up(slot, 3);
    ngx_trove_gauges_up(slot, GAUGES - 1);
    tap_is(sum(g, 3), 2, "up");

    again = ngx_trove_gauges_claim(g, getpid());
    tap_ok(again == slot, "the same slot again");
    tap_is(sum(g, 3), 2, "as it was");

    ngx_trove_gauges_down(slot, 3);
    tap_is(sum(g, 3), 1, "down");
    ngx_trove_gauges_down(slot, 0);
    tap_is(sum(g, 0), 0, "not below 0");

    pid = holder(g, 3, 5);
    tap_is(sum(g, 3), 6, "with those of another process");

    end(pid);
    tap_is(sum(g, 3), 1, "until it is killed");

    pid = holder(g, 4, 2);
    tap_is(sum(g, 3), 1, "who gets its slot, finds nothing in it");
    tap_is(sum(g, 4), 2, "but what is its own");
    end(pid);

    ngx_trove_gauges_release(g, getpid());
    tap_is(sum(g, GAUGES - 1), 0, "given back");

    for (n = 0; n < NGX_TROVE_GAUGES_SLOTS; n++) {
        pids[n] = holder(g, 1, 1);

        if (pids[n] == 0) {
            break;
        }
    }

    tap_is(n, NGX_TROVE_GAUGES_SLOTS, "as many processes as there are slots");
    tap_is(sum(g, 1), n, "which all count");
    tap_ok(ngx_trove_gauges_claim(g, getpid()) == NULL, "no room for another");

    end(pids[--n]);
    tap_ok(ngx_trove_gauges_claim(g, getpid()) != NULL, "until one is dead");
    tap_is(sum(g, 1), n, "the others are untouched");

    for (i = 0; i < n; i++) {
        end(pids[i]);
    }
}


int
main(void)
{
    counters();
    gauges();

    return tap_done();
}
