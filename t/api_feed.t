#!/usr/bin/perl

# The feed, as "trove tail" reads it: it asks for what was created after the
# last event that it has shown, 200 at most, and never follows a cursor.

use JSON::PP ();

use lib 't/lib';
use Trove;
use Trove::Api;

my $secret = 'trove-whsec-feed';

my $nginx = nginx(<<'EOC');
    trove_spool %%TESTDIR%%/trove.spool;
    trove_verify on;
    trove_secret trove-whsec-feed;
    client_max_body_size 8m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location = /events {
            trove_fanout_mode spool;
            trove_fanout /none name=none events=none;
        }

        location = /none {
            internal;
            return 204;
        }
    }

%%API%%
EOC

$nginx->start;

my $feed = 'workspaces/ws-test/events';


sub accepted {
    my ($body) = @_;

    my $r = post_event($nginx->port, '/events', $body, secret => $secret);
    $r->status == 202 or die 'not accepted: ' . $r->status;

    return $body;
}

sub created {
    my ($id, $created, %over) = @_;

    return accepted(event('file.written', id => $id, created_at => $created,
        %over));
}

sub page {
    my ($query) = @_;

    my $r = spool_api($nginx, GET => "$feed?$query");
    $r->status == 200 or die "$query: " . $r->status . ' ' . $r->body;

    my $json = $r->json;
    die 'an empty page with a cursor'
        if defined $json->{next_cursor} && !@{ $json->{events} };

    return $json;
}

sub encoded {
    my ($s) = @_;

    return $s =~ s/([^A-Za-z0-9._-])/sprintf '%%%02X', ord $1/ger;
}

sub ids { return [ map { $_->{id} } @{ $_[0]{events} } ] }


# the client: what it shows, in the order in which it does

my $shown;

sub poll {
    my ($query) = @_;

    my $since = defined $shown ? '&since=' . encoded($shown) : '';
    my @new = reverse @{ page("limit=200$since$query")->{events} };

    $shown = $new[-1]{created_at} if @new;

    return map { $_->{id} } @new;
}

