#!/usr/bin/perl

# Targets of two servers without a name, or with the same one, were one: what
# worked in the one was said to work again in the other, and what failed there,
# too, was not said.

use lib 't/lib';
use Trove;

my $backend = backend();
my $nginx = nginx(join '', map { my $name = $_; map { <<EOF } 0, 1 } '', 'same')
    server {
        listen 127.0.0.1:%%PORT_@{[ ($name ? 2 : 0) + $_ ]}%%;
        @{[ $name ? "server_name $name;" : '' ]}
        trove_verify off;

        location = /fan {
            trove_fanout /target;
        }

        location = /target {
            internal;
            proxy_pass http://127.0.0.1:@{[ $_ ? '%%BACKEND%%'
                                               : '%%PORT_9%%' ]};
        }
    }
EOF
    ->start;

for my $n (0, 2) {
    $nginx->mark;

    for (1 .. 2) {
        my $body = event('file.written', id => new_id());

        is(post_event($nginx->port($n), '/fan', $body)->status, 502, 'fails');
        is(post_event($nginx->port($n + 1), '/fan', $body)->status, 200,
            'the same one of another server works');
    }

    is(scalar(() = $nginx->log_lines(qr/target "\/target" .* is failing/)), 1,
        'said once');
    is(scalar(() = $nginx->log_lines(qr/recovered/)), 0,
        'it does not work again');
}

done_testing;
