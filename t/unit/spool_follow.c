
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "spool.h"


/* Events that follow a number: what a stream reads. */


#define EVENTS  (NGX_TROVE_SPOOL_SCAN + 300)
#define BATCH   500
#define BEGIN   ((int64_t) 1777550400000)


static void empty(void);
static void store(void);
static void pages(void);
static void filtered(void);
static void bytes(void);
static void gaps(void);
static void bounds(void);
static void seek(void);
static void meanwhile(void);
static ngx_trove_spool_follow_t *follow(int64_t after, ngx_uint_t limit,
    size_t max_bytes);


static ngx_trove_spool_t         *spool;
static ngx_trove_spool_filter_t   filter;
static ngx_str_t                  types[1];


int
main(void)
{
    spool_mkdir();
    spool = spool_open();

    empty();
    store();
    pages();
    filtered();
    bytes();
    gaps();
    bounds();
    seek();
    meanwhile();

    ngx_trove_spool_destroy(spool);

    return tap_done();
}


static void
empty(void)
{
    ngx_trove_spool_follow_t  *page;

    tap_is(ngx_trove_spool_last(spool, &error), 0, "no event yet");
    tap_is(ngx_trove_spool_seek(spool, BEGIN, &error), 0, "nor at any time");

    page = follow(0, 10, 1000);

    tap_is(page->n, 0, "nothing follows");
    tap_is(page->next, 0, "the place is the same");
    tap_is(page->last, 0, "the last one");

    ngx_trove_spool_free(page);
}


/* one of 5000 is rare */

static void
store(void)
{
    ngx_uint_t  i, n;

    static accept_t  ops[BATCH];

    for (n = 1; n <= EVENTS; n += i) {

        for (i = 0; i < BATCH && n + i <= EVENTS; i++) {
            (void) accept_op(&ops[i], n + i, "", 0);

            ops[i].op.u.accept.event.received = BEGIN + (int64_t) (n + i) * 10;

            if ((n + i) % 5000 == 0) {
                ops[i].op.u.accept.event.type = str("rare");
            }

            if (i) {
                ops[i - 1].op.next = &ops[i].op;
            }
        }

        spool_write(spool, &ops[0].op);
    }

    tap_is(ngx_trove_spool_last(spool, &error), EVENTS, "the last one");
}


static void
pages(void)
{
    char                       id[32];
    int64_t                    after;
    ngx_uint_t                 i, seen, bad;
    ngx_trove_spool_follow_t  *page;

    after = 0;
    seen = 0;
    bad = 0;

    do {
        page = follow(after, 77, 1000000);

        for (i = 0; i < page->n; i++) {
            seen++;

            (void) snprintf(id, sizeof(id), "evt-%d", (int) seen);

            bad += page->events[i].number != (int64_t) seen
                   || page->events[i].id.len != strlen(id)
                   || memcmp(page->events[i].id.data, id, strlen(id)) != 0
                   || page->events[i].body.len == 0;
        }

        bad += page->last != EVENTS || page->next != (int64_t) seen;

        after = page->next;

        ngx_trove_spool_free(page);

    } while (after < EVENTS && bad == 0);

    tap_is(seen, EVENTS, "each event once");
    tap_is(bad, 0, "in order");
}


/* a call examines a limited number of events */

static void
filtered(void)
{
    ngx_trove_spool_follow_t  *page;

    types[0] = str("ra*");
    filter.types = types;
    filter.ntypes = 1;

    page = follow(0, 100, 1000000);

    tap_is(page->n, 2, "those that match");
    tap_is(page->events[1].number, 10000, "the second one");
    tap_is(page->next, NGX_TROVE_SPOOL_SCAN, "as far as has been examined");
    tap_is(page->last, EVENTS, "there are more");

    ngx_trove_spool_free(page);

    page = follow(NGX_TROVE_SPOOL_SCAN, 100, 1000000);

    tap_is(page->n, 0, "none of these");
    tap_is(page->next, EVENTS, "to the end");

    ngx_trove_spool_free(page);

    page = follow(0, 1, 1000000);

    tap_is(page->n, 1, "one");
    tap_is(page->next, 5000, "and no further");

    ngx_trove_spool_free(page);

    ngx_memzero(&filter, sizeof(filter));

    filter.workspace = str("ws-2");

    page = follow(EVENTS - 10, 100, 1000000);

    tap_is(page->n, 0, "none of another workspace");
    tap_is(page->next, EVENTS, "to the end");

    ngx_trove_spool_free(page);

    ngx_memzero(&filter, sizeof(filter));
}


