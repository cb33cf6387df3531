
/*
 * Copyright (C) the ngx_trove_module authors
 */


/* The health of a subscription, its secrets, its limits, and its end. */


#include "spool.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>


#define ROUTE  "example.com/events"
#define OTHER  "example.com/other"


static ngx_trove_spool_t       *spool;
static ngx_trove_spool_scope_t  scope;
static ngx_str_t                all = ngx_string("*");
static ngx_trove_spool_actor_t  actor = {
    ngx_string("a token"), ngx_string("a detail")
};


static ngx_int_t
subscribe(const char *id)
{
    ngx_trove_spool_subscription_t  sub;

    memset(&sub, 0, sizeof(sub));

    sub.id = str(id);
    sub.workspace = str("ws-1");
    sub.events = &all;
    sub.nevents = 1;
    sub.url = str("https://example.com/hook");
    sub.secret = str("sealed");
    sub.enabled = 1;

    return ngx_trove_spool_subscribe(spool, &sub, &actor, &error);
}


static ngx_uint_t
accept_events(uint64_t from, uint64_t to)
{
    accept_t    a;
    ngx_uint_t  n;

    for (n = 0; from < to; from++) {
        (void) accept_op(&a, from, "", 0);
        a.op.u.accept.subscribed = 1;
        spool_write(spool, &a.op);
        n += a.op.u.accept.nsubscribed;
    }

    return n;
}


static ngx_uint_t
lease_of(const char *route)
{
    ngx_trove_spool_op_t    op;
    ngx_trove_spool_want_t  want;

    memset(&op, 0, sizeof(op));
    memset(&want, 0, sizeof(want));

    want.target.route = str(route);
    want.target.name = str(NGX_TROVE_SPOOL_SUBSCRIBERS);
    want.limit = 4;
    want.retries = 4;
    want.delay_max = 3600 * 1000;

    op.type = NGX_TROVE_SPOOL_OP_LEASE;
    op.u.lease.wants = &want;
    op.u.lease.nwants = 1;
    op.u.lease.max = 100;
    op.u.lease.max_bytes = 1024 * 1024;
    op.u.lease.lease = 60000;
    op.u.lease.leased = leased;

    spool_write(spool, &op);

    lease_next = op.u.lease.next;

    return op.u.lease.n;
}


static ngx_uint_t
lease(void)
{
    return lease_of(ROUTE);
}


static void
done(ngx_uint_t i)
{
    ngx_trove_spool_event_free(leased[i].event);
    ngx_trove_spool_subscriber_free(leased[i].subscriber);
}


/* ends all that is leased */

static void
end_all(ngx_uint_t n, ngx_trove_spool_verdict_e verdict, int64_t delay)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        (void) spool_outcome(spool, leased[i].ref, verdict,
                             verdict == NGX_TROVE_SPOOL_TO_DELIVERED
                             ? 200 : 500, delay);
        done(i);
    }
}


static void
later(int64_t ms)
{
    sqlite(spool)->skew_mono += ms;
}


/* after five failures, one attempt at a time, with a delay, until a success */

static void
half_open(void)
{
    ngx_uint_t  n;

    tap_is(subscribe("wh-1"), NGX_OK, "a subscription");
    tap_is(subscribe("wh-1"), NGX_BUSY, "its id is in use");
    tap_is(accept_events(0, 20), 20, "it has 20 deliveries");

    n = lease();
    tap_is(n, 4, "as many as there is capacity for");
    end_all(n, NGX_TROVE_SPOOL_TO_RETRY, 10000);

    n = lease();
    tap_is(n, 4, "others");
    end_all(n, NGX_TROVE_SPOOL_TO_RETRY, 10000);

    tap_is(lease(), 0, "five have failed: none for a while");
    tap_ok(lease_next > 9000, "until the next one: %d", (int) lease_next);

    later(10001);
    tap_is(lease(), 1, "then one");

    if (leased[0].subscriber) {
        tap_is(leased[0].subscriber->failures, 8, "which knows of the others");
    }

    tap_is(lease(), 0, "at a time");
    end_all(1, NGX_TROVE_SPOOL_TO_RETRY, 20000);

    later(10001);
    tap_is(lease(), 0, "the delay is that of the last one");
    later(10001);
    tap_is(lease(), 1, "then another one");

    /* its worker dies */

    done(0);
    tap_is(lease(), 0, "no other while its lease is in force");
    later(60001);
    tap_is(lease(), 1, "one when that has expired");
    end_all(1, NGX_TROVE_SPOOL_TO_DELIVERED, 0);

    n = lease();
    tap_is(n, 4, "a success opens it again");
    end_all(n, NGX_TROVE_SPOOL_TO_DELIVERED, 0);
}


