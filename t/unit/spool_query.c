
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "spool.h"


/* Lists, counters, replays: what the management API does. */


static void plans(void);
static void documented(void);
static void filled(void);
static void events(void);
static void one_event(void);
static void deliveries(void);
static void counters(void);
static void replays(void);
static void replays_many(void);
static void cancels(void);
static void many_attempts(void);
static void disordered(void);
static void damaged(void);


static ngx_trove_spool_t  *spool;


int
main(void)
{
    spool_mkdir();

    plans();
    documented();
    filled();
    events();
    one_event();
    deliveries();
    counters();
    replays();
    replays_many();
    cancels();
    many_attempts();
    disordered();
    damaged();

    tap_ok(spool_sound(), "all is sound");

    ngx_trove_spool_destroy(spool);

    return tap_done();
}


/* no statement reads more than it needs, however much there is */

static void
plans(void)
{
    char           text[2048];
    sqlite3       *db;
    ngx_uint_t     i, bad, own;
    const char    *step;
    sqlite3_stmt  *stmt;

    spool = spool_open();

    if (sqlite3_open(spool_path, &db) != SQLITE_OK) {
        die("open");
    }

    bad = 0;
    own = 0;

    for (i = 0; i < NGX_TROVE_SQLITE_SQL_MAX; i++) {

        tap_ok(ngx_trove_sqlite_sqls[i] != NULL, "statement %d is there",
               (int) i);

        snprintf(text, sizeof(text), "EXPLAIN QUERY PLAN %s",
                 ngx_trove_sqlite_sqls[i]);

        if (sqlite3_prepare_v2(db, text, -1, &stmt, NULL) != SQLITE_OK) {
            tap_diag("  %s: %s", ngx_trove_sqlite_sqls[i], sqlite3_errmsg(db));
            bad++;
            continue;
        }

        while (sqlite3_step(stmt) == SQLITE_ROW) {
            step = (const char *) sqlite3_column_text(stmt, 3);

            if (i == NGX_TROVE_SQLITE_SQL_DELIVERY_FEW) {

                /* a limited number of entries of the index */

                continue;
            }

            if (strstr(step, "SCAN spool") || strstr(step, "SCAN target")) {

                /* one row; one for each target */

                continue;
            }

            /* one for each workspace; those that are disabled */

            if (i == NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_COUNT
                && (strstr(step, "INDEX matching_workspace")
                    || strstr(step, "INDEX subscription_disabled")
                    || strstr(step, "CONSTANT ROW")))
            {
                continue;
            }

            /* what is pending is counted, and listed, as a whole */

            if ((i == NGX_TROVE_SQLITE_SQL_DELIVERY_OLDEST
                 || i == NGX_TROVE_SQLITE_SQL_SUBSCRIBED_OLDEST
                 || i == NGX_TROVE_SQLITE_SQL_DELIVERY_PENDING)
                && (strstr(step, "COVERING INDEX delivery_pending")
                    || strstr(step, "TEMP B-TREE")))
            {
                continue;
            }

            /* one row: the next target */

            if (i == NGX_TROVE_SQLITE_SQL_DELIVERY_TARGET
                && strstr(step, "SEARCH delivery USING COVERING INDEX "
                                "delivery_pending (target>?)"))
            {
                continue;
            }

            own += (strstr(step, "(workspace=? AND namespace=? AND number")
                    != NULL);

            if (strstr(step, "SCAN") || strstr(step, "TEMP B-TREE")
                || (strstr(step, "delivery_pending")
                    && !strstr(step, "(target=? AND state=?")))
            {
                tap_diag("  %s: %s", ngx_trove_sqlite_sqls[i], step);
                bad++;
            }
        }

        sqlite3_finalize(stmt);
    }

    tap_is(bad, 0, "each statement goes by an index");
    tap_is(own, 2, "the lists of a namespace do not read the others");

    sqlite3_close(db);
}


/* the page that describes the file has all columns, and its examples work */

