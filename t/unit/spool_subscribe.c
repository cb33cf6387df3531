
/*
 * Copyright (C) the ngx_trove_module authors
 */


/*
 * Subscriptions that are created, changed and removed in random order, events
 * beside them, and deliveries by two workers, against a model: each
 * subscription gets each event of its own, and none of another one; no attempt
 * begins with a URL that has been replaced, or to a subscription that is paused
 * or removed.  In between, the workers are killed.
 */


#include "spool.h"


#define SUBSCRIPTIONS  400
#define EVENTS         4000
#define STEPS          12000
#define WORKERS        2
#define MEMORY         40
#define ROUTE          "example.com/events"


typedef struct {
    char        id[32];
    ngx_uint_t  workspace;
    int         namespace;                     /* -1: all */
    ngx_uint_t  patterns[3];
    ngx_uint_t  npatterns;
    ngx_uint_t  url;
    ngx_uint_t  enabled;
    ngx_uint_t  disabled;                      /* by the spool */
    ngx_uint_t  removed;
    ngx_uint_t  failures;
} sub_t;


typedef struct {
    int64_t     number;
    ngx_uint_t  n;                             /* of subscriptions */
    uint16_t    subs[SUBSCRIPTIONS];
} event_t;


typedef struct {
    ngx_trove_spool_ref_t   ref;
    ngx_uint_t              sub;
    ngx_uint_t              url;
} entry_t;


typedef struct {
    ngx_trove_spool_t      *spool;
    entry_t                 memory[MEMORY];
    ngx_uint_t              n;
} worker_t;


static ngx_uint_t number(ngx_uint_t n);
static ngx_uint_t matches(sub_t *s, ngx_uint_t workspace, int namespace,
    const char *type);
static void subscribes(worker_t *w);
static void changes(worker_t *w);
static void removes(worker_t *w);
static void accepts(worker_t *w);
static void leases(worker_t *w);
static void begins(worker_t *w);
static void kills(worker_t *w);
static void check_events(void);
static void check_list(void);


static const char  *workspaces[] = { "ws-1", "ws-2", "ws-" };
static const char  *namespaces[] = { "acme", "acm", "ACME", "\xc3\xa4", "*" };
static const char  *types[] = { "file.written", "file.deleted", "file", "f",
                                "exec.completed", "*", "files" };
static const char  *patterns[] = { "*", "file.*", "file.written", "file*", "f",
                                   "exec.*", "exec.completed", "fi*", "file.",
                                   "filex*", "files" };

static unsigned     seed;
static worker_t     workers[WORKERS];
static sub_t        subs[SUBSCRIPTIONS];
static ngx_uint_t   nsubs;
static event_t      events[EVENTS];
static ngx_uint_t   nevents;
static ngx_uint_t   wrong, begun, stopped, delivered;


static ngx_trove_spool_actor_t  actor = {
    ngx_string("a test"), ngx_string("a detail")
};


int
main(void)
{
    ngx_uint_t   i;
    worker_t    *w;

    alarm(300);

    seed = getenv("TROVE_SEED") ? strtoul(getenv("TROVE_SEED"), NULL, 10)
                                : (unsigned) time(NULL);
    tap_diag("TROVE_SEED=%u", seed);

    spool_mkdir();

    for (i = 0; i < WORKERS; i++) {
        workers[i].spool = spool_open();
    }

    for (i = 0; i < STEPS; i++) {
        w = &workers[number(WORKERS)];

        switch (number(20)) {
        case 0:
        case 1:
            subscribes(w);
            break;
        case 2:
        case 3:
            changes(w);
            break;
        case 4:
            removes(w);
            break;
        case 5:
        case 6:
        case 7:
        case 8:
            accepts(w);
            break;
        case 9:
        case 10:
        case 11:
            leases(w);
            break;
        case 12:
            if (number(40) == 0) {
                kills(w);
            }
            break;
        case 13:
            {
                ngx_trove_spool_maintained_t  maintained;

                (void) ngx_trove_spool_maintain(w->spool, &maintained, &error);
            }
            break;
        default:
            begins(w);
        }
    }

    tap_is(wrong, 0, "each event has the subscriptions that match");
    tap_ok(begun > STEPS / 20, "%d attempts have begun", (int) begun);
    tap_ok(stopped > 10, "%d have been stopped", (int) stopped);
    tap_ok(delivered > STEPS / 40, "%d deliveries", (int) delivered);

    check_events();
    check_list();

    tap_ok(spool_sound(), "all is sound");

    for (i = 0; i < WORKERS; i++) {
        ngx_trove_spool_destroy(workers[i].spool);
    }

    return tap_done();
}


