
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "spool.h"


/* Events are found by their ids, by an index that maintenance makes. */


static void indexed(void);
static void same(void);
static void migrated(void);
static void swept(void);

static void open_new(void);
static void maintain(void);
static void accept_many(uint64_t from, uint64_t to);
static void find(const char *id, int64_t numbers[4], ngx_uint_t *n);
static int64_t find_one(uint64_t n);
static ngx_uint_t find_all(uint64_t from, uint64_t to);
static ngx_uint_t find_deliveries(uint64_t n);
static void change(const char *sql);


static ngx_trove_spool_t  *spool;


int
main(void)
{
    alarm(120);

    spool_mkdir();

    indexed();
    same();
    migrated();
    swept();

    ngx_trove_spool_destroy(spool);

    return tap_done();
}


static void
indexed(void)
{
    open_new();

    sqlite(spool)->idents = 100;

    accept_many(0, 99);
    maintain();
    tap_is(sql_int("SELECT count(*) FROM ident"), 0, "few ids: no index");
    tap_is(find_all(0, 99), 99, "they are found");
    tap_is(find_one(99), 0, "others are not");

    accept_many(99, 250);
    maintain();
    tap_is(sql_int("SELECT event FROM ident WHERE hash = -1"), 200,
           "many ids: they are indexed, by rounds");
    tap_is(sql_int("SELECT count(*) FROM ident"), 201, "each of them");
    tap_is(find_all(0, 250), 250, "all are found");
    tap_is(find_one(250), 0, "others are not");
    tap_is(find_deliveries(7), 2, "with their deliveries");
    tap_is(find_deliveries(240), 2, "and later ones with theirs");
    tap_is(find_deliveries(250), 0, "which others do not have");

    /* and by nothing else */

    change("DELETE FROM ident WHERE event = 8");
    tap_is(find_one(7), 0, "by the index");
    tap_is(find_deliveries(7), 0, "as the deliveries are");

    accept_many(250, 300);
    maintain();
    tap_is(sql_int("SELECT event FROM ident WHERE hash = -1"), 300,
           "the next round");
    tap_is(find_all(8, 300), 292, "all are found");
    tap_ok(spool_sound(), "all is sound");
}


/* several events with an id: the newest is the first */

static void
same(void)
{
    accept_t    a;
    int64_t     numbers[4];
    ngx_uint_t  i, n;

    for (i = 0; i < 3; i++) {

        if (i) {
            accept_many(1000 + i * 100, 1100 + i * 100);
        }

        accept_op(&a, 5, "b", 0);
        a.op.u.accept.key = NULL;
        spool_write(spool, &a.op);

        if (i < 2) {
            maintain();
        }
    }

    find("evt-5", numbers, &n);

    tap_is(n, 4, "several events with an id");
    tap_ok(numbers[0] > numbers[1] && numbers[1] > numbers[2]
           && numbers[2] > numbers[3],
           "the newest is the first");
    tap_is(numbers[3], 6, "the oldest is the last");
    tap_is(find_deliveries(5), 5, "with their deliveries");
}


static void
migrated(void)
{
    ngx_trove_spool_destroy(spool);

    change(NO_SUBSCRIPTIONS "DROP TABLE ident; DROP INDEX target_due; "
           "ALTER TABLE target DROP COLUMN earliest; "
           "PRAGMA user_version = 2");

    spool = spool_open();
    sqlite(spool)->idents = 100;

    tap_is(sql_int("PRAGMA user_version"), NGX_TROVE_SQLITE_VERSION,
           "a file of version 2 is brought up to date");
    tap_is(find_all(0, 300), 300, "all are found at once");

    maintain();
    tap_is(sql_int("SELECT event FROM ident WHERE hash = -1"), 500,
           "and indexed");
    tap_is(find_all(0, 300), 300, "where all are found");

    /* a round that ends before its last transaction is repeated */

    change("UPDATE ident SET event = 200 WHERE hash = -1");
    maintain();
    tap_is(sql_int("SELECT event FROM ident WHERE hash = -1"), 500,
           "and indexed once more");
    tap_is(sql_int("SELECT count(*) FROM ident"), 501, "each once");
}