static void
documented(void)
{
    char          *page, *p, *end, name[80];
    FILE          *f;
    size_t         n;
    sqlite3       *db;
    ngx_uint_t     missing, examples, bad;
    sqlite3_stmt  *stmt;

    page = calloc(1, 65536);
    f = fopen("docs/spool-schema.md", "r");

    if (page == NULL || f == NULL
        || (n = fread(page, 1, 65535, f)) == 0
        || sqlite3_open_v2(spool_path, &db, SQLITE_OPEN_READONLY, NULL)
           != SQLITE_OK
        || sqlite3_prepare_v2(db, "SELECT m.name, c.name FROM sqlite_master m, "
                              "pragma_table_info(m.name) c "
                              "WHERE m.type = 'table'", -1, &stmt, NULL)
           != SQLITE_OK)
    {
        die("documentation");
    }

    fclose(f);
    missing = 0;

    while (sqlite3_step(stmt) == SQLITE_ROW) {

        snprintf(name, sizeof(name), "`%s`", sqlite3_column_text(stmt, 1));

        if (strstr(page, name) == NULL) {
            tap_diag("  %s.%s is not in the page",
                     (const char *) sqlite3_column_text(stmt, 0),
                     (const char *) sqlite3_column_text(stmt, 1));
            missing++;
        }
    }

    sqlite3_finalize(stmt);

    tap_is(missing, 0, "all columns are documented");

    examples = 0;
    bad = 0;

    for (p = page; (p = strstr(p, "```sql\n")) != NULL; p = end) {
        p += 7;
        end = strstr(p, "```");

        if (sqlite3_prepare_v2(db, p, (int) (end - p), &stmt, NULL)
            != SQLITE_OK)
        {
            tap_diag("  %s", sqlite3_errmsg(db));
            bad++;
        }

        sqlite3_finalize(stmt);
        examples++;
    }

    tap_ok(examples >= 4, "there are examples");
    tap_is(bad, 0, "which work");

    sqlite3_close(db);
    free(page);
}


/*
 * Event n, of 1 to 40: for "a" and "b"; a type, namespace and workspace by n;
 * received a minute after the one before.  "a" is delivered, "b" fails where n
 * is divided by 4, is tried again where by 2, and waits otherwise.
 */

#define BEGIN  ((int64_t) 1795000000 * 1000)

static ngx_trove_spool_ref_t  refs[41][2];


static void
filled(void)
{
    accept_t               a;
    ngx_uint_t             n;
    ngx_trove_spool_op_t   outcome;

    for (n = 1; n <= 40; n++) {

        accept_op(&a, n, "a b", 1);

        a.op.u.accept.event.received = BEGIN + n * 60000;

        if (n % 2) {
            a.op.u.accept.event.type = str("exec.completed");
        }

        if (n % 10 == 0) {
            a.op.u.accept.event.namespace = str("customer-1");

        } else if (n % 5 == 0) {
            a.op.u.accept.event.namespace = str(NULL);
        }

        if (n > 30) {
            a.op.u.accept.event.workspace = str("ws-2");
        }

        spool_write(spool, &a.op);

        refs[n][0] = a.targets[0].ref;
        refs[n][1] = a.targets[1].ref;

        spool_outcome(spool, refs[n][0], NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0);

        if (n % 4 == 0) {
            outcome_op(&outcome, refs[n][1], NGX_TROVE_SPOOL_TO_FAILED, 410,
                       0);
            outcome.u.outcome.reason = str("gone");
            spool_write(spool, &outcome);

        } else if (n % 2 == 0) {
            spool_outcome(spool, refs[n][1], NGX_TROVE_SPOOL_TO_RETRY, 503,
                          60000);
        }
    }
}


/* the numbers of what is in a list, page by page, as text */

