#!/usr/bin/perl

# What waits for room under way: in order, no more at once than max_inflight,
# and handed over at a reload, whatever hangs.

use lib 't/lib';
use Trove;

my $slow = backend();
my $other = backend();

my $conf = spool_conf(targets => [
    slow => { to => $slow, fanout => 'max_inflight=2',
        conf => 'proxy_read_timeout 60s;' },
    other => { to => $other },
]);

my $nginx = nginx($conf)->start;

sub accepted {
    my ($n) = @_;

    my @ids = spool_accepted($nginx, $n);

    is(scalar @ids, $n, "$n are accepted");

    return @ids;
}


# the place of each in the order of acceptance

sub numbers {
    return map { split /[|]/ } spool_sql($nginx->dir . '/trove.spool',
        'SELECT id, number FROM event');
}


# two hang, and the others wait for them

$slow->on('/slow', gate => 'a');

my @ids = accepted(30);

ok($other->wait_count(30), 'another target gets all');
ok($slow->wait_count(2), 'two are under way');

accepted(1);
ok($other->wait_count(31), 'and one more');
is($slow->count, 2, 'no third one meanwhile');

$slow->open_gate('a');

ok($slow->wait_count(31), 'all come when the first are answered');
is_deeply([ map { $slow->count($_) } @ids ], [ map { 1 } @ids ],
    'each of them once');

# in the order of their acceptance, but for some that were under way together

my %number = numbers();
my @came = grep { defined } map {
    $number{ $slow->header($_, 'X-Trove-Event-Id') } } $slow->requests;
my $first = 0;
my @late;

for my $number (@came) {
    push @late, $number if $number < $first - 5;
    $first = $number if $number > $first;
}

is(scalar(@came), 31, 'all are known');
is("@late", '', 'in order') or diag("@came");


# an old worker keeps what hangs, and nothing else

$slow->forget;
$other->forget;
$slow->close_gate('a');

accepted(20);

ok($other->wait_count(20), 'another target gets all');
ok($slow->wait_count(2), 'two are under way');

$nginx->reload($conf);

# the new worker has room for two of its own

ok($slow->wait_count(4), 'the new worker begins with what the old one had');
$slow->open_gate('a');

ok($slow->wait_count(20), 'nothing waits until a lease has run out');
$nginx->wait_old;

my %seen;
$seen{ $slow->header($_, 'X-Trove-Event-Id') }++ for $slow->requests;

is(scalar(keys %seen), 20, 'all of them');
is((grep { $_ != 1 } values %seen), 0, 'each of them once');

done_testing();
