
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/crypto.h>

#include "ngx_trove_spool_engine.h"


/* a subscriber referenced by several deliveries */
typedef struct {
    ngx_uint_t                       refs;
    size_t                           size;       /* of its strings */
    ngx_trove_spool_subscriber_t     subscriber;
} ngx_trove_spool_shared_subscriber_t;


#define ngx_trove_spool_subscriber_shared(subscriber)                         \
    ((ngx_trove_spool_shared_subscriber_t *)                                  \
         ((u_char *) (subscriber)                                             \
          - offsetof(ngx_trove_spool_shared_subscriber_t, subscriber)))


ngx_int_t
ngx_trove_spool_subscribe(ngx_trove_spool_t *spool,
    ngx_trove_spool_subscription_t *subscription,
    ngx_trove_spool_actor_t *actor, ngx_trove_spool_error_t *error)
{
    return spool->engine->subscribe(spool, subscription, actor, error);
}


ngx_int_t
ngx_trove_spool_change(ngx_trove_spool_t *spool, ngx_trove_spool_scope_t *scope,
    ngx_str_t *id, ngx_trove_spool_change_t *change,
    ngx_trove_spool_actor_t *actor, ngx_trove_spool_error_t *error)
{
    return spool->engine->change(spool, scope, id, change, actor, error);
}


ngx_int_t
ngx_trove_spool_unsubscribe(ngx_trove_spool_t *spool,
    ngx_trove_spool_scope_t *scope, ngx_str_t *id,
    ngx_trove_spool_actor_t *actor, ngx_trove_spool_error_t *error)
{
    return spool->engine->unsubscribe(spool, scope, id, actor, error);
}


ngx_trove_spool_subscriptions_t *
ngx_trove_spool_subscriptions(ngx_trove_spool_t *spool,
    ngx_trove_spool_scope_t *scope, ngx_str_t *id, int64_t cursor,
    ngx_uint_t limit, ngx_trove_spool_error_t *error)
{
    return spool->engine->subscriptions(spool, scope, id, cursor, limit, error);
}


ngx_trove_spool_audits_t *
ngx_trove_spool_audit(ngx_trove_spool_t *spool, ngx_trove_spool_scope_t *scope,
    int64_t cursor, ngx_uint_t limit, ngx_trove_spool_error_t *error)
{
    return spool->engine->audit(spool, scope, cursor, limit, error);
}


ngx_trove_spool_subscriber_t *
ngx_trove_spool_subscriber_alloc(size_t size)
{
    ngx_trove_spool_shared_subscriber_t  *shared;

    shared = calloc(1, sizeof(ngx_trove_spool_shared_subscriber_t) + size);
    if (shared == NULL) {
        return NULL;
    }

    shared->refs = 1;
    shared->size = size;

    return &shared->subscriber;
}


void
ngx_trove_spool_subscriber_ref(ngx_trove_spool_subscriber_t *subscriber)
{
    ngx_trove_spool_subscriber_shared(subscriber)->refs++;
}


void
ngx_trove_spool_subscriber_free(ngx_trove_spool_subscriber_t *subscriber)
{
    ngx_trove_spool_shared_subscriber_t  *shared;

    if (subscriber == NULL) {
        return;
    }

    shared = ngx_trove_spool_subscriber_shared(subscriber);

    if (--shared->refs == 0) {
        OPENSSL_cleanse(shared + 1, shared->size);
        free(shared);
    }
}
