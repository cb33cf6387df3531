
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "spool.h"


/*
 * Purging of events by a filter: what it finds, what it removes, and that it
 * skips what has changed since it was found, by random steps against a model.
 */


#define EVENTS  400
#define STEPS   3000


/* an event of the model; ids are those of its deliveries */
typedef struct {
    ngx_uint_t               exists;
    ngx_uint_t               n;
    int64_t                  ids[2];
    ngx_trove_spool_state_e  states[2];
} event_t;


static void found(void);
static void pieces(void);
static void removed(void);
static void replayed(void);
static void late(void);
static void model(void);
static void accepts(ngx_trove_spool_t *spool);
static void replays(ngx_trove_spool_t *spool);
static void leases(ngx_trove_spool_t *spool);
static void selects(ngx_trove_spool_t *spool);
static void purges(ngx_trove_spool_t *spool);
static ngx_uint_t number(ngx_uint_t n);
static ngx_uint_t is_pending(ngx_trove_spool_state_e state);
static ngx_uint_t mask(ngx_trove_spool_state_e state);
static int64_t accepted(ngx_uint_t n, const char *names, const char *ends,
    ngx_trove_spool_ref_t *refs);
static ngx_uint_t some(ngx_trove_spool_t *spool,
    ngx_trove_spool_filter_t *filter, int64_t *cursor, int64_t *list,
    ngx_uint_t max);
static const char *chosen(ngx_trove_spool_filter_t *filter, ngx_uint_t max);
static ngx_uint_t purged(ngx_trove_spool_t *spool, int64_t *list, ngx_uint_t n,
    ngx_uint_t states);


static ngx_trove_spool_t  *first, *second;

static event_t             events[EVENTS];
static ngx_uint_t          nevents;
static int64_t             ids[EVENTS];
static ngx_uint_t          nids, nstates;
static ngx_uint_t          wrong, gone, skipped;
static unsigned            seed;


int
main(void)
{
    alarm(300);

    spool_mkdir();

    first = spool_open();
    second = spool_open();

    found();
    pieces();
    removed();
    replayed();
    late();
    model();

    tap_ok(spool_sound(), "all is sound");

    ngx_trove_spool_destroy(first);
    ngx_trove_spool_destroy(second);

    return tap_done();
}


/*
 * Accepts event n.  A letter for each delivery: d, it is delivered; f, it has
 * failed; c, it is cancelled; r, it waits for a retry; l, it stays leased.
 */

static int64_t
accepted(ngx_uint_t n, const char *names, const char *ends,
    ngx_trove_spool_ref_t *refs)
{
    int64_t                number;
    ngx_uint_t             i;
    ngx_trove_spool_ref_t  some[2];

    if (refs == NULL) {
        refs = some;
    }

    number = spool_accept(first, n, names, 1, refs);

    for (i = 0; ends[i]; i++) {

        switch (ends[i]) {

        case 'd':
            spool_outcome(first, refs[i], NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0);
            break;

        case 'f':
            spool_outcome(first, refs[i], NGX_TROVE_SPOOL_TO_FAILED, 410, 0);
            break;

        case 'r':
            spool_outcome(first, refs[i], NGX_TROVE_SPOOL_TO_RETRY, 500, DAY);
            break;

        case 'c':
            if (ngx_trove_spool_control(first, NGX_TROVE_SPOOL_CANCEL,
                                        refs[i].id, &error)
                != NGX_OK)
            {
                die("cancel");
            }

            break;

        default:
            break;
        }
    }

    return number;
}


/*
 * Finds at most max events.  A call may find fewer, since its time is limited,
 * and a machine may be slow.
 */

