#!/usr/bin/perl

# What trove-spool-recover saves of subscriptions, and that the file it makes is
# of this version.

use lib 't/lib';
use Trove;
use Trove::Subscription;

use Cwd qw/ abs_path /;

my $hook = backend();
my $base = 'http://127.0.0.1:' . $hook->port;
my $recover = abs_path('util/trove-spool-recover');

my $nginx = nginx(subscription_conf(retry => 'base=100ms factor=1 max=100ms'),
    workers => 2)->start;

my $spool = $nginx->dir . '/trove.spool';

my $acme = hooks_create($nginx, "$base/acme", namespace => 'customer-acme',
    events => [ 'file.*', 'exec.completed' ], description => "of Acme");
my $all = hooks_create($nginx, "$base/all");
my $gone = hooks_create($nginx, "$base/gone");
my $path = "ws-test/webhooks/$acme->{webhook_id}";

is(hooks_call($nginx, PATCH => $path, { enabled => JSON::PP::false })->status,
    200, 'one is paused');
is(hooks_call($nginx, DELETE => "ws-test/webhooks/$gone->{webhook_id}")->status,
    200, 'one is deleted');

is(spool_send($nginx, 'evt-1', 'file.written')->status, 202, 'an event');
ok($hook->wait_count(1, '/all'), 'is delivered to one');
ok((wait_until { spool_sql($spool,
    "SELECT 1 FROM deliveries WHERE state = 'delivered'") }), 'as is stored');

$nginx->stop;

my $out = `'$recover' '$spool' '$spool.new' 2>&1`;

is($?, 0, 'recovered') or diag $out;
like($out, qr/^subscriptions: 2$/m, 'with both subscriptions');

my $schema = "SELECT type, name, replace(sql, '  ', ' ') FROM sqlite_master"
    . " WHERE name NOT LIKE 'sqlite_%' ORDER BY name";
my @columns = map { "SELECT '$_', group_concat(name || type || \"notnull\""
    . " || coalesce(dflt_value, '') || pk, ' ') FROM pragma_table_info('$_')" }
    spool_sql($spool, "SELECT name FROM sqlite_master WHERE type = 'table'");

is_deeply([ spool_sql("$spool.new",
        "SELECT type, name FROM sqlite_master ORDER BY name") ],
    [ spool_sql($spool,
        "SELECT type, name FROM sqlite_master ORDER BY name") ],
    'the same tables and indexes');
is_deeply([ map { spool_sql("$spool.new", $_) } @columns ],
    [ map { spool_sql($spool, $_) } @columns ], 'with the same columns');

for my $table (qw/ subscription pattern matching audit /) {
    is_deeply([ spool_sql("$spool.new", "SELECT * FROM $table ORDER BY 1, 2") ],
        [ spool_sql($spool, "SELECT * FROM $table ORDER BY 1, 2") ],
        "$table is as it was");
}

my $targets = 'SELECT route, name, paused, new, retry, delivered,'
    . ' subscription FROM target ORDER BY 1, 2';

is_deeply([ spool_sql("$spool.new", $targets) ],
    [ spool_sql($spool, $targets) ], 'and the targets are');

unlink glob "$spool $spool-*";
rename "$spool.new", $spool or die "rename: $!";
chmod 0666, $spool or die "chmod: $!";

$nginx->start;

is(hooks_call($nginx, PATCH => $path, { enabled => JSON::PP::true })->status,
    200, 'resumed');
ok($hook->wait_count(1, '/acme'), 'what waited is delivered');
is(hooks_verify(($hook->by_id('evt-1'))[-1], $acme->{signing_secret}), 1,
    'signed as before');

is(spool_send($nginx, 'evt-2', 'exec.completed')->json->{deliveries}, 2,
    'the next event is for both');
ok($hook->wait_count(2, '/acme'), 'and is delivered');
is($hook->count('/gone'), 0, 'nothing to what was deleted');

done_testing;
