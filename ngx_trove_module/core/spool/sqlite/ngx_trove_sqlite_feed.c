
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_query.h"
#include "ngx_trove_time.h"


static ngx_int_t ngx_trove_sqlite_feed_start(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_feed_t *feed);
static ngx_int_t ngx_trove_sqlite_feed_scan(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_feed_t *feed);
static ngx_uint_t ngx_trove_sqlite_feed_enough(ngx_trove_spool_feed_t *feed);
static ngx_uint_t ngx_trove_sqlite_feed_match(ngx_trove_spool_feed_t *feed,
    ngx_trove_spool_event_t *event, ngx_trove_spool_feed_item_t *item);
static void ngx_trove_sqlite_feed_keep(ngx_trove_spool_feed_t *feed,
    ngx_trove_spool_feed_item_t *item);
static void ngx_trove_sqlite_feed_left(ngx_trove_spool_feed_t *feed,
    int64_t number);
static ngx_uint_t ngx_trove_sqlite_feed_before(ngx_trove_spool_feed_t *feed,
    ngx_trove_spool_feed_item_t *a, ngx_trove_spool_feed_item_t *b);
static ngx_int_t ngx_trove_sqlite_feed_page(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_feed_t *feed);
static ngx_int_t ngx_trove_sqlite_feed_event(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_feed_t *feed, int64_t number, size_t *bytes);
static ngx_uint_t ngx_trove_sqlite_feed_whole(ngx_trove_spool_feed_t *feed,
    ngx_uint_t n);
static void ngx_trove_sqlite_feed_next(ngx_trove_spool_feed_t *feed,
    ngx_uint_t n);
static void ngx_trove_sqlite_feed_reverse(ngx_trove_spool_events_t *page);


ngx_int_t
ngx_trove_sqlite_feed(ngx_trove_spool_t *base, ngx_trove_spool_feed_t *feed,
    ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    ngx_int_t               rc;
    ngx_trove_sqlite_db_t  *db;

    feed->page = NULL;

    db = ngx_trove_sqlite_read(spool, error);
    if (db == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_OK;

    if (!feed->started) {
        rc = ngx_trove_sqlite_feed_start(spool, db, feed);
    }

    if (rc == NGX_OK) {
        rc = ngx_trove_sqlite_feed_scan(db, feed);
    }

    if (rc == NGX_OK) {
        rc = ngx_trove_sqlite_feed_page(db, feed);
    }

    ngx_trove_sqlite_read_end(spool, db, rc);

    if (rc != NGX_OK) {
        ngx_trove_spool_free(feed->page);
        feed->page = NULL;
    }

    return rc;
}


static ngx_int_t
ngx_trove_sqlite_feed_start(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_feed_t *feed)
{
    int64_t  first, received;

    feed->limit = ngx_max(1, ngx_min(feed->limit, NGX_TROVE_SPOOL_FEED));

    feed->nitems = 0;
    feed->further = 0;
    feed->left = 0;
    feed->more = 0;

    /* the first event to be examined is next to the position */

    if (feed->place.number) {
        feed->position = feed->forward ? feed->place.from - 1
                                       : feed->place.from + 1;

    } else if (feed->forward) {
        received = feed->since / NGX_TROVE_TIME_MSEC;

        /* times in the future say nothing about the time of receipt */

        if (received > ngx_trove_sqlite_wall(spool) + NGX_TROVE_SPOOL_SKEW) {
            received = 0;
        }

        received -= NGX_TROVE_SPOOL_SKEW;
        first = ngx_trove_sqlite_scan_seek(db, received);

        if (first == -1) {
            return NGX_ERROR;
        }

        feed->position = first - 1;

    } else {
        feed->position = INT64_MAX;
    }

    feed->started = 1;

    return NGX_OK;
}


/* NGX_OK: enough has been examined; NGX_AGAIN; NGX_ERROR */

static ngx_int_t
ngx_trove_sqlite_feed_scan(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_feed_t *feed)
{
    ngx_int_t                     rc;
    ngx_uint_t                    n;
    sqlite3_stmt                 *stmt;
    ngx_trove_spool_event_t       event;
    ngx_trove_spool_feed_item_t   item;

    stmt = ngx_trove_sqlite_sql(db, feed->forward
                                    ? NGX_TROVE_SQLITE_SQL_EVENT_SCAN_UP
                                    : NGX_TROVE_SQLITE_SQL_EVENT_SCAN);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, feed->position);
    (void) sqlite3_bind_int64(stmt, 2, feed->forward ? INT64_MAX : 0);
    (void) sqlite3_bind_int64(stmt, 3, NGX_TROVE_SPOOL_SCAN);

    for (n = 0; /* void */ ; n++) {

        rc = ngx_trove_sqlite_step(db, stmt);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DONE) {
            return (n < NGX_TROVE_SPOOL_SCAN) ? NGX_OK : NGX_AGAIN;
        }

        ngx_trove_sqlite_event_row(stmt, 0, &event);

        feed->position = event.number;

        if (ngx_trove_sqlite_feed_match(feed, &event, &item)) {
            ngx_trove_sqlite_feed_keep(feed, &item);
        }

        if (ngx_trove_sqlite_feed_enough(feed)) {
            (void) sqlite3_reset(stmt);
            return NGX_OK;
        }
    }
}