static ngx_uint_t
some(ngx_trove_spool_t *spool, ngx_trove_spool_filter_t *filter,
    int64_t *cursor, int64_t *list, ngx_uint_t max)
{
    ngx_uint_t  n, sum;

    for (sum = 0; sum < max; sum += n) {

        n = max - sum;

        if (ngx_trove_spool_select(spool, NGX_TROVE_SPOOL_PURGE, filter, cursor,
                                   list + sum, &n, &error)
            != NGX_OK)
        {
            die("select");
        }

        if (n > max - sum) {
            die("%d found", (int) n);
        }

        if (*cursor == 0) {
            return sum + n;
        }
    }

    return sum;
}


/* the numbers of the events that are found, by calls for at most max of them */

static const char *
chosen(ngx_trove_spool_filter_t *filter, ngx_uint_t max)
{
    size_t       len;
    int64_t      cursor, list[EVENTS];
    ngx_uint_t   i, n, count;

    static char  text[1024];

    cursor = 0;
    count = 0;
    len = 0;
    text[0] = '\0';

    do {
        n = some(first, filter, &cursor, list, max);

        for (i = 0; i < n; i++) {
            len += snprintf(text + len, sizeof(text) - len, "%s%d",
                            len ? " " : "",
                            (int) ngx_trove_spool_event_of(list[i]));
        }
    } while (cursor);

    do {
        if (ngx_trove_spool_select(first, NGX_TROVE_SPOOL_PURGE_COUNT, filter,
                                   &cursor, NULL, &n, &error)
            != NGX_OK)
        {
            die("count");
        }

        count += n;
    } while (cursor);

    for (i = 0, n = (len != 0); text[i]; i++) {
        n += (text[i] == ' ');
    }

    return (count == n) ? text : "another count";
}


/* the number of events that were removed, by one or several operations */

static ngx_uint_t
purged(ngx_trove_spool_t *spool, int64_t *list, ngx_uint_t n, ngx_uint_t states)
{
    ngx_uint_t            sum;
    ngx_trove_spool_op_t  op;

    for (sum = 0; n; sum += op.u.control.changed) {

        memset(&op, 0, sizeof(ngx_trove_spool_op_t));

        op.type = NGX_TROVE_SPOOL_OP_CONTROL;
        op.u.control.action = NGX_TROVE_SPOOL_PURGE;
        op.u.control.ids = list;
        op.u.control.nids = n;
        op.u.control.states = states;

        spool_write(spool, &op);

        if (op.result != NGX_TROVE_SPOOL_DONE
            || op.u.control.done == 0
            || op.u.control.done > n)
        {
            die("purge: %d, %d of %d", (int) op.result,
                (int) op.u.control.done, (int) n);
        }

        list += op.u.control.done;
        n -= op.u.control.done;
    }

    return sum;
}


static void
found(void)
{
    ngx_str_t                  types[1];
    ngx_trove_spool_filter_t   filter;

    accepted(1, "a b", "dd", NULL);
    accepted(2, "a b", "df", NULL);
    accepted(3, "a b", "ff", NULL);
    accepted(4, "a b", "fr", NULL);
    accepted(5, "a b", "cd", NULL);
    accepted(6, "a b", "dl", NULL);
    accepted(7, "", "", NULL);
    accepted(8, "a b", "ff", NULL);

    memset(&filter, 0, sizeof(filter));

    filter.states = mask(NGX_TROVE_SPOOL_FAILED);
    tap_is_str(chosen(&filter, 100), "8 3 2",
               "events of failed deliveries, none of which waits");
    tap_is_str(chosen(&filter, 1), "8 3 2", "each once, by one");

    filter.target = str("b");
    tap_is_str(chosen(&filter, 100), "8 3 2", "of a target");

    filter.target = str("a");
    tap_is_str(chosen(&filter, 1), "8 3", "of another");

    filter.states = mask(NGX_TROVE_SPOOL_DELIVERED)
                    |mask(NGX_TROVE_SPOOL_CANCELLED);
    tap_is_str(chosen(&filter, 1), "5 2 1", "by several states");

    filter.target.data = NULL;
    tap_is_str(chosen(&filter, 1), "5 2 1", "of any target");

    filter.states = NGX_TROVE_SPOOL_PENDING;
    tap_is_str(chosen(&filter, 100), "", "none that waits");

    filter.states = 0;
    filter.target = str("b");
    tap_is_str(chosen(&filter, 2), "8 5 3 2 1", "by a target only");

    filter.target.data = NULL;
    types[0] = str("file.*");
    filter.types = types;
    filter.ntypes = 1;
    tap_is_str(chosen(&filter, 100), "8 7 5 3 2 1",
               "by members of events: also one without deliveries");
    tap_is_str(chosen(&filter, 1), "8 7 5 3 2 1", "each once, by one");
    tap_is_str(chosen(&filter, 4), "8 7 5 3 2 1", "or by some");

    types[0] = str("exec.*");
    tap_is_str(chosen(&filter, 100), "", "of another type");

    filter.ntypes = 0;
    filter.id = str("evt-3");
    tap_is_str(chosen(&filter, 100), "3", "by its id");

    filter.id = str("evt-4");
    tap_is_str(chosen(&filter, 100), "", "one that waits");

    filter.id.data = NULL;
    filter.until = 1000;
    tap_is_str(chosen(&filter, 100), "", "by a time before it");
}


