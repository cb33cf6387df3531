#!/usr/bin/perl

# Identical events at once, over two workers: exactly one reaches the
# application.  And what a worker leaves behind that is killed.

use lib 't/lib';
use Trove;

use Time::HiRes qw/ time /;

my $secret = 'trove-whsec-race';
my $backend = backend();

# reuseport: the kernel deals the connections out to the workers

my $nginx = nginx(<<'EOF', workers => 2)->start;
    log_format worker $pid;
    access_log %%TESTDIR%%/logs/access.log worker;

    trove_verify on;
    trove_secret trove-whsec-race;
    trove_dedup_zone zone=events:1m;
    trove_dedup zone=events;

    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;

        add_header X-Worker $pid always;

        location = /events {
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /lease {
            trove_dedup zone=events lease=3s;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF

sub signed {
    my ($uri, $body) = @_;

    return event_request($uri, $body, secret => $secret);
}

sub deliver {
    my ($uri, $body) = @_;

    return http($nginx->port, signed($uri, $body));
}

sub count {
    my %count;

    $count{ !$_ ? 'none' : $_->status . ' ' . $_->body =~ s/"evt-\w+"/ID/r }++
        for @_;

    return \%count;
}

my $new = qq/200 {"ok":true}\n/;
my $duplicate = '200 {"status":"duplicate","id":ID}';
my $inflight = '409 {"error":"inflight"}';


# the application answers at once

my (@wrong, %worker);

for my $round (1 .. 25) {
    my $body = event('file.written', id => my $id = new_id());
    my @responses = many($nginx->port, (signed('/events', $body)) x 50);
    my $count = count(@responses);

    $worker{ $_->header('X-Worker') }++ for grep { $_ } @responses;

    push @wrong, "round $round: " . explain($count)
        if $backend->count($id) != 1 || ($count->{$new} || 0) != 1
            || 50 != 1 + ($count->{$duplicate} || 0)
                       + ($count->{$inflight} || 0);
}

is_deeply(\@wrong, [], '25 times 50 at once: one each reaches the application');
is(scalar keys %worker, 2, 'both workers were asked');
diag(explain(\%worker)) if keys %worker != 2;


# it is slow: while it is at work, and after

for my $round (1 .. 5) {
    my $body = event('file.written', id => my $id = new_id());

    $backend->on($id, gate => $id);

    my @conns = many_start($nginx->port, (signed('/events', $body)) x 50);

    # all but the one have their answer before the application gives its own

    my $answered;

    wait_until {
        $_->fill for @conns;
        $answered = grep { length $_->{in} } @conns;
        $answered >= 49;
    };
    is($answered, 49, 'while the first is slow the others are answered');

    $backend->open_gate($id);

    my @responses = map { $_->response } @conns;

    is_deeply(count(@responses), { $new => 1, $inflight => 49 },
        'by 409 inflight');
    is(scalar grep({ $_->header('Retry-After') } @responses), 49,
        'with Retry-After');
    is_deeply(count(many($nginx->port, (signed('/events', $body)) x 50)),
        { $duplicate => 50 }, 'after it all are duplicates');
    is($backend->count($id), 1, 'one has reached the application');
}


# it fails: the next one gets through, one at a time

for my $round (1 .. 5) {
    my $body = event('file.written', id => my $id = new_id());

    $backend->on($id, gate => $id, status => 500, times => 1);

    my @conns = many_start($nginx->port, (signed('/events', $body)) x 50);
    $backend->wait_count(1, $id);

    wait_until {
        $_->fill for @conns;
        49 <= grep { length $_->{in} } @conns;
    };

    $backend->open_gate($id);

    my $count = count(map { $_->response } @conns);

    is($count->{$inflight}, 49, 'it fails: inflight until then');
    is_deeply(count(many($nginx->port, (signed('/events', $body)) x 50))
        ->{$new}, 1, 'then exactly one of 50 gets through');
    is($backend->count($id), 2, 'so it has reached the application twice');
}


# different events at once are not in each other's way

{
    my @bodies = map { event() } 1 .. 100;

    is_deeply(count(many($nginx->port, map { signed('/events', $_) } @bodies)),
        { $new => 100 }, '100 different ones at once all pass');
    is_deeply(count(many($nginx->port, map { signed('/events', $_) } @bodies)),
        { $duplicate => 100 }, 'and then are duplicates');
}


# a worker that exits fast gives back what it holds, at once

{
    my $body = event('file.written', id => my $id = new_id());

    $backend->on($id, gate => 'never', times => 1);

    my ($conn) = many_start($nginx->port, signed('/events', $body));
    $backend->wait_count(1, $id);

    my %before = map { $_ => 1 } $nginx->workers;
    kill 'TERM', keys %before;

    ok($conn->wait_closed, 'TERM to the workers: the connection is closed');
    ok(wait_until {
        my @now = $nginx->workers;
        @now == 2 && !grep { $before{$_} } @now;
    }, 'others take their place');

    is_deeply(count(deliver('/events', $body)), { $new => 1 },
        'the claim is given back');
    is_deeply(count(deliver('/events', $body)), { $duplicate => 1 },
        'then a duplicate');
}


# one that is killed cannot: its lease runs out

for my $round (1 .. 2) {
    my $body = event('file.written', id => my $id = new_id());

    $backend->on($id, gate => 'never', times => 1);

    my ($conn) = many_start($nginx->port, signed('/lease', $body));
    $backend->wait_count(1, $id);

    # which of the two has it: both go

    my $killed = time();
    $nginx->kill_worker($_) for $nginx->workers;

    my ($last, %status);
    my $passed = wait_until {
        my $response = deliver('/lease', $body);

        $last = time();
        $status{ $response->status }++;
        $response->status == 200;
    } 15;

    ok($passed, 'SIGKILL: it gets through');
    ok($status{409}, 'but not before the lease ran out');
    is_deeply([ sort keys %status ], [ 200, 409 ], 'until then inflight');
    cmp_ok($last - $killed, '>=', 1.5, 'as long as that lasts');
    is($backend->count($id), 2, 'it has reached the application again');
    is_deeply(count(deliver('/lease', $body)), { $duplicate => 1 },
        'then a duplicate');
}


# killed in the middle of everything, again and again: the zone goes on working

{
    my @events = map { event('file.written', id => new_id()) } 1 .. 20;

    for my $round (1 .. 4) {
        my @conns = many_start($nginx->port,
            map { signed('/lease', $_) } (@events) x 5);

        $nginx->kill_worker(($nginx->workers)[ $round % 2 ]);
        $_->response for @conns;
    }

    my $left;
    wait_until {
        my $count = count(map { deliver('/lease', $_) } @events);
        $left = 20 - ($count->{$duplicate} || 0);
        $left == 0;
    } 10;

    is($left, 0, 'killed under load: in the end all are duplicates');
    is_deeply(count(map { deliver('/lease', event()) } 1 .. 50),
        { $new => 50 }, 'and new ones pass');
}


# all stop while a claim is held: nothing to say about it

{
    my $body = event('file.written', id => my $id = new_id());

    $backend->on($id, gate => 'never');

    my ($conn) = many_start($nginx->port, signed('/events', $body));
    $backend->wait_count(1, $id);

    $nginx->mark->stop('TERM');

    ok($conn->wait_closed, 'TERM closes the connection');
    is_deeply([ $nginx->log_lines(qr/ \[(?!notice)\w+\] /) ], [],
        'nothing is logged but that it stops');
}

done_testing();
