#!/usr/bin/perl

# POST /v1/events/purge: what it removes, what it requires, how it ends, and what
# it means for a repeated event.

use lib 't/lib';
use Trove;

my $file = testdir() . '/blocked';
my $a = backend();
my $b = backend();

my $nginx = nginx(spool_conf(
    dedup => 1,
    targets => [ a => { to => $a }, b => { to => $b } ],
    server => <<"EOC" ), modules => [ 'block' ])->start;
        location = /block {
            trove_verify off;
            test_block trove_writer $file;
        }
EOC

sub purge {
    my ($query) = @_;

    return spool_api($nginx, POST => "events/purge?$query");
}

sub count_of {
    my ($query) = @_;

    my $r = purge($query);

    return $r->status == 200 ? $r->json->{count} : 'status ' . $r->status;
}

sub deliveries {
    my ($query) = @_;

    return @{ spool_api($nginx, GET => "deliveries?$query")->json
        ->{deliveries} || [] };
}

sub shown { return spool_api($nginx, GET => "events/$_[0]")->status }

sub events { return spool_api($nginx, GET => 'targets')->json->{events} }

sub ended { return wait_until { !deliveries('state=pending,inflight') } }


# a filter is required

for my $query ('', 'limit=10', 'cursor=65536', 'dry_run=1', 'since=0',
    'limit=1&cursor=65536')
{
    my $r = purge($query);

    is($r->status, 400, "purge?$query");
    like($r->json->{detail}, qr/^a purge requires an argument that selects/,
        'says why');
}

for my $case ([ 'state=lost' => 'state' ], [ 'target=' => 'target' ],
    [ 'types=,' => 'types' ], [ 'since=x' => 'since' ],
    [ 'tpye=x' => 'unknown' ], [ 'state=failed&limit=0' => 'limit' ],
    [ 'state=failed&limit=1&dry_run=1' => 'limit' ])
{
    my ($query, $name) = @$case;
    my $r = purge($query);

    is($r->status, 400, "purge?$query");
    like($r->json->{detail}, qr/$name/, 'says which');
}

is(spool_api($nginx, GET => 'events/purge?state=failed')->status, 404,
    'a GET is for an event of that id');


# what is removed

my @ids = map { new_id() } 1 .. 4;

$b->on($ids[1], status => 410);
$a->on($ids[2], status => 410);
$b->on($ids[2], status => 410);

is(spool_send($nginx, $_, 'file.written')->status, 202, 'accepted')
    for @ids[0 .. 2];
is(spool_send($nginx, $ids[3], 'exec.completed')->status, 202, 'accepted');
ok(ended(), 'all deliveries have ended');
is(scalar deliveries('state=failed'), 3, 'three have failed');

my $r = purge('state=failed&dry_run=1');

is_deeply($r->json, { count => 2, dry_run => JSON::PP::true(),
    next_cursor => undef }, 'a dry run counts events, not deliveries');
is(events(), 4, 'and removes nothing');

is(count_of('target=b&dry_run=1'), 4, 'by a target');
is(count_of('target=a&state=failed&dry_run=1'), 1, 'a delivery matches both');
is(count_of('types=exec.*&dry_run=1'), 1, 'by a type');
is(count_of('types=*&dry_run=1'), 4, 'by any');
is(count_of("event=$ids[0]&dry_run=1"), 1, 'by an id');
is(count_of('namespace=none&dry_run=1'), 0, 'by a namespace');
is(count_of('until=2020-01-01&dry_run=1'), 0, 'by a time');
is(count_of('state=pending,inflight&dry_run=1'), 0, 'none that waits');

$r = purge("event=$ids[1]&state=failed");

is_deeply($r->json, { count => 1, dry_run => JSON::PP::false(),
    next_cursor => undef }, 'one is purged');
is(shown($ids[1]), 404, 'it is gone');
is(scalar deliveries("event=$ids[1]"), 0, 'with its deliveries');
is(events(), 3, 'and no other');
is(count_of("event=$ids[1]&state=failed"), 0, 'it is purged once');

my ($target) = grep { $_->{target} eq 'b' }
    @{ spool_api($nginx, GET => 'targets')->json->{targets} };

is("$target->{delivered} $target->{failed}", '2 1', 'it is not counted either');


# an event with a pending delivery stays

is(spool_api($nginx, POST => 'targets/pause?target=b')->status, 200, 'pause');

my $waiting = new_id();

is(spool_send($nginx, $waiting, 'file.written')->status, 202, 'an event');
ok(wait_until { 1 == deliveries("event=$waiting&state=delivered") },
    'is delivered to one target');
is(scalar deliveries("event=$waiting&state=pending"), 1, 'and waits for another');