/* a call that ended early is continued at the first id that is left */

static void
pieces(void)
{
    int64_t                   cursor, left, list[3];
    ngx_uint_t                i;
    ngx_trove_spool_filter_t  filter;

    for (i = 0; i < 2; i++) {

        memset(&filter, 0, sizeof(filter));

        if (i) {
            filter.target = str("a");

        } else {
            filter.workspace = str("ws-1");
        }

        cursor = 0;

        tap_is(some(first, &filter, &cursor, list, 3), 3, "three are found");

        left = list[1];
        cursor = left + 1;

        tap_is(some(first, &filter, &cursor, list, 1), 1, "the second one");
        tap_is(ngx_trove_spool_event_of(list[0]), i ? 5 : 7, "is found again");
        tap_ok(list[0] == left, "by the same id");
    }

    memset(&filter, 0, sizeof(filter));
    filter.workspace = str("ws-1");

    cursor = INT64_MAX;

    tap_is(some(first, &filter, &cursor, list, 1), 1, "any cursor");
    tap_is(ngx_trove_spool_event_of(list[0]), 8, "is one");
}


static void
removed(void)
{
    int64_t                   cursor;
    accept_t                  a;
    ngx_uint_t                n;
    ngx_trove_spool_filter_t  filter;

    memset(&filter, 0, sizeof(filter));

    filter.states = mask(NGX_TROVE_SPOOL_FAILED);

    cursor = 0;
    n = some(first, &filter, &cursor, ids, EVENTS);

    tap_is(n, 3, "what is found");
    tap_is(purged(first, ids, n, filter.states), 3, "is removed");

    tap_is(sql_int("SELECT count(*) FROM event WHERE number IN (2, 3, 8)"), 0,
           "events");
    tap_is(sql_int("SELECT count(*) FROM delivery WHERE id >> 16 IN (2, 3, 8)"),
           0, "deliveries");
    tap_is(sql_int("SELECT count(*) FROM attempt "
                   "WHERE delivery >> 16 IN (2, 3, 8)"),
           0, "attempts");
    tap_is(sql_int("SELECT stale FROM spool"), 3, "keys, later");
    tap_is(sql_int("SELECT events FROM spool"), 5, "the others are left");
    tap_is(sql_int("SELECT count(*) FROM delivery WHERE id >> 16 = 4"), 2,
           "also one with a failed delivery and one that waits");
    tap_ok(spool_sound(), "all is sound");

    tap_is(purged(first, ids, n, filter.states), 0,
           "what is gone is skipped");
    tap_ok(spool_sound(), "all is sound");

    tap_is(purged(first, ids, n, 0), 0, "whatever its state was");
    tap_ok(spool_sound(), "all is sound");

    /* the key goes with the event, as by pruning */

    spool_write(first, accept_op(&a, 1, "a b", 0));
    tap_is(a.op.result, NGX_TROVE_SPOOL_DUPLICATE,
           "one that is left is a duplicate");

    spool_write(first, accept_op(&a, 2, "", 0));
    tap_is(a.op.result, NGX_TROVE_SPOOL_DONE,
           "one that was removed is accepted again");
    tap_is(a.op.u.accept.event.number, 9, "as another event");

    spool_write(second, accept_op(&a, 2, "", 0));
    tap_is(a.op.result, NGX_TROVE_SPOOL_DUPLICATE, "once");

    /* one without deliveries */

    ids[0] = 7 << 16;
    ids[1] = 9 << 16;
    tap_is(purged(first, ids, 2, 0), 2, "events without deliveries");
    tap_ok(spool_sound(), "all is sound");
}


