#!/usr/bin/perl

# HTTP/2: frames instead of chunks, streams instead of connections, and those
# who reset them.

use lib 't/lib';
use Trove;

my $secret = 'trove-whsec-http2';
my $buffer = 1024;

my $backend = backend();
my $pass = 'proxy_pass http://127.0.0.1:%%BACKEND%%;';
my $nginx = nginx(<<EOF)->start;
    client_body_buffer_size $buffer;
    client_max_body_size 200k;
    trove_secret $secret;

    server {
        listen 127.0.0.1:%%PORT_0%% http2;

        location / {
            trove_verify on;
            $pass
        }

        location = /unbuffered {
            trove_verify on;
            proxy_request_buffering off;
            $pass
        }

        location = /auth {
            trove_verify on;
            auth_request /auth_request;
            mirror /mirror;
            $pass
        }

        location = /auth_request {
            internal;
            return 204;
        }

        location = /mirror {
            internal;
            $pass
        }

        location = /timeout {
            trove_verify on;
            client_body_timeout 1s;
            $pass
        }

        location = /error {
            trove_verify on;
            error_page 413 /error_page;
            $pass
        }

        location = /error_page {
            trove_verify on;
            $pass
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%% http2;
        http2_body_preread_size 0;

        location / {
            trove_verify on;
            $pass
        }
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location = /status {
            stub_status;
        }
    }
EOF

my $port = $nginx->port;


# sends the body in so many frames, with its length or without

sub send_body {
    my ($h2, $uri, $body, $signature, %opt) = @_;

    my @headers = @{ $opt{headers} || [] };
    push @headers, 'x-trove-signature' => $signature if defined $signature;
    push @headers, 'content-length' => $opt{length} // length $body
        if $opt{length} // 1;

    my $stream = $h2->headers('POST', $uri, headers => \@headers);
    my $frames = $opt{frames} || 1;
    my $size = int(length($body) / $frames) + 1;

    for my $i (0 .. $frames - 1) {
        $h2->data($stream, substr($body, $i * $size, $size),
            end => $i == $frames - 1) or last;
        $h2->{conn}->wait_read if $opt{slow};
    }

    return $stream;
}


sub verdict_is {
    my ($response, $verdict, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($response->status . ' ' . $response->body,
        qq(400 {"error":"$verdict"}), $name);
}


# the body in every way, all on one connection

my $h2 = h2($port);

for my $uri (qw{ / /unbuffered /auth /no_preread }) {
    my $h2 = $uri eq '/no_preread' ? h2($nginx->port(2)) : $h2;

    for my $size (200, $buffer, $buffer + 1, 30_000, 150_000) {
        my $body = sized_event($size);
        my $tampered = $body =~ s/.$/ /r;

        for my $opt ([], [ length => 0 ], [ frames => 5 ],
            [ length => 0, frames => 7, slow => 1 ])
        {
            my $name = "$uri $size bytes @$opt";

            $backend->forget;

            my $stream = send_body($h2, $uri, $body, sign($secret, $body),
                @$opt);

            is($h2->response($stream)->status, 200, $name);

            my ($got) = $backend->by_id($uri);
            ok($got && $got->{body} eq $body, "$name: byte for byte");

            $stream = send_body($h2, $uri, $tampered, sign($secret, $body),
                @$opt);
            verdict_is($h2->response($stream), 'mismatch', "$name, tampered");
            is($backend->count($uri), 1, "$name: goes no further");
        }
    }

    $h2->close if $uri eq '/no_preread';
}


# what is refused by its header is refused at once, and the rest of it skipped

my $body = event('file.deleted', id => 'evt-http2');

for my $case ([ missing => undef ], [ malformed => 'x' ],
    [ stale => sign($secret, $body, time() - 1000) ])
{
    my ($verdict, $header) = @$case;
    my @headers = defined $header ? ('x-trove-signature' => $header) : ();

    for my $length ([], [ 'content-length' => 100_000 ]) {
        my $stream = $h2->headers('POST', '/',
            headers => [ @headers, @$length ]);

        verdict_is($h2->response($stream), $verdict, "$verdict: at once");
        $h2->data($stream, 'x' x 30_000, end => 1);
        is($h2->post('/', $body, 'x-trove-signature' => sign($secret, $body))
            ->status, 200, "$verdict: and another passes");
    }

    my $stream = $h2->headers('POST', '/', headers => \@headers, end => 1);
    verdict_is($h2->response($stream), $verdict, "$verdict: without a body");
}

my $stream = $h2->headers('POST', '/', end => 1,
    headers => [ 'x-trove-signature' => sign($secret, '') ]);
verdict_is($h2->response($stream), 'bad_json', 'no body, and signed so');

$stream = $h2->headers('POST', '/',
    headers => [ 'x-trove-signature' => sign($secret, '') ]);
$h2->data($stream, '', end => 1);
verdict_is($h2->response($stream), 'bad_json', 'an empty frame');

$stream = $h2->headers('POST', '/', headers => [
    ('x-trove-signature' => sign($secret, $body)) x 2 ], end => 1);
verdict_is($h2->response($stream), 'malformed', 'two signatures');

$stream = send_body($h2, '/', '{}', sign($secret, '{}'));
verdict_is($h2->response($stream), 'bad_event', 'no event');

$backend->forget;
$h2->post('/', $body, 'x-trove-signature' => sign($secret, $body),
    'x-trove-event' => 'forged', 'x-trove-event' => 'forged',
    'x-trove-event-id' => 'forged');
is($backend->header($backend->last, 'X-Trove-Event'), 'file.deleted',
    'a forged type');
is($backend->header($backend->last, 'X-Trove-Event-Id'), 'evt-http2',
    'a forged id');


# lengths: above the limit, and those that lie

my $large = sized_event(300_000);

$backend->forget;

for my $uri (qw{ / /error /unbuffered }) {
    $stream = $h2->headers('POST', $uri, headers => [
        'content-length' => 300_000,
        'x-trove-signature' => sign($secret, $large) ]);
    is($h2->response($stream)->status, 413, "$uri: too large, as announced");

    # older ones of NGINX reset the stream

    $stream = send_body($h2, $uri, $large, sign($secret, $large), length => 0);
    like($h2->response($stream)->status, qr/^(?:413|0)$/,
        "$uri: too large, as it comes");
}

for my $lie (-1, 1, 1000, -100) {
    my $length = length($body) + $lie;

    $stream = send_body($h2, '/', $body, sign($secret, $body),
        length => $length);
    like($h2->response($stream)->status, qr/^(?:400|0)$/,
        "a length that lies by $lie");
}

is($backend->count, 0, 'none of these goes further');
is($h2->post('/', $body, 'x-trove-signature' => sign($secret, $body))
    ->status, 200, 'and the connection is good for another');


# a length that never comes

$stream = $h2->headers('POST', '/timeout', headers => [
    'content-length' => 500,
    'x-trove-signature' => sign($secret, $body) ]);
$h2->data($stream, 'half');
my $response = $h2->response($stream);
is($response->status, 0, 'waited for in vain: no answer');
isnt($h2->rst($stream) // 'none', 'none', 'and reset');

$h2->close;


# many at once, of each kind

$h2 = h2($port);
$backend->forget;

my (@streams, %expected);

for my $i (1 .. 20) {

    for my $kind (qw/ ok mismatch missing reset /) {
        my $body = sized_event(2000);
        my @headers;

        push @headers, 'x-trove-signature' => sign(
            $kind eq 'mismatch' ? 'x' : $secret, $body) if $kind ne 'missing';

        my $stream = $h2->headers('POST', '/', headers => \@headers);
        push @streams, [ $kind, $stream, $body ];
    }
}

for my $part (0 .. 3) {

    for my $case (@streams) {
        my ($kind, $stream, $body) = @$case;

        if ($kind eq 'reset' && $part == 2) {
            $h2->send_rst($stream);

        } elsif ($kind ne 'reset' || $part < 2) {
            $h2->data($stream, substr($body, $part * 500, 500),
                end => $part == 3);
        }
    }
}

my %status = (ok => 200, mismatch => 400, missing => 400);

for my $case (@streams) {
    my ($kind, $stream) = @$case;

    next if $kind eq 'reset';

    is($h2->response($stream)->status, $status{$kind},
        "80 streams at once: $kind");
}

is($backend->count, 20, '80 streams at once: a quarter goes further');
$h2->close;


# those who leave: by a reset of the stream, of the connection, by FIN

$backend->forget;
$nginx->mark;

for my $uri (qw{ / /unbuffered /auth }) {

    for my $sent (0, 10, $buffer + 500, 1999) {

        for my $how (qw/ send_rst drop close /) {
            my $body = sized_event(2000);
            my $h2 = h2($port);
            my $stream = $h2->headers('POST', $uri, headers => [
                'x-trove-signature' => sign($secret, $body) ]);

            $h2->data($stream, substr $body, 0, $sent) if $sent;
            $h2->{conn}->wait_read;
            $how eq 'send_rst' ? $h2->send_rst($stream) : $h2->$how;
            $h2->{conn}->wait_read if $how eq 'send_rst';
            $h2->close;
        }
    }
}

my $status_port = $nginx->port(1);
ok(wait_until { stub_status($status_port)->{active} == 1 },
    'nothing is left of those');
is($backend->count, 0, 'none of them went further');
is($nginx->log_lines(qr/trove:/), 0, 'nor was any of them judged');


# and while the application has it

$backend->on('/', gate => 'slow');

for my $how (qw/ send_rst drop /) {
    my $n = $backend->count;
    my $h2 = h2($port);
    my $stream = send_body($h2, '/', $body, sign($secret, $body));

    ok($backend->wait_count($n + 1), 'it is there');
    $how eq 'send_rst' ? $h2->send_rst($stream) : $h2->drop;
    ok(wait_until { $backend->aborted > 0 }, "$how: the application is told");
    $h2->close;
    $backend->forget;
}

$backend->open_gate('slow');

# a worker that is to go

$backend->on('/');
$h2 = h2($port);
$stream = $h2->headers('POST', '/', headers => [
    'x-trove-signature' => sign($secret, $body) ]);
$h2->data($stream, substr $body, 0, 30);
$h2->{conn}->wait_read;
ok($nginx->reload, 'reloaded in the middle');
$h2->data($stream, substr($body, 30), end => 1);
is($h2->response($stream)->status, 200, 'it passes');
$h2->close;
ok($nginx->wait_old, 'and the old worker is gone');

ok(wait_until { stub_status($status_port)->{active} == 1 },
    'nothing is left at all');

done_testing();
