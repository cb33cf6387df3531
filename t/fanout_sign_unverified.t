#!/usr/bin/perl

# What "trove_verify log" lets pass although it is not genuine was signed by
# "trove_sign" on its way to a target: anybody could have had anything signed.
# Through a spool it still was, when that did no longer happen without one.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-in';
my $onward = 'trove-whsec-out';
my $backend = backend();

my $nginx = nginx(<<'EOC')->start;
    trove_secret trove-whsec-in;
    trove_verify log;
    trove_spool %%TESTDIR%%/trove.spool;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location = /log {
            trove_fanout /target;
        }

        location = /spool {
            trove_fanout_mode spool;
            trove_fanout /target;
        }

        location = /published {
            trove_verify off;
            trove_fanout /target;
        }

        location = /target {
            internal;
            trove_sign trove-whsec-out;
            proxy_set_header X-Again $trove_signature;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOC

my $body = event('file.written');
my ($signature, $again);

sub got {
    my ($uri, $with) = @_;

    my $count = $backend->count;
    my $r = post($nginx->port, $uri, $body, $with
        ? ('X-Trove-Signature' => $with) : ());

    like($r->status, qr/^20[02]$/, "$uri: passes");
    ok($backend->wait_count($count + 1), 'and arrives');

    ($signature, $again) = map { $backend->header($backend->last, $_) }
        qw/ X-Trove-Signature X-Again /;

    my ($t) = ($signature // '') =~ /^t=(\d+),/;

    return $t && $signature eq sign($onward, $body, $t);
}

my $forged = sign('trove-whsec-of-a-stranger', $body);

for my $uri ('/log', '/spool') {
    ok(!got($uri, $forged), 'a forged event is not signed');
    is($signature, $forged, 'its own signature stays');
    is($again, undef, '$trove_signature is empty');

    ok(!got($uri), 'neither is one without a signature');
    is($signature, undef, 'none is added');

    ok(got($uri, sign($secret, $body)), 'a genuine one is signed');
    is($again, $signature, '$trove_signature');
}

ok(got('/published'), 'so is one where nobody verifies');
is($again, $signature, '$trove_signature');

done_testing();
