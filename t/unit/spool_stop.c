
/*
 * Copyright (C) the ngx_trove_module authors
 */


/*
 * Two workers, each with deliveries in memory, and calls that pause, resume,
 * cancel and replay, in random order, against a model: no attempt begins that
 * was stopped, what was not stopped begins, and each delivery ends.
 */


#include "spool.h"


#define WORKERS     2
#define TARGETS     3
#define DELIVERIES  2000
#define MEMORY      64
#define STEPS       6000


/* a delivery as the model knows it */
typedef struct {
    int64_t                 id;
    ngx_uint_t              target;
    int                     holder;        /* the worker, or -1 */
    ngx_uint_t              window;        /* replays */
    ngx_uint_t              cancelled;
} delivery_t;


/* an entry in the memory of a worker */
typedef struct {
    ngx_trove_spool_ref_t   ref;
    delivery_t             *delivery;
    ngx_uint_t              window;
    ngx_uint_t              begun;
} entry_t;


typedef struct {
    ngx_trove_spool_t      *spool;
    entry_t                 memory[MEMORY];
    ngx_uint_t              n;
} worker_t;


static ngx_uint_t number(ngx_uint_t n);
static delivery_t *find(int64_t id);
static void accepts(ngx_uint_t w);
static void leases(ngx_uint_t w);
static void remembers(ngx_uint_t w, ngx_trove_spool_ref_t ref, delivery_t *d);
static void begins(ngx_uint_t w);
static void confirms(ngx_uint_t w);
static void ends(ngx_uint_t w);
static void finishes(ngx_uint_t w, ngx_uint_t i,
    ngx_trove_spool_verdict_e verdict);
static void pauses(ngx_uint_t w);
static void controls(ngx_uint_t w);


static const char  *names[TARGETS] = { "a", "b", "c" };

static worker_t     workers[WORKERS];
static delivery_t   deliveries[DELIVERIES];
static ngx_uint_t   ndeliveries;
static ngx_uint_t   paused[TARGETS];
static ngx_uint_t   begun, refused, wrong;
static unsigned     seed;


int
main(void)
{
    int64_t     count;
    ngx_uint_t  i, w, step, more;

    static void  (*steps[])(ngx_uint_t w) = {
        accepts, leases, leases, begins, begins, begins, begins, ends, ends,
        ends, pauses, controls, controls
    };

    alarm(300);

    seed = getenv("TROVE_SEED") ? strtoul(getenv("TROVE_SEED"), NULL, 10)
                                : (unsigned) time(NULL) ^ (unsigned) getpid();

    tap_diag("TROVE_SEED=%u", seed);

    spool_mkdir();

    for (w = 0; w < WORKERS; w++) {
        workers[w].spool = spool_open();
    }

    tap_ok(ngx_trove_spool_generation(workers[0].spool) != 0,
           "there is a generation");
    tap_ok(ngx_trove_spool_generation(workers[0].spool)
           == ngx_trove_spool_generation(workers[1].spool),
           "the same for all");

    for (step = 0; step < STEPS; step++) {
        steps[number(sizeof(steps) / sizeof(steps[0]))](number(WORKERS));
    }

    tap_is(wrong, 0, "only what may begin has begun");
    tap_ok(begun > 0 && refused > 0, "%d begun, %d not", (int) begun,
           (int) refused);

    /* all that is left */

    for (i = 0; i < TARGETS; i++) {
        ngx_trove_spool_target_t  target;

        target.route = str("example.com/events");
        target.name = str(names[i]);

        if (ngx_trove_spool_pause(workers[0].spool, &target, 0, &error)
            == NGX_ERROR)
        {
            die("resume");
        }

        paused[i] = 0;
    }

    do {
        more = 0;

        for (w = 0; w < WORKERS; w++) {
            leases(w);
            more += workers[w].n;

            while (workers[w].n) {
                begins(w);

                for (i = 0; i < workers[w].n; /* void */ ) {

                    if (workers[w].memory[i].begun) {
                        finishes(w, i, NGX_TROVE_SPOOL_TO_DELIVERED);

                    } else {
                        i++;
                    }
                }
            }
        }

    } while (more);

    count = sql_int("SELECT count(*) FROM delivery WHERE state < 3");

    tap_is(count, 0, "each delivery ends");
    tap_is(sql_int("SELECT count(*) FROM delivery"), ndeliveries,
           "none is lost");
    tap_is(wrong, 0, "in the end as well");
    tap_ok(spool_sound(), "the spool is sound");

    for (w = 0; w < WORKERS; w++) {
        ngx_trove_spool_destroy(workers[w].spool);
    }

    return tap_done();
}


