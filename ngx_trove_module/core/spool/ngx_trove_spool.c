
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_spool_engine.h"
#include "ngx_trove_time.h"


static const ngx_trove_spool_engine_t *ngx_trove_spool_engine(ngx_str_t *uri,
    ngx_trove_spool_error_t *error);


static const ngx_trove_spool_engine_t
                            *ngx_trove_spool_engines[NGX_TROVE_SPOOL_ENGINES];


ngx_int_t
ngx_trove_spool_register(const ngx_trove_spool_engine_t *engine)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_TROVE_SPOOL_ENGINES; i++) {

        if (ngx_trove_spool_engines[i] == NULL) {
            ngx_trove_spool_engines[i] = engine;
        }

        if (ngx_trove_spool_engines[i] == engine) {
            return NGX_OK;
        }
    }

    return NGX_ERROR;
}


static const ngx_trove_spool_engine_t *
ngx_trove_spool_engine(ngx_str_t *uri, ngx_trove_spool_error_t *error)
{
    size_t                           len;
    ngx_uint_t                       i;
    const ngx_trove_spool_engine_t  *engine;

    ngx_memzero(error, sizeof(ngx_trove_spool_error_t));

    len = ngx_trove_spool_scheme(uri);

    for (i = 0; i < NGX_TROVE_SPOOL_ENGINES; i++) {
        engine = ngx_trove_spool_engines[i];

        if (engine == NULL) {
            break;
        }

        if (engine->scheme.len == len
            && ngx_strncmp(engine->scheme.data, uri->data, len) == 0)
        {
            return engine;
        }
    }

    /* only the scheme: the rest of a URI may contain a password */

    (void) ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_ACCESS, 0,
                                "no spool engine for \"%.*s://\" is built in",
                                (int) ngx_min(len, 32), uri->data);

    return NULL;
}


size_t
ngx_trove_spool_scheme(ngx_str_t *uri)
{
    u_char  ch;
    size_t  i;

    for (i = 0; i < uri->len; i++) {
        ch = uri->data[i];

        if (ch == ':') {
            return (uri->len - i >= 3 && ngx_strncmp(&uri->data[i], "://", 3)
                                         == 0)
                   ? i : 0;
        }

        if ((ch < 'a' || ch > 'z') && (ch < 'A' || ch > 'Z')
            && (i == 0 || ((ch < '0' || ch > '9') && ch != '+' && ch != '-'
                           && ch != '.')))
        {
            break;
        }
    }

    return 0;
}


ngx_int_t
ngx_trove_spool_check(ngx_str_t *uri, ngx_trove_spool_error_t *error)
{
    const ngx_trove_spool_engine_t  *engine;

    engine = ngx_trove_spool_engine(uri, error);

    return engine ? engine->check(uri, error) : NGX_ERROR;
}


ngx_int_t
ngx_trove_spool_own(ngx_str_t *uri, ngx_uint_t first, ngx_fd_t *fd,
    ngx_trove_spool_error_t *error)
{
    const ngx_trove_spool_engine_t  *engine;

    *fd = NGX_INVALID_FILE;

    engine = ngx_trove_spool_engine(uri, error);

    return engine ? engine->own(uri, first, fd, error) : NGX_ERROR;
}


ngx_int_t
ngx_trove_spool_prepare(ngx_trove_spool_conf_t *conf,
    ngx_trove_spool_user_t *user, ngx_trove_spool_error_t *error)
{
    const ngx_trove_spool_engine_t  *engine;

    engine = ngx_trove_spool_engine(&conf->uri, error);

    return engine ? engine->prepare(conf, user, error) : NGX_ERROR;
}


ngx_trove_spool_t *
ngx_trove_spool_create(ngx_trove_spool_conf_t *conf)
{
    ngx_trove_spool_t               *spool;
    ngx_trove_spool_error_t          error;
    const ngx_trove_spool_engine_t  *engine;

    engine = ngx_trove_spool_engine(&conf->uri, &error);

    if (engine == NULL) {
        return NULL;
    }

    spool = engine->create(conf);

    if (spool != NULL) {
        spool->engine = engine;
    }

    return spool;
}


void
ngx_trove_spool_destroy(ngx_trove_spool_t *spool)
{
    if (spool != NULL) {
        spool->engine->destroy(spool);
    }
}


ngx_int_t
ngx_trove_spool_open(ngx_trove_spool_t *spool, ngx_trove_spool_error_t *error)
{
    return spool->engine->open(spool, error);
}


ngx_int_t
ngx_trove_spool_write(ngx_trove_spool_t *spool, ngx_trove_spool_op_t *ops,
    ngx_trove_spool_cost_t *cost, ngx_trove_spool_error_t *error)
{
    return spool->engine->write(spool, ops, cost, error);
}


