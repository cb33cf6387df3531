#!/usr/bin/perl

# What the log says of a body whose signature does not match: what was seen, by
# which secrets it was tried, and which of the usual mistakes would explain it.

use lib 't/lib';
use Trove;

my $long = 'l' x 100;

my $backend = backend();
my $nginx = nginx(<<'EOF', env => { HINT_SECRET => 'trove-whsec-env' },
    client_body_buffer_size 1k;
    large_client_header_buffers 4 32k;

    map $arg_secret $variable {
        volatile;
        quoted  '"trove-whsec-quoted"';
        single  "'trove-whsec-quoted'";
        blanks  "  trove-whsec-blanks\t\n";
        bare    secret-of-a-map;
        quote   '"';
        default "";
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location / {
            trove_verify on;
            trove_secret trove-whsec-first;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /bare {
            trove_verify on;
            trove_secret no-prefix;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /variables {
            trove_verify on;
            trove_secret $variable;
            trove_secret trove-whsec-first;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /many {
            trove_verify on;
            trove_secret file:%%TESTDIR%%/two;
            trove_secret env:HINT_SECRET;
            trove_secret trove-whsec-literal;
            trove_secret $variable;
            trove_secret trove-whsec-other;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /long {
            trove_verify on;
            trove_secret file:%%TESTDIR%%/%%LONG%%a;
            trove_secret file:%%TESTDIR%%/%%LONG%%b;
            trove_secret file:%%TESTDIR%%/%%LONG%%c;
            trove_secret file:%%TESTDIR%%/%%LONG%%d;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /log {
            trove_verify log;
            trove_secret trove-whsec-first;
            proxy_set_header X-Verdict $trove_verify;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_1%% http2;
        ignore_invalid_headers off;

        location / {
            trove_verify on;
            trove_secret trove-whsec-first;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF
    vars => { LONG => $long },
    files => {
        two => "trove-whsec-one\n# a comment\ntrove-whsec-two\n",
        map { ("$long$_" => "trove-whsec-$_\n") } 'a' .. 'd',
    })->start;

my $body = event();


# what is said of a request that is refused

sub said {
    my ($request, $verdict) = @_;

    $verdict //= 'mismatch';
    $nginx->mark;
    $backend->forget;

    my $response = http($nginx->port, $request);

    is($response->status . ' ' . $response->body,
        qq(400 {"error":"$verdict"}), "$verdict, whatever else is known");
    is($backend->count, 0, 'goes no further');

    my @lines = $nginx->log_lines(qr/trove: event refused, $verdict: /);

    is(@lines, 1, 'one line is logged');

    my ($text) = $lines[0] =~ /refused, $verdict: (.*), client: 127\.0\.0\.1/;

    return $text;
}


sub seen {
    my ($uri, $body, %opt) = @_;

    my $text = said(event_request($uri, $body, secret => 'wrong', %opt));

    my ($seen) = $text =~ /^the\ signature\ does\ not\ match\ the\ body\ with
        \ any\ "trove_secret";\ received\ (.*)$/x;

    return $seen;
}


# what was seen, and what it was tried with

my $length = length $body;
my $json = qq($length bytes with Content-Type "application/json");
my $dir = $nginx->dir;

is(seen('/', $body), "$json, secrets tried: 1 in the configuration", 'one secret');
is(seen('/many', $body), qq($json, secrets tried: 2 from "file:$dir/two", )
    . '1 from "env:HINT_SECRET", 2 in the configuration', 'where they are from');
is(seen('/many?secret=bare', $body), qq($json, secrets tried: 2 from "file:$dir/two", )
    . '1 from "env:HINT_SECRET", 2 in the configuration, 1 from variables',
    'of variables, too');

my $text = seen('/long', $body);
like($text, qr/^\Q$json\E, secrets tried: 1 from "file:/, 'long names');
cmp_ok(length $text, '<', 700, 'are not all of the line');

is(said(request_without_type($body)), 'the signature does not match the body '
    . qq(with any "trove_secret"; received $length bytes with no Content-Type, secrets )
    . 'tried: 1 in the configuration', 'no Content-Type');

sub request_without_type {
    return event_request('/', $_[0], secret => 'wrong')
        =~ s/^Content-Type:.*?\x0d\x0a//mr;
}


# what would match; it is refused all the same

my $first = 'trove-whsec-first';
my $would = 'it would match';
my $one = 'secrets tried: 1 in the configuration';

for my $case (
    [ '/', 'first', 'without "trove-whsec-" before the secret' ],
    [ '/bare', 'trove-whsec-no-prefix',
        'with "trove-whsec-" before the secret' ],
    [ '/variables?secret=quoted', 'trove-whsec-quoted',
        'without the quotes around the secret' ],
    [ '/variables?secret=single', 'trove-whsec-quoted',
        'without the quotes around the secret' ],
    [ '/variables?secret=blanks', 'trove-whsec-blanks',
        'without the blanks around the secret' ],
    [ '/variables?secret=bare', 'trove-whsec-secret-of-a-map',
        'with "trove-whsec-" before the secret' ],
    [ '/variables?secret=bare', 'first',
        'without "trove-whsec-" before the secret' ],
    [ '/variables?secret=quote', 'other' ],
    [ '/many?secret=none', 'two',
        'without "trove-whsec-" before the secret' ],
    [ '/many?secret=none', 'env',
        'without "trove-whsec-" before the secret' ])
{
    my ($uri, $secret, $how) = @$case;

    my ($got) = seen($uri, $body, secret => $secret) =~ /; $would (.*)$/;
    is($got, $how, $how // 'nothing would match');
}


# something on the way has added a line end

for my $end ("\n", "\x0d\x0a") {
    my %opt = (headers => [ 'X-Trove-Signature' => sign($first, $body) ]);

    for my $chunked (0, 50) {
        like(seen('/', $body . $end, %opt, secret => undef,
            chunked => $chunked), qr/; $would without the trailing line break of the body$/,
            'a line end was added');
    }

    unlike(seen('/', $body . $end . $end, %opt, secret => undef), qr/$would/,
        'not two of them');
    unlike(seen('/', $end, %opt, secret => undef), qr/$would/,
        'nothing but a line end');
}

is(http($nginx->port, event_request('/', "$body\n", secret => $first))->status,
    200, 'a line end that is signed is no fault');


# up to 16 KB, from a file as well; what is larger is not hashed again

for my $size (900, 5000, 16384) {
    like(seen('/', sized_event($size), secret => 'first'), qr/; $would without "trove/,
        "$size bytes");
}

unlike(seen('/', sized_event(16385), secret => 'first'), qr/$would/, '16385 bytes');
unlike(seen('/', sized_event(16384) . "\n", secret => undef, headers => [
    'X-Trove-Signature' => sign($first, sized_event(16384)) ]), qr/$would/,
    'and a line end');
unlike(seen('/', '', secret => 'first'), qr/$would/, 'nothing');


# of a refused body: how it is encoded

my @gzip = (headers => [ 'Content-Encoding' => 'gzip' ]);

is(seen('/', $body, @gzip), qq($json and Content-Encoding "gzip", $one),
    'mismatch: the encoding is named');

for my $case ([ 'bad_json', "\x1f\x8b\x08" ], [ 'bad_event', '[]' ]) {
    my ($verdict, $refused) = @$case;
    my $request = event_request('/', $refused, secret => $first);

    unlike(said($request, $verdict), qr/ncod/, "$verdict: no encoding");

    $request = event_request('/', $refused, secret => $first, @gzip);
    like(said($request, $verdict), qr/^the\ signature\ is\ valid,\ but\ the\ event\ is\ not:\ [\w\ -]+;
        \ the\ body\ has\ the\ Content-Encoding\ "gzip"$/x,
        "$verdict: the encoding is named");
}


# a stranger's fields are data

my @hostile = (
    [ 'x' x 20_000, 'x' x 64 . '...' ],
    [ "\xff" x 65, '\xFF' x 64 . '...' ],
    [ 'x' x 64, 'x' x 64 ],
    [ "a\"\\b\x01\x1b[31m\xc2\x9b", 'a\x22\x5Cb\x01\x1B[31m\xC2\x9B' ],
    [ '", client: 10.0.0.1, %s%n', '\x22, client: 10.0.0.1, %s%n' ],
);

for my $case (@hostile) {
    my ($value, $logged) = @$case;
    my $request = request_without_type($body);

    $request =~ s/(\x0d\x0a\x0d\x0a)/\x0d\x0aContent-Type: $value\x0d
Content-Encoding: $value$1/;

    like(said($request), qr/\Qreceived $length bytes with Content-Type "$logged" \E
        \Qand Content-Encoding "$logged", $one\E$/x, 'a field is escaped');
}


# what is only logged; HTTP/2

$nginx->mark;
is(http($nginx->port, event_request('/log', $body, secret => 'first'))->status,
    200, 'log: passes');
is($backend->header($backend->last, 'X-Verdict'), 'mismatch',
    'log: with its verdict');
is($nginx->log_lines(qr/mismatch: .*; $would without "trove-whsec-"/), 1,
    'log: the log says the same');

my $h2 = h2($nginx->port(1));
$nginx->mark;
is($h2->post('/', "$body\n", 'x-trove-signature' => sign($first, $body))
    ->status, 400, 'HTTP/2');
is($nginx->log_lines(qr/mismatch: .*; $would without the trailing line break/), 1,
    'HTTP/2: the log says the same');
$h2->close;


# nothing of a secret, nor a MAC, is in the log

my $log = $nginx->read_log('logs/error.log');
unlike($log, qr/whsec-\w|secret-of-a-map|no-prefix/, 'no secret is in the log');
unlike($log, qr/\b[0-9a-f]{64}\b/i, 'and no MAC');

done_testing();
