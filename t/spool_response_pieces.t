#!/usr/bin/perl

# A response that came in pieces left a timer behind, of a client that a
# delivery out of the spool does not have: the worker crashed when another timer was set,
# or when that one ran out.

use lib 't/lib';
use Trove;

my $backend = backend(pieces => 4, pause => 0.02, size => 20_000, chunked => 1);

my $nginx = nginx(spool_conf(
    retry => 'base=10ms factor=1 max=10ms',
    http => <<'EOC',
    send_timeout 300ms;

    server {
        listen 127.0.0.1:%%PORT_1%%;
        client_header_timeout 300ms;
        return 204;
    }
EOC
    targets => [ a => { to => $backend } ],
))->start;

my ($worker) = $nginx->workers;

for my $round (1 .. 5) {
    is(scalar(spool_accepted($nginx, 20)), 20, 'accepted');

    ok(wait_until {
        spool_deliveries($nginx, 'state=delivered&limit=100') == 20 * $round
    }, "round $round: delivered");

    # a timer of the same length that is set now runs out after those left behind

    ok(conn($nginx->port(1))->wait_closed, 'a client that sends nothing');
}

is(($nginx->workers)[0], $worker, 'the worker has not crashed');
is($backend->count, 100, 'each was delivered once');

done_testing();