/* a replay between the search and the purge */

static void
replayed(void)
{
    int64_t                   cursor;
    ngx_uint_t                n;
    ngx_trove_spool_ref_t     refs[4];
    ngx_trove_spool_filter_t  filter;

    accepted(10, "c d", "ff", refs);
    accepted(11, "c d", "ff", refs + 2);

    memset(&filter, 0, sizeof(filter));

    filter.target = str("d");
    filter.states = mask(NGX_TROVE_SPOOL_FAILED);

    cursor = 0;
    n = some(first, &filter, &cursor, ids, EVENTS);

    tap_is(n, 2, "two are found");

    /* the other delivery of the event, by another process */

    tap_is(ngx_trove_spool_control(second, NGX_TROVE_SPOOL_REPLAY, refs[0].id,
                                   &error),
           NGX_OK, "a delivery of one is replayed");
    tap_is(purged(first, ids, n, filter.states), 1,
           "only the other one is removed");

    tap_is(spool_state(first, refs[0].id), NGX_TROVE_SPOOL_RETRY,
           "the replay waits");
    tap_is(spool_state(first, refs[1].id), NGX_TROVE_SPOOL_FAILED,
           "with all deliveries of the event");
    tap_is(spool_state(first, refs[2].id), -1, "that of the other is gone");

    n = spool_lease(second, "c", 10, 10);
    tap_is(n, 1, "it is made");
    tap_is(purged(first, ids, 2, 0), 0, "and skipped meanwhile");
    spool_outcome(second, leased[0].ref, NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0);
    spool_leased_free(n);
    tap_is(spool_state(first, refs[0].id), NGX_TROVE_SPOOL_DELIVERED,
           "to its end");

    /* one that has ended otherwise no longer matches */

    tap_is(ngx_trove_spool_control(second, NGX_TROVE_SPOOL_REPLAY, refs[1].id,
                                   &error),
           NGX_OK, "the one that was found is replayed");
    n = spool_lease(second, "d", 10, 10);
    tap_is(n, 1, "it is made");
    spool_outcome(second, leased[0].ref, NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0);
    spool_leased_free(n);

    tap_is(purged(first, ids, 2, filter.states), 0,
           "it is not failed any longer");
    tap_is(spool_state(first, refs[1].id), NGX_TROVE_SPOOL_DELIVERED,
           "and is left");
    tap_is(purged(first, ids, 2, mask(NGX_TROVE_SPOOL_DELIVERED)), 1,
           "but by its new state");
    tap_ok(spool_sound(), "all is sound");
}


/* an attempt that was under way when its delivery was cancelled */

static void
late(void)
{
    ngx_trove_spool_ref_t  ref;

    (void) accepted(12, "a", "c", &ref);

    tap_is(purged(second, &ref.id, 1, 0), 1,
           "an event with an attempt under way");
    tap_is(spool_outcome(first, ref, NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0),
           NGX_TROVE_SPOOL_UNKNOWN, "its success comes too late");
    tap_is(spool_outcome(first, ref, NGX_TROVE_SPOOL_TO_RETRY, 500, 0),
           NGX_TROVE_SPOOL_UNKNOWN, "its failure as well");
    tap_is(spool_state(first, ref.id), -1, "it stays removed");
    tap_ok(spool_sound(), "all is sound");
}