static ngx_uint_t
ngx_trove_sqlite_feed_enough(ngx_trove_spool_feed_t *feed)
{
    if (feed->nitems <= feed->limit
        || feed->further++ < NGX_TROVE_SPOOL_DISORDER)
    {
        return 0;
    }

    /* an event between two pages must not be examined after the second one */

    return feed->place.number == 0
           || (feed->forward ? feed->position >= feed->place.reach
                             : feed->position <= feed->place.reach);
}


static ngx_uint_t
ngx_trove_sqlite_feed_match(ngx_trove_spool_feed_t *feed,
    ngx_trove_spool_event_t *event, ngx_trove_spool_feed_item_t *item)
{
    ngx_uint_t                    seen;
    ngx_trove_spool_place_t      *place;
    ngx_trove_spool_feed_item_t   last;

    item->number = event->number;
    item->created = ngx_trove_spool_created(event);

    if ((feed->forward && item->created <= feed->since)
        || (feed->until && item->created >= feed->until))
    {
        return 0;
    }

    place = &feed->place;

    if (place->number) {

        /* events that had not been examined have not been returned */

        seen = feed->forward ? item->number <= place->reach
                             : item->number >= place->reach;

        last.created = place->created;
        last.number = place->number;

        if (seen && !ngx_trove_sqlite_feed_before(feed, &last, item)) {
            return 0;
        }
    }

    return ngx_trove_spool_match(feed->filter, event);
}


/* keeps one more than a page, in the order of the feed */

static void
ngx_trove_sqlite_feed_keep(ngx_trove_spool_feed_t *feed,
    ngx_trove_spool_feed_item_t *item)
{
    ngx_uint_t  i;

    i = feed->nitems;

    while (i > 0
           && ngx_trove_sqlite_feed_before(feed, item, &feed->items[i - 1]))
    {
        i--;
    }

    if (i == feed->limit + 1) {
        ngx_trove_sqlite_feed_left(feed, item->number);
        return;
    }

    if (feed->nitems == feed->limit + 1) {
        feed->nitems--;
        ngx_trove_sqlite_feed_left(feed, feed->items[feed->nitems].number);
    }

    ngx_memmove(&feed->items[i + 1], &feed->items[i],
                (feed->nitems - i) * sizeof(ngx_trove_spool_feed_item_t));

    feed->items[i] = *item;
    feed->nitems++;
}


/* the next page must begin with the first event that is left */

static void
ngx_trove_sqlite_feed_left(ngx_trove_spool_feed_t *feed, int64_t number)
{
    if (feed->left == 0
        || (feed->forward ? number < feed->left : number > feed->left))
    {
        feed->left = number;
    }
}


static ngx_uint_t
ngx_trove_sqlite_feed_before(ngx_trove_spool_feed_t *feed,
    ngx_trove_spool_feed_item_t *a, ngx_trove_spool_feed_item_t *b)
{
    if (a->created != b->created) {
        return feed->forward ? a->created < b->created
                             : a->created > b->created;
    }

    return feed->forward ? a->number < b->number : a->number > b->number;
}


