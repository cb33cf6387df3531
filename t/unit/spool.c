
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/wait.h>

#include "spool.h"


/* Accept, lease, outcome, renewal: what the dispatcher does. */


static void engines(void);
static void owns(void);
static void opens(void);
static void accepts(void);
static void duplicates(void);
static void outcomes(void);
static void leases(void);
static void fair(void);
static void lost(void);
static void renews(void);
static void clocks(void);
static void pauses(void);
static void bodies(void);


int
main(void)
{
    spool_mkdir();

    engines();
    owns();
    opens();
    accepts();
    duplicates();
    outcomes();
    leases();
    fair();
    lost();
    renews();
    clocks();
    pauses();
    bodies();

    return tap_done();
}


static void
fresh(void)
{
    char  cmd[400];

    snprintf(cmd, sizeof(cmd), "rm -f '%s'*", spool_path);

    if (system(cmd) != 0) {
        die("rm");
    }
}


/* which engine a URI is for, and what is said of one that none is for */

static void
engines(void)
{
    ngx_fd_t    fd;
    ngx_str_t   uri;
    ngx_uint_t  i;

    static struct {
        const char  *uri;
        size_t       scheme;
    } uris[] = {
        { "postgresql://trove:secret@db/trove", 10 },
        { "redis+tls.2-x://db", 13 },
        { "a://", 1 },
        { "/var/lib/nginx/trove.spool", 0 },
        { "/a://b", 0 },
        { "a/b://c", 0 },
        { "2a://b", 0 },
        { "://a", 0 },
        { "a:b", 0 },
        { "a:/", 0 },
        { "a", 0 },
        { "", 0 }
    };

    for (i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
        uri = str(uris[i].uri);

        tap_is(ngx_trove_spool_scheme(&uri), uris[i].scheme,
               "the scheme of \"%s\"", uris[i].uri);
    }

    uri = str(uris[0].uri);

    tap_is(ngx_trove_spool_check(&uri, &error), NGX_ERROR, "no engine for it");
    tap_is_str((char *) error.text,
               "no spool engine for \"postgresql://\" is built in",
               "the scheme is named, and nothing else");
    tap_is(ngx_trove_spool_own(&uri, 1, &fd, &error), NGX_ERROR,
           "cannot be reserved");
    tap_is(fd, NGX_INVALID_FILE, "and nothing is to be closed");
}


/* a spool that a process has reserved is refused to another one */

static void
owns(void)
{
    int        status;
    pid_t      pid;
    ngx_fd_t   fd, again;
    ngx_str_t  path;

    path = str(spool_path);

    tap_is(ngx_trove_spool_own(&path, 1, &fd, &error), NGX_OK, "reserved");
    tap_ok(fd != NGX_INVALID_FILE, "by a descriptor");
    tap_is(ngx_trove_spool_own(&path, 0, &again, &error), NGX_OK,
           "by the same process again");
    tap_ok(again != fd && again != NGX_INVALID_FILE, "by another one");

    pid = fork();

    if (pid == 0) {
        (void) close(fd);
        (void) close(again);

        _exit(ngx_trove_spool_own(&path, 1, &fd, &error) == NGX_ERROR
              && error.kind == NGX_TROVE_SPOOL_BUSY ? 0 : 1);
    }

    tap_ok(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0,
           "another process is refused");

    (void) close(fd);

    tap_is(ngx_trove_spool_own(&path, 1, &fd, &error), NGX_OK, "inherited");
    tap_is(fd, again, "is the descriptor that is there");

    (void) close(fd);
}


