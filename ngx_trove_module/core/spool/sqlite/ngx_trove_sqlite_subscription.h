
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_SQLITE_SUBSCRIPTION_H_INCLUDED_
#define _NGX_TROVE_SQLITE_SUBSCRIPTION_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_db.h"


/* Implement the functions of ngx_trove_spool_subscription.h. */
ngx_int_t ngx_trove_sqlite_subscribe(ngx_trove_spool_t *base,
    ngx_trove_spool_subscription_t *subscription,
    ngx_trove_spool_actor_t *actor, ngx_trove_spool_error_t *error);
ngx_int_t ngx_trove_sqlite_change(ngx_trove_spool_t *base,
    ngx_trove_spool_scope_t *scope, ngx_str_t *id,
    ngx_trove_spool_change_t *change, ngx_trove_spool_actor_t *actor,
    ngx_trove_spool_error_t *error);
ngx_int_t ngx_trove_sqlite_unsubscribe(ngx_trove_spool_t *base,
    ngx_trove_spool_scope_t *scope, ngx_str_t *id,
    ngx_trove_spool_actor_t *actor, ngx_trove_spool_error_t *error);
ngx_trove_spool_subscriptions_t *ngx_trove_sqlite_subscriptions(
    ngx_trove_spool_t *base, ngx_trove_spool_scope_t *scope, ngx_str_t *id,
    int64_t cursor, ngx_uint_t limit, ngx_trove_spool_error_t *error);
ngx_trove_spool_audits_t *ngx_trove_sqlite_audit(ngx_trove_spool_t *base,
    ngx_trove_spool_scope_t *scope, int64_t cursor, ngx_uint_t limit,
    ngx_trove_spool_error_t *error);


#endif /* _NGX_TROVE_SQLITE_SUBSCRIPTION_H_INCLUDED_ */