static ngx_uint_t
number(ngx_uint_t n)
{
    return (ngx_uint_t) rand_r(&seed) % n;
}


static delivery_t *
find(int64_t id)
{
    ngx_uint_t  i;

    for (i = 0; i < ndeliveries; i++) {
        if (deliveries[i].id == id) {
            return &deliveries[i];
        }
    }

    die("delivery %d is unknown", (int) id);

    return NULL;
}


static void
accepts(ngx_uint_t w)
{
    accept_t                  a;
    delivery_t               *d;
    ngx_uint_t                i;
    ngx_trove_spool_start_t  *start;

    if (ndeliveries + TARGETS > DELIVERIES
        || workers[w].n + TARGETS > MEMORY)
    {
        return;
    }

    spool_write(workers[w].spool,
                accept_op(&a, ndeliveries, "a b c", number(2)));

    for (i = 0; i < TARGETS; i++) {
        start = &a.targets[i];

        d = &deliveries[ndeliveries++];
        d->id = start->ref.id;
        d->target = i;
        d->holder = -1;

        if (start->leased) {
            if (paused[i]) {
                tap_diag("accepted and leased, though its target is paused");
                wrong++;
            }

            remembers(w, start->ref, d);
        }
    }
}


static void
leases(ngx_uint_t w)
{
    delivery_t  *d;
    ngx_uint_t   i, n;

    if (workers[w].n == MEMORY) {
        return;
    }

    n = spool_lease(workers[w].spool, "a b c", MEMORY,
                    ngx_min(MEMORY - workers[w].n, 16));

    for (i = 0; i < n; i++) {
        d = find(leased[i].ref.id);

        if (paused[d->target] || d->cancelled || d->holder != -1) {
            tap_diag("leased, though it should not be");
            wrong++;
        }

        remembers(w, leased[i].ref, d);
    }

    spool_leased_free(n);
}


static void
remembers(ngx_uint_t w, ngx_trove_spool_ref_t ref, delivery_t *d)
{
    entry_t  *e;

    e = &workers[w].memory[workers[w].n++];

    e->ref = ref;
    e->delivery = d;
    e->window = d->window;
    e->begun = 0;

    d->holder = w;
}


/* an attempt begins if the generation is the same, or after a confirmation */

static void
begins(ngx_uint_t w)
{
    entry_t     *e;
    ngx_uint_t   i;
    uint64_t     generation;

    generation = ngx_trove_spool_generation(workers[w].spool);

    for (i = 0; i < workers[w].n; i++) {
        e = &workers[w].memory[i];

        if (e->begun) {
            continue;
        }

        if (e->ref.generation != generation) {
            confirms(w);
            return;
        }

        if (paused[e->delivery->target] || e->delivery->holder != (int) w
            || e->window != e->delivery->window || e->delivery->cancelled)
        {
            tap_diag("begun, though it was stopped");
            wrong++;
        }

        e->begun = 1;
        begun++;

        if (number(3)) {
            return;
        }
    }
}


