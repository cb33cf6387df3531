#!/usr/bin/perl

# What is shown of a failed response with trove_fanout_mode wait, and by a test
# of the management API.

use lib 't/lib';
use Trove;

my $backend = backend();

my $nginx = nginx(spool_conf(
    targets => [
        test => { to => $backend },
        silent => { to => $backend, conf => 'trove_retry response=0;' },
    ],
    server => <<'EOC',
        location = /wait {
            trove_fanout /test name=shown;
            trove_fanout /silent name=silent;
            trove_fanout /own name=own optional;
        }

        location = /own {
            internal;
            proxy_pass http://127.0.0.1:1;
        }
EOC
))->start;

sub fails {
    my ($body) = @_;

    my $id = new_id();

    $backend->on($_, status => 400, body => $body, times => 1)
        for qw{ /test /silent };

    my $r = post_event($nginx->port, '/wait', event('file.written', id => $id),
        secret => spool_secret());

    is($r->status, 502, 'the sender gets 502');

    my %targets = map { $_->{name} => $_ } @{ $r->json->{targets} };

    is($targets{shown}{status}, 400, 'with the status');
    ok(!exists $targets{$_}{response}, "$_: nothing is shown")
        for qw/ silent own /;

    my ($line) = $nginx->log =~ /^(.*"\Q$id\E" to target "shown" failed: .*)$/m;
    my ($silent) = $nginx->log
        =~ /^(.*"\Q$id\E" to target "silent" failed: .*)$/m;

    unlike($silent, qr/response:/, 'nor logged');

    return ($targets{shown}{response}, $line);
}

my ($shown, $line) = fails('invalid_payload');
is($shown, 'invalid_payload', 'the response of the target');
like($line, qr/after \d+ ms, response: "invalid_payload", client/, 'is logged');

($shown, $line) = fails(qq(a "b"\n[error] forged\x1b[31m\x7f\xc2\x85\xff));
is($shown, qq(a "b"\n[error] forged\x1b[31m\x7f\x{85}\x{fffd}), 'any bytes');
like($line, qr/response: "a 'b' \[error\] forged \[31m  \xef\xbf\xbd", client/,
    'no control character and no quote in the log');

($shown, $line) = fails('x' x 199 . "\xc3\xa4" . 'y' x 5000);
is(length $shown, 199 + 1 + 1024 - 201, 'the first bytes of a long one');
like($line, qr/response: "x{199}", client/, 'fewer in the log');

($shown, $line) = fails('');
ok(!defined $shown, 'an empty one is none');
unlike($line, qr/response:/, 'in the log neither');


# a test

$backend->on($_, status => 400, body => 'invalid_payload', times => 1)
    for qw{ /test /silent };

my $r = spool_api($nginx, POST => 'test');
my %targets = map { $_->{name} => $_ } @{ $r->json->{targets} };

is($r->json->{ok}, JSON::PP::false(), 'a test that fails');
is($targets{test}{response}, 'invalid_payload', 'has the response');
ok(!exists $targets{silent}{response}, 'or has not');

$r = spool_api($nginx, POST => 'test');
is($r->json->{ok}, JSON::PP::true(), 'a test that succeeds');
is(scalar(grep { exists $_->{response} } @{ $r->json->{targets} }), 0,
    'has none');

done_testing();