static void
swept(void)
{
    ngx_uint_t  i;

    open_new();
    sqlite(spool)->idents = 1000;

    for (i = 0; i < 12000; i += 500) {
        accept_many(i, i + 500);
    }

    maintain();
    tap_is(sql_int("SELECT count(*) FROM ident"), 12001, "many events");

    /* the first one may wait for ever */

    change("DELETE FROM delivery WHERE id >> 16 BETWEEN 2 AND 11000;"
           "DELETE FROM event WHERE number BETWEEN 2 AND 11000;"
           "UPDATE spool SET events = 1001;"
           "UPDATE target SET new = 1001");

    maintain();
    tap_is(sql_int("SELECT count(*) FROM ident"), 1002,
           "are removed from the index when they are gone");
    tap_is(find_one(5), 0, "they are not found");
    tap_is(find_one(0), 1, "but the first one is");
    tap_is(find_all(11000, 12000), 1000, "but those that are left");

    change("DELETE FROM delivery; DELETE FROM event;"
           "UPDATE spool SET events = 0; UPDATE target SET new = 0");

    sqlite(spool)->work.ident_removed = 0;
    maintain();
    tap_is(sql_int("SELECT count(*) FROM ident"), 1, "when none is left, too");
}


static void
open_new(void)
{
    char  cmd[400];

    if (spool != NULL) {
        ngx_trove_spool_destroy(spool);

        snprintf(cmd, sizeof(cmd), "rm -f '%s'*", spool_path);

        if (system(cmd) != 0) {
            die("rm");
        }
    }

    spool = spool_open();
}


static void
maintain(void)
{
    ngx_trove_spool_maintained_t  maintained;

    do {
        if (ngx_trove_spool_maintain(spool, &maintained, &error) != NGX_OK) {
            die("maintain");
        }

    } while (maintained.more);
}


static void
accept_many(uint64_t from, uint64_t to)
{
    ngx_uint_t             n;
    ngx_trove_spool_op_t  *ops;

    static accept_t  a[500];

    ops = NULL;

    for (n = 0; from < to; n++) {
        accept_op(&a[n], --to, "a b", 0);
        a[n].op.next = ops;
        ops = &a[n].op;
    }

    spool_write(spool, ops);
}


/* by pages of one */

static void
find(const char *id, int64_t numbers[4], ngx_uint_t *n)
{
    int64_t                    cursor;
    ngx_trove_spool_filter_t   filter;
    ngx_trove_spool_events_t  *events;

    memset(&filter, 0, sizeof(filter));

    filter.id = str(id);
    cursor = 0;
    *n = 0;

    do {
        events = ngx_trove_spool_events(spool, &filter, cursor, 1, 1000000,
                                        &error);
        if (events == NULL) {
            die("events");
        }

        if (events->n && *n < 4) {
            numbers[(*n)++] = events->events[0].number;
        }

        cursor = events->next;

        ngx_trove_spool_free(events);

    } while (cursor);
}


/* the number of event n, or 0 */

static int64_t
find_one(uint64_t n)
{
    char        id[32];
    int64_t     numbers[4];
    ngx_uint_t  found;

    snprintf(id, sizeof(id), "evt-%llu", (unsigned long long) n);

    find(id, numbers, &found);

    return found ? numbers[0] : 0;
}


static ngx_uint_t
find_all(uint64_t from, uint64_t to)
{
    ngx_uint_t  n;

    for (n = 0; from < to; from++) {
        n += (find_one(from) != 0);
    }

    return n;
}


static ngx_uint_t
find_deliveries(uint64_t n)
{
    char                           id[32];
    int64_t                        cursor;
    ngx_uint_t                     found;
    ngx_trove_spool_filter_t       filter;
    ngx_trove_spool_deliveries_t  *list;

    snprintf(id, sizeof(id), "evt-%llu", (unsigned long long) n);
    memset(&filter, 0, sizeof(filter));

    filter.id = str(id);
    cursor = 0;
    found = 0;

    do {
        list = ngx_trove_spool_deliveries(spool, &filter, cursor, 1, &error);
        if (list == NULL) {
            die("deliveries");
        }

        found += list->n;
        cursor = list->next;

        ngx_trove_spool_free(list);

    } while (cursor);

    return found;
}


static void
change(const char *sql)
{
    sqlite3  *db;

    if (sqlite3_open(spool_path, &db) != SQLITE_OK
        || sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
    {
        die("%s: %s", sql, sqlite3_errmsg(db));
    }

    sqlite3_close(db);
}
