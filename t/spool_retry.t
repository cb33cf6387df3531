#!/usr/bin/perl

# When a delivery that failed is tried again, by what is on record, against what
# is configured: backoff, jitter, Retry-After, the window, a restart in between,
# a replay.

use lib 't/lib';
use Trove;

use POSIX qw/ strftime /;
use Time::HiRes qw/ clock_gettime CLOCK_MONOTONIC CLOCK_REALTIME /;

my $backend = backend();

# what a slow machine may add to a delay, milliseconds; nothing may come early

my $LATE = 5000;

my %retry = (
    plain   => 'base=100ms factor=3 max=700ms',
    jitter  => 'base=300ms factor=1 max=10s',
    asked   => 'base=100ms factor=1 max=4s',
    clamped => 'base=100ms factor=1 max=700ms',
    window  => 'base=100ms factor=1 max=200ms window=3s',
    long    => 'base=3s factor=1 max=3s window=1h',
);

my $nginx = nginx(spool_conf(targets => [ map {
    ($_ => { to => $backend, fanout => "events=$_",
        conf => "trove_retry $retry{$_};" })
} sort keys %retry ]))->start;


# Times are kept over a restart as those of the wall clock.  A test that is in
# progress while that clock is set, as it is when a virtual machine continues
# from a snapshot, has to be repeated.

sub wall {
    return clock_gettime(CLOCK_REALTIME) - clock_gettime(CLOCK_MONOTONIC);
}

my $wall = wall();


# an event for one of the targets, of which so many attempts are answered so

sub deliver {
    my ($target, %rule) = @_;

    my $id = new_id();

    $backend->on($id, %rule) if %rule;
    is(spool_send($nginx, $id, $target)->status, 202, "$target: accepted");

    return $id;
}


sub ended {
    my ($id, $target, $state) = @_;

    my $d;

    my $ended = wait_until {
        $d = spool_delivery($nginx, $id, $target);
        $d && $d->{state} eq $state;
    } 30;

    ok($ended, "$target: $state") or diag(explain($d));

    return $d;
}


# what was said to be waited for after each attempt

sub said {
    my ($id) = @_;

    return map { /"\Q$id\E" to target .* failed: .* next attempt in (\d+) ms/
        ? $1 : () } split /\n/, $nginx->log;
}


# each attempt but the first begins when its time has come, and soon after

sub kept {
    my ($id, $d, $name) = @_;

    my @said = said($id);
    my @history = @{ $d->{history} };
    my (@early, @late);

    for my $i (0 .. $#said) {
        my $gap = $history[$i + 1]{started}
            - $history[$i]{started} - $history[$i]{ms};

        push @early, "$gap < $said[$i]" if $gap < $said[$i] - 2;
        push @late, "$gap > $said[$i]" if $gap > $said[$i] + $LATE;
    }

    is("@early", '', "$name: none is early");
    is("@late", '', "$name: none is late");

    return @said;
}


# base, factor, max

my $id = deliver('plain', status => 500, times => 5);
my $d = ended($id, 'plain', 'delivered');
my @said = kept($id, $d, 'plain');

is_deeply([ map { $_->{status} } @{ $d->{history} } ],
    [ (500) x 5, 200 ], 'six attempts');
is_deeply([ map { $_->{attempt} } @{ $d->{history} } ], [ 1 .. 6 ],
    'in order');

is(@said, 5, 'five delays');
ok($said[0] >= 90 && $said[0] <= 110, "base: $said[0]");
ok($said[1] >= 270 && $said[1] <= 330, "times factor: $said[1]");
is(scalar(grep { $_ < 630 || $_ > 700 } @said[2 .. 4]), 0,
    "and max from then on: @said[2 .. 4]");


# jitter: those that failed together do not come back together

my @ids = map { deliver('jitter', status => 500, times => 1) } 1 .. 20;

ended($_, 'jitter', 'delivered') for @ids;
@said = map { kept($_, spool_delivery($nginx, $_, 'jitter'), 'jitter') } @ids;

is(@said, 20, 'jitter: twenty delays');
is(scalar(grep { $_ < 270 || $_ > 330 } @said), 0, 'a tenth around the base');
cmp_ok(scalar(keys %{{ map { $_ => 1 } @said }}), '>', 3, 'not all the same');


# Retry-After

sub asked {
    my ($target, $value, $from, $to) = @_;

    my $id = deliver($target, status => 503, times => 1,
        headers => [ map { ('Retry-After' => $_) }
            ref $value ? @$value : $value ]);

    $value = join ' | ', @$value if ref $value;

    my ($said) = kept($id, ended($id, $target, 'delivered'),
        "Retry-After: $value");

    ok($said >= $from && $said <= $to,
        "Retry-After: $value for $target: $said in $from .. $to");
}

sub date {
    my ($t) = @_;

    return strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime $t);
}

asked('asked', 1, 1000, 1000);
asked('asked', 0, 90, 110);
asked('asked', 'soon', 90, 110);
asked('asked', date(time() + 2), 90, 2000);
asked('asked', date(time() - 3600), 90, 110);
asked('clamped', 3600, 700, 700);