static char *
list(ngx_trove_spool_filter_t *filter, ngx_uint_t limit, ngx_uint_t deliveries)
{
    int64_t                        cursor;
    ngx_uint_t                     i, pages, len;
    ngx_trove_spool_events_t      *e;
    ngx_trove_spool_deliveries_t  *d;

    static char  text[4096];

    cursor = 0;
    len = 0;
    pages = 0;
    text[0] = '\0';

    do {
        if (deliveries) {
            d = ngx_trove_spool_deliveries(spool, filter, cursor, limit,
                                           &error);
            if (d == NULL) {
                die("deliveries");
            }

            for (i = 0; i < d->n; i++) {
                len += snprintf(text + len, sizeof(text) - len, "%d%.*s ",
                                (int) (d->deliveries[i].id >> 16),
                                (int) d->deliveries[i].target.name.len,
                                d->deliveries[i].target.name.data);
            }

            if (d->n > limit) {
                die("too many");
            }

            cursor = d->next;
            ngx_trove_spool_free(d);

        } else {
            e = ngx_trove_spool_events(spool, filter, cursor, limit, 1000000,
                                       &error);
            if (e == NULL) {
                die("events");
            }

            for (i = 0; i < e->n; i++) {
                len += snprintf(text + len, sizeof(text) - len, "%d ",
                                (int) e->events[i].number);
            }

            if (e->n > limit) {
                die("too many");
            }

            cursor = e->next;
            ngx_trove_spool_free(e);
        }

        if (++pages > 100) {
            die("no end");
        }

    } while (cursor != 0);

    if (len) {
        text[len - 1] = '\0';
    }

    return text;
}


static void
events(void)
{
    size_t                      bytes;
    ngx_str_t                   types[2], namespaces[2];
    ngx_trove_spool_events_t   *page;
    ngx_trove_spool_filter_t    filter;

    memset(&filter, 0, sizeof(filter));

    tap_is_str(list(&filter, 7, 0), "40 39 38 37 36 35 34 33 32 31 30 29 28 27 "
               "26 25 24 23 22 21 20 19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 "
               "3 2 1", "all events, newest first, in pages of 7");

    filter.workspace = str("ws-2");
    tap_is_str(list(&filter, 5, 0), "40 39 38 37 36 35 34 33 32 31",
               "of a workspace");
    filter.workspace = str(NULL);

    types[0] = str("file.*");
    filter.types = types;
    filter.ntypes = 1;
    filter.since = BEGIN + 35 * 60000;
    tap_is_str(list(&filter, 100, 0), "40 38 36", "of some types, since then");

    types[0] = str("exec");
    types[1] = str("exec.completed");
    filter.ntypes = 2;
    filter.until = BEGIN + 39 * 60000;
    tap_is_str(list(&filter, 2, 0), "37 35", "and until then");

    filter.ntypes = 0;
    filter.since = 0;
    filter.until = BEGIN + 4 * 60000;
    tap_is_str(list(&filter, 2, 0), "3 2 1", "the oldest");

    filter.until = BEGIN;
    tap_is_str(list(&filter, 2, 0), "", "before all");

    filter.until = 0;
    filter.since = BEGIN + 41 * 60000;
    tap_is_str(list(&filter, 2, 0), "", "after all");
    filter.since = 0;

    namespaces[0] = str("customer-*");
    filter.namespaces = namespaces;
    filter.nnamespaces = 1;
    tap_is_str(list(&filter, 3, 0), "40 30 20 10", "of some namespaces");

    namespaces[0] = str("*");
    tap_is_str(list(&filter, 100, 0), "40 39 38 37 36 35 34 33 32 31 30 29 28 "
               "27 26 25 24 23 22 21 20 19 18 17 16 15 14 13 12 11 10 9 8 7 6 "
               "5 4 3 2 1", "* is any, and none");

    namespaces[0] = str("");
    tap_is_str(list(&filter, 3, 0), "", "\"\" is not none");
    filter.nnamespaces = 0;

    filter.id = str("evt-17");
    tap_is_str(list(&filter, 3, 0), "17", "by the id of the event");
    filter.id = str(NULL);

    page = ngx_trove_spool_events(spool, &filter, 0, 3, 1000, &error);
    tap_is(page->n, 3, "a page");
    tap_is(page->next, 38, "and the cursor for the next one");
    tap_is(page->events[0].received, BEGIN + 40 * 60000, "when it came");
    tap_is_mem(page->events[0].body.data, page->events[0].body.len,
               "{\"id\":\"evt-40\",\"n\":40}", 22, "the body");
    tap_is_mem(page->events[0].uri.data, page->events[0].uri.len, "/events", 7,
               "the URI");
    tap_is_mem(page->events[0].namespace.data, page->events[0].namespace.len,
               "customer-1", 10, "the namespace");
    bytes = page->events[0].body.len;
    ngx_trove_spool_free(page);

    page = ngx_trove_spool_events(spool, &filter, 0, 10, 2 * bytes + 1,
                                  &error);
    tap_is(page->n, 2, "no more than so many bytes");
    tap_is(page->next, 39, "and the rest in the next page");
    ngx_trove_spool_free(page);

    page = ngx_trove_spool_events(spool, &filter, 0, 10, 0, &error);
    tap_is(page->n, 1, "but one at least");
    ngx_trove_spool_free(page);
}