static void
confirms(ngx_uint_t w)
{
    entry_t                   *e;
    ngx_uint_t                 i, n, wanted;
    ngx_trove_spool_op_t       op;
    ngx_trove_spool_ref_t      refs[MEMORY];
    ngx_trove_spool_result_e   results[MEMORY];

    memset(&op, 0, sizeof(op));

    for (i = 0, n = 0; i < workers[w].n; i++) {
        if (!workers[w].memory[i].begun) {
            refs[n++] = workers[w].memory[i].ref;
        }
    }

    op.type = NGX_TROVE_SPOOL_OP_CONFIRM;
    op.u.confirm.refs = refs;
    op.u.confirm.nrefs = n;
    op.u.confirm.results = results;

    spool_write(workers[w].spool, &op);

    for (i = 0, n = 0; i < workers[w].n; /* void */ ) {
        e = &workers[w].memory[i];

        if (e->begun) {
            i++;
            continue;
        }

        wanted = (results[n++] == NGX_TROVE_SPOOL_DONE);

        if (wanted != (!paused[e->delivery->target]
                       && e->delivery->holder == (int) w
                       && e->window == e->delivery->window))
        {
            tap_diag("confirmed: %d", (int) wanted);
            wrong++;
        }

        if (wanted) {
            e->ref.generation = op.u.confirm.generation;
            i++;
            continue;
        }

        refused++;
        finishes(w, i, NGX_TROVE_SPOOL_RELEASED);
    }
}


static void
ends(ngx_uint_t w)
{
    ngx_uint_t  i;

    static ngx_trove_spool_verdict_e  verdicts[] = {
        NGX_TROVE_SPOOL_TO_DELIVERED, NGX_TROVE_SPOOL_TO_RETRY,
        NGX_TROVE_SPOOL_TO_FAILED
    };

    for (i = 0; i < workers[w].n; i++) {
        if (workers[w].memory[i].begun) {
            finishes(w, i, verdicts[number(3)]);
            return;
        }
    }
}


/* entry i leaves the memory */

static void
finishes(ngx_uint_t w, ngx_uint_t i, ngx_trove_spool_verdict_e verdict)
{
    entry_t                   e;
    ngx_uint_t                lost;
    ngx_trove_spool_result_e  result;

    e = workers[w].memory[i];

    memmove(&workers[w].memory[i], &workers[w].memory[i + 1],
            (workers[w].n - i - 1) * sizeof(entry_t));
    workers[w].n--;

    result = spool_outcome(workers[w].spool, e.ref, verdict, 200, 0);

    if (e.delivery->holder == (int) w && e.window == e.delivery->window) {
        e.delivery->holder = -1;
        lost = 0;

    } else {
        lost = 1;

        /* a success counts even without the lease, and ends that of another */

        if (verdict == NGX_TROVE_SPOOL_TO_DELIVERED
            && spool_state(workers[w].spool, e.ref.id)
               == NGX_TROVE_SPOOL_DELIVERED)
        {
            e.delivery->holder = -1;
        }
    }

    if (result != (lost ? NGX_TROVE_SPOOL_LOST : NGX_TROVE_SPOOL_DONE)) {
        tap_diag("outcome %d: %d", (int) verdict, (int) result);
        wrong++;
    }
}


static void
pauses(ngx_uint_t w)
{
    ngx_uint_t                n;
    ngx_trove_spool_target_t  target;

    n = number(TARGETS);

    target.route = str("example.com/events");
    target.name = str(names[n]);

    paused[n] = !paused[n];

    if (ngx_trove_spool_pause(workers[w].spool, &target, paused[n], &error)
        != NGX_OK)
    {
        die("pause");
    }
}


static void
controls(ngx_uint_t w)
{
    ngx_int_t                  rc;
    delivery_t                *d;
    ngx_uint_t                 cancel;

    if (ndeliveries == 0) {
        return;
    }

    cancel = number(2);

    /* mostly one of the last: these are in memory */

    d = &deliveries[number(4) ? ndeliveries - 1 - number(ngx_min(ndeliveries,
                                                                 30))
                              : number(ndeliveries)];

    rc = ngx_trove_spool_control(workers[w].spool,
                                 cancel ? NGX_TROVE_SPOOL_CANCEL
                                        : NGX_TROVE_SPOOL_REPLAY,
                                 d->id, &error);
    if (rc == NGX_ERROR) {
        die("control");
    }

    if (rc != NGX_OK) {
        return;
    }

    /* what is leased is not replayed */

    if (!cancel && d->holder != -1) {
        tap_diag("replayed, though it is leased");
        wrong++;
    }

    d->cancelled = cancel;
    d->holder = -1;
    d->window += !cancel;
}
