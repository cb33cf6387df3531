
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_db.h"


/* Tables of later versions.  Documented in docs/spool-schema.md. */


/* 5: subscriptions */

const char  ngx_trove_sqlite_tables_5[] =

    /* a number is never reused: other processes may still have it in memory */

    "CREATE TABLE subscription ("
        "number INTEGER PRIMARY KEY AUTOINCREMENT, "
        "id TEXT NOT NULL UNIQUE, "
        "workspace TEXT NOT NULL, "
        "namespace TEXT, "
        "events TEXT NOT NULL, "
        "url TEXT NOT NULL, "
        "description TEXT, "
        "secret BLOB, "
        "previous BLOB, "
        "until INTEGER, "
        "enabled INTEGER NOT NULL, "
        "reason TEXT, "
        "created INTEGER NOT NULL, "
        "changed INTEGER NOT NULL, "
        "disabled INTEGER, "
        "removed INTEGER, "
        "version INTEGER NOT NULL DEFAULT 1, "
        "failures INTEGER NOT NULL DEFAULT 0, "
        "failing INTEGER, "
        "probe INTEGER, "
        "last INTEGER, "
        "last_status INTEGER, "
        "last_ok INTEGER);"

    "CREATE INDEX subscription_workspace ON subscription (workspace, number) "
        "WHERE removed IS NULL;"

    "CREATE INDEX subscription_namespace ON subscription (workspace, "
        "namespace, number) WHERE removed IS NULL AND namespace IS NOT NULL;"

    "CREATE INDEX subscription_removed ON subscription (number) "
        "WHERE removed IS NOT NULL;"

    "CREATE INDEX subscription_disabled ON subscription (number) "
        "WHERE reason IS NOT NULL AND removed IS NULL;"

    "CREATE INDEX subscription_previous ON subscription (until) "
        "WHERE previous IS NOT NULL;"

    "CREATE TABLE pattern ("
        "workspace TEXT NOT NULL, "
        "own INTEGER NOT NULL, "
        "namespace TEXT NOT NULL, "
        "prefix INTEGER NOT NULL, "
        "pattern TEXT NOT NULL, "
        "subscription INTEGER NOT NULL, "
        "PRIMARY KEY (workspace, own, namespace, prefix, pattern, "
            "subscription)) WITHOUT ROWID;"

    "CREATE TABLE matching ("
        "workspace TEXT NOT NULL, "
        "own INTEGER NOT NULL, "
        "namespace TEXT NOT NULL, "
        "length INTEGER NOT NULL, "
        "n INTEGER NOT NULL, "
        "PRIMARY KEY (workspace, own, namespace, length)) WITHOUT ROWID;"

    "CREATE INDEX matching_workspace ON matching (workspace, n) WHERE own = 2;"

    "CREATE TABLE audit ("
        "number INTEGER PRIMARY KEY, "
        "at INTEGER NOT NULL, "
        "workspace TEXT NOT NULL, "
        "namespace TEXT, "
        "id TEXT NOT NULL, "
        "actor TEXT, "
        "action TEXT NOT NULL, "
        "detail TEXT);"

    "CREATE INDEX audit_workspace ON audit (workspace, number);"

    "CREATE INDEX audit_namespace ON audit (workspace, namespace, number) "
        "WHERE namespace IS NOT NULL;"

    "ALTER TABLE target ADD COLUMN subscription INTEGER;"

    "CREATE INDEX target_subscription ON target (subscription) "
        "WHERE subscription IS NOT NULL;"

    "CREATE INDEX target_waiting ON target (route, id) "
        "WHERE subscription IS NOT NULL AND earliest IS NOT NULL;"

    "CREATE INDEX target_configured ON target (route, name) "
        "WHERE subscription IS NULL;";