static ngx_uint_t
number(ngx_uint_t n)
{
    return (ngx_uint_t) rand_r(&seed) % n;
}


static ngx_uint_t
matches(sub_t *s, ngx_uint_t workspace, int namespace, const char *type)
{
    size_t       len;
    ngx_uint_t   i;
    const char  *p;

    if (s->removed || s->disabled || s->workspace != workspace
        || (s->namespace != -1 && s->namespace != namespace))
    {
        return 0;
    }

    for (i = 0; i < s->npatterns; i++) {
        p = patterns[s->patterns[i]];
        len = strlen(p);

        if (p[len - 1] == '*' ? strncmp(p, type, len - 1) == 0
                              : strcmp(p, type) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static void
choose(sub_t *s, ngx_str_t *list)
{
    ngx_uint_t  i;

    s->npatterns = 1 + number(3);

    for (i = 0; i < s->npatterns; i++) {
        s->patterns[i] = number(sizeof(patterns) / sizeof(patterns[0]));
        list[i] = str(patterns[s->patterns[i]]);
    }
}


static int
choose_namespace(void)
{
    return (int) number(sizeof(namespaces) / sizeof(namespaces[0]) + 1) - 1;
}


static void
print_url(char *buf, ngx_uint_t n)
{
    sprintf(buf, "https://example.com/%d", (int) n);
}


static void
subscribes(worker_t *w)
{
    char                            url[64];
    sub_t                          *s;
    ngx_str_t                       list[3];
    ngx_trove_spool_subscription_t  sub;

    if (nsubs == SUBSCRIPTIONS) {
        return;
    }

    s = &subs[nsubs];
    memset(s, 0, sizeof(sub_t));

    sprintf(s->id, "wh-%d", (int) nsubs);
    s->workspace = number(3);
    s->namespace = choose_namespace();
    s->enabled = 1;
    s->url = number(1000000);
    print_url(url, s->url);

    memset(&sub, 0, sizeof(sub));

    choose(s, list);

    sub.id = str(s->id);
    sub.workspace = str(workspaces[s->workspace]);
    sub.namespace = str(s->namespace == -1 ? NULL : namespaces[s->namespace]);
    sub.events = list;
    sub.nevents = s->npatterns;
    sub.url = str(url);
    sub.secret = str("sealed");
    sub.enabled = 1;

    if (ngx_trove_spool_subscribe(w->spool, &sub, &actor, &error) != NGX_OK) {
        die("subscribe");
    }

    nsubs++;
}


static void
scope_of(sub_t *s, ngx_trove_spool_scope_t *scope)
{
    scope->workspace = str(workspaces[s->workspace]);
    scope->namespace = str(NULL);

    if (s->namespace != -1 && number(2)) {
        scope->namespace = str(namespaces[s->namespace]);
    }
}


static void
changes(worker_t *w)
{
    char                       url[64];
    sub_t                     *s, next;
    ngx_int_t                  rc;
    ngx_str_t                  id, list[3];
    ngx_trove_spool_scope_t    scope;
    ngx_trove_spool_change_t   change;

    if (nsubs == 0) {
        return;
    }

    s = &subs[number(nsubs)];
    next = *s;

    scope_of(s, &scope);
    id = str(s->id);

    memset(&change, 0, sizeof(change));

    if (number(3) == 0) {
        choose(&next, list);
        change.set_events = 1;
        change.events = list;
        change.nevents = next.npatterns;
    }

    if (number(3) == 0) {
        next.namespace = choose_namespace();
        change.set_namespace = 1;
        change.namespace = str(next.namespace == -1
                               ? NULL : namespaces[next.namespace]);
    }

    if (number(3) == 0) {
        next.url = number(1000000);
        print_url(url, next.url);
        change.set_url = 1;
        change.url = str(url);
        next.failures = 0;
    }

    if (number(4) == 0) {
        change.set_secret = 1;
        change.secret = str("another");
        change.until = INT64_MAX / 2;
    }

    if (number(2)) {
        next.enabled = number(3) != 0;
        change.set_enabled = 1;
        change.enabled = next.enabled;

        if (next.enabled) {
            next.disabled = 0;
            next.failures = 0;
        }
    }

    rc = ngx_trove_spool_change(w->spool, &scope, &id, &change, &actor,
                                &error);

    if (s->removed) {
        wrong += (rc != NGX_DECLINED);
        return;
    }

    if (rc != NGX_OK) {
        die("change: %d", (int) rc);
    }

    *s = next;
}


static void
removes(worker_t *w)
{
    sub_t                    *s;
    ngx_int_t                 rc;
    ngx_str_t                 id;
    ngx_trove_spool_scope_t   scope;

    if (nsubs == 0) {
        return;
    }

    s = &subs[number(nsubs)];
    scope_of(s, &scope);
    id = str(s->id);

    if (number(8) == 0) {

        /* of somebody else */

        scope.workspace = str("ws-3");

        wrong += (ngx_trove_spool_unsubscribe(w->spool, &scope, &id, &actor,
                                              &error)
                  != NGX_DECLINED);
        return;
    }

    rc = ngx_trove_spool_unsubscribe(w->spool, &scope, &id, &actor, &error);

    wrong += (rc != (s->removed ? NGX_DECLINED : NGX_OK));

    s->removed = 1;
}


static void
accepts(worker_t *w)
{
    int                        namespace;
    accept_t                   a;
    event_t                   *e;
    ngx_uint_t                 i, workspace;
    const char                *type;
    ngx_trove_spool_accept_t  *accept;

    if (nevents == EVENTS) {
        return;
    }

    workspace = number(3);
    namespace = choose_namespace();
    type = types[number(sizeof(types) / sizeof(types[0]))];

    (void) accept_op(&a, nevents, number(2) ? "audit" : "", 0);

    accept = &a.op.u.accept;
    accept->event.workspace = str(workspaces[workspace]);
    accept->event.namespace = str(namespace == -1 ? NULL
                                                  : namespaces[namespace]);
    accept->event.type = str(type);
    accept->subscribed = 1;

    spool_write(w->spool, &a.op);

    e = &events[nevents++];
    e->number = accept->event.number;
    e->n = 0;

    for (i = 0; i < nsubs; i++) {
        if (matches(&subs[i], workspace, namespace, type)) {
            e->subs[e->n++] = (uint16_t) i;
        }
    }

    if (accept->nsubscribed != e->n) {
        tap_diag("event %d: %d subscriptions, not %d", (int) nevents - 1,
                 (int) accept->nsubscribed, (int) e->n);
        wrong++;
    }
}


static void
leases(worker_t *w)
{
    sub_t                         *s;
    ngx_uint_t                     i, url;
    ngx_trove_spool_op_t           op;
    ngx_trove_spool_want_t         want;
    ngx_trove_spool_subscriber_t  *sub;

    memset(&op, 0, sizeof(op));
    memset(&want, 0, sizeof(want));

    want.target.route = str(ROUTE);
    want.target.name = str(NGX_TROVE_SPOOL_SUBSCRIBERS);
    want.limit = 3;
    want.retries = 2;
    want.delay_max = 3600 * 1000;

    op.type = NGX_TROVE_SPOOL_OP_LEASE;
    op.u.lease.wants = &want;
    op.u.lease.nwants = 1;
    op.u.lease.max = MEMORY - w->n;
    op.u.lease.max_bytes = 1024 * 1024;
    op.u.lease.lease = 60000;
    op.u.lease.leased = leased;

    if (op.u.lease.max == 0) {
        return;
    }

    spool_write(w->spool, &op);

    for (i = 0; i < op.u.lease.n; i++) {

        sub = leased[i].subscriber;

        if (sub == NULL) {
            wrong++;
            continue;
        }

        s = &subs[atoi((char *) sub->id.data + 3)];
        url = atoi((char *) sub->url.data + sizeof("https://example.com/") - 1);

        /* the data is that of now */

        wrong += (s->removed || !s->enabled || s->disabled || url != s->url
                  || sub->failures != s->failures);

        w->memory[w->n].ref = leased[i].ref;
        w->memory[w->n].sub = s - subs;
        w->memory[w->n++].url = url;

        ngx_trove_spool_event_free(leased[i].event);
        ngx_trove_spool_subscriber_free(sub);
    }
}


/* an attempt begins, and ends at once; or it may not begin, and is released */

static void
begins(worker_t *w)
{
    sub_t                     *s;
    entry_t                    entry;
    ngx_uint_t                 i;
    ngx_trove_spool_op_t       op;
    ngx_trove_spool_result_e   result;

    if (w->n == 0) {
        return;
    }

    i = number(w->n);
    entry = w->memory[i];
    w->memory[i] = w->memory[--w->n];
    s = &subs[entry.sub];

    result = NGX_TROVE_SPOOL_DONE;

    if (entry.ref.generation != ngx_trove_spool_generation(w->spool)) {
        memset(&op, 0, sizeof(op));

        op.type = NGX_TROVE_SPOOL_OP_CONFIRM;
        op.u.confirm.refs = &entry.ref;
        op.u.confirm.nrefs = 1;
        op.u.confirm.results = &result;

        spool_write(w->spool, &op);
    }

    if (result != NGX_TROVE_SPOOL_DONE) {
        stopped++;

        (void) spool_outcome(w->spool, entry.ref, NGX_TROVE_SPOOL_RELEASED, 0,
                             0);
        return;
    }

    begun++;

    if (s->removed || !s->enabled || s->disabled || s->url != entry.url) {
        tap_diag("an attempt to %s should not begin", s->id);
        wrong++;
    }

    (void) outcome_op(&op, entry.ref, NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0);

    switch (number(8)) {

    case 0:
        op.u.outcome.verdict = NGX_TROVE_SPOOL_TO_FAILED;
        op.u.outcome.status = 410;
        op.u.outcome.gone = 1;
        break;

    case 1:
    case 2:
        op.u.outcome.verdict = NGX_TROVE_SPOOL_TO_RETRY;
        op.u.outcome.status = 500;
        break;

    default:
        delivered++;
    }

    spool_write(w->spool, &op);

    if (op.u.outcome.verdict == NGX_TROVE_SPOOL_TO_DELIVERED) {
        s->failures = 0;

    } else {
        s->failures++;

        if (op.u.outcome.gone) {
            wrong += !op.u.outcome.disabled;
            s->disabled = 1;
            s->enabled = 0;
        }
    }
}


/* what is in memory is lost; another process takes over when the lease ends */

static void
kills(worker_t *w)
{
    ngx_trove_spool_destroy(w->spool);

    w->spool = spool_open();
    w->n = 0;

    sqlite(workers[0].spool)->skew_mono += 61000;
    sqlite(workers[1].spool)->skew_mono = sqlite(workers[0].spool)->skew_mono;
}


/* the deliveries of each event are those of its subscriptions */

static void
check_events(void)
{
    ngx_uint_t                      i, k, n, bad;
    ngx_trove_spool_target_t       *target;
    ngx_trove_spool_deliveries_t   *list;

    bad = 0;

    for (i = 0; i < nevents; i++) {
        list = ngx_trove_spool_event_deliveries(workers[0].spool,
                                                events[i].number, &error);
        if (list == NULL) {
            die("deliveries");
        }

        for (k = 0, n = 0; k < list->n; k++) {
            target = &list->deliveries[k].target;

            if (target->name.data[0] == 'a') {
                continue;
            }

            bad += (n == events[i].n
                    || atoi((char *) target->name.data + 3)
                       != events[i].subs[n]);
            n++;
        }

        bad += (n != events[i].n);

        ngx_trove_spool_free(list);
    }

    tap_is(bad, 0, "%d events have their deliveries", (int) nevents);

    tap_is(sql_int("SELECT count(*) FROM delivery JOIN target "
                   "ON target.id = target JOIN subscription "
                   "ON number = subscription WHERE removed IS NOT NULL "
                   "AND due IS NOT NULL AND owner IS NULL"),
           0, "nothing waits for one that has been removed");
}


/* the list has what has not been removed */

static void
check_list(void)
{
    sub_t                            *s;
    int64_t                           cursor;
    ngx_uint_t                        i, k, n, bad, seen;
    ngx_trove_spool_scope_t           scope;
    ngx_trove_spool_subscription_t   *sub;
    ngx_trove_spool_subscriptions_t  *list;

    bad = 0;
    seen = 0;

    for (i = 0; i < 3; i++) {
        scope.workspace = str(workspaces[i]);
        scope.namespace = str(NULL);
        cursor = 0;

        do {
            list = ngx_trove_spool_subscriptions(workers[1].spool, &scope,
                                                 NULL, cursor, 7, &error);
            if (list == NULL) {
                die("list");
            }

            for (k = 0; k < list->n; k++) {
                sub = &list->subscriptions[k];
                s = &subs[atoi((char *) sub->id.data + 3)];
                seen++;

                bad += (s->removed || s->workspace != i
                        || sub->enabled != s->enabled
                        || (sub->reason.data != NULL) != s->disabled
                        || sub->nevents != s->npatterns
                        || (sub->namespace.data == NULL)
                           != (s->namespace == -1)
                        || sub->failures != s->failures);
            }

            cursor = list->next;
            ngx_trove_spool_free(list);

        } while (cursor);
    }

    for (n = 0, i = 0; i < nsubs; i++) {
        n += !subs[i].removed;
    }

    tap_is(bad, 0, "the list is right");
    tap_is(seen, n, "and complete: %d of %d", (int) seen, (int) nsubs);
}