/* failures for disable_after, and the event that tells it */

static void
disabled(void)
{
    accept_t               notice;
    ngx_uint_t             n, i;
    ngx_str_t              id;
    ngx_trove_spool_op_t   op;

    ngx_trove_spool_change_t          change;
    ngx_trove_spool_audits_t         *audits;
    ngx_trove_spool_subscriptions_t  *list;

    n = lease();

    (void) accept_op(&notice, 900, "operator", 0);

    for (i = 0; i < n; i++) {
        (void) outcome_op(&op, leased[i].ref, NGX_TROVE_SPOOL_TO_RETRY, 500,
                          1000);

        op.u.outcome.started = (int64_t) time(NULL) * 1000
                               - (i ? 0 : 3600 * 1000);
        op.u.outcome.disable_after = (i == 2) ? 1800 * 1000 : 7200 * 1000;
        op.u.outcome.notice = &notice.op.u.accept;

        spool_write(spool, &op);
        done(i);

        tap_is(op.u.outcome.disabled, i == 2, "failure %d", (int) i);
    }

    tap_is(sql_int("SELECT count(*) FROM event WHERE id = 'evt-900'"), 1,
           "the event that tells it");
    tap_is(sql_int("SELECT new FROM target WHERE name = 'operator'"), 1,
           "and its delivery");
    tap_is(lease(), 0, "no more attempts");
    tap_is(accept_events(100, 103), 0, "no more events");

    id = str("wh-1");
    list = ngx_trove_spool_subscriptions(spool, &scope, &id, 0, 1, &error);

    tap_ok(list && list->n == 1 && !list->subscriptions[0].enabled
           && list->subscriptions[0].reason.len == 7
           && list->subscriptions[0].disabled,
           "the list tells why");

    ngx_trove_spool_free(list);

    memset(&change, 0, sizeof(change));
    change.set_enabled = 1;
    change.enabled = 1;

    tap_is(ngx_trove_spool_change(spool, &scope, &id, &change, &actor, &error),
           NGX_OK, "enabled");
    tap_is(accept_events(110, 113), 3, "it gets events again");

    n = lease();
    tap_is(n, 4, "and all that waited");
    end_all(n, NGX_TROVE_SPOOL_TO_DELIVERED, 0);

    audits = ngx_trove_spool_audit(spool, &scope, 0, 10, &error);

    tap_ok(audits && audits->n == 3
           && memcmp(audits->lines[0].action.data, "change", 6) == 0
           && audits->lines[0].actor.len == 7
           && memcmp(audits->lines[1].action.data, "disable", 7) == 0
           && audits->lines[1].actor.data == NULL
           && memcmp(audits->lines[2].action.data, "create", 6) == 0,
           "the audit log has it all");

    ngx_trove_spool_free(audits);
}


