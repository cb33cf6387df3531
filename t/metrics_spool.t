#!/usr/bin/perl

# The metrics of the spool: whether it works, how full it is and of what, what
# failed for good, and the targets that a configuration has lost.

use lib 't/lib';
use Trove;
use Trove::Metrics;

my ($first, $second) = (backend(), backend());

my %conf = (
    targets => [
        a => { to => $first },
        b => { to => $second, fanout => 'events=file.*' },
    ],
    server => 'server_name gate;', spool => '%%TESTDIR%%/trove.spool max_size=8m',
    retry => 'base=100ms factor=1 max=1s',
);

my $nginx = nginx(spool_conf(%conf, targets => [ @{ $conf{targets} } ]),
    workers => 2)->start;


sub value {
    my ($name, %labels) = @_;

    my @all = metric($nginx, "trove_$name", \%labels, 99);

    return @all == 1 ? $all[0] : @all ? "@all" : 'none';
}


sub wait_value {
    my ($name, $want, $test, %labels) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    # each worker looks at the spool by itself: the next one asked may be behind

    my $is;

    wait_until { ($is = value($name, %labels)) eq $want } 30;
    is($is, $want, $test);
}


sub targets {
    my ($name) = @_;

    return join ' ', sort map {
        /^trove_\Q$name\E\{server="(.*?)",location="(.*?)",target="(.*?)"/
            ? "$1|$2|$3=" . metrics($nginx, 99)->{$_} : ()
    } keys %{ metrics($nginx, 99) };
}


is(value('spool_up'), 1, 'it works');
wait_value('spool_max_bytes', 8388608, 'its limit');
is(value('spool_history_bytes'), 0, 'no history');
is(targets('target_configured'), 'gate|= /events|a=1 gate|= /events|b=1',
    'two targets are configured');
is(targets('spool_failed_total'), 'gate|= /events|a=0 gate|= /events|b=0',
    'and nothing failed for good');
is(value('location_info', fanout => 'spool', verify => 'on'), 1,
    'a location with a spool');


# deliveries that end

my ($id, $other) = (new_id(), new_id());

$second->on($id, status => 410);
$second->on($other, status => 503);

is(spool_send($nginx, $id, 'file.written')->status, 202, 'an event for both');
ok((wait_until { spool_deliveries($nginx, "event=$id&state=failed") }),
    '410: one has failed for good') or diag(explain(spool_deliveries($nginx)));
wait_value('spool_failed_total', 1, 'it is counted', target => 'b');
is(value('spool_failed_total', target => 'a'), 0, 'of the other none is');
wait_value('spool_deliveries', 1, 'a gauge says the same', target => 'b',
    state => 'failed');
wait_value('spool_deliveries', 1, 'by the same labels', server => 'gate',
    location => '= /events', target => 'b', state => 'failed');

my $used;

ok((wait_until {
    $used = value('spool_used_bytes');
    abs(value('spool_history_bytes') - $used) < 1;
} 30), 'all of it is history') or diag($used, ' ', value('spool_history_bytes'));

is(spool_send($nginx, $other, 'file.written')->status, 202,
    'one more, of which a delivery is tried again and again');
wait_value('spool_events', 2, 'it is seen');
ok((wait_until {
    abs(value('spool_history_bytes') - value('spool_used_bytes') / 2) <= 1;
} 30), 'half of it is history');
is(value('spool_failed_total', target => 'b'), 1,
    'what is tried again has not failed for good');

is(value('fanout_unmatched_total'), 0, 'all of them matched a target');
is(metrics_lint($nginx, 99), '', 'promtool finds nothing');


# it does not work, and works again

my $spool = $nginx->dir . '/trove.spool';
my $said = testdir() . '/shell';

open my $shell, '|-', "sqlite3 '$spool' >'$said'" or die "sqlite3: $!";
$shell->autoflush(1);
print $shell ".timeout 20000\nBEGIN EXCLUSIVE;\nSELECT 'locked';\n";
ok((wait_until { slurp($said) =~ /locked/ } 30), 'somebody locks it');
wait_value('spool_up', 0, 'locked: it does not work');
print $shell "ROLLBACK;\n.quit\n";
close $shell;
wait_value('spool_up', 1, 'not locked: it works again');


# full: that is over when room is made, though no event may show it for long

spool_api($nginx, POST => 'targets/pause?target=a');

my $r;

ok((wait_until {
    $r = spool_send($nginx, new_id(), 'exec.completed',
        data => { stdout => 'x' x 200_000 });
    $r->status != 202;
} 60), 'it fills up');
is($r->json->{error}, 'spool_full', 'it is full');
wait_value('spool_up', 0, 'full: it does not work');
ok((wait_until { value('spool_used_bytes') > 7_000_000 } 30),
    'full: by what is in use');
ok((wait_until {
    value('spool_history_bytes') < value('spool_used_bytes') / 2;
} 30), 'full: little of it is history');
spool_api($nginx, POST => 'targets/resume?target=a');


# no limit, another location, and a target less

$conf{spool} = '%%TESTDIR%%/trove.spool';
ok($nginx->reload(spool_conf(%conf, targets => [ a => { to => $first,
    fanout => 'events=exec.*' } ])), 'a reload without a target');
wait_value('spool_max_bytes', '+Inf', 'no limit any more');
is(targets('target_configured'), 'gate|= /events|a=1 gate|= /events|b=0',
    'the target is not configured any more');
is(targets('spool_failed_total'), 'gate|= /events|a=0',
    'its counter is not shown');
wait_value('spool_deliveries', 1, 'what waits for it is', target => 'b',
    state => 'pending', location => '= /events', server => 'gate');

is(spool_send($nginx, new_id(), 'key.created')->status, 202,
    'an event that matches none');
is(value('fanout_unmatched_total'), 1, 'is counted');

ok($nginx->reload(spool_conf(%conf, server => 'server_name other;', targets =>
    [ 'b' => { to => $second } ])), 'a reload with another server');
wait_value('spool_max_bytes', '+Inf', 'its metrics are there');
is(targets('target_configured'),
    'gate|= /events|a=0 gate|= /events|b=0 other|= /events|b=1',
    'the former are not configured');
is(metrics_lint($nginx, 99), '', 'promtool finds nothing');

$nginx->reload(spool_conf(%conf, targets => [ @{ $conf{targets} } ]));
is(value('spool_failed_total', target => 'b'), 1,
    'a counter goes on when its target is back');

done_testing();
