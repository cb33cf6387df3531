
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_db.h"


#define NGX_TROVE_SQLITE_ROW                                                  \
    " id, target, state, due, ended, opened, attempts, owner, started, "       \
    "took, status, earlier "

#define NGX_TROVE_SQLITE_HEAD                                                 \
    " number, received, id, type, namespace, workspace, created_at, route, "  \
    "host, uri, content_type "

#define NGX_TROVE_SQLITE_SUBSCRIPTION                                         \
    " number, id, workspace, namespace, events, url, description, until, "    \
    "enabled, reason, created, changed, disabled, version, failures, "        \
    "failing, last, last_status, last_ok, secret, previous "

/*
 * Final deliveries have no due time, and are not in this index.  INDEXED BY
 * makes it an error if the index cannot be used.
 */

#define NGX_TROVE_SQLITE_BY_PENDING                                           \
    " FROM delivery INDEXED BY delivery_pending WHERE "


const char  *ngx_trove_sqlite_sqls[] = {

    [NGX_TROVE_SQLITE_SQL_BEGIN] = "BEGIN IMMEDIATE",
    [NGX_TROVE_SQLITE_SQL_SNAPSHOT] = "BEGIN",
    [NGX_TROVE_SQLITE_SQL_COMMIT] = "COMMIT",
    [NGX_TROVE_SQLITE_SQL_ROLLBACK] = "ROLLBACK",
    [NGX_TROVE_SQLITE_SQL_PAGES] = "PRAGMA page_count",
    [NGX_TROVE_SQLITE_SQL_FREE_PAGES] = "PRAGMA freelist_count",

    [NGX_TROVE_SQLITE_SQL_IDENTITY] = "SELECT identity FROM spool",

    [NGX_TROVE_SQLITE_SQL_STATE] =
        "SELECT last, events, indexed, stale, identity FROM spool",

    [NGX_TROVE_SQLITE_SQL_STATE_SET] =
        "UPDATE spool SET last = ?, events = ?, indexed = ?, stale = ?",

    [NGX_TROVE_SQLITE_SQL_KEY] = "SELECT event FROM key WHERE hash = ?",

    [NGX_TROVE_SQLITE_SQL_KEY_SET] =
        "INSERT INTO key (hash, event) VALUES (?, ?) "
        "ON CONFLICT (hash) DO UPDATE SET event = excluded.event "
            "WHERE excluded.event > event",

    [NGX_TROVE_SQLITE_SQL_KEY_SCAN] =
        "SELECT hash, event, EXISTS (SELECT 1 FROM event "
            "WHERE event.number = key.event AND event.key IS NOT NULL) "
        "FROM key WHERE hash >= ? ORDER BY hash LIMIT ?",

    [NGX_TROVE_SQLITE_SQL_KEY_DELETE] =
        "DELETE FROM key WHERE hash = ? AND event = ? "
            "AND NOT EXISTS (SELECT 1 FROM event "
                "WHERE event.number = key.event AND event.key IS NOT NULL)",

    [NGX_TROVE_SQLITE_SQL_TARGET] =
        "SELECT route, name, paused, new + retry + leased, earliest, "
            "subscription "
        "FROM target WHERE id = ?",

    [NGX_TROVE_SQLITE_SQL_TARGET_FIND] =
        "SELECT id, subscription FROM target WHERE route = ? AND name = ?",

    [NGX_TROVE_SQLITE_SQL_TARGET_ADD] =
        "INSERT INTO target (route, name, subscription, paused) "
        "VALUES (?, ?, ?, ?)",

    [NGX_TROVE_SQLITE_SQL_TARGET_COUNT] =
        "UPDATE target SET new = new + ?2, retry = retry + ?3, "
            "leased = leased + ?4, delivered = delivered + ?5, "
            "failed = failed + ?6, cancelled = cancelled + ?7 "
        "WHERE id = ?1",

    [NGX_TROVE_SQLITE_SQL_TARGET_PAUSE] =
        "UPDATE target SET paused = ?1 "
        "WHERE name = ?2 AND (?3 IS NULL OR route = ?3) "
            "AND subscription IS NULL "
            "AND name <> '" NGX_TROVE_SPOOL_SUBSCRIBERS "'",

    /* paused targets, and those without a due time, are not in the index */

    [NGX_TROVE_SQLITE_SQL_TARGET_DUE] =
        "SELECT id FROM target INDEXED BY target_due "
        "WHERE paused = 0 AND earliest <= ? ORDER BY earliest",

    [NGX_TROVE_SQLITE_SQL_TARGET_NEXT] =
        "SELECT earliest FROM target INDEXED BY target_due "
        "WHERE paused = 0 AND earliest > ? ORDER BY earliest LIMIT 1",

    [NGX_TROVE_SQLITE_SQL_TARGET_SET_DUE] =
        "UPDATE target SET earliest = ?2 WHERE id = ?1",

    [NGX_TROVE_SQLITE_SQL_TARGETS] =
        "SELECT id, route, name, paused, new, retry, leased, delivered, "
            "failed, cancelled "
        "FROM target INDEXED BY target_configured "
        "WHERE subscription IS NULL ORDER BY route, name",

    [NGX_TROVE_SQLITE_SQL_TARGETS_LEASED] =
        "SELECT id FROM target WHERE leased > 0",

    /*
     * Ids must not be reused, because they are in the memory of processes: the
     * last one is kept.
     */

    [NGX_TROVE_SQLITE_SQL_TARGET_DELETE] =
        "DELETE FROM target WHERE id = ?1 AND new + retry + leased + delivered "
            "+ failed + cancelled = 0 AND id < (SELECT max(id) FROM target)",

    [NGX_TROVE_SQLITE_SQL_EVENT] =
        "SELECT" NGX_TROVE_SQLITE_HEAD ", body FROM event WHERE number = ?",

    [NGX_TROVE_SQLITE_SQL_EVENT_HEAD] =
        "SELECT" NGX_TROVE_SQLITE_HEAD "FROM event WHERE number = ?",

    [NGX_TROVE_SQLITE_SQL_EVENT_ADD] =
        "INSERT INTO event (" NGX_TROVE_SQLITE_HEAD ", body, key) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",

    [NGX_TROVE_SQLITE_SQL_EVENT_KEY] = "SELECT key FROM event WHERE number = ?",

    [NGX_TROVE_SQLITE_SQL_EVENT_KEYS] =
        "SELECT number, key FROM event WHERE number > ? ORDER BY number",

    [NGX_TROVE_SQLITE_SQL_EVENT_FORGET] =
        "UPDATE event SET key = NULL WHERE number = ?",

    [NGX_TROVE_SQLITE_SQL_EVENT_SCAN] =
        "SELECT" NGX_TROVE_SQLITE_HEAD ", body FROM event "
        "WHERE number < ? AND number >= ? ORDER BY number DESC LIMIT ?",

    [NGX_TROVE_SQLITE_SQL_EVENT_SCAN_UP] =
        "SELECT" NGX_TROVE_SQLITE_HEAD "FROM event "
        "WHERE number > ? AND number <= ? ORDER BY number LIMIT ?",

    [NGX_TROVE_SQLITE_SQL_EVENT_FOLLOW] =
        "SELECT" NGX_TROVE_SQLITE_HEAD ", body FROM event "
        "WHERE number > ? ORDER BY number LIMIT ?",

    [NGX_TROVE_SQLITE_SQL_EVENT_FROM] =
        "SELECT number, received, key IS NOT NULL FROM event "
        "WHERE number >= ? ORDER BY number LIMIT ?",

    [NGX_TROVE_SQLITE_SQL_EVENT_DELETE] = "DELETE FROM event WHERE number = ?",

    [NGX_TROVE_SQLITE_SQL_DELIVERY] =
        "SELECT" NGX_TROVE_SQLITE_ROW "FROM delivery WHERE id = ?",

    [NGX_TROVE_SQLITE_SQL_DELIVERY_ADD] =
        "INSERT INTO delivery (" NGX_TROVE_SQLITE_ROW ") "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",

    [NGX_TROVE_SQLITE_SQL_DELIVERY_SET] =
        "UPDATE delivery SET state = ?3, due = ?4, ended = ?5, opened = ?6, "
            "attempts = ?7, owner = ?8, started = ?9, took = ?10, "
            "status = ?11, earlier = ?12 "
        "WHERE id = ?1",

    [NGX_TROVE_SQLITE_SQL_DELIVERY_RENEW] =
        "UPDATE delivery SET due = ? "
        "WHERE id = ? AND state = 2 AND owner = ?",

    [NGX_TROVE_SQLITE_SQL_DELIVERY_DUE] =
        "SELECT" NGX_TROVE_SQLITE_ROW NGX_TROVE_SQLITE_BY_PENDING
            "target = ? AND state = ? AND due <= ? "
        "ORDER BY due LIMIT ?",

    [NGX_TROVE_SQLITE_SQL_DELIVERY_NEXT] =
        "SELECT due" NGX_TROVE_SQLITE_BY_PENDING
            "target = ? AND state = ? AND due IS NOT NULL "
        "ORDER BY due LIMIT 1",

    [NGX_TROVE_SQLITE_SQL_DELIVERY_LATE] =
        "SELECT" NGX_TROVE_SQLITE_ROW NGX_TROVE_SQLITE_BY_PENDING
            "target = ? AND state = ? AND due > ? LIMIT ?",

    /* the next target with a pending delivery */

    [NGX_TROVE_SQLITE_SQL_DELIVERY_TARGET] =
        "SELECT target" NGX_TROVE_SQLITE_BY_PENDING
            "target > ? AND due IS NOT NULL ORDER BY target LIMIT 1",

    [NGX_TROVE_SQLITE_SQL_DELIVERY_VOID] =
        "SELECT" NGX_TROVE_SQLITE_ROW NGX_TROVE_SQLITE_BY_PENDING
            "target = ? AND state = 2 AND due IS NOT NULL AND owner IS NOT ? "
        "LIMIT ?",

    [NGX_TROVE_SQLITE_SQL_DELIVERY_SCAN] =
        "SELECT" NGX_TROVE_SQLITE_ROW "FROM delivery "
        "WHERE id < ? AND id >= ? ORDER BY id DESC LIMIT ?",

    [NGX_TROVE_SQLITE_SQL_DELIVERY_PENDING] =
        "SELECT" NGX_TROVE_SQLITE_ROW "FROM delivery WHERE id IN "
            "(SELECT id" NGX_TROVE_SQLITE_BY_PENDING
                "due IS NOT NULL AND id < ? AND id >= ? "
                "ORDER BY id DESC LIMIT ?) "
        "ORDER BY id DESC",

    [NGX_TROVE_SQLITE_SQL_DELIVERY_FEW] =
        "SELECT count(*) FROM (SELECT 1" NGX_TROVE_SQLITE_BY_PENDING
            "due IS NOT NULL LIMIT ?)",

    [NGX_TROVE_SQLITE_SQL_DELIVERY_FAILED] =
        "SELECT" NGX_TROVE_SQLITE_ROW "FROM delivery "
            "INDEXED BY delivery_failed "
        "WHERE state = 4 AND id < ? AND id >= ? ORDER BY id DESC LIMIT ?",

    [NGX_TROVE_SQLITE_SQL_DELIVERY_OLDEST] =
        "SELECT min(id)" NGX_TROVE_SQLITE_BY_PENDING
            "target = ? AND due IS NOT NULL",

    [NGX_TROVE_SQLITE_SQL_DELIVERY_FROM] =
        "SELECT id, target = ?1 AND due IS NOT NULL FROM delivery "
        "WHERE id >= ?2 ORDER BY id",

    [NGX_TROVE_SQLITE_SQL_DELIVERY_OF] =
        "SELECT" NGX_TROVE_SQLITE_ROW "FROM delivery "
        "WHERE id BETWEEN ?1 << 16 AND (?1 << 16) + 65535 ORDER BY id",

    [NGX_TROVE_SQLITE_SQL_DELIVERY_WAITS] =
        "SELECT 1 FROM delivery "
        "WHERE id BETWEEN ?1 << 16 AND (?1 << 16) + 65535 AND state < 3 "
        "LIMIT 1",

    [NGX_TROVE_SQLITE_SQL_DELIVERY_ENDED] =
        "SELECT max(state < 3), max(ended) FROM delivery "
        "WHERE id BETWEEN ?1 << 16 AND (?1 << 16) + 65535",

    [NGX_TROVE_SQLITE_SQL_DELIVERY_END] =
        "UPDATE delivery SET ended = ?2 WHERE id IN (SELECT id FROM delivery "
            "WHERE id BETWEEN ?1 << 16 AND (?1 << 16) + 65535 AND ended > ?2 "
            "LIMIT ?3)",

    [NGX_TROVE_SQLITE_SQL_DELIVERY_DELETE] =
        "DELETE FROM delivery WHERE id = ?",

    [NGX_TROVE_SQLITE_SQL_DELIVERY_IDENT] =
        "SELECT" NGX_TROVE_SQLITE_ROW "FROM ident CROSS JOIN delivery "
            "ON delivery.id BETWEEN ident.event << 16 "
                "AND (ident.event << 16) + 65535 "
        "WHERE ident.hash = ?4 AND delivery.id < ?1 AND delivery.id >= ?2 "
        "ORDER BY ident.event DESC, delivery.id DESC LIMIT ?3",

    [NGX_TROVE_SQLITE_SQL_EVENT_IDENT] =
        "SELECT" NGX_TROVE_SQLITE_HEAD ", body FROM ident CROSS JOIN event "
            "ON event.number = ident.event "
        "WHERE ident.hash = ?4 AND ident.event < ?1 AND ident.event >= ?2 "
        "ORDER BY ident.event DESC LIMIT ?3",

    [NGX_TROVE_SQLITE_SQL_EVENT_IDS] =
        "SELECT number, id FROM event WHERE number > ? ORDER BY number LIMIT ?",

    [NGX_TROVE_SQLITE_SQL_IDENT_ADD] =
        "INSERT OR IGNORE INTO ident (hash, event) VALUES (?, ?)",

    [NGX_TROVE_SQLITE_SQL_IDENT_DELETE] =
        "DELETE FROM ident WHERE hash = ? AND event = ?",

    [NGX_TROVE_SQLITE_SQL_IDENT_LAST] =
        "SELECT event FROM ident WHERE hash = -1 ORDER BY event DESC LIMIT 1",

    [NGX_TROVE_SQLITE_SQL_IDENT_SCAN] =
        "SELECT hash, event, EXISTS (SELECT 1 FROM event "
            "WHERE event.number = ident.event) "
        "FROM ident WHERE (hash, event) > (?, ?) "
        "ORDER BY hash, event LIMIT ?",

    [NGX_TROVE_SQLITE_SQL_IDENT_REST] =
        "SELECT event FROM ident WHERE hash = -2 ORDER BY event LIMIT 1",

    [NGX_TROVE_SQLITE_SQL_IDENT_IS] =
        "SELECT 1 FROM ident WHERE hash = ? AND event = ?",

    [NGX_TROVE_SQLITE_SQL_ATTEMPT] =
        "SELECT n, started, took, status, reason, answer FROM attempt "
        "WHERE delivery = ? AND n = ?",

    [NGX_TROVE_SQLITE_SQL_ATTEMPTS] =
        "SELECT n, started, took, status, reason, answer FROM attempt "
        "WHERE delivery = ? ORDER BY n",

    [NGX_TROVE_SQLITE_SQL_ATTEMPT_ADD] =
        "INSERT OR IGNORE INTO attempt "
            "(delivery, n, started, took, status, reason, answer) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",

    [NGX_TROVE_SQLITE_SQL_ATTEMPT_TRIM] =
        "DELETE FROM attempt WHERE delivery = ? AND n <= ?",

    [NGX_TROVE_SQLITE_SQL_ATTEMPT_DELETE] =
        "DELETE FROM attempt WHERE delivery = ?",

    [NGX_TROVE_SQLITE_SQL_SUBSCRIBER] =
        "SELECT number, enabled, removed IS NOT NULL, version, failures, "
            "failing, probe, reason, id, workspace, namespace, url, secret, "
            "previous, until, events "
        "FROM subscription WHERE number = ?",

    [NGX_TROVE_SQLITE_SQL_SUBSCRIPTION] =
        "SELECT" NGX_TROVE_SQLITE_SUBSCRIPTION "FROM subscription "
        "WHERE workspace = ?1 AND (?2 IS NULL OR namespace = ?2) AND id = ?3 "
            "AND removed IS NULL",

    [NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_LIST] =
        "SELECT" NGX_TROVE_SQLITE_SUBSCRIPTION "FROM subscription "
            "INDEXED BY subscription_workspace "
        "WHERE workspace = ?1 AND number > ?3 AND removed IS NULL "
        "ORDER BY number LIMIT ?4",

    [NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_LIST_OWN] =
        "SELECT" NGX_TROVE_SQLITE_SUBSCRIPTION "FROM subscription "
            "INDEXED BY subscription_namespace "
        "WHERE workspace = ?1 AND namespace = ?2 AND number > ?3 "
            "AND removed IS NULL "
        "ORDER BY number LIMIT ?4",

    [NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_ADD] =
        "INSERT OR IGNORE INTO subscription (id, workspace, namespace, events, "
            "url, description, secret, previous, until, enabled, created, "
            "changed) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",

    [NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_SET] =
        "UPDATE subscription SET namespace = ?2, events = ?3, url = ?4, "
            "description = CASE WHEN ?16 THEN description ELSE ?5 END, "
            "secret = ?6, previous = ?7, until = ?8, enabled = ?9, "
            "reason = ?10, changed = ?11, "
            "disabled = CASE WHEN ?10 IS NULL THEN NULL ELSE disabled END, "
            "version = ?12, failures = ?13, failing = ?14, probe = ?15 "
        "WHERE number = ?1",

    [NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_HEALTH] =
        "UPDATE subscription SET failures = ?2, failing = ?3, probe = ?4, "
            "last = ?5, last_status = ?6, last_ok = ?7, enabled = ?8, "
            "reason = ?9, disabled = coalesce(?10, disabled) "
        "WHERE number = ?1",

    /* the number, and whether there is something to do */

    [NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_REMOVED] =
        "SELECT number, NOT EXISTS (SELECT 1 FROM target "
                "WHERE target.subscription = number) "
            "OR EXISTS (SELECT 1 FROM target "
                "WHERE target.subscription = number "
                    "AND (new + retry + leased > 0 "
                        "OR (delivered + failed + cancelled = 0 "
                            "AND target.id < (SELECT max(id) FROM target)))) "
        "FROM subscription INDEXED BY subscription_removed "
        "WHERE removed IS NOT NULL AND number > ? ORDER BY number LIMIT 1",

    [NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_REMOVE] =
        "UPDATE subscription SET removed = ?2, url = '', secret = NULL, "
            "previous = NULL, until = NULL "
        "WHERE number = ?1",

    [NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_DELETE] =
        "DELETE FROM subscription WHERE number = ?",

    [NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_COUNT] =
        "SELECT (SELECT coalesce(sum(n), 0) FROM matching "
            "INDEXED BY matching_workspace WHERE own = 2), "
            "(SELECT count(*) FROM subscription "
                "INDEXED BY subscription_disabled "
                "WHERE reason IS NOT NULL AND removed IS NULL)",

    [NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_EXPIRED] =
        "SELECT 1 FROM subscription INDEXED BY subscription_previous "
        "WHERE previous IS NOT NULL AND until <= ? LIMIT 1",

    [NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_EXPIRE] =
        "UPDATE subscription SET previous = NULL, until = NULL "
        "WHERE number IN (SELECT number FROM subscription "
            "INDEXED BY subscription_previous "
            "WHERE previous IS NOT NULL AND until <= ? LIMIT 100)",

    [NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_TARGETS] =
        "SELECT id FROM target INDEXED BY target_subscription "
        "WHERE subscription = ? AND id > ? ORDER BY id LIMIT 1",

    [NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_STATES] =
        "SELECT sum(new), sum(retry), sum(leased), sum(delivered), "
            "sum(failed), sum(cancelled) "
        "FROM target INDEXED BY target_subscription WHERE subscription = ?",

    [NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_PAUSE] =
        "UPDATE target SET paused = ?2 WHERE subscription = ?1",

    [NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_DUE] =
        "UPDATE target SET earliest = 0 "
        "WHERE subscription = ? AND earliest IS NOT NULL",

    [NGX_TROVE_SQLITE_SQL_PATTERN_ADD] =
        "INSERT OR IGNORE INTO pattern (workspace, own, namespace, prefix, "
            "pattern, subscription) "
        "VALUES (?, ?, ?, ?, ?, ?)",

    [NGX_TROVE_SQLITE_SQL_PATTERN_DELETE] =
        "DELETE FROM pattern WHERE workspace = ? AND own = ? AND namespace = ? "
            "AND prefix = ? AND pattern = ? AND subscription = ?",

    [NGX_TROVE_SQLITE_SQL_PATTERN_MATCH] =
        "SELECT subscription FROM pattern WHERE workspace = ? AND own = ? "
            "AND namespace = ? AND prefix = ? AND pattern = ?",

    [NGX_TROVE_SQLITE_SQL_MATCHING] =
        "SELECT length FROM matching WHERE workspace = ? AND own = ? "
            "AND namespace = ? AND length BETWEEN -1 AND ?",

    [NGX_TROVE_SQLITE_SQL_MATCHING_GET] =
        "SELECT n FROM matching WHERE workspace = ? AND own = ? "
            "AND namespace = ? AND length = ?",

    [NGX_TROVE_SQLITE_SQL_MATCHING_ADD] =
        "INSERT INTO matching (workspace, own, namespace, length, n) "
        "VALUES (?1, ?2, ?3, ?4, ?5) "
        "ON CONFLICT (workspace, own, namespace, length) "
            "DO UPDATE SET n = n + ?5",

    [NGX_TROVE_SQLITE_SQL_MATCHING_TRIM] =
        "DELETE FROM matching WHERE workspace = ? AND own = ? "
            "AND namespace = ? AND length = ? AND n <= 0",

    [NGX_TROVE_SQLITE_SQL_AUDIT_ADD] =
        "INSERT INTO audit (at, workspace, namespace, id, actor, action, "
            "detail) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",

    [NGX_TROVE_SQLITE_SQL_AUDIT_TRIM] = "DELETE FROM audit WHERE number <= ?",

    [NGX_TROVE_SQLITE_SQL_AUDIT_LIST] =
        "SELECT number, at, namespace, id, actor, action, detail FROM audit "
            "INDEXED BY audit_workspace "
        "WHERE workspace = ?1 AND number < ?3 "
        "ORDER BY number DESC LIMIT ?4",

    [NGX_TROVE_SQLITE_SQL_AUDIT_LIST_OWN] =
        "SELECT number, at, namespace, id, actor, action, detail FROM audit "
            "INDEXED BY audit_namespace "
        "WHERE workspace = ?1 AND namespace = ?2 AND number < ?3 "
        "ORDER BY number DESC LIMIT ?4",

    /* the same as DELIVERY_OLDEST and DELIVERY_FROM, for all subscriptions */

    [NGX_TROVE_SQLITE_SQL_SUBSCRIBED_OLDEST] =
        "SELECT min(delivery.id) FROM target INDEXED BY target_waiting "
            "CROSS JOIN delivery INDEXED BY delivery_pending "
                "ON delivery.target = target.id AND delivery.due IS NOT NULL "
        "WHERE target.route = (SELECT route FROM target WHERE id = ?) "
            "AND target.subscription IS NOT NULL "
            "AND target.earliest IS NOT NULL",

    [NGX_TROVE_SQLITE_SQL_SUBSCRIBED_FROM] =
        "SELECT id, due IS NOT NULL AND EXISTS (SELECT 1 FROM target "
            "WHERE target.id = delivery.target "
                "AND target.subscription IS NOT NULL "
                "AND target.route = (SELECT route FROM target WHERE id = ?1)) "
        "FROM delivery WHERE id >= ?2 ORDER BY id"
};
