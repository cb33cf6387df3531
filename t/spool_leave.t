#!/usr/bin/perl

# A worker that was told to leave while it waited for the disk to say what is
# due kept what it had not begun, for as long as what it had begun hung.

use lib 't/lib';
use Trove;

my $slow = backend(gate => 'slow');
my $other = backend();

my $nginx = nginx(spool_conf(targets => [
    slow => { to => $slow, fanout => 'events=file.* max_inflight=2',
        conf => 'proxy_read_timeout 10m;' },
    other => { to => $other, fanout => 'events=exec.*' },
]))->start;

my $spool = $nginx->dir . '/trove.spool';
my ($worker) = $nginx->workers;

sub leased {
    return spool_sql($spool, 'SELECT count(*) FROM delivery WHERE state = 2');
}

is(scalar(spool_accepted($nginx, 20)), 20, 'accepted');
ok($slow->wait_count(2), 'two are under way');
is(leased(), 20, 'the others wait in memory');


# a stranger keeps it locked

my $said = testdir() . '/said';

open my $shell, '|-', "sqlite3 '$spool' >'$said'" or die "sqlite3: $!";
$shell->autoflush(1);
print $shell "BEGIN IMMEDIATE;\nSELECT 'locked';\n";
ok((wait_until { slurp($said) =~ /locked/ }), 'it is locked');

# the first one, for another target, waits for two seconds; meanwhile it is
# asked what is due, which waits behind the second one for two seconds more

sub begin {
    my ($conn) = many_start($nginx->port, event_request('/events',
        event('exec.completed'), secret => spool_secret()));

    ok($conn->wait_read, 'an event');

    return $conn;
}

my ($first, $second) = (begin(), begin());

is($first->response->status, 503, 'nothing can be written');
kill 'QUIT', $worker;
ok((wait_until { $nginx->old_workers }), 'the worker is to leave');

print $shell "ROLLBACK;\n.quit\n";
close $shell;
ok($second->response, 'it goes on');

ok((wait_until { leased() == 2 }), 'what has not begun is handed back')
    or diag(leased());
is($slow->count, 2, 'while the others are under way');

$slow->open_gate('slow');
ok((wait_until { !spool_sql($spool,
    'SELECT count(*) FROM delivery WHERE state != 3') } 20),
    'all is delivered');

my $arrived = $slow->arrived;
is((grep { $_ != 1 } values %$arrived), 0, 'once');
$first->close;
$second->close;

done_testing();
