#!/usr/bin/perl

# Readers that do not read hold large events, each another one or a copy of its
# own.  Their memory is bounded: those that have been blocked for the longest
# time are closed, and can continue.  Those that read are not disturbed.

use Socket qw/ SOL_SOCKET SO_RCVBUF /;

use lib 't/lib';
use Trove;
use Trove::Api;
use Trove::Metrics;
use Trove::Stream;

my $large = 1_000_000;

my $nginx = nginx(spool_conf(
    targets => [ none => { fanout => 'events=none', conf => 'return 204;' } ],
    server => 'client_body_buffer_size 2m; client_max_body_size 4m;',
    http => <<'EOC'))->start;
    server {
        listen 127.0.0.1:%%PORT_1%% sndbuf=64k;
        listen 127.0.0.1:%%PORT_2%% http2;
        location /trove/ { trove_api a-token-of-some-length; }
    }
EOC


sub accepted {
    my ($id, %over) = @_;

    my $r = spool_send($nginx, $id, 'file.written', %over);
    $r->status == 202 or die "$id: " . $r->status;

    return $id;
}

sub stuck {
    my $stream = stream($nginx, undef, port => 1, open => 0,
        headers => [ 'Last-Event-ID' => 0 ]);

    setsockopt $stream->connection->{socket}, SOL_SOCKET, SO_RCVBUF, 65536;

    return $stream;
}

sub memory { return eval join '+', map { $nginx->pss($_) } $nginx->workers }

sub closed { return scalar $nginx->log_lines(qr/trove: stream closed: /) }

my @ids = map { accepted("evt-large$_", data => { x => 'x' x $large }) } 1 .. 4;

my $reader = stream($nginx);
my $before = memory();


# copies of one event, read for each of them

my $n = 70;
my @stuck = map { stuck() } 1 .. $n;

ok((wait_until { closed() >= $n - 40 } 30), 'some are closed');
cmp_ok(closed(), '<', $n - 20, 'not all of them');

SKIP: {
    skip 'sanitizers need memory', 1 if sanitized();

    my $grown = memory() - $before;
    cmp_ok($grown, '<', 50 * 1024 * 1024,
        "70 readers of 1 MB need no 70 MB: $grown bytes");
}

push @ids, accepted('evt-small');
is_deeply($reader->ids(1), [ 'evt-small' ], 'the others go on');

my $all = stream($nginx, undef, headers => [ 'Last-Event-ID' => 0 ]);
is_deeply($all->ids(5), \@ids, 'also one that begins with old events');
$_->connection->close for $all, @stuck;

ok(metric_wait($nginx, 'trove_stream_readers', {}, 1, 99), 'they are gone');


# events that all of them have got, one after another, over HTTP/2

$reader->connection->close;

my $closed = closed();
my $path = '/trove/v1/workspaces/ws-test/webhooks/stream';

sub open_h2 {
    my ($window) = @_;

    my $h2 = h2($nginx->port(2));

    $h2->frame(4, 0, 0, pack 'nN', 4, $window);

    return { client => $h2, id => $h2->headers(GET => $path, end => 1,
        headers => [ Authorization => 'Bearer a-token-of-some-length' ]) };
}

sub window {
    my ($h2, $more) = @_;

    $h2->{client}->frame(8, 0, $h2->{id}, pack 'N', $more);
}

sub gets {
    my ($h2, $text) = @_;

    my $stream = $h2->{client}{streams}{ $h2->{id} };

    return $h2->{client}->run(sub { index($stream->{body}, $text) >= 0 });
}

my $fast = open_h2(0x7fffffff);
my @slow = map { open_h2(0) } 1 .. 25;

ok(metric_wait($nginx, 'trove_stream_readers', {}, 26, 99), 'over HTTP/2');

# each is blocked by another event

for my $n (1 .. @slow) {
    my $h2 = $slow[$n - 1];

    window($h2, length qq(data: {"type":"connected"}\n\n));
    gets($h2, '"connected"') or die 'not connected';

    accepted("evt-each$n", data => { x => 'x' x (2 * $large) });
    gets($fast, qq("evt-each$n")) or die "no event $n";
}

ok((wait_until { closed() > $closed } 30), 'some are closed');
cmp_ok(closed() - $closed, '<', 20, 'not all of them');

window($slow[-1], 0x7fff0000);
ok(gets($slow[-1], '"evt-each25"'), 'the others continue');

$_->{client}->drop for $fast, @slow;

$nginx->stop;

done_testing();
