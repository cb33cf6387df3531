
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_trove_compat.h"
#include "ngx_http_trove_metrics_spool.h"
#include "ngx_http_trove_spool_log.h"
#include "ngx_http_trove_spool_pool.h"
#include "ngx_http_trove_spool_unconfigured.h"
#include "ngx_http_trove_spool_writer.h"
#include "ngx_http_trove_timer.h"


/* operations in one transaction: together they delay other workers */
#define NGX_HTTP_TROVE_WRITER_BATCH     1024

/*
 * Bytes of bodies in one transaction: those in files are read into memory.
 * Bytes of bodies in memory that may be waiting.
 */
#define NGX_HTTP_TROVE_WRITER_BYTES     (8 * 1024 * 1024)
#define NGX_HTTP_TROVE_WRITER_WAITING   (32 * 1024 * 1024)

/* how often an exiting worker checks for unwritten operations, milliseconds */
#define NGX_HTTP_TROVE_WRITER_EXIT      1000

/* the intervals of maintenance and of reading statistics, milliseconds */
#define NGX_HTTP_TROVE_WRITER_MAINTAIN  1000
#define NGX_HTTP_TROVE_WRITER_STAT      3000

/* how long a full spool without new events counts as down, milliseconds */
#define NGX_HTTP_TROVE_WRITER_DOWN      60000


/* the task of a thread, which accesses no other data of the worker */
typedef struct {
    ngx_trove_spool_t             *spool;
    ngx_trove_spool_op_t          *ops;        /* NULL: only open it */
    ngx_trove_spool_cost_t         cost;
    ngx_trove_spool_error_t        error;
    ngx_int_t                      rc;
    unsigned                       open:1;
    unsigned                       bulk:1;     /* one of the operations */
} ngx_http_trove_writer_task_t;


typedef struct {
    ngx_trove_spool_t             *spool;
    ngx_trove_spool_maintained_t   maintained;
    ngx_trove_spool_stat_t        *stat;       /* NULL: not wanted, or failed */
    ngx_trove_spool_error_t        error;
    ngx_int_t                      rc;
    unsigned                       want:1;
} ngx_http_trove_maintenance_t;


typedef struct {
    ngx_trove_spool_t             *spool;
    ngx_thread_pool_t             *pool;
    ngx_thread_pool_t             *pool_maintenance;

    ngx_trove_spool_op_t          *head;       /* queued, in order */
    ngx_trove_spool_op_t         **tail;
    size_t                         waiting;    /* bytes in memory */

    ngx_trove_spool_op_t          *bulk;       /* likewise */
    ngx_trove_spool_op_t         **bulk_tail;
    ngx_event_t                    bulk_timer;
    ngx_msec_t                     bulk_next;  /* not before */

    /* the last one when the transaction in progress began; NULL: in it */
    ngx_trove_spool_op_t          *waited;

    ngx_thread_task_t             *task;
    ngx_thread_task_t             *maintenance;
    ngx_event_t                    exit_guard; /* delays the worker's exit */
    ngx_event_t                    timer;      /* of the maintenance */

    ngx_msec_t                     stated;
    ngx_http_trove_spool_log_t     log;
    ngx_http_trove_writer_state_t  state;
} ngx_http_trove_writer_t;


static size_t ngx_http_trove_writer_size(ngx_trove_spool_op_t *op,
    ngx_uint_t file);
static void ngx_http_trove_writer_run(void);
static ngx_uint_t ngx_http_trove_writer_bulk(void);
static void ngx_http_trove_writer_bulk_timer(ngx_event_t *ev);
static void ngx_http_trove_writer_fail(ngx_http_trove_writer_task_t *task);
static void ngx_http_trove_writer_thread(void *data, ngx_log_t *log);
static void ngx_http_trove_writer_done(ngx_event_t *ev);
static ngx_uint_t ngx_http_trove_writer_proof(ngx_trove_spool_op_t *op);
static void ngx_http_trove_writer_exit_guard(ngx_event_t *ev);
static void ngx_http_trove_writer_maintain(ngx_event_t *ev);
static void ngx_http_trove_writer_maintain_thread(void *data, ngx_log_t *log);
static void ngx_http_trove_writer_maintained(ngx_event_t *ev);
static void ngx_http_trove_writer_error(ngx_trove_spool_error_t *error);


