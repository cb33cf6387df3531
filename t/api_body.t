#!/usr/bin/perl

# Bodies of calls of the API: by HTTP/2, by clients that are too slow or leave,
# and where NGINX has no limit of its own.

use lib 't/lib';
use Trove;
use Trove::Subscription;

use JSON::PP ();

my $mirror = backend();
my $nginx = nginx(subscription_conf(
    http => <<'EOC',
    server {
        listen 127.0.0.1:%%PORT_97%% http2;
        client_max_body_size 0;
        http2_body_preread_size 0;
        location /trove/ { trove_api a-token-of-some-length; }
    }

    server {
        listen 127.0.0.1:%%PORT_98%%;
        client_max_body_size 0;
        client_body_timeout 500ms;
        lingering_timeout 200ms;
        location /a/base/path { trove_api a-token-of-some-length; }
    }

    server {
        listen 127.0.0.1:%%PORT_96%%;
        client_max_body_size 0;
        client_body_buffer_size 1k;
        mirror /mirror;
        location /trove/ { trove_api a-token-of-some-length; }
        location = /mirror {
            internal;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOC
))->start;

my @auth = (Authorization => 'Bearer a-token-of-some-length');

sub body {
    my ($size, %over) = @_;

    my $body = JSON::PP->new->utf8->encode({ url => 'http://127.0.0.1/x',
        events => ['*'], namespace => undef, description => undef, %over });

    return $body . ' ' x ($size - length $body);
}

sub created {
    my ($workspace) = @_;

    return scalar @{ hooks_call($nginx, GET => "$workspace/webhooks")
        ->json->{webhooks} };
}


# HTTP/2

my $h2 = h2($nginx->port(97));
my $n = 0;

for my $size (200, 16_384, 65_536) {
    for my $length (0, 1) {
        my $body = body($size);
        my $stream = $h2->headers('POST', '/trove/v1/workspaces/ws-2/webhooks',
            headers => [ @auth[0, 1],
                $length ? ('content-length' => $size) : () ]);

        $h2->data($stream, substr($body, 0, 100));
        $h2->data($stream, substr($body, 100), end => 1);

        my $r = $h2->response($stream);
        is($r->status, 201, "HTTP/2: $size bytes, length: $length")
            or diag($r->body);
        is(created('ws-2'), ++$n, 'one was created');
    }
}

for my $length (0, 1) {
    my $stream = $h2->headers('POST', '/trove/v1/workspaces/ws-2/webhooks',
        headers => [ @auth[0, 1],
            $length ? ('content-length' => 300_000) : () ]);

    $h2->data($stream, body(300_000), end => 1);

    is($h2->response($stream)->status, 413, "HTTP/2: too large, $length");
}

my $stream = $h2->headers('POST', '/trove/v1/workspaces/ws-2/webhooks',
    headers => [ @auth[0, 1] ], end => 1);
is($h2->response($stream)->status, 400, 'HTTP/2: no body');

$stream = $h2->headers('POST', '/trove/v1/workspaces/ws-2/webhooks',
    headers => [ @auth[0, 1] ]);
$h2->data($stream, substr body(200), 0, 100);
$h2->send_rst($stream);

$stream = $h2->headers('GET', '/trove/v1/me', headers => [ @auth[0, 1] ],
    end => 1);
is($h2->response($stream)->status, 200, 'HTTP/2: the connection goes on');
is(created('ws-2'), $n, 'a half is nothing');


# no limit of NGINX

sub head {
    my (@headers) = @_;

    my $head = "POST /a/base/path/v1/workspaces/ws-1/webhooks HTTP/1.1\r\n"
        . "Host: localhost\r\n$auth[0]: $auth[1]\r\n";

    while (my ($name, $value) = splice @headers, 0, 2) {
        $head .= "$name: $value\r\n";
    }

    return "$head\r\n";
}

my $conn = conn($nginx->port(98));
$conn->send(head('Content-Length' => 10_000_000));
is($conn->response->status, 413, '10 MB: at once');

$conn = conn($nginx->port(98));
$conn->send(head('Content-Length' => 10_000_000, Expect => '100-continue'));
is($conn->response->status, 413, '10 MB: before it is sent');

$conn = conn($nginx->port(98));
$conn->send(head('Transfer-Encoding' => 'chunked'),
    "10000\r\n" . ' ' x 65536 . "\r\n", "10000\r\n" . ' ' x 65536);
is($conn->response->status, 413, 'endless chunks: at the limit');
$conn->close;

$conn = conn($nginx->port(98));
$conn->send(head('Transfer-Encoding' => 'chunked'), "zz\r\n");
is($conn->response->status, 400, 'no chunks');

$conn = conn($nginx->port(98));
$conn->send(head('Content-Length' => 200, Expect => '100-continue'));
is($conn->response->status, 100, 'a body that is asked for');
$conn->send(body(200));
is($conn->response->status, 201, 'is taken');

is(request($nginx->port(98), POST => '/a/base/path/v1/workspaces/ws-1/webhooks',
    headers => [ Authorization => 'Bearer wrong-token-of-some-length' ],
    body => body(10_000))->status, 401, 'none is read without a token');


# a body that mirror has read before, to a file

my $copies = 0;

for my $size (200, 1_025, 60_000, 65_536) {
    my $body = body($size);

    is(request($nginx->port(96), POST => '/trove/v1/workspaces/ws-3/webhooks',
        headers => \@auth, body => $body)->status, 201, "mirror: $size bytes");

    ok($mirror->wait_count(++$copies), 'it is copied');
    is($mirror->last->{body}, $body, 'as a whole');
}

is(request($nginx->port(96), POST => '/trove/v1/workspaces/ws-3/webhooks',
    headers => \@auth, body => body(65_537))->status, 413,
    'mirror: too large');


# slow clients

my $slow = conn($nginx->port(98));
$slow->send(head('Content-Length' => 200), substr body(200), 0, 100);
ok($slow->wait_closed, 'a client that stops is closed');

my @gone = map { conn($nginx->port(98)) } 1 .. 50;
$_->send(head('Content-Length' => 200), substr body(200), 0, 100) for @gone;
$_->reset for @gone;

is(created('ws-1'), 1, 'one was created in all');

done_testing;