uint64_t
ngx_trove_spool_generation(ngx_trove_spool_t *spool)
{
    return spool->engine->generation(spool);
}


ngx_int_t
ngx_trove_spool_maintain(ngx_trove_spool_t *spool,
    ngx_trove_spool_maintained_t *maintained, ngx_trove_spool_error_t *error)
{
    return spool->engine->maintain(spool, maintained, error);
}


ngx_trove_spool_stat_t *
ngx_trove_spool_stat(ngx_trove_spool_t *spool, ngx_trove_spool_error_t *error)
{
    return spool->engine->stat(spool, error);
}


ngx_trove_spool_events_t *
ngx_trove_spool_events(ngx_trove_spool_t *spool,
    ngx_trove_spool_filter_t *filter, int64_t cursor, ngx_uint_t limit,
    size_t max_bytes, ngx_trove_spool_error_t *error)
{
    return spool->engine->events(spool, filter, cursor, limit, max_bytes,
                                 error);
}


ngx_int_t
ngx_trove_spool_feed(ngx_trove_spool_t *spool, ngx_trove_spool_feed_t *feed,
    ngx_trove_spool_error_t *error)
{
    return spool->engine->feed(spool, feed, error);
}


ngx_trove_spool_follow_t *
ngx_trove_spool_follow(ngx_trove_spool_t *spool,
    ngx_trove_spool_filter_t *filter, int64_t after, ngx_uint_t limit,
    size_t max_bytes, ngx_trove_spool_error_t *error)
{
    return spool->engine->follow(spool, filter, after, limit, max_bytes,
                                 error);
}


int64_t
ngx_trove_spool_last(ngx_trove_spool_t *spool, ngx_trove_spool_error_t *error)
{
    return spool->engine->last(spool, error);
}


int64_t
ngx_trove_spool_seek(ngx_trove_spool_t *spool, int64_t received,
    ngx_trove_spool_error_t *error)
{
    return spool->engine->seek(spool, received, error);
}


ngx_trove_spool_events_t *
ngx_trove_spool_event(ngx_trove_spool_t *spool, int64_t number, u_char *key,
    ngx_trove_spool_error_t *error)
{
    return spool->engine->event(spool, number, key, error);
}


ngx_trove_spool_deliveries_t *
ngx_trove_spool_deliveries(ngx_trove_spool_t *spool,
    ngx_trove_spool_filter_t *filter, int64_t cursor, ngx_uint_t limit,
    ngx_trove_spool_error_t *error)
{
    return spool->engine->deliveries(spool, filter, cursor, limit, error);
}


ngx_trove_spool_deliveries_t *
ngx_trove_spool_delivery(ngx_trove_spool_t *spool, int64_t id,
    ngx_trove_spool_error_t *error)
{
    return spool->engine->delivery(spool, id, error);
}


ngx_trove_spool_deliveries_t *
ngx_trove_spool_event_deliveries(ngx_trove_spool_t *spool, int64_t number,
    ngx_trove_spool_error_t *error)
{
    return spool->engine->event_deliveries(spool, number, error);
}


ngx_int_t
ngx_trove_spool_control(ngx_trove_spool_t *spool,
    ngx_trove_spool_action_e action, int64_t id, ngx_trove_spool_error_t *error)
{
    return spool->engine->control(spool, action, id, error);
}


ngx_int_t
ngx_trove_spool_select(ngx_trove_spool_t *spool,
    ngx_trove_spool_action_e action, ngx_trove_spool_filter_t *filter,
    int64_t *cursor, int64_t *ids, ngx_uint_t *n,
    ngx_trove_spool_error_t *error)
{
    return spool->engine->select(spool, action, filter, cursor, ids, n, error);
}


ngx_int_t
ngx_trove_spool_pause(ngx_trove_spool_t *spool,
    ngx_trove_spool_target_t *target, ngx_uint_t paused,
    ngx_trove_spool_error_t *error)
{
    return spool->engine->pause(spool, target, paused, error);
}


ngx_int_t
ngx_trove_spool_forget(ngx_trove_spool_t *spool, u_char *key,
    ngx_trove_spool_error_t *error)
{
    return spool->engine->forget(spool, key, error);
}


const char *
ngx_trove_spool_remedy(ngx_trove_spool_t *spool, ngx_trove_spool_error_e kind)
{
    return spool->engine->remedy(kind);
}


int64_t
ngx_trove_spool_created(ngx_trove_spool_event_t *event)
{
    int64_t  ns;

    if (ngx_trove_time_parse(&event->created_at, &ns) == NGX_OK) {
        return ngx_max(ns, 0);
    }

    if (event->received >= NGX_TROVE_TIME_MAX / NGX_TROVE_TIME_MSEC) {
        return NGX_TROVE_TIME_MAX;
    }

    return ngx_max(event->received, 0) * NGX_TROVE_TIME_MSEC;
}