static void
one_event(void)
{
    u_char                     key[NGX_TROVE_SPOOL_KEY_LEN];
    ngx_trove_spool_events_t  *page;

    page = ngx_trove_spool_event(spool, 12, NULL, &error);
    tap_is(page->n, 1, "one by its number");
    tap_is_mem(page->events[0].id.data, page->events[0].id.len, "evt-12", 6,
               "is it");
    ngx_trove_spool_free(page);

    page = ngx_trove_spool_event(spool, 0, key_of(13, key), &error);
    tap_is(page->n, 1, "one by its key");
    tap_is(page->events[0].number, 13, "is it");
    ngx_trove_spool_free(page);

    page = ngx_trove_spool_event(spool, 0, key_of(1300, key), &error);
    tap_is(page->n, 0, "none by a key that is not there");
    ngx_trove_spool_free(page);

    page = ngx_trove_spool_event(spool, 1300, NULL, &error);
    tap_is(page->n, 0, "nor by such a number");
    ngx_trove_spool_free(page);
}


static void
deliveries(void)
{
    ngx_str_t                       types[1];
    ngx_trove_spool_filter_t        filter;
    ngx_trove_spool_deliveries_t   *page;

    memset(&filter, 0, sizeof(filter));

    filter.since = BEGIN + 37 * 60000;
    tap_is_str(list(&filter, 3, 1), "40b 40a 39b 39a 38b 38a 37b 37a",
               "all deliveries, newest first");
    filter.since = 0;

    filter.states = ngx_trove_spool_mask(NGX_TROVE_SPOOL_FAILED);
    tap_is_str(list(&filter, 4, 1), "40b 36b 32b 28b 24b 20b 16b 12b 8b 4b",
               "those that failed");

    filter.until = BEGIN + 17 * 60000;
    tap_is_str(list(&filter, 4, 1), "16b 12b 8b 4b", "until then");
    filter.until = 0;

    filter.workspace = str("ws-2");
    tap_is_str(list(&filter, 4, 1), "40b 36b 32b", "of a workspace");
    filter.workspace = str(NULL);

    filter.states = NGX_TROVE_SPOOL_PENDING;
    filter.target = str("b");
    filter.since = BEGIN + 31 * 60000;
    tap_is_str(list(&filter, 3, 1), "39b 38b 37b 35b 34b 33b 31b",
               "those that are pending for a target");

    filter.states = ngx_trove_spool_mask(NGX_TROVE_SPOOL_RETRY);
    tap_is_str(list(&filter, 100, 1), "38b 34b", "those that wait for a retry");

    filter.states |= ngx_trove_spool_mask(NGX_TROVE_SPOOL_FAILED);
    tap_is_str(list(&filter, 1, 1), "40b 38b 36b 34b 32b", "or failed");

    filter.states = ngx_trove_spool_mask(NGX_TROVE_SPOOL_DELIVERED);
    tap_is_str(list(&filter, 1, 1), "", "b has got none");

    filter.target = str("a");
    types[0] = str("exec.completed");
    filter.types = types;
    filter.ntypes = 1;
    tap_is_str(list(&filter, 1, 1), "39a 37a 35a 33a 31a",
               "what a has got of a type");

    filter.route = str("elsewhere");
    tap_is_str(list(&filter, 1, 1), "", "not of another route");

    page = ngx_trove_spool_delivery(spool, refs[4][1].id, &error);
    tap_is(page->n, 1, "one delivery");
    tap_is(page->deliveries[0].state, NGX_TROVE_SPOOL_FAILED, "its state");
    tap_is(page->deliveries[0].attempts, 1, "its attempts");
    tap_is_mem(page->deliveries[0].history[0].reason.data,
               page->deliveries[0].history[0].reason.len, "gone", 4,
               "and why");
    tap_ok(llabs(page->deliveries[0].due - ngx_trove_sqlite_wall(sqlite(spool)))
           < 600000, "and since when");
    ngx_trove_spool_free(page);

    page = ngx_trove_spool_event_deliveries(spool, 5, &error);
    tap_is(page->n, 2, "those of an event");
    tap_is(page->deliveries[0].state, NGX_TROVE_SPOOL_DELIVERED, "the first");
    tap_is(page->deliveries[0].history[0].status, 200, "with its response");
    tap_is(page->deliveries[1].state, NGX_TROVE_SPOOL_LEASED, "the other");
    tap_is(page->deliveries[1].nhistory, 0, "without any yet");
    tap_ok(page->deliveries[0].event == page->deliveries[1].event,
           "have the event in common");
    ngx_trove_spool_free(page);

    page = ngx_trove_spool_delivery(spool, 4711, &error);
    tap_is(page->n, 0, "none by another id");
    ngx_trove_spool_free(page);
}