static void
rotated(void)
{
    ngx_str_t                      id;
    ngx_uint_t                     n;
    ngx_trove_spool_change_t       change;
    ngx_trove_spool_maintained_t   maintained;

    id = str("wh-1");

    memset(&change, 0, sizeof(change));
    change.set_secret = 1;
    change.secret = str("sealed again");
    change.until = (int64_t) time(NULL) * 1000 + 3600 * 1000;

    tap_is(ngx_trove_spool_change(spool, &scope, &id, &change, &actor, &error),
           NGX_OK, "another secret");

    (void) accept_events(200, 201);
    n = lease();
    tap_ok(n > 0, "an event");
    tap_ok(leased[0].subscriber
           && leased[0].subscriber->secret.len == sizeof("sealed again") - 1
           && leased[0].subscriber->previous.len == sizeof("sealed") - 1,
           "with both secrets");
    end_all(n, NGX_TROVE_SPOOL_TO_DELIVERED, 0);

    sqlite(spool)->skew_wall += 3600 * 1000;

    (void) accept_events(201, 202);
    n = lease();
    tap_ok(n > 0, "one an hour later");
    tap_ok(leased[0].subscriber && leased[0].subscriber->previous.data == NULL,
           "with one");
    end_all(n, NGX_TROVE_SPOOL_TO_DELIVERED, 0);

    (void) ngx_trove_spool_maintain(spool, &maintained, &error);

    tap_is(sql_int("SELECT count(*) FROM subscription "
                   "WHERE previous IS NOT NULL"),
           0, "and the other one is not kept");
}


/* many deliveries wait: they are cancelled in steps */

static void
removed(void)
{
    int64_t                        id;
    ngx_str_t                      name;
    ngx_uint_t                     i;
    ngx_trove_spool_maintained_t   maintained;

    name = str("wh-1");
    tap_is(ngx_trove_spool_unsubscribe(spool, &scope, &name, &actor, &error),
           NGX_OK, "the first one is removed");

    tap_is(subscribe("wh-2"), NGX_OK, "another one");
    (void) accept_events(1000, 7000);

    id = sql_int("SELECT max(delivery.id) FROM delivery JOIN target "
                 "ON target.id = target WHERE name = 'wh-2'");
    name = str("wh-2");

    tap_is(ngx_trove_spool_unsubscribe(spool, &scope, &name, &actor, &error),
           NGX_OK, "removed");

    /* the last id of a target is kept, so that it is not reused */

    tap_is(subscribe("wh-3"), NGX_OK, "one more");
    (void) accept_events(7000, 7001);

    tap_is(sql_int("SELECT count(*) FROM subscription "
                   "WHERE secret IS NOT NULL AND id = 'wh-2'"),
           0, "its secret is not kept");
    tap_ok(sql_int("SELECT count(*) FROM delivery JOIN target "
                   "ON target.id = target WHERE name = 'wh-2' "
                   "AND due IS NOT NULL") > 0,
           "not all is cancelled at once");

    for (i = 0; i < 100; i++) {
        (void) ngx_trove_spool_maintain(spool, &maintained, &error);
    }

    tap_is(sql_int("SELECT count(*) FROM delivery JOIN target "
                   "ON target.id = target WHERE name = 'wh-2' "
                   "AND state != 5"),
           0, "but all in the end");
    tap_is(ngx_trove_spool_control(spool, NGX_TROVE_SPOOL_REPLAY, id, &error),
           NGX_DECLINED, "it cannot be replayed");

    later(8 * DAY);
    sqlite(spool)->skew_wall += 8 * DAY;

    for (i = 0; i < 300; i++) {
        (void) ngx_trove_spool_maintain(spool, &maintained, &error);
    }

    tap_is(sql_int("SELECT count(*) FROM subscription WHERE id = 'wh-2'"), 0,
           "there is nothing of it after the retention");
    tap_is(sql_int("SELECT count(*) FROM target WHERE name = 'wh-2'"), 0,
           "nor of its target");
}


/* a worker is killed, and nobody delivers the events of its location again */

