#!/usr/bin/perl

# Streams over HTTP/2 whose window is closed: what does not fit waits in the
# spool, others go on, and all of it comes when the window opens, at once or by
# a few bytes.  A window that stays closed is a client that does not read.  And
# the end of the worker meanwhile.

use lib 't/lib';
use Trove;
use Trove::Api;
use Trove::Metrics;
use Trove::Stream;

my $api = 'trove_api a-token-of-some-length;';

my $nginx = nginx(spool_conf(
    targets => [ none => { fanout => 'events=none', conf => 'return 204;' } ],
    server => 'client_body_buffer_size 1m;', http => <<"EOC"))->start;
    server {
        listen 127.0.0.1:%%PORT_1%% http2;

        location /trove/ { $api }
        location /short/ { send_timeout 1s; $api }
    }
EOC


sub accepted {
    my ($id, %over) = @_;

    my $r = spool_send($nginx, $id, 'file.written', %over);
    $r->status == 202 or die "$id: " . $r->status;

    return $id;
}

sub client {
    my ($window) = @_;

    my $h2 = h2($nginx->port(1));
    $h2->frame(4, 0, 0, pack 'nN', 4, $window);

    return $h2;
}

sub open_on {
    my ($h2, %opt) = @_;

    my $id = $h2->headers(GET => ($opt{base} // '/trove')
        . '/v1/workspaces/ws-test/webhooks/stream', end => 1, headers => [
            defined $opt{last} ? ('Last-Event-ID' => $opt{last}) : (),
            Authorization => 'Bearer a-token-of-some-length' ]);

    ok($h2->run(sub { @{ $h2->{streams}{$id}{headers} } }), 'a stream');

    return $id;
}

sub window {
    my ($h2, $id, $more) = @_;

    $h2->frame(8, 0, $id, pack 'N', $more);
}

sub body { my ($h2, $id) = @_; return $h2->{streams}{$id}{body} }

sub gets {
    my ($h2, $id, $text) = @_;

    return $h2->run(sub { index(body($h2, $id), $text) >= 0 });
}

sub ids { return [ body(@_) =~ /^data: .*?"id": ?"(evt-[^"]+)"/mg ] }


# closed from the beginning

my $reader = stream($nginx);
my $h2 = client(0);
my $id = open_on($h2);

ok(metric_wait($nginx, 'trove_stream_readers', {}, 2, 99), 'it is a reader');

my @ids = map { accepted("evt-$_") } 1 .. 50;
push @ids, map { accepted("evt-l$_", data => { x => 'x' x 100_000 }) } 1 .. 10;

is_deeply($reader->ids(60), \@ids, 'another one gets all of them');
is(body($h2, $id), '', 'nothing comes');

window($h2, $id, 5);
ok(gets($h2, $id, 'data:'), 'the window opens a little');
is(body($h2, $id), 'data:', 'and no more comes');

# by small steps through the first ones, which are several buffers

my $size = 5;

for (1 .. 40) {
    my $step = 1 + $_ * 7 % 90;

    window($h2, $id, $step);
    $size += $step;
    $h2->run(sub { length body($h2, $id) == $size }) or last;
}

is(length body($h2, $id), $size, 'step by step');

# others are accepted while it is closed once more

push @ids, map { accepted("evt-m$_") } 1 .. 5;

window($h2, $id, 0x7fff0000);
ok(gets($h2, $id, '"evt-m5"'), 'it opens');
is_deeply(ids($h2, $id), \@ids, 'each event once, in order');

push @ids, accepted('evt-again');
ok(gets($h2, $id, '"evt-again"'), 'and new ones come at once');
$h2->drop;


# several of a connection

$h2 = client(0x7fffffff);
my @streams = map { open_on($h2, last => 0) } 1 .. 3;

for my $stream (@streams) {
    ok(gets($h2, $stream, '"evt-again"'), 'several of a connection');
    is_deeply(ids($h2, $stream), \@ids, 'get the same');
}

$h2->send_rst($streams[0]);
push @ids, accepted('evt-after');
ok(gets($h2, $streams[1], '"evt-after"'), 'one is closed by its client');
is_deeply(ids($h2, $streams[2]), \@ids, 'the others go on')
    if gets($h2, $streams[2], '"evt-after"');
$h2->drop;

ok(metric_wait($nginx, 'trove_stream_readers', {}, 1, 99), 'they are closed');


# it stays closed

$h2 = client(10);
$id = open_on($h2, base => '/short');
ok($h2->run(sub { defined $h2->rst($id) }), 'one that stays closed is reset');
is(body($h2, $id), 'data: {"ty', 'and got what it had asked for');
ok($nginx->wait_log(qr/trove: stream closed: the client does not read it$|,/),
    'which is logged');
ok(metric_wait($nginx, 'trove_stream_readers', {}, 1, 99), 'it is no reader');


# the worker exits: what has been sent to a client is whole

$h2 = client(10);
$id = open_on($h2, last => 0);
my $dropped = client(10);
open_on($dropped);

ok($h2->run(sub { length body($h2, $id) == 10 }), 'two that are closed');
ok(metric_wait($nginx, 'trove_stream_readers', {}, 3, 99), 'are readers');

ok($nginx->reload, 'a reload');
ok($reader->ended, 'ends one that is read');
ok(scalar $nginx->old_workers, 'and waits for the others');

window($h2, $id, 0x7fff0000);
ok($h2->run(sub { $h2->{streams}{$id}{end} }), 'they end, too');
like(body($h2, $id), qr/\n\n\z/, 'after a whole line');
$dropped->drop;

ok($nginx->wait_old, 'and the worker exits');

$nginx->stop;

done_testing();
