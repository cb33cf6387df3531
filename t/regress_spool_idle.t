#!/usr/bin/perl

# While another target had nothing to do, one with a backlog got no more than it
# had room for each second.

use lib 't/lib';
use Trove;

my $backend = backend();

my $nginx = nginx(<<'EOC')->start;
    trove_spool %%TESTDIR%%/trove.spool;
    trove_sign trove-whsec-onward;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location = /events {
            trove_fanout_mode spool;
            trove_fanout /a name=busy max_inflight=2;
            trove_fanout /a name=idle events=none;
        }

        location = /a {
            internal;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }

    %%API%%
EOC

is(post($nginx->port, '/events', event())->status, 202, 'the first one');
ok($backend->wait_count(1), 'is delivered');

spool_api($nginx, POST => 'targets/pause?target=busy');
is(scalar(grep { $_->status == 202 } map {
    post($nginx->port, '/events', event()) } 1 .. 200), 200, 'a backlog');
spool_api($nginx, POST => 'targets/resume?target=busy');

# by two a second it would take 100 seconds

my $done = wait_until { $backend->count == 201 } limit(30);
ok($done, 'it is delivered as fast as the target takes it')
    or diag($backend->count);

done_testing();
