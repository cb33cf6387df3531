#!/usr/bin/perl

# Clients, well behaved or not: when the body is asked for and read, what is
# left of a refused one, limits, and those who leave or never come to an end.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-client';

my $backend = backend();
my $nginx = nginx(<<EOF)->start;
    trove_secret $secret;
    client_body_buffer_size 1k;
    client_body_timeout 1s;
    lingering_timeout 2s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location / {
            trove_verify on;
            client_max_body_size 1m;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /unbuffered {
            trove_verify on;
            proxy_request_buffering off;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /patient {
            trove_verify on;
            client_body_timeout 60s;
            client_max_body_size 1m;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /huge {
            trove_verify on;
            client_max_body_size 32m;
            proxy_pass http://127.0.0.1:%%PORT_0%%/sink;
        }

        location = /sink {
            client_max_body_size 0;
            return 204;
        }

        location = /status {
            stub_status;
        }
    }
EOF

my $port = $nginx->port;
my $body = event();
my $n = 0;


sub signed {
    my ($uri, $body, %opt) = @_;

    return event_request($uri, $body, secret => $secret, %opt);
}


sub unsigned {
    my ($uri, $body, %opt) = @_;

    return event_request($uri, $body, %opt);
}


sub verdict_is {
    my ($response, $verdict, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($response && $response->status . ' ' . $response->body,
        qq(400 {"error":"$verdict"}), $name);
}


sub head_of { return $_[0] =~ s/(\x0d\x0a\x0d\x0a).*/$1/sr }


# the connection is there for the next, whatever was refused before

my %refused = (
    missing => unsigned('/', $body),
    malformed => unsigned('/', $body,
        headers => [ 'X-Trove-Signature' => 't=1' ]),
    stale => signed('/', $body, t => time() - 1000),
    mismatch => signed('/', $body, t => time()) =~ s/v1=.{8}/v1=00000000/r,
    bad_json => signed('/', 'x'),
    bad_event => signed('/', '{}'),
);

for my $verdict (sort keys %refused) {

    for my $chunked (0, 1) {
        my $refused = $refused{$verdict};

        if ($chunked) {
            $refused =~ s/Content-Length: \d+/Transfer-Encoding: chunked/;
            $refused =~ s/(\x0d\x0a\x0d\x0a)(.*)/
                sprintf "%s%x\x0d\x0a%s\x0d\x0a0$1", $1, length $2, $2/se;
        }

        my $name = $verdict . ($chunked ? ', chunked' : '');
        my $conn = conn($port);

        $backend->forget;
        $conn->send($refused);
        verdict_is($conn->response, $verdict, $name);

        $conn->send(signed('/', $body));
        is($conn->response->status, 200, "$name: the next one passes");

        # and all in one segment

        $conn->send(signed('/', $body) . $refused . signed('/', $body));
        is($conn->response->status, 200, "$name: before it");
        verdict_is($conn->response, $verdict, "$name, pipelined");
        is($conn->response->status, 200, "$name: behind it");
        is($backend->count, 3, "$name: none but those");

        $conn->close;
    }
}


# what the header says is answered before there is a body, and the body of it
# is thrown away

for my $verdict (qw/ missing malformed stale /) {
    my $large = $refused{$verdict}
        =~ s/Content-Length: \d+/Content-Length: 300000/r;
    my $conn = conn($port);

    $conn->send(head_of($large));
    verdict_is($conn->response, $verdict, "$verdict: told without the body");

    $conn->send('x' x 300_000, signed('/', $body));
    is($conn->response->status, 200, "$verdict: it is skipped");
    $conn->close;

    $conn = conn($port);
    $conn->send(head_of($large));
    verdict_is($conn->response, $verdict, "$verdict: told again");
    $conn->close;
}


# 100 Continue is for those only whose header is right

for my $verdict (sort keys %refused) {
    my $request = $refused{$verdict}
        =~ s/(\x0d\x0a\x0d\x0a)/\x0d\x0aExpect: 100-continue$1/r;
    my ($head, $rest) = $request =~ /^(.*?\x0d\x0a\x0d\x0a)(.*)/s;
    my $conn = conn($port);

    $conn->send($head);

    if ($verdict =~ /mismatch|bad/) {
        is($conn->response->status, 100, "$verdict: continue");
        $conn->send($rest);
    }

    verdict_is($conn->response, $verdict,
        "$verdict: with Expect: 100-continue");
    is($conn->{in}, '', "$verdict: and nothing else");
    $conn->close;
}

for my $uri (qw{ / /unbuffered }) {
    my $request = signed($uri, $body)
        =~ s/(\x0d\x0a\x0d\x0a)/\x0d\x0aExpect: 100-continue$1/r;
    my ($head, $rest) = $request =~ /^(.*?\x0d\x0a\x0d\x0a)(.*)/s;
    my $conn = conn($port);

    $conn->send($head);
    is($conn->response->status, 100, "$uri: continue");
    $conn->send($rest);
    is($conn->response->status, 200, "$uri: passes");
    is($backend->header($backend->last, 'Expect'), undef,
        "$uri: Expect is done with");
    $conn->close;
}


# larger than the limit: by the announced length, and by what comes

my $large = event('file.written', data => { pad => 'x' x 20_000_000 });

for my $case ([ signed => signed('/', $large) ],
    [ unsigned => unsigned('/', $large) ],
    [ 'signed, chunked' => signed('/', $large, chunked => 65536) ])
{
    my ($name, $request) = @$case;

    $backend->forget;

    is(http($port, $request)->status, 413, "20 MB, $name: too large");
    is($backend->count, 0, "20 MB, $name: goes no further");
}

verdict_is(http($port, unsigned('/', $large, chunked => 65536)), 'missing',
    '20 MB, unsigned, chunked: refused by the header');

is(http($port, signed('/huge', $large))->status, 204, '20 MB pass');
is(http($port, signed('/huge', $large, chunked => 1_000_000))->status, 204,
    '20 MB pass, chunked');

substr $large, 15_000_000, 1, 'y';
my $signature = sign($secret, $large);
substr $large, 15_000_000, 1, 'z';
verdict_is(http($port, unsigned('/huge', $large,
    headers => [ 'X-Trove-Signature' => $signature ])), 'mismatch',
    '20 MB but for one byte');


# a size that lies

my $chunked = head_of(signed('/', $body)
    =~ s/Content-Length: \d+/Transfer-Encoding: chunked/r);
my $size = sprintf '%x', length $body;
my $more = sprintf '%x', length($body) + 1;
my $less = sprintf '%x', length($body) - 1;

for my $case (
    [ 'less than there is', "$less\x0d\x0a$body\x0d\x0a0\x0d\x0a\x0d\x0a" ],
    [ 'no number', "xyz\x0d\x0a$body\x0d\x0a0\x0d\x0a\x0d\x0a" ],
    [ 'negative', "-$size\x0d\x0a$body\x0d\x0a0\x0d\x0a\x0d\x0a" ],
    [ 'too many digits', "fffffffffffffffff\x0d\x0a$body" ],
    [ 'overflowing', "ffffffffffffffff\x0d\x0a$body" ],
    [ 'in the second', "$size\x0d\x0a$body\x0d\x0a-1\x0d\x0a\x0d\x0a" ],
    [ 'above the limit', "7fffffffffffff\x0d\x0a$body", 413 ])
{
    my ($name, $rest, $status) = @$case;

    $status //= 400;
    $backend->forget;

    my $conn = conn($port);
    $conn->send($chunked . $rest);

    my $response = $conn->response;
    is($response && $response->status, $status, "a chunk size $name: $status");
    unlike($response->body, qr/"error"/, "a chunk size $name: by NGINX");
    ok($conn->wait_closed, "a chunk size $name: and closed");
    $conn->close;

    $conn = conn($port);
    $conn->send($chunked =~ s{^POST / }{POST /patient }r);
    $conn->wait_read;
    $conn->send($rest);
    $response = $conn->response;
    is($response && $response->status, $status,
        "a chunk size $name, later: $status");
    $conn->close;

    is($backend->count, 0, "a chunk size $name: goes no further");
}

# more than there is: the end of the chunks is in it, and the rest never comes

for my $rest ("$more\x0d\x0a$body\x0d\x0a0\x0d\x0a\x0d\x0a",
    "$more\x0d\x0a$body",
    "$size\x0d\x0a$body", "$size\x0d\x0a$body\x0d\x0a0\x0d\x0a")
{
    my $conn = conn($port);

    $conn->send($chunked . $rest);
    $conn->half_close;
    my $response = $conn->response;
    isnt($response ? $response->status : 0, 200, 'chunks without an end');
    ok($conn->wait_closed, 'closed');
    $conn->close;
}

my $extended = "$size;a=b;c=\"d\"\x0d\x0a$body\x0d\x0a0\x0d\x0aX: y"
    . "\x0d\x0a\x0d\x0a";

is(http($port, $chunked . $extended)->status, 200,
    'an extension and a trailer are no lie');

is(http($port, signed('/', $body, chunked => 50,
    headers => [ 'Content-Length' => length $body ]))->status, 400,
    'two lengths');


# those who leave in the middle, by FIN and by RST

$backend->forget;
$nginx->mark;

for my $uri (qw{ / /unbuffered }) {

    for my $request (signed($uri, $body), signed($uri, $body, chunked => 40),
        signed($uri, $body . ' ' x 5000))
    {
        for my $length (length head_of($request), length($request) - 40,
            length($request) - 1)
        {
            for my $how (qw/ close reset half_close /) {
                my $conn = conn($port);

                $conn->send(substr $request, 0, $length);
                $conn->wait_read;
                $conn->$how;
                $conn->wait_closed if $how eq 'half_close';
                $conn->close;
                $n++;
            }
        }
    }
}

ok(wait_until { stub_status($port)->{active} == 1 },
    "nothing is left of $n who left");
is($backend->count + $backend->aborted, 0, 'none of them went further');
is($nginx->log_lines(qr/trove:/), 0, 'nor was any of them judged');


# slow ones: a byte at a time passes, an end that never comes does not

$backend->forget;

my $conn = conn($port);
my $request = signed('/patient', $body);
$conn->send(head_of($request));

for my $byte (split //, substr $request, length head_of($request)) {
    $conn->send($byte);
    $conn->wait_read;
}

is($conn->response->status, 200, 'a byte at a time');
$conn->close;

my @slow = map { conn($port) } 1 .. 3;
my @requests = (signed('/', $body), signed('/unbuffered', $body),
    signed('/', $body, chunked => 50));

$slow[$_]->send(substr $requests[$_], 0, length($requests[$_]) - 3)
    for 0 .. 2;

for my $conn (@slow) {
    is($conn->response, undef, 'waited for in vain: no answer');
    ok($conn->wait_closed, 'and closed');
    $conn->close;
}

is($backend->count, 1, 'none of these went further');
is(() = $nginx->access_log =~ /" 408 0 /g, 3, 'the access log has 408 of each');

ok(wait_until { stub_status($port)->{active} == 1 }, 'nothing is left of them');


# a worker that is to go waits for the rest of a body, and verifies it

$conn = conn($port);
$request = signed('/patient', $body);
$conn->send(substr $request, 0, length($request) - 10);
$conn->wait_read;
ok($nginx->reload, 'reloaded in the middle of a body');
$conn->send(substr $request, length($request) - 10);
is($conn->response->status, 200, 'it passes');
$conn->close;
ok($nginx->wait_old, 'and the old worker is gone');

done_testing();