static void
model(void)
{
    int64_t                   cursor;
    ngx_uint_t                i, j, step;
    ngx_trove_spool_filter_t  filter;

    static void  (*steps[])(ngx_trove_spool_t *spool) = {
        accepts, replays, replays, leases, selects, purges
    };

    seed = getenv("TROVE_SEED") ? strtoul(getenv("TROVE_SEED"), NULL, 10)
                                : (unsigned) time(NULL) ^ (unsigned) getpid();

    tap_diag("TROVE_SEED=%u", seed);

    /* of the tests before, only what waits is left: nobody leases it */

    memset(&filter, 0, sizeof(filter));

    cursor = 0;
    nids = some(first, &filter, &cursor, ids, EVENTS);

    tap_is(purged(first, ids, nids, 0), nids, "nothing that has ended");
    tap_is(sql_int("SELECT events FROM spool"), 2, "is left");

    nids = 0;

    for (step = 0; step < STEPS; step++) {
        steps[number(sizeof(steps) / sizeof(steps[0]))](number(2) ? first
                                                                  : second);
    }

    for (i = 0; i < nevents; i++) {
        for (j = 0; j < events[i].n; j++) {

            if (spool_state(first, events[i].ids[j])
                != (events[i].exists ? (int) events[i].states[j] : -1))
            {
                tap_diag("event %d is not as the model has it", (int) i);
                wrong++;
            }
        }
    }

    tap_is(wrong, 0, "as the model has it");
    tap_ok(gone && skipped, "%d of %d events purged, and %d times one skipped",
           (int) gone, (int) nevents, (int) skipped);
}


static void
accepts(ngx_trove_spool_t *spool)
{
    event_t                  *e;
    ngx_uint_t                i;
    ngx_trove_spool_ref_t     refs[2];

    static ngx_trove_spool_verdict_e  verdicts[] = {
        NGX_TROVE_SPOOL_TO_DELIVERED, NGX_TROVE_SPOOL_TO_FAILED
    };

    static ngx_trove_spool_state_e  states[] = {
        NGX_TROVE_SPOOL_DELIVERED, NGX_TROVE_SPOOL_FAILED
    };

    if (nevents == EVENTS) {
        return;
    }

    e = &events[nevents++];

    e->exists = 1;
    e->n = 2;

    (void) spool_accept(spool, 1000 + nevents, "x y", 1, refs);

    for (i = 0; i < e->n; i++) {
        ngx_uint_t  n;

        n = number(2);

        e->ids[i] = refs[i].id;
        e->states[i] = states[n];

        (void) spool_outcome(spool, refs[i], verdicts[n], 200, 0);
    }
}


static void
replays(ngx_trove_spool_t *spool)
{
    event_t     *e;
    ngx_int_t    rc, expected;
    ngx_uint_t   n, d;

    if (nevents == 0) {
        return;
    }

    /* often one that was found */

    n = number(nevents);
    d = number(2);

    if (nids && number(2)) {
        int64_t  id = ids[number(nids)];

        for (n = 0; n < nevents - 1; n++) {
            if (ngx_trove_spool_event_of(events[n].ids[0])
                == ngx_trove_spool_event_of(id))
            {
                break;
            }
        }
    }

    e = &events[n];

    expected = e->exists ? NGX_OK : NGX_DECLINED;

    rc = ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_REPLAY, e->ids[d],
                                 &error);

    if (rc != expected) {
        tap_diag("replay: %d", (int) rc);
        wrong++;
    }

    if (rc == NGX_OK) {
        e->states[d] = NGX_TROVE_SPOOL_RETRY;
    }
}


/* replayed deliveries end */