static ngx_int_t
ngx_trove_sqlite_feed_page(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_feed_t *feed)
{
    size_t      bytes;
    ngx_int_t   rc;
    ngx_uint_t  n;

    feed->page = ngx_trove_sqlite_read_alloc(db, NULL,
                                             sizeof(ngx_trove_spool_events_t));
    if (feed->page == NULL) {
        return NGX_ERROR;
    }

    feed->page->events = ngx_trove_sqlite_read_alloc(db, feed->page,
                             feed->limit * sizeof(ngx_trove_spool_event_t));
    if (feed->page->events == NULL) {
        return NGX_ERROR;
    }

    bytes = 0;

    for (n = 0; n < feed->nitems && n < feed->limit; n++) {

        rc = ngx_trove_sqlite_feed_event(db, feed, feed->items[n].number,
                                         &bytes);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_BUSY) {
            break;
        }
    }

    if (feed->forward) {
        n = ngx_trove_sqlite_feed_whole(feed, n);
    }

    ngx_trove_sqlite_feed_next(feed, n);

    if (feed->page->n == 0 && feed->more) {

        /* all of them have been removed since an earlier call */

        feed->place = feed->next;
        feed->started = 0;

        return NGX_AGAIN;
    }

    if (feed->forward) {
        ngx_trove_sqlite_feed_reverse(feed->page);
    }

    return NGX_OK;
}


/* NGX_OK; NGX_DECLINED: it has been removed; NGX_BUSY: it is too large */

static ngx_int_t
ngx_trove_sqlite_feed_event(ngx_trove_sqlite_db_t *db,
    ngx_trove_spool_feed_t *feed, int64_t number, size_t *bytes)
{
    ngx_int_t                  rc;
    sqlite3_stmt              *stmt;
    ngx_trove_spool_event_t    row;
    ngx_trove_spool_events_t  *page;

    stmt = ngx_trove_sqlite_sql(db, NGX_TROVE_SQLITE_SQL_EVENT);
    if (stmt == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(stmt, 1, number);

    rc = ngx_trove_sqlite_step(db, stmt);

    if (rc != NGX_OK) {
        return (rc == NGX_DONE) ? NGX_DECLINED : NGX_ERROR;
    }

    ngx_trove_sqlite_event_row(stmt, 1, &row);

    page = feed->page;

    *bytes += row.body.len;

    if (page->n && *bytes > feed->max_bytes) {
        rc = NGX_BUSY;

    } else {
        rc = ngx_trove_sqlite_read_event(db, page, &page->events[page->n],
                                         &row);
        page->n += (rc == NGX_OK);
    }

    (void) sqlite3_reset(stmt);

    return rc;
}


/*
 * A reader that continues after the time of the last event does not get others
 * with the same time.  Returns how many of the n items are left on the page.
 */

static ngx_uint_t
ngx_trove_sqlite_feed_whole(ngx_trove_spool_feed_t *feed, ngx_uint_t n)
{
    int64_t                    created;
    ngx_uint_t                 i;
    ngx_trove_spool_events_t  *page;

    if (n == feed->nitems) {
        return n;
    }

    created = feed->items[n].created;

    for (i = n; i > 0 && feed->items[i - 1].created == created; i--) {
        /* void */
    }

    page = feed->page;

    if (i == 0 || page->n == 0 || page->events[0].number
                                  == feed->items[i].number)
    {
        return n;
    }

    while (n > i) {
        n--;

        if (page->n
            && page->events[page->n - 1].number == feed->items[n].number)
        {
            page->n--;
        }
    }

    return n;
}


static void
ngx_trove_sqlite_feed_next(ngx_trove_spool_feed_t *feed, ngx_uint_t n)
{
    ngx_uint_t                i;
    ngx_trove_spool_place_t  *next;

    /* the item after a full page exists, if any has been left */

    feed->more = (n < feed->nitems);

    if (!feed->more) {
        return;
    }

    for (i = n; i < feed->nitems; i++) {
        ngx_trove_sqlite_feed_left(feed, feed->items[i].number);
    }

    next = &feed->next;

    next->from = feed->left;
    next->reach = feed->position;

    if (n) {
        next->created = feed->items[n - 1].created;
        next->number = feed->items[n - 1].number;
    }
}


static void
ngx_trove_sqlite_feed_reverse(ngx_trove_spool_events_t *page)
{
    ngx_uint_t               i;
    ngx_trove_spool_event_t  event;

    for (i = 0; i < page->n / 2; i++) {
        event = page->events[i];
        page->events[i] = page->events[page->n - 1 - i];
        page->events[page->n - 1 - i] = event;
    }
}
