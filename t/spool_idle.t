#!/usr/bin/perl

# While another target had nothing to do, one with a backlog got no more than it
# had room for each second.

use lib 't/lib';
use Trove;

my $backend = backend();

my $nginx = nginx(spool_conf(targets => [
    busy => { to => $backend, fanout => 'max_inflight=2' },
    idle => { to => $backend, fanout => 'events=none' },
]))->start;

is(scalar(spool_accepted($nginx, 1)), 1, 'the first one');
ok($backend->wait_count(1), 'is delivered');

spool_api($nginx, POST => 'targets/pause?target=busy');
is(scalar(spool_accepted($nginx, 200)), 200, 'a backlog');
spool_api($nginx, POST => 'targets/resume?target=busy');

# by two a second it would take 100 seconds

my $done = wait_until { $backend->count == 201 } limit(30);
ok($done, 'it is delivered as fast as the target takes it')
    or diag($backend->count);

done_testing();