/* of this process; spool == NULL: there is none */
static ngx_http_trove_writer_t  ngx_http_trove_writer;


ngx_int_t
ngx_http_trove_writer_init(ngx_cycle_t *cycle, ngx_trove_spool_conf_t *conf)
{
    ngx_http_trove_writer_t  *w;

    w = &ngx_http_trove_writer;

    ngx_memzero(w, sizeof(ngx_http_trove_writer_t));

    w->pool = ngx_http_trove_pool_get(cycle, NGX_HTTP_TROVE_POOL_WRITER);
    w->pool_maintenance = ngx_http_trove_pool_get(cycle,
                                              NGX_HTTP_TROVE_POOL_MAINTENANCE);

    if (w->pool == NULL || w->pool_maintenance == NULL) {
        return NGX_ERROR;
    }

    w->task = ngx_thread_task_alloc(cycle->pool,
                                    sizeof(ngx_http_trove_writer_task_t));
    w->maintenance = ngx_thread_task_alloc(cycle->pool,
                                       sizeof(ngx_http_trove_maintenance_t));

    if (w->task == NULL || w->maintenance == NULL) {
        return NGX_ERROR;
    }

    w->spool = ngx_trove_spool_create(conf);
    if (w->spool == NULL) {
        return NGX_ERROR;
    }

    w->log.log = cycle->log;
    w->log.uri = conf->uri;
    w->log.spool = w->spool;
    w->tail = &w->head;
    w->bulk_tail = &w->bulk;

    ngx_memzero(w->task->ctx, sizeof(ngx_http_trove_writer_task_t));
    w->task->handler = ngx_http_trove_writer_thread;
    ngx_http_trove_timer_init(&w->task->event, ngx_http_trove_writer_done,
                              cycle->log, 0);

    ngx_memzero(w->maintenance->ctx, sizeof(ngx_http_trove_maintenance_t));
    w->maintenance->handler = ngx_http_trove_writer_maintain_thread;
    ngx_http_trove_timer_init(&w->maintenance->event,
                              ngx_http_trove_writer_maintained, cycle->log, 0);

    ngx_http_trove_timer_init(&w->exit_guard, ngx_http_trove_writer_exit_guard,
                              cycle->log, 0);
    ngx_http_trove_timer_init(&w->timer, ngx_http_trove_writer_maintain,
                              cycle->log, 1);

    ngx_http_trove_timer_init(&w->bulk_timer, ngx_http_trove_writer_bulk_timer,
                              cycle->log, 0);

    ngx_add_timer(&w->timer, NGX_HTTP_TROVE_WRITER_MAINTAIN);

    /* an empty queue only opens the spool */

    ngx_http_trove_writer_run();

    return NGX_OK;
}


ngx_uint_t
ngx_http_trove_writer_ready(void)
{
    return ngx_http_trove_writer.spool != NULL;
}


/*
 * A write every second shows whether an error has ended.  A full spool is
 * different: the error ends when an event is accepted, and there may be none.
 */

ngx_uint_t
ngx_http_trove_writer_up(void)
{
    ngx_http_trove_writer_t  *w;

    w = &ngx_http_trove_writer;

    return w->state.error == 0
           || (w->state.error == NGX_TROVE_SPOOL_FULL
               && ngx_current_msec - w->log.failed
                  > NGX_HTTP_TROVE_WRITER_DOWN);
}


ngx_trove_spool_t *
ngx_http_trove_writer_spool(void)
{
    return ngx_http_trove_writer.spool;
}


ngx_http_trove_writer_state_t *
ngx_http_trove_writer_state(void)
{
    return &ngx_http_trove_writer.state;
}


void
ngx_http_trove_writer_post(ngx_http_trove_write_t *write)
{
    ngx_http_trove_writer_t  *w;

    w = &ngx_http_trove_writer;

    write->op.next = NULL;
    *w->tail = &write->op;
    w->tail = &write->op.next;

    w->waiting += ngx_http_trove_writer_size(&write->op, 0);

    if (!w->task->event.active) {
        ngx_http_trove_writer_run();
    }
}


