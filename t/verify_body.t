#!/usr/bin/perl

# The body in every way it can come: its MAC is right, and what the application
# gets is the body, byte for byte.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-body';
my $buffer = 1024;

my $backend = backend();
my $nginx = nginx(<<EOF)->start;
    client_max_body_size 4m;
    client_body_buffer_size $buffer;
    trove_secret $secret;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location / {
            trove_verify on;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /unbuffered {
            trove_verify on;
            proxy_request_buffering off;
            proxy_http_version 1.1;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /single {
            trove_verify on;
            client_body_in_single_buffer on;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /file {
            trove_verify on;
            client_body_in_file_only clean;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /large {
            trove_verify on;
            client_body_buffer_size 256k;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /large_file {
            trove_verify on;
            client_body_buffer_size 256k;
            client_body_in_file_only clean;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF

my $port = $nginx->port;


sub passes {
    my ($name, $body, $send) = @_;

    $backend->forget;

    my $response = $send->($body, sign($secret, $body));
    my @got = $backend->requests;

    is($response && $response->status, 200, "$name: passes");
    ok(@got == 1 && $got[0]{body} eq $body, "$name: once, byte for byte")
        or diag(map { substr $_->{body}, 0, 200 } @got);
    is($backend->header($got[0] || {}, 'X-Trove-Event'), 'file.written',
        "$name: the event is known");

    # the last byte is another one

    my $tampered = $body;
    substr $tampered, -1, 1, ' ';

    $response = $send->($tampered, sign($secret, $body));

    is($response && $response->status, 400, "$name: tampered, refused");
    is($response && $response->body, '{"error":"mismatch"}', "$name: why");
    is($backend->count, 1, "$name: goes no further");
}


# all at once, and in pieces, each of which has been read before the next comes

sub whole {
    my ($uri, $chunked) = @_;

    return sub {
        my ($body, $signature) = @_;

        return request($port, 'POST', $uri, body => $body, chunked => $chunked,
            headers => [ 'X-Trove-Signature' => $signature ]);
    };
}


sub pieces {
    my ($uri, $chunked, $n, $preread) = @_;

    return sub {
        my ($body, $signature) = @_;

        my $bytes = build('POST', $uri, body => $body, chunked => $chunked,
            headers => [ 'X-Trove-Signature' => $signature ]);
        my ($head, $rest) = $bytes =~ /^(.*?\x0d\x0a\x0d\x0a)(.*)$/s;

        $head .= substr $rest, 0, $preread, '' if $preread;

        my $size = int(length($rest) / $n) + 1;
        my @pieces = ($head, $rest =~ /.{1,$size}/gs);
        my $conn = conn($port);

        for my $i (0 .. $#pieces) {
            $conn->send($pieces[$i]);
            $conn->wait_read if $i < $#pieces;
        }

        my $response = $conn->response;
        $conn->close;

        return $response;
    };
}


for my $size (200, $buffer - 1, $buffer, $buffer + 1,
    $buffer + $buffer / 4, $buffer + $buffer / 4 + 1, 2 * $buffer, 20_000)
{
    my $body = sized_event($size);

    is(length $body, $size, "an event of $size bytes");

    passes("$size bytes", $body, whole('/'));
    passes("$size bytes, chunked", $body, whole('/', $size));
    passes("$size bytes, small chunks", $body, whole('/', 100));
    passes("$size bytes, in pieces", $body, pieces('/', 0, 4));
    passes("$size bytes, partly preread", $body, pieces('/', 0, 3, 50));
    passes("$size bytes, chunked, in pieces", $body, pieces('/', 333, 5));
    passes("$size bytes, chunked, partly preread", $body,
        pieces('/', 64, 3, 50));
}

for my $uri (qw{ /unbuffered /single /file /large }) {

    for my $size (200, $buffer, $buffer + 1, 5000) {
        my $body = sized_event($size);

        passes("$uri $size bytes", $body, whole($uri));
        passes("$uri $size bytes, chunked", $body, whole($uri, 700));
        passes("$uri $size bytes, in pieces", $body, pieces($uri, 0, 3));
    }
}


# a part comes with the header, whose buffer has no room for the rest

for my $uri (qw{ /large /large_file }) {

    for my $preread (1, 50, 500) {
        passes("$uri, $preread preread", sized_event(5000),
            pieces($uri, 0, 3, $preread));
        passes("$uri, $preread preread, chunked", sized_event(5000),
            pieces($uri, 700, 3, $preread));
    }
}

# and the next request follows at once

for my $size (300, 600, 2000, 70_000) {
    my @bodies = map { sized_event($size + $_) } 0 .. 3;

    $backend->forget;

    my $conn = conn($port);
    my @status;

    $conn->send(join '', map {
        build('POST', '/large', body => $_,
            headers => [ 'X-Trove-Signature' => sign($secret, $_) ])
    } @bodies);

    push @status, eval { $conn->response->status } for @bodies;
    $conn->close;

    is("@status", '200 200 200 200', "4 requests of $size bytes in one go");
    is_deeply([ map { $_->{body} } $backend->requests ], \@bodies,
        'byte for byte');
}

# the client goes away in the middle

{
    my $body = sized_event(5000);
    my $conn = conn($port);

    $conn->send(substr build('POST', '/large', body => $body,
        headers => [ 'X-Trove-Signature' => sign($secret, $body) ]), 0, -100);
    $conn->wait_read;
    $conn->close;

    passes('after one that went away', sized_event(5000), whole('/large'));
}


# where it went is what these are about

$nginx->mark;
passes('in memory', sized_event(60_000), whole('/large'));
passes('in memory, chunked', sized_event(60_000), whole('/large', 5000));

# up to 64 KB in several buffers are joined for the parser

for my $size (65_535 .. 65_537, 200_000) {
    passes("$size bytes in memory, partly preread", sized_event($size),
        pieces('/large', 0, 4, 500));
    passes("$size bytes in memory, chunked", sized_event($size),
        whole('/large', 5000));
}

passes('in memory, as large as the buffer', sized_event($buffer), whole('/'));
is($nginx->log_lines(qr/buffered to a temporary file/), 0,
    'nothing is spilled that has room');

# NGINX gives a known length a quarter more room

passes('spilled', sized_event(2 * $buffer), pieces('/', 0, 2));
passes('spilled, chunked', sized_event($buffer + 1), pieces('/', $buffer + 1, 2));
is($nginx->log_lines(qr/buffered to a temporary file/), 4,
    'what has none is spilled');

is(scalar(() = glob $nginx->dir . '/temp/client_body/*'), 0,
    'no temporary file is left');


# every byte that a body can have, and megabytes of them

my $any = event('file.written', data => { pad => 'PAD' });
my $high = join '', map { chr } 0x80 .. 0x7ff, 0x4e00 .. 0x4fff, 0x1f600;
utf8::encode($high);
$any =~ s/PAD/$high/;

passes('not only ASCII', $any, whole('/'));
passes('not only ASCII, chunked', $any, whole('/', 7));

passes('3 MB', sized_event(3_000_000), whole('/'));
passes('3 MB, chunked', sized_event(3_000_000), whole('/', 65536));


# what is no event, but well signed

for my $case (
    [ '0 bytes', '', 'bad_json' ], [ '1 byte', 'x', 'bad_json' ],
    [ 'one digit', '1', 'bad_event' ], [ 'an object', '{}', 'bad_event' ],
    [ 'half of one', '{"id":"evt-1"', 'bad_json' ],
    [ 'two of them', event() . event(), 'bad_json' ],
    [ 'not UTF-8', "{\"id\":\"\xff\"}", 'bad_json' ],
    [ 'without an id', event('a', remove => ['id']), 'bad_event' ],
    [ 'a namespace of 1', event('a', namespace => 1), 'bad_event' ],
    [ 'too deep', '[' x 5000 . ']' x 5000, 'bad_json' ],
    [ 'half of a large one', substr(sized_event(9000), 0, 8000), 'bad_json' ])
{
    my ($name, $body, $verdict) = @$case;

    $backend->forget;
    $nginx->mark;

    for my $chunked (0, 3000) {
        my $response = whole('/', $chunked)->($body, sign($secret, $body));

        is($response->status, 400, "$name: refused");
        is($response->body, qq({"error":"$verdict"}), "$name: why");
    }

    is($backend->count, 0, "$name: goes no further");
    is($nginx->log_lines(
        qr/\[error\].*event refused, $verdict: the signature is valid, but /), 2,
        "$name: the reason is logged");
}

# the signature of nothing is one, too: neither Content-Length nor body

for my $case ([ '' => 'bad_json' ], [ '{}' => 'mismatch' ]) {
    my ($signed, $verdict) = @$case;
    my $response = request($port, 'POST', '/',
        headers => [ 'X-Trove-Signature' => sign($secret, $signed) ]);

    is($response->status, 400, "no body, $verdict: refused");
    is($response->body, qq({"error":"$verdict"}), "no body, $verdict: why");
}

done_testing();
