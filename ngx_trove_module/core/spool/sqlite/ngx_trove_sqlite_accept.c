
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_subscription.h"


static ngx_int_t ngx_trove_sqlite_accept_event(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_op_t *op, int64_t *subscriptions);
static ngx_int_t ngx_trove_sqlite_accept_targets(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_accept_t *accept, int64_t now);
static ngx_int_t ngx_trove_sqlite_accept_subscriptions(
    ngx_trove_sqlite_t *spool, ngx_trove_spool_accept_t *accept, int64_t now,
    int64_t *subscriptions);


ngx_int_t
ngx_trove_sqlite_accept(ngx_trove_sqlite_t *spool, ngx_trove_spool_op_t *op)
{
    int64_t                    number, *subscriptions;
    ngx_int_t                  rc;
    ngx_trove_sqlite_db_t     *db;
    ngx_trove_spool_accept_t  *accept;

    db = &spool->writer;
    accept = &op->u.accept;

    if (accept->ntargets > NGX_TROVE_SPOOL_TARGETS
        || ngx_trove_sqlite_event_size(&accept->event)
           > (size_t) sqlite3_limit(db->db, SQLITE_LIMIT_LENGTH, -1)
             - NGX_TROVE_SQLITE_PAGE_SIZE)
    {
        op->result = NGX_TROVE_SPOOL_TOO_LARGE;
        return NGX_OK;
    }

    if (accept->key != NULL) {

        rc = ngx_trove_sqlite_key_find(spool, db, accept->key, &number);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_OK) {
            accept->event.number = number;
            op->result = NGX_TROVE_SPOOL_DUPLICATE;
            return NGX_OK;
        }
    }

    subscriptions = NULL;
    accept->nsubscribed = 0;

    if (accept->subscribed) {

        if (ngx_trove_sqlite_pattern_match(db, &accept->event, &subscriptions,
                                           &accept->nsubscribed)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (accept->ntargets + accept->nsubscribed > NGX_TROVE_SPOOL_TARGETS) {
            free(subscriptions);
            op->result = NGX_TROVE_SPOOL_TOO_LARGE;
            return NGX_OK;
        }
    }

    rc = ngx_trove_sqlite_accept_event(spool, op, subscriptions);

    free(subscriptions);

    return rc;
}


static ngx_int_t
ngx_trove_sqlite_accept_event(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_op_t *op, int64_t *subscriptions)
{
    int64_t                    now;
    ngx_trove_sqlite_db_t     *db;
    ngx_trove_spool_accept_t  *accept;

    db = &spool->writer;
    accept = &op->u.accept;

    accept->event.number = db->state.last + 1;

    if (accept->event.received == 0) {
        accept->event.received = ngx_trove_sqlite_wall(spool);
    }

    if (ngx_trove_sqlite_event_add(db, &accept->event, accept->key) != NGX_OK) {
        return NGX_ERROR;
    }

    db->state.last++;
    db->state.events++;
    db->state.dirty = 1;

    if (accept->key != NULL
        && ngx_trove_sqlite_key_add(spool, db, accept->key,
                                    accept->event.number)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    op->result = NGX_TROVE_SPOOL_DONE;

    now = ngx_trove_sqlite_now(spool);

    if (ngx_trove_sqlite_accept_targets(spool, accept, now) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_trove_sqlite_accept_subscriptions(spool, accept, now,
                                                 subscriptions);
}


static ngx_int_t
ngx_trove_sqlite_accept_targets(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_accept_t *accept, int64_t now)
{
    ngx_uint_t                  i;
    ngx_trove_sqlite_db_t      *db;
    ngx_trove_sqlite_row_t      row;
    ngx_trove_spool_start_t    *start;
    ngx_trove_spool_target_t    target;
    ngx_trove_sqlite_cached_t  *cached;

    db = &spool->writer;

    ngx_memzero(&row, sizeof(ngx_trove_sqlite_row_t));

    target.route = accept->event.route;

    for (i = 0; i < accept->ntargets; i++) {

        start = &accept->targets[i];
        target.name = start->name;

        if (ngx_trove_sqlite_cache_get(db, &target, 1, &cached) != NGX_OK) {
            return NGX_ERROR;
        }

        start->paused = cached->paused ? 1 : 0;
        start->leased = start->lease && !cached->paused;

        row.id = accept->event.number * 65536 + i;
        row.target = cached->id;
        row.opened = now;

        if (start->leased) {
            row.state = NGX_TROVE_SPOOL_LEASED;
            row.due = now + accept->lease;
            row.owner = spool->owner;
            row.started = accept->event.received;

        } else {
            row.state = NGX_TROVE_SPOOL_NEW;
            row.due = now;
            row.owner = 0;
            row.started = 0;
        }

        if (ngx_trove_sqlite_row_add(db, cached, &row) != NGX_OK) {
            return NGX_ERROR;
        }

        start->ref.id = row.id;
        start->ref.generation = db->generation;
        start->ref.opened = row.opened;
        start->ref.version = 0;
        start->ref.file = spool->file;
    }

    return NGX_OK;
}


/* their deliveries wait, and are due at once */

static ngx_int_t
ngx_trove_sqlite_accept_subscriptions(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_accept_t *accept, int64_t now, int64_t *subscriptions)
{
    ngx_int_t                       rc;
    ngx_uint_t                      i;
    ngx_trove_sqlite_db_t          *db;
    ngx_trove_sqlite_row_t          row;
    ngx_trove_spool_target_t        target;
    ngx_trove_sqlite_cached_t      *cached;
    ngx_trove_sqlite_subscriber_t   sub;

    db = &spool->writer;

    ngx_memzero(&row, sizeof(ngx_trove_sqlite_row_t));

    row.state = NGX_TROVE_SPOOL_NEW;
    row.due = now;
    row.opened = now;

    target.route = accept->event.route;
    cached = NULL;

    for (i = 0; i < accept->nsubscribed; i++) {

        rc = ngx_trove_sqlite_subscriber_get(db, subscriptions[i], 1, &sub);

        if (rc == NGX_DECLINED) {
            rc = ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_CORRUPT, 0,
                                      "a pattern has no subscription");
        }

        if (rc == NGX_OK) {
            target.name = sub.id;

            rc = ngx_trove_sqlite_cache_subscription(db, &target, sub.number,
                                                     !sub.enabled, &cached);
        }

        ngx_trove_sqlite_subscriber_done(&sub);

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }

        row.id = accept->event.number * 65536 + accept->ntargets + i;
        row.target = cached->id;

        if (ngx_trove_sqlite_row_add(db, cached, &row) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}
