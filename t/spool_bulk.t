#!/usr/bin/perl

# Calls of the API that act on many deliveries: in steps of the writer, which end
# with the call.

use lib 't/lib';
use Trove;

my $file = testdir() . '/blocked';
my $backend = backend();

my $nginx = nginx(spool_conf(
    targets => [ t => { to => $backend } ],
    server => <<"EOC" ), modules => [ 'block' ])->start;
        location = /block {
            trove_verify off;
            test_block trove_writer $file;
        }
EOC

# several steps

my $n = 1300;

sub block {
    spew($file, '');
    is(get($nginx->port, '/block')->status, 204, 'the writer is blocked');
}

sub release { unlink $file or die "$file: $!" }

sub state_count {
    my ($state) = @_;

    my $json = spool_api($nginx, GET => 'targets')->json;

    return $json->{targets}[0]{$state};
}

sub start {
    my ($path) = @_;

    my $conn = Trove::Http::conn($nginx->port(99));

    $conn->send(Trove::Http::build(POST => "/trove/v1/$path", body => '',
        headers => [ Authorization => 'Bearer a-token-of-some-length' ]));

    ok($conn->wait_read, 'a call is under way');

    return $conn;
}

is(spool_send($nginx, 'first')->status, 202, 'the target is known');
ok($backend->wait_count(1), 'and works');
ok(wait_until { state_count('delivered') == 1 }, 'the delivery has ended');

is(spool_api($nginx, POST => 'targets/pause?target=t')->status, 200,
    'it is paused');

is(scalar spool_accepted($nginx, 100), 100, 'events wait') for 1 .. $n / 100;
is(state_count('pending'), $n, 'all of them');


# all in one call

is(spool_api($nginx, POST => 'deliveries/cancel?state=pending&dry_run=1')
    ->json->{count}, $n, 'they are counted');
is(state_count('pending'), $n, 'and left alone');

my $r = spool_api($nginx, POST => 'deliveries/cancel?state=pending')->json;

is($r->{count}, $n, 'all are cancelled');
is($r->{next_cursor}, undef, 'up to the last one');
is(state_count('cancelled'), $n, 'indeed');


# by pieces

sub pieces {
    my ($call, $limit, $cursor) = @_;

    my ($count, $calls) = (0, 0);

    do {
        my $r = spool_api($nginx, POST => "$call&limit=$limit"
            . ($cursor ? "&cursor=$cursor" : ''));

        return "status " . $r->status if $r->status != 200;
        return "count " . $r->json->{count} if $r->json->{count} > $limit;

        $count += $r->json->{count};
        $cursor = $r->json->{next_cursor};
        $calls++;
    } while ($cursor);

    return "$count in $calls";
}

is(pieces('deliveries/replay?state=cancelled', 600), "$n in 3", 'by pieces');
is(state_count('pending'), $n, 'all are replayed');


# a call ends with its client

block();
$nginx->mark;

my $conn = start('deliveries/cancel?state=pending');

$conn->close;
ok($nginx->wait_log(qr/client prematurely closed connection/),
    'the client closes');

release();

ok(wait_until { $nginx->access_log =~ m{/deliveries/cancel\S* HTTP/1.1" 499 } },
    'the call ends');

my $left = state_count('pending');

cmp_ok($left, '>', 0, 'and does not go on');
is($left + state_count('cancelled'), $n, 'nothing is lost');

spool_api($nginx, POST => 'deliveries/replay?state=cancelled');
is(state_count('pending'), $n, 'it can be repeated');


# and with its worker

block();
$nginx->mark;

$conn = start('deliveries/cancel?state=pending');

$nginx->reload;
ok($nginx->wait_log(qr/gracefully shutting down/), 'the worker exits');

release();

$r = $conn->response;
is($r->status, 200, 'the call is answered');

my $json = $r->json;

cmp_ok($json->{count}, '<', $n, 'before all is done');
ok($json->{next_cursor}, 'and can be continued');
ok($nginx->wait_old, 'the worker is gone');
is(state_count('cancelled'), $json->{count}, 'what is done is done');

my $more = $n - $json->{count};

like(pieces('deliveries/cancel?state=pending', 1000, $json->{next_cursor}),
    qr/^$more in /, 'and is continued');
is(state_count('cancelled'), $n, 'to the end');


# events do not wait for it: it is one operation of many

block();

my @conns = map { start('deliveries/replay?state=cancelled') } 1 .. 3;

push @conns, many_start($nginx->port,
    event_request('/events', event('file.written'), secret => spool_secret()));

release();

my @responses = many_finish(@conns);

is((pop @responses)->status, 202, 'an event in between');

my $sum = 0;

for my $r (@responses) {
    is($r->status, 200, 'several calls at the same time');
    $sum += $r->json->{count};
}

is($sum, $n, 'replay each delivery once');

$nginx->stop;

done_testing();
