#!/usr/bin/perl

# An answer that came in pieces left a timer behind, of a client that a delivery
# out of the spool does not have: the worker crashed when another timer was set,
# or when that one ran out.

use lib 't/lib';
use Trove;

my $backend = backend(pieces => 4, pause => 0.02, size => 20_000, chunked => 1);

my $nginx = nginx(<<'EOC')->start;
    trove_spool %%TESTDIR%%/trove.spool;
    trove_retry base=10ms factor=1 max=10ms;
    trove_sign trove-whsec-onward;
    send_timeout 300ms;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location = /events {
            trove_fanout_mode spool;
            trove_fanout /a name=a;
        }

        location = /a {
            internal;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }

    %%API%%
EOC

my ($worker) = $nginx->workers;

for my $round (1 .. 5) {
    my @ids = map { new_id() } 1 .. 20;

    is(post($nginx->port, '/events', event('file.written', id => $_))->status,
        202, 'accepted') for @ids;

    ok(wait_until {
        spool_deliveries($nginx, 'state=delivered&limit=100') == 20 * $round
    }, "round $round: delivered");

    # what was left behind would have run out

    select undef, undef, undef, 0.4;
}

is(($nginx->workers)[0], $worker, 'the worker has not crashed');
is($backend->count, 100, 'each was delivered once');

done_testing();