static void
left(void)
{
    accept_t    a;
    ngx_str_t   name;
    ngx_uint_t  i, n;

    name = str("wh-3");
    tap_is(ngx_trove_spool_unsubscribe(spool, &scope, &name, &actor, &error),
           NGX_OK, "another one is removed");

    tap_is(subscribe("wh-4"), NGX_OK, "one with two locations");
    tap_is(accept_events(8000, 8010), 10, "ten events");

    (void) accept_op(&a, 8010, "", 0);
    a.op.u.accept.event.route = str(OTHER);
    a.op.u.accept.subscribed = 1;
    spool_write(spool, &a.op);

    tap_is(lease_of(OTHER), 1, "one of the other location, which is lost");
    done(0);

    for (i = 0; i < 2; i++) {
        n = lease();
        tap_is(n, 4, "four");
        end_all(n, NGX_TROVE_SPOOL_TO_RETRY, 10000);
    }

    later(10001);
    tap_is(lease(), 0, "none while the lost one may be under way");

    later(60001);
    n = lease();
    tap_is(n, 1, "one when its lease has expired");
    end_all(n, NGX_TROVE_SPOOL_TO_DELIVERED, 0);
}


static off_t
size_of(const char *suffix)
{
    char         path[1024];
    struct stat  st;

    snprintf(path, sizeof(path), "%s%s", spool_path, suffix);

    return (stat(path, &st) == -1) ? 0 : st.st_size;
}


/* without space for the event that tells it, nothing is disabled */

static void
full(void)
{
    off_t                 size;
    int64_t               mono, wall;
    ngx_uint_t            i, n;
    accept_t              notice;
    struct rlimit         rl;
    ngx_trove_spool_op_t  op;

    static u_char  body[16 * 1024 * 1024];

    /* the log is short again */

    mono = sqlite(spool)->skew_mono;
    wall = sqlite(spool)->skew_wall;

    ngx_trove_spool_destroy(spool);
    spool = spool_open();

    sqlite(spool)->skew_mono = mono;
    sqlite(spool)->skew_wall = wall;

    tap_is(accept_events(9000, 9001), 1, "an event more");

    later(10001);
    n = lease();
    tap_ok(n > 1, "two attempts");

    (void) accept_op(&notice, 9100, "operator", 0);
    notice.op.u.accept.event.body.data = body;
    notice.op.u.accept.event.body.len = sizeof(body);

    (void) outcome_op(&op, leased[0].ref, NGX_TROVE_SPOOL_TO_FAILED, 410, 0);
    op.u.outcome.gone = 1;
    op.u.outcome.notice = &notice.op.u.accept;

    size = ngx_max(size_of(""), size_of("-wal")) + 1024 * 1024;

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &rl);
    rl.rlim_cur = size;
    setrlimit(RLIMIT_FSIZE, &rl);

    tap_is(ngx_trove_spool_write(spool, &op, NULL, &error), NGX_OK,
           "no space for the notice: %s", error.text);
    tap_is(op.result, NGX_TROVE_SPOOL_DONE, "the outcome is recorded");
    tap_is(op.u.outcome.disabled, 0, "nothing is disabled");
    tap_is(sql_int("SELECT enabled FROM subscription WHERE id = 'wh-4'"), 1,
           "it is enabled");
    tap_is(sql_int("SELECT count(*) FROM event WHERE id = 'evt-9100'"), 0,
           "there is no notice");

    rl.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &rl);

    (void) outcome_op(&op, leased[1].ref, NGX_TROVE_SPOOL_TO_FAILED, 410, 0);
    op.u.outcome.gone = 1;
    op.u.outcome.notice = &notice.op.u.accept;

    spool_write(spool, &op);

    tap_is(op.u.outcome.disabled, 1, "the next failure disables it");
    tap_is(sql_int("SELECT count(*) FROM event WHERE id = 'evt-9100'"), 1,
           "and tells it");

    for (i = 0; i < n; i++) {
        done(i);
    }
}


int
main(void)
{
    alarm(300);

    spool_mkdir();
    spool = spool_open();

    scope.workspace = str("ws-1");
    scope.namespace = str(NULL);

    half_open();
    disabled();
    rotated();
    removed();
    left();
    full();

    tap_ok(spool_sound(), "all is sound");

    ngx_trove_spool_destroy(spool);

    return tap_done();
}