void
ngx_http_trove_writer_post_bulk(ngx_http_trove_write_t *write)
{
    ngx_http_trove_writer_t  *w;

    w = &ngx_http_trove_writer;

    write->op.next = NULL;
    *w->bulk_tail = &write->op;
    w->bulk_tail = &write->op.next;

    if (!w->task->event.active && ngx_http_trove_writer_bulk()) {
        ngx_http_trove_writer_run();
    }
}


/* returns 1 if a bulk operation can be written now, or sets the timer */

static ngx_uint_t
ngx_http_trove_writer_bulk(void)
{
    ngx_msec_int_t            left;
    ngx_http_trove_writer_t  *w;

    w = &ngx_http_trove_writer;

    if (w->bulk == NULL) {
        return 0;
    }

    left = (ngx_msec_int_t) (w->bulk_next - ngx_current_msec);

    if (left <= 0) {
        return 1;
    }

    if (!w->bulk_timer.timer_set) {
        ngx_add_timer(&w->bulk_timer, left);
    }

    return 0;
}


static void
ngx_http_trove_writer_bulk_timer(ngx_event_t *ev)
{
    if (!ngx_http_trove_writer.task->event.active
        && ngx_http_trove_writer_bulk())
    {
        ngx_http_trove_writer_run();
    }
}


ngx_uint_t
ngx_http_trove_writer_full(size_t size)
{
    ngx_http_trove_writer_t  *w;

    w = &ngx_http_trove_writer;

    if (w->waiting == 0
        || w->waiting + size <= NGX_HTTP_TROVE_WRITER_WAITING)
    {
        return 0;
    }

    ngx_http_trove_spool_log_refused(&w->log, w->waiting);

    return 1;
}


/* the bytes of a body in memory, and, if file is 1, of a body in a file */

static size_t
ngx_http_trove_writer_size(ngx_trove_spool_op_t *op, ngx_uint_t file)
{
    if (op->type != NGX_TROVE_SPOOL_OP_ACCEPT
        || (op->u.accept.fd != NGX_INVALID_FILE && !file))
    {
        return 0;
    }

    return op->u.accept.event.body.len;
}


static void
ngx_http_trove_writer_run(void)
{
    size_t                         size;
    ngx_uint_t                     n;
    ngx_trove_spool_op_t          *op, **last;
    ngx_http_trove_writer_t       *w;
    ngx_http_trove_writer_task_t  *task;

    w = &ngx_http_trove_writer;
    task = w->task->ctx;

    task->spool = w->spool;
    task->ops = w->head;
    last = &w->head;

    size = 0;

    for (n = 0, op = w->head; op && n < NGX_HTTP_TROVE_WRITER_BATCH; n++) {

        size += ngx_http_trove_writer_size(op, 1);

        if (n && size > NGX_HTTP_TROVE_WRITER_BYTES) {
            break;
        }

        last = &op->next;
        op = op->next;
    }

    w->waited = NULL;

    if (n) {
        *last = NULL;

        w->head = op;

        if (op == NULL) {
            w->tail = &w->head;

        } else {
            w->waited = (ngx_trove_spool_op_t *)
                            ((u_char *) w->tail
                             - offsetof(ngx_trove_spool_op_t, next));
        }
    }

    task->bulk = 0;

    if (ngx_http_trove_writer_bulk()) {

        op = w->bulk;
        w->bulk = op->next;

        if (w->bulk == NULL) {
            w->bulk_tail = &w->bulk;
        }

        op->next = NULL;
        *(n ? last : &task->ops) = op;

        task->bulk = 1;
    }

    if (ngx_thread_task_post(w->pool, w->task) != NGX_OK) {

        /* an error of the system: nothing has been written */

        ngx_memzero(&task->error, sizeof(ngx_trove_spool_error_t));
        task->error.kind = NGX_TROVE_SPOOL_BUSY;
        (void) ngx_cpystrn(task->error.text,
                           (u_char *) "the task cannot be queued",
                           NGX_TROVE_SPOOL_TEXT_LEN);
        task->rc = NGX_ERROR;

        for (op = task->ops; op; op = op->next) {
            op->result = NGX_TROVE_SPOOL_ROLLED_BACK;
        }

        w->task->event.complete = 1;
        w->task->event.active = 1;
        ngx_post_event(&w->task->event, &ngx_posted_events);
    }

    /*
     * A request that waits for a thread has no timer of its own.  Without this
     * timer, an exiting worker would not wait for it.
     */

    if (!w->exit_guard.timer_set) {
        ngx_add_timer(&w->exit_guard, NGX_HTTP_TROVE_WRITER_EXIT);
    }
}