static void
bytes(void)
{
    ngx_trove_spool_follow_t  *page;

    page = follow(0, 100, 0);

    tap_is(page->n, 1, "at least one event");
    tap_is(page->next, 1, "the next one is left");

    ngx_trove_spool_free(page);

    page = follow(100, 100, 80);

    tap_ok(page->n > 1 && page->n < 5, "no more than fit: %d", (int) page->n);
    tap_is(page->next, 100 + (int64_t) page->n, "the rest is left");

    ngx_trove_spool_free(page);
}


/* events that have been removed, also at the end, and after the place */

static void
gaps(void)
{
    ngx_trove_spool_follow_t  *page;

    (void) sql_int("DELETE FROM event WHERE number BETWEEN 11 AND 20");
    (void) sql_int("DELETE FROM event WHERE number > 10298");

    page = follow(9, 3, 1000000);

    tap_is(page->n, 3, "beyond a gap");
    tap_is(page->events[0].number, 10, "before it");
    tap_is(page->events[1].number, 21, "after it");
    tap_is(page->next, 22, "where it continues");

    ngx_trove_spool_free(page);

    page = follow(14, 1, 1000000);

    tap_is(page->events[0].number, 21, "from within a gap");

    ngx_trove_spool_free(page);

    page = follow(10297, 10, 1000000);

    tap_is(page->n, 1, "those at the end are missing");
    tap_is(page->next, EVENTS, "and are not waited for");
    tap_is(page->last, EVENTS, "the last one remains the last");

    ngx_trove_spool_free(page);
}


static void
bounds(void)
{
    ngx_trove_spool_follow_t  *page;

    page = follow(EVENTS, 10, 1000000);

    tap_is(page->n, 0, "nothing after the last one");
    tap_is(page->next, EVENTS, "the place is the same");

    ngx_trove_spool_free(page);

    page = follow(INT64_MAX, 10, 1000000);

    tap_is(page->n, 0, "nothing after one that does not exist");
    tap_is(page->next, EVENTS, "the place is the end");

    ngx_trove_spool_free(page);
}


static void
seek(void)
{
    tap_is(ngx_trove_spool_seek(spool, BEGIN, &error), 0, "from the first");
    tap_is(ngx_trove_spool_seek(spool, INT64_MIN, &error), 0, "any time");
    tap_is(ngx_trove_spool_seek(spool, BEGIN + 5000, &error), 499,
           "at the time of an event");
    tap_is(ngx_trove_spool_seek(spool, BEGIN + 5001, &error), 500,
           "after it");
    tap_is(ngx_trove_spool_seek(spool, INT64_MAX, &error), 10298,
           "the last one that is left");
}


/* what is accepted after a call is above last, and is found by the next one */

static void
meanwhile(void)
{
    int64_t                    after, number;
    ngx_uint_t                 i, bad;
    ngx_trove_spool_t         *other;
    ngx_trove_spool_follow_t  *page;

    other = spool_open();
    after = ngx_trove_spool_last(spool, &error);
    bad = 0;

    for (i = 0; i < 50; i++) {
        number = spool_accept(i % 2 ? other : spool, 100000 + i, "a", 0, NULL);

        page = follow(after, 10, 1000000);

        bad += number <= after || page->n != 1
               || page->events[0].number != number || page->next != number;

        after = page->next;

        ngx_trove_spool_free(page);
    }

    tap_is(bad, 0, "events of two handles");

    ngx_trove_spool_destroy(other);
}


static ngx_trove_spool_follow_t *
follow(int64_t after, ngx_uint_t limit, size_t max_bytes)
{
    ngx_trove_spool_follow_t  *page;

    page = ngx_trove_spool_follow(spool, &filter, after, limit, max_bytes,
                                  &error);

    if (page == NULL) {
        die("follow %lld", (long long) after);
    }

    return page;
}
