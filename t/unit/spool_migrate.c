
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "spool.h"


/* A file of each version before this one: it is taken over as it is. */


static void old(const char *sql);


int
main(void)
{
    ngx_trove_spool_t      *spool;
    ngx_trove_spool_ref_t   refs[2];

    alarm(60);

    spool_mkdir();

    spool = spool_open();
    (void) spool_accept(spool, 1, "a b", 1, refs);
    spool_outcome(spool, refs[0], NGX_TROVE_SPOOL_TO_RETRY, 500, 0);
    spool_outcome(spool, refs[1], NGX_TROVE_SPOOL_TO_FAILED, 410, 0);
    ngx_trove_spool_destroy(spool);

    /* what versions 4, 3, 2 and 1 did not have */

    old(NO_SUBSCRIPTIONS "PRAGMA user_version = 4");
    old("DROP INDEX target_due; ALTER TABLE target DROP COLUMN earliest; "
        "PRAGMA user_version = 3");
    old("DROP TABLE ident; PRAGMA user_version = 2");
    old("ALTER TABLE delivery DROP COLUMN earlier; PRAGMA user_version = 1");

    spool = spool_open();

    tap_is(sql_int("PRAGMA user_version"), NGX_TROVE_SQLITE_VERSION,
           "a file of version 1 is brought up to date");
    tap_is(spool_lease(spool, "a", 10, 10), 1, "what waits in it");
    tap_is(leased[0].attempt, 2, "goes on");
    tap_is(leased[0].nth, 2, "where it was");
    spool_outcome(spool, leased[0].ref, NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0);
    spool_leased_free(1);

    tap_is(ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_REPLAY, refs[1].id,
                                   &error),
           NGX_OK, "what has failed in it can be replayed");
    tap_is(spool_lease(spool, "b", 10, 10), 1, "and is due");
    tap_is(leased[0].attempt, 2, "for the second time");
    tap_is(leased[0].nth, 1, "and the first one of its window");
    spool_leased_free(1);

    /* version 2: what waits, what is leased, and a target without either */

    (void) spool_accept(spool, 2, "a b c d", 0, NULL);
    (void) spool_accept(spool, 3, "b", 1, NULL);
    tap_is(spool_lease(spool, "c", 10, 10), 1, "one more is leased");
    spool_outcome(spool, leased[0].ref, NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0);
    spool_leased_free(1);
    tap_is(spool_lease(spool, "d", 10, 10), 1, "and another one");
    spool_outcome(spool, leased[0].ref, NGX_TROVE_SPOOL_TO_RETRY, 500, DAY);
    spool_leased_free(1);

    ngx_trove_spool_destroy(spool);

    old(NO_SUBSCRIPTIONS
        "DROP INDEX target_due; ALTER TABLE target DROP COLUMN earliest; "
        "DROP TABLE ident; PRAGMA user_version = 2");

    spool = spool_open();

    tap_is(sql_int("PRAGMA user_version"), NGX_TROVE_SQLITE_VERSION,
           "a file of version 2 is brought up to date");
    tap_is(sql_int("SELECT group_concat(earliest IS NULL, '') = '0010' "
                   "FROM target"),
           1, "targets with pending deliveries are found");
    tap_ok(spool_sound(), "it is sound");
    tap_is(spool_lease(spool, "a b c", 10, 10), 4, "what waits in it is due");
    tap_ok(spool_sound(), "it is sound then");
    spool_leased_free(4);

    ngx_trove_spool_destroy(spool);

    return tap_done();
}


static void
old(const char *sql)
{
    sqlite3  *db;

    if (sqlite3_open(spool_path, &db) != SQLITE_OK
        || sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
    {
        die("making an old file: %s", sqlite3_errmsg(db));
    }

    sqlite3_close(db);
}