static void
ngx_http_trove_writer_thread(void *data, ngx_log_t *log)
{
    ngx_http_trove_writer_task_t *task = data;

    ngx_trove_spool_op_t  *op;

    ngx_memzero(&task->error, sizeof(ngx_trove_spool_error_t));
    ngx_memzero(&task->cost, sizeof(ngx_trove_spool_cost_t));

    if (!task->open) {

        if (ngx_trove_spool_open(task->spool, &task->error) != NGX_OK) {

            for (op = task->ops; op; op = op->next) {
                op->result = NGX_TROVE_SPOOL_ROLLED_BACK;
            }

            task->rc = NGX_ERROR;
            return;
        }

        task->open = 1;
    }

    task->rc = task->ops ? ngx_trove_spool_write(task->spool, task->ops,
                                                 &task->cost, &task->error)
                         : NGX_OK;
}


static void
ngx_http_trove_writer_done(ngx_event_t *ev)
{
    ngx_uint_t                     maintain;
    ngx_trove_spool_op_t          *op, *next;
    ngx_http_trove_write_t        *write;
    ngx_http_trove_writer_t       *w;
    ngx_http_trove_writer_task_t  *task;

    w = &ngx_http_trove_writer;
    task = w->task->ctx;

    ev->complete = 0;
    ev->active = 0;

    if (task->error.kind) {
        ngx_http_trove_writer_error(&task->error);

    } else if (w->state.error && task->rc == NGX_OK
               && ngx_http_trove_writer_proof(task->ops))
    {
        ngx_http_trove_spool_log_recovered(&w->log);
        w->state.error = 0;
    }

    if (task->rc == NGX_OK && task->ops) {
        ngx_http_trove_metrics_spool_add(NGX_HTTP_TROVE_SPOOL_COMMITS, 1);
        ngx_http_trove_metrics_spool_add(NGX_HTTP_TROVE_SPOOL_OPS,
                                         task->cost.ops);
        ngx_http_trove_metrics_spool_add(NGX_HTTP_TROVE_SPOOL_COMMIT_US,
                                         task->cost.commit);

    } else if (task->rc != NGX_OK) {
        ngx_http_trove_metrics_spool_add(NGX_HTTP_TROVE_SPOOL_ERRORS, 1);
    }

    if (task->rc != NGX_OK && w->waited) {
        ngx_http_trove_writer_fail(task);
    }

    if (task->bulk) {
        w->bulk_next = ngx_current_msec + 1
                       + (ngx_msec_t) ((task->cost.wait + task->cost.work
                                        + task->cost.commit) / 1000);
    }

    op = task->ops;
    maintain = task->cost.maintain_due;
    task->ops = NULL;

    /* the next batch must not wait for the handlers; the task is reused */

    if (w->head || ngx_http_trove_writer_bulk()) {
        ngx_http_trove_writer_run();
    }

    for ( /* void */ ; op; op = next) {
        next = op->next;

        w->waiting -= ngx_http_trove_writer_size(op, 0);

        write = (ngx_http_trove_write_t *) op;
        write->handler(write);
    }

    if (maintain && !w->maintenance->event.active) {
        ngx_http_trove_writer_maintain(&w->timer);
    }
}


/*
 * Operations that were too large for the failed transaction have waited as long
 * as those in it.  One transaction after another would fail in the same way,
 * each after the time of waiting for a lock.
 */

