#!/usr/bin/perl

# "client_body_early_read" of NGINX 1.31.5: the body is read before there is a
# location, and so before the filter knows that a signature is to be checked.

use lib 't/lib';
use Trove;

Test::More::plan(skip_all => 'no client_body_early_read')
    if nginx_version() < 1031005;

my $secret = 'trove-whsec-early';
my $backend = backend();

my $nginx = nginx(<<'EOF')->start;
    client_body_buffer_size 1k;
    client_body_early_read 1;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location / {
            trove_verify on;
            trove_secret trove-whsec-early;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF

for my $size (0, 1000, 100_000) {
    my $body = event('file.written', data => { pad => 'x' x $size });

    for my $chunked (0, 999) {
        my @opt = (secret => $secret, chunked => $chunked);

        is(post_event($nginx->port, '/', $body, @opt)->status, 200,
            "$size bytes, chunks of $chunked");
        is($backend->last->{body}, $body, 'all of it arrives');
        is(post_event($nginx->port, '/', $body, @opt, secret => 'x')->status,
            400, 'and all of it is checked');
    }

    for my $parts (2, 7) {
        my $request = event_request('/', $body, secret => $secret);
        my $part = int(length($request) / $parts) + 1;
        my $conn = conn($nginx->port);

        $conn->send(unpack "(a$part)*", $request);
        is($conn->response->status, 200, "$size bytes in $parts parts");
        $conn->close;
    }
}

$nginx->no_errors(qr/event refused, mismatch/);

done_testing();