static void
leases(ngx_trove_spool_t *spool)
{
    ngx_uint_t  i, j, n, failed;

    n = spool_lease(spool, "x y", 4, 4);

    for (i = 0; i < n; i++) {

        failed = number(2);

        if (spool_outcome(spool, leased[i].ref,
                          failed ? NGX_TROVE_SPOOL_TO_FAILED
                                 : NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0)
            != NGX_TROVE_SPOOL_DONE)
        {
            tap_diag("the lease is lost");
            wrong++;
        }

        for (j = 0; j < nevents * 2; j++) {
            if (events[j / 2].ids[j % 2] == leased[i].ref.id) {
                events[j / 2].states[j % 2] = failed
                                              ? NGX_TROVE_SPOOL_FAILED
                                              : NGX_TROVE_SPOOL_DELIVERED;
            }
        }
    }

    spool_leased_free(n);
}


static void
selects(ngx_trove_spool_t *spool)
{
    int64_t                   cursor, expected;
    event_t                  *e;
    ngx_str_t                 types[1];
    ngx_uint_t                i, n, t;
    ngx_trove_spool_filter_t  filter;

    memset(&filter, 0, sizeof(filter));

    nstates = number(2) ? mask(NGX_TROVE_SPOOL_FAILED) : 0;
    t = nstates ? number(2) : 2;

    filter.route = str("example.com/events");
    filter.states = nstates;

    if (t == 0) {
        filter.target = str("y");
    }

    if (number(2)) {
        types[0] = str("file.*");
        filter.types = types;
        filter.ntypes = 1;
    }

    cursor = 0;
    nids = some(spool, &filter, &cursor, ids, 1 + number(8));

    /* what it has to find, newest first */

    for (i = nevents, n = 0; i-- > 0 && n < nids; /* void */ ) {

        e = &events[i];

        if (!e->exists
            || is_pending(e->states[0])
            || is_pending(e->states[1]))
        {
            continue;
        }

        if (nstates == 0) {
            expected = e->ids[0];

        } else if (e->states[1] == NGX_TROVE_SPOOL_FAILED) {
            expected = e->ids[1];

        } else if (t != 0 && e->states[0] == NGX_TROVE_SPOOL_FAILED) {
            expected = e->ids[0];

        } else {
            continue;
        }

        if (ids[n++] != expected) {
            tap_diag("found %lld, not %lld", (long long) ids[n - 1],
                     (long long) expected);
            wrong++;
        }
    }

    for ( /* void */ ; n < nids; n++) {
        tap_diag("found %lld in vain", (long long) ids[n]);
        wrong++;
    }
}


static void
purges(ngx_trove_spool_t *spool)
{
    event_t     *e;
    ngx_uint_t   i, j, k, matches, expected, changed;

    expected = 0;

    changed = purged(spool, ids, nids, nstates);

    for (i = 0; i < nids; i++) {

        for (j = 0; j < nevents; j++) {
            e = &events[j];

            if (ngx_trove_spool_event_of(e->ids[0])
                == ngx_trove_spool_event_of(ids[i]))
            {
                break;
            }
        }

        if (j == nevents) {
            die("an event of another test is purged");
        }

        matches = (nstates == 0);

        for (k = 0; k < 2; k++) {
            matches |= (e->ids[k] == ids[i] && (mask(e->states[k]) & nstates));
        }

        if (e->exists && matches && !is_pending(e->states[0])
            && !is_pending(e->states[1]))
        {
            e->exists = 0;
            expected++;
            gone++;

        } else {
            skipped++;
        }
    }

    if (changed != expected) {
        tap_diag("%d purged, not %d", (int) changed, (int) expected);
        wrong++;
    }
}


static ngx_uint_t
is_pending(ngx_trove_spool_state_e state)
{
    return state < NGX_TROVE_SPOOL_DELIVERED;
}


static ngx_uint_t
mask(ngx_trove_spool_state_e state)
{
    return ngx_trove_spool_mask(state);
}


static ngx_uint_t
number(ngx_uint_t n)
{
    seed = seed * 1103515245 + 12345;

    return (seed >> 8) % n;
}