static void
ngx_http_trove_writer_fail(ngx_http_trove_writer_task_t *task)
{
    ngx_trove_spool_op_t     *op, **last;
    ngx_http_trove_writer_t  *w;

    w = &ngx_http_trove_writer;

    for (last = &task->ops; *last; last = &(*last)->next) { /* void */ }

    *last = w->head;

    w->head = w->waited->next;
    w->waited->next = NULL;
    w->waited = NULL;

    if (w->head == NULL) {
        w->tail = &w->head;
    }

    for (op = *last; op; op = op->next) {
        op->result = NGX_TROVE_SPOOL_ROLLED_BACK;
    }
}


/*
 * Returns 1 if a written batch shows that the spool works again.  In a full
 * spool, outcomes may succeed while events fail, so only an accepted event is
 * proof.
 */

static ngx_uint_t
ngx_http_trove_writer_proof(ngx_trove_spool_op_t *op)
{
    if (ngx_http_trove_writer.state.error != NGX_TROVE_SPOOL_FULL) {
        return op != NULL;
    }

    for ( /* void */ ; op; op = op->next) {

        if (op->type == NGX_TROVE_SPOOL_OP_ACCEPT
            && op->result == NGX_TROVE_SPOOL_DONE)
        {
            return 1;
        }
    }

    return 0;
}


static void
ngx_http_trove_writer_exit_guard(ngx_event_t *ev)
{
    if (ngx_http_trove_writer.head
        || ngx_http_trove_writer.bulk
        || ngx_http_trove_writer.task->event.active)
    {
        ngx_add_timer(ev, NGX_HTTP_TROVE_WRITER_EXIT);
    }
}


static void
ngx_http_trove_writer_maintain(ngx_event_t *ev)
{
    ngx_http_trove_writer_t       *w;
    ngx_http_trove_writer_task_t  *task;
    ngx_http_trove_maintenance_t  *m;

    w = &ngx_http_trove_writer;
    m = w->maintenance->ctx;
    task = w->task->ctx;

    if (!ngx_exiting && !ev->timer_set) {
        ngx_add_timer(ev, NGX_HTTP_TROVE_WRITER_MAINTAIN);
    }

    if (w->task->event.active) {

        /* only the thread knows whether it is open; it is in use anyway */

    } else if (!task->open) {
        ngx_http_trove_writer_run();
        return;
    }

    if (w->maintenance->event.active || ngx_exiting) {
        return;
    }

    m->spool = w->spool;
    m->stat = NULL;
    m->want = w->state.stat == NULL
              || ngx_current_msec - w->stated >= NGX_HTTP_TROVE_WRITER_STAT;

    (void) ngx_thread_task_post(w->pool_maintenance, w->maintenance);
}


static void
ngx_http_trove_writer_maintain_thread(void *data, ngx_log_t *log)
{
    ngx_http_trove_maintenance_t *m = data;

    ngx_memzero(&m->error, sizeof(ngx_trove_spool_error_t));
    ngx_memzero(&m->maintained, sizeof(ngx_trove_spool_maintained_t));

    m->rc = ngx_trove_spool_maintain(m->spool, &m->maintained, &m->error);

    if (m->rc == NGX_OK && m->want) {
        m->stat = ngx_trove_spool_stat(m->spool, &m->error);
    }
}


static void
ngx_http_trove_writer_maintained(ngx_event_t *ev)
{
    ngx_http_trove_writer_t       *w;
    ngx_http_trove_maintenance_t  *m;

    w = &ngx_http_trove_writer;
    m = w->maintenance->ctx;

    ev->complete = 0;
    ev->active = 0;

    if (m->error.kind) {
        ngx_http_trove_writer_error(&m->error);
    }

    if (m->stat) {
        ngx_trove_spool_free(w->state.stat);
        w->state.stat = m->stat;
        w->stated = ngx_current_msec;

        ngx_http_trove_spool_unconfigured_log(m->stat);
    }

    if (m->maintained.early) {
        ngx_http_trove_spool_log_early(&w->log, m->maintained.early);
    }

    if (m->maintained.more && !ngx_exiting) {
        ngx_http_trove_writer_maintain(&w->timer);
    }
}


static void
ngx_http_trove_writer_error(ngx_trove_spool_error_t *error)
{
    ngx_http_trove_writer_t  *w;

    w = &ngx_http_trove_writer;

    ngx_http_trove_spool_log_error(&w->log, error, w->state.stat);

    w->state.error = error->kind;
}
