
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "spool.h"
#include "ngx_trove_time.h"


/* The feed: pages of events by created_at, in both directions. */


#define EVENTS  (NGX_TROVE_SPOOL_SCAN + 7500)
#define BATCH   500

/* the time of receipt of an event, wall clock */
#define BEGIN   ((int64_t) 1777550400000)


static void store(void);
static void backward(ngx_uint_t limit, const char *type);
static void forward(ngx_uint_t limit, const char *type);
static void reader(ngx_uint_t limit, const char *type);
static void late(void);
static void bounds(void);
static void bytes(void);
static void same(void);
static ngx_uint_t walk(ngx_trove_spool_feed_t *first, ngx_uint_t *order);
static ngx_uint_t compare(const char *type, int64_t since, int64_t until,
    ngx_uint_t up, ngx_uint_t n);
static int by_created(const void *a, const void *b);
static ngx_trove_spool_events_t *page_of(ngx_trove_spool_feed_t *feed);
static uint32_t rnd(void);


static ngx_trove_spool_t         *spool;
static ngx_trove_spool_filter_t   filter;
static ngx_str_t                  types[1];
static uint32_t                   seed = 1;

/* of event n: nanoseconds, and its type */
static int64_t                    created[EVENTS + 1];
static ngx_uint_t                 rare[EVENTS + 1];

/* what has been read */
static int64_t                    got[EVENTS + 1];
static int64_t                    want[EVENTS + 1];


int
main(void)
{
    ngx_uint_t  i;

    static ngx_uint_t  limits[] = { 500, 73, 0 };

    spool_mkdir();
    spool = spool_open();

    store();

    for (i = 0; limits[i]; i++) {
        backward(limits[i], NULL);
        forward(limits[i], NULL);
        reader(limits[i], NULL);
    }

    for (i = 3; i <= 7; i += 4) {
        backward(i, "rare");
        forward(i, "rare");
        reader(i, "rare");
    }

    late();
    bounds();
    bytes();
    same();

    ngx_trove_spool_destroy(spool);

    return tap_done();
}


/* in disorder, within the reach of a page; some with the same time, or none */

static void
store(void)
{
    int64_t                    received;
    ngx_uint_t                 i, k, n;
    ngx_trove_spool_accept_t  *accept;

    static char      texts[BATCH][64];
    static accept_t  ops[BATCH];

    for (i = 0, n = 1; n <= EVENTS; n += i) {

        for (i = 0; i < BATCH && n + i <= EVENTS; i++) {

            k = n + i;
            received = BEGIN + (int64_t) k * 10;

            (void) accept_op(&ops[i], k, "", 0);
            accept = &ops[i].op.u.accept;

            accept->event.received = received;

            rare[k] = (rnd() % 1000 == 0);

            if (rare[k]) {
                accept->event.type = str("rare");
            }

            /* at most 2000 events late; microseconds of 5 kinds each */

            created[k] = (received - rnd() % 20000) * NGX_TROVE_TIME_MSEC
                         + rnd() % 5 * 1000;

            switch (rnd() % 8) {

            case 0:
                ngx_str_null(&accept->event.created_at);
                created[k] = received * NGX_TROVE_TIME_MSEC;
                break;

            case 1:
                accept->event.created_at = str("today");
                created[k] = received * NGX_TROVE_TIME_MSEC;
                break;

            default:
                (void) snprintf(texts[i], sizeof(texts[i]),
                                "2026-04-30T%02d:%02d:%02d.%09lld+02:00",
                                14 + (int) ((created[k] / 1000000000
                                             - BEGIN / 1000 + 3600) / 3600 - 1),
                                (int) ((created[k] / 1000000000
                                        - BEGIN / 1000 + 3600) / 60 % 60),
                                (int) ((created[k] / 1000000000
                                        - BEGIN / 1000 + 3600) % 60),
                                (long long) (created[k] % 1000000000));
                accept->event.created_at = str(texts[i]);
            }

            ops[i].op.next = (i + 1 < BATCH && k < EVENTS) ? &ops[i + 1].op
                                                           : NULL;
        }

        spool_write(spool, &ops[0].op);
    }
}


