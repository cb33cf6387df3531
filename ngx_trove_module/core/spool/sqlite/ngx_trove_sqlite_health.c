
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_subscription.h"


static ngx_int_t ngx_trove_sqlite_health_disable(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_outcome_t *outcome,
    ngx_trove_sqlite_subscriber_t *sub);


/*
 * An attempt to a URL that has been replaced meanwhile says nothing about the
 * new one.
 */

ngx_int_t
ngx_trove_sqlite_health(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_op_t *op, int64_t target,
    int64_t number, ngx_uint_t notice)
{
    int64_t                         now;
    ngx_int_t                       rc;
    ngx_uint_t                      ok, held;
    sqlite3_stmt                   *stmt;
    ngx_trove_sqlite_cached_t      *cached;
    ngx_trove_spool_outcome_t      *outcome;
    ngx_trove_sqlite_subscriber_t   sub;

    outcome = &op->u.outcome;

    rc = ngx_trove_sqlite_subscriber_get(db, number, 1, &sub);

    if (rc != NGX_OK || sub.removed
        || sub.version != (int64_t) outcome->ref.version)
    {
        goto done;
    }

    now = ngx_trove_sqlite_now(spool);
    ok = (outcome->verdict == NGX_TROVE_SPOOL_TO_DELIVERED);
    held = (sub.failures >= NGX_TROVE_SPOOL_FAILURES);

    if (ok) {
        sub.failures = 0;
        sub.failing = 0;
        sub.probe = 0;

    } else {
        sub.failures++;
        sub.failing = sub.failing ? sub.failing : outcome->started;

        if (sub.failures >= NGX_TROVE_SPOOL_FAILURES) {
            sub.probe = now + (outcome->verdict == NGX_TROVE_SPOOL_TO_RETRY
                               ? outcome->delay : NGX_TROVE_SQLITE_PROBE);
        }

        /* without space for the notice, a later failure disables it */

        if (sub.enabled && (notice || outcome->notice == NULL)) {
            rc = ngx_trove_sqlite_health_disable(spool, db, outcome, &sub);

            if (rc != NGX_OK) {
                goto done;
            }
        }
    }

    rc = NGX_ERROR;

    stmt = ngx_trove_sqlite_sql(db,
                                NGX_TROVE_SQLITE_SQL_SUBSCRIPTION_HEALTH);
    if (stmt == NULL) {
        goto done;
    }

    (void) sqlite3_bind_int64(stmt, 1, number);
    (void) sqlite3_bind_int64(stmt, 2, sub.failures);
    ngx_trove_sqlite_bind_int(stmt, 3, sub.failing);
    ngx_trove_sqlite_bind_int(stmt, 4, sub.probe);
    (void) sqlite3_bind_int64(stmt, 5, outcome->started);
    ngx_trove_sqlite_bind_int(stmt, 6,
                              outcome->answered ? outcome->status : 0);
    (void) sqlite3_bind_int(stmt, 7, (int) ok);
    (void) sqlite3_bind_int(stmt, 8, sub.enabled);
    ngx_trove_sqlite_bind(stmt, 9, &sub.reason);
    ngx_trove_sqlite_bind_int(stmt, 10, outcome->disabled
                                        ? ngx_trove_sqlite_wall(spool) : 0);

    rc = ngx_trove_sqlite_run(db, stmt);

    if (rc == NGX_OK && ok && held) {

        /* those that have been held back are due */

        rc = ngx_trove_sqlite_cache_get_id(db, target, &cached);

        if (rc == NGX_OK && cached->due != NGX_TROVE_SQLITE_NEVER) {
            ngx_trove_sqlite_cache_due(db, cached, ngx_min(cached->due, now));
        }
    }

done:

    ngx_trove_sqlite_subscriber_done(&sub);

    return (rc == NGX_DECLINED) ? NGX_OK : rc;
}


static ngx_int_t
ngx_trove_sqlite_health_disable(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, ngx_trove_spool_outcome_t *outcome,
    ngx_trove_sqlite_subscriber_t *sub)
{
    int64_t                  wall;
    ngx_trove_spool_op_t     op;
    ngx_trove_spool_actor_t  actor;

    wall = ngx_trove_sqlite_wall(spool);

    if (outcome->gone) {
        ngx_str_set(&sub->reason, "gone");

    } else if (outcome->disable_after != 0
               && wall - sub->failing >= outcome->disable_after)
    {
        ngx_str_set(&sub->reason, "failing");

    } else {
        return NGX_OK;
    }

    sub->enabled = 0;
    outcome->disabled = 1;

    ngx_str_null(&actor.actor);
    actor.detail = sub->reason;

    if (ngx_trove_sqlite_pattern_disable(db, sub) != NGX_OK
        || ngx_trove_sqlite_audit_add(spool, db, sub, "disable",
                                               &actor)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (outcome->notice == NULL) {
        return NGX_OK;
    }

    ngx_memzero(&op, sizeof(ngx_trove_spool_op_t));

    op.type = NGX_TROVE_SPOOL_OP_ACCEPT;
    op.u.accept = *outcome->notice;

    return ngx_trove_sqlite_accept(spool, &op);
}