static void
counters(void)
{
    ngx_trove_spool_stat_t    *stat;
    ngx_trove_spool_target_t   target;

    target.route = str("example.com/events");
    target.name = str("b");
    (void) ngx_trove_spool_pause(spool, &target, 1, &error);

    sqlite(spool)->skew_wall = BEGIN + 100 * 60000
                               - ngx_trove_sqlite_wall(sqlite(spool));

    stat = ngx_trove_spool_stat(spool, &error);

    tap_is(stat->events, 40, "events");
    tap_is(stat->states[NGX_TROVE_SPOOL_DELIVERED], 40, "delivered");
    tap_is(stat->states[NGX_TROVE_SPOOL_FAILED], 10, "failed");
    tap_is(stat->states[NGX_TROVE_SPOOL_RETRY], 10, "to be tried again");
    tap_is(stat->states[NGX_TROVE_SPOOL_LEASED], 20, "leased");
    tap_is(stat->states[NGX_TROVE_SPOOL_NEW], 0, "new");
    tap_is(stat->ntargets, 2, "targets");
    tap_is_mem(stat->targets[1].target.name.data, 1, "b", 1, "by name");
    tap_is(stat->targets[1].states[NGX_TROVE_SPOOL_FAILED], 10,
           "each with its own");
    tap_is(stat->targets[1].paused, 1, "paused");
    tap_is(stat->targets[0].paused, 0, "or not");
    tap_ok(llabs(stat->oldest - 99 * 60000) < 5000, "the age of the oldest");
    tap_ok(llabs(stat->targets[1].oldest - 99 * 60000) < 5000,
           "of the target");
    tap_is(stat->targets[0].oldest, 0, "where nothing waits, none");
    tap_ok(stat->used > 8192 && stat->size >= stat->used, "and the size");
    tap_is(stat->history, stat->used / 40 * 10,
           "of which events without a pending delivery have their part");
    tap_is(stat->max_size, sqlite(spool)->max_size, "and its limit");

    ngx_trove_spool_free(stat);

    sqlite(spool)->skew_wall = 0;
    (void) ngx_trove_spool_pause(spool, &target, 0, &error);
}


