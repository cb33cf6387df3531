#!/usr/bin/perl

# The spool: accepted at once, delivered behind it, retried.

use lib 't/lib';
use Trove;

use Digest::SHA qw/ hmac_sha256_hex /;

my $secret = spool_secret();
my $a = backend();
my $b = backend();

my $target = 'proxy_set_header X-Target $trove_target:$trove_attempt;';

my $nginx = nginx(spool_conf(
    retry => 'base=200ms factor=2 max=1s',
    dedup => 1,
    http => <<'EOC',
    upstream a { server 127.0.0.1:%%BACKEND%%; keepalive 8; }
    upstream b { server 127.0.0.1:%%BACKEND_1%%; keepalive 8; }

    proxy_http_version 1.1;
    proxy_set_header Connection "";
EOC
    targets => [
        a => { to => 'http://a', conf => $target },
        b => { to => 'http://b', conf => $target },
    ],
))->start;

sub deliver {
    my ($uri, $body, %opt) = @_;

    return post_event($nginx->port, $uri, $body, secret => $secret, %opt);
}

my $body = event('file.written', id => my $id = new_id());
my $r = deliver('/events', $body);

is($r->status, 202, 'accepted') or diag slurp($nginx->dir . '/logs/error.log');
is($r->body, qq/{"status":"accepted","id":"$id","deliveries":2}/, 'the answer');
ok($a->wait_count(1), 'a gets it');
ok($b->wait_count(1), 'b gets it');

my $q = $a->last;
is($q->{body}, $body, 'the body');
is($a->header($q, 'X-Target'), 'a:1', 'target and attempt');
my ($t, $v1) = $a->header($q, 'X-Trove-Signature') =~ /^t=(\d+),v1=([0-9a-f]{64})$/;
is($v1, hmac_sha256_hex("$t.$body", 'trove-whsec-onward'), 'signed anew');

is(deliver('/events', $body)->json->{status}, 'duplicate', 'duplicate');

$body = event('file.written', id => $id = new_id());
$b->on($id, status => 500, times => 3);
is(deliver('/events', $body)->status, 202, 'accepted');
ok($b->wait_count(5), 'b gets it again and again');
is_deeply([ map { $b->header($_, 'X-Target') } $b->by_id($id) ],
    [ 'b:1', 'b:2', 'b:3', 'b:4' ], 'attempts');
is($a->count, 2, 'a got each once');

done_testing();