static void
backward(ngx_uint_t limit, const char *type)
{
    ngx_uint_t              n, order;
    ngx_trove_spool_feed_t  feed;

    memset(&feed, 0, sizeof(feed));
    feed.limit = limit;

    if (type) {
        types[0] = str(type);
    }

    filter.types = types;
    filter.ntypes = (type != NULL);

    n = walk(&feed, &order);

    tap_is(compare(type, -1, 0, 0, n), 0, "all of %s, in pages of %d",
           type ? type : "any type", (int) limit);
    tap_is(order, 0, "newest first");
}


static void
forward(ngx_uint_t limit, const char *type)
{
    ngx_uint_t              n, order;
    ngx_trove_spool_feed_t  feed;

    memset(&feed, 0, sizeof(feed));
    feed.limit = limit;
    feed.forward = 1;
    feed.since = created[EVENTS / 4];
    feed.until = created[EVENTS / 4 * 3];

    n = walk(&feed, &order);

    tap_is(compare(type, feed.since, feed.until, 1, n), 0,
           "those between two times, in pages of %d", (int) limit);
    tap_is(order, 0, "each page newest first");
}


/* as a client that only knows the newest of what it has got */

static void
reader(ngx_uint_t limit, const char *type)
{
    int64_t                    since;
    ngx_uint_t                 i, n, order;
    ngx_trove_spool_feed_t     feed;
    ngx_trove_spool_events_t  *page;

    n = 0;
    order = 0;
    since = 0;

    for ( ;; ) {
        memset(&feed, 0, sizeof(feed));
        feed.limit = limit;
        feed.forward = 1;
        feed.since = since;

        page = page_of(&feed);

        if (page->n == 0) {
            order += feed.more;
            ngx_trove_spool_free(page);
            break;
        }

        for (i = page->n; i > 0 && n <= EVENTS; i--) {
            got[n++] = page->events[i - 1].number;
        }

        since = ngx_trove_spool_created(&page->events[0]);

        ngx_trove_spool_free(page);
    }

    tap_is(compare(type, 0, 0, 1, n), 0, "a reader by times, %d", (int) limit);
    tap_is(order, 0, "an empty page is the last one");
}


/* an event that is later than a page looks is on a later page, but is there */

static void
late(void)
{
    ngx_uint_t               i, n, order, seen;
    ngx_trove_spool_feed_t   feed;

    static accept_t  op;

    (void) accept_op(&op, EVENTS + 1, "", 0);
    op.op.u.accept.event.received = BEGIN + EVENTS * 10 + 10;
    op.op.u.accept.event.created_at = str("2026-04-30T12:00:01Z");
    op.op.u.accept.event.type = str("late");

    spool_write(spool, &op.op);

    filter.ntypes = 0;

    for (i = 0; i < 2; i++) {
        memset(&feed, 0, sizeof(feed));
        feed.limit = 500;
        feed.forward = i;

        n = walk(&feed, &order);

        for (seen = 0; n; n--) {
            seen += (got[n - 1] == EVENTS + 1);
        }

        tap_is(seen, 1, "a late event is there once");
    }

    tap_is(created[EVENTS] > 0, 1, "among the others");
}


static void
bounds(void)
{
    ngx_trove_spool_feed_t     feed;
    ngx_trove_spool_events_t  *page;

    memset(&feed, 0, sizeof(feed));
    feed.limit = 10;
    feed.forward = 1;
    feed.since = NGX_TROVE_TIME_MAX;

    page = page_of(&feed);

    tap_is(page->n, 0, "nothing after the end of time");
    tap_is(feed.more, 0, "and no more");

    ngx_trove_spool_free(page);

    memset(&feed, 0, sizeof(feed));
    feed.limit = 10;
    feed.until = 1;

    page = page_of(&feed);

    tap_is(page->n, 0, "nothing before its beginning");
    tap_is(feed.more, 0, "no more either");

    ngx_trove_spool_free(page);
}


static void
bytes(void)
{
    ngx_trove_spool_feed_t     feed;
    ngx_trove_spool_events_t  *page;

    memset(&feed, 0, sizeof(feed));
    feed.filter = &filter;
    feed.limit = 10;
    feed.max_bytes = 1;

    page = page_of(&feed);

    tap_is(page->n, 1, "one event, however large");
    tap_is(feed.more, 1, "of several");

    ngx_trove_spool_free(page);
}


