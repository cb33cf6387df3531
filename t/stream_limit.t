#!/usr/bin/perl

# A worker has no more streams than half of its connections: the others are for
# events.

use lib 't/lib';
use Trove;
use Trove::Api;
use Trove::Stream;

my $http = spool_conf(
    targets => [ none => { fanout => 'events=none', conf => 'return 204;' } ]);

my $nginx = nginx(<<"EOC")->start;
%%GLOBALS%%
events { worker_connections 40; }
http {
    %%HTTP%%
    $http
}
EOC

my @streams = map { stream($nginx) } 1 .. 20;

my $refused = stream($nginx, undef, open => 0);
is($refused->status, 503, 'one too many');
ok($nginx->wait_log(qr/trove: stream refused: this worker has too many/),
    'is logged');
$refused->connection->close;

is(spool_send($nginx, 'evt-1', 'file.written')->status, 202, 'an event');
is_deeply($_->ids(1), [ 'evt-1' ], 'for all of them') || last for @streams;

(shift @streams)->connection->close;

my $again;
ok(wait_until {
    $again = stream($nginx, undef, open => 0);
    $again->status == 200 || do { $again->connection->close; 0 };
}, 'one more after another has gone');

$_->connection->close for @streams, $again;

ok(wait_until {
    my $head = stream($nginx, undef, open => 0, method => 'HEAD');
    my $status = $head->status;
    $head->connection->close;
    $status == 200;
}, 'none is left over');

$nginx->stop;

done_testing();