static void
replays(void)
{
    ngx_uint_t                     n;
    ngx_trove_spool_op_t           op;
    ngx_trove_spool_deliveries_t  *page;

    tap_is(ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_REPLAY, 4711, &error),
           NGX_DECLINED, "no replay of what is not there");
    tap_is(ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_REPLAY, refs[1][1].id,
                                   &error),
           NGX_BUSY, "nor of what is under way");
    tap_is(ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_REPLAY_COUNT,
                                   refs[4][1].id, &error),
           NGX_OK, "a dry run");
    tap_is(spool_state(spool, refs[4][1].id), NGX_TROVE_SPOOL_FAILED,
           "does nothing");

    tap_is(ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_REPLAY, refs[4][1].id,
                                   &error),
           NGX_OK, "a replay of what failed");
    tap_is(ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_REPLAY, refs[4][0].id,
                                   &error),
           NGX_OK, "and of what was delivered");

    n = spool_lease(spool, "a b", 10, 10);
    tap_is(n, 2, "both are due");
    tap_is(leased[1].attempt, 2, "for the second time");
    tap_is(leased[1].nth, 1, "for the first one of this window");
    tap_ok(leased[1].age < 5000, "with a new window");
    tap_is(leased[0].event->number, 4, "the first one");

    /* an old attempt is not what the replay asks for */

    outcome_op(&op, refs[4][0], NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0);
    op.u.outcome.started -= 60000;
    op.u.outcome.ref.file = refs[4][0].file;
    sqlite(spool)->owner++;
    spool_write(spool, &op);
    sqlite(spool)->owner--;
    tap_is(op.result, NGX_TROVE_SPOOL_LOST, "an attempt of before it");
    tap_is(spool_state(spool, refs[4][0].id), NGX_TROVE_SPOOL_LEASED,
           "does not end it");
    tap_is(sql_int("SELECT attempts - earlier FROM delivery WHERE "
                   "id >> 16 = 4 AND state = 2 ORDER BY id LIMIT 1"),
           0, "and does not count in this window");

    spool_outcome(spool, leased[0].ref, NGX_TROVE_SPOOL_TO_DELIVERED, 201, 0);
    spool_outcome(spool, leased[1].ref, NGX_TROVE_SPOOL_TO_DELIVERED, 202, 0);
    spool_leased_free(n);

    page = ngx_trove_spool_delivery(spool, refs[4][0].id, &error);
    tap_is(page->deliveries[0].nhistory, 3, "all attempts are on record");
    tap_is(page->deliveries[0].history[0].status, 200, "the first");
    tap_is(page->deliveries[0].history[2].status, 201, "and the last");
    tap_is(page->deliveries[0].state, NGX_TROVE_SPOOL_DELIVERED, "delivered");
    ngx_trove_spool_free(page);

    /* one that waits need not wait */

    tap_is(ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_REPLAY, refs[2][1].id,
                                   &error),
           NGX_OK, "a replay of what waits");
    n = spool_lease(spool, "b", 10, 10);
    tap_is(n, 1, "is done at once");
    spool_outcome(spool, leased[0].ref, NGX_TROVE_SPOOL_TO_FAILED, 500, 0);
    spool_leased_free(n);
}


static void
control(ngx_trove_spool_op_t *op, ngx_trove_spool_action_e action, int64_t *ids,
    ngx_uint_t n)
{
    memset(op, 0, sizeof(ngx_trove_spool_op_t));

    op->type = NGX_TROVE_SPOOL_OP_CONTROL;
    op->u.control.action = action;
    op->u.control.ids = ids;
    op->u.control.nids = n;
}


/* an operation leaves some to the next one when its time is over */

static void
controlled(ngx_trove_spool_op_t *op)
{
    int64_t     *ids;
    ngx_uint_t   n, done, changed;

    ids = op->u.control.ids;
    n = op->u.control.nids;
    done = 0;
    changed = 0;

    do {
        op->u.control.ids = ids + done;
        op->u.control.nids = n - done;

        spool_write(spool, op);

        done += op->u.control.done;
        changed += op->u.control.changed;
    } while (done < n && op->u.control.done);

    op->u.control.ids = ids;
    op->u.control.nids = n;
    op->u.control.done = done;
    op->u.control.changed = changed;
}