# the table in docs/directives.md

asked('asked', '1.5', 2000, 2000);
asked('asked', '1.0', 1000, 1000);
asked('asked', '2s', 2000, 2000);
asked('asked', '1 s', 1000, 1000);
asked('asked', '2, 2', 2000, 2000);
asked('asked', '1, soon, 2', 2000, 2000);
asked('asked', [ 1, 2, 'x' ], 2000, 2000);
asked('asked', [ date(time() - 3600), 1 ], 1000, 1000);
asked('asked', date(time() - 3600) . ', 1', 1000, 1000);
asked('asked', $_, 90, 110)
    for '-1', '+1', '1m', '1e3', '0x10', '1.', '.5', '1.5.2', '2026-12-01',
    'Wed, 99 Foo 2026 00:00:00 GMT', 'Wed,', ',', '"1"', "\xff\xfe", '1;q=2';
asked('clamped', strftime($_, gmtime(time() + 86400)), 700, 700)
    for '%a, %d %b %Y %H:%M:%S GMT', '%A, %d-%b-%y %H:%M:%S GMT',
    '%a %b %e %H:%M:%S %Y';
asked('asked', strftime($_, gmtime(time() - 86400)), 90, 110)
    for '%A, %d-%b-%y %H:%M:%S GMT', '%a %b %e %H:%M:%S %Y';
asked('clamped', [ ('9' x 400) x 4 ], 700, 700);
asked('clamped', '9' x 40, 700, 700);
asked('clamped', date(time() + 3600), 700, 700);


# the window: until it is over nothing fails, and one attempt is made after it

$id = deliver('window', status => 500);
$d = ended($id, 'window', 'failed');
kept($id, $d, 'window');

my @ages = map { $_->{started} - $d->{opened} } @{ $d->{history} };

cmp_ok(@ages, '>', 3, 'window: several attempts');
cmp_ok($ages[-1], '>=', 3000 - 2, 'the last one is made after the window');
is(scalar(grep { $_ > 3000 + $LATE } @ages[0 .. $#ages - 1]), 0,
    'the others before it ends');
like($nginx->log, qr/"$id" to target .* failed: 500, giving up after attempt /,
    'it is logged');

# whatever the reason that it was not tried

spool_api($nginx, POST => 'targets/pause?target=window');
$id = deliver('window');

ok(wait_until {
    my $targets = spool_api($nginx, GET => 'targets')->json->{targets};

    grep { $_->{target} eq 'window' && $_->{oldest_pending_ms} > 3500 }
        @$targets;
}, 'one that waits for longer than its window');

is(spool_delivery($nginx, $id, 'window')->{state}, 'pending', 'still waits');
spool_api($nginx, POST => 'targets/resume?target=window');
$d = ended($id, 'window', 'delivered');
is(@{ $d->{history} }, 1, 'and goes out');


# 410

$id = deliver('plain', status => 410);
$d = ended($id, 'plain', 'failed');
is(@{ $d->{history} }, 1, 'gone is gone, at once');


# a replay: a new window, and the first delay again

$id = deliver('plain', status => 500, times => 3);
ended($id, 'plain', 'delivered');
$backend->on($id, status => 500, times => 2);
$nginx->mark;
spool_api($nginx, POST => 'deliveries/'
    . spool_delivery($nginx, $id, 'plain')->{id} . '/replay');
ok(wait_until {
    $d = spool_delivery($nginx, $id, 'plain');
    $d->{state} eq 'delivered' && @{ $d->{history} } == 7;
}, 'a replay that fails twice') or diag(explain($d));

@said = said($id);
@said = @said[-2, -1];
ok($said[0] >= 90 && $said[0] <= 110, "it begins with base: $said[0]");
ok($said[1] >= 270 && $said[1] <= 330, "and goes on from there: $said[1]");
is($d->{attempts}, 7, 'its attempts are counted on');
cmp_ok($d->{opened}, '>', $d->{received}, 'its window is its own');


# a restart in between makes no difference

for my $how (qw/ QUIT KILL /) {
    my ($gap, $same, @said);

    do {
        $id = deliver('long', status => 500, times => 1);
        wait_until { said($id) };

        # only what is on the disk survives

        ok(wait_until {
            (spool_delivery($nginx, $id, 'long') || {})->{state} eq 'pending'
        }, "$how: it waits");

        @said = said($id);

        $how eq 'KILL' ? $nginx->kill_all : $nginx->stop;
        $nginx->start;

        $d = ended($id, 'long', 'delivered');
        is(@{ $d->{history} }, 2, "$how: two attempts");

        my ($first, $second) = @{ $d->{history} };

        $gap = $second->{started} - $first->{started} - $first->{ms};

        $same = abs(wall() - $wall) < 0.002;
        $wall = wall();
    } until ($same);

    cmp_ok($gap, '>=', $said[0] - 2, "$how: not early");
    cmp_ok($gap, '<=', $said[0] + $LATE, "$how: not late");
}

done_testing();