sub tail {
    my ($query) = @_;

    my @ids;

    while (my @new = poll($query // '')) {
        push @ids, @new;
    }

    return \@ids;
}


is_deeply(page(''), { events => [], next_cursor => undef }, 'nothing yet');
is_deeply(tail(), [], 'nothing to show');


# in any form, and in the order of creation

created('evt-a3', '2026-05-01T12:00:02Z');
created('evt-a1', '2026-05-01T12:00:00+00:00');
created('evt-a2', '2026-05-01T14:00:01.5+02:00');
created('evt-a4', '2026-05-01T12:00:02.000000001Z');
created('evt-a6', '2026-05-01T12:00:02.100000Z');
created('evt-a5', '2026-05-01T06:30:02.09999999999999999999-05:30');

is_deeply(ids(page('')), [ map { "evt-a$_" } reverse 1 .. 6 ],
    'the latest created one first');

my $page = page('limit=2');
my @pages = @{ ids($page) };

while (defined $page->{next_cursor}) {
    $page = page('limit=2&cursor=' . $page->{next_cursor});
    push @pages, @{ ids($page) };
}

is_deeply(\@pages, [ map { "evt-a$_" } reverse 1 .. 6 ], 'also by pages');

for my $case (
    [ '2026-05-01T12:00:00Z', 2 .. 6 ],
    [ '2026-05-01T12:00:01.5Z', 3 .. 6 ],
    [ '2026-05-01T14:00:02+02:00', 4 .. 6 ],
    [ '2026-05-01T12:00:02.000000001Z', 5, 6 ],
    [ '2026-05-01T12:00:02.0999Z', 5, 6 ],
    [ '2026-05-01T12:00:02.1Z' ],
    [ '2026-05-01T12:00:02.10000000000000000000Z' ],
    [ '20260501T120002.1Z' ],
) {
    my ($since, @n) = @$case;

    is_deeply(ids(page('since=' . encoded($since))),
        [ map { "evt-a$_" } reverse @n ], "created after $since");
}

is_deeply(ids(page('until=2026-05-01T12:00:02Z')), [ 'evt-a2', 'evt-a1' ],
    'created before');

is_deeply(tail(), [ map { "evt-a$_" } 1 .. 6 ], 'each is shown once');
is_deeply(tail(), [], 'and not again');

is_deeply(ids(page('since=2026-05-01T12:00:00Z&limit=2')),
    [ 'evt-a3', 'evt-a2' ], 'those that come next, if there are more');


# events without a time, or with another type in its place

my @without = (
    accepted(event('file.written', id => 'evt-b1', remove => ['created_at'])),
    accepted(event('file.written', id => 'evt-b2', created_at => undef)),
    accepted(event('file.written', id => 'evt-b3', created_at => 1777636800)),
    accepted(event('file.written', id => 'evt-b4', created_at => 'now')),
    accepted(event('file.written', id => 'evt-b5', created_at => {
        created_at => '}"[' })),
    accepted('{ "id" : "evt-b6", "type":"file.written","data":'
        . '{"created_at":"2026-05-01T12:00:00Z"},'
        . '"workspace_id" : "ws-test" } '),
    accepted('{"workspace_id":"ws-test","created_at":null,"type":"created_at",'
        . '"x":["created_at",{"created_at":1}],"id":"evt-b7"}'),
);

my $events = page('since=2026-05-01T12:00:03Z')->{events};
is_deeply([ reverse @{ ids({ events => $events }) } ],
    [ map { "evt-b$_" } 1 .. 7 ], 'in the order in which they came');

for my $event (reverse @$events) {
    my $body = JSON::PP::decode_json(shift @without);
    my $time = delete $event->{created_at};
    delete $body->{created_at};

    like($time, qr/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
        "$event->{id}: has a time");
    is_deeply($event, $body, 'and is the same otherwise');
}

my $raw = spool_api($nginx, GET => "$feed?since=2026-05-01T12:00:03Z")->body;
is(() = $raw =~ /"created_at":(?!\s*"20)/g, 1, 'others are in data');

is_deeply(tail(), [ map { "evt-b$_" } 1 .. 7 ], 'each is shown once');
is_deeply(tail(), [], 'and not again');


# types, with blanks around the names

created('evt-c1', '2200-05-01T12:00:00Z', type => 'exec.completed');
created('evt-c2', '2200-05-01T12:00:01Z', type => 'file.deleted');

my @types = (
    'file.deleted,%20exec.completed', 'file.deleted%20,exec.completed',
    '%20file.deleted%20,%20%20exec.*%20', 'file.deleted,+exec.completed',
    'file.deleted,%20,exec.completed,%20'
);

is_deeply(ids(page("types=$_")), [ 'evt-c2', 'evt-c1' ], "types=$_")
    for @types;
is(spool_api($nginx, GET => "$feed?types=%20")->status, 400,
    'blanks are no name');


# 10 MB between two polls, 300 events, several with the same time, in disorder

undef $shown;
tail();

my %created;

for my $i (1 .. 300) {
    my $n = $i % 7 ? $i : $i - 20;
    my $time = sprintf '2201-01-01T%02d:%02d:00Z', int $n / 120 + 1,
        int $n / 2 % 60;

    $created{ sprintf 'evt-d%03d', $i } = $time;
    created(sprintf('evt-d%03d', $i), $time, data => { x => 'x' x 35_000 });
}

my $ids = tail();
is(@$ids, 300, 'as many as there are');
is_deeply([ sort @$ids ], [ sort keys %created ], 'each one once');

my @times = map { $created{$_} } @$ids;
is_deeply(\@times, [ sort @times ], 'in the order of creation');

is_deeply(tail(), [], 'and not again');

# all pages, with the cursor

for my $query ('limit=500', 'limit=200&since=2201-01-01T00:00:00Z') {
    my (@all, $cursor);

    do {
        $page = page("$query&until=2202-01-01T00:00:00Z&types=file.written"
            . (defined $cursor ? "&cursor=$cursor" : ''));
        push @all, grep { /^evt-d/ } @{ ids($page) };
        $cursor = $page->{next_cursor};
    } while (defined $cursor);

    is_deeply([ sort @all ], [ sort keys %created ], "each one once: $query");
}


# cursors

for my $cursor (1, '1-', '1-1', '1-1-1', '1-1-1-1-1', '-1-1-1-1', '0-1-1-1',
    '1-1-1-0', '1-x-1-1', '9223372036854775807-1-1-1', '9' x 30)
{
    is(spool_api($nginx, GET => "$feed?cursor=$cursor")->status, 400,
        "no cursor of a feed: $cursor");
}

is(spool_api($nginx, GET => 'deliveries?cursor=1-1-1-1')->status, 400,
    'nor is one of a feed that of another list');
is(spool_api($nginx, POST => 'deliveries/replay?cursor=1-1-1-1')->status, 400,
    'or of a replay');


# what cannot be: an event created before the last one shown

created('evt-e1', '2203-01-01T00:00:01Z');
is_deeply(tail(), [ 'evt-e1' ], 'one of a time');
created('evt-e2', '2203-01-01T00:00:01Z');
created('evt-e3', '2203-01-01T00:00:00Z');
is_deeply(tail(), [], 'no other of the same time or before, if it comes later');

done_testing();