static void
replays_many(void)
{
    int64_t                    cursor, ids[100];
    ngx_uint_t                 n;
    ngx_trove_spool_op_t       op;
    ngx_trove_spool_filter_t   filter;

    memset(&filter, 0, sizeof(filter));

    filter.states = ngx_trove_spool_mask(NGX_TROVE_SPOOL_FAILED);
    filter.target = str("b");
    filter.until = BEGIN + 31 * 60000;

    cursor = 0;

    tap_is(ngx_trove_spool_select(spool, NGX_TROVE_SPOOL_REPLAY, &filter,
                                  &cursor, NULL, &n, &error),
           NGX_OK, "a dry run");
    tap_is(n, 7, "counts");
    tap_is(cursor, 0, "to the end");
    tap_is_str(list(&filter, 100, 1), "28b 24b 20b 16b 12b 8b 2b",
               "and changes nothing");

    n = 3;
    tap_is(ngx_trove_spool_select(spool, NGX_TROVE_SPOOL_REPLAY, &filter,
                                  &cursor, ids, &n, &error),
           NGX_OK, "some are found");
    tap_is(n, 3, "as many as wanted");

    n = 97;
    tap_is(ngx_trove_spool_select(spool, NGX_TROVE_SPOOL_REPLAY, &filter,
                                  &cursor, &ids[3], &n, &error),
           NGX_OK, "and the others");
    tap_is(n, 4, "from the cursor");
    tap_is(cursor, 0, "to the end");

    /* twice, one that is not there, and one in another state */

    ids[7] = ids[0];
    ids[8] = 1;
    ids[9] = refs[28][0].id;

    control(&op, NGX_TROVE_SPOOL_REPLAY, ids, 10);
    op.u.control.states = filter.states;

    controlled(&op);

    tap_is(op.result, NGX_TROVE_SPOOL_DONE, "they are replayed");
    tap_is(op.u.control.done, 10, "all of them");
    tap_is(op.u.control.changed, 7, "each once");
    tap_is_str(list(&filter, 100, 1), "", "and none is left");
    tap_is(spool_lease(spool, "b", 100, 100), 7, "all are due");
    spool_leased_free(7);
}


static void
cancels(void)
{
    int64_t                    cursor, ids[100];
    ngx_uint_t                 n;
    ngx_trove_spool_op_t       op;
    ngx_trove_spool_filter_t   filter;

    tap_is(ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_CANCEL, refs[4][1].id,
                                   &error),
           NGX_BUSY, "what is final cannot be cancelled");
    tap_is(ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_CANCEL,
                                   refs[38][1].id, &error),
           NGX_OK, "what waits can");
    tap_is(spool_state(spool, refs[38][1].id), NGX_TROVE_SPOOL_CANCELLED,
           "and is so");
    tap_is(ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_CANCEL, refs[1][1].id,
                                   &error),
           NGX_OK, "what is under way can");
    tap_is(spool_outcome(spool, refs[1][1], NGX_TROVE_SPOOL_TO_RETRY, 500, 0),
           NGX_TROVE_SPOOL_LOST, "and is not tried again");
    tap_is(spool_state(spool, refs[1][1].id), NGX_TROVE_SPOOL_CANCELLED,
           "if it fails");

    (void) ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_CANCEL, refs[3][1].id,
                                   &error);
    spool_outcome(spool, refs[3][1], NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0);
    tap_is(spool_state(spool, refs[3][1].id), NGX_TROVE_SPOOL_DELIVERED,
           "what was delivered all the same is so");

    memset(&filter, 0, sizeof(filter));
    filter.since = BEGIN + 35 * 60000;
    filter.target = str("b");
    cursor = 0;
    n = 100;

    tap_is(ngx_trove_spool_select(spool, NGX_TROVE_SPOOL_CANCEL, &filter,
                                  &cursor, ids, &n, &error),
           NGX_OK, "many are found");
    tap_is(n, 3, "those that are pending");
    tap_is(cursor, 0, "all of them");

    control(&op, NGX_TROVE_SPOOL_CANCEL, ids, n);

    controlled(&op);
    tap_is(op.u.control.changed, 3, "and cancelled");

    controlled(&op);
    tap_is(op.u.control.done, 3, "they are examined again");
    tap_is(op.u.control.changed, 0, "and skipped");

    tap_is(ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_REPLAY,
                                   refs[38][1].id, &error),
           NGX_OK, "a cancelled one can be replayed");
    tap_is(spool_state(spool, refs[38][1].id), NGX_TROVE_SPOOL_RETRY,
           "and waits again");
}


