#!/usr/bin/perl

# A conditional request made 304 or 412 of our own 200: the sender was told that
# it had failed, the event was not remembered as completed, and all targets got
# it again.

use lib 't/lib';
use Trove;

my $backend = backend();

my $nginx = nginx(<<'EOF')->start;
    trove_dedup_zone zone=events:1m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location = /events {
            trove_dedup zone=events;
            trove_fanout /a;
        }

        location = /a {
            internal;
            proxy_pass http://127.0.0.1:%%BACKEND%%;
        }
    }
EOF

for ([ 'If-None-Match' => '*' ], [ 'If-Match' => '"x"' ],
    [ 'If-Modified-Since' => 'Thu, 01 Jan 2032 00:00:00 GMT' ],
    [ 'If-Unmodified-Since' => 'Thu, 01 Jan 1990 00:00:00 GMT' ])
{
    my $body = event('file.written', id => my $id = new_id());

    for my $expected (qw/ delivered duplicate /) {
        my $r = post_event($nginx->port, '/events', $body, headers => $_);

        is($r->status, 200, "$_->[0]: $expected: 200");
        is(($r->json || {})->{status}, $expected, "$_->[0]: $expected");
    }

    is($backend->count($id), 1, "$_->[0]: once");
}

done_testing();