is(count_of("event=$waiting&dry_run=1"), 0, 'it is not counted');
is(count_of("event=$waiting"), 0, 'and not purged');
is(count_of("event=$waiting&state=delivered"), 0, 'by no filter');
is(shown($waiting), 200, 'it is still there');

is(spool_api($nginx, POST => "deliveries/cancel?event=$waiting")
    ->json->{count}, 1, 'the other one is cancelled');
is(count_of("event=$waiting"), 1, 'and then it is purged');
is(shown($waiting), 404, 'it is gone');


# a replay between the search and the purge

my ($replayed) = deliveries("event=$ids[2]&target=b");

spew($file, '');
is(get($nginx->port, '/block')->status, 204, 'the writer is blocked');

sub start {
    my ($path) = @_;

    my $conn = Trove::Http::conn($nginx->port(99));

    $conn->send(Trove::Http::build(POST => "/trove/v1/$path", body => '',
        headers => [ Authorization => 'Bearer a-token-of-some-length' ]));

    ok($conn->wait_read, "$path is under way");

    return $conn;
}

my $replay = start("deliveries/replay?event=$ids[2]&target=b");
my $purge = start("events/purge?event=$ids[2]&state=failed");

unlink $file or die "$file: $!";

my ($replays, $purges) = map { $_->response->json->{count} } $replay, $purge;

# the order of the two is that of threads, which find them

is($replays + $purges, 1, "one of the two acts: $replays $purges");
is(shown($ids[2]), $replays ? 200 : 404, 'the event is as they say');
is(scalar deliveries("event=$ids[2]&state=pending"), $replays,
    'and its delivery');
is(spool_api($nginx, POST => 'targets/resume?target=b')->status, 200, 'resume');
ok(ended(), 'all deliveries have ended');


# what it means for a repeated event: the zone knows it still

is(spool_send($nginx, $ids[0], 'file.written')->json->{status}, 'duplicate',
    'a repeated event');
is(count_of("event=$ids[0]"), 1, 'is purged');
is(shown($ids[0]), 404, 'it is gone');
is(spool_send($nginx, $ids[0], 'file.written')->json->{status}, 'duplicate',
    'and is a duplicate, since the zone has its key');

# but without the zone, the spool no longer does

my $kept = $ids[3];

$nginx->stop;
$nginx->start;

is(spool_send($nginx, $kept, 'exec.completed')->json->{status}, 'duplicate',
    'after a restart, one in the spool is a duplicate');
is(spool_send($nginx, $ids[0], 'file.written')->json->{status}, 'accepted',
    'one that was purged is accepted again');
ok(ended(), 'and delivered');


# many, by pieces

is(scalar spool_accepted($nginx, 100, 'many.events'), 100, 'events')
    for 1 .. 13;
ok(ended(), 'all deliveries have ended');

is(count_of('types=many.*&target=a&dry_run=1'), 1300, 'all are counted');
is(count_of('types=many.*&dry_run=1'), 1300, 'by any way');

my ($count, $cursor) = (0, '');

for my $query ('types=many.*&target=b', 'types=many.*') {
    my $r = purge("$query&limit=400")->json;

    is($r->{count}, 400, "$query: as many as wanted");
    ok($r->{next_cursor}, 'there are more');

    $r = purge("$query&limit=100&cursor=$r->{next_cursor}")->json;

    is($r->{count}, 100, 'from the cursor on');
}

$r = purge('types=many.*')->json;
is($r->{count}, 300, 'the others');
is($r->{next_cursor}, undef, 'up to the last one');
is(count_of('types=many.*'), 0, 'none is left');
is(shown($kept), 200, 'of this type');


# a call ends with its client

is(scalar spool_accepted($nginx, 100, 'many.events'), 100, 'events')
    for 1 .. 8;
ok(ended(), 'all deliveries have ended');

my $before = events();
my $others = $before - 800;

spew($file, '');
is(get($nginx->port, '/block')->status, 204, 'the writer is blocked');
$nginx->mark;

my $conn = start('events/purge?types=many.*');
$conn->close;
ok($nginx->wait_log(qr/client prematurely closed connection/),
    'the client closes');

unlink $file or die "$file: $!";

ok(wait_until { $nginx->access_log =~ m{/events/purge\S* HTTP/1.1" 499 } },
    'the call ends');

my $left = events();

cmp_ok($left, '>', $others, 'and does not go on');
is(count_of('types=many.*'), $left - $others, 'it can be repeated');
is(events(), $others, 'the others are left');
is(count_of('types=*'), $others, 'until all are purged');
is(events(), 0, 'and nothing is left');

$nginx->stop;

done_testing();