static void
many_attempts(void)
{
    ngx_uint_t                     i, n;
    ngx_trove_spool_op_t           op;
    ngx_trove_spool_ref_t          ref;
    ngx_trove_spool_deliveries_t  *page;

    static u_char  response[NGX_TROVE_SPOOL_RESPONSE_LEN + 1];

    memset(response, 'x', sizeof(response));
    spool_accept(spool, 1000, "m", 1, &ref);

    for (i = 1; i <= NGX_TROVE_SPOOL_ATTEMPTS + 5; i++) {

        outcome_op(&op, ref, NGX_TROVE_SPOOL_TO_RETRY, 500, 0);
        op.u.outcome.response.data = response;
        op.u.outcome.response.len = sizeof(response);
        op.u.outcome.reason.data = response;
        op.u.outcome.reason.len = sizeof(response);
        spool_write(spool, &op);

        n = spool_lease(spool, "m", 1, 1);

        if (n != 1 || leased[0].attempt != i + 1) {
            die("lease");
        }

        spool_leased_free(n);
    }

    spool_outcome(spool, ref, NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0);

    page = ngx_trove_spool_delivery(spool, ref.id, &error);
    n = page->deliveries[0].nhistory;

    tap_is(page->deliveries[0].attempts, NGX_TROVE_SPOOL_ATTEMPTS + 6,
           "many attempts");
    tap_is(n, NGX_TROVE_SPOOL_ATTEMPTS + 1, "the last ones are on record");
    tap_is(page->deliveries[0].history[0].n, 6, "from this one");
    tap_is(page->deliveries[0].history[n - 1].status, 200, "to that one");
    tap_is(page->deliveries[0].history[0].response.len,
           NGX_TROVE_SPOOL_RESPONSE_LEN, "no more of a response than that");
    tap_is(page->deliveries[0].history[0].reason.len,
           NGX_TROVE_SPOOL_REASON_LEN, "nor of a reason");
    ngx_trove_spool_free(page);
}


/* several processes: times are not quite in the order of the numbers */

static void
disordered(void)
{
    accept_t                  a;
    ngx_uint_t                i;
    ngx_trove_spool_filter_t  filter;

    static int64_t  times[] = { 500, 200, 900, 600, 400 };

    for (i = 0; i < 5; i++) {
        accept_op(&a, 2000 + i, "", 0);
        a.op.u.accept.event.received = BEGIN + DAY + times[i];
        spool_write(spool, &a.op);
    }

    memset(&filter, 0, sizeof(filter));

    filter.since = BEGIN + DAY + 450;
    filter.until = BEGIN + DAY + 800;
    tap_is_str(list(&filter, 1, 0), "45 42", "those between two times");
}


/* a row with a state that does not exist is an error, and not in a list */

static void
damaged(void)
{
    int64_t                        was;
    char                           sql[128];
    ngx_uint_t                     i;
    ngx_trove_spool_filter_t       filter;
    ngx_trove_spool_deliveries_t  *d;

    static int  states[] = { 6, 32 + NGX_TROVE_SPOOL_FAILED, 1000000, -1 };

    snprintf(sql, sizeof(sql), "SELECT state FROM delivery WHERE id = %lld",
             (long long) refs[40][1].id);
    was = sql_int(sql);

    memset(&filter, 0, sizeof(filter));

    for (i = 0; i < sizeof(states) / sizeof(states[0]); i++) {

        snprintf(sql, sizeof(sql), "UPDATE delivery SET state = %d "
                 "WHERE id = %lld", states[i], (long long) refs[40][1].id);
        (void) sql_int(sql);

        memset(&error, 0, sizeof(error));
        d = ngx_trove_spool_delivery(spool, refs[40][1].id, &error);
        tap_ok(d == NULL, "state %d: not shown", states[i]);
        tap_is(error.kind, NGX_TROVE_SPOOL_CORRUPT, "as it is damaged");
        ngx_trove_spool_free(d);

        memset(&error, 0, sizeof(error));
        d = ngx_trove_spool_event_deliveries(spool, 40, &error);
        tap_ok(d == NULL, "nor with its event");
        tap_is(error.kind, NGX_TROVE_SPOOL_CORRUPT, "as it is damaged");
        ngx_trove_spool_free(d);

        memset(&error, 0, sizeof(error));
        d = ngx_trove_spool_deliveries(spool, &filter, 0, 1000, &error);
        tap_ok(d == NULL, "nor in a list");
        tap_is(error.kind, NGX_TROVE_SPOOL_CORRUPT, "as it is damaged");
        ngx_trove_spool_free(d);
    }

    snprintf(sql, sizeof(sql), "UPDATE delivery SET state = %d "
             "WHERE id = %lld", (int) was, (long long) refs[40][1].id);
    (void) sql_int(sql);
}