static void
opens(void)
{
    ngx_str_t           path;
    struct stat         st;
    ngx_trove_spool_t  *spool, *other;

    path = str(spool_path);

    /* it may warn of a file system in memory */

    tap_ok(ngx_trove_spool_check(&path, &error) != NGX_ERROR,
           "no file yet is fine");
    tap_is(stat(spool_path, &st), -1, "and the check makes none");

    spool = spool_open();

    tap_is(stat(spool_path, &st), 0, "open makes the file");
    tap_is(st.st_mode & 07777, 0600, "for nobody else to read");
    tap_is(sql_int("PRAGMA application_id"), NGX_TROVE_SQLITE_APPLICATION,
           "its application id");
    tap_is(sql_int("PRAGMA user_version"), NGX_TROVE_SQLITE_VERSION,
           "its version");
    tap_is(sql_int("PRAGMA auto_vacuum"), 2, "it can give pages back");
    tap_is(sql_int("SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1,
           "it uses WAL");
    tap_ok(ngx_trove_spool_check(&path, &error) != NGX_ERROR,
           "the check likes it");
    tap_is(ngx_trove_spool_open(spool, &error), NGX_OK, "open once more");

    other = spool_open();
    tap_ok(sqlite(other)->owner != sqlite(spool)->owner,
           "another handle is another owner");
    tap_ok(llabs(ngx_trove_sqlite_now(sqlite(other))
                 - ngx_trove_sqlite_now(sqlite(spool))) < 100,
           "and has the same clock");

    ngx_trove_spool_destroy(other);
    ngx_trove_spool_destroy(spool);
    ngx_trove_spool_destroy(NULL);
}


static void
accepts(void)
{
    accept_t                 a[3];
    ngx_trove_spool_t       *spool;
    ngx_trove_spool_cost_t   cost;

    fresh();
    spool = spool_open();

    accept_op(&a[0], 1, "a b c", 1);
    accept_op(&a[1], 2, "a", 0);
    accept_op(&a[2], 3, "", 0);

    a[0].op.next = &a[1].op;
    a[1].op.next = &a[2].op;

    tap_is(ngx_trove_spool_write(spool, &a[0].op, &cost, &error), NGX_OK,
           "a batch of three");
    tap_is(error.kind, 0, "without an error");
    tap_is(cost.ops, 3, "three operations");
    tap_ok(sqlite(spool)->writer.wal_pages > 0, "pages were written");
    tap_is(a[0].op.result, NGX_TROVE_SPOOL_DONE, "the first one is done");
    tap_is(a[0].op.u.accept.event.number, 1, "with its number");
    tap_is(a[2].op.u.accept.event.number, 3, "and so is the last one");
    tap_ok(a[0].targets[0].leased && a[0].targets[2].leased,
           "what was to be leased is");
    tap_ok(!a[1].targets[0].leased, "what was not is not");
    tap_is(spool_state(spool, a[0].targets[1].ref.id), NGX_TROVE_SPOOL_LEASED,
           "the state of a leased one");
    tap_is(spool_state(spool, a[1].targets[0].ref.id), NGX_TROVE_SPOOL_NEW,
           "and of one that waits");
    tap_is(ngx_trove_spool_event_of(a[1].targets[0].ref.id), 2,
           "the id of a delivery has the number of its event");
    tap_is(sql_int("SELECT count(*) FROM delivery"), 4, "four deliveries");
    tap_ok(spool_sound(), "all is sound");

    ngx_trove_spool_destroy(spool);
}


static void
duplicates(void)
{
    int64_t             n;
    accept_t            a, b;
    u_char              key[NGX_TROVE_SPOOL_KEY_LEN];
    ngx_trove_spool_t  *spool, *other;

    fresh();
    spool = spool_open();
    other = spool_open();

    n = spool_accept(spool, 1, "a", 0, NULL);

    spool_write(spool, accept_op(&a, 1, "a", 1));
    tap_is(a.op.result, NGX_TROVE_SPOOL_DUPLICATE, "the same key again");
    tap_is(a.op.u.accept.event.number, n, "and whose it is");

    spool_write(other, accept_op(&a, 1, "a", 1));
    tap_is(a.op.result, NGX_TROVE_SPOOL_DUPLICATE, "from another process");

    accept_op(&a, 2, "a", 0);
    accept_op(&b, 2, "a", 0);
    a.op.next = &b.op;
    spool_write(other, &a.op);
    tap_is(a.op.result, NGX_TROVE_SPOOL_DONE, "twice in one batch: one");
    tap_is(b.op.result, NGX_TROVE_SPOOL_DUPLICATE, "and its duplicate");

    accept_op(&a, 3, "a", 0);
    a.op.u.accept.key = NULL;
    spool_write(spool, &a.op);
    tap_is(a.op.result, NGX_TROVE_SPOOL_DONE, "an event without a key");
    spool_write(spool, &a.op);
    tap_is(a.op.result, NGX_TROVE_SPOOL_DONE, "is never a duplicate");

    ngx_trove_spool_destroy(other);
    ngx_trove_spool_destroy(spool);

    spool = spool_open();

    spool_write(spool, accept_op(&a, 2, "a", 0));
    tap_is(a.op.result, NGX_TROVE_SPOOL_DUPLICATE, "after a restart");

    tap_is(ngx_trove_spool_forget(spool, key_of(2, key), &error), NGX_OK,
           "a key can be forgotten");
    tap_is(ngx_trove_spool_forget(spool, key_of(2, key), &error),
           NGX_DECLINED, "once");

    spool_write(spool, accept_op(&a, 2, "a", 0));
    tap_is(a.op.result, NGX_TROVE_SPOOL_DONE, "and the event comes again");
    spool_write(spool, accept_op(&a, 2, "a", 0));
    tap_is(a.op.result, NGX_TROVE_SPOOL_DUPLICATE, "once");
    tap_ok(spool_sound(), "all is sound");

    ngx_trove_spool_destroy(spool);
}


static void
outcomes(void)
{
    ngx_uint_t                     n;
    ngx_trove_spool_t             *spool;
    ngx_trove_spool_op_t           op;
    ngx_trove_spool_ref_t          refs[4], bad;
    ngx_trove_spool_deliveries_t  *list;

    fresh();
    spool = spool_open();

    spool_accept(spool, 1, "a b c d", 1, refs);

    tap_is(spool_outcome(spool, refs[0], NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0),
           NGX_TROVE_SPOOL_DONE, "delivered");
    tap_is(spool_state(spool, refs[0].id), NGX_TROVE_SPOOL_DELIVERED, "is so");
    tap_is(sql_int("SELECT count(*) FROM attempt"), 0,
           "and takes no row of its own");

    tap_is(spool_outcome(spool, refs[1], NGX_TROVE_SPOOL_TO_FAILED, 410, 0),
           NGX_TROVE_SPOOL_DONE, "failed");
    tap_is(spool_state(spool, refs[1].id), NGX_TROVE_SPOOL_FAILED, "is so");

    outcome_op(&op, refs[2], NGX_TROVE_SPOOL_TO_RETRY, 503, 0);
    op.u.outcome.reason = str("service unavailable");
    op.u.outcome.response = str("come back later");
    spool_write(spool, &op);
    tap_is(op.result, NGX_TROVE_SPOOL_DONE, "to be tried again");
    tap_is(spool_state(spool, refs[2].id), NGX_TROVE_SPOOL_RETRY, "is so");

    tap_is(spool_outcome(spool, refs[3], NGX_TROVE_SPOOL_RELEASED, 0, 0),
           NGX_TROVE_SPOOL_DONE, "released");
    tap_is(spool_state(spool, refs[3].id), NGX_TROVE_SPOOL_NEW,
           "is as if nothing had been");

    n = spool_lease(spool, "a b c d", 10, 10);
    tap_is(n, 2, "the latter two are due at once");
    tap_is(leased[0].attempt, 2, "one for the second time");
    tap_is(leased[1].attempt, 1, "one for the first");
    tap_is_mem(leased[0].event->body.data, leased[0].event->body.len,
               "{\"id\":\"evt-1\",\"n\":1}", 20, "with the body");
    tap_ok(leased[0].event == leased[1].event, "which they share");

    spool_outcome(spool, leased[0].ref, NGX_TROVE_SPOOL_TO_RETRY, 0, 0);
    spool_leased_free(n);

    n = spool_lease(spool, "c", 10, 10);
    tap_is(n, 1, "tried again");
    spool_outcome(spool, leased[0].ref, NGX_TROVE_SPOOL_TO_DELIVERED, 202, 0);
    spool_leased_free(n);

    list = ngx_trove_spool_delivery(spool, refs[2].id, &error);
    tap_is(list->n, 1, "the record of it");
    tap_is(list->deliveries[0].attempts, 3, "three attempts");
    tap_is(list->deliveries[0].nhistory, 3, "of which all is known");
    tap_is(list->deliveries[0].history[0].status, 503, "the first one");
    tap_is_mem(list->deliveries[0].history[0].reason.data,
               list->deliveries[0].history[0].reason.len,
               "service unavailable", 19, "its reason");
    tap_is_mem(list->deliveries[0].history[0].response.data,
               list->deliveries[0].history[0].response.len,
               "come back later", 15, "its response");
    tap_is(list->deliveries[0].history[0].took, 12, "its duration");
    tap_is(list->deliveries[0].history[1].status, 0, "the second one");
    tap_is(list->deliveries[0].history[2].n, 3, "the third one");
    tap_is(list->deliveries[0].history[2].status, 202, "its status");
    tap_is_mem(list->deliveries[0].target.name.data, 1, "c", 1, "its target");
    tap_is_mem(list->deliveries[0].event->id.data,
               list->deliveries[0].event->id.len, "evt-1", 5, "its event");
    ngx_trove_spool_free(list);

    bad = refs[0];
    bad.id = 99 * 65536;
    tap_is(spool_outcome(spool, bad, NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0),
           NGX_TROVE_SPOOL_UNKNOWN, "there is no such delivery");

    bad = refs[3];
    bad.file++;
    tap_is(spool_outcome(spool, bad, NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0),
           NGX_TROVE_SPOOL_UNKNOWN, "nor one of another file");

    tap_is(spool_state(spool, refs[3].id), NGX_TROVE_SPOOL_LEASED,
           "which leaves ours alone");
    tap_ok(spool_sound(), "all is sound");

    ngx_trove_spool_destroy(spool);
}


static void
leases(void)
{
    ngx_uint_t             i, n;
    ngx_trove_spool_t     *spool;
    ngx_trove_spool_op_t   op;
    ngx_trove_spool_ref_t  ref;

    fresh();
    spool = spool_open();

    tap_is(spool_lease(spool, "a", 10, 10), 0, "nothing to lease");
    tap_is(lease_next, -1, "and nothing will be");

    spool_accept(spool, 1, "a", 1, &ref);

    tap_is(spool_lease(spool, "a", 10, 10), 0, "what is leased is not due");
    tap_ok(lease_next > 50000 && lease_next <= 60000,
           "until the lease runs out");

    spool_outcome(spool, ref, NGX_TROVE_SPOOL_TO_RETRY, 500, 5000);

    tap_is(spool_lease(spool, "a", 10, 10), 0, "nor what waits");
    tap_ok(lease_next > 4000 && lease_next <= 5000, "which is soon");

    tap_is(spool_lease(spool, "b c", 10, 10), 0, "others have nothing");
    tap_ok(lease_next != 0, "and get nothing");

    sqlite(spool)->skew_mono += 5000;

    n = spool_lease(spool, "a", 10, 10);
    tap_is(n, 1, "when the time has come");
    tap_ok(leased[0].age >= 5000 && leased[0].age < 6000, "it is that old");
    spool_leased_free(n);

    /* retries do not hold up first attempts, nor the other way round */

    for (i = 0; i < 40; i++) {
        spool_accept(spool, 100 + i, "m", 1, &ref);
        spool_outcome(spool, ref, NGX_TROVE_SPOOL_TO_RETRY, 500, 0);
    }

    for (i = 0; i < 40; i++) {
        spool_accept(spool, 200 + i, "m", 0, NULL);
    }

    n = spool_lease(spool, "m", 20, 100);
    tap_is(n, 20, "no more than the limit of a target");
    tap_ok(lease_next != 0, "whose rest is not due for it");

    for (i = 0; i < n; i++) {
        if (leased[i].attempt != (i < 10 ? 1 : 2)) {
            break;
        }
    }

    tap_is(i, 20, "half of them first attempts, half retries");
    spool_leased_free(n);

    n = spool_lease(spool, "m", 100, 50);
    tap_is(n, 50, "no more than fits");
    tap_is(lease_next, 0, "but there is more");
    spool_leased_free(n);

    n = spool_lease(spool, "m", 100, 50);
    tap_is(n, 10, "the rest");
    tap_is(leased[4].event->number, 81, "the last first attempt");
    tap_is(leased[9].event->number, 41, "and the last retry");
    spool_leased_free(n);

    /* a limit of bytes */

    for (i = 0; i < 10; i++) {
        spool_accept(spool, 300 + i, "s", 0, NULL);
    }

    memset(&op, 0, sizeof(op));

    {
        ngx_trove_spool_want_t  want = { { str("example.com/events"),
                                           str("s") }, 100, 100, DAY };

        op.type = NGX_TROVE_SPOOL_OP_LEASE;
        op.u.lease.wants = &want;
        op.u.lease.nwants = 1;
        op.u.lease.max = 100;
        op.u.lease.max_bytes = 60;
        op.u.lease.lease = 1000;
        op.u.lease.leased = leased;

        spool_write(spool, &op);

        tap_is(op.u.lease.n, 2, "no more bytes than are wanted");
        tap_is(op.u.lease.next, 0, "but there is more");
        spool_leased_free(2);

        op.u.lease.max_bytes = 1;
        spool_write(spool, &op);

        tap_is(op.u.lease.n, 1, "one, though, in any case");
        spool_leased_free(1);

        want.limit = 0;
        want.retries = 0;
        spool_write(spool, &op);
        tap_is(op.u.lease.n, 0, "none where there is no capacity");
    }

    tap_ok(spool_sound(), "all is sound");

    ngx_trove_spool_destroy(spool);
}


static void
fair(void)
{
    ngx_uint_t          i, n, count[3];
    ngx_trove_spool_t  *spool;

    fresh();
    spool = spool_open();

    for (i = 0; i < 100; i++) {
        spool_accept(spool, i, i < 10 ? "a b c" : i < 20 ? "a b" : "a", 0,
                     NULL);
    }

    n = spool_lease(spool, "a b c", 100, 60);
    memset(count, 0, sizeof(count));

    for (i = 0; i < n; i++) {
        count[leased[i].want]++;
    }

    tap_is(n, 60, "as many as fit");
    tap_is(count[2], 10, "all of who has few");
    tap_is(count[1], 20, "all of who has some");
    tap_is(count[0], 30, "the rest to who has many");
    spool_leased_free(n);

    /* more targets than capacity: each in its turn */

    for (i = 0; i < 10; i++) {
        spool_accept(spool, 1000 + i, "d e f g", 0, NULL);
    }

    memset(count, 0, sizeof(count));

    for (i = 0; i < 8; i++) {
        n = spool_lease(spool, "d e f g", 10, 1);
        count[1] += n == 1 && leased[0].want == 1;
        count[0] += n;
        spool_leased_free(n);
    }

    tap_is(count[0], 8, "one at a time");
    tap_is(count[1], 2, "and each has its turn");

    ngx_trove_spool_destroy(spool);
}


static void
lost(void)
{
    ngx_uint_t              n;
    ngx_trove_spool_t      *spool, *other;
    ngx_trove_spool_ref_t   refs[4], mine;

    fresh();
    spool = spool_open();
    other = spool_open();

    spool_accept(spool, 1, "a b c d", 1, refs);

    /* the lease runs out, for the other one sees it so */

    sqlite(other)->skew_mono += 61000;
    n = spool_lease(other, "a b c", 10, 10);
    tap_is(n, 3, "leases that ran out are taken over");
    tap_is(leased[0].attempt, 1, "with the same attempt");
    mine = leased[0].ref;
    spool_leased_free(n);

    tap_is(spool_outcome(spool, refs[0], NGX_TROVE_SPOOL_TO_RETRY, 500, 1000),
           NGX_TROVE_SPOOL_LOST, "an outcome of who lost it");
    tap_is(spool_state(spool, refs[0].id), NGX_TROVE_SPOOL_LEASED,
           "does not disturb");
    tap_is(spool_outcome(spool, refs[0], NGX_TROVE_SPOOL_RELEASED, 0, 0),
           NGX_TROVE_SPOOL_LOST, "nor does handing back");
    tap_is(spool_outcome(other, mine, NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0),
           NGX_TROVE_SPOOL_DONE, "who has it ends it");

    tap_is(spool_outcome(spool, refs[1], NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0),
           NGX_TROVE_SPOOL_LOST, "who lost it has delivered it");
    tap_is(spool_state(spool, refs[1].id), NGX_TROVE_SPOOL_DELIVERED,
           "which is a fact");
    tap_is(spool_outcome(other, refs[1], NGX_TROVE_SPOOL_TO_RETRY, 500, 0),
           NGX_TROVE_SPOOL_LOST, "that the other one does not undo");
    tap_is(spool_state(spool, refs[1].id), NGX_TROVE_SPOOL_DELIVERED,
           "afterwards");
    tap_is(sql_int("SELECT count(*) FROM attempt WHERE delivery = 65537"), 2,
           "though both attempts are recorded");

    /* nobody has the file open: leases are void at once */

    tap_is(spool_state(spool, refs[3].id), NGX_TROVE_SPOOL_LEASED, "leased");
    ngx_trove_spool_destroy(other);
    ngx_trove_spool_destroy(spool);

    spool = spool_open();
    tap_is(spool_state(spool, refs[3].id), NGX_TROVE_SPOOL_NEW,
           "by nobody, after a restart");
    tap_is(spool_lease(spool, "a b c d", 10, 10), 2, "and due at once");
    spool_leased_free(2);

    other = spool_open();
    tap_is(spool_lease(other, "a b c d", 10, 10), 0,
           "but not if another one opens it");
    ngx_trove_spool_destroy(other);

    tap_ok(spool_sound(), "all is sound");

    ngx_trove_spool_destroy(spool);
}


static void
renews(void)
{
    ngx_trove_spool_t         *spool, *other;
    ngx_trove_spool_op_t       op;
    ngx_trove_spool_ref_t      refs[3];
    ngx_trove_spool_result_e   results[3];

    fresh();
    spool = spool_open();
    other = spool_open();

    spool_accept(spool, 1, "a b c", 1, refs);
    spool_outcome(spool, refs[2], NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0);

    memset(&op, 0, sizeof(op));

    op.type = NGX_TROVE_SPOOL_OP_RENEW;
    op.u.renew.refs = refs;
    op.u.renew.nrefs = 3;
    op.u.renew.lease = 200000;
    op.u.renew.results = results;

    spool_write(spool, &op);

    tap_is(results[0], NGX_TROVE_SPOOL_DONE, "a lease is renewed");
    tap_is(results[1], NGX_TROVE_SPOOL_DONE, "another one, too");
    tap_is(results[2], NGX_TROVE_SPOOL_LOST, "what is done has none");

    sqlite(spool)->skew_mono += 61000;
    sqlite(other)->skew_mono += 61000;
    tap_is(spool_lease(other, "a b c", 10, 10), 0, "it did not run out");

    spool_write(other, &op);
    tap_is(results[0], NGX_TROVE_SPOOL_LOST, "it is not another one's");

    ngx_trove_spool_destroy(other);
    ngx_trove_spool_destroy(spool);
}


static void
clocks(void)
{
    ngx_trove_spool_t      *spool;
    ngx_trove_spool_ref_t   refs[2];

    fresh();
    spool = spool_open();

    spool_accept(spool, 1, "a", 1, &refs[0]);
    spool_accept(spool, 2, "a", 1, &refs[1]);
    spool_outcome(spool, refs[1], NGX_TROVE_SPOOL_TO_RETRY, 500, 10000);

    sqlite(spool)->skew_wall += 10 * DAY;
    tap_is(spool_lease(spool, "a", 10, 10), 0, "a step forward does nothing");
    sqlite(spool)->skew_wall -= 20 * DAY;
    sqlite(spool)->skew_mono += 10000;
    tap_is(spool_lease(spool, "a", 10, 10), 1, "nor does a step backward");
    spool_outcome(spool, leased[0].ref, NGX_TROVE_SPOOL_TO_RETRY, 500, 60000);
    spool_leased_free(1);

    ngx_trove_spool_destroy(spool);

    /* a machine whose clock begins in the past, by days */

    spool = spool_new(0, WAIT);
    sqlite(spool)->skew_wall -= 30 * DAY;

    if (ngx_trove_spool_open(spool, &error) != NGX_OK) {
        die("open");
    }

    tap_is(spool_lease(spool, "a", 10, 10), 1,
           "what is new in an impossible future is due at once");
    spool_leased_free(1);

    /* with the lease, which has expired */

    sqlite(spool)->skew_mono += 3601000;
    tap_is(spool_lease(spool, "a", 10, 10), 2,
           "a retry no later than after its longest delay");
    spool_leased_free(2);

    spool_accept(spool, 3, "a", 1, &refs[0]);
    tap_is(sql_int("SELECT due < 1000 * (strftime('%s') - 20 * 86400) "
                   "FROM delivery WHERE id >> 16 = 3"),
           1, "and all goes on by that clock");
    spool_outcome(spool, refs[0], NGX_TROVE_SPOOL_TO_DELIVERED, 200, 0);

    /* a clock that is slow by less than a retry may wait */

    spool_accept(spool, 4, "a", 0, NULL);
    ngx_trove_spool_destroy(spool);

    spool = spool_new(0, WAIT);
    sqlite(spool)->skew_wall -= 30 * DAY + 50 * 60 * 1000;

    if (ngx_trove_spool_open(spool, &error) != NGX_OK) {
        die("open");
    }

    tap_is(spool_lease(spool, "a", 10, 10), 3,
           "what is new does not wait, nor what a process has left");
    spool_leased_free(3);
    tap_ok(spool_sound(), "all is sound");

    ngx_trove_spool_destroy(spool);
}


static void
pauses(void)
{
    accept_t                  a;
    ngx_trove_spool_t        *spool, *other;
    ngx_trove_spool_target_t  target;

    fresh();
    spool = spool_open();
    other = spool_open();

    target.route = str(NULL);
    target.name = str("a");
    tap_is(ngx_trove_spool_pause(spool, &target, 1, &error), NGX_DECLINED,
           "a target that nobody knows");

    target.route = str("example.com/events");
    tap_is(ngx_trove_spool_pause(spool, &target, 1, &error), NGX_OK,
           "with its route it can be paused before it is known");

    spool_write(other, accept_op(&a, 1, "a b", 1));
    tap_ok(!a.targets[0].leased && a.targets[0].paused,
           "an event for it waits");
    tap_ok(a.targets[1].leased && !a.targets[1].paused, "no other one does");
    tap_is(spool_lease(other, "a", 10, 10), 0, "it gets nothing");
    tap_ok(lease_next != 0, "now and later");

    target.route = str(NULL);
    tap_is(ngx_trove_spool_pause(spool, &target, 0, &error), NGX_OK,
           "it goes on");
    tap_is(spool_lease(other, "a", 10, 10), 1, "and gets what has waited");
    spool_leased_free(1);

    ngx_trove_spool_destroy(other);
    ngx_trove_spool_destroy(spool);
}


static void
bodies(void)
{
    int                 fd;
    char                name[400];
    u_char             *body;
    size_t              i, len;
    accept_t            a, b;
    ngx_trove_spool_t  *spool;

    fresh();
    spool = spool_open();

    len = 3 * 1024 * 1024;
    body = malloc(len);

    if (body == NULL) {
        die("malloc");
    }

    for (i = 0; i < len; i++) {
        body[i] = (u_char) (i * 7 + i / 1000);
    }

    snprintf(name, sizeof(name), "%s/body", spool_dir);
    fd = open(name, O_RDWR|O_CREAT|O_TRUNC, 0600);

    if (write(fd, "before", 6) != 6 || write(fd, body, len) != (ssize_t) len) {
        die("write");
    }

    accept_op(&a, 1, "a", 0);
    a.op.u.accept.fd = fd;
    a.op.u.accept.offset = 6;
    a.op.u.accept.event.body.data = NULL;
    a.op.u.accept.event.body.len = len;
    spool_write(spool, &a.op);

    tap_is(a.op.result, NGX_TROVE_SPOOL_DONE, "a body from a file");
    tap_is(spool_lease(spool, "a", 1, 1), 1, "comes back");
    tap_ok(leased[0].event->body.len == len
           && memcmp(leased[0].event->body.data, body, len) == 0,
           "byte for byte");
    spool_leased_free(1);

    accept_op(&a, 2, "a", 0);
    accept_op(&b, 3, "a", 0);
    a.op.next = &b.op;
    a.op.u.accept.fd = fd;
    a.op.u.accept.offset = 7;
    a.op.u.accept.event.body.len = len;

    tap_is(ngx_trove_spool_write(spool, &a.op, NULL, &error), NGX_OK,
           "a file that is too short");
    tap_is(a.op.result, NGX_TROVE_SPOOL_ROLLED_BACK, "is not accepted");
    tap_is(error.kind, NGX_TROVE_SPOOL_IO, "which is an error");
    tap_is(b.op.result, NGX_TROVE_SPOOL_DONE, "but of this event only");

    accept_op(&a, 4, "a", 0);
    a.op.u.accept.event.body = str("");
    a.op.u.accept.event.namespace = str(NULL);
    a.op.u.accept.event.host = str("");
    spool_write(spool, &a.op);
    tap_is(spool_lease(spool, "a", 3, 3), 2, "an empty body");
    tap_is(leased[1].event->body.len, 0, "is empty");
    tap_ok(leased[1].event->body.data != NULL, "but there");
    tap_ok(leased[1].event->namespace.data == NULL, "an absent string");
    tap_ok(leased[1].event->host.data != NULL, "and an empty one");
    spool_leased_free(2);

    accept_op(&a, 5, "a", 0);
    a.op.u.accept.event.body.len = 2000000000;
    spool_write(spool, &a.op);
    tap_is(a.op.result, NGX_TROVE_SPOOL_TOO_LARGE, "more than can be kept");

    close(fd);
    free(body);
    ngx_trove_spool_destroy(spool);
}
