#!/usr/bin/perl

# After "pause" was answered, 78 more events went to the target, and after
# "cancel" 57: deliveries that were ready in the memory of a worker.

use lib 't/lib';
use Trove;

# more than a worker holds in memory, so that both have some

my $many = 1500;
my $inflight = 4;

my $backend = backend(gate => 'first');

my $nginx = nginx(spool_conf(targets => [
    a => { to => $backend, fanout => "max_inflight=$inflight" },
]), workers => 2)->start;

sub target {
    my ($target) = @{ spool_api($nginx, GET => 'targets')->json->{targets} };

    return $target;
}

sub accepted {
    my ($n) = @_;

    return map { spool_accepted($nginx, 100) } 1 .. $n / 100;
}

sub arrived {
    my $n = 0;

    $n += $_ for values %{ $backend->arrived };

    return $n;
}

sub once {
    my $arrived = $backend->arrived;

    return !grep { ($arrived->{$_} // 0) != 1 } @_;
}


# pause, while both workers have all in flight that they may

my @ids = accepted($many);
is(scalar(@ids), $many, 'accepted');

my $begun = 2 * $inflight;
ok(wait_until(sub { arrived() == $begun }, limit(30)),
    'attempts of both workers have begun');
ok(wait_until(sub { target()->{inflight} > $begun }), 'more are in memory');

is(spool_api($nginx, POST => 'targets/pause?target=a')->status, 200, 'pause');

$backend->open_gate('first');

# what is in memory either begins, or is released

ok(wait_until(sub { target()->{inflight} == 0 }, limit(30)),
    'no delivery is in memory');
is(target()->{delivered}, $begun, 'those that had begun are delivered');
is(target()->{pending}, $many - $begun, 'all others wait');
is(arrived(), $begun, 'no attempt has begun since');

my @attempts = spool_sql($nginx->dir . '/trove.spool',
    'SELECT attempts, count(*) FROM delivery GROUP BY attempts');
is("@attempts", '0|' . ($many - $begun) . " 1|$begun", 'and none is counted');


# resumed, by whatever worker, nothing is missing

is(spool_api($nginx, POST => 'targets/resume?target=a')->status, 200, 'resume');
ok(wait_until(sub { target()->{delivered} == $many }, limit(30)),
    'the others are delivered');
ok(once(@ids), 'each of them once');


# cancel, likewise

$backend->forget;
$backend->on('/a', gate => 'second');

@ids = accepted($many);
is(scalar(@ids), $many, 'accepted again');
ok(wait_until(sub { arrived() == $begun }, limit(30)),
    'attempts of both workers have begun');

my $cancel = spool_api($nginx, POST => 'deliveries/cancel?target=a')->json;
is($cancel->{count}, $many, 'all are cancelled');

$backend->on('/a');
$backend->open_gate('second');

ok(wait_until(sub { target()->{delivered} == $many + $begun }, limit(30)),
    'those that had begun are delivered nevertheless');

# an event that is accepted now begins after those in memory

my ($last) = spool_accepted($nginx, 1);
ok(wait_until(sub { target()->{delivered} == $many + $begun + 1 }, limit(30)),
    'a new event is delivered');
ok(once($last), 'once');
is(arrived(), $begun + 1, 'no other attempt has begun');
is(target()->{cancelled}, $many - $begun, 'the others are cancelled');


$nginx->stop;


# one of those in memory of a worker

my $single = backend(gate => 'third');

$nginx = nginx(spool_conf(targets => [
    a => { to => $single, fanout => "max_inflight=$inflight" },
]))->start;

@ids = accepted(100);
ok(wait_until(sub { keys %{ $single->arrived } == $inflight }, limit(30)),
    'as many as are allowed have begun');

my ($victim) = grep { !$single->arrived->{$_} } @ids;
my $id = spool_delivery($nginx, $victim, 'a')->{id};

is(spool_api($nginx, POST => "deliveries/$id/cancel")->json->{state},
    'cancelled', 'one in memory is cancelled');

$single->open_gate('third');

ok(wait_until(sub { target()->{delivered} == @ids - 1 }, limit(30)),
    'all others are delivered');
is(keys %{ $single->arrived }, @ids - 1, 'that one has not been attempted');

done_testing();
