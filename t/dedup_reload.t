#!/usr/bin/perl

# The zone across reloads: old and new workers on one, another size, a
# configuration that is refused.

use lib 't/lib';
use Trove;

use IO::Socket::INET;

my $secret = 'trove-whsec-reload';
my $backend = backend();

sub conf {
    my ($size, $more, $zone) = @_;

    $more //= '';
    $zone //= 'events';

    return <<"EOF";
    trove_verify on;
    trove_secret trove-whsec-reload;
    trove_dedup_zone zone=$zone:$size;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        add_header X-Worker \$pid always;

        location = /events {
            trove_dedup zone=$zone;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /lease {
            trove_dedup zone=$zone lease=1s;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        $more
    }
EOF
}

my $nginx = nginx(conf('1m'), workers => 2)->start;

sub deliver {
    my ($body, $uri) = @_;

    return post_event($nginx->port, $uri // '/events', $body,
        secret => $secret);
}

sub start {
    my ($body, $uri) = @_;

    my ($id) = $body =~ /"id":"([^"]+)"/;
    my ($conn) = many_start($nginx->port,
        event_request($uri // '/events', $body, secret => $secret));

    $backend->wait_count(1, $id);

    return $conn;
}

# how many of these the zone knows; those that it does not, it learns

sub duplicates {
    return scalar grep { dedup_outcome(deliver($_)) eq 'duplicate' } @_;
}

my @done = map { event() } 1 .. 100;

is(duplicates(@done), 0, 'a hundred events');
is(duplicates(@done), 100, 'that are known');


# one in flight in a worker that is shutting down

for my $status (200, 500) {
    my $uri = '/lease';
    my $body = event('file.written', id => my $id = new_id());

    $backend->on($id, gate => $id, status => $status, times => 1);

    my $conn = start($body, $uri);

    ok($nginx->reload, 'reload');
    ok((wait_until { $nginx->old_workers == 1 } 10),
        'an old worker is still at work');

    my $r = deliver($body, $uri);

    is(dedup_outcome($r), 'inflight', 'the new ones know what it is at work on');
    ok((grep { $_ == $r->header('X-Worker') } $nginx->workers),
        'it was a new one that answered');

    # its leases are renewed, too

    my $end = time() + 3;
    my %outcome;

    wait_until {
        $outcome{ dedup_outcome(deliver($body, $uri)) }++;
        $status != 200 || time() > $end;
    };
    is_deeply([ keys %outcome ], [ 'inflight' ], 'longer than the lease');

    $backend->open_gate($id);

    is($conn->response->status, $status, "the old one answers $status");
    is(dedup_outcome(deliver($body, $uri)), $status == 200 ? 'duplicate' : 'new',
        'and the new ones know that, at once');
    $conn->close;
    ok($nginx->wait_old, 'the old worker ends');
}

is(duplicates(@done), 100, 'all that was done is known as before');


# many reloads, with events all the time

{
    my @events = map { event() } 1 .. 5;
    my @wrong;

    for my $round (1 .. 4) {
        my @conns = many_start($nginx->port, map {
            event_request('/events', $_, secret => $secret) } (@events) x 4);

        $nginx->reload or push @wrong, 'no reload';

        push @wrong, grep { !/^(?:new|duplicate|inflight)$/ }
            map { dedup_outcome($_->response) } @conns;
    }

    $nginx->wait_old;

    is_deeply(\@wrong, [], 'reloads under load');

    my %count;
    $count{ $backend->count($_) }++ for map { /"id":"([^"]+)"/ } @events;
    is_deeply(\%count, { 1 => 5 }, 'each event reached the application once');
}


# another size

