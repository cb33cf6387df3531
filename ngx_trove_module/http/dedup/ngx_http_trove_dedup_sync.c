
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <pthread.h>

#include "ngx_http_trove_dedup_sync.h"


#define NGX_HTTP_TROVE_SYNC_INTERVAL  1                 /* seconds */


typedef struct {
    pthread_t         tid;
    pthread_mutex_t   mutex;
    pthread_cond_t    cond;
    ngx_uint_t        stop;          /* by the mutex */

    ngx_log_t        *log;
    ngx_err_t         err;           /* the last one that was logged */
    ngx_uint_t        n;
    ngx_fd_t          fds[1];
} ngx_http_trove_sync_t;


static ngx_int_t ngx_http_trove_sync_thread(ngx_http_trove_sync_t *sync);
static void *ngx_http_trove_sync_cycle(void *data);
static ngx_uint_t ngx_http_trove_sync_wait(ngx_http_trove_sync_t *sync);
static void ngx_http_trove_sync_files(ngx_http_trove_sync_t *sync);


static ngx_http_trove_sync_t  *ngx_http_trove_sync;     /* of this process */


void
ngx_http_trove_sync_start(ngx_fd_t *fds, ngx_uint_t n, ngx_log_t *log)
{
    ngx_err_t               err;
    sigset_t                all, old;
    ngx_http_trove_sync_t  *sync;

    if (n == 0) {
        return;
    }

    sync = malloc(sizeof(ngx_http_trove_sync_t) + n * sizeof(ngx_fd_t));
    if (sync == NULL) {
        return;
    }

    sync->stop = 0;
    sync->log = log;
    sync->err = 0;
    sync->n = n;
    ngx_memcpy(sync->fds, fds, n * sizeof(ngx_fd_t));

    /* signals are for the event loop */

    sigfillset(&all);

    (void) pthread_sigmask(SIG_SETMASK, &all, &old);

    err = ngx_http_trove_sync_thread(sync);

    (void) pthread_sigmask(SIG_SETMASK, &old, NULL);

    if (err) {
        ngx_log_error(NGX_LOG_ALERT, log, err,
                      "trove: pthread_create() failed, state files are not "
                      "synced to the disk");
        free(sync);
        return;
    }

    ngx_http_trove_sync = sync;
}


/* 0, or an error of the system */

static ngx_int_t
ngx_http_trove_sync_thread(ngx_http_trove_sync_t *sync)
{
    ngx_err_t           err;
    pthread_condattr_t  attr;

    err = pthread_mutex_init(&sync->mutex, NULL);
    if (err) {
        return err;
    }

    err = pthread_condattr_init(&attr);
    if (err) {
        return err;
    }

    (void) pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);

    err = pthread_cond_init(&sync->cond, &attr);

    (void) pthread_condattr_destroy(&attr);

    if (err) {
        return err;
    }

    return pthread_create(&sync->tid, NULL, ngx_http_trove_sync_cycle, sync);
}


void
ngx_http_trove_sync_stop(void)
{
    ngx_http_trove_sync_t  *sync;

    sync = ngx_http_trove_sync;

    if (sync == NULL) {
        return;
    }

    ngx_http_trove_sync = NULL;

    (void) pthread_mutex_lock(&sync->mutex);

    sync->stop = 1;

    (void) pthread_cond_signal(&sync->cond);
    (void) pthread_mutex_unlock(&sync->mutex);

    /* an exiting worker unloads this code: the thread must have ended */

    (void) pthread_join(sync->tid, NULL);

    (void) pthread_cond_destroy(&sync->cond);
    (void) pthread_mutex_destroy(&sync->mutex);

    free(sync);
}


static void *
ngx_http_trove_sync_cycle(void *data)
{
    ngx_http_trove_sync_t *sync = data;

    while (!ngx_http_trove_sync_wait(sync)) {
        ngx_http_trove_sync_files(sync);
    }

    return NULL;
}


/* 1: it is time to end */

static ngx_uint_t
ngx_http_trove_sync_wait(ngx_http_trove_sync_t *sync)
{
    ngx_err_t        err;
    ngx_uint_t       stop;
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_sec += NGX_HTTP_TROVE_SYNC_INTERVAL;

    (void) pthread_mutex_lock(&sync->mutex);

    do {
        err = sync->stop ? 0 : pthread_cond_timedwait(&sync->cond,
                                                      &sync->mutex, &ts);
        stop = sync->stop;

    } while (!stop && err == 0);

    (void) pthread_mutex_unlock(&sync->mutex);

    return stop;
}


static void
ngx_http_trove_sync_files(ngx_http_trove_sync_t *sync)
{
    ngx_err_t   err;
    ngx_uint_t  i;

    for (i = 0; i < sync->n; i++) {

        if (fdatasync(sync->fds[i]) == 0) {
            continue;
        }

        err = ngx_errno;

        if (err != sync->err) {
            sync->err = err;

            ngx_log_error(NGX_LOG_CRIT, sync->log, err,
                          "trove: fdatasync() of a state file failed, a power "
                          "failure would lose events");
        }
    }
}
