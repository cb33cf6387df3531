#!/usr/bin/perl

# Who waits for whom: nobody.  A target that hangs, a backlog of retries, and
# whoever reads by the API do not hold up the deliveries of others.

use lib 't/lib';
use Trove;

use Time::HiRes qw/ time /;

my $many = sanitized() ? 200 : 500;

my $hanging = backend(gate => 'hang');
my $well = backend();
my $failing = backend(delay => 0.01);

my $nginx = nginx(spool_conf(
    retry => 'base=50ms factor=1 max=50ms',
    http => <<'EOC',
    upstream well { server 127.0.0.1:%%BACKEND_1%%; keepalive 16; }
    upstream failing { server 127.0.0.1:%%BACKEND_2%%; keepalive 16; }

    proxy_http_version 1.1;
    proxy_set_header Connection "";
EOC
    targets => [
        hanging => { to => $hanging, fanout => 'events=file.*' },
        well => { to => 'http://well', fanout => 'events=file.*' },
        failing => { to => 'http://failing',
            fanout => 'events=exec.* max_inflight=2' },
    ],
), workers => 2)->start;

sub deliver {
    my ($type, @ids) = @_;

    my @conns = many_start($nginx->port, map { event_request('/events',
        event($type, id => $_), secret => spool_secret()) } @ids);

    return scalar grep { $_->status == 202 } many_finish(@conns);
}

sub states {
    my ($name) = @_;

    my ($target) = grep { $_->{target} eq $name }
        @{ spool_api($nginx, GET => 'targets')->json->{targets} };

    return $target;
}


# one that hangs, with many waiting for it

my @ids = map { new_id() } 1 .. $many;
my $accepted = 0;

$accepted += deliver('file.written', splice @ids, 0, 50) while @ids;
is($accepted, $many, 'accepted');

my $done = wait_until { $well->count == $many } 60;
ok($done, 'a target gets all, while another one hangs');

my $waiting = states('hanging');

is($waiting->{delivered}, 0, 'which has taken none');
is($waiting->{pending} + $waiting->{inflight}, $many, 'all wait for it');

# what comes now does not wait for it; how long it takes is measured by the
# benchmark

my $arrived = 0;

for (1 .. 20) {
    deliver('file.written', my $id = new_id());
    $arrived++ if wait_until { $well->count($id) };
}

is($arrived, 20, 'the next ones arrive');
is(states('hanging')->{delivered}, 0, 'while it still has taken none');


# meanwhile somebody reads all there is, again and again

defined(my $reader = fork) or die "fork: $!";

if (!$reader) {
    while (1) {
        spool_api($nginx, GET => 'deliveries?state=pending,inflight&limit=500');
        spool_api($nginx, GET => 'workspaces/ws-test/events?limit=500');
    }
}

$well->forget;
@ids = map { new_id() } 1 .. 100;
is(deliver('file.written', @ids), 100, 'accepted while somebody reads');
$done = wait_until { $well->count == 100 } limit(10);
ok($done, 'and delivered');

kill 'KILL', $reader;
waitpid $reader, 0;

$hanging->open_gate('hang');
$done = wait_until { states('hanging')->{delivered} == $many + 120 } 60;
ok($done, 'what hung gets all in the end');


# retries without an end: first attempts go out between them

my @bad = map { new_id() } 1 .. 200;

$failing->on('/failing', status => 500);
$accepted = 0;
$accepted += deliver('exec.completed', splice @bad, 0, 50) while @bad;
is($accepted, 200, 'accepted for one that fails');

# first attempts and retries take turns: by then all of them were tried

$done = wait_until { $failing->count > 500 } 60;
ok($done, 'they are tried again and again');

for (1 .. 5) {
    my $id = new_id();

    deliver('exec.completed', $id);

    my $answered = time();

    ok($failing->wait_count(1, $id), 'a new one is tried');

    my ($first) = $failing->by_id($id);

    cmp_ok(scalar(grep { $_->{time} > $answered && $_->{time} < $first->{time} }
        $failing->requests), '<', 50, 'long before the others are through');
}

done_testing();
