#!/usr/bin/perl

# A body that comes slowly: whoever has captured a request sends the header in
# time, and the end of the body when the event is forgotten.  The age that
# counts is that at the end of the body.

use lib 't/lib';
use Trove;

use Trove::Util qw/ limit /;

my $secret = 'trove-whsec-slow';
my $tolerance = limit(3);
my $backend = backend();

my $nginx = nginx(<<'EOF', workers => 2, vars => { T => $tolerance })->start;
    trove_secret trove-whsec-slow;
    trove_tolerance %%T%%s;
    client_body_buffer_size 1k;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location / {
            trove_verify on;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /log {
            trove_verify log;
            proxy_set_header X-Verdict $trove_verify;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /long {
            trove_verify on;
            trove_tolerance 1h;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /then-short {
            trove_verify on;
            trove_tolerance 1h;
            proxy_intercept_errors on;
            error_page 500 = /fallback;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /read-elsewhere {
            trove_verify log;
            trove_tolerance 1s;
            proxy_intercept_errors on;
            error_page 500 = /fallback;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }

        location = /fallback {
            trove_verify on;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_1%% http2;

        location / {
            trove_verify on;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF

my $port = $nginx->port;
my $body = event();
my $large = event('file.written', data => { pad => 'x' x 5000 });

# signed ahead: a busy machine has the time to send the beginnings

my $t = time() + $tolerance - 1;
my @signed = (secret => $secret, t => $t);


sub fresh {
    return post_event($port, '/', event(), @signed)->status == 200;
}


# the beginning of a request, but for the last $rest bytes, which come later

my @cases;

sub slow {
    my ($name, $request, $rest, %opt) = @_;

    my ($head, $begun) = $request =~ /^(.*?\x0d\x0a\x0d\x0a)(.*)/s;
    my $later = substr $begun, length($begun) - $rest, $rest, '';
    my $conn = conn($port);

    # that 100 is answered shows that the header was found to be fresh

    $head =~ s/(\x0d\x0a\x0d\x0a)$/\x0d\x0aExpect: 100-continue$1/;
    $conn->send($head);
    is($conn->response->status, 100, "$name: the header is fresh");
    $conn->send(split //, $opt{trickle} // '');
    $conn->send($begun);

    push @cases, [ $name, $conn, $later, $opt{verdict} // 'stale' ];
}

sub chunked { return event_request($_[0], $_[1], @signed, chunked => $_[2]) }

slow('the last byte', event_request('/', $body, @signed), 1);
slow('all of it', event_request('/', $body, @signed), length $body);
slow('the last byte, in a file', event_request('/', $large, @signed), 1);
slow('the last chunk', chunked('/', $body, 10_000), 5);
slow('the end of the last chunk', chunked('/', $body, 50), 1);
slow('the last chunk, in a file', chunked('/', $large, 1000), 5);
slow('the size of the first chunk', chunked('/', $body, 10_000),
    length(chunked('/', $body, 10_000) =~ s/^.*?\x0d\x0a\x0d\x0a//sr),
    trickle => '0' x 10);
slow('the size of the last chunk',
    chunked('/', $body, 10_000) =~ s/0(?=\x0d\x0a\x0d\x0a$)/00000000/r, 8);
slow('a trailer',
    chunked('/', $body, 10_000) =~ s/\x0d\x0a$/X: y\x0d\x0a\x0d\x0a/r, 5);
slow('chunks without any content', chunked('/', '', 1), 5);
slow('with another secret',
    event_request('/', $body, secret => 'other', t => $t), 1,
    verdict => 'mismatch');

# HTTP/2: the last byte, and nothing but the end of the stream

my @streams;

for my $rest (1, 0) {
    my $h2 = h2($nginx->port(1));
    my $stream = $h2->headers('POST', '/', headers => [
        'x-trove-signature' => sign($secret, $body, $t) ]);

    $h2->data($stream, substr $body, 0, length($body) - $rest);
    push @streams, [ $h2, $stream, $rest ];
}

# those that pass: it is only logged, or the tolerance is longer; and one whose
# body is complete in time, and whose application fails when it is too old

my %passes;

for my $uri (qw{ /log /long /then-short }) {
    my $conn = $passes{$uri} = conn($port);
    my $id = new_id();

    $backend->on($uri, status => 500) if $uri eq '/then-short';
    $conn->send(substr event_request($uri, event('file.written', id => $id),
        @signed), 0, -1);
    $conn->wait_read;
}

my $elsewhere = conn($port);

$backend->on('/read-elsewhere', gate => 'elsewhere', status => 500);
$elsewhere->send(event_request('/read-elsewhere', $body, @signed));
$backend->wait_count(1, '/read-elsewhere');

ok(fresh(), 'still fresh');
ok(wait_until { !fresh() }, 'until it is too old');

$nginx->mark;
$backend->forget;

for my $case (@cases) {
    my ($name, $conn, $later, $verdict) = @$case;

    $conn->send($later);

    my $response = $conn->response;
    is($response && $response->status . ' ' . $response->body,
        qq(400 {"error":"$verdict"}), "$name: $verdict");
    $conn->close;
}

for my $case (@streams) {
    my ($h2, $stream, $rest) = @$case;

    $h2->data($stream, substr($body, length($body) - $rest), end => 1);

    my $response = $h2->response($stream);
    is($response->status . ' ' . $response->body, '400 {"error":"stale"}',
        "HTTP/2, $rest bytes");
    $h2->close;
}

is($backend->count, 0, 'none of them reaches the application');
is(scalar $nginx->log_lines(qr/\[error\].*refused,\ stale:\ signed\ \d+\ s
    \ before\ the\ body\ was\ complete,\ \d+\ s\ after\ the
    \ header;\ "trove_tolerance"\ is\ $tolerance\ s/x), @cases - 1 + @streams,
    'all that is said in the log');


# what passes

$nginx->mark;
$_->send('}') for values %passes;

is($passes{'/log'}->response->status, 200, 'log: passes');
$backend->wait_count(1, '/log');
is($backend->header(($backend->by_id('/log'))[0], 'X-Verdict'), 'stale',
    'log: and is known to be stale');
is($nginx->log_lines(qr/stale: signed \d+ s before the body/), 1,
    'log: and so it says in the log');

is($passes{'/long'}->response->status, 200, 'within a longer tolerance');

my $response = $passes{'/then-short'}->response;
is($response->status . ' ' . $response->body, '400 {"error":"stale"}',
    'a longer tolerance does not count where a redirect leads');
is($backend->count('/fallback'), 0, 'nobody there sees it');

$_->close for values %passes;


# whoever read the body: complete is complete

$backend->open_gate('elsewhere');
is($elsewhere->response->status, 200,
    'the application took its time, and not the body');
is($backend->count('/fallback'), 1, 'so the event passes after a redirect');
$elsewhere->close;


# slow is no fault in itself

my $request = event_request('/', $body, secret => $secret);
my $conn = conn($port);

$conn->send(split /(?<=,)/, $request);
is($conn->response->status, 200, 'slow, but fresh');
$conn->close;

done_testing();
