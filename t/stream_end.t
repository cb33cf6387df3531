#!/usr/bin/perl

# The end of streams: reloads while events are accepted, a new binary, a
# graceful and a fast end, and a client that does not read when the worker exits.
# Clients that continue miss nothing, and get nothing twice.

use Socket qw/ SOL_SOCKET SO_RCVBUF /;

use lib 't/lib';
use Trove;
use Trove::Api;
use Trove::Metrics;
use Trove::Stream;

my $nginx = nginx(spool_conf(
    targets => [ none => { fanout => 'events=none', conf => 'return 204;' } ],
    server => 'client_body_buffer_size 2m;', http => <<'EOC'), workers => 2,
    server {
        listen 127.0.0.1:%%PORT_1%% sndbuf=64k;
        location /trove/ { trove_api a-token-of-some-length; }
    }
EOC
    main => 'worker_shutdown_timeout 2s;')->start;

my @ids;

sub accepted {
    my ($id, %over) = @_;

    my $r = spool_send($nginx, $id, 'file.written', %over);
    $r->status == 202 or die "$id: " . $r->status;

    push @ids, $id;
}


# clients that continue whenever they are told that it is the end

my @clients = map { { got => [], stream => stream($nginx) } } 1 .. 6;

sub go_on {
    my ($client) = @_;

    my $stream = $client->{stream};

    $stream->take(0);

    return 0 if !$stream->{last} && !$stream->connection->{eof};

    my @events = $stream->events(0);

    $client->{last} = $events[-1]{number} if @events;
    push @{ $client->{got} }, map { $_->{data}{id} } @events;

    $client->{stream} = stream($nginx, undef, defined $client->{last}
        ? (headers => [ 'Last-Event-ID' => $client->{last} ]) : ());

    return 1;
}

accepted('evt-first');
$_->{stream}->events(1) for @clients;

for my $n (1 .. 4) {
    accepted("evt-$n-$_") for 1 .. 5;
    ok($nginx->reload, "reload $n");
    accepted("evt-$n-$_") for 6 .. 10;

    for my $client (@clients) {
        ok((wait_until { go_on($client) }), 'ends a stream');
    }

    ok($nginx->wait_old, 'the old workers exit');
}

ok($nginx->upgrade, 'a new binary');
accepted('evt-new');

for my $client (@clients) {
    ok((wait_until { go_on($client) }), 'ends a stream, too');
}

accepted('evt-last');

for my $client (@clients) {
    my $n = @ids - @{ $client->{got} };

    is_deeply([ @{ $client->{got} }, @{ $client->{stream}->ids($n) } ], \@ids,
        'no event is missing, and none comes twice');
}

$_->{stream}->connection->close for @clients;
ok(metric_wait($nginx, 'trove_stream_readers', {}, 0, 99), 'all are closed');


# a client that does not read holds up the worker for worker_shutdown_timeout

accepted("evt-large$_", data => { x => 'x' x 1_000_000 }) for 1 .. 3;

sub stuck {
    my $stream = stream($nginx, undef, port => 1, open => 0,
        headers => [ 'Last-Event-ID' => 0 ]);

    setsockopt $stream->connection->{socket}, SOL_SOCKET, SO_RCVBUF, 65536;

    return $stream;
}

my $stuck = stuck();
ok(metric_wait($nginx, 'trove_stream_readers', {}, 1, 99), 'one that is stuck');

ok($nginx->reload, 'a reload');
ok($nginx->wait_old, 'and the worker exits');

$stuck->connection->wait_closed;
ok($stuck->connection->{eof}, 'without it');


# the end of all

my @open = map { stream($nginx) } 1 .. 6;
$stuck = stuck();
ok(metric_wait($nginx, 'trove_stream_readers', {}, 7, 99), 'open streams');

$nginx->stop;
ok($_->ended, 'end') for @open;
ok($stuck->connection->wait_closed, 'or are closed');

$nginx->start;
@open = map { stream($nginx) } 1 .. 6;
$nginx->stop('TERM');
ok($_->connection->wait_closed, 'closed by a fast end') for @open;

done_testing();