for my $size (qw/ 3m 512k 64k /) {
    my $done = event();
    my $live = event('file.written', id => my $id = new_id());

    dedup_outcome(deliver($done));

    $backend->on($id, gate => $id, times => 1);
    my $conn = start($live);

    $nginx->mark;
    ok($nginx->reload(conf($size)), "$size: reload");

    my ($notice) = $nginx->wait_log(qr/zone "events" was resized/);

    like($notice, qr/ \[notice\] .* events were copied, 0 of them did not fit/,
        "$size: the log tells that all was carried over");
    is(duplicates($done, @done), 101, "$size: all that was done is known");
    is(dedup_outcome(deliver($live)), 'inflight', "$size: and what is being done");

    $backend->open_gate($id);
    is(dedup_outcome($conn->response), 'new', "$size: which ends well");
    $conn->close;

    ok($nginx->wait_old, "$size: the old worker ends");
    is(dedup_outcome(deliver(event())), 'new', "$size: new ones pass");
}


# too small for all: as many as there is room for, and it works

{
    my @many = map { event() } 1 .. 2500;

    $nginx->reload(conf('1m'));

    my @conns = map { conn($nginx->port) } 1 .. 10;

    for my $body (@many) {
        my $conn = $conns[0];
        push @conns, shift @conns;
        $conn->send(event_request('/events', $body, secret => $secret));
        $conn->response->status == 200 or die;
    }

    $_->close for @conns;

    $nginx->mark;
    $nginx->reload(conf('32k'));

    my ($lost) = ($nginx->wait_log(qr/was resized/) // '')
        =~ / copied, (\d+) of them did not fit/;

    cmp_ok($lost, '>', 500, 'much too small: some found no room');
    cmp_ok($lost, '<', 2500, 'but not all');

    my $body = event();
    is(dedup_outcome(deliver($body)), 'new', 'a new one passes');
    is(dedup_outcome(deliver($body)), 'duplicate', 'and is known then');

    $nginx->reload(conf('1m'));
}


# refused, after the zone was made and filled: the old one stays in use

{
    my $body = event('file.written', id => my $id = new_id());

    $backend->on($id, gate => $id, times => 1);

    my $conn = start($body);
    my $done = event();

    deliver($done);

    my $taken = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)
        or die "listen: $!";
    my $port = $taken->sockport;

    $nginx->expect(qr/bind\(\) to 127.0.0.1:$port failed/,
        qr/still could not bind/);
    ok(!$nginx->reload(conf('2m', '}'
        . " server { listen 127.0.0.1:$port; ")), 'a reload that fails');
    $nginx->wait_log(qr/still could not bind/);

    is(dedup_outcome(deliver($done)), 'duplicate', 'what was done is known');
    is(dedup_outcome(deliver($body)), 'inflight', 'and what is being done');

    my ($code, $text) = $nginx->test(conf('4m'));

    is($code, 0, 'nginx -t with another size') or diag($text);
    unlike($text, qr/was resized/, 'carries nothing over');

    $backend->open_gate($id);
    is(dedup_outcome($conn->response), 'new', 'the first gets its answer');
    is(dedup_outcome(deliver($body)), 'duplicate', 'then a duplicate');

    ok($nginx->reload(conf('1m')), 'a reload that does not');
    is(dedup_outcome(deliver($body)), 'duplicate', 'still a duplicate');
}


# the zone is gone, with a claim in it

{
    my $body = event('file.written', id => my $id = new_id());

    $backend->on($id, gate => $id, times => 1);

    my $conn = start($body);

    ok($nginx->reload(conf('1m', '', 'renamed')), 'a zone of another name');

    is(dedup_outcome(deliver($body)), 'new', 'is empty');

    $backend->open_gate($id);
    is(dedup_outcome($conn->response), 'new', 'the old worker ends its work');
    $conn->close;
    ok($nginx->wait_old, 'and ends');

    ok($nginx->reload(conf('1m', '', 'renamed')
        =~ s/trove_dedup zone=renamed.*//r), 'a zone that nobody uses');
    is(dedup_outcome(deliver($body)), 'new', 'deduplicates nothing');
    ok($nginx->reload(conf('1m', '', 'renamed')), 'used again');
    is(dedup_outcome(deliver($body)), 'duplicate', 'it is as it was');
}


$nginx->no_errors;
is(scalar $nginx->log_lines(qr/ \[warn\] /), 0, 'nor warnings');

done_testing();