/* more events with the same time than a page can have */

static void
same(void)
{
    ngx_uint_t               i, n, order;
    ngx_trove_spool_feed_t   feed;

    static accept_t  ops[8];

    for (i = 0; i < 8; i++) {
        (void) accept_op(&ops[i], EVENTS + 2 + i, "", 0);
        ops[i].op.u.accept.event.type = str("same");
        ops[i].op.u.accept.event.received = BEGIN + EVENTS * 10 + 20;
        ops[i].op.u.accept.event.created_at = (i < 2)
                                              ? str("2026-04-30T12:00:01Z")
                                              : str("2026-04-30T12:00:02Z");
        ops[i].op.next = (i < 7) ? &ops[i + 1].op : NULL;
    }

    spool_write(spool, &ops[0].op);

    types[0] = str("same");
    filter.types = types;
    filter.ntypes = 1;

    memset(&feed, 0, sizeof(feed));
    feed.limit = 4;
    feed.forward = 1;

    n = walk(&feed, &order);

    tap_is(n, 8, "all are read with a cursor");
    tap_is(order, 0, "in order");
    tap_is(got[1], EVENTS + 3, "the first page has those of one time");
    tap_is(got[2], EVENTS + 4, "the second one begins with the others");
}


/* reads all pages to got[]; *order: errors of the order within a page */

static ngx_uint_t
walk(ngx_trove_spool_feed_t *first, ngx_uint_t *order)
{
    int64_t                    a, b;
    ngx_uint_t                 i, n, more;
    ngx_trove_spool_feed_t     feed;
    ngx_trove_spool_events_t  *page;

    n = 0;
    *order = 0;

    feed = *first;

    do {
        page = page_of(&feed);
        more = feed.more;

        *order += (page->n == 0 && more) + (page->n > first->limit);

        for (i = 0; i < page->n && n <= EVENTS; i++) {

            if (i) {
                a = ngx_trove_spool_created(&page->events[i - 1]);
                b = ngx_trove_spool_created(&page->events[i]);

                *order += (a < b || (a == b && page->events[i - 1].number
                                               < page->events[i].number));
            }

            got[n++] = page->events[first->forward ? page->n - 1 - i
                                                   : i].number;
        }

        ngx_trove_spool_free(page);

        memset(&feed.items, 0, sizeof(feed.items));
        feed.place = feed.next;
        feed.started = 0;

    } while (more);

    return n;
}


/* the differences between got[] and what it should be */

static ngx_uint_t
compare(const char *type, int64_t since, int64_t until, ngx_uint_t up,
    ngx_uint_t n)
{
    ngx_uint_t  i, k, bad;

    k = 0;

    for (i = 1; i <= EVENTS; i++) {
        if ((type == NULL || rare[i])
            && created[i] > since && (until == 0 || created[i] < until))
        {
            want[k++] = i;
        }
    }

    qsort(want, k, sizeof(int64_t), by_created);

    if (k != n) {
        tap_diag("  %d events instead of %d", (int) n, (int) k);
        return 1;
    }

    bad = 0;

    for (i = 0; i < n; i++) {
        bad += (got[i] != want[up ? i : n - 1 - i]);
    }

    return bad;
}


static int
by_created(const void *a, const void *b)
{
    int64_t  m, n;

    m = *(const int64_t *) a;
    n = *(const int64_t *) b;

    if (created[m] != created[n]) {
        return created[m] < created[n] ? -1 : 1;
    }

    return m < n ? -1 : m > n;
}


static ngx_trove_spool_events_t *
page_of(ngx_trove_spool_feed_t *feed)
{
    ngx_int_t                rc;
    ngx_trove_spool_error_t  error;

    feed->filter = &filter;

    if (feed->max_bytes == 0) {
        feed->max_bytes = 8 * 1024 * 1024;
    }

    do {
        rc = ngx_trove_spool_feed(spool, feed, &error);
    } while (rc == NGX_AGAIN);

    if (rc != NGX_OK) {
        die("feed");
    }

    return feed->page;
}


static uint32_t
rnd(void)
{
    seed = seed * 1103515245 + 12345;

    return (seed >> 8) & 0xffffff;
}
